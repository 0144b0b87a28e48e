// Package jute is the encoding of ZooKeeper: the records of its client protocol, of its transaction
// log and of its snapshots, under the names of Apache ZooKeeper's zookeeper.jute.
//
//	codec.go         the encoding; each record describes its fields once, for both directions
//	requests.go      numbers and records of requests
//	responses.go     records of responses
//	transactions.go  records of files
//	multi.go         the bodies of multi and multiRead, and their responses
//
// All numbers are big-endian. Decoding allocates in proportion to the bytes that are present,
// whatever lengths and counts they announce.
package jute

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Record is a sequence of fields. Fields passes a pointer to each of them, in the order of the
// encoding, to the codec, which reads or writes it.
type Record interface{ Fields(c *Codec) }

// ErrMalformed is wrapped by the errors of Decode.
var ErrMalformed = errors.New("malformed record")

// Codec reads or writes fields. After a read failed, further reads do nothing.
type Codec struct {
	writing bool
	buf     []byte // the bytes written so far, or those that are left to read
	err     error
}

// Append appends the encoding of records to buf.
func Append(buf []byte, records ...Record) []byte {
	c := Codec{writing: true, buf: buf}
	for _, r := range records {
		r.Fields(&c)
	}
	return c.buf
}

// Frame returns the encoding of records after its length, which is what is sent over a connection.
func Frame(records ...Record) []byte {
	frame := Append(make([]byte, 4, 64), records...)
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	return frame
}

// Decode reads a record from the start of buf and returns the bytes after it. The record shares no
// memory with buf. The error wraps ErrMalformed.
func Decode(buf []byte, r Record) (rest []byte, err error) {
	c := Codec{buf: buf}
	r.Fields(&c)
	return c.buf, c.err
}

// fail makes the current and all further reads fail.
func (c *Codec) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
	}
}

// take returns the next n bytes, or nil if the record ends before.
func (c *Codec) take(n int) []byte {
	if c.err == nil && n > len(c.buf) {
		c.fail("%d bytes are left of %d", len(c.buf), n)
	}
	if c.err != nil {
		return nil
	}
	field := c.buf[:n]
	c.buf = c.buf[n:]
	return field
}

// ended reports whether a record that is read has ended, as old ones do before fields that were added
// later.
func (c *Codec) ended() bool { return !c.writing && c.err == nil && len(c.buf) == 0 }

// Int reads or writes a field of four bytes.
func (c *Codec) Int(v *int32) {
	if c.writing {
		c.buf = binary.BigEndian.AppendUint32(c.buf, uint32(*v))
	} else if b := c.take(4); b != nil {
		*v = int32(binary.BigEndian.Uint32(b))
	}
}

// Long reads or writes a field of eight bytes.
func (c *Codec) Long(v *int64) {
	if c.writing {
		c.buf = binary.BigEndian.AppendUint64(c.buf, uint64(*v))
	} else if b := c.take(8); b != nil {
		*v = int64(binary.BigEndian.Uint64(b))
	}
}

// Bool reads or writes a field of one byte.
func (c *Codec) Bool(v *bool) {
	if !c.writing {
		if b := c.take(1); b != nil {
			*v = b[0] != 0
		}
		return
	}
	b := byte(0)
	if *v {
		b = 1
	}
	c.buf = append(c.buf, b)
}

// length reads or writes the length of a buffer or the count of a vector whose elements have at
// least min bytes. -1 stands for null.
func (c *Codec) length(n, min int) int {
	size := int32(n)
	c.Int(&size)
	switch {
	case c.writing || c.err != nil:
	case size < -1:
		c.fail("the length is %d", size)
	case int64(size)*int64(min) > int64(len(c.buf)):
		c.fail("%d bytes are left for a length of %d", len(c.buf), size)
	}
	return int(size)
}

// Buffer reads or writes a field of bytes. Nil is null, which differs from an empty buffer.
func (c *Codec) Buffer(v *[]byte) {
	n := len(*v)
	if *v == nil {
		n = -1
	}
	n = c.length(n, 1)
	switch {
	case c.writing:
		c.buf = append(c.buf, *v...)
	case n < 0 || c.err != nil:
		*v = nil
	default:
		*v = append([]byte{}, c.take(n)...)
	}
}

// String reads or writes a field of text. It reads null as empty text, and what is not UTF-8 as
// U+FFFD.
func (c *Codec) String(v *string) {
	n := c.length(len(*v), 1)
	switch {
	case c.writing:
		c.buf = append(c.buf, *v...)
	case n < 0 || c.err != nil:
		*v = ""
	default:
		*v = strings.ToValidUTF8(string(c.take(n)), "\uFFFD")
	}
}

// Strings reads or writes a vector of text.
func (c *Codec) Strings(v *[]string) { Vector(c, v, 4, c.String) }

// Vector reads or writes the elements of a list, each of which takes at least min bytes. A null
// list is read as nil, an empty one as not nil; both are written as empty.
func Vector[T any](c *Codec, v *[]T, min int, element func(*T)) {
	n := c.length(len(*v), min)
	if !c.writing {
		*v = nil
		if n < 0 || c.err != nil {
			return
		}
		*v = make([]T, n)
	}
	for i := range *v {
		if element(&(*v)[i]); c.err != nil {
			*v = nil
			return
		}
	}
}
