package tools

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// object formats a JSON object from alternating names and encoded values, in order.
func object(pairs ...string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := 0; i+1 < len(pairs); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(quoted(pairs[i]) + ":" + pairs[i+1])
	}
	b.WriteByte('}')
	return b.String()
}

func quoted(text string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text)
	return strings.TrimSuffix(b.String(), "\n")
}

func quotedOrNull(text *string) string {
	if text == nil {
		return "null"
	}
	return quoted(*text)
}

func bytesOrNull(b []byte) string {
	if b == nil {
		return "null"
	}
	return quoted(base64.StdEncoding.EncodeToString(b))
}

func list[T any](items []T, text func(T) string) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = text(item)
	}
	return "[" + strings.Join(texts, ",") + "]"
}

func number32(n int32) string { return fmt.Sprint(n) }

// compactJSON returns value as JSON on one line. value must always be encodable.
func compactJSON(value any) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err) // value consists of numbers, strings and lists
	}
	return strings.TrimSuffix(out.String(), "\n")
}
