package simulation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/coordinator"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/transaction"
)

// Each broker has a transaction.Coordinator and a replication.Verifier. Their background work is
// driven in steps after each event of the broker, and may begin late.

// task is background work of a coordinator, or a request that waits.
type task struct {
	step    func() (left bool)
	from    time.Duration // when the first step may be made
	request bool
}

// newCoordinator creates the coordinator and the verifier of a broker.
func (b *broker) newCoordinator(logger *logrus.Logger) {
	w := b.w
	b.txns = transaction.NewCoordinator(transaction.Config{
		Options: transaction.Options{BrokerID: b.id, Partitions: w.states, Listener: "PLAINTEXT", MaxTimeoutMs: 60_000, IDExpiration: 24 * time.Hour,
			AbortInterval: 500 * time.Millisecond, RemoveInterval: time.Hour, LoadBuffer: 1 << 16, RequestTimeout: requestTimeout, ParallelLoads: 1},
		Topic:    coordinator.Replicas{TopicName: metadata.TransactionStateTopic, Manager: func() *replication.Manager { return b.replicas }},
		Metadata: b.cache, NextProducerID: w.nextProducerID, Logger: logger,
		Steps: &transaction.Steps{Now: w.clock, Drive: b.work, Post: b.post},
	})
	b.verifier = replication.NewVerifier(replication.VerifierConfig{BrokerID: b.id, Listener: "PLAINTEXT", Metadata: b.cache, PartitionFor: b.txns.PartitionFor,
		Local: func(t *replication.Transaction) []protocol.ErrorCode {
			return b.txns.Verify(t.ID, transaction.ProducerIDAndEpoch{ID: t.ProducerID, Epoch: t.ProducerEpoch}, t.Partitions)
		}, Timeout: requestTimeout, Post: b.post, Logger: logger})
	b.verifier.SetVerifying(true)
}

func (w *world) nextProducerID(context.Context) (int64, error) {
	w.producerIDs++
	return 100_000 + w.producerIDs, nil
}

// work takes background work of the coordinator.
func (b *broker) work(step func() (left bool)) {
	delay := b.w.between(0, 2*time.Millisecond)
	if b.w.chaotic && b.w.chance(8) {
		delay = b.w.between(0, 400*time.Millisecond)
	}
	b.tasks = append(b.tasks, &task{step: step, from: b.w.now + delay})
	b.after(delay, func() {})
}

// await makes steps of a request that waits, after each event, until none is left.
func (b *broker) await(step func() (left bool)) {
	b.tasks = append(b.tasks, &task{step: step, from: b.w.now, request: true})
}

// runTasks makes a step of each task.
func (b *broker) runTasks() {
	life := b.life
	for i := 0; i < len(b.tasks) && b.life == life; i++ {
		t := b.tasks[i]
		if t.from > b.w.now {
			continue
		}
		loading := b.loading()
		left := t.step()
		if b.life != life {
			return
		}
		b.w.check.loaded(b, loading)
		if !left {
			b.tasks = slices.Delete(b.tasks, i, i+1)
			i--
		}
	}
}

// loading returns the transactional ids that the coordinator is loading.
func (b *broker) loading() (ids []string) {
	for _, id := range clientIDs {
		if _, code := b.txns.Describe(id); code == protocol.CoordinatorLoadInProgress {
			ids = append(ids, id)
		}
	}
	return ids
}

// waits reports whether a request waits for the coordinator.
func (b *broker) waits() bool {
	return slices.ContainsFunc(b.tasks, func(t *task) bool { return t.request })
}

// post sends a request of the coordinator to another broker.
func (b *broker) post(address string, req kmsg.Request, answered func(kmsg.Response, error)) {
	var to metadata.BrokerID
	must(fmt.Sscanf(address, "broker%d:9092", &to))
	version := int16(1)
	if protocol.APIKey(req.Key()) == protocol.AddPartitionsToTxn {
		version = 4
	}
	req.SetVersion(version)
	b.w.send(b, to, req, func(resp response) { answered(resp.message, resp.err) })
}

// repeatable reports whether the network may deliver a request twice. A client of a transaction, and
// the sender of markers, sends a request again only after it has closed the connection on which the
// first one was sent; without KIP-890 part 2 a copy of an answered request may do harm.
func repeatable(key int16) bool {
	switch protocol.APIKey(key) {
	case protocol.InitProducerId, protocol.AddPartitionsToTxn, protocol.EndTxn, protocol.WriteTxnMarkers:
		return false
	}
	return true
}

// verify passes on what the coordinator of a transaction refuses; t may be nil.
func (b *broker) verify(t *replication.Transaction, then func(refused map[replication.TopicPartition]protocol.ErrorCode)) {
	if t == nil {
		then(nil)
		return
	}
	answer := b.verifier.Begin(t)
	b.await(func() bool {
		select {
		case refused := <-answer:
			then(refused)
			return false
		default:
			return true
		}
	})
}

// answered waits for the coordinator's answer to a request.
func (b *broker) answered(to <-chan transaction.Result, then func(transaction.Result)) {
	b.await(func() bool {
		select {
		case r := <-to:
			then(r)
			return false
		default:
			return true
		}
	})
}

func (b *broker) serveInit(req *kmsg.InitProducerIDRequest, reply func(kmsg.Response)) {
	var expected *transaction.ProducerIDAndEpoch
	if req.ProducerID >= 0 {
		expected = &transaction.ProducerIDAndEpoch{ID: req.ProducerID, Epoch: req.ProducerEpoch}
	}
	to := make(chan transaction.Result, 1)
	b.txns.BeginInitProducerID(*req.TransactionalID, req.TransactionTimeoutMillis, expected, to)
	b.answered(to, func(r transaction.Result) {
		resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
		resp.ErrorCode, resp.ProducerID, resp.ProducerEpoch = int16(r.Code), r.ProducerID, r.Epoch
		reply(resp)
	})
}

func (b *broker) serveAddPartitions(req *kmsg.AddPartitionsToTxnRequest, reply func(kmsg.Response)) {
	if req.Version >= 4 {
		reply(b.verified(req))
		return
	}
	var partitions []transaction.TopicPartition
	missing := false
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			partitions = append(partitions, transaction.TopicPartition{Topic: t.Topic, Partition: p})
			missing = missing || b.cache.Snapshot().Partition(t.Topic, p) == nil
		}
	}
	to := make(chan transaction.Result, 1)
	if missing {
		to <- transaction.Refused(protocol.UnknownTopicOrPartition)
	} else {
		b.txns.BeginAddPartitions(req.TransactionalID, transaction.ProducerIDAndEpoch{ID: req.ProducerID, Epoch: req.ProducerEpoch}, partitions, to)
	}
	b.answered(to, func(r transaction.Result) {
		resp := req.ResponseKind().(*kmsg.AddPartitionsToTxnResponse)
		for _, asked := range req.Topics {
			t := kmsg.NewAddPartitionsToTxnResponseTopic()
			t.Topic = asked.Topic
			for _, p := range asked.Partitions {
				t.Partitions = append(t.Partitions, kmsg.AddPartitionsToTxnResponseTopicPartition{Partition: p, ErrorCode: int16(r.Code)})
			}
			resp.Topics = append(resp.Topics, t)
		}
		reply(resp)
	})
}

// verified answers a leader that verifies transactions.
func (b *broker) verified(req *kmsg.AddPartitionsToTxnRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.AddPartitionsToTxnResponse)
	for _, asked := range req.Transactions {
		t := kmsg.NewAddPartitionsToTxnResponseTransaction()
		t.TransactionalID = asked.TransactionalID
		producer := transaction.ProducerIDAndEpoch{ID: asked.ProducerID, Epoch: asked.ProducerEpoch}
		for _, topic := range asked.Topics {
			a := kmsg.NewAddPartitionsToTxnResponseTransactionTopic()
			a.Topic = topic.Topic
			for _, p := range topic.Partitions {
				codes := b.txns.Verify(asked.TransactionalID, producer, []transaction.TopicPartition{{Topic: topic.Topic, Partition: p}})
				a.Partitions = append(a.Partitions, kmsg.AddPartitionsToTxnResponseTransactionTopicPartition{Partition: p, ErrorCode: int16(codes[0])})
			}
			t.Topics = append(t.Topics, a)
		}
		resp.Transactions = append(resp.Transactions, t)
	}
	return resp
}

func (b *broker) serveEndTxn(req *kmsg.EndTxnRequest, reply func(kmsg.Response)) {
	to := make(chan transaction.Result, 1)
	b.txns.BeginEndTxn(req.TransactionalID, transaction.ProducerIDAndEpoch{ID: req.ProducerID, Epoch: req.ProducerEpoch}, req.Commit, to)
	b.answered(to, func(r transaction.Result) {
		resp := req.ResponseKind().(*kmsg.EndTxnResponse)
		resp.ErrorCode = int16(r.Code)
		reply(resp)
	})
}

// writtenMarker is one marker for one partition.
type writtenMarker struct {
	partition *replication.Partition
	written   replication.Written
	code      *kmsg.WriteTxnMarkersResponseMarkerTopicPartition
	waits     bool
}

// serveMarkers appends markers, and answers when they are replicated.
func (b *broker) serveMarkers(req *kmsg.WriteTxnMarkersRequest, reply func(kmsg.Response)) {
	resp := req.ResponseKind().(*kmsg.WriteTxnMarkersResponse)
	var all []writtenMarker
	for _, m := range req.Markers {
		a := kmsg.NewWriteTxnMarkersResponseMarker()
		a.ProducerID = m.ProducerID
		for _, topic := range m.Topics {
			t := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
			t.Topic, t.Partitions = topic.Topic, make([]kmsg.WriteTxnMarkersResponseMarkerTopicPartition, len(topic.Partitions))
			for i, p := range topic.Partitions {
				one := writtenMarker{code: &t.Partitions[i]}
				one.code.Partition = p
				b.appendMarker(&one, &m, topic.Topic)
				all = append(all, one)
			}
			a.Topics = append(a.Topics, t)
		}
		resp.Markers = append(resp.Markers, a)
	}
	until := b.w.now + requestTimeout
	b.await(func() bool {
		left := false
		for i := range all {
			one := &all[i]
			if !one.waits {
				continue
			}
			err := one.partition.AwaitReplicated(one.written, 0, nil)
			if errors.Is(err, protocol.RequestTimedOut) && b.w.now < until {
				left = true
				continue
			}
			one.waits, one.code.ErrorCode = false, int16(protocol.CodeOf(err))
		}
		if !left {
			reply(resp)
		}
		return left
	})
}

func (b *broker) appendMarker(one *writtenMarker, m *kmsg.WriteTxnMarkersRequestMarker, topic string) {
	partition, err := b.replicas.Partition(topic, one.code.Partition)
	if err != nil {
		one.code.ErrorCode = int16(protocol.UnknownTopicOrPartition)
		return
	}
	kind := record.Abort
	if m.Committed {
		kind = record.Commit
	}
	o := record.Defaults()
	o.ProducerID, o.ProducerEpoch = m.ProducerID, m.ProducerEpoch
	batch := must(record.EndTxnMarker(o, kind, m.CoordinatorEpoch, b.w.clock().UnixMilli()))
	one.written, err = partition.AppendAsLeader(batch, nil, -1)
	one.partition, one.waits, one.code.ErrorCode = partition, err == nil, int16(protocol.CodeOf(err))
	b.w.say("broker %d appends a marker of producer %d, epoch %d, commit %t to %s-%d at %d: %v", b.id, m.ProducerID, m.ProducerEpoch, m.Committed, topic, one.code.Partition, one.written.First, err)
}
