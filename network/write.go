package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"syscall"
)

// inlineFileRun is the largest file run in bytes that is read into the byte run before it. For such
// a run one copy is cheaper than a separate system call.
const inlineFileRun = 8 << 10

// gatherSize is the size in bytes of the buffer that collects the small parts of a response.
const gatherSize = 32 << 10

// errShortFile means that a file run ended early. The size of the response has been sent by then,
// so the connection must be closed.
var errShortFile = errors.New("the file ended before the range to send")

// answerSize returns the total length of the runs.
func answerSize(runs []Run) int64 {
	var n int64
	for i := range runs {
		n += int64(len(runs[i].Bytes)) + runs[i].fileLength()
	}
	return n
}

func (r *Run) fileLength() int64 {
	if r.File == nil {
		return 0
	}
	return r.Length
}

// answerWriter writes one response to a connection. It collects small parts in a buffer and writes
// large parts directly. If the socket supports it, the collected bytes before a large part are
// written with MSG_MORE, so that no short packet waits for an acknowledgement.
type answerWriter struct {
	c      *conn
	gather []byte
	left   int64 // bytes of the runs not visited yet
	sent   int64
}

// writeAnswer writes the size field and the runs.
func (c *conn) writeAnswer(runs []Run) (int64, error) {
	size := answerSize(runs)
	if size > math.MaxInt32 {
		return 0, fmt.Errorf("a response of %d bytes is too large for a frame", size)
	}
	buf := c.server.buffers.Get(int(min(size+4, gatherSize)))
	w := answerWriter{c: c, gather: buf[:0], left: size}
	defer func() { c.server.buffers.Put(buf) }()
	w.gather = binary.BigEndian.AppendUint32(w.gather, uint32(size))
	for i := range runs {
		w.left -= int64(len(runs[i].Bytes))
		if err := w.bytes(runs[i].Bytes); err != nil {
			return w.sent, err
		}
		if runs[i].fileLength() > 0 {
			w.left -= runs[i].Length
			if err := w.file(&runs[i]); err != nil {
				return w.sent, err
			}
		}
	}
	err := w.flush(nil, false)
	return w.sent, err
}

// free returns how many more bytes the buffer can collect.
func (w *answerWriter) free() int { return cap(w.gather) - len(w.gather) }

func (w *answerWriter) bytes(p []byte) error {
	if len(p) <= w.free() {
		w.gather = append(w.gather, p...)
		return nil
	}
	if len(p) >= gatherSize/2 {
		return w.flush(p, w.left > 0)
	}
	if err := w.flush(nil, true); err != nil {
		return err
	}
	w.gather = append(w.gather, p...)
	return nil
}

func (w *answerWriter) file(run *Run) error {
	if run.Length <= inlineFileRun {
		if int(run.Length) > w.free() {
			if err := w.flush(nil, true); err != nil {
				return err
			}
		}
		return w.inline(run)
	}
	if f, ok := run.File.(syscall.Conn); ok && w.c.raw != nil {
		if err := w.flush(nil, true); err != nil {
			return err
		}
		sent, err := w.c.sendFile(f, run.Position, run.Length)
		w.sent += sent
		if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return w.copyFile(run)
}

// inline reads a short file run into the buffer.
func (w *answerWriter) inline(run *Run) error {
	n := len(w.gather)
	w.gather = w.gather[:n+int(run.Length)]
	w.c.server.stats.copiedFileBytes.Add(run.Length)
	return readFull(run, w.gather[n:], run.Position)
}

// copyFile reads a file run in pieces and writes them. It is for connections and files without a
// descriptor.
func (w *answerWriter) copyFile(run *Run) error {
	piece := w.c.server.buffers.Get(int(min(run.Length, 2*gatherSize)))
	defer w.c.server.buffers.Put(piece)
	for done := int64(0); done < run.Length; {
		p := piece[:min(int64(len(piece)), run.Length-done)]
		if err := readFull(run, p, run.Position+done); err != nil {
			return err
		}
		done += int64(len(p))
		w.c.server.stats.copiedFileBytes.Add(int64(len(p)))
		if err := w.flush(p, false); err != nil {
			return err
		}
	}
	return nil
}

func readFull(run *Run, p []byte, position int64) error {
	n, err := run.File.ReadAt(p, position)
	switch {
	case n == len(p):
		return nil
	case err == nil || err == io.EOF:
		return fmt.Errorf("%s at %d: %w", run.File.Name(), position+int64(n), errShortFile)
	}
	return err
}

// flush writes the collected bytes and then p. more means that further bytes of the response
// follow.
func (w *answerWriter) flush(p []byte, more bool) error {
	if len(w.gather)+len(p) == 0 {
		return nil
	}
	n, err := w.c.send(w.gather, p, more)
	w.sent += n
	w.gather = w.gather[:0]
	return err
}

// plainPiece is the most that sendPlain writes at once. It is small enough that a slow peer that
// reads is not mistaken for one that has stopped reading.
const plainPiece = 1 << 20

// sendPlain writes a and b with net.Conn.
func (c *conn) sendPlain(a, b []byte) (n int64, err error) {
	for _, p := range [2][]byte{a, b} {
		for len(p) > 0 {
			m, err := c.net.Write(p[:min(len(p), plainPiece)])
			n += int64(m)
			if err != nil {
				return n, err
			}
			c.touch()
			p = p[m:]
		}
	}
	return n, nil
}
