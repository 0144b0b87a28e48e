package zkserver

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// firstFrameTime is how long a client may take until it sent its first frame.
	firstFrameTime = 10 * time.Second
	// unsentPause is how many bytes may wait to be sent before no more requests are read.
	unsentPause = 1 << 20
	// unsentMost is how many bytes may wait to be sent. Events can exceed unsentPause, because a
	// client does not ask for each of them.
	unsentMost = 64 << 20
)

// outbox is the link of a client: what waits to be sent on a socket.
type outbox struct {
	conn net.Conn

	mu       sync.Mutex
	changed  *sync.Cond // for all fields below, which mu guards
	buf      []byte
	finished bool // nothing is added
	broken   bool // nothing is sent
}

func newOutbox(conn net.Conn) *outbox {
	o := &outbox{conn: conn}
	o.changed = sync.NewCond(&o.mu)
	return o
}

func (o *outbox) send(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.finished || o.broken {
		return
	}
	o.buf = append(o.buf, b...)
	if len(o.buf) > unsentMost {
		o.breakLocked()
	}
	o.changed.Broadcast()
}

func (o *outbox) finish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.finished = true
	o.changed.Broadcast()
}

// abort closes the connection at once.
func (o *outbox) abort() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.breakLocked()
}

func (o *outbox) breakLocked() {
	o.broken, o.buf = true, nil
	_ = o.conn.Close()
	o.changed.Broadcast()
}

// awaitSpace waits until few bytes wait to be sent. It reports false if the connection is closed.
func (o *outbox) awaitSpace() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.buf) > unsentPause && !o.finished && !o.broken {
		o.changed.Wait()
	}
	return !o.finished && !o.broken
}

// run sends until the connection is closed.
func (o *outbox) run() {
	defer o.abort()
	for {
		b := o.take()
		if b == nil {
			return
		}
		if _, err := o.conn.Write(b); err != nil {
			return
		}
	}
}

// take waits for bytes to be sent, and returns nil if there will be none.
func (o *outbox) take() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.buf) == 0 {
		if o.finished || o.broken {
			return nil
		}
		o.changed.Wait()
	}
	b := o.buf
	o.buf = nil
	o.changed.Broadcast()
	return b
}

// read passes the frames of a connection to the owner until it ends.
func (s *Server) read(conn net.Conn, c *client, out *outbox) error {
	_ = conn.SetReadDeadline(time.Now().Add(firstFrameTime))
	for first := true; ; first = false {
		var size [4]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return err
		}
		if first && words[string(size[:])] != nil {
			s.post(event{kind: wordSent, client: c, content: size[:]})
			return nil
		}
		n := int32(binary.BigEndian.Uint32(size[:]))
		if n < 0 || int(n) > s.config.MaxBuffer {
			s.post(event{kind: oversized})
			return fmt.Errorf("a frame of %d bytes; jute.maxbuffer is %d", n, s.config.MaxBuffer)
		}
		content, err := readFrame(conn, int64(n))
		if err != nil {
			return err
		}
		kind := requestSent
		if first {
			kind = connectSent
			_ = conn.SetReadDeadline(time.Time{})
		}
		if !out.awaitSpace() || !s.post(event{kind: kind, client: c, content: content}) {
			return errors.New("the connection is being closed")
		}
	}
}

// readFrame reads n bytes. It allocates no more than twice the bytes that arrived.
func readFrame(r io.Reader, n int64) ([]byte, error) {
	const small = 64 << 10
	if n <= small {
		b := make([]byte, n)
		_, err := io.ReadFull(r, b)
		return b, err
	}
	var b bytes.Buffer
	if _, err := io.CopyN(&b, r, n); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
