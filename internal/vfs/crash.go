package vfs

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// Survival says what of the unsynced state a crash leaves.
type Survival int8

const (
	// SyncedOnly loses all that was not synced.
	SyncedOnly Survival = iota
	// Everything loses nothing: the process died, the machine did not. What was
	// not synced is still not synced, so that a later crash may lose it.
	Everything
	// Random keeps, by the seed, in each directory a first part of the
	// unsynced changes of names, and of each file any of its unsynced pages,
	// pages cut in two, and any size between the synced and the last one.
	Random
)

// CrashClone returns the file system as a restart finds it after a crash now.
// What was synced is always there; of the rest what survival says. The
// original goes on unchanged. Locks do not survive.
func (m *Mem) CrashClone(survival Survival, seed uint64) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := crash{survival: survival, random: rand.New(rand.NewPCG(seed, 0x6d6f6e6564756c61)), nodes: map[*node]*node{}}
	return &Mem{root: c.node(m.root), locks: map[string]bool{}}
}

type crash struct {
	survival Survival
	random   *rand.Rand
	nodes    map[*node]*node // a linked file, or one renamed unsynced, is under two names
}

func (c *crash) node(n *node) *node {
	if clone := c.nodes[n]; clone != nil {
		return clone
	}
	clone := &node{dir: n.dir, modTime: n.modTime}
	c.nodes[n] = clone
	if !n.dir {
		clone.data = c.content(n)
		clone.synced = clone.data.share()
		if c.survival == Everything {
			clone.synced = n.synced.share()
		}
		return clone
	}
	clone.children = map[string]*node{}
	names := c.names(n)
	for _, name := range slices.Sorted(maps.Keys(names)) { // in order, so that a seed says all
		clone.children[name] = c.node(names[name])
	}
	clone.durable = maps.Clone(clone.children)
	if c.survival == Everything {
		c.keepUnsynced(n, clone)
	}
	return clone
}

// keepUnsynced gives a directory's clone the names that are durable and the
// changes since.
func (c *crash) keepUnsynced(n, clone *node) {
	clone.durable = make(map[string]*node, len(n.durable))
	for _, name := range slices.Sorted(maps.Keys(n.durable)) {
		clone.durable[name] = c.node(n.durable[name])
	}
	clone.unsynced = slices.Clone(n.unsynced)
	for i, change := range clone.unsynced {
		if change.node != nil {
			clone.unsynced[i].node = c.node(change.node)
		}
	}
}

func (c *crash) names(dir *node) map[string]*node {
	kept := 0
	switch c.survival {
	case Everything:
		return dir.children
	case Random:
		kept = c.random.IntN(len(dir.unsynced) + 1)
	}
	names := maps.Clone(dir.durable)
	for _, change := range dir.unsynced[:kept] {
		change.apply(names)
	}
	return names
}

func (c *crash) content(n *node) pages {
	switch c.survival {
	case Everything:
		return n.data.share()
	case SyncedOnly:
		return n.synced.share()
	}
	old, now := n.synced.share(), n.data.share()
	survived := pages{size: c.between(old.size, now.size)}
	for i := range int((survived.size + pageSize - 1) / pageSize) {
		a, b := old.at(i), now.at(i)
		if a != b && a != nil && b != nil && a.bytes == b.bytes {
			b = a
		}
		survived.pages = append(survived.pages, c.page(a, b))
	}
	survived.truncate(survived.size + 1) // the rest of the last page is zeros,
	survived.truncate(survived.size - 1) // wherever it came from
	return survived
}

// between picks a size: often one of the ends, and any other as well.
func (c *crash) between(a, b int64) int64 {
	low, high := min(a, b), max(a, b)
	switch c.random.IntN(4) {
	case 0:
		return a
	case 1:
		return b
	default:
		return low + c.random.Int64N(high-low+1)
	}
}

// page picks the old or the new page, or a new one cut off by the old.
func (c *crash) page(old, now *page) *page {
	if old == now {
		return old
	}
	switch c.random.IntN(4) {
	case 0:
		return old
	case 1:
		torn := &page{}
		if old != nil {
			torn.bytes = old.bytes
		}
		if now != nil {
			copy(torn.bytes[:c.random.IntN(pageSize+1)], now.bytes[:])
		}
		return torn
	default:
		return now
	}
}
