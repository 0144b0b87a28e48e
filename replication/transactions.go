package replication

import (
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/storage"
)

// Transactions verifies transactional records before the first record of a transaction is appended
// to a partition (KIP-890).
type Transactions interface {
	// Verifying reports whether transactional records are verified:
	// transaction.partition.verification.enable.
	Verifying() bool
	// Verify asks the transaction's coordinator and blocks until it answers or done is closed.
	// Partitions that are missing from the result, or have None in it, belong to the transaction.
	Verify(t *Transaction, done <-chan struct{}) map[TopicPartition]protocol.ErrorCode
}

// Transaction is the subject of a question to a coordinator.
type Transaction struct {
	ID            string
	ProducerID    int64
	ProducerEpoch int16
	Partitions    []TopicPartition
	// Abortable: the client knows TRANSACTION_ABORTABLE (Produce v11, TxnOffsetCommit v4). Other
	// clients get INVALID_TXN_STATE.
	Abortable bool
}

// verifying reports whether appends of transactional records require a verification.
func (m *Manager) verifying() bool {
	return m.cfg.Transactions != nil && m.cfg.Transactions.Verifying()
}

// transaction returns the transaction of the records that are its first ones in their partitions, for
// its coordinator to verify; nil: there are none, or the whole request is refused. A transaction that
// is already open in the partition needs no verification.
func (p *Produce) transaction() *Transaction {
	var first record.Batch
	for i := range p.Partitions {
		b := p.transactionalBatch(i)
		if b == nil {
			continue
		}
		if first == nil {
			first = b
		}
		if b.ProducerID() != first.ProducerID() || b.ProducerEpoch() != first.ProducerEpoch() {
			p.RefuseAll(protocol.Errorf(protocol.InvalidProducerIDMapping, "Transactional records contained more than one producer ID"))
			return nil
		}
	}
	if first == nil || p.TransactionalID == nil || !p.m.verifying() {
		return nil
	}
	t := &Transaction{ID: *p.TransactionalID, ProducerID: first.ProducerID(), ProducerEpoch: first.ProducerEpoch(), Abortable: p.Version > 10}
	for i := range p.Partitions {
		b := p.transactionalBatch(i)
		if b == nil {
			continue
		}
		part := &p.Partitions[i]
		guard, err := p.m.beginVerification(part.Topic, part.Partition, t, b.BaseSequence())
		if err != nil {
			part.Err = unverified(protocol.CodeOf(err))
			continue
		}
		if part.verified = guard; guard != nil {
			t.Partitions = append(t.Partitions, TopicPartition{Topic: part.Topic, Partition: part.Partition})
		}
	}
	if len(t.Partitions) == 0 {
		return nil
	}
	return t
}

// verified takes the coordinator's answer: the partitions that it refuses.
func (p *Produce) verified(refused map[TopicPartition]protocol.ErrorCode) {
	for i := range p.Partitions {
		part := &p.Partitions[i]
		if code := refused[TopicPartition{Topic: part.Topic, Partition: part.Partition}]; code != protocol.None && part.verified != nil {
			part.Err = unverified(code)
		}
	}
}

// transactionalBatch returns the first batch of a partition if it is transactional and the
// partition has no error; otherwise nil.
func (p *Produce) transactionalBatch(i int) record.Batch {
	part := &p.Partitions[i]
	if part.Err != nil {
		return nil
	}
	return firstTransactional(part.Records)
}

// unverified returns the error for a producer whose records were not verified. If the producer may
// try again, the error is NOT_ENOUGH_REPLICAS: old producers handle it well, and no producer looks
// for the leader on it.
func unverified(code protocol.ErrorCode) error {
	switch code {
	case protocol.InvalidTxnState:
		return &unverifiedError{code, "Partition was not added to the transaction"}
	case protocol.ConcurrentTransactions, protocol.NetworkException, protocol.CoordinatorLoadInProgress,
		protocol.CoordinatorNotAvailable, protocol.NotCoordinator:
		return &unverifiedError{protocol.NotEnoughReplicas,
			"Unable to verify the partition has been added to the transaction. Underlying error: " + code.Name()}
	}
	return code
}

// unverifiedError is the error for records that were not verified. Its text is sent to the
// producer.
type unverifiedError struct {
	code protocol.ErrorCode
	text string
}

func (e *unverifiedError) Error() string { return e.text }

// Unwrap returns the protocol's error code.
func (e *unverifiedError) Unwrap() error { return e.code }

// VerifyTransaction verifies one partition, led here, for a coordinator's own append of
// transactional records. Pass the result to AppendAsLeader; it is nil if no verification is needed.
// Errors are the transaction coordinator's codes and those of a leader.
func (m *Manager) VerifyTransaction(t *Transaction, done <-chan struct{}) (*storage.Verification, error) {
	if !m.verifying() {
		return nil, nil
	}
	id := t.Partitions[0]
	guard, err := m.beginVerification(id.Topic, id.Partition, t, record.NoSequence)
	if guard == nil || err != nil {
		return nil, err
	}
	if code := m.cfg.Transactions.Verify(t, done)[id]; code != protocol.None {
		return nil, code
	}
	return guard, nil
}

// beginVerification returns the guard of a producer's first append to a partition, or nil if its
// transaction is already open there.
func (m *Manager) beginVerification(topic string, partition int32, t *Transaction, sequence int32) (*storage.Verification, error) {
	p, err := m.Partition(topic, partition)
	if err != nil {
		return nil, err
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.leaderErrorLocked(); err != nil {
		return nil, err
	}
	return p.log.VerifyTransaction(t.ProducerID, sequence, t.ProducerEpoch), nil
}
