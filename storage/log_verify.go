package storage

import "github.com/monedula/monedula/record"

// Verification is the guard of a producer's first append to this log in a
// transaction: while one is pending its coordinator is asked whether the
// partition belongs to the transaction, and only an append that carries it may
// begin the transaction here (KIP-890). A marker that comes meanwhile ends it,
// so that a late answer of the coordinator cannot let records in after their
// transaction has ended.
type Verification struct {
	startedMs      int64
	lowestSequence int32 // seen of epoch
	epoch          int16
}

// VerifyTransaction begins the verification of a producer's transaction, or
// returns the one that is pending; nil where the transaction is open in this log
// already, so that there is nothing to verify. sequence is the first of the
// records to be appended, -1 for none.
func (l *Log) VerifyTransaction(producerID int64, sequence int32, epoch int16) *Verification {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.producers.hasOpenTxn(producerID) {
		return nil
	}
	return l.producers.verify(producerID, sequence, epoch, l.env.now())
}

// unverified says whether a batch would begin a transaction that the
// coordinator was not asked about. mu is held.
func (l *Log) unverified(b record.Batch, guard *Verification) bool {
	return b.IsTransactional() && !b.IsControl() && !l.producers.hasOpenTxn(b.ProducerID()) &&
		!l.producers.verified(b.ProducerID(), guard)
}

// verify returns the producer's pending verification, begun now (ms) where
// there is none, and notes the lowest sequence seen of the newest epoch.
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

// verified says whether guard is the producer's pending verification.
func (s *producerState) verified(producerID int64, guard *Verification) bool {
	return guard != nil && s.verifications[producerID] == guard
}
