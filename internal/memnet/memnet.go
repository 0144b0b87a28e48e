// Package memnet is a network in memory, for tests with virtual time. A goroutine that waits for a
// real socket keeps a testing/synctest bubble from being idle; one that waits for a pipe does not.
package memnet

import (
	"context"
	"net"
	"sync"
)

// Listener accepts the connections that Dial makes. It implements net.Listener.
type Listener struct {
	address   string
	incoming  chan net.Conn
	closed    chan struct{}
	closeOnce sync.Once
}

// Listen returns a listener whose Addr is address.
func Listen(address string) *Listener {
	return &Listener{address: address, incoming: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept waits for a Dial. After Close it returns net.ErrClosed.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.incoming:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close makes Accept and Dial fail. Existing connections stay open.
func (l *Listener) Close() error {
	l.closeOnce.Do(func() { close(l.closed) })
	return nil
}

// Addr returns the address given to Listen.
func (l *Listener) Addr() net.Addr { return address(l.address) }

// Dial connects to the listener. The connection is not buffered: a write returns when the other
// side has read it.
func (l *Listener) Dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.incoming <- conn{server, address(l.address), address("client:1")}:
		return conn{client, address("client:1"), address(l.address)}, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Net: "memory", Addr: address(l.address), Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type conn struct {
	net.Conn
	local, remote net.Addr
}

func (c conn) LocalAddr() net.Addr  { return c.local }
func (c conn) RemoteAddr() net.Addr { return c.remote }

type address string

func (address) Network() string  { return "memory" }
func (a address) String() string { return string(a) }
