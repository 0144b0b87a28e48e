package coordinator

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
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
	// ErrNoLog, or the error of reading it. The entries read before are used nevertheless.
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
	p.epoch, p.ownership, p.loadDone = epoch, loading, make(chan struct{})
	ticket := p.loadDone
	l, began := r.cfg.NewLoad(index, epoch), time.Now()
	r.Go(func() {
		defer close(ticket)
		r.load(index, ticket, l, began)
	})
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

// load reads the partition and publishes its entries, unless the leadership is lost or Stop is called
// in the meantime: the log may not have been read to its end, so the entries may be outdated.
// ticket is the partition's loadDone channel for this load: if it has been replaced, the load is
// obsolete.
func (r *Runtime[E]) load(index int32, ticket chan struct{}, l Load[E], began time.Time) {
	r.loads <- struct{}{}
	defer func() { <-r.loads }()
	waited := time.Since(began)
	p := &r.partitions[index]
	current := func() bool { return p.loadDone == ticket && !r.ended() } // the caller must hold p.mu
	wanted := func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return current()
	}
	err := ErrNoLog
	if log := r.cfg.Topic.Log(index); log != nil {
		err = Read(log, r.cfg.LoadBuffer, wanted, l.Oversized, l.Apply)
	}
	entries := l.Entries(err)
	loaded := make([]*E, 0, len(entries)) // a copy, since entries changes once it is published
	for _, e := range entries {
		loaded = append(loaded, e)
	}
	p.mu.Lock()
	if !current() {
		p.mu.Unlock()
		return
	}
	l.Publishing(loaded)
	p.ownership, p.entries, p.loadDone = owned, entries, nil
	t := Term{Epoch: p.epoch, Began: began, Waited: waited}
	p.mu.Unlock()
	l.Published(loaded, t)
	r.loadTimes.add(time.Now(), time.Since(began))
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
		return nil, err
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
