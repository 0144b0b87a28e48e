package txnhistory

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is the kind of an anomaly.
type Kind string

// The anomalies that Check finds.
const (
	LostWrite        Kind = "lost write"              // an acknowledged record is missing, or an acknowledged commit was aborted
	AbortedRead      Kind = "aborted read"            // a record of a transaction that never committed is visible
	TornTransaction  Kind = "torn transaction"        // a part of a transaction is visible, another is not
	Duplicate        Kind = "duplicate"               // a record is stored twice
	Reordering       Kind = "reordering"              // records of one producer in one partition are not in the order of sending
	Moved            Kind = "moved record"            // a record is not at the offset at which it was acknowledged or read
	NeverSent        Kind = "unsent record"           // no transaction has written the record
	SkippedRecord    Kind = "skipped record"          // a reader continued after a record that it should have returned
	OffsetsOutOfStep Kind = "offsets out of step"     // committed offsets do not match the visible output
	Unended          Kind = "transaction never ended" // a record has no marker although every transaction has timed out
)

// Hole is a known weakness of transactions with clients that do not use KIP-890 part 2. A request
// that a broker handles after its client has given up then counts for the next transaction of the
// same producer, because both have the same epoch.
type Hole string

// The known holes.
const (
	NoHole            Hole = ""
	LateEndTxn        Hole = "late EndTxn"
	LateAddPartitions Hole = "late AddPartitionsToTxn"
	LateProduce       Hole = "late Produce"
)

// Finding is one anomaly.
type Finding struct {
	Kind Kind
	Text string
	Hole Hole // the known hole that explains it; NoHole: none, so the cluster is wrong
}

func (f Finding) String() string {
	text := fmt.Sprintf("%s: %s", f.Kind, f.Text)
	if f.Hole != NoHole {
		text += fmt.Sprintf(" (known hole: %s)", f.Hole)
	}
	return text
}

// Report is the result of Check.
type Report struct {
	Findings []Finding
	Counts   Counts
}

// Counts describes how much a history contains.
type Counts struct {
	Committed, Aborted, Unknown int // transactions by outcome
	UnknownVisible              int // those of unknown outcome that did commit
	Visible, Invisible          int // records in the logs
	Read                        int // records that readers returned
	Inputs                      int // records that groups have copied
	Unanswered                  Requests
}

// Violations returns the findings that no known hole explains.
func (r *Report) Violations() []Finding {
	return slices.DeleteFunc(slices.Clone(r.Findings), func(f Finding) bool { return f.Hole != NoHole })
}

// Holes returns the findings that a known hole explains.
func (r *Report) Holes() []Finding {
	return slices.DeleteFunc(slices.Clone(r.Findings), func(f Finding) bool { return f.Hole == NoHole })
}

// String returns the counts, followed by one line for each finding.
func (r *Report) String() string {
	c := r.Counts
	var b strings.Builder
	fmt.Fprintf(&b, "%d transactions committed, %d aborted, %d unknown (%d of them visible); %d records visible, %d not, %d read, %d copied; unanswered: %d Produce, %d AddPartitionsToTxn, %d EndTxn; %d violations, %d by known holes",
		c.Committed, c.Aborted, c.Unknown, c.UnknownVisible, c.Visible, c.Invisible, c.Read, c.Inputs,
		c.Unanswered.Produce, c.Unanswered.AddPartitions, c.Unanswered.EndTxn, len(r.Violations()), len(r.Holes()))
	for _, f := range r.Findings {
		b.WriteString("\n" + f.String())
	}
	return b.String()
}
