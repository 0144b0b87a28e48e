// Package peerlink is how this broker and its tools talk to a broker: one
// connection, requests built by kmsg, versions given by the caller (control
// requests go at exactly the version of the inter.broker.protocol.version) or
// negotiated, and back-off.
package peerlink

import (
	"context"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Dialer opens connections; tests hand in their own.
type Dialer func(ctx context.Context, address string) (net.Conn, error)

// Config describes one link.
type Config struct {
	Address        string // host:port
	ClientID       string
	Dial           Dialer        // nil: TCP
	ConnectTimeout time.Duration // 0: RequestTimeout
	RequestTimeout time.Duration
}

// Link is a connection to one broker with one request in flight; it dials when
// needed and drops the connection after an error. Safe for concurrent use:
// callers queue.
type Link struct{ _ int }

// New returns a link that has not dialled yet.
func New(cfg Config) *Link { panic("unwritten") }

// Do sends req at the version set in it and decodes the answer. An error means
// the connection was closed; whether the request took effect is unknown.
func (l *Link) Do(ctx context.Context, req kmsg.Request) (kmsg.Response, error) { panic("unwritten") }

// Negotiated sends req at the highest version that both sides know (kmsg's
// max capped by max when >= 0; the broker's from ApiVersions, asked once a connection).
func (l *Link) Negotiated(ctx context.Context, req kmsg.Request, max int16) (kmsg.Response, error) {
	panic("unwritten")
}

// Close drops the connection and fails waiting requests.
func (l *Link) Close() { panic("unwritten") }
