// Package peerlink connects this broker and its tools to other brokers: one connection, and
// requests built by kmsg. Versions are given by the caller (control requests have exactly the
// version that follows from inter.broker.protocol.version) or negotiated.
package peerlink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrClosed is the error of requests on a closed link.
var ErrClosed = errors.New("peerlink: closed")

// Dialer opens connections. Tests pass their own. A dialer that uses TLS or SASL completes its
// handshake before it returns.
type Dialer func(ctx context.Context, address string) (net.Conn, error)

// Config describes one link.
type Config struct {
	Address        string // host:port
	ClientID       string
	Dial           Dialer        // nil: TCP
	ConnectTimeout time.Duration // 0: RequestTimeout
	RequestTimeout time.Duration // from sending the request to the end of the response; 0: 30 s
	ResponseMax    int           // largest response in bytes; 0: 128 MiB
	// ReuseBuffer makes the bytes of a response valid only until the next request. It is for
	// callers that send many requests with large responses.
	ReuseBuffer bool
	// Observe is called after each request with its error, or nil. The error is
	// context.DeadlineExceeded if the caller's time ran out. A request that the caller or Close
	// canceled is left out. nil: not called.
	Observe func(address string, err error)
	Traffic *Traffic // counts what the link does; nil: it is not counted
}

const (
	requestTimeoutDefault = 30 * time.Second
	responseMaxDefault    = 128 << 20
)

// Link is a connection to one broker with at most one request in flight. It dials when necessary
// and drops the connection after an error. It is safe for concurrent use; concurrent requests
// queue.
type Link struct {
	cfg    Config
	turn   chan struct{} // holds a token while a request is in flight
	closed chan struct{} // closed by Close
	once   sync.Once

	// The fields below belong to the holder of the turn.
	conn        net.Conn
	correlation int32
	versions    *kmsg.ApiVersionsResponse // from the broker at the other end of conn; nil: not requested yet
	buffer      []byte                    // of the last response, if ReuseBuffer is set
	half        int                       // number of consecutive responses that filled less than half of buffer

	mu     sync.Mutex              // guards cancel
	cancel context.CancelCauseFunc // cancels the request in flight; nil: none
}

// New returns a link that has not dialled yet.
func New(cfg Config) *Link {
	if cfg.RequestTimeout <= 0 {
		cfg.RequestTimeout = requestTimeoutDefault
	}
	if cfg.ConnectTimeout <= 0 {
		cfg.ConnectTimeout = cfg.RequestTimeout
	}
	if cfg.ResponseMax <= 0 {
		cfg.ResponseMax = responseMaxDefault
	}
	if cfg.Dial == nil {
		cfg.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		}
	}
	return &Link{cfg: cfg, turn: make(chan struct{}, 1), closed: make(chan struct{})}
}

// Address returns the host:port that the link dials.
func (l *Link) Address() string { return l.cfg.Address }

// Do sends req at the version set in it and decodes the response. After an error the connection is
// closed, and it is unknown whether the request took effect. A Produce request with acks 0 has no
// response; Do returns an empty one.
func (l *Link) Do(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	return l.inTurn(ctx, func(ctx context.Context) (kmsg.Response, error) {
		return l.roundTrip(ctx, req)
	})
}

// Negotiated sends req at the highest version that both sides support, which it sets in req. On
// this side that is kmsg's highest version, or max if max is lower and not negative. The broker's
// versions come from ApiVersions, requested once per connection. If there is no common version, the
// error is an UnsupportedError and the connection stays open.
func (l *Link) Negotiated(ctx context.Context, req kmsg.Request, max int16) (kmsg.Response, error) {
	return l.Between(ctx, req, 0, max)
}

// Between is like Negotiated for a request that has its meaning only from version min on. It is not
// sent at a lower version.
func (l *Link) Between(ctx context.Context, req kmsg.Request, min, max int16) (kmsg.Response, error) {
	return l.inTurn(ctx, func(ctx context.Context) (kmsg.Response, error) {
		versions, err := l.negotiate(ctx)
		if err != nil {
			return nil, err
		}
		version, err := commonVersion(versions, req, min, max)
		if err != nil {
			return nil, err
		}
		req.SetVersion(version)
		return l.roundTrip(ctx, req)
	})
}

// APIVersions returns the versions that the broker advertises.
func (l *Link) APIVersions(ctx context.Context) (*kmsg.ApiVersionsResponse, error) {
	resp, err := l.inTurn(ctx, func(ctx context.Context) (kmsg.Response, error) {
		return l.negotiate(ctx)
	})
	if err != nil {
		return nil, err
	}
	return resp.(*kmsg.ApiVersionsResponse), nil
}

// Close drops the connection and makes waiting requests fail.
func (l *Link) Close() {
	l.once.Do(func() { close(l.closed) })
	l.mu.Lock()
	if l.cancel != nil {
		l.cancel(ErrClosed)
	}
	l.mu.Unlock()
	l.turn <- struct{}{} // waits for the request in flight, which ends at once
	l.drop()
	<-l.turn
}

// inTurn runs f when no other request is in flight. The context of f also ends when the link is
// closed.
func (l *Link) inTurn(ctx context.Context, f func(context.Context) (kmsg.Response, error)) (kmsg.Response, error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-l.closed:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l.mu.Lock()
	l.cancel = cancel
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.cancel = nil
		l.mu.Unlock()
	}()
	select {
	case <-l.closed: // Close looked for a request in flight before this one was registered
		return nil, ErrClosed
	default:
	}
	resp, err := f(ctx)
	if l.cfg.Observe != nil && !errors.Is(ctx.Err(), context.Canceled) {
		observed := err
		if err != nil && ctx.Err() != nil {
			observed = ctx.Err()
		}
		l.cfg.Observe(l.cfg.Address, observed)
	}
	if err == nil {
		return resp, nil
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return nil, fmt.Errorf("%s: %w", l.cfg.Address, err)
}

// roundTrip writes one request and reads its response, after dialling if there is no connection.
// After any error the connection is closed.
func (l *Link) roundTrip(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	if l.conn != nil && stale(l.conn) {
		l.drop()
	}
	if err := l.dial(ctx); err != nil {
		return nil, err
	}
	resp, err := l.exchange(ctx, req)
	if err != nil {
		l.drop()
		return nil, err
	}
	return resp, nil
}

func (l *Link) dial(ctx context.Context) error {
	if l.conn != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.cfg.ConnectTimeout)
	defer cancel()
	conn, err := l.cfg.Dial(ctx, l.cfg.Address)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	l.conn, l.versions = conn, nil
	l.cfg.Traffic.opened()
	return nil
}

func (l *Link) drop() {
	if l.conn != nil {
		_ = l.conn.Close()
		l.cfg.Traffic.dropped()
	}
	l.conn, l.versions = nil, nil
}

func (l *Link) exchange(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	conn := l.conn
	if err := conn.SetDeadline(time.Now().Add(l.cfg.RequestTimeout)); err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	l.correlation++
	frame, err := appendRequest(nil, req, l.correlation, l.cfg.ClientID)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(frame); err != nil {
		return nil, l.timeoutError("send", err)
	}
	l.cfg.Traffic.sent(len(frame))
	if p, ok := req.(*kmsg.ProduceRequest); ok && p.Acks == 0 {
		return emptyAnswer(req), nil
	}
	body, err := readFrame(conn, l.cfg.ResponseMax, l.buffer)
	if err != nil {
		return nil, l.timeoutError("receive", err)
	}
	l.cfg.Traffic.received(len(body))
	l.keep(body)
	return decodeResponse(body, req, l.correlation)
}

// bufferPatience is how many consecutive responses may fill less than half of the buffer before it
// is released.
const bufferPatience = 100

// keep keeps the memory of a response for the next one, if ReuseBuffer allows it and the memory is
// not much larger than needed.
func (l *Link) keep(body []byte) {
	if !l.cfg.ReuseBuffer {
		return
	}
	l.buffer = body
	if l.half++; 2*len(body) >= cap(body) {
		l.half = 0
	}
	if l.half > bufferPatience {
		l.buffer, l.half = nil, 0
	}
}

func (l *Link) timeoutError(what string, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%s: no answer within %v: %w", what, l.cfg.RequestTimeout, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
