package settings

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/magiconair/properties"
)

// place is the position of a value in a file.
type place struct {
	file string
	line int // starts at 1; the first line of a value that spans several
}

// entry is the value of a key as written, and its position.
type entry struct {
	value string
	place place
}

// readProperties reads a file in the syntax of java.util.Properties, in ISO-8859-1 and without
// expansion. If a key has several entries, the last one applies.
func readProperties(file string) (map[string]entry, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return parseProperties(data, file)
}

// ReadProperties reads a properties file as Java does, for options of tools such as
// --command-config. The error is that of os.ReadFile or a *SyntaxError.
func ReadProperties(file string) (map[string]string, error) {
	entries, err := readProperties(file)
	if err != nil {
		return nil, err
	}
	values := make(map[string]string, len(entries))
	for key, e := range entries {
		values[key] = e.value
	}
	return values, nil
}

func parseProperties(data []byte, file string) (map[string]entry, error) {
	list, err := ParseProperties(data, file)
	if err != nil {
		return nil, err
	}
	entries := make(map[string]entry, len(list))
	for _, p := range list {
		entries[p.Key] = entry{p.Value, place{file, p.Line}}
	}
	return entries, nil
}

// Property is one entry of a properties file.
type Property struct {
	Key, Value string
	Line       int // starts at 1; the first line of an entry that spans several
}

// ParseProperties returns the entries of a properties file in their order, also those whose key has
// a later entry. file is its name in errors. The error is a *SyntaxError.
func ParseProperties(data []byte, file string) ([]Property, error) {
	loader := properties.Loader{Encoding: properties.ISO_8859_1, DisableExpansion: true}
	var list []Property
	for _, line := range logicalLines(data) {
		text := line.text
		keyless := len(text) == 0 || text[0] == '=' || text[0] == ':' // the library does not support an empty key
		if keyless {
			text = append([]byte("key"), text...)
		}
		p, err := loader.LoadBytes(text)
		if err != nil {
			return nil, &SyntaxError{File: file, Line: line.number, Reason: reasonOf(err)}
		}
		for _, key := range p.Keys() {
			value, _ := p.Get(key)
			if keyless {
				key = ""
			}
			list = append(list, Property{key, value, line.number})
		}
	}
	return list, nil
}

// SyntaxError is the error for a line of a properties file that java.util.Properties refuses.
type SyntaxError struct {
	File   string
	Line   int // starts at 1
	Reason string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%s, line %d: %s", e.File, e.Line, e.Reason) }

// reasonOf returns Java's text for the only syntax error that exists, and the text of the library
// otherwise.
func reasonOf(err error) string {
	if strings.Contains(err.Error(), "invalid unicode literal") {
		return `Malformed \uxxxx encoding.`
	}
	return err.Error()
}

// logicalLine is one entry of a properties file with its continuation lines joined.
type logicalLine struct {
	text   []byte
	number int // number of its first line in the file
}

// logicalLines splits data at line ends and drops comments and blank lines. It joins a line that
// ends with an odd number of backslashes with the next line, whose leading blanks are dropped.
func logicalLines(data []byte) []logicalLine {
	var lines []logicalLine
	var current *logicalLine // continues on the next line
	crlf := bytes.HasSuffix(data, []byte("\r\n"))
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	naturals := bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
	for i, natural := range naturals {
		natural = bytes.TrimLeft(natural, " \t\f")
		if current == nil {
			// Java ignores a line with only a backslash, so a comment may follow. At the end of the
			// file, however, it is an empty key.
			if string(natural) == `\` && (i+1 < len(naturals) || crlf) {
				continue
			}
			if len(natural) == 0 || natural[0] == '#' || natural[0] == '!' {
				continue
			}
			lines = append(lines, logicalLine{number: i + 1})
			current = &lines[len(lines)-1]
		}
		continues := trailingBackslashes(natural)%2 == 1
		if continues {
			natural = natural[:len(natural)-1]
		}
		current.text = append(current.text, natural...)
		if !continues {
			current = nil
		}
	}
	return lines
}

func trailingBackslashes(line []byte) int {
	return len(line) - len(bytes.TrimRight(line, `\`))
}
