package network

// Buffers is a bounded free list of byte slices in power-of-two size classes.
// Unlike a sync.Pool it survives garbage collections, and unlike the heap it
// gives large frames the same memory again. Safe for concurrent use.
type Buffers struct{ _ int }

// NewBuffers returns a free list that keeps at most limit bytes.
func NewBuffers(limit int64) *Buffers { panic("unwritten") }

// Get returns a slice of length n with arbitrary content.
func (b *Buffers) Get(n int) []byte { panic("unwritten") }

// Put takes back a slice that Get returned (or one of its prefixes); nobody
// may use it after. Under the race detector its bytes are overwritten.
func (b *Buffers) Put(p []byte) { panic("unwritten") }
