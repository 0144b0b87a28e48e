package zkclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/go-zookeeper/zk"
)

// A request may have taken effect although its connection was lost. It is sent again, and the
// answer to the second attempt is interpreted accordingly: a create that finds its own node, a set
// that finds its own data, and a delete that finds no node have succeeded.

const (
	// serverPacketMax is the default of jute.maxbuffer on servers, in bytes. A server closes the
	// connection when it receives a larger packet.
	serverPacketMax = 1 << 20
	// oversizeTries limits the attempts to send a packet that probably causes the connection
	// losses.
	oversizeTries = 3
)

// NodeBytesMax is the maximum size of a new node's data in bytes. A server with the default
// jute.maxbuffer accepts this data together with the node's path and ACL.
const NodeBytesMax = serverPacketMax - 1<<10

// do runs one request of the client library until it is answered, in the session that ctx is bound
// to. uncertain reports whether an earlier attempt may have taken effect. size is the approximate
// size of the request in bytes.
func (c *Client) do(ctx context.Context, what, path string, size int, request func(conn Conn) error) (uncertain bool, err error) {
	sess, err := c.session(ctx)
	if err != nil {
		return false, fmt.Errorf("%s %s: %w", what, path, err)
	}
	if size > packetMax || len(path) > NodeBytesMax {
		return false, fmt.Errorf("zkstore: %s %s: a request of %d bytes exceeds the maximum of %d bytes", what, path, size, packetMax)
	}
	for losses := 0; ; {
		err := c.try(ctx, sess, request)
		if err == nil {
			return uncertain, nil
		}
		if !connectionLost(err) || sess.isOver() || ctx.Err() != nil {
			return uncertain, fmt.Errorf("%s %s: %w", what, path, c.translate(sess, err))
		}
		uncertain = true
		if losses++; losses >= oversizeTries && size > NodeBytesMax {
			return uncertain, fmt.Errorf("zkstore: %s %s: the server closed the connection %d times on a request of %d bytes; raise jute.maxbuffer on the ZooKeeper servers", what, path, losses, size)
		}
		if err := sess.awaitConnected(ctx); err != nil {
			return uncertain, fmt.Errorf("%s %s: %w", what, path, c.translate(sess, err))
		}
	}
}

// try sends the request once. If ctx is done first, it returns the context's error, and the request
// continues in its goroutine until it is answered or the connection is lost. The caller may
// therefore read variables written by request only if the error is nil.
func (c *Client) try(ctx context.Context, sess *session, request func(conn Conn) error) error {
	if c.steppable {
		if err := ctx.Err(); err != nil {
			return err
		}
		return request(sess.conn)
	}
	select {
	case c.inFlight <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-sess.dead:
		return zk.ErrConnectionClosed
	}
	result := make(chan error, 1)
	go func() {
		start := time.Now()
		err := request(sess.conn)
		<-c.inFlight
		if !connectionLost(err) {
			c.cfg.Observer.ZooKeeperRequest(time.Since(start))
		}
		result <- err
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// connectionLost reports whether err is a loss of the connection, after which the request may have
// taken effect. Errors that the server answered are not.
func connectionLost(err error) bool {
	var network net.Error // also net.ErrClosed and the errors of the system
	return errors.Is(err, zk.ErrConnectionClosed) || errors.Is(err, zk.ErrNoServer) ||
		errors.Is(err, zk.ErrClosing) || errors.Is(err, zk.ErrSessionMoved) ||
		errors.Is(err, io.EOF) || errors.As(err, &network)
}

// translate converts the client library's errors to those of this package.
func (c *Client) translate(sess *session, err error) error {
	switch {
	case errors.Is(err, zk.ErrNoNode):
		return ErrNoNode
	case errors.Is(err, zk.ErrNodeExists):
		return ErrNodeExists
	case errors.Is(err, zk.ErrBadVersion):
		return ErrBadVersion
	case givenUp(err):
		return err
	case c.closing():
		return ErrClosed
	case sess.isOver(), errors.Is(err, zk.ErrSessionExpired):
		return ErrSessionExpired
	}
	return err
}

// givenUp reports whether a request ended because of its context and not with an answer.
func givenUp(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func (c *Client) full(path string) string {
	if path == "/" && c.chroot != "" {
		return c.chroot
	}
	return c.chroot + path
}
