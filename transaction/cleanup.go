package transaction

import (
	"cmp"
	"slices"
	"time"

	"github.com/monedula/monedula/protocol"
)

// AbortTimedOut aborts the transactions that have been open for longer than their timeout, and fences
// their producers.
func (c *Coordinator) AbortTimedOut() {
	var due []*entry
	c.timers.Due(func(e *entry) { due = append(due, e) })
	for _, e := range due {
		c.step(e, func(t *Transaction, now time.Time) *Effects {
			e.Fired()
			if effects := t.AbortIfTimedOut(now); effects != nil {
				return effects
			}
			c.arm(e) // the timeout is not over yet, or a change is being stored
			return nil
		})
	}
}

// tombstoneBytes is the approximate maximum size of a batch of tombstones.
const tombstoneBytes = 256 << 10

// RemoveExpired removes the ids that have not been used for transactional.id.expiration.ms, with
// batches of tombstones.
func (c *Coordinator) RemoveExpired() {
	entries, _ := c.rt.All()
	slices.SortStableFunc(entries, func(a, b *entry) int { return cmp.Compare(a.partition(), b.partition()) })
	for len(entries) > 0 {
		b := tombstones{c: c, partition: entries[0].partition()}
		for len(entries) > 0 && entries[0].partition() == b.partition {
			b.add(entries[0])
			entries = entries[1:]
		}
		b.append()
	}
}

// tombstones is a batch of tombstones of one partition. The locks of its entries are held until they
// are appended, so the partition is not unloaded before.
type tombstones struct {
	c         *Coordinator
	partition int32
	batch     *recordBatch
	dying     []dying
}

// dying is an id whose tombstone is being stored.
type dying struct {
	e  *entry
	tr *Transition
}

// add adds the tombstone of an entry if it has expired.
func (b *tombstones) add(e *entry) {
	e.mu.Lock()
	var effects *Effects
	if !e.unloaded.Load() {
		effects = e.txn.ExpireIfIdle(b.c.now(), b.c.opts.IDExpiration)
	}
	if effects == nil || effects.Append == nil {
		e.mu.Unlock()
		return
	}
	if b.batch == nil {
		b.batch = newBatch(b.c.now())
	}
	if err := b.batch.add(e.txn, effects.Append); err != nil {
		b.c.carryOut(e, e.txn.Appended(b.c.now(), effects.Append, protocol.CodeOf(err)))
		return
	}
	if b.dying = append(b.dying, dying{e, effects.Append}); b.batch.builder.Size() >= tombstoneBytes {
		b.append()
	}
}

// append appends the tombstones and removes their ids once they are replicated.
func (b *tombstones) append() {
	if b.batch == nil {
		return
	}
	written, err := b.c.appendBatch(b.partition, b.batch)
	all := b.dying
	b.batch, b.dying = nil, nil
	for _, d := range all {
		d.e.mu.Unlock()
	}
	buried := func(err error) {
		for _, d := range all {
			b.c.appended(d.e, d.tr, err)
		}
	}
	if err != nil {
		buried(err)
		return
	}
	b.c.rt.AfterReplicated(b.partition, written, b.c.opts.RequestTimeout, buried)
}
