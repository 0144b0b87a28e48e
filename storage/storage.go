// Package storage is the commit log: segments and their indexes, leader
// epochs, producer state, recovery, retention, and the log directories.
package storage

import (
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
)

// TopicPartition names a log.
type TopicPartition = metadata.TopicPartition

// Bound says how far a reader may read.
type Bound int8

// The bounds: a replica reads to the log end, a consumer to the high
// watermark or, with read_committed, to the last stable offset.
const (
	UpToLogEnd Bound = iota
	UpToHighWatermark
	UpToLastStable
)

// Read asks for bytes of one log.
type Read struct {
	Offset        int64
	MaxBytes      int32
	MinOneMessage bool // a first batch larger than MaxBytes is returned whole
	Bound         Bound
	AbortedWanted bool // read_committed: list aborted transactions
}

// Offsets is one atomic snapshot of a log's positions:
// LogStart <= LastStable <= HighWatermark <= LogEnd.
type Offsets struct {
	LogStart, HighWatermark, LastStable, LogEnd int64
}

// AbortedTxn is one aborted transaction a read_committed reader must skip.
type AbortedTxn struct {
	ProducerID  int64
	FirstOffset int64
}

// Data is the answer to a Read: a run of bytes inside one pinned segment.
// Release must be called once, after the last use.
//
// The bytes never change while they are pinned. When a truncation cuts into a
// pinned run the file gets shorter and is never appended to again, so a sender
// that comes up short must close its connection; it never sees other bytes.
type Data struct {
	Offsets  Offsets  // sampled before the read
	File     vfs.File // nil when Length is 0
	Position int64
	Length   int32
	// FirstBatchIncomplete: the first batch is larger than MaxBytes and was
	// cut, or left out because a whole one was not asked for.
	FirstBatchIncomplete bool
	// BoundInNewerSegment: the read's upper bound lies in a later segment than
	// the data, which lets a waiting fetch answer at once.
	BoundInNewerSegment bool
	Aborted             []AbortedTxn

	pin pin
}

// Release unpins the segment. The zero Data may be released.
func (d *Data) Release() { d.pin.release() }

// ProducerStatus tells of one producer for DescribeProducers.
type ProducerStatus struct {
	ProducerID            int64
	ProducerEpoch         int16
	LastSequence          int32
	LastTimestamp         int64
	CoordinatorEpoch      int32
	CurrentTxnFirstOffset int64 // -1: no open transaction
}
