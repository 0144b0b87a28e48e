package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"syscall"
)

// inlineFileRun is up to what length a file run is read into the byte run
// before it: below, one copy is cheaper than a system call of its own.
const inlineFileRun = 8 << 10

// gatherSize is the buffer in which the small pieces of an answer are gathered.
const gatherSize = 32 << 10

// errShortFile says that a file run ended early. The answer's size was
// promised by then, so the connection can only be closed.
var errShortFile = errors.New("a file ended before the piece of it that was to be sent")

// answerSize returns the length of all runs.
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

// answerWriter writes one answer to a connection. Small pieces are gathered;
// large ones go out by themselves, the gathered bytes before them with
// MSG_MORE where the socket can, so that no short packet waits for an
// acknowledgement.
type answerWriter struct {
	c      *conn
	gather []byte
	left   int64 // bytes of the runs not yet looked at
	sent   int64
}

// writeAnswer writes the size field and the runs.
func (c *conn) writeAnswer(runs []Run) (int64, error) {
	size := answerSize(runs)
	if size > math.MaxInt32 {
		return 0, fmt.Errorf("an answer of %d bytes is too large for a frame", size)
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

// room says how much more can be gathered.
func (w *answerWriter) room() int { return cap(w.gather) - len(w.gather) }

func (w *answerWriter) bytes(p []byte) error {
	if len(p) <= w.room() {
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
		if int(run.Length) > w.room() {
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

// inline reads a short file run into the gathered bytes.
func (w *answerWriter) inline(run *Run) error {
	n := len(w.gather)
	w.gather = w.gather[:n+int(run.Length)]
	w.c.server.stats.copiedFileBytes.Add(run.Length)
	return readFull(run, w.gather[n:], run.Position)
}

// copyFile reads a file run piece by piece and writes it, for connections or
// files that have no descriptor.
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

// flush writes the gathered bytes and then p. more says that the answer goes on.
func (w *answerWriter) flush(p []byte, more bool) error {
	if len(w.gather)+len(p) == 0 {
		return nil
	}
	n, err := w.c.send(w.gather, p, more)
	w.sent += n
	w.gather = w.gather[:0]
	return err
}

// plainPiece is how much sendPlain writes at once, so that a slow peer that
// does read is not taken for one that does not.
const plainPiece = 1 << 20

// sendPlain writes through net.Conn.
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
