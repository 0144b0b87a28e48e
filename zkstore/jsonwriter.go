package zkstore

import (
	"strconv"
	"unicode/utf8"

	"github.com/monedula/monedula/metadata"
)

// objectWriter writes one JSON object without spaces. Like Kafka's JSON library, it escapes only
// quotes, backslashes and control characters.
type objectWriter struct {
	buf   []byte
	comma bool
}

func (w *objectWriter) bytes() []byte {
	out := make([]byte, 0, len(w.buf)+2)
	out = append(out, '{')
	out = append(out, w.buf...)
	return append(out, '}')
}

// key begins a member of the object. The next call must write its value.
func (w *objectWriter) key(name string) *objectWriter {
	if w.comma {
		w.buf = append(w.buf, ',')
	}
	w.comma = true
	w.string(name)
	w.buf = append(w.buf, ':')
	return w
}

func (w *objectWriter) int(n int64)       { w.buf = strconv.AppendInt(w.buf, n, 10) }
func (w *objectWriter) raw(value string)  { w.buf = append(w.buf, value...) }
func (w *objectWriter) string(str string) { w.buf = appendJSONString(w.buf, str) }

func (w *objectWriter) brokerIDs(list []metadata.BrokerID) {
	w.list(len(list), func(w *objectWriter, i int) { w.int(int64(list[i])) })
}

func (w *objectWriter) object(members func(w *objectWriter)) {
	w.buf = append(w.buf, '{')
	w.comma = false
	members(w)
	w.buf = append(w.buf, '}')
	w.comma = true
}

func (w *objectWriter) list(n int, element func(w *objectWriter, i int)) {
	w.buf = append(w.buf, '[')
	for i := range n {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		element(w, i)
	}
	w.buf = append(w.buf, ']')
	w.comma = true
}

func appendJSONString(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\b':
			dst = append(dst, '\\', 'b')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\f':
			dst = append(dst, '\\', 'f')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRuneInString(s[i:]) // invalid UTF-8 becomes U+FFFD
			dst = utf8.AppendRune(dst, r)
			i += size - 1
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
