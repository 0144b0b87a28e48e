package protocol

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Scale computes what requests of one API key will take in memory before they are decoded: a few
// bytes of a body may become a struct of a hundred bytes. It is safe for concurrent use.
type Scale struct {
	key APIKey

	mu     sync.Mutex
	shapes map[int16]shapeResult // by version; derived when a version is first weighed
}

type shapeResult struct {
	shape    *shape
	flexible bool
	err      error
}

// NewScale returns a Scale for requests of the key.
func NewScale(key APIKey) *Scale { return &Scale{key: key, shapes: map[int16]shapeResult{}} }

func (s *Scale) shape(version int16) shapeResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, known := s.shapes[version]
	if known {
		return r
	}
	req := kmsg.RequestForKey(int16(s.key))
	if req == nil || version < 0 || version > req.MaxVersion() {
		return shapeResult{err: fmt.Errorf("%s v%d: %w", s.key, version, ErrUnsupportedVersion)}
	}
	req.SetVersion(version)
	r.flexible = req.IsFlexible()
	r.shape, r.err = shapeOf(req)
	s.shapes[version] = r
	return r
}

// Weight is the size of a request when it is decoded.
type Weight struct {
	Bytes   int // the memory that DecodeRequest allocates
	Entries int // the elements of all lists
}

// Weigh returns the weight of a body and the body without unknown tagged fields, for which kmsg
// would allocate maps. lean is a prefix of body, which Weigh changes in place. If Weigh fails,
// DecodeRequest would fail too. Its time is proportional to the size of the body.
func (s *Scale) Weigh(version int16, body []byte) (weight Weight, lean []byte, err error) {
	r := s.shape(version)
	if r.err != nil {
		return Weight{}, nil, r.err
	}
	w := weigher{src: body, end: len(body), flexible: r.flexible, weight: Weight{Bytes: r.shape.size}}
	w.structure(r.shape)
	if w.err != nil {
		return Weight{}, nil, fmt.Errorf("%s v%d of %d bytes: %w", s.key, version, len(body), w.err)
	}
	return w.weight, w.rest(), nil
}

// weigher reads a body once. After a part has been cut, the parts that are kept move toward the
// front of src.
type weigher struct {
	src      []byte
	pos, end int // the position in src and its end
	flexible bool
	weight   Weight
	err      error

	inValue    bool // it reads the value of a tagged field, from which nothing is cut
	kept, from int  // src[:kept] is final, src[from:pos] is kept but not moved yet
}

// cut replaces src[from:to] with instead, which must not be longer.
func (w *weigher) cut(from, to int, instead ...byte) {
	w.kept += copy(w.src[w.kept:], w.src[w.from:from])
	w.kept += copy(w.src[w.kept:], instead)
	w.from = to
}

// rest returns the body without the parts that were cut.
func (w *weigher) rest() []byte {
	if w.from == w.kept {
		return w.src
	}
	n := w.kept + copy(w.src[w.kept:], w.src[w.from:])
	return w.src[:n]
}

func (w *weigher) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// skip skips n bytes.
func (w *weigher) skip(n int) {
	if w.err != nil || n < 0 || n > w.end-w.pos {
		w.fail(errShort)
		return
	}
	w.pos += n
}

func (w *weigher) uvarint() uint32 {
	if w.pos < w.end && w.src[w.pos] < 0x80 {
		w.pos++
		return uint32(w.src[w.pos-1])
	}
	v, n := binary.Uvarint(w.src[w.pos:w.end])
	if n <= 0 || v > 1<<32-1 {
		w.fail(errShort)
		return 0
	}
	w.pos += n
	return uint32(v)
}

// length reads a length of two or four bytes, or a compact one. A negative length means null.
func (w *weigher) length(wide int) int {
	if w.flexible {
		return int(w.uvarint()) - 1
	}
	at := w.pos
	if w.skip(wide); w.err != nil {
		return -1
	}
	if wide == 2 {
		return int(int16(binary.BigEndian.Uint16(w.src[at:])))
	}
	return int(int32(binary.BigEndian.Uint32(w.src[at:])))
}

func (w *weigher) field(s *shape) {
	switch s.kind {
	case fixedShape:
		w.skip(s.width)
	case textShape:
		w.text(s.pointer)
	case bytesShape: // the decoded field aliases the body
		w.skip(max(w.length(4), 0))
	case listShape:
		w.list(s)
	case structShape:
		w.structure(s)
	}
}

func (w *weigher) text(pointer bool) {
	n := w.length(2)
	w.skip(max(n, 0))
	w.weight.Bytes += allocated(max(n, 0))
	if pointer && n >= 0 {
		w.weight.Bytes += allocated(16)
	}
}

func (w *weigher) list(s *shape) {
	n := int(int32(w.length(4))) // like kmsg, which takes 2^31 and more as negative
	switch {
	case n <= 0 || w.err != nil:
		return
	case n > w.end-w.pos:
		w.fail(errShort)
		return
	}
	w.weight.Bytes += allocated(n * s.size)
	w.weight.Entries += n
	if s.elem.kind == fixedShape {
		w.skip(n * s.elem.width)
		return
	}
	for ; n > 0 && w.err == nil; n-- {
		w.field(s.elem)
	}
}

func (w *weigher) structure(s *shape) {
	for _, f := range s.fields {
		w.field(f)
	}
	if s.tags && w.err == nil {
		w.tags(s)
	}
}

// tags reads a section of tagged fields and cuts those that the struct does not have.
func (w *weigher) tags(s *shape) {
	start := w.pos
	count := w.uvarint()
	if count == 0 || w.err != nil {
		return
	}
	known := w.known(s, count)
	switch {
	case w.err != nil:
		return
	case known < count && w.inValue: // a cut would make the size of the outer field wrong
		w.weight.Bytes += tagMapBytes + int(count-known)*tagBytes
	case known < count:
		w.cut(start, w.pos, binary.AppendUvarint(nil, uint64(known))...)
	}
	for ; count > 0 && w.err == nil; count-- {
		at := w.pos
		f := s.tagged[w.uvarint()]
		size := int(w.uvarint())
		from := w.pos
		w.skip(size)
		switch {
		case w.err != nil:
		case f != nil:
			w.value(f, from)
		case !w.inValue:
			w.cut(at, w.pos)
		}
	}
}

// The memory, in bytes, of kmsg's map of unknown tags and of each tag in it.
const (
	tagMapBytes = 48 + 320
	tagBytes    = 96
)

// known returns how many of the next count tags the struct has. It does not change the position.
func (w *weigher) known(s *shape, count uint32) (known uint32) {
	start := w.pos
	for ; count > 0 && w.err == nil; count-- {
		if s.tagged[w.uvarint()] != nil {
			known++
		}
		w.skip(int(w.uvarint()))
	}
	w.pos = start
	return known
}

// value weighs the value of a tagged field, which lies between from and the weigher's position.
func (w *weigher) value(f *shape, from int) {
	inner := weigher{src: w.src, pos: from, end: w.pos, flexible: w.flexible, inValue: true}
	inner.field(f)
	w.weight.Bytes += inner.weight.Bytes
	w.weight.Entries += inner.weight.Entries
	if inner.err != nil {
		w.fail(inner.err)
	}
}

// allocated estimates the memory that an allocation of n bytes takes.
func allocated(n int) int {
	switch {
	case n == 0:
		return 0
	case n <= 1024:
		return (n + 15) &^ 15
	}
	return n + n/8
}
