package vfs

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// Survival selects the unsynced state that survives a crash.
type Survival int8

const (
	// SyncedOnly keeps only what was synced.
	SyncedOnly Survival = iota
	// Everything keeps everything: only the process died, not the machine. What was not synced is
	// still not synced, so a later crash may lose it.
	Everything
	// Random keeps what the seed selects. Each directory keeps a prefix of its unsynced name
	// changes. Each file keeps some of its unsynced pages, whole or torn, and has a size between
	// the synced and the current one.
	Random
)

// CrashClone returns the file system as a restart after a crash now would find it. It contains
// everything that was synced; survival determines which other changes survive. The original is not
// changed. Locks do not survive.
func (m *Mem) CrashClone(survival Survival, seed uint64) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := crash{survival: survival, random: rand.New(rand.NewPCG(seed, 0x6d6f6e6564756c61)), nodes: map[*node]*node{}}
	return &Mem{root: c.node(m.root), locks: map[string]bool{}}
}

type crash struct {
	survival Survival
	random   *rand.Rand
	nodes    map[*node]*node // a linked file, or one whose rename is not synced, has two names
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
	for _, name := range slices.Sorted(maps.Keys(names)) { // in order, so the result depends only on the seed
		clone.children[name] = c.node(names[name])
	}
	clone.durable = maps.Clone(clone.children)
	if c.survival == Everything {
		c.keepUnsynced(n, clone)
	}
	return clone
}

// keepUnsynced gives the clone of a directory the durable names and the changes since.
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
	survived.truncate(survived.size + 1) // clears the rest of the last page,
	survived.truncate(survived.size - 1) // from whichever version it is
	return survived
}

// between picks a size between a and b; half of the time it is one of the two.
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

// page picks the old page, the new page, or a torn page: a prefix of the new one and the rest of
// the old one.
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
