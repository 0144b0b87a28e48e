package zkstore

import (
	"errors"
	"testing"

	"github.com/go-zookeeper/zk"
)

// growing is a connection to a tree of nodes that supports only the creation of nodes.
type growing struct {
	scripted
	nodes map[string]string // path -> data
}

func (c *growing) Create(path string, data []byte, _ int32, _ []zk.ACL) (string, error) {
	if _, exists := c.nodes[path]; exists {
		return "", zk.ErrNodeExists
	}
	if _, exists := c.nodes[parentPath(path)]; !exists && parentPath(path) != "/" {
		return "", zk.ErrNoNode
	}
	c.nodes[path] = string(data)
	return path, nil
}

func TestTheFirstClaimOfAPartitionCreatesItsParents(t *testing.T) {
	conn := &growing{nodes: map[string]string{}}
	d, ctx := begun(t, conn)
	for _, tp := range []TopicPartition{{Topic: "t"}, {Topic: "t", Partition: 1}} {
		if err := d.ClaimPartition(ctx, "g", tp, "c-0"); err != nil {
			t.Errorf("claim %v: %v", tp, err)
		}
		if owner := conn.nodes[consumerOwnerPath("g", tp)]; owner != "c-0" {
			t.Errorf("%v is owned by %q", tp, owner)
		}
	}
	d.End()
	if err := d.ClaimPartition(ctx, "g", TopicPartition{Topic: "t", Partition: 2}, "c-0"); !errors.Is(err, ErrSessionExpired) {
		t.Errorf("claim in an ended session: %v", err)
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
		if err := d.createEphemeral(ctx, "/a", []byte("ours")); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}
