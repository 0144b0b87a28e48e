// Package peerlink is how this broker and its tools talk to a broker: one
// connection, requests built by kmsg, versions given by the caller (control
// requests go at exactly the version of the inter.broker.protocol.version) or
// negotiated, and back-off.
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

// ErrClosed is returned by requests of a link that was closed.
var ErrClosed = errors.New("peerlink: closed")

// Dialer opens connections; tests hand in their own, and one that speaks TLS
// or SASL does so before it returns.
type Dialer func(ctx context.Context, address string) (net.Conn, error)

// Config describes one link.
type Config struct {
	Address        string // host:port
	ClientID       string
	Dial           Dialer        // nil: TCP
	ConnectTimeout time.Duration // 0: RequestTimeout
	RequestTimeout time.Duration // from sending to the whole answer; 0: 30 s
	ResponseMax    int           // bytes; 0: 128 MiB
	// ReuseBuffer: the bytes that an answer holds are good until the next request
	// only. For who asks again and again for much.
	ReuseBuffer bool
}

const (
	requestTimeoutDefault = 30 * time.Second
	responseMaxDefault    = 128 << 20
)

// Link is a connection to one broker with one request in flight; it dials when
// needed and drops the connection after an error. Safe for concurrent use:
// callers queue.
type Link struct {
	cfg    Config
	turn   chan struct{} // holds a token while a request is in flight
	closed chan struct{} // closed by Close
	once   sync.Once

	// Owned by the holder of the turn.
	conn        net.Conn
	correlation int32
	versions    *kmsg.ApiVersionsResponse // of conn, nil: not asked yet
	buffer      []byte                    // of the last answer, where it is used again
	half        int                       // answers in a row that filled less than half of it

	mu     sync.Mutex              // guards cancel
	cancel context.CancelCauseFunc // of the request in flight; nil: none
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

// Address returns the host:port the link dials.
func (l *Link) Address() string { return l.cfg.Address }

// Do sends req at the version set in it and decodes the answer. An error means
// the connection was closed; whether the request took effect is unknown. A
// Produce with acks 0 has no answer: an empty one is returned.
func (l *Link) Do(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	return l.inTurn(ctx, func(ctx context.Context) (kmsg.Response, error) {
		return l.roundTrip(ctx, req)
	})
}

// Negotiated sends req at the highest version that both sides know (kmsg's
// max capped by max when >= 0; the broker's from ApiVersions, asked once a
// connection). It sets that version in req. Where there is no common version
// the error is an UnsupportedError and the connection stays.
func (l *Link) Negotiated(ctx context.Context, req kmsg.Request, max int16) (kmsg.Response, error) {
	return l.Between(ctx, req, 0, max)
}

// Between is Negotiated for a request that has a meaning from version min on
// only: it is not sent at an older one.
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

// APIVersions returns what the broker advertises.
func (l *Link) APIVersions(ctx context.Context) (*kmsg.ApiVersionsResponse, error) {
	resp, err := l.inTurn(ctx, func(ctx context.Context) (kmsg.Response, error) {
		return l.negotiate(ctx)
	})
	if err != nil {
		return nil, err
	}
	return resp.(*kmsg.ApiVersionsResponse), nil
}

// Close drops the connection and fails waiting requests.
func (l *Link) Close() {
	l.once.Do(func() { close(l.closed) })
	l.mu.Lock()
	if l.cancel != nil {
		l.cancel(ErrClosed)
	}
	l.mu.Unlock()
	l.turn <- struct{}{} // the request in flight ends at once
	l.drop()
	<-l.turn
}

// inTurn runs f when no other request is in flight, with a context that also
// ends when the link is closed.
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
	case <-l.closed: // Close has looked for the request before it was there
		return nil, ErrClosed
	default:
	}
	resp, err := f(ctx)
	if err == nil {
		return resp, nil
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return nil, fmt.Errorf("%s: %w", l.cfg.Address, err)
}

// roundTrip writes one request and reads its answer, dialling first where
// there is no connection. After any error the connection is gone.
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
	return nil
}

func (l *Link) drop() {
	if l.conn != nil {
		_ = l.conn.Close()
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
	if p, ok := req.(*kmsg.ProduceRequest); ok && p.Acks == 0 {
		return emptyAnswer(req), nil
	}
	body, err := readFrame(conn, l.cfg.ResponseMax, l.buffer)
	if err != nil {
		return nil, l.timeoutError("receive", err)
	}
	l.keep(body)
	return decodeResponse(body, req, l.correlation)
}

// bufferPatience is how many answers in a row may fill less than half of the
// buffer before it is given up.
const bufferPatience = 100

// keep has the next answer read into the same memory, where that is allowed and
// not far too much.
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
