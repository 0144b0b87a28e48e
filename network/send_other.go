//go:build !linux

package network

import (
	"errors"
	"syscall"
)

func (c *conn) send(a, b []byte, _ bool) (int64, error) { return c.sendPlain(a, b) }

func (c *conn) sendFile(syscall.Conn, int64, int64) (int64, error) { return 0, errors.ErrUnsupported }
