package simulation

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/zkstore"
)

// producer is an idempotent producer for one partition with acks=all and several batches in flight.
// After an error it waits for the batches in flight and then sends all batches that were not
// acknowledged again, in order.
type producer struct {
	w         *world
	partition int32
	limit     int // most batches in flight
	batches   []*batch
	acked     int // number of leading batches that are acknowledged
	sent      int // number of leading batches that were sent since the last error
	flying    int
	failed    bool
	ended     bool // creates no more batches
	gone      bool // its topic was deleted, and what is in flight is lost
	of        incarnation
	leader    metadata.BrokerID
}

type batch struct {
	sequence int32
	values   []string
	bytes    []byte
	acked    bool
}

func newProducer(w *world, partition int32) *producer {
	p := &producer{w: w, partition: partition, limit: 1 + w.random.IntN(5), leader: metadata.BrokerID(partition % brokerCount),
		of: incarnation{partition, w.check.ids[partition]}}
	if w.cfg.Moves && w.cfg.Seed%2 == 0 || w.cfg.Compaction { // see broker.stop; the cleaner, too, keeps only the last batch
		p.limit = 1
	}
	return p
}

// produce creates a batch now and then.
func (p *producer) produce() {
	if p.of.id == (zkstore.TopicID{}) { // it waited for its topic
		p.of.id = p.w.check.ids[p.partition]
	}
	if p.ended || p.gone {
		return
	}
	sequence := int32(0)
	if n := len(p.batches); n > 0 {
		sequence = p.batches[n-1].sequence + int32(len(p.batches[n-1].values))
	}
	if len(p.batches)-p.acked < 20 {
		p.batches = append(p.batches, p.newBatch(sequence))
	}
	p.sendMore()
	p.w.after(p.w.between(5*time.Millisecond, 120*time.Millisecond), p.produce)
}

func (p *producer) newBatch(sequence int32) *batch {
	b := &batch{sequence: sequence}
	o := record.Defaults()
	o.ProducerID, o.ProducerEpoch, o.BaseSequence = int64(1000+p.partition), 0, sequence
	if p.partition == brief {
		o.ProducerID += 10 * int64(p.of.id[len(p.of.id)-1])
	}
	builder := record.NewBuilder(o)
	for i := range 1 + p.w.random.IntN(3) {
		value := fmt.Sprintf("%s-%d", nameOf(p.of), int(sequence)+i)
		b.values = append(b.values, value)
		if err := p.w.append(builder, value); err != nil {
			panic(err)
		}
	}
	b.bytes = must(builder.Build())
	return b
}

// append adds a record with the name to a batch.
func (w *world) append(b *record.Builder, name string) error {
	ms := w.clock().UnixMilli()
	switch {
	case !w.cfg.Compaction:
		return b.Append(ms, nil, []byte(name))
	case w.chance(6):
		return b.Append(ms, w.key(), nil, record.Header{Key: []byte("name"), Value: []byte(name)})
	}
	return b.Append(ms, w.key(), []byte(name))
}

func (p *producer) sendMore() {
	limit := p.limit
	if p.acked == 0 { // a log without producer state accepts any first sequence number
		limit = 1
	}
	for !p.failed && p.sent-p.acked < limit && p.sent < len(p.batches) {
		b := p.batches[p.sent]
		p.sent++
		if !b.acked {
			p.send(b)
		}
	}
}

func (p *producer) send(b *batch) {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 9, -1, 1500
	part := kmsg.NewProduceRequestTopicPartition()
	part.Partition, part.Records = tp(p.partition).Partition, append([]byte(nil), b.bytes...)
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.Partitions = tp(p.partition).Topic, append(t.Partitions, part)
	req.Topics = append(req.Topics, t)
	p.flying++
	p.w.sendWhile(func() bool { return !p.gone }, nil, p.leader, req, func(resp response) {
		p.flying--
		code, offset := protocol.UnknownServerError, record.Offset(-1)
		if resp.err == nil {
			a := resp.message.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
			code, offset = protocol.ErrorCode(a.ErrorCode), record.Offset(a.BaseOffset)
		}
		if code == protocol.None {
			b.acked = true
			p.w.check.acknowledged(p.partition, p.w.check.histories[p.of], offset, b)
			for p.acked < len(p.batches) && p.batches[p.acked].acked {
				p.acked++
			}
		} else {
			p.failed = true
		}
		if p.failed && p.flying == 0 {
			p.w.after(100*time.Millisecond, p.again)
		}
		p.sendMore()
	})
}

// again asks a broker for the leader and continues with the first batch that was not acknowledged.
func (p *producer) again() {
	if p.gone {
		return
	}
	b := p.w.brokers[p.w.random.IntN(brokerCount)]
	if b.alive && !b.paused() {
		if known := b.cache.Snapshot().Partition(tp(p.partition).Topic, tp(p.partition).Partition); known != nil {
			p.leader = known.Leader
		}
	}
	p.failed, p.sent = false, p.acked
	p.sendMore()
	if p.flying == 0 && p.sent < len(p.batches) {
		p.w.after(100*time.Millisecond, p.again)
	}
}
