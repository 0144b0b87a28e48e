package network

import (
	"net"
	"testing"

	"github.com/monedula/monedula/protocol"
)

func TestListenersAreAddedAndRemovedWhileTheServerRuns(t *testing.T) {
	s := start(t, Config{Listeners: []Listener{{Name: "FIRST", Host: "127.0.0.1"}}}, echo)
	if err := s.AddListener(Listener{Name: "SECOND", Host: "127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	ask := func(c net.Conn) {
		t.Helper()
		write(t, c, frame(protocol.Metadata, 1, 7, nil))
		if id, _ := answerOf(t, c); id != 7 {
			t.Fatalf("answer %d", id)
		}
	}
	connect := func(listener string) net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", s.Addr(listener).String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	first, second := connect("FIRST"), connect("SECOND")
	ask(first)
	ask(second)
	address := s.Addr("SECOND").String()
	s.RemoveListener("SECOND")
	if !closed(t, second) {
		t.Error("a connection of the removed listener is open")
	}
	if c, err := net.Dial("tcp", address); err == nil {
		c.Close()
		t.Error("the port of the removed listener accepts connections")
	}
	ask(first)
	eventually(t, "no connection of the removed listener to be counted", func() bool {
		_, there := s.ConnectionCounts()["SECOND"]
		return !there && s.Addr("SECOND") == nil
	})
	busy := s.Addr("FIRST").(*net.TCPAddr).Port
	if err := s.AddListener(Listener{Name: "THIRD", Host: "127.0.0.1", Port: busy}); err == nil {
		t.Error("a listener was added with a port in use")
	}
}

func TestLimitsChangeWhileTheServerRuns(t *testing.T) {
	s := start(t, Config{}, echo)
	first := dial(t, s)
	write(t, first, frame(protocol.Metadata, 1, 1, nil))
	answerOf(t, first)
	if err := s.SetLimits(Limits{MaxConnectionsPerIP: AtMost(1)}); err != nil {
		t.Fatal(err)
	}
	if !closed(t, dial(t, s)) {
		t.Error("a second connection of the host was accepted")
	}
	if err := s.SetLimits(Limits{MaxConnectionsPerIPOverrides: map[string]int{"no such host": 1}}); err == nil {
		t.Error("a host without an address was accepted")
	}
	if err := s.SetLimits(Limits{MaxConnections: AtMost(1)}); err != nil {
		t.Fatal(err)
	}
	waiting := dial(t, s)
	write(t, waiting, frame(protocol.Metadata, 1, 2, nil))
	if err := s.SetLimits(Limits{}); err != nil {
		t.Fatal(err)
	}
	if id, _ := answerOf(t, waiting); id != 2 {
		t.Errorf("answer %d", id)
	}
}
