package coordinator

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// HashPartition returns which partition of an internal topic stores the group or the transactional
// id, if the topic has this many partitions.
func HashPartition(id string, partitions int32) int32 {
	return javatext.Abs(javatext.StringHash(id)) % partitions
}

// Config is what a Runtime needs.
type Config[E any] struct {
	TopicName     string
	Partitions    int32 // does not change while the broker runs; at least 1 is used
	Topic         Topic
	ParallelLoads int // partitions loaded at the same time; at least 1 is used
	LoadBuffer    int // bytes read at a time; a larger batch is read whole
	// NewLoad returns a Load for a partition when the loading is scheduled.
	NewLoad func(partition int32, epoch metadata.LeaderEpoch) Load[E]
	// Replicated: entries are published only when all records of which they were made are on all in-sync
	// replicas. Otherwise the next leader may not have some of them.
	Replicated bool

	Now func() time.Time // the clock; nil: time.Now
	// Drive is given the steps of background work, which then needs no goroutine; nil: goroutines do
	// the work. See Work.
	Drive func(step func() (left bool))
}

// Runtime has the entries of the partitions that this broker leads. Create it with New, call Start
// before requests are served and Stop before the replication stops.
type Runtime[E any] struct {
	cfg        Config[E]
	partitions []partition[E]
	loads      chan struct{} // one slot for each partition that may be read at the same time
	loadTimes  loadTimes

	active atomic.Bool
	done   chan struct{} // closed by Stop

	life    sync.Mutex // a leaf; guards stopped, and wg against Stop
	stopped bool
	wg      sync.WaitGroup
}

// partition is one partition of the internal topic.
type partition[E any] struct {
	mu        sync.Mutex
	epoch     metadata.LeaderEpoch // the latest known leader epoch; NoLeaderEpoch: none
	ownership ownership
	entries   map[string]*E
	loadDone  chan struct{} // closed when the running load has ended; nil: no load runs

	waiting waiting
}

// ownership describes whether this broker coordinates a partition's entries.
type ownership int8

const (
	notOwned ownership = iota
	beingLoaded
	owned
)

// New returns a runtime without entries. It refuses requests until Start.
func New[E any](cfg Config[E]) *Runtime[E] {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	r := &Runtime[E]{cfg: cfg,
		partitions: make([]partition[E], max(cfg.Partitions, 1)),
		loads:      make(chan struct{}, max(cfg.ParallelLoads, 1)),
		done:       make(chan struct{}),
	}
	for i := range r.partitions {
		r.partitions[i].epoch = metadata.NoLeaderEpoch
	}
	return r
}

// Start makes Lookup accept requests.
func (r *Runtime[E]) Start() { r.active.Store(true) }

// Stop makes Lookup refuse requests, closes Done, and waits until all goroutines have ended. It may
// be called again.
func (r *Runtime[E]) Stop() {
	r.active.Store(false)
	r.life.Lock()
	if !r.stopped {
		r.stopped = true
		close(r.done)
	}
	r.life.Unlock()
	r.wg.Wait()
}

// Done returns a channel that Stop closes.
func (r *Runtime[E]) Done() <-chan struct{} { return r.done }

// ended reports whether Stop has been called.
func (r *Runtime[E]) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// Go runs work in a goroutine for which Stop waits. It does nothing and returns false once Stop has
// been called.
func (r *Runtime[E]) Go(work func()) bool {
	r.life.Lock()
	defer r.life.Unlock()
	if !r.stopped {
		r.wg.Go(work)
	}
	return !r.stopped
}

// Every calls work after each interval, as background work of its own, until Stop.
func (r *Runtime[E]) Every(interval time.Duration, work func()) {
	interval = max(interval, time.Millisecond)
	run := func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				work()
			case <-r.done:
				return
			}
		}
	}
	next := r.cfg.Now().Add(interval)
	r.Begin(Work{Run: run, Step: func() bool {
		if now := r.cfg.Now(); !now.Before(next) {
			next = now.Add(interval)
			work()
		}
		return true
	}})
}

// Active reports whether requests are accepted.
func (r *Runtime[E]) Active() bool { return r.active.Load() }

// PartitionFor returns the partition that stores the entry with the key.
func (r *Runtime[E]) PartitionFor(key string) int32 {
	return HashPartition(key, int32(len(r.partitions)))
}

// Has reports whether id is a partition of the internal topic. Partitions that were added after the
// broker started are not coordinated.
func (r *Runtime[E]) Has(id metadata.TopicPartition) bool {
	return id.Topic == r.cfg.TopicName && id.Partition >= 0 && int(id.Partition) < len(r.partitions)
}

// Lookup returns the entry with the key, or nil if it does not exist, and the code with which a
// request for the key must be refused now, or None.
func (r *Runtime[E]) Lookup(key string) (*E, protocol.ErrorCode) {
	if !r.active.Load() {
		return nil, protocol.CoordinatorNotAvailable
	}
	p := &r.partitions[r.PartitionFor(key)]
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.ownership {
	case beingLoaded:
		return nil, protocol.CoordinatorLoadInProgress
	case notOwned:
		return nil, protocol.NotCoordinator
	}
	return p.entries[key], protocol.None
}

// FindOrCreate returns the entry with the key. If it does not exist, create returns it with a copy
// of the key; it is called with the partition locked. FindOrCreate returns nil if the broker does not
// own the partition.
func (r *Runtime[E]) FindOrCreate(key string, create func(partition int32, epoch metadata.LeaderEpoch) (string, *E)) *E {
	index := r.PartitionFor(key)
	p := &r.partitions[index]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ownership != owned {
		return nil
	}
	e := p.entries[key]
	if e == nil {
		key, e = create(index, p.epoch)
		p.entries[key] = e
	}
	return e
}

// Remove removes the entry if it is the one with the key.
func (r *Runtime[E]) Remove(key string, e *E) {
	p := &r.partitions[r.PartitionFor(key)]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.entries[key] == e {
		delete(p.entries, key)
	}
}

// All returns all entries, and reports whether partitions are being loaded.
func (r *Runtime[E]) All() (entries []*E, isLoading bool) {
	for i := range r.partitions {
		p := &r.partitions[i]
		p.mu.Lock()
		isLoading = isLoading || p.ownership == beingLoaded
		for _, e := range p.entries {
			entries = append(entries, e)
		}
		p.mu.Unlock()
	}
	return entries, isLoading
}
