package peerlink

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/monedula/monedula/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fakeBroker answers each frame with the bytes that serve returns; nil closes the connection. It
// counts connections.
type fakeBroker struct {
	net.Listener
	serve func(h protocol.RequestHeader, body []byte) []byte

	mu    sync.Mutex // guards conns
	conns []net.Conn
}

func startBroker(t *testing.T, serve func(h protocol.RequestHeader, body []byte) []byte) *fakeBroker {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &fakeBroker{Listener: l, serve: serve}
	t.Cleanup(func() {
		l.Close()
		b.dropConnections()
	})
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			b.conns = append(b.conns, conn)
			b.mu.Unlock()
			go b.run(conn)
		}
	}()
	return b
}

func (b *fakeBroker) run(conn net.Conn) {
	defer conn.Close()
	for {
		frame, err := readFrame(conn, 1<<20, nil)
		if err != nil {
			return
		}
		h, body, err := protocol.ParseRequestHeader(frame)
		if err != nil {
			return
		}
		answer := b.serve(h, body)
		if answer == nil {
			return
		}
		if _, err := conn.Write(sized(answer)); err != nil {
			return
		}
	}
}

func sized(answer []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(answer))), answer...)
}

func (b *fakeBroker) dropConnections() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.conns {
		c.Close()
	}
}

func (b *fakeBroker) connections() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.conns)
}

func (b *fakeBroker) link(t *testing.T) *Link {
	l := New(Config{Address: b.Addr().String(), ClientID: "test", RequestTimeout: 5 * time.Second})
	t.Cleanup(l.Close)
	return l
}

func apiVersions(version int16, code protocol.ErrorCode, keys ...[3]int16) *kmsg.ApiVersionsResponse {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.SetVersion(version)
	resp.ErrorCode = int16(code)
	for _, k := range keys {
		resp.ApiKeys = append(resp.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: k[0], MinVersion: k[1], MaxVersion: k[2]})
	}
	return resp
}

func heartbeat(version int16) *kmsg.HeartbeatRequest {
	req := kmsg.NewPtrHeartbeatRequest()
	req.SetVersion(version)
	req.Group = "g"
	return req
}

func answerHeartbeat(h protocol.RequestHeader) []byte {
	resp := kmsg.NewPtrHeartbeatResponse()
	resp.SetVersion(h.Version)
	resp.ErrorCode = 27
	return protocol.AppendResponse(nil, h.CorrelationID, resp)
}

func TestDoSendsTheGivenVersionAndDecodesTheResponse(t *testing.T) {
	for version := int16(0); version <= 4; version++ {
		var got protocol.RequestHeader
		b := startBroker(t, func(h protocol.RequestHeader, _ []byte) []byte {
			got = h
			return answerHeartbeat(h)
		})
		resp, err := b.link(t).Do(context.Background(), heartbeat(version))
		if err != nil {
			t.Fatal(err)
		}
		if got.Version != version || got.Key != protocol.Heartbeat || got.ClientIDOrEmpty() != "test" {
			t.Errorf("header %+v", got)
		}
		if code := resp.(*kmsg.HeartbeatResponse).ErrorCode; code != 27 {
			t.Errorf("v%d: error code %d, want 27", version, code)
		}
	}
}

func TestNegotiatedUsesTheHighestCommonVersion(t *testing.T) {
	for _, c := range []struct {
		name            string
		low, high       int16
		limit, expected int16
	}{
		{"broker's is lower", 0, 2, -1, 2},
		{"ours is lower", 0, 99, -1, 4},
		{"caller's limit", 0, 4, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked := 0
			b := startBroker(t, func(h protocol.RequestHeader, _ []byte) []byte {
				if h.Key == protocol.ApiVersions {
					asked++
					return protocol.AppendResponse(nil, h.CorrelationID, apiVersions(h.Version, 0, [3]int16{12, c.low, c.high}))
				}
				if h.Version != c.expected {
					t.Errorf("sent v%d, want v%d", h.Version, c.expected)
				}
				return answerHeartbeat(h)
			})
			l := b.link(t)
			for range 2 {
				if _, err := l.Negotiated(context.Background(), heartbeat(0), c.limit); err != nil {
					t.Fatal(err)
				}
			}
			if asked != 1 {
				t.Errorf("ApiVersions asked %d times on one connection", asked)
			}
		})
	}
}

func TestNegotiatedReportsTheVersionsOfTheBroker(t *testing.T) {
	b := startBroker(t, func(h protocol.RequestHeader, _ []byte) []byte {
		return protocol.AppendResponse(nil, h.CorrelationID, apiVersions(h.Version, 0, [3]int16{12, 3, 4}))
	})
	l := b.link(t)
	_, err := l.Negotiated(context.Background(), heartbeat(0), 2)
	var unsupported *UnsupportedError
	if !errors.As(err, &unsupported) || unsupported.BrokerMin != 3 || unsupported.OwnMax != 2 || !errors.Is(err, protocol.UnsupportedVersion) {
		t.Fatalf("error %v", err)
	}
	if _, err := l.Negotiated(context.Background(), kmsg.NewPtrLeaveGroupRequest(), -1); !errors.As(err, &unsupported) || unsupported.BrokerMax != -1 {
		t.Fatalf("error %v", err)
	}
	if n := b.connections(); n != 1 {
		t.Errorf("%d connections, want the one kept", n)
	}
}

func TestApiVersionsFallsBackForOlderBrokers(t *testing.T) {
	for name, refusal := range map[string]*kmsg.ApiVersionsResponse{
		"with its range":    apiVersions(0, protocol.UnsupportedVersion, [3]int16{18, 0, 2}),
		"without its range": apiVersions(0, protocol.UnsupportedVersion),
	} {
		t.Run(name, func(t *testing.T) {
			b := startBroker(t, func(h protocol.RequestHeader, _ []byte) []byte {
				if h.Version > 2 {
					return protocol.AppendResponse(nil, h.CorrelationID, refusal)
				}
				return protocol.AppendResponse(nil, h.CorrelationID, apiVersions(h.Version, 0, [3]int16{12, 0, 1}))
			})
			resp, err := b.link(t).APIVersions(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if len(resp.ApiKeys) != 1 || resp.ApiKeys[0].MaxVersion != 1 {
				t.Errorf("answer %+v", resp)
			}
		})
	}
}

func TestAnErrorDropsTheConnectionAndTheNextRequestRedials(t *testing.T) {
	for name, bad := range map[string][]byte{
		"closed":              nil,
		"wrong correlation":   {0, 0, 0, 99, 0, 0},
		"too short to decode": {0, 0, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Bool
			b := startBroker(t, func(h protocol.RequestHeader, _ []byte) []byte {
				if !asked.Swap(true) {
					return bad
				}
				return answerHeartbeat(h)
			})
			l := b.link(t)
			if _, err := l.Do(context.Background(), heartbeat(0)); err == nil {
				t.Fatal("no error")
			}
			if _, err := l.Do(context.Background(), heartbeat(0)); err != nil {
				t.Fatal(err)
			}
			if n := b.connections(); n != 2 {
				t.Errorf("%d connections, want 2", n)
			}
		})
	}
}

func TestAConnectionClosedWhileIdleFailsNoRequest(t *testing.T) {
	b := startBroker(t, func(h protocol.RequestHeader, _ []byte) []byte { return answerHeartbeat(h) })
	l := b.link(t)
	if _, err := l.Do(context.Background(), heartbeat(0)); err != nil {
		t.Fatal(err)
	}
	b.dropConnections()
	for deadline := time.Now().Add(5 * time.Second); !stale(l.conn); {
		if time.Now().After(deadline) {
			t.Fatal("the closed connection is not noticed")
		}
	}
	if _, err := l.Do(context.Background(), heartbeat(0)); err != nil {
		t.Fatal(err)
	}
}

func TestAResponseAboveTheLimitIsRefusedUnread(t *testing.T) {
	for _, size := range []uint32{1 << 20, 1 << 31, 3} {
		client, server := net.Pipe()
		go func() {
			_, _ = readFrame(server, 1<<20, nil)
			_, _ = server.Write(binary.BigEndian.AppendUint32(nil, size))
		}()
		l := New(Config{Address: "pipe", ResponseMax: 1 << 10, Dial: func(context.Context, string) (net.Conn, error) { return client, nil }})
		if _, err := l.Do(context.Background(), heartbeat(0)); err == nil {
			t.Errorf("size %d accepted", size)
		}
		l.Close()
		server.Close()
	}
}

// silent dials a peer that accepts requests and never answers.
func silent(context.Context, string) (net.Conn, error) {
	client, server := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, server) }()
	return client, nil
}

func TestASilentBrokerTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{Address: "silent", RequestTimeout: 7 * time.Second, Dial: silent})
		start := time.Now()
		if _, err := l.Do(context.Background(), heartbeat(0)); err == nil {
			t.Fatal("no error")
		}
		if took := time.Since(start); took != 7*time.Second {
			t.Errorf("took %v", took)
		}
		l.Close()
	})
}

func TestCancellingTheContextEndsTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{Address: "silent", Dial: silent})
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := l.Do(ctx, heartbeat(0)); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("error %v", err)
		}
		if l.conn != nil {
			t.Error("the connection was kept")
		}
		l.Close()
	})
}

func TestCloseFailsTheRequestInFlightAndThoseWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{Address: "silent", RequestTimeout: time.Hour, Dial: silent})
		results := make(chan error, 3)
		for range cap(results) {
			go func() {
				_, err := l.Do(context.Background(), heartbeat(0))
				results <- err
			}()
		}
		synctest.Wait()
		l.Close()
		for range cap(results) {
			if err := <-results; !errors.Is(err, ErrClosed) {
				t.Errorf("error %v, want ErrClosed", err)
			}
		}
		if _, err := l.Do(context.Background(), heartbeat(0)); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestProduceWithoutAcksWaitsForNoResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{Address: "silent", Dial: silent})
		req := kmsg.NewPtrProduceRequest()
		req.SetVersion(7)
		req.Acks = 0
		if _, err := l.Do(context.Background(), req); err != nil {
			t.Fatal(err)
		}
		l.Close()
	})
}
