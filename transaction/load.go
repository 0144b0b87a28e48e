package transaction

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/monedula/monedula/coordinator"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

// BecameLeader starts loading the transactional ids of a partition that this broker leads now. Until
// they are loaded, requests for them are answered with COORDINATOR_LOAD_IN_PROGRESS. Ids that were
// loaded in an earlier epoch are dropped first, because their records have that epoch.
//
// Nothing is loaded if the topic has got more partitions since this broker started: brokers that have
// started later look for the ids in other partitions.
func (c *Coordinator) BecameLeader(id TopicPartition, epoch metadata.LeaderEpoch) {
	if !c.rt.Has(id) {
		return
	}
	c.logf(Info, CoordinatorLine, "Elected as the txn coordinator for partition %d at epoch %d", id.Partition, epoch)
	c.unload(id.Partition, epoch)
	if n := c.partitionsNow(); n > c.opts.Partitions {
		c.logf(Failure, StateManagerLine, "Not loading transaction metadata from %s: Transaction topic number of partitions has changed from %d to %d; restart this broker",
			id, c.opts.Partitions, n)
		return
	}
	if outcome, known := c.rt.Elect(id.Partition, epoch); outcome == coordinator.Outdated {
		c.logf(Info, StateManagerLine, "Not loading transaction metadata from %s at epoch %d since current epoch is %d", id, epoch, known)
	}
}

// partitionsNow returns the number of partitions of __transaction_state that the metadata shows. It is
// smaller than the actual number while some of them have never had a leader.
func (c *Coordinator) partitionsNow() (n int32) {
	if t := c.metadata.Snapshot().Topics[metadata.TransactionStateTopic]; t != nil {
		for index := range t.Partitions {
			n = max(n, index+1)
		}
	}
	return n
}

// Resigned drops the transactional ids of a partition that this broker no longer leads. An epoch
// below 0 means that the replica was deleted. Resigned takes the locks of the ids, which are held
// while records are appended. It does not wait for an append, because earlier ones have returned
// before it is called (replication.LeadershipListener) and later ones are refused.
func (c *Coordinator) Resigned(id TopicPartition, epoch metadata.LeaderEpoch) {
	if !c.rt.Has(id) {
		return
	}
	c.logf(Info, CoordinatorLine, "Resigned as the txn coordinator for partition %d at epoch %d", id.Partition, epoch)
	if dropped := c.unload(id.Partition, epoch); dropped.WasOwned {
		c.logf(Info, StateManagerLine, "Unloaded %d transactional ids of %s at epoch %d", len(dropped.Entries), id, epoch)
	}
}

// unload drops the ids of a partition. Changes that are being stored get NOT_COORDINATOR, and no more
// markers are sent.
func (c *Coordinator) unload(partition int32, epoch metadata.LeaderEpoch) coordinator.Resigned[entry] {
	dropped := c.rt.Resign(partition, epoch)
	for _, e := range dropped.Entries {
		e.mu.Lock()
		e.unloaded.Store(true)
		c.timers.Disarm(e)
		e.mu.Unlock()
	}
	return dropped
}

// load loads the ids of a partition. It implements coordinator.Load.
type load struct {
	c       *Coordinator
	home    Home
	parser  Parser
	entries map[string]*entry
}

func (c *Coordinator) newLoad(partition int32, epoch metadata.LeaderEpoch) coordinator.Load[entry] {
	l := &load{c: c, home: Home{partition, epoch}, entries: map[string]*entry{}}
	c.logf(Info, StateManagerLine, "Loading transaction metadata from %s at epoch %d", l.partition(), epoch)
	return l
}

func (l *load) partition() TopicPartition {
	return TopicPartition{Topic: metadata.TransactionStateTopic, Partition: l.home.Partition}
}

// Apply implements coordinator.Load. Records that do not parse are skipped and logged.
func (l *load) Apply(b record.Batch) {
	if b.Magic() >= 2 && b.IsControl() {
		return
	}
	err := b.Each(func(r *record.Record) error {
		if err := l.record(r); err != nil {
			l.c.logf(Failure, StateManagerLine, "Skipping the record at offset %d of %s: %v", r.Offset, l.partition(), err)
		}
		return nil
	})
	if err != nil {
		l.c.logf(Failure, StateManagerLine, "Skipping the rest of the batch at offset %d of %s (up to offset %d): %v", b.BaseOffset(), l.partition(), b.LastOffset(), err)
	}
}

// record applies one record. It does not keep the record's bytes.
func (l *load) record(r *record.Record) error {
	id, version, known, err := ParseKey(r.Key)
	switch {
	case err != nil:
		return err
	case !known:
		l.c.logf(Warn, StateManagerLine, "Unknown message key with version %d while loading transaction state from %s. Ignoring it. It could be a left over from an aborted upgrade.", version, l.partition())
		return nil
	case r.Value == nil:
		delete(l.entries, id)
		return nil
	}
	e := l.entries[id]
	if e != nil {
		id = e.txn.ID
	} else {
		id = strings.Clone(id)
	}
	txn, err := l.parser.Parse(id, l.home, r.Value)
	if err != nil {
		return err
	}
	if e == nil {
		e = &entry{txn: new(Transaction)}
		l.entries[id] = e
	}
	*e.txn = txn
	return nil
}

// Oversized implements coordinator.Load.
func (l *load) Oversized(bytes int) {
	l.c.logf(Warn, StateManagerLine, "Loaded transaction metadata from %s with buffer larger (%d bytes) than configured transaction.state.log.load.buffer.size (%d bytes)",
		l.partition(), bytes, l.c.opts.LoadBuffer)
}

// Entries implements coordinator.Load.
func (l *load) Entries(err error) map[string]*entry {
	switch {
	case errors.Is(err, coordinator.ErrNoLog):
		l.c.logf(Warn, StateManagerLine, "Attempted to load transaction metadata from %s, but found no log", l.partition())
	case err != nil:
		l.c.logf(Failure, StateManagerLine, "Error loading transactions from transaction log %s: %v", l.partition(), err)
	}
	return l.entries
}

// Publishing implements coordinator.Load.
func (*load) Publishing([]*entry) {}

// Published implements coordinator.Load. It resumes the transactions that are decided and sets the
// timers of those that are open, in the order of their ids.
func (l *load) Published(entries []*entry, t coordinator.Term) {
	loaded := len(entries)
	l.c.logf(Info, StateManagerLine, "Finished loading %d transaction metadata from %s in %d milliseconds, of which %d milliseconds was spent in the scheduler.",
		loaded, l.partition(), l.c.now().Sub(t.Began).Milliseconds(), t.Waited.Milliseconds())
	open := slices.DeleteFunc(entries, func(e *entry) bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		s := e.txn.State()
		return s != Ongoing && !s.preparing()
	})
	slices.SortFunc(open, func(a, b *entry) int { return strings.Compare(a.txn.ID, b.txn.ID) })
	for _, e := range open {
		l.c.step(e, func(txn *Transaction, now time.Time) *Effects { return txn.Loaded(now) })
	}
	l.c.logf(Info, StateManagerLine, "Completed loading transaction metadata from %s for coordinator epoch %d", l.partition(), t.Epoch)
}
