package coordinator

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/storage"
)

// ErrNoLog is the error of loading a partition that this broker no longer leads.
var ErrNoLog = errors.New("coordinator: the broker does not lead the partition")

// Load makes the entries of one partition from its records. Its methods are called by one goroutine,
// in the order in which they are listed. If the leadership is lost or Stop is called meanwhile, the
// remaining ones are not called.
type Load[E any] interface {
	// Apply applies a batch. It must not keep the batch's memory.
	Apply(b record.Batch)
	// Oversized reports that a batch has more bytes than the buffer.
	Oversized(bytes int)
	// Entries returns what was loaded, by key. err is not nil if the log was not read to its end:
	// ErrNoLog, or the error of reading it. The entries read before are used nevertheless, except if
	// there is no log or its directory has failed.
	Entries(err error) map[string]*E
	// Publishing is called with the partition locked, before the entries can be found.
	Publishing(entries []*E)
	// Published is called when the entries can be found.
	Published(entries []*E, t Term)
}

// Term is a term of leadership whose entries have been loaded.
type Term struct {
	Epoch  metadata.LeaderEpoch
	Began  time.Time     // when the loading was scheduled
	Waited time.Duration // from Began to the first read, while other partitions were loaded
}

// Election is the outcome of Runtime.Elect.
type Election int8

// Scheduled: the partition is being loaded. AlreadyOwned: it was loaded or being loaded before; its
// entries are kept. Outdated: the epoch is older than one that is known, so nothing changed.
const (
	Scheduled Election = iota
	AlreadyOwned
	Outdated
)

// Elect starts loading a partition that this broker leads from the epoch on. It also returns the
// latest known epoch from before the call.
func (r *Runtime[E]) Elect(index int32, epoch metadata.LeaderEpoch) (Election, metadata.LeaderEpoch) {
	p := &r.partitions[index]
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.epoch
	switch {
	case epoch < known:
		return Outdated, known
	case p.ownership != notOwned:
		p.epoch = epoch
		return AlreadyOwned, known
	}
	p.epoch, p.ownership, p.loadDone = epoch, beingLoaded, make(chan struct{})
	o := &loading[E]{r: r, index: index, ticket: p.loadDone, l: r.cfg.NewLoad(index, epoch), began: r.cfg.Now()}
	r.Begin(Work{Run: o.run, Step: o.step})
	return Scheduled, known
}

// Resigned is the outcome of Runtime.Resign.
type Resigned[E any] struct {
	Outdated bool                 // the epoch is older than one that is known, so nothing changed
	Known    metadata.LeaderEpoch // the latest known epoch from before the call
	WasOwned bool                 // the partition was loaded or being loaded
	Entries  map[string]*E        // the entries that were dropped
}

// Resign drops the entries of a partition that this broker no longer leads, and ends its load. An
// epoch below 0 means that the replica was deleted: if the topic is created again it starts with
// epoch 0.
func (r *Runtime[E]) Resign(index int32, epoch metadata.LeaderEpoch) Resigned[E] {
	p := &r.partitions[index]
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.epoch
	if epoch >= 0 && epoch < known {
		return Resigned[E]{Outdated: true, Known: known}
	}
	if p.epoch = max(known, epoch); epoch < 0 {
		p.epoch = metadata.NoLeaderEpoch
	}
	dropped := Resigned[E]{Known: known, WasOwned: p.ownership != notOwned, Entries: p.entries}
	p.ownership, p.entries, p.loadDone = notOwned, nil, nil
	return dropped
}

// AwaitLoaded waits until the load of a partition, if one is running, has ended. It returns false if
// there is no such partition or Stop was called before.
func (r *Runtime[E]) AwaitLoaded(index int32) bool {
	if index < 0 || int(index) >= len(r.partitions) {
		return false
	}
	p := &r.partitions[index]
	p.mu.Lock()
	wait := p.loadDone
	p.mu.Unlock()
	if wait == nil {
		return true
	}
	select {
	case <-wait:
		return true
	case <-r.done:
		return false
	}
}

// loading is the load of a partition that runs. Unless the leadership is lost, the log directory fails
// or Stop is called in the meantime, its entries are published: otherwise the log may not have been read
// to its end, so they may be outdated.
type loading[E any] struct {
	r      *Runtime[E]
	index  int32
	ticket chan struct{} // the partition's loadDone channel for this load: if it has been replaced, the load is obsolete
	l      Load[E]
	began  time.Time
	waited time.Duration // from began to the first read

	entries    map[string]*E // nil: not read yet
	replicated bool          // all that was read is on all in-sync replicas, or need not be
	end        replication.Written
	lost       bool // this broker cannot serve the partition, though it may not have resigned yet
}

// run does all of the load.
func (o *loading[E]) run() {
	o.read()
	for !o.publish(waitStep) {
	}
}

// step does the next part of the load, without waiting.
func (o *loading[E]) step() (left bool) {
	if o.entries == nil {
		o.read()
	}
	return !o.publish(0)
}

// current reports whether the entries are still wanted. The caller must hold the partition's mu.
func (o *loading[E]) current() bool {
	return o.r.partitions[o.index].loadDone == o.ticket && !o.r.ended()
}

func (o *loading[E]) wanted() bool {
	p := &o.r.partitions[o.index]
	p.mu.Lock()
	defer p.mu.Unlock()
	return o.current()
}

// read reads the partition.
func (o *loading[E]) read() {
	r := o.r
	r.loads <- struct{}{}
	defer func() { <-r.loads }()
	o.waited = r.cfg.Now().Sub(o.began)
	err := ErrNoLog
	if log := r.cfg.Topic.Log(o.index); log != nil {
		err = Read(log, r.cfg.LoadBuffer, o.wanted, o.l.Oversized, o.l.Apply)
	}
	o.lost = err == ErrNoLog || errors.Is(err, protocol.KafkaStorageError)
	if o.replicated = !r.cfg.Replicated; !o.replicated && !o.lost {
		var unled error
		o.end, unled = r.cfg.Topic.End(o.index)
		o.lost = unled != nil
	}
	o.entries = o.l.Entries(err)
	if o.entries == nil {
		o.entries = map[string]*E{}
	}
}

// publish publishes the entries, if necessary when all that was read is replicated. It waits for that
// at most for the given time, and reports whether the load has ended.
func (o *loading[E]) publish(most time.Duration) (ended bool) {
	if !o.replicated && !o.lost {
		if !o.wanted() {
			close(o.ticket)
			return true
		}
		err := o.r.cfg.Topic.AwaitReplicated(o.index, o.end, most, o.r.done)
		if errors.Is(err, protocol.RequestTimedOut) {
			return false
		}
		o.replicated, o.lost = true, err != nil && !errors.Is(err, protocol.NotEnoughReplicasAfterAppend)
	}
	defer close(o.ticket)
	r, p := o.r, &o.r.partitions[o.index]
	loaded := make([]*E, 0, len(o.entries)) // a copy, since entries changes once it is published
	for _, e := range o.entries {
		loaded = append(loaded, e)
	}
	p.mu.Lock()
	switch {
	case !o.current():
		p.mu.Unlock()
		return true
	case o.lost: // the entries would be missing
		p.ownership, p.loadDone = notOwned, nil
		p.mu.Unlock()
		return true
	}
	o.l.Publishing(loaded)
	p.ownership, p.entries, p.loadDone = owned, o.entries, nil
	t := Term{Epoch: p.epoch, Began: o.began, Waited: o.waited}
	p.mu.Unlock()
	o.l.Published(loaded, t)
	now := r.cfg.Now()
	r.loadTimes.add(now, now.Sub(o.began))
	return true
}

// Read calls apply for the batches of a log from its start to its current end, with one buffer of
// bufferSize bytes. If a batch is larger, it calls oversized and extends the buffer. It stops when
// wanted, which is called between reads, returns false.
func Read(log Log, bufferSize int, wanted func() bool, oversized func(bytes int), apply func(record.Batch)) error {
	r := reader{log: log, size: bufferSize, oversized: oversized}
	at := log.Offsets().LogStart
	for at < log.Offsets().LogEnd && wanted() {
		set, err := r.chunk(at)
		if err != nil {
			return fmt.Errorf("reading from offset %d: %w", at, err)
		}
		if len(set) == 0 {
			return nil
		}
		next, err := applyComplete(set, at, apply)
		if err != nil {
			return err
		}
		if next <= at {
			return fmt.Errorf("no progress at offset %d", at)
		}
		at = next
	}
	return nil
}

// reader reads a log with one buffer.
type reader struct {
	log       Log
	size      int // of the buffer, unless a batch is larger
	oversized func(bytes int)
	buffer    []byte
}

// chunk reads the next batches. The last one may be incomplete, but not if it is the only one.
func (r *reader) chunk(at record.Offset) ([]byte, error) {
	data, err := r.log.Read(storage.Read{Offset: at, MaxBytes: int32(r.size), MinOneMessage: true, Bound: storage.UpToLogEnd})
	if err != nil {
		return nil, err
	}
	defer data.Release()
	if data.Length == 0 {
		return nil, nil
	}
	if int(data.Length) > r.size && len(r.buffer) < int(data.Length) {
		r.oversized(int(data.Length))
	}
	if len(r.buffer) < int(data.Length) {
		r.buffer = make([]byte, data.Length)
	}
	n, err := data.File.ReadAt(r.buffer[:data.Length], data.Position)
	if err != nil && err != io.EOF {
		return nil, protocol.Errorf(protocol.KafkaStorageError, "%v", err)
	}
	return r.buffer[:n], nil
}

// applyComplete applies the complete batches of set and returns the offset after the last one. An
// incomplete batch at the end is left to the next read.
func applyComplete(set []byte, from record.Offset, apply func(record.Batch)) (next record.Offset, err error) {
	next = from
	for batch, err := range record.Batches(set) {
		if err != nil {
			return next, fmt.Errorf("the batch after offset %d does not parse: %w", next, err)
		}
		if batch.NextOffset() > from {
			apply(batch)
		}
		next = batch.NextOffset()
	}
	return next, nil
}
