package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
)

// errShort says that a message ends before its fields do, or that a length in
// it points beyond its end.
var errShort = errors.New("message is cut short, or a length in it is wrong")

// errNull says that a field which has to be there is null.
var errNull = errors.New("a field that may not be null is null")

// reader takes Kafka's primitive types off the front of src. After the first
// error all its methods return zeros, so that a decoder looks at err once.
type reader struct {
	src     []byte
	err     error
	entries int // of all arrays so far
	memory  int // what they may still take
}

// newReader returns a reader of a message's body, whose entries may take eight times the
// memory of its bytes: some of three bytes are structs of sixty.
func newReader(body []byte) reader { return reader{src: body, memory: max(entriesFree, 8*len(body))} }

// entriesFree is what the entries of a short body may take in any case.
const entriesFree = 256 << 10

// maxEntries bounds the entries of all arrays of one message: a request of many tiny ones would
// take far more memory than it has bytes, and its answer again. No cluster comes near.
const maxEntries = 1 << 17

var errTooHeavy = errors.New("the entries of the message take more than eight times its size in memory")

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

// length reads the length of a string, byte string or array; -1 is null, and so
// is every other negative length, as in Kafka.
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

// nullableBytes reads a byte string without copying it; nil is null.
func (r *reader) nullableBytes(compact bool) []byte {
	n := r.length(compact, false)
	if r.err != nil || n == -1 {
		return nil
	}
	return r.take(n)
}

// nullableString reads a string; nil is null. Where old holds the same text it
// is returned, so that a reused struct costs no allocation.
func (r *reader) nullableString(compact bool, old *string) *string {
	n := r.length(compact, true)
	if r.err != nil || n == -1 {
		return nil
	}
	b := r.take(n)
	if r.err != nil {
		return nil
	}
	if old != nil && *old == string(b) {
		return old
	}
	s := string(b)
	return &s
}

// string reads a string that may not be null; old as for nullableString.
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

// entries reads the length of an array that may not be null and whose entries take at least
// entrySize bytes each, so that a lying length costs no memory, and returns list with this
// length. Entries that list had before keep their content.
func entries[E any](r *reader, compact bool, entrySize int, list []E) []E {
	return resize(list, r.array(compact, entrySize, int(reflect.TypeFor[E]().Size())))
}

// array reads the length of an array whose entries take memory bytes each once decoded.
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

// skipTags reads over a section of tagged fields.
func (r *reader) skipTags() {
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		r.uvarint()
		r.take(int(r.uvarint()))
	}
}

// tags calls visit with every tagged field and its bytes.
func (r *reader) tags(visit func(tag uint32, field *reader)) {
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		tag := r.uvarint()
		field := reader{src: r.take(int(r.uvarint()))}
		if r.err != nil {
			return
		}
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

// appendLength appends an int32 or compact length; -1 is null.
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
