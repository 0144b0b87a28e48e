package storage

import "github.com/monedula/monedula/record"

// Verification guards a producer's first append to this log in a transaction. While it is pending,
// the coordinator is asked whether the partition belongs to the transaction, and only an append
// that carries the Verification may begin the transaction here (KIP-890). A marker that arrives in
// the meantime ends it, so that a late answer of the coordinator cannot admit records after their
// transaction has ended.
type Verification struct {
	startedMs      int64
	lowestSequence int32 // lowest seen in epoch
	epoch          int16
}

// VerifyTransaction begins the verification of a producer's transaction, or returns the pending
// one. It returns nil if the transaction is already open in this log, so that nothing needs
// verification. sequence is that of the first record to be appended, -1 for none.
func (l *Log) VerifyTransaction(producerID int64, sequence int32, epoch int16) *Verification {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.producers.hasOpenTxn(producerID) {
		return nil
	}
	return l.producers.verify(producerID, sequence, epoch, l.env.now())
}

// unverified reports whether a batch would begin a transaction that was not verified with the
// coordinator.
func (s *producerState) unverified(b record.Batch, guard *Verification) bool {
	return b.IsTransactional() && !b.IsControl() && !s.hasOpenTxn(b.ProducerID()) && !s.verified(b.ProducerID(), guard)
}

// verify returns the producer's pending verification, or begins one at time now (ms), and records
// the lowest sequence seen in the newest epoch.
func (s *producerState) verify(producerID int64, sequence int32, epoch int16, now int64) *Verification {
	v := s.verifications[producerID]
	switch {
	case v == nil:
		v = &Verification{startedMs: now, lowestSequence: sequence, epoch: epoch}
		if s.verifications == nil {
			s.verifications = map[int64]*Verification{}
		}
		s.verifications[producerID] = v
	case epoch > v.epoch:
		v.epoch, v.lowestSequence = epoch, sequence
	case epoch == v.epoch:
		v.lowestSequence = min(v.lowestSequence, sequence)
	}
	return v
}

// verified reports whether guard is the producer's pending verification.
func (s *producerState) verified(producerID int64, guard *Verification) bool {
	return guard != nil && s.verifications[producerID] == guard
}
