package zkstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-zookeeper/zk"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/zkstore/zkclient"
)

// scripted is a connection whose answers are given by functions of the test.
type scripted struct {
	zkclient.Conn
	get      func() ([]byte, *zk.Stat, error)
	multi    func(ops []any) ([]zk.MultiResponse, error)
	children func(path string) []string
	calls    int
}

func (c *scripted) Multi(ops ...any) ([]zk.MultiResponse, error) {
	c.calls++
	return c.multi(ops)
}

func (c *scripted) Children(path string) ([]string, *zk.Stat, error) {
	c.calls++
	return c.children(path), &zk.Stat{}, nil
}

func (c *scripted) Get(string) ([]byte, *zk.Stat, error) {
	c.calls++
	return c.get()
}

func (*scripted) SessionID() int64 { return 1 }
func (*scripted) Close()           {}

// begun returns a store with a session on the connection, and a context bound to this session.
func begun(t *testing.T, conn zkclient.Conn) (*Store, context.Context) {
	s, sessions := NewSteppable(Config{Logger: kafkalog.Discard()})
	sessions.Begin(conn)
	return s, s.BindSession(t.Context())
}

// failing returns the answer to a transaction whose operation at index at failed.
func failing(ops []any, at int, err error) ([]zk.MultiResponse, error) {
	results := make([]zk.MultiResponse, len(ops))
	results[at].Error = err
	return results, err
}

func done(ops []any) ([]zk.MultiResponse, error) {
	results := make([]zk.MultiResponse, len(ops))
	for i := range results {
		results[i].Stat = &zk.Stat{}
	}
	return results, nil
}

func TestTheDeletionOfAGrowingTreeIsTriedAgain(t *testing.T) {
	const grows = 3 // how many times the tree grows
	listed, tries := 0, 0
	conn := &scripted{children: func(path string) []string {
		if path != "/a" {
			return nil
		}
		listed++
		return slices.Repeat([]string{"x"}, min(listed-1, 1))
	}}
	conn.multi = func(ops []any) ([]zk.MultiResponse, error) {
		if tries++; tries <= grows {
			return failing(ops, len(ops)-1, zk.ErrNotEmpty)
		}
		return done(ops)
	}
	d, ctx := begun(t, conn)
	must(t, d.nodes.removeTree(ctx, NoFence(), "/a"))
	if listed < 2 {
		t.Errorf("listed %d times", listed)
	}
	tries = -1000
	if err := d.nodes.removeTree(ctx, NoFence(), "/a"); err == nil || !strings.Contains(err.Error(), "keeps creating") {
		t.Errorf("deletion of a tree that grows forever: %v", err)
	}
}

// Once another broker is the controller, the rest of a bulk write is not sent.
func TestABulkWriteEndsWithTheTerm(t *testing.T) {
	for name, first := range map[string]func(ops []any) ([]zk.MultiResponse, error){
		"at once":             func(ops []any) ([]zk.MultiResponse, error) { return failing(ops, 0, zk.ErrBadVersion) },
		"after a conflict":    func(ops []any) ([]zk.MultiResponse, error) { return failing(ops, 2, zk.ErrBadVersion) },
		"after a lost answer": func([]any) ([]zk.MultiResponse, error) { return nil, zk.ErrConnectionClosed },
	} {
		conn := &scripted{}
		var answers []func(ops []any) ([]zk.MultiResponse, error)
		conn.multi = func(ops []any) ([]zk.MultiResponse, error) {
			if len(answers) == 0 {
				return failing(ops, 0, zk.ErrBadVersion) // the check of the epoch
			}
			next := answers[0]
			answers = answers[1:]
			return next(ops)
		}
		d, ctx := begun(t, conn)
		answers = append(answers, first)
		if name == "after a lost answer" { // then a conflict, after which each write is tried alone
			answers = append(answers, func(ops []any) ([]zk.MultiResponse, error) { return failing(ops, 2, zk.ErrBadVersion) })
		}
		_, _, err := d.SetPartitionStates(ctx, Fence{3}, manyStates(8))
		if !errors.Is(err, ErrControllerMoved) || conn.calls > 3 {
			t.Errorf("%s: %v after %d requests", name, err, conn.calls)
		}
	}
}

// A write that fails after a lost answer has succeeded in the earlier attempt only if the node is
// exactly as the write would have left it.
func TestALostAnswerIsSettledByTheNodesContents(t *testing.T) {
	conn := &scripted{}
	d, ctx := begun(t, conn)
	ours := []byte("ours")
	create, set := zkclient.CreateOp("/a", ours), zkclient.SetOp("/a", ours, 4)
	for _, c := range []struct {
		name    string
		op      zkclient.Op
		failure error
		data    string
		version Version
		read    error
		want    bool
	}{
		{"created", create, ErrNodeExists, "ours", 0, nil, true},
		{"created by another", create, ErrNodeExists, "theirs", 0, nil, false},
		{"created, or set to the same data since", create, ErrNodeExists, "ours", 1, nil, false},
		{"created, but failed with another error", create, ErrNoNode, "ours", 0, nil, false},
		{"created, and deleted since", create, ErrNodeExists, "", 0, zk.ErrNoNode, false},
		{"set", set, ErrBadVersion, "ours", 5, nil, true},
		{"set by another", set, ErrBadVersion, "theirs", 5, nil, false},
		{"set to the same data later", set, ErrBadVersion, "ours", 6, nil, false},
		{"set, but failed with another error", set, ErrNoNode, "ours", 5, nil, false},
		{"set, and deleted since", set, ErrBadVersion, "ours", 5, zk.ErrNoNode, false},
	} {
		conn.get = func() ([]byte, *zk.Stat, error) { return []byte(c.data), &zk.Stat{Version: int32(c.version)}, c.read }
		version, err := d.nodes.Settle(ctx, c.op, c.failure)
		if c.want && (err != nil || version != c.version) || !c.want && err != c.failure {
			t.Errorf("%s: version %d, %v", c.name, version, err)
		}
	}
}

// After a lost answer, a failed check of the epoch ends the operation: the node is not read.
func TestALostAnswerIsNotSettledInAnotherTerm(t *testing.T) {
	conn := &scripted{}
	d, ctx := begun(t, conn)
	ours := []byte("ours")
	for name, op := range map[string]zkclient.Op{"create": zkclient.CreateOp("/a", ours), "set": zkclient.SetOp("/a", ours, 4), "delete": zkclient.DeleteOp("/a")} {
		conn.calls = 0
		conn.multi = func(ops []any) ([]zk.MultiResponse, error) {
			if conn.calls == 1 {
				return nil, zk.ErrConnectionClosed
			}
			return failing(ops, 0, zk.ErrBadVersion)
		}
		conn.get = func() ([]byte, *zk.Stat, error) { return ours, &zk.Stat{Version: 5}, nil }
		if _, err := d.nodes.apply(ctx, Fence{3}, name, op); !errors.Is(err, ErrControllerMoved) || conn.calls != 2 {
			t.Errorf("%s: %v after %d requests", name, err, conn.calls)
		}
	}
}

// In a deletion of several nodes, a missing node is not an error, and a success does not hide a
// later failure.
func TestADeletionOfSeveralNodesFailsIfAnyOfThemFails(t *testing.T) {
	paths := []string{"/a", "/b", "/c"}
	for _, c := range []struct {
		name   string
		answer map[string]error
		want   error
	}{
		{"all exist", nil, nil},
		{"the first is missing", map[string]error{"/a": zk.ErrNoNode}, nil},
		{"the last has children", map[string]error{"/c": zk.ErrNotEmpty}, zk.ErrNotEmpty},
		{"one is missing and the last has children", map[string]error{"/b": zk.ErrNoNode, "/c": zk.ErrNotEmpty}, zk.ErrNotEmpty},
	} {
		conn := &scripted{multi: func(ops []any) ([]zk.MultiResponse, error) {
			for i, op := range ops {
				if err := c.answer[op.(*zk.DeleteRequest).Path]; err != nil {
					return failing(ops, i, err)
				}
			}
			return done(ops)
		}}
		d, ctx := begun(t, conn)
		if err := d.nodes.removeAll(ctx, NoFence(), paths); !errors.Is(err, c.want) {
			t.Errorf("%s, in any order: %v, want %v", c.name, err, c.want)
		}
		if err := d.nodes.removeInOrder(ctx, NoFence(), paths); !errors.Is(err, c.want) {
			t.Errorf("%s, in order: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestTheRootOfATreeIsDeletedTogetherWithGivenNodes(t *testing.T) {
	for together, want := range map[string]string{"": "/a/x; /a", "/mark": "/a/x; /a /mark"} {
		var transactions []string
		deleted := map[string]bool{}
		conn := &scripted{children: func(path string) []string { return map[string][]string{"/a": {"x"}}[path] }}
		conn.multi = func(ops []any) ([]zk.MultiResponse, error) {
			var paths []string
			for i, op := range ops {
				path := op.(*zk.DeleteRequest).Path
				if deleted[path] {
					return failing(ops, i, zk.ErrNoNode)
				}
				paths = append(paths, path)
			}
			for _, path := range paths {
				deleted[path] = true
			}
			transactions = append(transactions, strings.Join(paths, " "))
			return done(ops)
		}
		d, ctx := begun(t, conn)
		must(t, d.nodes.removeTree(ctx, NoFence(), "/a", strings.Fields(together)...))
		if together == "" {
			transactions = strings.Fields(strings.Join(transactions, " "))
		}
		if have := strings.Join(transactions, "; "); have != want {
			t.Errorf("together with %q: transactions %q, want %q", together, have, want)
		}
	}
}

func TestABrokenRegistrationIsAnInvalidNode(t *testing.T) {
	conn := &scripted{
		get:      func() ([]byte, *zk.Stat, error) { return []byte(`{"version":`), &zk.Stat{Czxid: 7}, nil },
		children: func(string) []string { return []string{"1"} },
	}
	d, ctx := begun(t, conn)
	if info, _, err := d.BrokerNode(ctx, 1); !errors.Is(err, ErrInvalidNode) || info != nil {
		t.Errorf("one broker: %+v, %v", info, err)
	}
	if brokers, err := d.Brokers(ctx); !errors.Is(err, ErrInvalidNode) || brokers != nil {
		t.Errorf("all brokers: %v, %v", brokers, err)
	}
}

func TestBatchesStayBelowTheServersLimits(t *testing.T) {
	for _, size := range []int{0, 10_000, 400_000, 900_000} {
		data := make([]byte, size)
		writes := make([]zkclient.Op, 1000)
		for i := range writes {
			path := fmt.Sprintf("/a/%d", i)
			writes[i] = zkclient.SetOp(path, data, 0)
		}
		next := 0
		for _, b := range cut(writes) {
			bytes := 0
			for _, w := range writes[b[0]:b[1]] {
				bytes += w.Size()
			}
			if b[0] != next || b[0] == b[1] || b[1]-b[0] > batchOps || b[1]-b[0] > 1 && bytes > batchBytes {
				t.Fatalf("writes of %d bytes: a batch from %d to %d of %d bytes", size, b[0], b[1], bytes)
			}
			next = b[1]
		}
		if next != len(writes) {
			t.Errorf("writes of %d bytes: only %d are in batches", size, next)
		}
	}
}
