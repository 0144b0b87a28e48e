package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// JSONObject formats a JSON object from alternating names and encoded values, in order.
func JSONObject(pairs ...string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := 0; i+1 < len(pairs); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(JSONString(pairs[i]) + ":" + pairs[i+1])
	}
	b.WriteByte('}')
	return b.String()
}

// JSONString encodes text as a JSON string.
func JSONString(text string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text)
	return strings.TrimSuffix(b.String(), "\n")
}

// JSONStringOrNull encodes text as a JSON string, or nil as null.
func JSONStringOrNull(text *string) string {
	if text == nil {
		return "null"
	}
	return JSONString(*text)
}

// JSONBytesOrNull encodes bytes in base64 as a JSON string, or nil as null.
func JSONBytesOrNull(b []byte) string {
	if b == nil {
		return "null"
	}
	return JSONString(base64.StdEncoding.EncodeToString(b))
}

// JSONList formats a JSON array. text encodes an item.
func JSONList[T any](items []T, text func(T) string) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = text(item)
	}
	return "[" + strings.Join(texts, ",") + "]"
}

// JSONNumber formats a number.
func JSONNumber(n int32) string { return fmt.Sprint(n) }

// CompactJSON returns value as JSON on one line. value must always be encodable.
func CompactJSON(value any) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err) // value consists of numbers, strings and lists
	}
	return strings.TrimSuffix(out.String(), "\n")
}
