package cli

import (
	"math"
	"testing"
)

func TestJSONIsFormattedLikeByKafka(t *testing.T) {
	for have, want := range map[string]string{
		JSONObject(): "{}",
		JSONObject("a", "1", "b", JSONString("x")):             `{"a":1,"b":"x"}`,
		JSONString(`<"\` + "\n\u00e9>"):                        `"<\"\\\n` + "\u00e9" + `>"`,
		JSONStringOrNull(nil):                                  "null",
		JSONStringOrNull(new(string)):                          `""`,
		JSONBytesOrNull(nil):                                   "null",
		JSONBytesOrNull([]byte{}):                              `""`,
		JSONBytesOrNull([]byte{0, 255}):                        `"AP8="`,
		JSONList([]string(nil), JSONString):                    "[]",
		JSONList([]string{"a", "b"}, JSONString):               `["a","b"]`,
		JSONList([]int32{-1, 2}, JSONNumber):                   "[-1,2]",
		CompactJSON(map[string]any{"b": []int{1}, "a": "<x>"}): `{"a":"<x>","b":[1]}`,
		CompactJSON(struct{ Z, A int }{1, 2}):                  `{"Z":1,"A":2}`,
	} {
		if have != want {
			t.Errorf("%s, want %s", have, want)
		}
	}
}

// The expected texts are those of Double.toString and Float.toString.
func TestFloatsAreFormattedLikeInJava(t *testing.T) {
	for _, test := range []struct {
		value float64
		bits  int
		want  string
	}{
		{0, 64, "0.0"}, {math.Copysign(0, -1), 64, "-0.0"}, {1, 64, "1.0"}, {-1.5, 64, "-1.5"}, {0.001, 64, "0.001"}, {0.0001, 64, "1.0E-4"},
		{1234567, 64, "1234567.0"}, {12345678, 64, "1.2345678E7"}, {1e7, 64, "1.0E7"}, {1e21, 64, "1.0E21"}, {1.5e-10, 64, "1.5E-10"},
		{math.NaN(), 64, "NaN"}, {math.Inf(1), 64, "Infinity"}, {math.Inf(-1), 64, "-Infinity"}, {float64(float32(0.1)), 32, "0.1"}, {0.1, 64, "0.1"},
		{math.MaxFloat64, 64, "1.7976931348623157E308"},
	} {
		if have := JavaFloat(test.value, test.bits); have != test.want {
			t.Errorf("%v: %s, want %s", test.value, have, test.want)
		}
	}
}

func TestBytesBecomeTextLikeInJava(t *testing.T) {
	for raw, want := range map[string]string{"": "", "a\u00e9": "a\u00e9", "a\xffb": "a\ufffdb", "\u20ac": "\u20ac"} {
		if have := JavaString([]byte(raw)); have != want {
			t.Errorf("%q: %q, want %q", raw, have, want)
		}
	}
}

func TestIDsAreFormattedLikeInJava(t *testing.T) {
	ids := []int32{2, 0, 1}
	if JoinedIDs(ids) != "2,0,1" || BracketedIDs(ids) != "[2, 0, 1]" || BracketedIDs(nil) != "[]" || JoinIDs(ids, "/") != "2/0/1" {
		t.Errorf("%s %s", JoinedIDs(ids), BracketedIDs(ids))
	}
	if text := TopicIDText([16]byte{0xff, 0xff, 1}); text != "__8BAAAAAAAAAAAAAAAAAA" {
		t.Errorf("the topic id is %s", text)
	}
}
