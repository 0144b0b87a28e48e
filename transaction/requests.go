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

// await begins a request, which is answered with one result, and waits for it. If ctx ends the wait
// ends, and the result must not be sent.
func (c *Coordinator) await(ctx context.Context, begin func(to chan<- Result)) Result {
	slot := c.slots.Get().(chan Result)
	begin(slot)
	select {
	case r := <-slot:
		c.slots.Put(slot)
		return r
	case <-ctx.Done():
		return Refused(protocol.CoordinatorNotAvailable)
	}
}

// ask makes a step that answers a request; to gets the answer.
func (c *Coordinator) ask(e *entry, to chan<- Result, do func(t *Transaction, now time.Time, to chan<- Result) *Effects) {
	if !c.step(e, func(t *Transaction, now time.Time) *Effects { return do(t, now, to) }) {
		to <- Refused(protocol.NotCoordinator)
	}
}

// InitProducerID handles an InitProducerId request of a transactional id. expected are the id and
// epoch that the producer has (KIP-360); nil: none.
func (c *Coordinator) InitProducerID(ctx context.Context, id string, timeoutMs int32, expected *ProducerIDAndEpoch) Result {
	return c.await(ctx, func(to chan<- Result) { c.initProducerID(ctx, id, timeoutMs, expected, to) })
}

func (c *Coordinator) initProducerID(ctx context.Context, id string, timeoutMs int32, expected *ProducerIDAndEpoch, to chan<- Result) {
	e, code := c.initialized(ctx, id, timeoutMs)
	if code != protocol.None {
		to <- Refused(code)
		return
	}
	req := InitRequest{TimeoutMs: timeoutMs, Expected: expected, NewProducerID: record.NoProducerID}
	for {
		exhausted := false
		c.ask(e, to, func(t *Transaction, now time.Time, to chan<- Result) *Effects {
			effects := t.InitProducerID(now, req, to)
			exhausted = effects.NeedProducerID
			return effects
		})
		if !exhausted {
			return
		}
		var err error
		if req.NewProducerID, err = c.nextProducerID(ctx); err != nil {
			to <- Refused(protocol.CodeOf(err))
			return
		}
	}
}

// initialized returns the entry of the id, which it creates if it does not exist, or the code with
// which InitProducerId must be refused.
func (c *Coordinator) initialized(ctx context.Context, id string, timeoutMs int32) (*entry, protocol.ErrorCode) {
	if id == "" {
		return nil, protocol.InvalidRequest
	}
	if timeoutMs <= 0 || timeoutMs > c.opts.MaxTimeoutMs {
		return nil, protocol.InvalidTransactionTimeout
	}
	e, code := c.lookup(id)
	if code != protocol.None || e != nil {
		return e, code
	}
	producerID, err := c.nextProducerID(ctx)
	if err != nil {
		return nil, protocol.CodeOf(err)
	}
	if e = c.create(id, producerID, timeoutMs); e == nil {
		return nil, protocol.NotCoordinator
	}
	return e, protocol.None
}

// create returns the entry of an id, which it creates if it does not exist. It returns nil if the
// broker does not own the partition.
func (c *Coordinator) create(id string, producerID int64, timeoutMs int32) *entry {
	return c.rt.FindOrCreate(id, func(partition int32, epoch metadata.LeaderEpoch) (string, *entry) {
		id = strings.Clone(id)
		return id, &entry{txn: New(id, Home{partition, epoch}, producerID, timeoutMs, c.now())}
	})
}

// AddPartitions adds partitions to the producer's transaction, or begins one with them. It keeps the
// slice.
func (c *Coordinator) AddPartitions(ctx context.Context, id string, producer ProducerIDAndEpoch, partitions []TopicPartition) protocol.ErrorCode {
	return c.await(ctx, func(to chan<- Result) { c.addPartitions(id, producer, partitions, to) }).Code
}

func (c *Coordinator) addPartitions(id string, producer ProducerIDAndEpoch, partitions []TopicPartition, to chan<- Result) {
	e, code := c.existing(id, protocol.InvalidProducerIDMapping)
	if code != protocol.None {
		to <- Refused(code)
		return
	}
	c.ask(e, to, func(t *Transaction, now time.Time, to chan<- Result) *Effects {
		return t.AddPartitions(now, producer, partitions, to)
	})
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
	return c.await(ctx, func(to chan<- Result) { c.endTxn(id, producer, commit, to) }).Code
}

func (c *Coordinator) endTxn(id string, producer ProducerIDAndEpoch, commit bool, to chan<- Result) {
	e, code := c.existing(id, protocol.InvalidProducerIDMapping)
	if code != protocol.None {
		to <- Refused(code)
		return
	}
	c.ask(e, to, func(t *Transaction, now time.Time, to chan<- Result) *Effects {
		return t.EndTxn(now, producer, commit, to)
	})
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
	list, now := []Listed{}, c.now()
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
