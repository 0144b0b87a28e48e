package simulation

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

// consumer reads one partition of the permanent topic, without a group. It mostly reads from the
// leader and sometimes from another replica (KIP-392). It must see all committed records and
// nothing else, in order.
type consumer struct {
	w         *world
	partition int32
	offset    record.Offset // of the next record to read
	broker    metadata.BrokerID
}

const (
	consumerWait = 500 * time.Millisecond
	// consumerBytes is the size of a few batches, so responses end in the middle of the log.
	consumerBytes = 400
)

func newConsumer(w *world, partition int32) *consumer {
	return &consumer{w: w, partition: partition, broker: metadata.BrokerID(partition % brokerCount)}
}

// read sends a fetch request, and another one after the response.
func (c *consumer) read() {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.ReplicaID = 11, int32(client) // the first version that followers serve
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = int32(consumerWait.Milliseconds()), 1, consumerBytes
	req.SessionID, req.SessionEpoch = 0, -1
	ask := kmsg.NewFetchRequestTopicPartition()
	ask.Partition, ask.FetchOffset, ask.PartitionMaxBytes = c.partition, int64(c.offset), consumerBytes
	ask.CurrentLeaderEpoch, ask.LogStartOffset = -1, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.Partitions = topicName, append(t.Partitions, ask)
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
	for batch, err := range record.Batches(answer.Topics[0].Partitions[0].RecordBatches) {
		if err != nil {
			break
		}
		err = batch.Each(func(r *record.Record) error {
			if r.Offset >= c.offset {
				c.w.check.consumed(c, r.Offset, fmt.Sprintf("%s@%d", r.Value, batch.PartitionLeaderEpoch()))
				c.offset = r.Offset + 1
			}
			return nil
		})
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
	b := c.w.brokers[c.w.random.IntN(brokerCount)]
	if b.alive && !b.paused() {
		if known := b.cache.Snapshot().Partition(topicName, c.partition); known != nil {
			c.broker = known.Leader
		}
	}
}

// consumed checks a record that a consumer received.
func (k *checker) consumed(c *consumer, offset record.Offset, value string) {
	h := k.now(c.partition)
	switch {
	case offset != c.offset:
		k.w.fail("a consumer of partition %d received offset %d after %d", c.partition, offset, c.offset-1)
	case offset >= record.Offset(len(h.committed)):
		k.w.fail("a consumer of partition %d received %s at offset %d by broker %d, and only %d records are committed", c.partition, value, offset, c.broker, len(h.committed))
	case h.committed[offset] != value:
		k.w.fail("a consumer of partition %d received %s at offset %d by broker %d, but %s was committed", c.partition, value, offset, c.broker, h.committed[offset])
	}
}
