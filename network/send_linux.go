package network

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// send writes a and then b, with one system call if the socket takes both. more lets the kernel
// hold back a last short packet until more data follows.
func (c *conn) send(a, b []byte, more bool) (n int64, err error) {
	if c.raw == nil || len(b) == 0 && !more {
		return c.sendPlain(a, b)
	}
	flags := unix.MSG_NOSIGNAL
	if more {
		flags |= unix.MSG_MORE
	}
	var sendErr error
	err = c.raw.Write(func(fd uintptr) bool {
		for len(a)+len(b) > 0 {
			var pieces [2][]byte
			m, err := unix.SendmsgBuffers(int(fd), nonEmpty(&pieces, a, b), nil, nil, flags)
			switch {
			case err == unix.EINTR:
				continue
			case err == unix.EAGAIN:
				return false
			case err != nil:
				sendErr = err
				return true
			}
			c.touch()
			n += int64(m)
			fromA := min(m, len(a))
			a, b = a[fromA:], b[m-fromA:]
		}
		return true
	})
	if err == nil {
		err = sendErr
	}
	return n, err
}

func nonEmpty(pieces *[2][]byte, a, b []byte) [][]byte {
	out := pieces[:0]
	if len(a) > 0 {
		out = append(out, a)
	}
	if len(b) > 0 {
		out = append(out, b)
	}
	return out
}

// sendFile sends length bytes of f, starting at position, without copying them. It holds both
// descriptors while the kernel uses them. The offset is explicit, so any number of connections can
// send from one file. An error that wraps errors.ErrUnsupported means that nothing was sent and
// that the caller should copy instead.
func (c *conn) sendFile(f syscall.Conn, position, length int64) (sent int64, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	var sendErr, waitErr error
	err = raw.Control(func(file uintptr) {
		waitErr = c.raw.Write(func(socket uintptr) bool {
			for sent < length {
				offset := position + sent
				n, err := unix.Sendfile(int(socket), int(file), &offset, int(min(length-sent, 1<<30)))
				c.server.stats.sendfileCalls.Add(1)
				switch {
				case n > 0:
					sent += int64(n)
					c.touch()
				case err == unix.EINTR:
				case err == unix.EAGAIN:
					return false
				case err == nil:
					sendErr = errShortFile
					return true
				default:
					sendErr = sendFileError(err, sent)
					return true
				}
			}
			return true
		})
	})
	err = errors.Join(err, waitErr, sendErr)
	if !errors.Is(err, errors.ErrUnsupported) {
		c.server.stats.sendfileRuns.Add(1)
	}
	return sent, err
}

// sendFileError marks the errors of file systems that do not support sendfile. After part of the file
// was sent, the error is like any other: a copy would repeat that part.
func sendFileError(err error, sent int64) error {
	switch {
	case err != unix.EINVAL && !errors.Is(err, errors.ErrUnsupported):
		return err
	case sent > 0:
		return fmt.Errorf("sending a file failed after %d bytes: %v", sent, err)
	}
	return fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
}
