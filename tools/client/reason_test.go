package client

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/tools/cli"
)

// listen accepts connections and lets serve handle each.
func listen(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return l.Addr().String()
}

// closedPort returns an address at which nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func readThen(text string) func(net.Conn) {
	return func(conn net.Conn) {
		if _, err := conn.Read(make([]byte, 4096)); err == nil {
			_, _ = io.WriteString(conn, text)
		}
	}
}

func TestTheReasonOfAFailureIsNamed(t *testing.T) {
	for _, test := range []struct {
		name, address string
		failure       Failure
		reason        string
	}{
		{"no process", closedPort(t), Refused, `connection refused by 127\.0\.0\.1:\d+`},
		{"an unknown name", "nosuch.invalid:9092", UnknownHost, `the name nosuch\.invalid cannot be resolved \(.*\)`},
		{"a silent server", listen(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }), TimedOut, `no answer in time`},
		{"a server that hangs up", listen(t, readThen("")), ClosedEarly, `the connection was closed without an answer`},
		{"a web server", listen(t, readThen("HTTP/1.1 400 Bad Request\r\n\r\n")), SpeaksHTTP, `the answer is HTTP, so this is not a broker`},
		{"a TLS server", listen(t, readThen("\x15\x03\x03\x00\x02\x02\x46")), SpeaksTLS, `the answer is TLS, not plaintext`},
		{"another server", listen(t, readThen("SSH-2.0-OpenSSH_9.6\r\n")), NotABroker, `the answer is not that of a broker`},
	} {
		link := peerlink.New(peerlink.Config{Address: test.address, RequestTimeout: 300 * time.Millisecond, ConnectTimeout: 5 * time.Second})
		_, err := link.APIVersions(t.Context())
		link.Close()
		if err == nil || FailureOf(err) != test.failure || !regexp.MustCompile(`^`+test.reason+`$`).MatchString(Reason(err)) {
			t.Errorf("%s: %v is failure %d: %s", test.name, err, FailureOf(err), Reason(err))
		}
	}
}

func TestAToolThatReachesNoBrokerNamesWhatItTried(t *testing.T) {
	refused, web := closedPort(t), listen(t, readThen("HTTP/1.1 400 Bad Request\r\n\r\n"))
	silent := listen(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	for _, test := range []struct{ servers, want string }{
		{refused, `Tried without success: REFUSED( \(\d+ times\))?: connection refused by REFUSED\.`},
		{web, `Tried without success: WEB( \(\d+ times\))?: the answer is HTTP, so this is not a broker\.`},
		{silent, `Tried without success: SILENT: no answer in time\.`},
	} {
		var out, errs bytes.Buffer
		tool := cli.Tool{Run: func(env *cli.Env, _ []string) int {
			a, err := NewAdmin(env, "adminclient-1", test.servers, "", 300*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			if _, err := a.Metadata("listTopics", nil); err != nil {
				env.Complainf("%v", err)
				return 1
			}
			return 0
		}}
		code := tool.RunExplained(&cli.Env{Stdout: &out, Stderr: &errs}, nil)
		lines := strings.Split(strings.TrimSpace(errs.String()), "\n")
		last := strings.NewReplacer(refused, "REFUSED", web, "WEB", silent, "SILENT").Replace(lines[len(lines)-1])
		if code != 1 || out.Len() > 0 || !regexp.MustCompile(`^`+test.want+`$`).MatchString(last) ||
			!strings.Contains(errs.String(), "imed out") || !strings.Contains(errs.String(), "listTopics") {
			t.Errorf("exit code %d\n%s", code, errs.String())
		}
	}
}

// The time of a tool may end during its last attempt.
func TestATimeoutReplacesNoOtherReason(t *testing.T) {
	var errs bytes.Buffer
	tool := cli.Tool{Run: func(env *cli.Env, _ []string) int {
		notReached(env, "a:1", syscall.ECONNREFUSED)
		notReached(env, "a:1", &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded})
		notReached(env, "b:2", context.DeadlineExceeded)
		return 1
	}}
	tool.RunExplained(&cli.Env{Stdout: io.Discard, Stderr: &errs}, nil)
	if want := "Tried without success: a:1: connection refused; b:2: no answer in time.\n"; errs.String() != want {
		t.Errorf("%q, want %q", errs.String(), want)
	}
}
