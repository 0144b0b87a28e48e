package zkclient

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/monedula/monedula/internal/testkit"
)

// scripted is a connection whose answers are given by functions of the test.
type scripted struct {
	Conn
	get   func() ([]byte, *zk.Stat, error)
	write func() error // of one node
	calls int
}

func (c *scripted) Get(string) ([]byte, *zk.Stat, error) {
	c.calls++
	return c.get()
}

func (c *scripted) Create(path string, _ []byte, _ int32, _ []zk.ACL) (string, error) {
	c.calls++
	return path, c.write()
}

func (c *scripted) Set(string, []byte, int32) (*zk.Stat, error) {
	c.calls++
	return &zk.Stat{}, c.write()
}

func (*scripted) SessionID() int64 { return 1 }
func (*scripted) Close()           {}

// begun returns a client with a session on the connection, and a context bound to this session.
func begun(t *testing.T, conn Conn) (stepped, context.Context) {
	c := NewSteppable(Config{})
	c.Begin(conn)
	return stepped{c, NewNodes(c.Client)}, c.BindSession(t.Context())
}

// stepped is a client without goroutines, with its operations.
type stepped struct {
	*Steppable
	Nodes
}

// A write that fails after a lost answer has succeeded in the earlier attempt only if the node is
// exactly as the write would have left it.
func TestALostAnswerToASingleWriteIsSettledByTheNodesContents(t *testing.T) {
	conn := &scripted{}
	d, ctx := begun(t, conn)
	for _, c := range []struct {
		data             string
		version          int32
		created, changed bool
	}{{"ours", 0, true, false}, {"ours", 5, false, true}, {"theirs", 0, false, false}, {"theirs", 5, false, false}, {"ours", 6, false, false}} {
		conn.get = func() ([]byte, *zk.Stat, error) { return []byte(c.data), &zk.Stat{Version: c.version}, nil }
		failsWith := func(err error) func() error {
			answers := []error{zk.ErrConnectionClosed, err}
			return func() error {
				next := answers[0]
				answers = answers[1:]
				return next
			}
		}
		conn.write = failsWith(zk.ErrNodeExists)
		if err := d.Create(ctx, "/a", []byte("ours")); (err == nil) != c.created || err != nil && !errors.Is(err, ErrNodeExists) {
			t.Errorf("create, then version %d of %s: %v", c.version, c.data, err)
		}
		conn.write = failsWith(zk.ErrBadVersion)
		if _, err := d.Set(ctx, "/a", []byte("ours"), 4); (err == nil) != c.changed || err != nil && !errors.Is(err, ErrBadVersion) {
			t.Errorf("set, then version %d of %s: %v", c.version, c.data, err)
		}
	}
}

func TestTooLargeRequestsAreNotSent(t *testing.T) {
	conn := &scripted{write: func() error { return nil }}
	d, ctx := begun(t, conn)
	if err := d.Create(ctx, "/a", make([]byte, packetMax)); err == nil || conn.calls != 0 {
		t.Errorf("a node of %d bytes: %v after %d requests", packetMax, err, conn.calls)
	}
}

// Once the session of an operation has ended, the operation returns ErrSessionExpired, whatever the
// error of the connection, and later operations of the session send nothing.
func TestOperationsEndWithTheirSession(t *testing.T) {
	for name, answer := range map[string]error{"lost connection": zk.ErrConnectionClosed, "expired": zk.ErrSessionExpired, "other": zk.ErrAPIError} {
		conn := &scripted{}
		d, ctx := begun(t, conn)
		conn.get = func() ([]byte, *zk.Stat, error) {
			if answer != zk.ErrSessionExpired { // the library has not reported the expiry yet
				d.End()
			}
			return nil, nil, answer
		}
		if _, err := d.ReadUnwatched(ctx, "/a"); !errors.Is(err, ErrSessionExpired) || conn.calls != 1 {
			t.Errorf("%s: %v after %d requests", name, err, conn.calls)
		}
		d.End()
		if _, err := d.ReadUnwatched(ctx, "/a"); !errors.Is(err, ErrSessionExpired) || conn.calls != 1 {
			t.Errorf("%s, in an ended session: %v after %d requests", name, err, conn.calls)
		}
	}
}

func TestOperationsOfAClosedClientFail(t *testing.T) {
	conn := &scripted{}
	d, ctx := begun(t, conn)
	close(d.done)
	for name, ctx := range map[string]context.Context{"bound": ctx, "not bound": t.Context()} {
		if _, err := d.ReadUnwatched(ctx, "/a"); !errors.Is(err, ErrClosed) || conn.calls != 0 {
			t.Errorf("%s: %v after %d requests", name, err, conn.calls)
		}
	}
}

// After a lost answer, an existing node counts as created only if it has the given data and belongs
// to this session.
func TestAnExistingEphemeralNodeCountsAsCreatedOnlyIfItIsOurs(t *testing.T) {
	for _, c := range []struct {
		name, data string
		owner      int64
		want       error
	}{
		{"of this session", "ours", 1, nil},
		{"of this session with other data", "other", 1, ErrNodeExists},
		{"of another session", "ours", 2, ErrNodeExists},
		{"persistent", "ours", 0, ErrNodeExists},
	} {
		d, ctx := begun(t, &scripted{
			write: func() error { return zk.ErrNodeExists },
			get:   func() ([]byte, *zk.Stat, error) { return []byte(c.data), &zk.Stat{EphemeralOwner: c.owner}, nil },
		})
		if err := d.CreateEphemeral(ctx, "/a", []byte("ours")); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// cancelOnAnswer cancels the context of a request when its answer arrives, and delays the answer
// until released is closed.
type cancelOnAnswer struct {
	unobserved
	cancel   func()
	released chan struct{}
}

func (c *cancelOnAnswer) ZooKeeperRequest(time.Duration) {
	c.cancel()
	<-c.released
}

// conflicting is a connection on which one operation of each transaction fails.
type conflicting struct {
	scripted
	failed int // index of the operation
}

func (c *conflicting) Multi(ops ...any) ([]zk.MultiResponse, error) {
	results := make([]zk.MultiResponse, len(ops))
	results[c.failed].Error = zk.ErrBadVersion
	return results, zk.ErrBadVersion
}

// A transaction whose context is canceled while it is being answered fails with the context's
// error, whatever the answer.
func TestALateAnswerToAnAbandonedMultiIsIgnored(t *testing.T) {
	for _, at := range []int{0, 2} {
		observer := &cancelOnAnswer{released: make(chan struct{})}
		c := NewSteppable(Config{Observer: observer})
		c.steppable = false
		c.Begin(&conflicting{failed: at})
		ctx, cancel := context.WithCancel(c.BindSession(t.Context()))
		observer.cancel = cancel
		stats, failed, _, err := NewNodes(c.Client).Multi(ctx, "write", "/a", CheckOp("/epoch", 3), SetOp("/a", nil, 0), SetOp("/b", nil, 0))
		close(observer.released)
		if !errors.Is(err, context.Canceled) || stats != nil || failed != -1 {
			t.Errorf("operation %d failed: reported %d, states %v, error %v", at, failed, stats, err)
		}
	}
}

// The abandoned request still runs, so this test is meant for the race detector too.
func TestAnAbandonedMultiReturnsNoResults(t *testing.T) {
	ctx, s := background(t), openClient(t, testkit.ZooKeeper(t))
	must(t, s.EnsurePath(ctx, "/topics"))
	for range 200 {
		short, cancel := context.WithCancel(ctx)
		go cancel()
		stats, failed, _, err := s.Multi(short, "check", "/absent", CheckOp("/topics", AnyVersion), CheckOp("/absent", 0))
		switch {
		case errors.Is(err, context.Canceled) && (stats != nil || failed != -1):
			t.Fatalf("an abandoned request returned states %v, failed operation %d", stats, failed)
		case errors.Is(err, ErrNoNode) && failed != 1:
			t.Fatalf("operation %d failed: %v", failed, err)
		case err == nil:
			t.Fatal("a check of an absent node was answered without an error")
		}
	}
}
