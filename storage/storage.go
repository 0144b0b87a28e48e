// Package storage implements the commit log: segments and their indexes, leader epochs, producer
// state, recovery, retention, and the log directories.
package storage

import (
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

// TopicPartition names a log.
type TopicPartition = metadata.TopicPartition

// Bound is the limit up to which a reader may read.
type Bound int8

// A replica reads up to the log end, a consumer up to the high watermark or, with read_committed,
// up to the last stable offset.
const (
	UpToLogEnd Bound = iota
	UpToHighWatermark
	UpToLastStable
)

// Read is a request for bytes of one log.
type Read struct {
	Offset        record.Offset
	MaxBytes      int32
	MinOneMessage bool // return the whole first batch even if it is larger than MaxBytes
	Bound         Bound
	AbortedWanted bool // read_committed: list aborted transactions
}

// Offsets is one atomic snapshot of a log's positions:
// LogStart <= LastStable <= HighWatermark <= LogEnd.
type Offsets struct {
	LogStart, HighWatermark, LastStable, LogEnd record.Offset
}

// AbortedTxn is an aborted transaction. A read_committed reader must skip its records.
type AbortedTxn struct {
	ProducerID  int64
	FirstOffset record.Offset
}

// Data is the result of a Read: a range of bytes in one pinned segment. The caller must call
// Release once, after the last use.
//
// The bytes never change while they are pinned. A truncation that cuts into a pinned range shortens
// the file and never appends to it again, so a sender that gets fewer bytes than expected must
// close its connection; it never sees other bytes.
type Data struct {
	Offsets  Offsets  // sampled before the read
	File     vfs.File // nil when Length is 0
	Position int64    // of the first byte in File
	Length   int32    // in bytes
	// FirstBatchIncomplete reports whether the first batch is larger than MaxBytes and was
	// therefore cut or, without MinOneMessage, left out.
	FirstBatchIncomplete bool
	// BoundInNewerSegment reports whether the read's upper bound lies in a later segment than the
	// data, which lets a waiting fetch answer at once.
	BoundInNewerSegment bool
	Aborted             []AbortedTxn

	pin pin
}

// Release unpins the segment. The zero Data may be released.
func (d *Data) Release() { d.pin.release() }

// ProducerStatus is the state of one producer, as DescribeProducers reports it.
type ProducerStatus struct {
	ProducerID            int64
	ProducerEpoch         int16
	LastSequence          int32
	LastTimestamp         int64 // in ms; -1 if none
	CoordinatorEpoch      int32
	CurrentTxnFirstOffset record.Offset // -1: no open transaction
}
