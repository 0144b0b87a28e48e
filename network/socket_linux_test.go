package network

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/monedula/monedula/protocol"
)

func TestSocketsHaveTheConfiguredSizes(t *testing.T) {
	s := start(t, Config{Backlog: 7, ReceiveBufferBytes: 50_000, SendBufferBytes: 60_000}, echo)
	c := dial(t, s)
	write(t, c, frame(protocol.Metadata, 1, 1, nil))
	answerOf(t, c)
	listening := descriptor(t, s.listener("PLAINTEXT").socket.(*net.TCPListener))
	listening(func(fd int) {
		// For a listening socket the kernel returns the limit of the backlog here.
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil || info.Sacked != 7 {
			t.Errorf("backlog %+v, error %v", info, err)
		}
	})
	s.each(func(c *conn) {
		descriptor(t, c.accepted.(*net.TCPConn))(func(fd int) {
			for option, want := range map[int]int{unix.SO_RCVBUF: 100_000, unix.SO_SNDBUF: 120_000} { // the kernel doubles the values
				if got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, option); err != nil || got != want {
					t.Errorf("option %d is %d, want %d (%v)", option, got, want, err)
				}
			}
			if got, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); err != nil || got != 1 {
				t.Errorf("TCP_NODELAY is %d (%v)", got, err)
			}
		})
	})
}

// After part of a file was sent, a copy of the whole would repeat that part.
func TestFilesAreCopiedInsteadOnlyIfNothingWasSent(t *testing.T) {
	for _, c := range []struct {
		err  error
		sent int64
		copy bool
	}{
		{unix.EINVAL, 0, true}, {unix.ENOSYS, 0, true}, {unix.EOPNOTSUPP, 0, true}, {unix.EPIPE, 0, false},
		{unix.EINVAL, 1, false}, {unix.ENOSYS, 1, false}, {unix.EOPNOTSUPP, 1, false},
	} {
		err := sendFileError(c.err, c.sent)
		if errors.Is(err, errors.ErrUnsupported) != c.copy {
			t.Errorf("%v after %d bytes: %v", c.err, c.sent, err)
		}
	}
}

func TestSendReportsThatThePeerIsGone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	if err := errors.Join(peer.(*net.TCPConn).SetLinger(0), peer.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := accepted.Read(make([]byte, 1)); err == nil {
		t.Fatal("the peer is still connected")
	}
	raw, err := accepted.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewServer(Config{})
	if err != nil {
		t.Fatal(err)
	}
	c := &conn{server: s, net: accepted, raw: raw}
	if n, err := c.send([]byte("a"), []byte("b"), true); !disconnected(err) || n != 0 {
		t.Errorf("%d bytes sent, %v", n, err)
	}
	if n, err := c.sendFile(numbered(t), 0, 10); !disconnected(err) || n != 0 {
		t.Errorf("%d bytes of a file sent, %v", n, err)
	}
}

// descriptor returns a function that calls its argument with the descriptor of c.
func descriptor(t *testing.T, c syscall.Conn) func(func(int)) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return func(use func(int)) {
		if err := raw.Control(func(fd uintptr) { use(int(fd)) }); err != nil {
			t.Error(err)
		}
	}
}

// The bytes before a file are held back for the segment with the file's bytes. The kernel holds them
// for 200 ms, which a busy machine may need between two system calls once, but not always.
func TestBytesAndTheFileAfterThemShareASegment(t *testing.T) {
	s := start(t, Config{SendBufferBytes: 1 << 20}, fileHandler(numbered(t)))
	fewest := uint32(100)
	for range 5 {
		c := dial(t, s)
		ask(t, c, 1, piece{1, 20_000})
		answerOf(t, c)
		s.each(func(c *conn) {
			descriptor(t, c.accepted.(*net.TCPConn))(func(fd int) {
				info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
				if err != nil {
					t.Fatal(err)
				}
				fewest = min(fewest, info.Data_segs_out)
			})
		})
	}
	if fewest != 1 {
		t.Errorf("a response of 20,000 bytes of a file takes %d segments", fewest)
	}
}
