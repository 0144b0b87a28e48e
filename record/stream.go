package record

import (
	"io"

	"github.com/monedula/monedula/protocol"
)

const (
	// windowSize is how many bytes of a decompressed payload are held at a time.
	windowSize = 16 << 10
	// recordSizeMax limits the size of a single record of a compressed batch if its key and value
	// are needed. It is the largest request of a default broker (socket.request.max.bytes). Kafka
	// allocates whatever size the record claims.
	recordSizeMax = 100 << 20
	// recordSizeUnshared is how many bytes of a record each stream may hold without largeMemory.
	recordSizeUnshared = 4 << 20
)

// largeMemory is the permission of one stream to hold a record above recordSizeUnshared or a large
// window of a codec. Only a few streams have it at a time and the others wait, so that many small
// payloads that decompress to large ones cannot together exhaust memory.
type largeMemory struct{ held bool }

// largeStreams limits how many streams have largeMemory.
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

// stream reads the payload of a batch in order. The payload is either completely in memory, or data
// is a window that slides over the output of a decompressor. The available unread bytes are
// data[pos:end].
type stream struct {
	data      []byte
	pos, end  int
	source    decompressor // nil if data is the whole payload
	sourceErr error        // the error that ended the source, io.EOF included; nil until then
	window    []byte       // the buffer that data uses while source is set
	memory    largeMemory
}

// overBytes makes the stream read b.
func (s *stream) overBytes(b []byte) {
	s.data, s.pos, s.end, s.source, s.sourceErr = b, 0, len(b), nil, io.EOF
}

// overCompressed makes the stream read a compressed payload.
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
	s.data, s.pos, s.end, s.source, s.sourceErr = s.window, 0, 0, source, nil
	return nil
}

// close releases the decompressor. It keeps the window unless a large record made it grow.
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

// fill tries to make n unread bytes available, where n is at most the size of the window. It
// returns how many are available, which is less than n only at the end of the payload. Errors are
// those of undecompressable.
func (s *stream) fill(n int) (int, error) {
	if s.unread() >= n || s.sourceErr == io.EOF {
		return s.unread(), nil
	}
	s.end = copy(s.data, s.data[s.pos:s.end])
	s.pos = 0
	for s.end < n && s.sourceErr == nil {
		var m int
		m, s.sourceErr = s.source.Read(s.data[s.end:])
		s.end += m
	}
	// Bytes before the damage are still read, because Kafka too first reports a record that breaks
	// a rule.
	if s.end < n && s.sourceErr != io.EOF {
		return 0, undecompressable(s.sourceErr)
	}
	return s.unread(), nil
}

// grow is like fill for sizes above that of the window, which grows as bytes arrive.
func (s *stream) grow(n int) (int, error) {
	if n > recordSizeMax && s.source != nil {
		return 0, protocol.Errorf(protocol.MessageTooLarge,
			"A record inside a compressed batch has %d bytes, more than this broker decompresses (%d)", n, recordSizeMax)
	}
	for {
		got, err := s.fill(min(n, len(s.data)))
		if err != nil || got >= n || s.sourceErr == io.EOF {
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

// discard skips n bytes without holding them and reports whether the payload had that many. If each
// is not nil, it is called with the bytes.
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

// uvarint reads an unsigned varint. ok is false if the bytes end before the number does or the
// number is too long.
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

// atEnd reports whether every byte has been read.
func (s *stream) atEnd() (bool, error) {
	got, err := s.fill(1)
	return got == 0, err
}
