package settings

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/magiconair/properties"
)

// place is where a value stands.
type place struct {
	file string
	line int // from 1; the first line of a value that continues over several
}

// entry is a key's value as written, and where.
type entry struct {
	value string
	place place
}

// readProperties reads a file in the syntax of java.util.Properties: in
// ISO-8859-1, without expansion; of several entries for a key the last counts.
func readProperties(file string) (map[string]entry, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return parseProperties(data, file)
}

// ReadProperties reads a properties file as Java does, for tools' --command-config
// and the like. Errors: those of os.ReadFile, *SyntaxError.
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
	loader := properties.Loader{Encoding: properties.ISO_8859_1, DisableExpansion: true}
	entries := map[string]entry{}
	for _, line := range logicalLines(data) {
		text := line.text
		keyless := len(text) == 0 || text[0] == '=' || text[0] == ':' // which the library does not know
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
			entries[key] = entry{value, place{file, line.number}}
		}
	}
	return entries, nil
}

// SyntaxError is a line of a properties file that java.util.Properties refuses.
type SyntaxError struct {
	File   string
	Line   int // from 1
	Reason string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%s, line %d: %s", e.File, e.Line, e.Reason) }

// reasonOf is what Java says of the one mistake that the syntax knows, or what
// the library says.
func reasonOf(err error) string {
	if strings.Contains(err.Error(), "invalid unicode literal") {
		return `Malformed \uxxxx encoding.`
	}
	return err.Error()
}

// logicalLine is one entry of a properties file, its continuation lines joined.
type logicalLine struct {
	text   []byte
	number int // of its first natural line
}

// logicalLines splits data at line ends, joins a line that ends with an odd
// number of backslashes with the next one, whose leading blanks do not count,
// and leaves out comments and blank lines.
func logicalLines(data []byte) []logicalLine {
	var lines []logicalLine
	var current *logicalLine // continues on the next natural line
	crlf := bytes.HasSuffix(data, []byte("\r\n"))
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	naturals := bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
	for i, natural := range naturals {
		natural = bytes.TrimLeft(natural, " \t\f")
		if current == nil {
			// Java forgets a lone backslash, so that a comment may follow, but
			// takes one that ends the file for an empty key.
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
