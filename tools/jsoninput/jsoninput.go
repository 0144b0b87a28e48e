// Package jsoninput reads the JSON files that options of tools name.
package jsoninput

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// Node is a value in a JSON input file. Its methods return the errors of Kafka's tools for
// unexpected types.
type Node struct{ raw json.RawMessage }

// ReadFile reads a file that an option names.
func ReadFile(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", cli.NewJavaError("java.io.IOException", "Unable to read file "+path)
	}
	return string(data), nil
}

// Parse parses the first value in text and ignores what follows it.
func Parse(text string) (Node, error) {
	if text == "" {
		return Node{}, jsonSyntax("The input string shouldn't be empty")
	}
	if strings.TrimSpace(text) == "" {
		return Node{}, nil
	}
	var node Node
	if err := json.NewDecoder(strings.NewReader(text)).Decode(&node.raw); err != nil {
		return Node{}, jsonSyntax(jsonComplaint(text, err))
	}
	return node, nil
}

func jsonSyntax(text string) error {
	return cli.NewJavaError("com.fasterxml.jackson.core.JsonParseException", text)
}

// jsonComplaint returns the error for invalid JSON and its position. For the most common mistakes
// it has the text of the library that Kafka's tools use.
func jsonComplaint(text string, err error) string {
	const values = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) || int(syntax.Offset) > len(text) || syntax.Offset == 0 {
		return "Unexpected end-of-input" + jsonPlace(text, len(text))
	}
	at := int(syntax.Offset) - 1
	from, to := at, at
	for from > 0 && isLetter(text[from-1]) {
		from--
	}
	for to < len(text) && isLetter(text[to]) {
		to++
	}
	_, situation, _ := strings.Cut(syntax.Error(), "' ")
	isValue := situation == "looking for beginning of value" || strings.HasPrefix(situation, "in literal ")
	if isValue && to > from {
		return fmt.Sprintf("Unrecognized token '%s': was expecting %s%s", text[from:to], values, jsonPlace(text, to))
	}
	expected := map[string]string{
		"looking for beginning of object key string": "was expecting double-quote to start field name",
		"after object key":                           "was expecting a colon to separate field name and value",
		"after array element":                        "was expecting comma to separate Array entries",
		"after object key:value pair":                "was expecting comma to separate Object entries",
		"looking for beginning of value":             "expected a valid value " + values,
	}[situation]
	if expected == "" {
		expected = situation
	}
	return fmt.Sprintf("Unexpected character ('%c' (code %d)): %s%s", text[at], text[at], expected, jsonPlace(text, at+1))
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// jsonPlace formats the line and column after the first read bytes of text.
func jsonPlace(text string, read int) string {
	line := 1 + strings.Count(text[:read], "\n")
	column := read - strings.LastIndexByte(text[:read], '\n')
	return fmt.Sprintf("\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: %d, column: %d]", line, column)
}

// String returns the value as JSON without spaces.
func (n Node) String() string {
	var out bytes.Buffer
	if json.Compact(&out, n.raw) != nil {
		return ""
	}
	return out.String()
}

func jsonMapping(format string, args ...any) error {
	return cli.NewJavaError("com.fasterxml.jackson.databind.JsonMappingException", fmt.Sprintf(format, args...))
}

// Object returns the members of an object.
func (n Node) Object() (map[string]Node, error) {
	var raw map[string]json.RawMessage
	if json.Unmarshal(n.raw, &raw) != nil || raw == nil {
		return nil, jsonMapping("Expected JSON object, received %s", n)
	}
	fields := make(map[string]Node, len(raw))
	for name, value := range raw {
		fields[name] = Node{value}
	}
	return fields, nil
}

func (n Node) list() (nodes []Node, isList bool) {
	var raw []json.RawMessage
	if json.Unmarshal(n.raw, &raw) != nil || raw == nil {
		return nil, false
	}
	for _, value := range raw {
		nodes = append(nodes, Node{value})
	}
	return nodes, true
}

// Array returns the items of an array.
func (n Node) Array() ([]Node, error) {
	nodes, isList := n.list()
	if !isList {
		return nil, jsonMapping("Expected JSON array, received %s", n)
	}
	return nodes, nil
}

// Text returns the value of a string.
func (n Node) Text() (string, error) {
	var s *string
	if json.Unmarshal(n.raw, &s) != nil || s == nil {
		return "", jsonMapping("Expected `String` value, received %s", n)
	}
	return *s, nil
}

func (n Node) integer() (int32, error) {
	v, err := strconv.ParseInt(string(n.raw), 10, 32)
	if err != nil {
		return 0, jsonMapping("Expected `Integer` value, received %s", n)
	}
	return int32(v), nil
}

// Long returns the value of a 64-bit integer.
func (n Node) Long() (int64, error) {
	v, err := strconv.ParseInt(string(n.raw), 10, 64)
	if err != nil {
		return 0, jsonMapping("Expected `Long` value, received %s", n)
	}
	return v, nil
}

// Integers returns the numbers of a list. Its error for other values differs from that of array, as
// in Kafka's tools.
func (n Node) Integers() ([]int32, error) { return listOf(n, Node.integer) }

// Texts is like Integers for a list of strings.
func (n Node) Texts() ([]string, error) { return listOf(n, Node.Text) }

func listOf[T any](n Node, decode func(Node) (T, error)) ([]T, error) {
	nodes, isList := n.list()
	if !isList {
		return nil, jsonMapping("Expected `JSON array` value, received %s", n)
	}
	values := []T{}
	for _, node := range nodes {
		value, err := decode(node)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}

// Field returns a required member.
func Field(fields map[string]Node, name string) (Node, error) {
	node, found := fields[name]
	if !found {
		return node, jsonMapping("No such field exists: `%s`", name)
	}
	return node, nil
}

// PartitionFields reads the members topic and partition.
func PartitionFields(fields map[string]Node) (tp client.TopicPartition, err error) {
	node, err := Field(fields, "topic")
	if err != nil {
		return tp, err
	}
	if tp.Topic, err = node.Text(); err != nil {
		return tp, err
	}
	if node, err = Field(fields, "partition"); err != nil {
		return tp, err
	}
	tp.Partition, err = node.integer()
	return tp, err
}

// Versioned returns the members of a file. Its version, if given, must be 1.
func Versioned(node Node) (map[string]Node, error) {
	fields, err := node.Object()
	if err != nil {
		return nil, err
	}
	if version, found := fields["version"]; found {
		n, err := version.integer()
		if err != nil {
			return nil, err
		}
		if n != 1 {
			return nil, cli.AdminOperation("Not supported version field value %d", n)
		}
	}
	return fields, nil
}
