// Package storage is the commit log: segments and their indexes, leader
// epochs, producer state, recovery, retention, and the log directories.
package storage

import (
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

// TopicPartition names a log.
type TopicPartition = metadata.TopicPartition

// AppendInfo tells what an append did.
type AppendInfo struct {
	FirstOffset    int64
	LastOffset     int64
	MaxTimestamp   int64
	LogAppendTime  int64 // -1 for CreateTime
	LogStartOffset int64
	LeaderEpoch    int32
	Records        int
	Duplicate      bool // an idempotent batch that was there already; offsets are the original's
}

// Append is one leader append.
type Append struct {
	Records     []byte // one or more entries; stamped in place, owned by the log until the call returns
	LeaderEpoch int32
	Origin      record.Origin
	ZstdAllowed bool
	// BatchRequired: an empty or incomplete set is INVALID_RECORD (Produce v3+) rather than nothing.
	BatchRequired bool
}

// Bound says how far a reader may read.
type Bound int8

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
type Data struct {
	Offsets  Offsets  // sampled before the read
	File     vfs.File // nil when Length is 0
	Position int64
	Length   int32
	Aborted  []AbortedTxn
	// FirstBatchIncomplete: the first batch is larger than MaxBytes and was cut.
	FirstBatchIncomplete bool
	// EndInOlderSegment etc. are decided by the caller from Offsets.
	release func()
}

// Release unpins the segment. The zero Data may be released.
func (d *Data) Release() {
	if d.release != nil {
		d.release()
		d.release = nil
	}
}

// TimestampedOffset is the answer of a time lookup; Offset -1 when nothing fits.
type TimestampedOffset struct {
	Timestamp, Offset int64
	LeaderEpoch       int32
}

// Log is one partition's log on disk. See log.go.
//
// Methods (all safe for concurrent use; errors are protocol codes or wrap them;
// an I/O error takes the directory offline and is KAFKA_STORAGE_ERROR):
//   TopicPartition(), TopicID(), AssignTopicID(id) error, Dir() string (log dir), Config() *settings.Topic, SetConfig(*settings.Topic)
//   Offsets() Offsets; LeaderEpoch() int32 (latest of the cache, -1 none)
//   AppendAsLeader(Append) (AppendInfo, error); AppendAsFollower(set []byte, leaderEpoch int32) (AppendInfo, error)
//   Read(Read) (Data, error)
//   OffsetForTime(ts int64, bound int64...) ; OffsetOfMaxTimestamp(); LegacyOffsetsBefore(ts, max) []int64 (ListOffsets v0)
//   EndOffsetForEpoch(epoch) (foundEpoch int32, endOffset int64); AssignEpochStart(epoch int32, offset int64) error
//   TruncateTo(offset) error; TruncateFullyAndStartAt(offset, logStart) error
//   SetHighWatermark(int64) (moved bool); IncrementLogStart(offset) error; DeleteOldSegments() (n int, err error)
//   Flush(upTo) error; Roll() error; RecoveryPoint() int64; Size() int64; Producers() []ProducerState; Close() error

// ManagerConfig is what a Manager needs to open log directories.
type ManagerConfig struct {
	FS       vfs.FS
	Dirs     []string
	Settings *settings.Config
}
