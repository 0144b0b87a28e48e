package txnhistory

import "slices"

// explain returns the known hole that accounts for anomalies of a transaction, if any. It requires
// an unanswered request of the right kind and traces of its late effect in the logs, so it does not
// excuse other errors.
func (c *checker) explain(t *Transaction) Hole {
	earlier := c.earlier(t)
	switch {
	case c.endedEarly(t, earlier):
		return LateEndTxn
	case c.joinedLater(t):
		return LateProduce
	case c.unended(t) && slices.ContainsFunc(append(earlier, t), func(t *Transaction) bool { return t.Unanswered.AddPartitions > 0 }):
		return LateAddPartitions
	}
	return NoHole
}

// earlier returns the transactions that the same producer began before t.
func (c *checker) earlier(t *Transaction) []*Transaction {
	var all []*Transaction
	for _, other := range c.chains[producer{t.ID, t.Instance}] {
		if other.Number < t.Number {
			all = append(all, other)
		}
	}
	return all
}

// endedEarly reports whether a marker of the producer's own epoch ended the transaction before its
// producer asked for that, and an earlier transaction with the same end has an EndTxn request
// without an answer. A time-out or a new producer would have used the next epoch.
func (c *checker) endedEarly(t *Transaction, earlier []*Transaction) bool {
	for _, w := range t.Writes {
		s := c.stored[w.Value]
		if s == nil || s.fate == open || s.marker.Epoch != s.epoch {
			continue
		}
		if !t.EndAsked.IsZero() && !s.marker.Time.Before(t.EndAsked) {
			continue
		}
		for _, before := range earlier {
			same := (s.fate == hidden) == (before.Outcome == Aborted)
			if same && !before.EndAsked.IsZero() && before.Unanswered.EndTxn > 0 {
				return true
			}
		}
	}
	return false
}

// joinedLater reports whether all visible records of a transaction are of Produce requests without
// an answer, and were committed after its producer had seen its end.
func (c *checker) joinedLater(t *Transaction) bool {
	late := false
	for _, w := range t.Writes {
		s := c.stored[w.Value]
		if s == nil || s.fate != visible {
			continue
		}
		if w.Acknowledged || t.Unanswered.Produce == 0 || t.Ended.IsZero() || !s.marker.Time.After(t.Ended) {
			return false
		}
		late = true
	}
	return late
}

func (c *checker) unended(t *Transaction) bool {
	return slices.ContainsFunc(t.Writes, func(w Write) bool {
		s := c.stored[w.Value]
		return s != nil && s.fate == open
	})
}
