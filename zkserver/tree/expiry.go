package tree

import (
	"math"
	"slices"

	"github.com/monedula/monedula/zkserver/jute"
)

// nodeKind is what the owner of a node says about it.
type nodeKind int

const (
	lasting   nodeKind = iota
	ephemeral          // owned by a session
	container          // deleted after its last child
	ttl                // deleted when it has no children and was not changed for a time
)

// The owners of nodes that are not owned by a session. The owner of a TTL node contains the time in
// milliseconds in its lower five bytes.
const (
	containerOwner  int64 = math.MinInt64
	ttlOwnerBits    int64 = -1 << 56
	ttlReservedBits int64 = 0xffff << 40
	// MaxTTLMs is the longest time to live of a node.
	MaxTTLMs int64 = 1<<40 - 1
)

func ttlOwner(ms int64) int64 { return ttlOwnerBits | ms&MaxTTLMs }

func kindOf(owner int64) nodeKind {
	switch {
	case owner == 0:
		return lasting
	case owner == containerOwner:
		return container
	case owner&(ttlOwnerBits|ttlReservedBits) == ttlOwnerBits:
		return ttl
	}
	return ephemeral
}

// Expired returns the sorted paths of the container and TTL nodes that may be deleted. A container
// that never had a child is kept.
func (t *Tree) Expired(nowMs int64) []string {
	var paths []string
	for path := range t.expiring {
		n := t.nodes[path]
		if len(n.children) > 0 {
			continue
		}
		switch owner := n.saved.EphemeralOwner; kindOf(owner) {
		case container:
			if n.saved.Cversion > 0 {
				paths = append(paths, path)
			}
		case ttl:
			if nowMs-n.saved.Mtime > owner&MaxTTLMs {
				paths = append(paths, path)
			}
		}
	}
	slices.Sort(paths)
	return paths
}

// Expire deletes a node that Expired returned. It belongs to no session, and takes a zxid.
func (t *Tree) Expire(path string, nowMs int64) []Event {
	n := t.nodes[path]
	if n == nil || len(n.children) > 0 {
		return nil
	}
	c := t.begin(0, nowMs)
	txn := &jute.DeleteTxn{Path: path}
	_, _, _ = c.apply(jute.OpDeleteContainer, txn)
	t.record(0, jute.OpDeleteContainer, txn)
	return c.commit()
}
