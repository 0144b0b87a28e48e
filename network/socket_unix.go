//go:build unix

package network

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// setReceiveBuffer sets the size of a socket's receive buffer if size is positive.
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

// setBacklog sets the length of a listening socket's queue if size is positive. Calling listen
// again changes nothing else of the socket.
func setBacklog(socket syscall.Conn, size int) error {
	if size <= 0 {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var listenErr error
	if err := raw.Control(func(fd uintptr) { listenErr = unix.Listen(int(fd), size) }); err != nil {
		return err
	}
	return listenErr
}
