package testkit

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// What is sent into a cut lane arrives when the cut ends, also from a client that has given up.
func TestACutLaneDeliversLate(t *testing.T) {
	server, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	lane := NewLoopbackLane(t)
	lane.Forward(server.Addr().(*net.TCPAddr).Port)
	client, err := net.Dial("tcp4", lane.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	accepted, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	receive := func(want string) {
		t.Helper()
		buf := make([]byte, len(want))
		_ = accepted.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.ReadFull(accepted, buf); err != nil || string(buf) != want {
			t.Fatalf("received %q, %v; want %q", buf, err, want)
		}
	}
	send := func(text string) {
		t.Helper()
		if _, err := client.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	send("before")
	receive("before")
	lane.Cut(true)
	lane.Cut(true)
	send("during")
	client.Close()
	_ = accepted.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := accepted.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("received %d bytes through a cut lane, %v", n, err)
	}
	lane.Cut(false)
	receive("during")
	_ = accepted.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := accepted.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("after the client closed: %v", err)
	}
}
