package simulation

import (
	"fmt"
	"time"

	"github.com/monedula/monedula/internal/txnhistory"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/transaction"
)

// member is a transactional producer. It writes a few records to several partitions in each
// transaction, and repeats requests that fail for the time being. After any other error another
// producer replaces it.
type member struct {
	l           *ledger
	id          string
	instance    int
	number      int
	of          transaction.ProducerIDAndEpoch
	sequences   [txnPartitions]int32
	coordinator *term // that it knows
	txn         *txnhistory.Transaction
	added       map[int32]bool
	done        bool // it makes no more steps
}

// txnLate is the longest delay of a producer's request. Some arrive after the producer has given up.
const txnLate = 3 * time.Second

func (l *ledger) join(id string) {
	m := &member{l: l, id: id, instance: len(l.members), coordinator: l.term}
	l.members = append(l.members, m)
	l.say("producer %d of %s begins", m.instance, id)
	m.initialize()
}

// replace begins another producer with the transactional id. The one before crashes or continues.
func (l *ledger) replace(id string) {
	if old := l.newest(id); l.chance(2) {
		old.done = true
	}
	l.join(id)
}

func (l *ledger) newest(id string) (newest *member) {
	for _, m := range l.members {
		if m.id == id {
			newest = m
		}
	}
	return newest
}

// over ends a producer after an error.
func (m *member) over(code protocol.ErrorCode) {
	m.l.say("producer %d of %s ends: %s", m.instance, m.id, code.Name())
	m.done = true
	if m.l.chaotic && m.l.newest(m.id) == m {
		m.l.later(100*time.Millisecond, func() {
			if m.l.newest(m.id) == m {
				m.l.join(m.id)
			}
		})
	}
}

// retriable reports whether a request that was refused with the code is repeated.
func retriable(code protocol.ErrorCode) bool {
	switch code {
	case protocol.ConcurrentTransactions, protocol.NotCoordinator, protocol.CoordinatorLoadInProgress, protocol.CoordinatorNotAvailable,
		protocol.NotEnoughReplicas:
		return true
	}
	return false
}

// call sends a request to the coordinator until it gets an answer that is final. It counts the
// requests without an answer in unanswered, unless that is nil.
func (m *member) call(unanswered *int, serve func(*term, func(transaction.Result)), then func(transaction.Result)) {
	t := m.coordinator
	ask(m.l, txnLate, func(reply func(transaction.Result)) { serve(t, reply) }, func(r transaction.Result, answered bool) {
		switch {
		case m.done:
		case !answered || retriable(r.Code):
			if !answered && unanswered != nil {
				*unanswered++
			}
			m.coordinator = m.l.term
			m.l.later(m.l.between(10*time.Millisecond, 100*time.Millisecond), func() {
				if !m.done {
					m.call(unanswered, serve, then)
				}
			})
		default:
			then(r)
		}
	})
}

func (m *member) initialize() {
	m.call(nil, func(t *term, reply func(transaction.Result)) {
		t.know(m.id)
		t.request(m.id, reply, func(txn *transaction.Transaction, now time.Time, to chan<- transaction.Result) *transaction.Effects {
			return txn.InitProducerID(now, transaction.InitRequest{TimeoutMs: int32(txnTimeout.Milliseconds()), NewProducerID: -1}, to)
		})
	}, func(r transaction.Result) {
		if r.Code != protocol.None {
			m.over(r.Code)
			return
		}
		m.of = transaction.ProducerIDAndEpoch{ID: r.ProducerID, Epoch: r.Epoch}
		m.l.say("producer %d of %s is %+v", m.instance, m.id, m.of)
		m.begin()
	})
}

// begin begins a transaction, unless the faults are over.
func (m *member) begin() {
	if m.done = m.done || !m.l.chaotic; m.done {
		return
	}
	m.number++
	m.txn = &txnhistory.Transaction{ID: m.id, Instance: m.instance, Number: m.number, Outcome: txnhistory.Aborted}
	m.l.history.Transactions = append(m.l.history.Transactions, m.txn)
	m.added = map[int32]bool{}
	m.writeNext(1 + m.l.random.IntN(5))
}

// writeNext writes the given number of records and ends the transaction.
func (m *member) writeNext(left int) {
	if left == 0 {
		m.end(!m.l.chance(4))
		return
	}
	p := m.l.random.Int32N(txnPartitions)
	if m.added[p] {
		m.write(p, left)
		return
	}
	m.call(&m.txn.Unanswered.AddPartitions, func(t *term, reply func(transaction.Result)) {
		t.request(m.id, reply, func(txn *transaction.Transaction, now time.Time, to chan<- transaction.Result) *transaction.Effects {
			return txn.AddPartitions(now, m.of, []metadata.TopicPartition{{Topic: txnTopic, Partition: p}}, to)
		})
	}, func(r transaction.Result) {
		if r.Code != protocol.None {
			m.over(r.Code)
			return
		}
		m.added[p] = true
		m.write(p, left)
	})
}

func (m *member) write(p int32, left int) {
	m.txn.Writes = append(m.txn.Writes, txnhistory.Write{Value: fmt.Sprintf("%s/%d/%d/%d", m.id, m.instance, m.number, len(m.txn.Writes)),
		Partition: txnhistory.Partition{Topic: txnTopic, Index: p}})
	m.send(p, left)
}

// send sends the last record of the transaction until it is stored.
func (m *member) send(p int32, left int) {
	w := &m.txn.Writes[len(m.txn.Writes)-1]
	value, of, sequence := w.Value, m.of, m.sequences[p]
	ask(m.l, txnLate, func(reply func(produced)) { m.l.write(p, batchOf{m.id, of, sequence, value}, reply) }, func(r produced, answered bool) {
		switch {
		case m.done:
		case !answered || retriable(r.code):
			if !answered {
				m.txn.Unanswered.Produce++
			}
			m.l.later(m.l.between(10*time.Millisecond, 100*time.Millisecond), func() {
				if !m.done {
					m.send(p, left)
				}
			})
		case r.code != protocol.None:
			m.over(r.code)
		default:
			w.Acknowledged, w.Offset = true, int64(r.offset)
			m.sequences[p]++
			m.writeNext(left - 1)
		}
	})
}

func (m *member) end(commit bool) {
	m.txn.EndAsked = m.l.clock()
	if commit {
		m.txn.Outcome = txnhistory.Unknown
	}
	m.call(&m.txn.Unanswered.EndTxn, func(t *term, reply func(transaction.Result)) {
		t.request(m.id, reply, func(txn *transaction.Transaction, now time.Time, to chan<- transaction.Result) *transaction.Effects {
			return txn.EndTxn(now, m.of, commit, to)
		})
	}, func(r transaction.Result) {
		m.txn.Ended = m.l.clock()
		if r.Code != protocol.None {
			m.over(r.Code)
			return
		}
		if commit {
			m.txn.Outcome = txnhistory.Committed
		}
		m.l.later(m.l.between(0, 50*time.Millisecond), m.begin)
	})
}
