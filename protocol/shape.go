package protocol

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"reflect"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// shape describes how a field of one request type and version is written, and the memory it takes
// when decoded. kmsg has no schema, so the shape is derived from its encoder: a request is encoded
// with and without each field set, which shows whether the version has the field and whether the
// field is tagged. The fields of a struct are written in their order, then the section of its
// tagged fields.
type shape struct {
	kind    shapeKind
	width   int      // of a fixed field: bytes on the wire and in memory
	pointer bool     // of a string: it is decoded as a *string
	elem    *shape   // of a list
	size    int      // of an element of a list, or a struct: bytes in memory
	fields  []*shape // of a struct: the fields that are not tagged
	tagged  map[uint32]*shape
	tags    bool // of a struct: it ends with a section of tagged fields
}

type shapeKind int8

const (
	fixedShape  shapeKind = iota // a fixed number of bytes, such as an int32
	textShape                    // a string, or null
	bytesShape                   // a byte string, or null
	listShape                    // an array, or null
	structShape                  // a struct
)

// shapeOf derives the shape of a request's body in the version set in it. It fails for structs that
// are fields and not elements of a list, which no weighed request has.
func shapeOf(req kmsg.Request) (*shape, error) {
	p := prober{req.Key(), req.GetVersion(), req.IsFlexible()}
	s, err := p.structure(reflect.TypeOf(req).Elem(), nil)
	if err != nil {
		return nil, fmt.Errorf("shape of %s v%d: %w", APIKey(req.Key()), req.GetVersion(), err)
	}
	return s, nil
}

// prober encodes one request type in one version.
type prober struct {
	key      int16
	version  int16
	flexible bool
}

// encode encodes a request that is empty except for one element in each list on the path to a
// struct. set, if not nil, may change the fields of that struct. A path is a list of field indexes.
func (p *prober) encode(path []int, set func(reflect.Value)) []byte {
	req := kmsg.RequestForKey(p.key)
	req.SetVersion(p.version)
	v := reflect.ValueOf(req).Elem()
	for _, i := range path {
		if v = v.Field(i); v.Kind() == reflect.Slice {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			v = v.Index(0)
			if d, is := v.Addr().Interface().(interface{ Default() }); is {
				d.Default()
			}
		}
	}
	if set != nil {
		set(v)
	}
	return req.AppendTo(nil)
}

const (
	versionField = "Version"
	tagsField    = "UnknownTags"
	foreignTag   = 1 << 20 // a tag that no message has
)

// structure derives the shape of the struct at the path.
func (p *prober) structure(t reflect.Type, path []int) (*shape, error) {
	s := &shape{kind: structShape, size: int(t.Size())}
	base := p.encode(path, nil)
	tagsAt := -1
	if _, has := t.FieldByName(tagsField); has && p.flexible {
		tagged := p.encode(path, func(v reflect.Value) {
			v.FieldByName(tagsField).Addr().Interface().(*kmsg.Tags).Set(foreignTag, []byte{1})
		})
		tagsAt = difference(base, tagged)
		s.tags = tagsAt >= 0
	}
	last := -1
	for i := range t.NumField() {
		name := t.Field(i).Name
		if name == tagsField || len(path) == 0 && name == versionField {
			continue
		}
		set := p.encode(path, func(v reflect.Value) { distinguish(v.Field(i)) })
		at := difference(base, set)
		if at < 0 {
			continue // the version does not have it
		}
		f, err := p.field(t.Field(i).Type, append(path[:len(path):len(path)], i))
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", name, err)
		case s.tags && at == tagsAt:
			tag, _ := binary.Uvarint(set[at+1:])
			if s.tagged == nil {
				s.tagged = map[uint32]*shape{}
			}
			s.tagged[uint32(tag)] = f
		case at < last:
			return nil, fmt.Errorf("%s is not written after the previous field", name)
		default:
			last = at
			s.add(f)
		}
	}
	return s, nil
}

// add appends a field. Adjacent fixed fields are merged.
func (s *shape) add(f *shape) {
	if n := len(s.fields); n > 0 && f.kind == fixedShape && s.fields[n-1].kind == fixedShape {
		s.fields[n-1].width += f.width
		return
	}
	s.fields = append(s.fields, f)
}

// field derives the shape of a field that the version has.
func (p *prober) field(t reflect.Type, path []int) (*shape, error) {
	switch t.Kind() {
	case reflect.Bool, reflect.Int8, reflect.Int16, reflect.Uint16, reflect.Int32, reflect.Uint32, reflect.Int64, reflect.Float64:
		return &shape{kind: fixedShape, width: int(t.Size())}, nil
	case reflect.Array: // a UUID
		return &shape{kind: fixedShape, width: t.Len()}, nil
	case reflect.String:
		return &shape{kind: textShape}, nil
	case reflect.Pointer:
		if t.Elem().Kind() == reflect.String {
			return &shape{kind: textShape, pointer: true}, nil
		}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return &shape{kind: bytesShape}, nil
		}
		var elem *shape
		var err error
		if t.Elem().Kind() == reflect.Struct {
			elem, err = p.structure(t.Elem(), path)
		} else {
			elem, err = p.field(t.Elem(), path)
		}
		return &shape{kind: listShape, elem: elem, size: int(t.Elem().Size())}, err
	}
	return nil, fmt.Errorf("a %s has no shape", t)
}

// distinguish sets a field to a value that differs from its default.
func distinguish(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(85)
	case reflect.Uint16, reflect.Uint32:
		v.SetUint(85)
	case reflect.Float64:
		v.SetFloat(85)
	case reflect.String:
		v.SetString("x")
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		distinguish(v.Elem())
	case reflect.Array:
		v.Index(0).SetUint(85)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				distinguish(v.Field(i))
			}
		}
	}
}

// difference returns the index of the first byte at which two encodings differ, or -1 if they are
// equal.
func difference(a, b []byte) int {
	if bytes.Equal(a, b) {
		return -1
	}
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	return at
}
