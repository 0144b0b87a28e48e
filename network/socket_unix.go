//go:build unix

package network

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// setReceiveBuffer sizes a socket's receive buffer, where size is positive.
func setReceiveBuffer(raw syscall.RawConn, size int) error {
	if size <= 0 {
		return nil
	}
	var setErr error
	err := raw.Control(func(fd uintptr) {
		setErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, size)
	})
	if err != nil {
		return err
	}
	return setErr
}
