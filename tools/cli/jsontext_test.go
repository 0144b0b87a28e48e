package cli

import (
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
