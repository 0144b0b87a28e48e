package transaction

import (
	"context"
	"strings"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// lookup returns the entry of the id, or nil if it does not exist, and the code with which a request
// for it must be refused now, or None.
func (c *Coordinator) lookup(id string) (*entry, protocol.ErrorCode) {
	if id == "" {
		return nil, protocol.InvalidRequest
	}
	return c.rt.Lookup(id)
}

// existing returns the entry of the id, or the code with which a request for it must be refused now,
// which is missing if the id does not exist.
func (c *Coordinator) existing(id string, missing protocol.ErrorCode) (*entry, protocol.ErrorCode) {
	e, code := c.lookup(id)
	if code == protocol.None && e == nil {
		code = missing
	}
	return e, code
}

// ask makes a step that answers a request, and waits for the answer. If ctx ends the wait ends, and
// the result must not be sent.
func (c *Coordinator) ask(ctx context.Context, e *entry, do func(t *Transaction, now time.Time, to chan<- Result) *Effects) Result {
	slot := c.slots.Get().(chan Result)
	if !c.step(e, func(t *Transaction, now time.Time) *Effects { return do(t, now, slot) }) {
		return Refused(protocol.NotCoordinator)
	}
	select {
	case r := <-slot:
		c.slots.Put(slot)
		return r
	case <-ctx.Done():
		return Refused(protocol.CoordinatorNotAvailable)
	}
}

// InitProducerID handles an InitProducerId request of a transactional id. expected are the id and
// epoch that the producer has (KIP-360); nil: none.
func (c *Coordinator) InitProducerID(ctx context.Context, id string, timeoutMs int32, expected *ProducerIDAndEpoch) Result {
	if id == "" {
		return Refused(protocol.InvalidRequest)
	}
	if timeoutMs <= 0 || timeoutMs > c.opts.MaxTimeoutMs {
		return Refused(protocol.InvalidTransactionTimeout)
	}
	e, code := c.lookup(id)
	if code != protocol.None {
		return Refused(code)
	}
	if e == nil {
		producerID, err := c.nextProducerID(ctx)
		if err != nil {
			return Refused(protocol.CodeOf(err))
		}
		if e = c.create(id, producerID, timeoutMs); e == nil {
			return Refused(protocol.NotCoordinator)
		}
	}
	req := InitRequest{TimeoutMs: timeoutMs, Expected: expected, NewProducerID: record.NoProducerID}
	for {
		exhausted := false
		r := c.ask(ctx, e, func(t *Transaction, now time.Time, to chan<- Result) *Effects {
			effects := t.InitProducerID(now, req, to)
			if exhausted = effects.NeedProducerID; exhausted {
				effects.Answers = append(effects.Answers, Answer{To: to})
			}
			return effects
		})
		if !exhausted {
			return r
		}
		var err error
		if req.NewProducerID, err = c.nextProducerID(ctx); err != nil {
			return Refused(protocol.CodeOf(err))
		}
	}
}

// create returns the entry of an id, which it creates if it does not exist. It returns nil if the
// broker does not own the partition.
func (c *Coordinator) create(id string, producerID int64, timeoutMs int32) *entry {
	return c.rt.FindOrCreate(id, func(partition int32, epoch metadata.LeaderEpoch) (string, *entry) {
		id = strings.Clone(id)
		return id, &entry{txn: New(id, Home{partition, epoch}, producerID, timeoutMs, time.Now())}
	})
}

// AddPartitions adds partitions to the producer's transaction, or begins one with them. It keeps the
// slice.
func (c *Coordinator) AddPartitions(ctx context.Context, id string, producer ProducerIDAndEpoch, partitions []TopicPartition) protocol.ErrorCode {
	e, code := c.existing(id, protocol.InvalidProducerIDMapping)
	if code != protocol.None {
		return code
	}
	return c.ask(ctx, e, func(t *Transaction, now time.Time, to chan<- Result) *Effects {
		return t.AddPartitions(now, producer, partitions, to)
	}).Code
}

// Verify returns a code for each partition: None if it belongs to the producer's transaction.
func (c *Coordinator) Verify(id string, producer ProducerIDAndEpoch, partitions []TopicPartition) []protocol.ErrorCode {
	codes := make([]protocol.ErrorCode, len(partitions))
	e, code := c.existing(id, protocol.InvalidProducerIDMapping)
	if code == protocol.None && !c.step(e, func(t *Transaction, _ time.Time) *Effects {
		for i, p := range partitions {
			codes[i] = t.Verify(producer, p)
		}
		return nil
	}) {
		code = protocol.NotCoordinator
	}
	if code != protocol.None {
		for i := range codes {
			codes[i] = code
		}
	}
	return codes
}

// EndTxn commits or aborts the producer's transaction. It returns when the decision is stored.
func (c *Coordinator) EndTxn(ctx context.Context, id string, producer ProducerIDAndEpoch, commit bool) protocol.ErrorCode {
	e, code := c.existing(id, protocol.InvalidProducerIDMapping)
	if code != protocol.None {
		return code
	}
	return c.ask(ctx, e, func(t *Transaction, now time.Time, to chan<- Result) *Effects {
		return t.EndTxn(now, producer, commit, to)
	}).Code
}

// Describe describes a transactional id.
func (c *Coordinator) Describe(id string) (Description, protocol.ErrorCode) {
	e, code := c.existing(id, protocol.TransactionalIDNotFound)
	if code != protocol.None {
		return Description{}, code
	}
	var d Description
	if !c.step(e, func(t *Transaction, _ time.Time) *Effects {
		d, code = t.Describe()
		return nil
	}) {
		return Description{}, protocol.NotCoordinator
	}
	return d, code
}

// List returns this broker's transactional ids that the filter selects. While a partition is being
// loaded it returns COORDINATOR_LOAD_IN_PROGRESS and nothing.
func (c *Coordinator) List(f Filter) ([]Listed, protocol.ErrorCode) {
	if !c.rt.Active() {
		return nil, protocol.CoordinatorNotAvailable
	}
	entries, loading := c.rt.All()
	if loading {
		return nil, protocol.CoordinatorLoadInProgress
	}
	list, now := []Listed{}, time.Now()
	for _, e := range entries {
		e.mu.Lock()
		listed, ok := e.txn.List(now, &f)
		e.mu.Unlock()
		if ok {
			list = append(list, listed)
		}
	}
	return list, protocol.None
}
