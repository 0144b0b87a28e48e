package transaction

import (
	"fmt"

	"github.com/monedula/monedula/protocol"
)

// Effects is what the caller of a step must do, in this order: append the record, send the markers,
// send the answers, log the lines.
type Effects struct {
	// Append is a record to append with acks=all, or nil. The outcome must be passed to
	// Transaction.Appended.
	Append *Transition
	// Retry is set if appending the record has failed before. The caller appends it after a pause.
	Retry bool
	// Markers are to be written on the leaders of their partitions; nil: none. The outcomes must
	// be passed to Transaction.MarkersWritten or Transaction.MarkersAbandoned.
	Markers *Markers
	Answers []Answer
	Lines   []Line
	// Remove is set if the id has expired and must be forgotten.
	Remove bool
	// NeedProducerID is set if InitProducerID needs a new producer id. Nothing else has happened.
	// The caller allocates one, without holding locks, and takes the step again.
	NeedProducerID bool
}

// Result is the answer to a request.
type Result struct {
	Code protocol.ErrorCode
	// ProducerID and Epoch are those of the initialized producer; -1 in other answers.
	ProducerID int64
	Epoch      int16
}

// Answer is the answer to a request. The caller must send Result to To, which has a free slot.
type Answer struct {
	To     chan<- Result
	Result Result
}

// Refused returns the result of a request that got an error, or of one that has no producer to
// return.
func Refused(code protocol.ErrorCode) Result {
	return Result{Code: code, ProducerID: noProducerID, Epoch: noEpoch}
}

// Level is the log level of a Line.
type Level int8

// The levels of lines. Failure is logged as an error.
const (
	Info Level = iota
	Warn
	Failure
)

// Source is the class in whose name Kafka logs a Line.
type Source int8

// The sources of lines, in Kafka's package kafka.coordinator.transaction.
const (
	CoordinatorLine  Source = iota // TransactionCoordinator
	StateManagerLine               // TransactionStateManager
	MetadataLine                   // TransactionMetadata, without a prefix
	MarkerLine                     // TransactionMarkerChannelManager
)

// Line is a line for the broker's log, without the prefix of its source.
type Line struct {
	Level Level
	From  Source
	Text  string
}

func (e *Effects) line(level Level, from Source, format string, args ...any) {
	e.Lines = append(e.Lines, Line{level, from, fmt.Sprintf(format, args...)})
}

// answer answers a request; to is nil if there is none.
func (e *Effects) answer(to chan<- Result, r Result) *Effects {
	if to != nil {
		e.Answers = append(e.Answers, Answer{to, r})
	}
	return e
}

func (e *Effects) refuse(to chan<- Result, code protocol.ErrorCode) *Effects {
	return e.answer(to, Refused(code))
}
