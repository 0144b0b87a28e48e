package network

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/protocol"
)

// logBuffer collects log lines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func logTo(l *logBuffer) *logrus.Logger { return kafkalog.New(l) }

// start runs a server with one PLAINTEXT listener on a free port of the loopback interface and
// stops it at the end of the test.
func start(t testing.TB, cfg Config, h Handler) *Server {
	t.Helper()
	if cfg.Listeners == nil {
		cfg.Listeners = []Listener{{Name: "PLAINTEXT", Host: "127.0.0.1"}}
	}
	s, err := NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Bind(); err != nil {
		t.Fatal(err)
	}
	s.Start(h)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

func dial(t testing.TB, s *Server) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr("PLAINTEXT").String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// frame returns a request with its size field.
func frame(key protocol.APIKey, version int16, id int32, body []byte) []byte {
	p := protocol.AppendRequestHeader(make([]byte, 4), protocol.RequestHeader{Key: key, Version: version, CorrelationID: id})
	p = append(p, body...)
	binary.BigEndian.PutUint32(p, uint32(len(p)-4))
	return p
}

func write(t testing.TB, c net.Conn, p []byte) {
	t.Helper()
	if _, err := c.Write(p); err != nil {
		t.Fatal(err)
	}
}

// answerOf reads one response and returns its correlation id and the bytes after it.
func answerOf(t testing.TB, c net.Conn) (int32, []byte) {
	t.Helper()
	id, body, err := readAnswer(c)
	if err != nil {
		t.Fatal(err)
	}
	return id, body
}

func readAnswer(c net.Conn) (int32, []byte, error) {
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return 0, nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return 0, nil, err
	}
	p := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(c, p); err != nil {
		return 0, nil, err
	}
	return int32(binary.BigEndian.Uint32(p)), p[4:], nil
}

// closed reports whether the server closes the connection without a response.
func closed(t testing.TB, c net.Conn) bool {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, err := c.Read(make([]byte, 1))
	timeout, ok := err.(net.Error)
	return n == 0 && err != nil && !(ok && timeout.Timeout())
}

// echo responds with the body of the request.
var echo = HandlerFunc(func(r *Request) Response {
	b := protocol.AppendResponseHeader(nil, r.Key, r.Version, r.CorrelationID)
	return Bytes(append(b, r.Body...))
})

// reply returns a response that contains only the correlation id.
func reply(r *Request) Response {
	return Bytes(binary.BigEndian.AppendUint32(nil, uint32(r.CorrelationID)))
}

// eventually waits until the condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}
