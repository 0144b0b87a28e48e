package zkstore

import (
	"errors"
	"testing"

	"github.com/go-zookeeper/zk"

	"github.com/monedula/monedula/zkstore/zkclient"
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
	if _, exists := c.nodes[zkclient.ParentPath(path)]; !exists && zkclient.ParentPath(path) != "/" {
		return "", zk.ErrNoNode
	}
	c.nodes[path] = string(data)
	return path, nil
}

func TestTheFirstClaimOfAPartitionCreatesItsParents(t *testing.T) {
	conn := &growing{nodes: map[string]string{}}
	s, sessions := NewSteppable(Config{})
	sessions.Begin(conn)
	ctx := s.BindSession(t.Context())
	for _, tp := range []TopicPartition{{Topic: "t"}, {Topic: "t", Partition: 1}} {
		if err := s.ClaimPartition(ctx, "g", tp, "c-0"); err != nil {
			t.Errorf("claim %v: %v", tp, err)
		}
		if owner := conn.nodes[consumerOwnerPath("g", tp)]; owner != "c-0" {
			t.Errorf("%v is owned by %q", tp, owner)
		}
	}
	sessions.End()
	if err := s.ClaimPartition(ctx, "g", TopicPartition{Topic: "t", Partition: 2}, "c-0"); !errors.Is(err, ErrSessionExpired) {
		t.Errorf("claim in an ended session: %v", err)
	}
}
