package simulation

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/txnhistory"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/transaction"
	"github.com/monedula/monedula/zkstore"
)

const (
	// dataName is the topic of transactional producers.
	dataName       = "x"
	dataPartitions = 2
	// afterFaults is how long transactional producers continue after the last fault.
	afterFaults = time.Second
	// maxStates is the greatest number of partitions of __transaction_state.
	maxStates = 2
)

// clientIDs are the transactional ids.
var clientIDs = []string{"a", "b", "c", "d", "e"}

// beginTransactions creates the topics of transactions, and begins producers and consumers.
func (w *world) beginTransactions() {
	w.createLasting(dataName, zkstore.TopicID{15: 2})
	w.createLasting(metadata.TransactionStateTopic, zkstore.TopicID{15: 3})
	for _, id := range clientIDs {
		w.after(w.between(time.Second, 2*time.Second), func() { w.join(id) })
	}
	for p := firstData; p < firstState; p++ {
		c := newConsumer(w, p)
		w.consumers = append(w.consumers, c)
		w.after(2*time.Second, c.read)
	}
	w.after(4*time.Second, w.replaceProducers)
}

// txnProducer is a transactional producer. It writes a few records to several partitions in each
// transaction, and repeats requests that fail for the time being. After any other error another
// producer replaces it.
type txnProducer struct {
	w         *world
	id        string
	instance  int
	number    int
	of        transaction.ProducerIDAndEpoch
	sequences [dataPartitions]int32
	leaders   map[replication.TopicPartition]metadata.BrokerID // that it knows
	txn       *txnhistory.Transaction
	added     [dataPartitions]bool
	done      bool // it makes no more steps
}

// join begins a producer with the transactional id.
func (w *world) join(id string) {
	m := &txnProducer{w: w, id: id, instance: len(w.clients), leaders: map[replication.TopicPartition]metadata.BrokerID{}}
	w.clients = append(w.clients, m)
	w.say("producer %d of %s begins", m.instance, id)
	m.initialize(false)
}

// replaceProducers replaces producers now and then. The one before crashes or continues as a zombie.
func (w *world) replaceProducers() {
	if !w.chaotic {
		return
	}
	id := clientIDs[w.random.IntN(len(clientIDs))]
	if w.chance(2) {
		w.newest(id).done = true
	}
	w.faults++
	w.join(id)
	w.after(w.between(500*time.Millisecond, 5*time.Second), w.replaceProducers)
}

func (w *world) newest(id string) (newest *txnProducer) {
	for _, m := range w.clients {
		if m.id == id {
			newest = m
		}
	}
	return newest
}

// over ends a producer after an error.
func (m *txnProducer) over(code protocol.ErrorCode) {
	m.w.say("producer %d of %s ends: %s", m.instance, m.id, code.Name())
	m.done = true
	switch code {
	case protocol.InvalidProducerEpoch, protocol.ProducerFenced, protocol.InvalidTxnState:
	default:
		m.w.fail("producer %d of %s, %+v, got %s", m.instance, m.id, m.of, code.Name())
	}
	if m.w.chaotic && m.w.newest(m.id) == m {
		m.w.after(100*time.Millisecond, func() {
			if m.w.newest(m.id) == m {
				m.w.join(m.id)
			}
		})
	}
}

// retriesOn reports whether a request that was refused with the code is repeated.
func retriesOn(code protocol.ErrorCode) bool {
	switch code {
	case protocol.NotLeaderOrFollower, protocol.UnknownTopicOrPartition, protocol.NotEnoughReplicasAfterAppend, protocol.RequestTimedOut, protocol.KafkaStorageError:
		return true
	}
	return retriable(code)
}

// call sends a request to the leader of a partition until it gets an answer that is final. It counts
// the requests without an answer in unanswered, unless that is nil.
func (m *txnProducer) call(to replication.TopicPartition, req kmsg.Request, unanswered *int, codeOf func(kmsg.Response) int16, then func(kmsg.Response, protocol.ErrorCode)) {
	m.callSince(m.w.now, to, req, unanswered, codeOf, then)
}

func (m *txnProducer) callSince(asked time.Duration, to replication.TopicPartition, req kmsg.Request, unanswered *int, codeOf func(kmsg.Response) int16, then func(kmsg.Response, protocol.ErrorCode)) {
	w := m.w
	leader, known := m.leaders[to]
	if !known {
		leader = metadata.NoBroker
	}
	w.send(nil, leader, req, func(resp response) {
		if m.done {
			return
		}
		code := protocol.NetworkException
		if resp.err == nil {
			code = protocol.ErrorCode(codeOf(resp.message))
		} else if unanswered != nil && resp.err == errTimeout {
			*unanswered++
		}
		if resp.err != nil || retriesOn(code) {
			w.after(w.between(10*time.Millisecond, 100*time.Millisecond), func() {
				if found, ok := w.leaderOf(to); ok {
					m.leaders[to] = found
				}
				if !m.done {
					m.callSince(asked, to, req, unanswered, codeOf, then)
				}
			})
			return
		}
		if code == protocol.None {
			w.check.notFenced(m, asked, req)
		}
		then(resp.message, code)
	})
}

// leaderOf returns the leader of a partition that some broker knows.
func (w *world) leaderOf(p replication.TopicPartition) (metadata.BrokerID, bool) {
	b := w.brokers[w.random.IntN(brokerCount)]
	if !b.alive || b.paused() {
		return 0, false
	}
	known := b.cache.Snapshot().Partition(p.Topic, p.Partition)
	if known == nil {
		return 0, false
	}
	return known.Leader, true
}

// coordinator returns the partition of __transaction_state with the producer's transactional id.
func (m *txnProducer) coordinator() replication.TopicPartition {
	return tp(firstState + m.w.stateOf(m.id))
}

// initialize gets a producer id and epoch. A producer that continues states those that it has
// (KIP-360).
func (m *txnProducer) initialize(continues bool) {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.Version, req.TransactionalID, req.TransactionTimeoutMillis = 4, &m.id, int32(txnTimeout.Milliseconds())
	if continues {
		req.ProducerID, req.ProducerEpoch = m.of.ID, m.of.Epoch
	}
	m.call(m.coordinator(), req, nil, func(resp kmsg.Response) int16 { return resp.(*kmsg.InitProducerIDResponse).ErrorCode },
		func(resp kmsg.Response, code protocol.ErrorCode) {
			if code != protocol.None {
				m.over(code)
				return
			}
			answer := resp.(*kmsg.InitProducerIDResponse)
			m.of = transaction.ProducerIDAndEpoch{ID: answer.ProducerID, Epoch: answer.ProducerEpoch}
			m.sequences = [dataPartitions]int32{}
			m.w.check.initialized(m)
			m.begin()
		})
}

// begin begins a transaction, unless the run ends.
func (m *txnProducer) begin() {
	if m.done = m.done || m.w.now > 3*time.Second+m.w.cfg.Chaos+afterFaults; m.done {
		return
	}
	m.number++
	m.txn = &txnhistory.Transaction{ID: m.id, Instance: m.instance, Number: m.number, Outcome: txnhistory.Aborted}
	m.w.txns.Transactions = append(m.w.txns.Transactions, m.txn)
	m.added = [dataPartitions]bool{}
	m.writeNext(1 + m.w.random.IntN(4))
}

// writeNext writes the given number of records and ends the transaction. Sometimes it does nothing
// instead, until the transaction times out.
func (m *txnProducer) writeNext(left int) {
	if left == 0 {
		m.end(!m.w.chance(4))
		return
	}
	p := m.w.random.Int32N(dataPartitions)
	if m.added[p] {
		m.write(p, left)
		return
	}
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.Version, req.TransactionalID, req.ProducerID, req.ProducerEpoch = 3, m.id, m.of.ID, m.of.Epoch
	topic := kmsg.NewAddPartitionsToTxnRequestTopic()
	topic.Topic, topic.Partitions = dataName, []int32{p}
	req.Topics = append(req.Topics, topic)
	m.call(m.coordinator(), req, &m.txn.Unanswered.AddPartitions,
		func(resp kmsg.Response) int16 {
			return resp.(*kmsg.AddPartitionsToTxnResponse).Topics[0].Partitions[0].ErrorCode
		},
		func(_ kmsg.Response, code protocol.ErrorCode) {
			if code != protocol.None {
				m.over(code)
				return
			}
			m.added[p] = true
			m.write(p, left)
		})
}

// write writes a record, with the sequence number after the last one of the partition.
func (m *txnProducer) write(p int32, left int) {
	place := firstData + p
	value := fmt.Sprintf("%d-%s/%d/%d/%d", place, m.id, m.instance, m.number, len(m.txn.Writes))
	m.txn.Writes = append(m.txn.Writes, txnhistory.Write{Value: value, Partition: txnhistory.Partition{Topic: dataName, Index: p}})
	o := record.Defaults()
	o.ProducerID, o.ProducerEpoch, o.BaseSequence, o.Transactional = m.of.ID, m.of.Epoch, m.sequences[p], true
	builder := record.NewBuilder(o)
	if err := m.w.append(builder, value); err != nil {
		panic(err)
	}
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis, req.TransactionID = 9, -1, 1500, &m.id
	part := kmsg.NewProduceRequestTopicPartition()
	part.Partition, part.Records = p, must(builder.Build())
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.Partitions = dataName, append(t.Partitions, part)
	req.Topics = append(req.Topics, t)
	m.call(tp(place), req, &m.txn.Unanswered.Produce,
		func(resp kmsg.Response) int16 { return resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode },
		func(resp kmsg.Response, code protocol.ErrorCode) {
			if code != protocol.None {
				m.over(code)
				return
			}
			offset := record.Offset(resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].BaseOffset)
			m.w.check.acknowledged(place, m.w.check.now(place), offset, &batch{values: []string{value}})
			w := &m.txn.Writes[len(m.txn.Writes)-1]
			w.Acknowledged, w.Offset = true, int64(offset)
			m.sequences[p]++
			if m.w.chaotic && m.w.chance(40) {
				m.w.say("producer %d of %s falls asleep", m.instance, m.id)
				m.w.after(m.w.between(0, 2*txnTimeout), func() { m.wake(left - 1) })
				return
			}
			m.writeNext(left - 1)
		})
}

// wake continues a transaction after a pause, in which it may have timed out.
func (m *txnProducer) wake(left int) {
	if !m.done {
		m.writeNext(left)
	}
}

// end ends the transaction.
func (m *txnProducer) end(commit bool) {
	m.txn.EndAsked = m.w.clock()
	if commit {
		m.txn.Outcome = txnhistory.Unknown
	}
	req := kmsg.NewPtrEndTxnRequest()
	req.Version, req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = 3, m.id, m.of.ID, m.of.Epoch, commit
	m.call(m.coordinator(), req, &m.txn.Unanswered.EndTxn, func(resp kmsg.Response) int16 { return resp.(*kmsg.EndTxnResponse).ErrorCode },
		func(_ kmsg.Response, code protocol.ErrorCode) {
			m.txn.Ended = m.w.clock()
			if code != protocol.None {
				m.over(code)
				return
			}
			if commit {
				m.txn.Outcome = txnhistory.Committed
				m.w.committed++
			}
			next := m.begin
			if m.w.chance(10) {
				next = func() { m.initialize(true) }
			}
			m.w.after(m.w.between(0, 200*time.Millisecond), func() {
				if !m.done {
					next()
				}
			})
		})
}
