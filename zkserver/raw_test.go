package zkserver

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/zkserver/jute"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// rawClient sends records and reads frames, without knowing what they mean.
type rawClient struct {
	t        testing.TB
	conn     net.Conn
	session  int64
	timeout  int32
	password []byte
	xid      int32
}

// answer is a response or an event.
type answer struct {
	header jute.ReplyHeader
	body   []byte
}

func (a answer) event() bool { return a.header.Xid == jute.EventXid }

func dialRaw(t testing.TB, address string) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
	return &rawClient{t: t, conn: conn}
}

// connectRaw opens a session.
func connectRaw(t testing.TB, address string) *rawClient {
	t.Helper()
	c := dialRaw(t, address)
	if !c.connect(jute.ConnectRequest{TimeOut: 30_000, Password: make([]byte, 16)}) {
		t.Fatal("no session")
	}
	return c
}

// connect reports whether the server opened or continued a session.
func (c *rawClient) connect(r jute.ConnectRequest) bool {
	c.t.Helper()
	c.sendRaw(jute.Append(nil, &r))
	var response jute.ConnectResponse
	content, err := c.frame()
	if err != nil {
		return false
	}
	if _, err := jute.Decode(content, &response); err != nil {
		c.t.Fatal(err)
	}
	c.session, c.password, c.timeout = response.SessionID, response.Password, response.TimeOut
	return c.session != 0
}

func (c *rawClient) sendRaw(content []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(content))), content...)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *rawClient) frame() ([]byte, error) {
	packet, err := testkit.ReadZooKeeperPacket(c.conn)
	if err != nil {
		return nil, err
	}
	return packet[4:], nil
}

func (c *rawClient) read() (answer, error) {
	content, err := c.frame()
	if err != nil {
		return answer{}, err
	}
	var a answer
	a.body, err = jute.Decode(content, &a.header)
	return a, err
}

// call sends a request and returns the response, and the events before it.
func (c *rawClient) call(op jute.Op, body jute.Record) (response answer, events []jute.WatcherEvent) {
	c.t.Helper()
	c.xid++
	content := jute.Append(nil, &jute.RequestHeader{Xid: c.xid, Type: op})
	if body != nil {
		content = jute.Append(content, body)
	}
	c.sendRaw(content)
	for {
		a, err := c.read()
		if err != nil {
			c.t.Fatalf("%v: %v", op, err)
		}
		if !a.event() {
			return a, events
		}
		var e jute.WatcherEvent
		if _, err := jute.Decode(a.body, &e); err != nil {
			c.t.Fatal(err)
		}
		events = append(events, e)
	}
}

// must is like call for a request that succeeds. It reads the response into the record, if any.
func (c *rawClient) must(op jute.Op, body, response jute.Record) []jute.WatcherEvent {
	c.t.Helper()
	a, events := c.call(op, body)
	if a.header.Err != 0 {
		c.t.Fatalf("%v %+v: error %d", op, body, a.header.Err)
	}
	if response != nil {
		if _, err := jute.Decode(a.body, response); err != nil {
			c.t.Fatal(err)
		}
	}
	return events
}

func (c *rawClient) create(path string, flags int32) {
	c.t.Helper()
	c.must(jute.OpCreate, &jute.CreateRequest{Path: path, Data: []byte(path), ACL: openACL, Flags: flags}, nil)
}

func (c *rawClient) exists(path string) bool {
	c.t.Helper()
	a, _ := c.call(jute.OpExists, &jute.PathWatchRequest{Path: path})
	return a.header.Err == 0
}

var openACL = []jute.ACL{{Perms: 31, ID: jute.ID{Scheme: "world", ID: "anyone"}}}

func say(t testing.TB, address, word string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, word)
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
