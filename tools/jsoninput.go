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

// jsonNode is a value of a JSON file that a tool was given, with the complaints
// of Kafka's tools about what is not as it should be.
type jsonNode struct{ raw json.RawMessage }

// readInput reads a file that an option names.
func readInput(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", javaError{"java.io.IOException", "Unable to read file " + path}
	}
	return string(data), nil
}

// parseJSON reads the first value of text; what follows it is ignored.
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

// jsonComplaint says what is wrong with the text and where.
func jsonComplaint(text string, err error) string {
	at := len(text)
	what := "Unexpected end-of-input"
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		at = max(int(syntax.Offset)-1, 0)
		if at < len(text) {
			what = fmt.Sprintf("Unexpected character ('%c' (code %d))", text[at], text[at])
		}
	}
	line := 1 + strings.Count(text[:at], "\n")
	column := at - strings.LastIndexByte(text[:at], '\n')
	return fmt.Sprintf("%s\n at [line: %d, column: %d]", what, line, column)
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

// integers and texts read a list; what is no list is no "JSON array".
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

// field returns a member that must be there.
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

// versioned returns the members of a file whose version, if it tells one, is 1.
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

func adminOperation(format string, args ...any) error {
	return javaError{"org.apache.kafka.server.common.AdminOperationException", fmt.Sprintf(format, args...)}
}

func commandFailed(format string, args ...any) error {
	return javaError{"org.apache.kafka.server.common.AdminCommandFailedException", fmt.Sprintf(format, args...)}
}
