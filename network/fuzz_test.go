package network

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"testing/iotest"

	"github.com/monedula/monedula/protocol"
)

// readOnly is a connection on which only Read may be called.
type readOnly struct {
	net.Conn
	r io.Reader
}

func (c readOnly) Read(p []byte) (int, error) { return c.r.Read(p) }

// FuzzFrameReader compares the frames read from a connection with those in the bytes, whatever the
// sizes of the reads.
func FuzzFrameReader(f *testing.F) {
	f.Add(frame(protocol.Metadata, 1, 1, []byte("abc")), false)
	f.Add(append(frame(protocol.Metadata, 1, 1, make([]byte, lookahead)), frame(protocol.Fetch, 1, 2, nil)...), true)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 9, 255, 255, 255, 255}, true)
	f.Add([]byte{0, 0, 0x10, 1, 2}, false)
	f.Add([]byte{0, 0, 0}, false) // the connection ends within a size
	f.Fuzz(func(t *testing.T, stream []byte, bitwise bool) {
		var source io.Reader = bytes.NewReader(stream)
		if bitwise {
			source = iotest.OneByteReader(source)
		}
		r := frameReader{conn: readOnly{r: source}, limit: 4096, buffers: NewBuffers(1 << 20), reserved: new(reservations), progress: func() {}}
		for rest := stream; ; {
			got, err := r.next()
			if len(rest) < 4 {
				if err == nil || (err == io.EOF) != (len(rest) == 0) {
					t.Fatalf("%d bytes are left, error %v", len(rest), err)
				}
				return
			}
			size := int(int32(binary.BigEndian.Uint32(rest)))
			if size < 0 || size > 4096 || size > len(rest)-4 {
				if err == nil || err == io.EOF {
					t.Fatalf("a frame of %d bytes, error %v", size, err)
				}
				return
			}
			if err != nil || !bytes.Equal(got, rest[4:4+size]) {
				t.Fatalf("got %x, error %v, want %x", got, err, rest[4:4+size])
			}
			rest = rest[4+size:]
			r.release()
		}
	})
}
