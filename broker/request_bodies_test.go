//go:build !race

package broker

import (
	"bytes"
	"encoding/binary"
	"reflect"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// entryKinds are the ways to fill the longest list of a request.
var entryKinds = map[string]func(entry reflect.Value){
	"empty entries":    func(reflect.Value) {},
	"equal entries":    func(entry reflect.Value) { name(entry, "ab") },
	"distinct entries": func(entry reflect.Value) { name(entry, textToNumber); number(entry) },
	"entries with an unknown tag": func(entry reflect.Value) {
		if entry.Kind() == reflect.Struct {
			if tags := entry.FieldByName("UnknownTags"); tags.IsValid() {
				tags.Addr().Interface().(*kmsg.Tags).Set(1000, nil)
			}
		}
	},
	"entries with long texts": func(entry reflect.Value) { name(entry, "a-text-of-about-forty-characters-as-names") },
}

// The marks in an entry that bodyShape.body replaces by the entry's number.
const (
	textToNumber  = "n#######"
	int32ToNumber = 0x7e6d5c4b
)

// name sets the strings of an entry.
func name(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Pointer:
		v.Set(reflect.ValueOf(&text))
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() && (f.Kind() == reflect.String || f.Type() == reflect.TypeFor[*string]()) {
				name(f, text)
			}
		}
	}
}

// number marks the partition or broker id in an entry, to be replaced by body.
func number(entry reflect.Value) {
	switch entry.Kind() {
	case reflect.Int32:
		entry.SetInt(int32ToNumber)
	case reflect.Struct:
		if p := entry.FieldByName("Partition"); p.IsValid() && p.Kind() == reflect.Int32 {
			p.SetInt(int32ToNumber)
		}
	}
}

// listsOf returns the paths of the lists in a request, as field indexes.
func listsOf(t reflect.Type, path []int) (paths [][]int) {
	for i := range t.NumField() {
		f := t.Field(i).Type
		if f.Kind() != reflect.Slice || f.Elem().Kind() == reflect.Uint8 {
			continue
		}
		to := append(path[:len(path):len(path)], i)
		paths = append(paths, to)
		if f.Elem().Kind() == reflect.Struct {
			paths = append(paths, listsOf(f.Elem(), to)...)
		}
	}
	return paths
}

// listName returns a path in Kafka's notation.
func listName(key protocol.APIKey, path []int) string {
	t, text := reflect.TypeOf(kmsg.RequestForKey(int16(key))).Elem(), key.String()
	for _, at := range path {
		text += "." + t.Field(at).Name
		t = t.Field(at).Type.Elem()
	}
	return text
}

// bodyWith returns a request's body whose list at path has n entries, set by fill. Each list above
// it has one entry, set by above.
func bodyWith(req kmsg.Request, path []int, n int, above, fill func(reflect.Value)) []byte {
	v := reflect.ValueOf(req).Elem()
	for i, at := range path {
		count, make := 1, above
		if i == len(path)-1 {
			count, make = n, fill
		}
		list := reflect.MakeSlice(v.Field(at).Type(), count, count)
		for entry := range count {
			if defaults, ok := list.Index(entry).Addr().Interface().(interface{ Default() }); ok {
				defaults.Default()
			}
			make(list.Index(entry))
		}
		v.Field(at).Set(list)
		if i < len(path)-1 {
			v = list.Index(0)
		}
	}
	return protocol.AppendRequest(nil, req)
}

// bodyShape is a request's body split at the entries of one list.
type bodyShape struct {
	before, entry, after []byte
	compact              bool // the list's count is a varint
}

// shapeOf returns the shape of the bodies that encode returns for a number of entries, or false if
// the version does not have the list.
func shapeOf(encode func(n int) []byte, compact bool) (s bodyShape, ok bool) {
	one, two := encode(1), encode(2)
	size := len(two) - len(one)
	if size <= 0 {
		return s, false
	}
	count := 0
	for one[count] == two[count] {
		count++
	}
	s = bodyShape{before: one[:count], entry: one[count+1 : count+1+size], after: one[count+1+size:], compact: compact}
	if !compact {
		s.before = one[:count-3]
	}
	return s, true
}

// body returns the body with n entries, which differ if the shape's entry has marks.
func (s bodyShape) body(n int) []byte {
	b := make([]byte, 0, len(s.before)+len(s.after)+10+n*len(s.entry))
	b = append(b, s.before...)
	if s.compact {
		b = binary.AppendUvarint(b, uint64(n)+1)
	} else {
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	}
	var texts, numbers []int
	mark := binary.BigEndian.AppendUint32(nil, int32ToNumber)
	for at := range s.entry {
		if bytes.HasPrefix(s.entry[at:], []byte(textToNumber)) {
			texts = append(texts, at)
		}
		if bytes.HasPrefix(s.entry[at:], mark) {
			numbers = append(numbers, at)
		}
	}
	for i := range n {
		b = append(b, s.entry...)
		entry := b[len(b)-len(s.entry):]
		for _, at := range texts {
			for digit, rest := len(textToNumber)-1, i; digit > 0; digit, rest = digit-1, rest/10 {
				entry[at+digit] = '0' + byte(rest%10)
			}
		}
		for _, at := range numbers {
			binary.BigEndian.PutUint32(entry[at:], uint32(i))
		}
	}
	return append(b, s.after...)
}

// ofSize returns the longest body, in entries, that fits into size bytes.
func (s bodyShape) ofSize(size int) []byte {
	return s.body(max(0, size-len(s.before)-len(s.after)-5) / len(s.entry))
}
