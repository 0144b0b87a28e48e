package tools

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// jsonNode is a value in a JSON input file. Its methods return the errors of Kafka's tools for
// unexpected types.
type jsonNode struct{ raw json.RawMessage }

// readInput reads a file that an option names.
func readInput(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", javaError{"java.io.IOException", "Unable to read file " + path}
	}
	return string(data), nil
}

// parseJSON parses the first value in text and ignores what follows it.
func parseJSON(text string) (jsonNode, error) {
	if text == "" {
		return jsonNode{}, jsonSyntax("The input string shouldn't be empty")
	}
	if strings.TrimSpace(text) == "" {
		return jsonNode{}, nil
	}
	var node jsonNode
	if err := json.NewDecoder(strings.NewReader(text)).Decode(&node.raw); err != nil {
		return jsonNode{}, jsonSyntax(jsonComplaint(text, err))
	}
	return node, nil
}

func jsonSyntax(text string) error {
	return javaError{"com.fasterxml.jackson.core.JsonParseException", text}
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

func (n jsonNode) String() string {
	var out bytes.Buffer
	if json.Compact(&out, n.raw) != nil {
		return ""
	}
	return out.String()
}

func jsonMapping(format string, args ...any) error {
	return javaError{"com.fasterxml.jackson.databind.JsonMappingException", fmt.Sprintf(format, args...)}
}

func (n jsonNode) object() (map[string]jsonNode, error) {
	var raw map[string]json.RawMessage
	if json.Unmarshal(n.raw, &raw) != nil || raw == nil {
		return nil, jsonMapping("Expected JSON object, received %s", n)
	}
	fields := make(map[string]jsonNode, len(raw))
	for name, value := range raw {
		fields[name] = jsonNode{value}
	}
	return fields, nil
}

func (n jsonNode) list() (nodes []jsonNode, isList bool) {
	var raw []json.RawMessage
	if json.Unmarshal(n.raw, &raw) != nil || raw == nil {
		return nil, false
	}
	for _, value := range raw {
		nodes = append(nodes, jsonNode{value})
	}
	return nodes, true
}

func (n jsonNode) array() ([]jsonNode, error) {
	nodes, isList := n.list()
	if !isList {
		return nil, jsonMapping("Expected JSON array, received %s", n)
	}
	return nodes, nil
}

func (n jsonNode) text() (string, error) {
	var s *string
	if json.Unmarshal(n.raw, &s) != nil || s == nil {
		return "", jsonMapping("Expected `String` value, received %s", n)
	}
	return *s, nil
}

func (n jsonNode) integer() (int32, error) {
	v, err := strconv.ParseInt(string(n.raw), 10, 32)
	if err != nil {
		return 0, jsonMapping("Expected `Integer` value, received %s", n)
	}
	return int32(v), nil
}

func (n jsonNode) long() (int64, error) {
	v, err := strconv.ParseInt(string(n.raw), 10, 64)
	if err != nil {
		return 0, jsonMapping("Expected `Long` value, received %s", n)
	}
	return v, nil
}

// integers and texts parse a list. Their error for other values differs from that of array, as in
// Kafka's tools.
func (n jsonNode) integers() ([]int32, error) { return listOf(n, jsonNode.integer) }
func (n jsonNode) texts() ([]string, error)   { return listOf(n, jsonNode.text) }

func listOf[T any](n jsonNode, decode func(jsonNode) (T, error)) ([]T, error) {
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

// field returns a required member.
func field(fields map[string]jsonNode, name string) (jsonNode, error) {
	node, found := fields[name]
	if !found {
		return node, jsonMapping("No such field exists: `%s`", name)
	}
	return node, nil
}

// partitionFields reads the members topic and partition.
func partitionFields(fields map[string]jsonNode) (tp topicPartition, err error) {
	node, err := field(fields, "topic")
	if err != nil {
		return tp, err
	}
	if tp.topic, err = node.text(); err != nil {
		return tp, err
	}
	if node, err = field(fields, "partition"); err != nil {
		return tp, err
	}
	tp.partition, err = node.integer()
	return tp, err
}

// versioned returns the members of a file. Its version, if given, must be 1.
func versioned(node jsonNode) (map[string]jsonNode, error) {
	fields, err := node.object()
	if err != nil {
		return nil, err
	}
	if version, found := fields["version"]; found {
		n, err := version.integer()
		if err != nil {
			return nil, err
		}
		if n != 1 {
			return nil, adminOperation("Not supported version field value %d", n)
		}
	}
	return fields, nil
}
