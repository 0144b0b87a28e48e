package storage

import (
	"testing"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// verified makes a client's transactional append with the verification that Produce requires.
func verified(t *testing.T, l *Log, sequence int32, guard *Verification) error {
	t.Helper()
	o := idempotent(4, 0, sequence)
	o.Transactional = true
	_, err := l.AppendAsLeader(Append{Records: batch(t, o, values(1, "v")...), VerificationRequired: true, Verified: guard})
	return err
}

func endTxn(t *testing.T, l *Log, kind record.ControlType, coordinatorEpoch int32) error {
	t.Helper()
	o := record.Defaults()
	o.ProducerID, o.ProducerEpoch = 4, 0
	marker, err := record.EndTxnMarker(o, kind, coordinatorEpoch, 1)
	noError(t, err)
	_, err = l.AppendAsLeader(Append{Records: marker, Origin: record.FromCoordinator, VerificationRequired: true})
	return err
}

// The first append of a transaction needs a guard, the others do not.
func TestTheFirstAppendOfATransactionIsVerified(t *testing.T) {
	l, _ := newLog(t, testTopic())
	wantEqual(t, "without a guard", protocol.CodeOf(verified(t, l, 0, nil)), protocol.InvalidTxnState)
	wantEqual(t, "with a foreign guard", protocol.CodeOf(verified(t, l, 0, &Verification{})), protocol.InvalidTxnState)
	guard := l.VerifyTransaction(4, 0, 0)
	noError(t, verified(t, l, 0, guard))
	if l.VerifyTransaction(4, 1, 0) != nil {
		t.Error("an open transaction needs verification")
	}
	noError(t, verified(t, l, 1, nil))
	noError(t, endTxn(t, l, record.Commit, 0))
	wantEqual(t, "after the end", protocol.CodeOf(verified(t, l, 2, guard)), protocol.InvalidTxnState)
	noError(t, verified(t, l, 2, l.VerifyTransaction(4, 2, 0)))
}

// The marker overtakes the coordinator's answer. The late records must be rejected, or they would
// hold back the last stable offset forever (KAFKA-14402).
func TestPitfallReplication25_AMarkerEndsAPendingVerification(t *testing.T) {
	l, _ := newLog(t, testTopic())
	guard := l.VerifyTransaction(4, 0, 0)
	noError(t, endTxn(t, l, record.Abort, 0))
	again := l.VerifyTransaction(4, 0, 0) // for the producer's next transaction
	wantEqual(t, "the late records", protocol.CodeOf(verified(t, l, 0, guard)), protocol.InvalidTxnState)
	noError(t, verified(t, l, 0, again))
	l.SetHighWatermark(l.Offsets().LogEnd)
	wantEqual(t, "last stable", l.Offsets().LastStable, 1)
}

// A batch whose verification failed temporarily is not overtaken by a later one.
func TestALowerSequenceUnderVerificationHoldsBackHigherOnes(t *testing.T) {
	l, _ := newLog(t, testTopic())
	l.VerifyTransaction(4, 3, 0)
	guard := l.VerifyTransaction(4, 5, 0)
	wantEqual(t, "the later batch", protocol.CodeOf(verified(t, l, 5, guard)), protocol.OutOfOrderSequenceNumber)
	noError(t, verified(t, l, 3, l.VerifyTransaction(4, 3, 0)))
}

// A coordinator of an earlier epoch can no longer write markers.
func TestAnOldCoordinatorIsFenced(t *testing.T) {
	l, _ := newLog(t, testTopic())
	noError(t, endTxn(t, l, record.Abort, 3))
	wantEqual(t, "older", protocol.CodeOf(endTxn(t, l, record.Commit, 2)), protocol.TransactionCoordinatorFenced)
	noError(t, endTxn(t, l, record.Commit, 3))
	wantEqual(t, "end", l.Offsets().LogEnd, 2)
}
