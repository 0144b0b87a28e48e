// Package txnhistory checks histories of transactional producers in the style of list-append:
// concurrent producers append unique values to several partitions in transactions, readers of both
// isolation levels read them, and Check compares what the clients know with what the logs contain.
// It does no input or output; tests of a running cluster and simulations record the histories.
package txnhistory

import (
	"fmt"
	"time"
)

// Partition is a partition of a topic.
type Partition struct {
	Topic string
	Index int32
}

func (p Partition) String() string { return fmt.Sprintf("%s-%d", p.Topic, p.Index) }

// Position is the place of a record in a log.
type Position struct {
	Partition
	Offset int64
}

func (p Position) String() string { return fmt.Sprintf("%s@%d", p.Partition, p.Offset) }

// Outcome is what the producer knows about the end of a transaction.
type Outcome int

const (
	// Unknown: the producer asked to commit and got no definite answer. Either all of the
	// transaction is visible or nothing.
	Unknown Outcome = iota
	// Committed: the coordinator acknowledged the commit.
	Committed
	// Aborted: the producer asked to abort, whatever the answer, or never asked to end the
	// transaction. Nothing of it may be visible.
	Aborted
)

func (o Outcome) String() string { return [...]string{"unknown", "committed", "aborted"}[o] }

// Write is one record that a transaction appended.
type Write struct {
	Value        string // unique in the history
	Partition    Partition
	Acknowledged bool      // by all in-sync replicas; otherwise the record may be stored or not
	Offset       int64     // if acknowledged
	Source       *Position // the record of which this one is the output, if any
}

// Requests counts requests of some kinds.
type Requests struct{ Produce, AddPartitions, EndTxn int }

// Transaction is one transaction as its producer saw it.
type Transaction struct {
	ID       string // transactional id
	Instance int    // number of the producer in the history; a zombie and its successor share the ID only
	Number   int    // ascending for one producer
	Writes   []Write
	Group    string              // the group for which it commits offsets, or empty
	Offsets  map[Partition]int64 // the offsets that it commits for the group
	Outcome  Outcome
	EndAsked time.Time // when the producer first asked for the end; zero if it never did
	Ended    time.Time // when it got the answer or gave up; zero if it never asked
	// Unanswered counts the requests without an answer. A broker may still handle them later.
	Unanswered Requests
}

func (t *Transaction) String() string {
	return fmt.Sprintf("%s/%d/%d (%s)", t.ID, t.Instance, t.Number, t.Outcome)
}

// Marker is the kind of a control record.
type Marker int

const (
	// NoMarker: the entry is a record.
	NoMarker Marker = iota
	// CommitMarker commits the open records of its producer.
	CommitMarker
	// AbortMarker aborts the open records of its producer.
	AbortMarker
)

func (m Marker) String() string { return [...]string{"no marker", "commit marker", "abort marker"}[m] }

// Entry is a record or a marker in a log.
type Entry struct {
	Offset   int64
	Value    string // of a record
	Producer int64
	Epoch    int16
	Marker   Marker
	Time     time.Time // of a marker: when the leader appended it
}

// Reading is all that one consumer read while the cluster ran, per partition in the order of
// reading.
type Reading struct {
	Reader    string
	Committed bool // isolation level read_committed
	Complete  bool // each partition in Records was read from its start to its end; otherwise the reader may have begun and ended anywhere
	Records   map[Partition][]Entry
}

// History is the complete history of a run. The logs and offsets are read at the end, after the last
// transaction has ended or timed out.
type History struct {
	Transactions []*Transaction
	Logs         map[Partition][]Entry // from the first offset to the end, with markers
	Readings     []Reading
	Groups       map[string]map[Partition]int64 // committed offsets of groups, whose members copy their input
}
