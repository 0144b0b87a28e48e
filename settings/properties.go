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
	entries, err := parseProperties(data, file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return entries, nil
}

// ReadProperties reads a properties file as Java does, for tools' --command-config and the like.
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
		p, err := loader.LoadBytes(line.text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line.number, err)
		}
		for _, key := range p.Keys() {
			value, _ := p.Get(key)
			entries[key] = entry{value, place{file, line.number}}
		}
	}
	return entries, nil
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
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	for i, natural := range bytes.Split(data, []byte("\n")) {
		natural = bytes.TrimLeft(natural, " \t\f")
		if current == nil {
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

// ParseOverrides turns the --override arguments of the command line, k=v each,
// into values; of several for a key the last counts.
func ParseOverrides(args []string) (map[string]string, error) {
	values := map[string]string{}
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("Invalid command line properties: %s", strings.Join(args, " "))
		}
		values[key] = value
	}
	return values, nil
}
