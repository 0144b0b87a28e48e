package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
)

// errShort is the error of a message that ends before its last field, or has a length that points
// beyond its end.
var errShort = errors.New("the message is truncated, or a length in it is wrong")

// errNull is the error of a required field that is null.
var errNull = errors.New("a required field is null")

// reader reads Kafka's primitive types from the front of src. After the first error all its methods
// return zero values, so a decoder may check err once, at its end.
type reader struct {
	src     []byte
	err     error
	entries int // the entries of all arrays so far
	memory  int // the bytes of memory that entries may still take
}

// newReader returns a reader of a message's body. The decoded entries may take eight times the size
// of the body in memory: some entries of three bytes become structs of sixty.
func newReader(body []byte) reader { return reader{src: body, memory: max(entriesFree, 8*len(body))} }

// entriesFree is the memory, in bytes, that the entries of a short body may always take.
const entriesFree = 256 << 10

// maxEntries bounds the entries of all arrays of one message. A request with more tiny entries
// would take far more memory than its size, and so would its answer. No real cluster has requests
// with that many entries.
const maxEntries = 1 << 17

var errTooHeavy = errors.New("the entries of the message take more memory than eight times its size")

var errTooMany = fmt.Errorf("more than %d entries in one message", maxEntries)

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.src = nil
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.src) {
		r.fail(errShort)
		return nil
	}
	b := r.src[:n:n]
	r.src = r.src[n:]
	return b
}

func (r *reader) int8() int8 {
	if b := r.take(1); b != nil {
		return int8(b[0])
	}
	return 0
}

func (r *reader) int16() int16 {
	if b := r.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *reader) int32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *reader) int64() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (r *reader) uuid() (id [16]byte) {
	copy(id[:], r.take(16))
	return id
}

// uvarint reads an unsigned LEB128 number of at most 32 bits.
func (r *reader) uvarint() uint32 {
	v, n := binary.Uvarint(r.src)
	if n <= 0 || n > 5 || v > math.MaxUint32 {
		r.fail(errShort)
		return 0
	}
	r.src = r.src[n:]
	return uint32(v)
}

// length reads the length of a string, byte string or array. It returns -1, which means null, for
// every negative length, as in Kafka.
func (r *reader) length(compact bool, short bool) int {
	var n int32
	switch {
	case compact:
		n = int32(r.uvarint()) - 1
	case short:
		n = int32(r.int16())
	default:
		n = r.int32()
	}
	return int(max(n, -1))
}

// nullableBytes reads a byte string, which aliases src. nil means null.
func (r *reader) nullableBytes(compact bool) []byte {
	n := r.length(compact, false)
	if r.err != nil || n == -1 {
		return nil
	}
	return r.take(n)
}

// nullableString reads a string; nil means null. If old is the same string it is returned, to save
// an allocation in a reused struct.
func (r *reader) nullableString(compact bool, old *string) *string {
	n := r.length(compact, true)
	if r.err != nil || n == -1 {
		return nil
	}
	b := r.take(n)
	if old != nil && *old == string(b) {
		return old
	}
	s := string(b)
	return &s
}

// string reads a string that must not be null. old is as for nullableString.
func (r *reader) string(compact bool, old string) string {
	n := r.length(compact, true)
	if r.err == nil && n == -1 {
		r.fail(errNull)
	}
	b := r.take(n)
	if old == string(b) {
		return old
	}
	return string(b)
}

// entries reads the length of an array that must not be null and returns list resized to it. Each
// entry takes at least entrySize bytes of the message, so a false length is refused before memory
// is allocated for it. Previous entries of list keep their content.
func entries[E any](r *reader, compact bool, entrySize int, list []E) []E {
	return resize(list, r.array(compact, entrySize, int(reflect.TypeFor[E]().Size())))
}

// array reads the length of an array whose entries take at least entrySize bytes each in the
// message and memory bytes each when decoded.
func (r *reader) array(compact bool, entrySize, memory int) int {
	n := r.length(compact, false)
	switch {
	case r.err != nil:
		return 0
	case n == -1:
		r.fail(errNull)
		return 0
	case n > len(r.src)/entrySize:
		r.fail(errShort)
		return 0
	case r.entries+n > maxEntries:
		r.fail(errTooMany)
		return 0
	case n*memory > r.memory:
		r.fail(errTooHeavy)
		return 0
	}
	r.entries += n
	r.memory -= n * memory
	return n
}

// skipTags skips a section of tagged fields.
func (r *reader) skipTags() {
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		r.uvarint()
		r.take(int(r.uvarint()))
	}
}

// tags calls visit with the tag and the content of every tagged field.
func (r *reader) tags(visit func(tag uint32, field *reader)) {
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		tag := r.uvarint()
		field := reader{src: r.take(int(r.uvarint()))}
		visit(tag, &field)
		if field.err != nil {
			r.fail(field.err)
		}
	}
}

func appendInt16(dst []byte, v int16) []byte { return binary.BigEndian.AppendUint16(dst, uint16(v)) }
func appendInt32(dst []byte, v int32) []byte { return binary.BigEndian.AppendUint32(dst, uint32(v)) }
func appendInt64(dst []byte, v int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(v)) }

func appendUvarint(dst []byte, v uint32) []byte { return binary.AppendUvarint(dst, uint64(v)) }

// appendLength appends an int32 or compact length; -1 means null.
func appendLength(dst []byte, n int, compact bool) []byte {
	if compact {
		return appendUvarint(dst, uint32(n+1))
	}
	return appendInt32(dst, int32(n))
}

func appendString(dst []byte, s string, compact bool) []byte {
	if compact {
		dst = appendUvarint(dst, uint32(len(s)+1))
	} else {
		dst = appendInt16(dst, int16(len(s)))
	}
	return append(dst, s...)
}

func appendNullableString(dst []byte, s *string, compact bool) []byte {
	switch {
	case s != nil:
		return appendString(dst, *s, compact)
	case compact:
		return append(dst, 0)
	}
	return appendInt16(dst, -1)
}
