// Package clean decides what the compaction of a log keeps: which part of a log is due, which
// segments are merged, and which batches and records survive. It does no I/O and does not know the
// time; package storage reads the segments and replaces them.
//
// A log's dirty part begins where the last cleaning ended. A cleaning first reads the dirty part
// into an OffsetMap, which holds the latest offset of each key. It then filters all segments up to
// the end of the map: a record survives if no later record has its key. The last record of a key
// without a value, a tombstone, survives until its delete horizon (KIP-534).
package clean

import "github.com/monedula/monedula/record"

// AbortedTxn is an aborted transaction, as an entry of a transaction index describes it.
type AbortedTxn struct {
	ProducerID              int64
	FirstOffset, LastOffset record.Offset // of its first batch and of its ABORT marker
	LastStableOffset        record.Offset // the last stable offset after the marker
}
