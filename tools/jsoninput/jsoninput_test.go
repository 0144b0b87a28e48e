package jsoninput

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

const place = "\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: "

// The expected messages are those of the JSON library of Kafka's tools.
func TestInvalidJSONHasTheTextsOfJackson(t *testing.T) {
	const values = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
	for text, want := range map[string]string{
		"":                            "The input string shouldn't be empty",
		"nonsense":                    "Unrecognized token 'nonsense': was expecting " + values + place + "1, column: 9]",
		`{"version":tru}`:             "Unrecognized token 'tru': was expecting " + values + place + "1, column: 15]",
		`{"version":1,partitions:[]}`: "Unexpected character ('p' (code 112)): was expecting double-quote to start field name" + place + "1, column: 15]",
		`{"version" 1}`:               "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value" + place + "1, column: 13]",
		`{"partitions":[1 2]}`:        "Unexpected character ('2' (code 50)): was expecting comma to separate Array entries" + place + "1, column: 19]",
		`{"version":1 "a":2}`:         "Unexpected character ('\"' (code 34)): was expecting comma to separate Object entries" + place + "1, column: 15]",
		`{"version":}`:                "Unexpected character ('}' (code 125)): expected a valid value " + values + place + "1, column: 13]",
		"{\n\"a\":\n}":                "Unexpected character ('}' (code 125)): expected a valid value " + values + place + "3, column: 2]",
		`{"a":[`:                      "Unexpected end-of-input" + place + "1, column: 7]",
		`"a`:                          "Unexpected end-of-input" + place + "1, column: 3]",
	} {
		_, err := Parse(text)
		if err == nil || err.Error() != want || cli.JavaClass(err) != "com.fasterxml.jackson.core.JsonParseException" {
			t.Errorf("%s:\n%v\nwant\n%s", text, err, want)
		}
	}
}

func TestTheFirstValueIsParsed(t *testing.T) {
	for text, want := range map[string]string{`{"a": [1, 2]} and more`: `{"a":[1,2]}`, " 7 ": "7", "[]": "[]", "null": "null", " ": ""} {
		node, err := Parse(text)
		if err != nil || node.String() != want {
			t.Errorf("%s: %s, %v", text, node, err)
		}
	}
}

func node(t *testing.T, text string) Node {
	t.Helper()
	n, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestValuesAreRead(t *testing.T) {
	fields, err := node(t, `{"text":"x","number":-3,"long":5000000000,"list":[1,2],"names":["a"],"none":[]}`).Object()
	if err != nil {
		t.Fatal(err)
	}
	if text, err := fields["text"].Text(); err != nil || text != "x" {
		t.Errorf("text %q, %v", text, err)
	}
	if n, err := fields["number"].integer(); err != nil || n != -3 {
		t.Errorf("number %d, %v", n, err)
	}
	if n, err := fields["long"].Long(); err != nil || n != 5000000000 {
		t.Errorf("long %d, %v", n, err)
	}
	if list, err := fields["list"].Integers(); err != nil || !slices.Equal(list, []int32{1, 2}) {
		t.Errorf("list %v, %v", list, err)
	}
	if list, err := fields["names"].Texts(); err != nil || !slices.Equal(list, []string{"a"}) {
		t.Errorf("names %v, %v", list, err)
	}
	if list, err := fields["none"].Integers(); err != nil || list == nil || len(list) != 0 {
		t.Errorf("an empty list is %v, %v", list, err)
	}
	if nodes, err := fields["list"].Array(); err != nil || len(nodes) != 2 || nodes[1].String() != "2" {
		t.Errorf("array %v, %v", nodes, err)
	}
}

// The expected messages are those of Kafka's own JSON decoders.
func TestUnexpectedTypesHaveKafkasTexts(t *testing.T) {
	for _, test := range []struct {
		name, text string
		read       func(n Node) error
		want       string
	}{
		{"no object", "[1, 2]", func(n Node) error { _, err := n.Object(); return err }, "Expected JSON object, received [1,2]"},
		{"null as object", "null", func(n Node) error { _, err := n.Object(); return err }, "Expected JSON object, received null"},
		{"no array", `{"a":1}`, func(n Node) error { _, err := n.Array(); return err }, `Expected JSON array, received {"a":1}`},
		{"no list of numbers", "0", func(n Node) error { _, err := n.Integers(); return err }, "Expected `JSON array` value, received 0"},
		{"a text among numbers", `[1,"2"]`, func(n Node) error { _, err := n.Integers(); return err }, "Expected `Integer` value, received \"2\""},
		{"a number among texts", `["a",2]`, func(n Node) error { _, err := n.Texts(); return err }, "Expected `String` value, received 2"},
		{"no text", "1", func(n Node) error { _, err := n.Text(); return err }, "Expected `String` value, received 1"},
		{"null as text", "null", func(n Node) error { _, err := n.Text(); return err }, "Expected `String` value, received null"},
		{"a large integer", "3000000000", func(n Node) error { _, err := n.integer(); return err }, "Expected `Integer` value, received 3000000000"},
		{"a fraction", "1.5", func(n Node) error { _, err := n.Long(); return err }, "Expected `Long` value, received 1.5"},
		{"a missing field", "{}", func(n Node) error {
			fields, _ := n.Object()
			_, err := Field(fields, "topic")
			return err
		}, "No such field exists: `topic`"},
	} {
		if err := test.read(node(t, test.text)); err == nil || err.Error() != test.want || cli.JavaClass(err) != "com.fasterxml.jackson.databind.JsonMappingException" {
			t.Errorf("%s: %v, want %s", test.name, err, test.want)
		}
	}
}

func TestPartitionsAreRead(t *testing.T) {
	for text, want := range map[string]string{
		`{"topic":"t","partition":3,"offset":1}`: "",
		`{"partition":3}`:                        "No such field exists: `topic`",
		`{"topic":"t"}`:                          "No such field exists: `partition`",
		`{"topic":1,"partition":3}`:              "Expected `String` value, received 1",
		`{"topic":"t","partition":"3"}`:          "Expected `Integer` value, received \"3\"",
	} {
		fields, err := node(t, text).Object()
		if err != nil {
			t.Fatal(err)
		}
		tp, err := PartitionFields(fields)
		switch {
		case want == "" && (err != nil || tp != client.TopicPartition{Topic: "t", Partition: 3}):
			t.Errorf("%s: %v, %v", text, tp, err)
		case want != "" && (err == nil || err.Error() != want):
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestTheVersionOfAFileIsChecked(t *testing.T) {
	for text, want := range map[string]string{
		`{"version":1}`:   "",
		`{}`:              "",
		`{"version":2}`:   "Not supported version field value 2",
		`{"version":"1"}`: "Expected `Integer` value, received \"1\"",
		`[1]`:             "Expected JSON object, received [1]",
	} {
		have := ""
		if _, err := Versioned(node(t, text)); err != nil {
			have = err.Error()
		}
		if have != want {
			t.Errorf("%s: %q, want %q", text, have, want)
		}
	}
}

func TestFilesAreRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	if err := os.WriteFile(path, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if text, err := ReadFile(path); err != nil || text != "{}" {
		t.Errorf("%q, %v", text, err)
	}
	_, err := ReadFile(path + "x")
	if err == nil || !strings.HasPrefix(err.Error(), "Unable to read file "+path) || cli.JavaClass(err) != "java.io.IOException" {
		t.Errorf("%v", err)
	}
}
