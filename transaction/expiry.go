package transaction

import "time"

// TimesOut returns the time after which AbortIfTimedOut aborts the transaction. ongoing is false if
// no transaction is open.
func (t *Transaction) TimesOut() (at time.Time, ongoing bool) {
	return time.UnixMilli(t.startMs).Add(time.Duration(t.timeoutMs) * time.Millisecond), t.state == Ongoing
}

// AbortIfTimedOut fences the producer and aborts its transaction if that has been open for longer
// than its timeout. It returns nil if there is nothing to do.
func (t *Transaction) AbortIfTimedOut(now time.Time) *Effects {
	if at, ongoing := t.TimesOut(); !ongoing || t.pending != nil || now.UnixMilli() <= at.UnixMilli() {
		return nil
	}
	return t.fence(now, &Effects{}, timeoutEnd, nil)
}

// ExpireIfIdle begins the removal of an id that has not been used for transactional.id.expiration.ms.
// The record to append is a tombstone. ExpireIfIdle returns nil if there is nothing to do.
func (t *Transaction) ExpireIfIdle(now time.Time, after time.Duration) *Effects {
	if t.pending != nil || !t.state.idle() || t.updatedMs > now.UnixMilli()-after.Milliseconds() {
		return nil
	}
	next := t.next(Dead, now)
	next.partitions, next.updatedMs = nil, t.updatedMs
	return t.prepare(&Effects{}, next)
}
