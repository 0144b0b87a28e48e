package network

import (
	"math/bits"
	"sync"
)

// Buffers is a free list of byte slices with a size limit. It has four size classes for each power
// of two. Unlike those in a sync.Pool, its slices survive garbage collection, and unlike the heap
// it reuses the same memory for large frames. It is safe for concurrent use.
type Buffers struct {
	limit int64

	mu      sync.Mutex
	classes [64 * 4][][]byte // guarded by mu
	used    [64 * 4]uint64   // guarded by mu: clock at the last Get or Put of a class
	trimmed uint64           // guarded by mu: clock at the last Trim
	clock   uint64           // guarded by mu
	kept    int64            // guarded by mu: bytes in classes
}

// smallestBuffer is the size of the first class in bytes.
const smallestBuffer = 1024

// DefaultBufferLimit is how many bytes the free list of a Server keeps if Config.Buffers is nil.
const DefaultBufferLimit = 64 << 20

// NewBuffers returns a free list that keeps at most limit bytes.
func NewBuffers(limit int64) *Buffers { return &Buffers{limit: limit} }

// class returns the index of the smallest class that holds n bytes, and its size.
func class(n int) (index, size int) {
	n = max(n, smallestBuffer)
	shift := bits.Len(uint(n-1)) - 3
	size = (n + 1<<shift - 1) >> shift << shift
	if size>>shift == 8 { // rounded up to the next power of two
		shift++
	}
	return shift*4 + size>>shift - 4, size
}

// Get returns a slice of length n with arbitrary content. The caller owns it until it calls Put.
func (b *Buffers) Get(n int) []byte {
	index, size := class(n)
	b.mu.Lock()
	b.clock++
	b.used[index] = b.clock
	free := b.classes[index]
	if len(free) == 0 {
		b.mu.Unlock()
		return make([]byte, n, size)
	}
	p := free[len(free)-1]
	free[len(free)-1] = nil
	b.classes[index] = free[:len(free)-1]
	b.kept -= int64(size)
	b.mu.Unlock()
	return p[:n]
}

// Put takes back a slice returned by Get, or a prefix of one. The caller must not use it
// afterwards. Under the race detector its bytes are overwritten.
func (b *Buffers) Put(p []byte) {
	p = p[:cap(p)]
	index, size := class(len(p))
	if size != len(p) {
		return // not from Get
	}
	poison(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock++
	b.used[index] = b.clock
	if int64(size) > b.limit/2 {
		return
	}
	for b.kept+int64(size) > b.limit {
		b.evictLocked()
	}
	b.classes[index] = append(b.classes[index], p)
	b.kept += int64(size)
}

// evictLocked drops one slice of the class that has been unused longest. The caller must hold mu.
func (b *Buffers) evictLocked() {
	oldest := -1
	for i := range b.classes {
		if len(b.classes[i]) > 0 && (oldest < 0 || b.used[i] < b.used[oldest]) {
			oldest = i
		}
	}
	last := len(b.classes[oldest]) - 1
	b.kept -= int64(cap(b.classes[oldest][last]))
	b.classes[oldest][last] = nil
	b.classes[oldest] = b.classes[oldest][:last]
}

// Trim drops the slices of all classes that have not been used since the last Trim, so that an idle
// broker frees the memory it needed under load.
func (b *Buffers) Trim() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.classes {
		if b.used[i] > b.trimmed {
			continue
		}
		for _, p := range b.classes[i] {
			b.kept -= int64(cap(p))
		}
		b.classes[i] = nil
	}
	b.trimmed = b.clock
}

// Kept returns the number of bytes in the free list.
func (b *Buffers) Kept() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.kept
}
