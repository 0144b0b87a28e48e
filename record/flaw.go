package record

import "errors"

// Flaw is a kind of invalid records that Kafka's metrics count.
type Flaw int8

// The flaws, with the metrics of kafka.server:type=BrokerTopicMetrics that count them.
const (
	NoFlaw        Flaw = iota
	WrongMagic         // InvalidMagicNumberRecordsPerSec
	WrongChecksum      // InvalidMessageCrcRecordsPerSec
	WrongOffset        // InvalidOffsetOrSequenceRecordsPerSec: offsets, counts and sequences
	MissingKey         // NoKeyCompactedTopicRecordsPerSec
	numberOfFlaws
)

// Flaws is the number of records or batches with each flaw.
type Flaws [numberOfFlaws]int64

// flawed is an error because of a flaw.
type flawed struct {
	error
	flaw Flaw
}

// Unwrap returns the error without the flaw.
func (e *flawed) Unwrap() error { return e.error }

// because marks err with the flaw that it is about.
func because(flaw Flaw, err error) error { return &flawed{err, flaw} }

// FlawsOf returns the flaws because of which CheckAppend or ValidateAndAssign refused a set: one for
// each refused record or, if a whole batch was refused, one.
func FlawsOf(err error) (f Flaws) {
	var invalid *InvalidRecords
	var one *flawed
	switch {
	case errors.As(err, &invalid):
		return invalid.flaws
	case errors.As(err, &one):
		f[one.flaw] = 1
	}
	return f
}
