package testkit

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"slices"
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

// newAnsweringLane returns a lane to a server that answers each request with its correlation id, and a
// channel with the keys of the requests that were handled.
func newAnsweringLane(t *testing.T) (*Lane, <-chan int16) {
	server, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	lane := NewLoopbackLane(t)
	lane.Forward(server.Addr().(*net.TCPAddr).Port)
	handled := make(chan int16, 100)
	go func() {
		for {
			conn, err := server.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for {
					request, err := ReadZooKeeperPacket(conn) // has the same frames
					if err != nil {
						return
					}
					handled <- int16(binary.BigEndian.Uint16(request[4:]))
					for _, piece := range [][]byte{{0, 0}, {0, 5}, request[8:11], request[11:12], {0}} {
						if _, err := conn.Write(piece); err != nil {
							return
						}
					}
				}
			}()
		}
	}()
	return lane, handled
}

func dialLane(t *testing.T, lane *Lane) net.Conn {
	client, err := net.Dial("tcp4", lane.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// ask sends a request and reports whether it was answered.
func ask(client net.Conn, key byte, clientID string) bool {
	request := append([]byte{0, 0, 0, byte(10 + len(clientID)), 0, key, 0, 0, 1, 2, 3, key, 0, byte(len(clientID))}, clientID...)
	_, _ = client.Write(request)
	_ = client.SetReadDeadline(time.Now().Add(10 * time.Second))
	answer, err := ReadZooKeeperPacket(client)
	return err == nil && answer[7] == key
}

// A lane loses the answers to some requests after they were handled, and with them the connection.
func TestALaneLosesTheAnswersToSomeRequests(t *testing.T) {
	lane, handled := newAnsweringLane(t)
	const end, fetch = 26, 1
	for _, c := range []struct {
		lost     []int16
		key      byte
		answered bool
	}{
		{nil, end, true},
		{[]int16{end}, fetch, true},
		{[]int16{24, end}, end, false},
		{nil, end, true},
	} {
		lane.LoseAnswers(c.lost...)
		client := dialLane(t, lane)
		first, second := ask(client, fetch, "a"), ask(client, c.key, "a")
		if !first || second != c.answered {
			t.Errorf("the answers to %d are lost: request %d was answered: %t, the one before it: %t; want %t, true", c.lost, c.key, second, first, c.answered)
		}
		if one, two := <-handled, <-handled; one != fetch || two != int16(c.key) {
			t.Errorf("requests %d and %d were handled, want %d and %d", one, two, fetch, c.key)
		}
	}
}

// A lane holds the requests, or the answers, of some clients, and delivers them later.
func TestALaneHoldsTheDataOfSomeClients(t *testing.T) {
	lane, handled := newAnsweringLane(t)
	for _, way := range []Way{Requests, Answers} {
		lane.Hold(way, func(clientID string) bool { return clientID == "held" })
		other, held := dialLane(t, lane), dialLane(t, lane)
		if !ask(other, 26, "other") {
			t.Fatal("another client got no answer")
		}
		<-handled
		answered := make(chan bool, 1)
		go func() { answered <- ask(held, 26, "held") }()
		if way == Answers {
			<-handled
		}
		select {
		case <-handled:
			t.Error("a held request was handled")
		case <-answered:
			t.Error("a held client was answered")
		case <-time.After(50 * time.Millisecond):
		}
		lane.Hold(way, nil)
		if !<-answered {
			t.Error("the client got no answer afterwards")
		}
		if way == Requests {
			<-handled
		}
	}
}

// Frames are found in a stream that is read in pieces of any size.
func TestFramesAreFoundInPieces(t *testing.T) {
	stream := []byte{0, 0, 0, 0, 0, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 9, '1', '2', '3', '4', '5', '6', '7', '8', '9', 0, 0, 0, 1, 'z'}
	want := []string{"\x00\x00\x00\x00", "\x00\x00\x00\x03abc", "\x00\x00\x00\x091234", "\x00\x00\x00\x01z"}
	for size := 1; size <= len(stream); size++ {
		var f frames
		var heads []string
		for piece := range slices.Chunk(stream, size) {
			f.scan(piece, answerHead, func(head []byte) bool {
				heads = append(heads, string(head))
				return true
			})
		}
		if !slices.Equal(heads, want) {
			t.Errorf("in pieces of %d bytes: %q, want %q", size, heads, want)
		}
	}
	var f frames
	if n, ended := f.scan(stream, answerHead, func(head []byte) bool { return head[3] != 9 }); n != 11 || !ended {
		t.Errorf("a refused frame begins at %d, %t; want 11", n, ended)
	}
}
