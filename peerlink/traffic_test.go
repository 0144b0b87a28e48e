package peerlink

import (
	"context"
	"net"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/memnet"
)

func TestLinksCountTheirTraffic(t *testing.T) {
	var traffic Traffic
	l := New(Config{Address: "a:1", Traffic: &traffic, Dial: func(context.Context, string) (net.Conn, error) {
		return memnet.Answering(func(req kmsg.Request) kmsg.Response { return req.ResponseKind() }), nil
	}})
	for range 2 {
		req := kmsg.NewPtrHeartbeatRequest()
		if _, err := l.Do(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	got := traffic.Counts()
	if got.BytesOut <= 0 || got.BytesIn <= 0 {
		t.Errorf("counts %+v", got)
	}
	got.BytesOut, got.BytesIn = 0, 0
	if want := (TrafficCounts{Connections: 1, Closed: 1, Requests: 2, Responses: 2}); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
}
