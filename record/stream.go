package record

import (
	"io"

	"github.com/monedula/monedula/protocol"
)

const (
	// windowSize is how much of a decompressed payload is held at a time.
	windowSize = 16 << 10
	// recordSizeMax bounds what one record of a compressed batch may make this
	// process hold where its key and value are wanted: the largest request of
	// a default broker (socket.request.max.bytes). Kafka allocates whatever
	// the record claims.
	recordSizeMax = 100 << 20
	// recordSizeUnshared is how much of a record every stream may hold; see
	// largeMemory.
	recordSizeUnshared = 4 << 20
)

// largeMemory is the right of one stream to hold much: a record above
// recordSizeUnshared, or a large window of a codec. Few streams have it at a
// time, the others wait, so that small payloads that unpack into much cannot
// exhaust the memory together.
type largeMemory struct{ held bool }

// largeStreams limits the streams that have largeMemory.
var largeStreams = make(chan struct{}, 2)

func (m *largeMemory) acquire() {
	if !m.held {
		largeStreams <- struct{}{}
		m.held = true
	}
}

func (m *largeMemory) release() {
	if m.held {
		m.held = false
		<-largeStreams
	}
}

// stream is the payload of a batch as bytes in order: either all of it in
// memory, or a window that slides over what a decompressor gives. The unread
// bytes at hand are data[pos:end].
type stream struct {
	data     []byte
	pos, end int
	source   decompressor // nil: data is all there is
	sourceEr error        // what ended the source, io.EOF included; nil while it goes on
	window   []byte       // the buffer behind data while there is a source
	memory   largeMemory
}

// overBytes makes b the stream.
func (s *stream) overBytes(b []byte) {
	s.data, s.pos, s.end, s.source, s.sourceEr = b, 0, len(b), nil, io.EOF
}

// overCompressed makes a compressed payload the stream.
func (s *stream) overCompressed(codec Codec, payload []byte, magic int8) error {
	source, err := openDecompressor(codec, payload, magic)
	if err != nil {
		return err
	}
	if s.window == nil {
		s.window = make([]byte, windowSize)
	}
	if zstd, ok := source.(*zstdDecompressor); ok {
		zstd.memory = &s.memory
	}
	s.data, s.pos, s.end, s.source, s.sourceEr = s.window, 0, 0, source, nil
	return nil
}

// close gives the decompressor back. The window stays, unless a large record
// made it grow.
func (s *stream) close() {
	if s.source != nil {
		s.source.release()
	}
	if len(s.window) > pooledBufferMax {
		s.window = nil
	}
	s.data, s.pos, s.end, s.source = nil, 0, 0, nil
	s.memory.release()
}

func (s *stream) unread() int { return s.end - s.pos }

// fill tries to have n unread bytes at hand (n at most the window) and returns
// how many there are: fewer only at the end of the payload. The error is that
// of undecompressable.
func (s *stream) fill(n int) (int, error) {
	if s.unread() >= n || s.sourceEr == io.EOF {
		return s.unread(), nil
	}
	if s.pos > 0 {
		s.end = copy(s.data, s.data[s.pos:s.end])
		s.pos = 0
	}
	for s.end < n && s.sourceEr == nil {
		var m int
		m, s.sourceEr = s.source.Read(s.data[s.end:])
		s.end += m
	}
	// What came before the damage is still read: a record that breaks a rule
	// is found first, as in Kafka.
	if s.end < n && s.sourceEr != io.EOF {
		return 0, undecompressable(s.sourceEr)
	}
	return s.unread(), nil
}

// grow is fill for more than the window: the window grows as bytes arrive.
func (s *stream) grow(n int) (int, error) {
	if n > recordSizeMax && s.source != nil {
		return 0, protocol.Errorf(protocol.MessageTooLarge,
			"A record of %d bytes inside a compressed batch is larger than this broker unpacks (%d)", n, recordSizeMax)
	}
	for {
		got, err := s.fill(min(n, len(s.data)))
		if err != nil || got >= n || s.sourceEr == io.EOF {
			return got, err
		}
		if n > recordSizeUnshared {
			s.memory.acquire()
		}
		larger := make([]byte, min(2*len(s.data), max(n, windowSize)))
		s.end = copy(larger, s.data[s.pos:s.end])
		s.pos, s.data, s.window = 0, larger, larger
	}
}

// discard passes n bytes without holding them, and says whether there were as
// many. each, where not nil, sees the bytes.
func (s *stream) discard(n int, each func([]byte)) (bool, error) {
	for n > 0 {
		got, err := s.fill(1)
		if err != nil || got == 0 {
			return false, err
		}
		got = min(got, n)
		if each != nil {
			each(s.data[s.pos : s.pos+got])
		}
		s.pos += got
		n -= got
	}
	return true, nil
}

// uvarint reads an unsigned varint; ok is false where the bytes end or the
// number does not.
func (s *stream) uvarint() (v uint32, ok bool, err error) {
	if _, err = s.fill(5); err != nil {
		return 0, false, err
	}
	v, next := uvarintAt(s.data[:s.end], s.pos)
	if next == badPosition {
		return 0, false, nil
	}
	s.pos = next
	return v, true, nil
}

func (s *stream) varint() (v int32, ok bool, err error) {
	u, ok, err := s.uvarint()
	return int32(u>>1) ^ -int32(u&1), ok, err
}

// atEnd says whether every byte was read.
func (s *stream) atEnd() (bool, error) {
	got, err := s.fill(1)
	return got == 0, err
}
