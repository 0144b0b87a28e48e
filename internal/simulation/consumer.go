package simulation

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

// consumer reads one partition, without a group. It mostly reads from the leader and sometimes from
// another replica (KIP-392). It must see all committed records and nothing else, in order. A consumer
// of transactions is read_committed: it must see the records of committed transactions.
type consumer struct {
	w         *world
	partition int32
	offset    record.Offset // of the next record to read
	broker    metadata.BrokerID
	latest    map[string]entry // by key, what was read last
}

const (
	consumerWait = 500 * time.Millisecond
	// consumerBytes is the size of a few batches, so responses end in the middle of the log.
	consumerBytes = 400
)

func newConsumer(w *world, partition int32) *consumer {
	return &consumer{w: w, partition: partition, broker: metadata.BrokerID(partition % brokerCount), latest: map[string]entry{}}
}

// read sends a fetch request, and another one after the response.
func (c *consumer) read() {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.ReplicaID = 11, int32(client) // the first version that followers serve
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = int32(consumerWait.Milliseconds()), 1, consumerBytes
	req.SessionID, req.SessionEpoch = 0, -1
	ask := kmsg.NewFetchRequestTopicPartition()
	ask.FetchOffset, ask.PartitionMaxBytes = int64(c.offset), consumerBytes
	ask.Partition = tp(c.partition).Partition
	ask.CurrentLeaderEpoch, ask.LogStartOffset = -1, -1
	if isData(c.partition) {
		req.IsolationLevel = 1
	}
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.Partitions = tp(c.partition).Topic, append(t.Partitions, ask)
	req.Topics = append(req.Topics, t)
	c.w.send(nil, c.broker, req, func(resp response) {
		if c.took(resp) {
			c.w.after(c.w.between(0, 5*time.Millisecond), c.read)
			return
		}
		c.w.after(c.w.between(20*time.Millisecond, 200*time.Millisecond), func() {
			c.choose()
			c.read()
		})
	})
}

// took handles a response and reports whether it arrived without an error.
func (c *consumer) took(resp response) bool {
	if resp.err != nil {
		return false
	}
	answer := resp.message.(*kmsg.FetchResponse)
	if answer.ErrorCode != 0 || len(answer.Topics) != 1 || answer.Topics[0].Partitions[0].ErrorCode != 0 {
		return false
	}
	skips := abortedOf(answer.Topics[0].Partitions[0].AbortedTransactions)
	for batch, err := range record.Batches(answer.Topics[0].Partitions[0].RecordBatches) {
		if err != nil {
			break
		}
		aborted := skips.of(batch)
		err = batch.Each(func(r *record.Record) error {
			if r.Offset >= c.offset {
				e := entryOf(batch, r)
				c.w.check.skipped(c, r.Offset)
				c.w.check.consumed(c, e)
				if c.w.check.visible(c, e, aborted) {
					c.latest[e.key] = e
				}
				c.offset = r.Offset + 1
			}
			return nil
		})
		c.w.check.skipped(c, batch.NextOffset())
		c.offset = max(c.offset, batch.NextOffset())
		if err != nil {
			c.w.fail("a consumer received a bad batch of partition %d at %d: %v", c.partition, batch.BaseOffset(), err)
		}
	}
	if c.w.chaotic {
		return !c.w.chance(20) // sometimes it reads from another replica
	}
	return len(answer.Topics[0].Partitions[0].RecordBatches) > 0 // a follower may not know the newest high watermark
}

// choose picks the broker to read from: the leader that some broker knows, or sometimes, during
// chaos, any other broker.
func (c *consumer) choose() {
	if c.w.chaotic && c.w.chance(3) {
		c.broker = metadata.BrokerID(c.w.random.IntN(brokerCount))
		return
	}
	if c.w.chaotic && c.w.cfg.Compaction && c.w.chance(8) {
		c.offset = 0
		clear(c.latest)
	}
	b := c.w.brokers[c.w.random.IntN(brokerCount)]
	if b.alive && !b.paused() {
		if known := b.cache.Snapshot().Partition(tp(c.partition).Topic, tp(c.partition).Partition); known != nil {
			c.broker = known.Leader
		}
	}
}

// consumed checks a record that a consumer received.
func (k *checker) consumed(c *consumer, e entry) {
	h := k.now(c.partition)
	switch {
	case e.offset >= record.Offset(len(h.committed)):
		k.w.fail("a consumer of partition %d received %s at offset %d by broker %d, and only %d records are committed", c.partition, e, e.offset, c.broker, len(h.committed))
	case h.committed[e.offset] != e:
		k.w.fail("a consumer of partition %d received %s at offset %d by broker %d, but %s was committed", c.partition, e, e.offset, c.broker, h.committed[e.offset])
	}
}

// skipped checks the records that a consumer did not receive before it came to an offset.
func (k *checker) skipped(c *consumer, to record.Offset) {
	h := k.now(c.partition)
	for offset := c.offset; offset < to; offset++ {
		if h.txns.slow {
			continue
		}
		if !k.w.cfg.Compaction || !h.mayLack(k.w, offset) {
			k.w.fail("a consumer of partition %d received offset %d after %d", c.partition, to, offset-1)
			return
		}
		if h.fate(h.committed[offset]) != shown {
			continue
		}
		delete(c.latest, h.committed[offset].key) // if this was a tombstone, the consumer was too slow for it
	}
}
