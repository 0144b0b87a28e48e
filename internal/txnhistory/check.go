package txnhistory

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// fate is what the log says about a record.
type fate int

const (
	open    fate = iota // no marker follows
	visible             // a commit marker follows
	hidden              // an abort marker follows
)

// stored is a record in a log.
type stored struct {
	at     Position
	epoch  int16
	fate   fate
	marker Entry // if not open
}

// owner is the write that a value belongs to.
type owner struct {
	txn   *Transaction
	write int
}

type producer struct {
	id       string
	instance int
}

type checker struct {
	h      *History
	report Report
	owners map[string]owner
	stored map[string]*stored          // by value
	chains map[producer][]*Transaction // transactions of one producer by number
	holes  map[*Transaction]Hole
}

// Check compares what the clients of a history know with its logs and offsets.
func Check(h *History) *Report {
	c := &checker{h: h, owners: map[string]owner{}, stored: map[string]*stored{}, chains: map[producer][]*Transaction{}, holes: map[*Transaction]Hole{}}
	c.index()
	for _, p := range sorted(h.Logs) {
		c.readLog(p, h.Logs[p])
	}
	for _, t := range h.Transactions {
		c.holes[t] = c.explain(t)
	}
	for _, p := range sorted(h.Logs) {
		c.checkOrder(p, h.Logs[p])
	}
	for _, t := range h.Transactions {
		c.checkTransaction(t)
	}
	for _, r := range h.Readings {
		c.checkReading(r)
	}
	for _, group := range slices.Sorted(maps.Keys(h.Groups)) {
		c.checkGroup(group)
	}
	return &c.report
}

func sorted[V any](m map[Partition]V) []Partition {
	return slices.SortedFunc(maps.Keys(m), func(a, b Partition) int {
		if a.Topic != b.Topic {
			return strings.Compare(a.Topic, b.Topic)
		}
		return int(a.Index) - int(b.Index)
	})
}

// find notes an anomaly. t is the transaction concerned, or nil.
func (c *checker) find(kind Kind, t *Transaction, format string, args ...any) {
	f := Finding{Kind: kind, Text: fmt.Sprintf(format, args...)}
	if t != nil {
		f.Hole = c.holes[t]
	}
	c.report.Findings = append(c.report.Findings, f)
}

func (c *checker) index() {
	counts := &c.report.Counts
	for _, t := range c.h.Transactions {
		p := producer{t.ID, t.Instance}
		c.chains[p] = append(c.chains[p], t)
		for i, w := range t.Writes {
			c.owners[w.Value] = owner{t, i}
		}
		switch t.Outcome {
		case Committed:
			counts.Committed++
		case Aborted:
			counts.Aborted++
		case Unknown:
			counts.Unknown++
		}
		counts.Unanswered.Produce += t.Unanswered.Produce
		counts.Unanswered.AddPartitions += t.Unanswered.AddPartitions
		counts.Unanswered.EndTxn += t.Unanswered.EndTxn
	}
	for _, chain := range c.chains {
		slices.SortStableFunc(chain, func(a, b *Transaction) int { return a.Number - b.Number })
	}
}

// readLog finds the fate of each record: the next marker of its producer decides.
func (c *checker) readLog(p Partition, log []Entry) {
	undecided := map[int64][]*stored{}
	for _, e := range log {
		if e.Marker != NoMarker {
			for _, s := range undecided[e.Producer] {
				s.marker = e
				if s.fate = hidden; e.Marker == CommitMarker {
					s.fate = visible
				}
			}
			delete(undecided, e.Producer)
			continue
		}
		at := Position{p, e.Offset}
		o, sent := c.owners[e.Value]
		switch earlier := c.stored[e.Value]; {
		case !sent || o.txn.Writes[o.write].Partition != p:
			c.find(NeverSent, nil, "%q at %s", e.Value, at)
			continue
		case earlier != nil:
			c.find(Duplicate, o.txn, "%q of %s is at %s and at %s", e.Value, o.txn, earlier.at, at)
			continue
		}
		s := &stored{at: at, epoch: e.Epoch}
		c.stored[e.Value] = s
		undecided[e.Producer] = append(undecided[e.Producer], s)
	}
}

// checkOrder checks that the records of each producer are stored in the order of sending.
func (c *checker) checkOrder(p Partition, log []Entry) {
	type place struct{ number, write int }
	last := map[producer]place{}
	for _, e := range log {
		o, sent := c.owners[e.Value]
		if e.Marker != NoMarker || !sent || c.stored[e.Value] == nil || c.stored[e.Value].at != (Position{p, e.Offset}) {
			continue
		}
		who, at := producer{o.txn.ID, o.txn.Instance}, place{o.txn.Number, o.write}
		if before, any := last[who]; any && (at.number < before.number || at.number == before.number && at.write < before.write) {
			c.find(Reordering, o.txn, "write %d of %s at %s@%d follows write %d of transaction %d", at.write, o.txn, p, e.Offset, before.write, before.number)
		}
		last[who] = at
	}
}

// checkTransaction checks that the outcome of a transaction is the one its producer knows, in all
// partitions.
func (c *checker) checkTransaction(t *Transaction) {
	var shown, missing []string
	for _, w := range t.Writes {
		s := c.stored[w.Value]
		switch {
		case s == nil && w.Acknowledged:
			c.find(LostWrite, t, "%q of %s, acknowledged at %s@%d, is not stored", w.Value, t, w.Partition, w.Offset)
			continue
		case s == nil:
			continue
		case w.Acknowledged && s.at.Offset != w.Offset:
			c.find(Moved, t, "%q of %s is at %s but was acknowledged at offset %d", w.Value, t, s.at, w.Offset)
		}
		switch s.fate {
		case visible:
			shown = append(shown, s.at.String())
			c.report.Counts.Visible++
			continue
		case open:
			c.find(Unended, t, "%q of %s at %s has no marker", w.Value, t, s.at)
		}
		c.report.Counts.Invisible++
		if w.Acknowledged {
			missing = append(missing, s.at.String())
		}
	}
	switch {
	case t.Outcome == Aborted && len(shown) > 0:
		c.find(AbortedRead, t, "%s, but these records are visible: %v; these are not: %v", t, shown, missing)
	case len(shown) > 0 && len(missing) > 0:
		c.find(TornTransaction, t, "%s: these records are visible: %v; these are not: %v", t, shown, missing)
	case t.Outcome == Committed && len(missing) > 0:
		c.find(LostWrite, t, "%s, but these records are not visible: %v", t, missing)
	case t.Outcome == Unknown && len(shown) > 0:
		c.report.Counts.UnknownVisible++
	}
}

// checkReading checks that a consumer read what the log contains, in order and without a gap.
func (c *checker) checkReading(r Reading) {
	for _, p := range sorted(r.Records) {
		read := r.Records[p]
		c.report.Counts.Read += len(read)
		if len(read) == 0 && !r.Complete {
			continue
		}
		content := map[int64]string{}
		for _, e := range c.h.Logs[p] {
			if e.Marker == NoMarker {
				content[e.Offset] = e.Value
			}
		}
		seen := map[int64]bool{}
		last := int64(-1)
		for _, e := range read {
			o := c.owners[e.Value]
			if e.Offset <= last {
				c.find(Reordering, o.txn, "%s read %s@%d after offset %d", r.Reader, p, e.Offset, last)
			}
			last, seen[e.Offset] = e.Offset, true
			if value, exists := content[e.Offset]; !exists || value != e.Value {
				c.find(Moved, o.txn, "%s read %q at %s@%d, which now contains %q", r.Reader, e.Value, p, e.Offset, value)
				continue
			}
			if s := c.stored[e.Value]; r.Committed && s != nil && s.at == (Position{p, e.Offset}) && s.fate != visible {
				c.find(AbortedRead, o.txn, "%s read %q of %s at %s", r.Reader, e.Value, o.txn, s.at)
			}
		}
		c.checkGaps(r, p, seen)
	}
}

// checkGaps checks that a reader returned every record between the first and the last that it read,
// or of the whole log.
func (c *checker) checkGaps(r Reading, p Partition, seen map[int64]bool) {
	first, last := int64(0), int64(math.MaxInt64)
	if !r.Complete {
		offsets := slices.Sorted(maps.Keys(seen))
		first, last = offsets[0], offsets[len(offsets)-1]
	}
	for _, e := range c.h.Logs[p] {
		s := c.stored[e.Value]
		if e.Marker != NoMarker || s == nil || e.Offset < first || e.Offset > last || seen[e.Offset] || r.Committed && s.fate != visible {
			continue
		}
		c.find(SkippedRecord, c.owners[e.Value].txn, "%s did not return %q at %s@%d", r.Reader, e.Value, p, e.Offset)
	}
}

// checkGroup checks that each input record below the committed offset of a group has exactly one
// visible output, and that those above have none.
func (c *checker) checkGroup(group string) {
	outputs := map[Position][]*Transaction{}
	committed := c.h.Groups[group]
	for _, t := range c.h.Transactions {
		if t.Group != group {
			continue
		}
		for _, w := range t.Writes {
			if s := c.stored[w.Value]; w.Source != nil && s != nil && s.fate == visible {
				outputs[*w.Source] = append(outputs[*w.Source], t)
			}
		}
		for p, next := range t.Offsets {
			if t.Outcome == Committed && committed[p] < next {
				c.find(OffsetsOutOfStep, t, "%s committed offset %d of %s for group %s, which has %d", t, next, p, group, committed[p])
			}
		}
	}
	for _, p := range sorted(committed) {
		next := committed[p]
		for _, e := range c.h.Logs[p] {
			s, at := c.stored[e.Value], Position{p, e.Offset}
			if e.Marker != NoMarker || s == nil || s.fate != visible {
				continue
			}
			by := outputs[at]
			delete(outputs, at)
			switch {
			case len(by) > 1:
				c.find(OffsetsOutOfStep, by[1], "group %s copied %s twice, in %s and %s", group, at, by[0], by[1])
			case len(by) == 0 && e.Offset < next:
				c.find(OffsetsOutOfStep, c.lastCommit(group, p, e.Offset), "group %s committed offset %d of %s, but offset %d has no output", group, next, p, e.Offset)
			case len(by) == 1 && e.Offset >= next:
				c.find(OffsetsOutOfStep, by[0], "group %s committed offset %d of %s, but %s contains the output of offset %d", group, next, p, by[0], e.Offset)
			case len(by) == 1:
				c.report.Counts.Inputs++
			}
		}
	}
	for _, at := range slices.SortedFunc(maps.Keys(outputs), func(a, b Position) int { return strings.Compare(a.String(), b.String()) }) {
		c.find(AbortedRead, outputs[at][0], "group %s copied %s, which no transaction has committed, in %s", group, at, outputs[at][0])
	}
}

// lastCommit returns the transaction of a group that consumed an input record: the one with the
// smallest committed offset above it, or nil.
func (c *checker) lastCommit(group string, p Partition, offset int64) (found *Transaction) {
	for _, t := range c.h.Transactions {
		if next, ok := t.Offsets[p]; ok && t.Group == group && next > offset && (found == nil || next < found.Offsets[p]) {
			found = t
		}
	}
	return found
}
