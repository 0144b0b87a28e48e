// Package storage is the commit log: segments and their indexes, leader
// epochs, producer state, recovery, retention, and the log directories.
package storage

import (
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

// TopicPartition names a log.
type TopicPartition = metadata.TopicPartition

// AppendInfo tells what an append did.
type AppendInfo struct {
	FirstOffset    int64 // -1 where nothing was appended (an empty set)
	LastOffset     int64 // FirstOffset-1 where nothing was appended
	MaxTimestamp   int64
	LogAppendTime  int64 // -1 for CreateTime
	LogStartOffset int64
	LeaderEpoch    int32 // of the last batch
	Records        int   // 0 for a follower's append, which does not count them
	Bytes          int
	Converted      int  // records whose format was converted
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
	Aborted  []AbortedTxn
	// FirstBatchIncomplete: the first batch is larger than MaxBytes and was
	// cut, or left out because a whole one was not asked for.
	FirstBatchIncomplete bool
	// BoundInNewerSegment: the read's upper bound lies in a later segment than
	// the data, which lets a waiting fetch answer at once.
	BoundInNewerSegment bool

	pin pin
}

// Release unpins the segment. The zero Data may be released.
func (d *Data) Release() { d.pin.release() }

// TimestampedOffset is the answer of an offset lookup; Offset -1 and Timestamp
// -1 when nothing fits, LeaderEpoch -1 when it is not known.
type TimestampedOffset struct {
	Timestamp, Offset int64
	LeaderEpoch       int32
}

// ProducerStatus tells of one producer for DescribeProducers.
type ProducerStatus struct {
	ProducerID            int64
	ProducerEpoch         int16
	LastSequence          int32
	LastTimestamp         int64
	CoordinatorEpoch      int32
	CurrentTxnFirstOffset int64 // -1: no open transaction
}

// Log is one partition's log on disk. All methods are safe for concurrent use;
// errors are protocol codes or wrap them. An I/O error takes the whole log
// directory offline (Manager) and is a KAFKA_STORAGE_ERROR, as is every call
// on a log of an offline directory.
type Log struct{ _ int }

// TopicPartition names the log.
func (l *Log) TopicPartition() TopicPartition { panic("unwritten") }

// TopicID is the id in partition.metadata; zero while none is known.
func (l *Log) TopicID() metadata.TopicID { panic("unwritten") }

// AssignTopicID records the topic's id and writes partition.metadata. An id
// other than the one the log has is INCONSISTENT_TOPIC_ID.
func (l *Log) AssignTopicID(id metadata.TopicID) error { panic("unwritten") }

// Dir is the log directory (an element of log.dirs) that holds the log.
func (l *Log) Dir() string { panic("unwritten") }

// IsFuture says whether the log is being filled to replace one in another directory.
func (l *Log) IsFuture() bool { panic("unwritten") }

// Config is the topic's configuration now in force.
func (l *Log) Config() *settings.Topic { panic("unwritten") }

// SetConfig replaces the topic's configuration.
func (l *Log) SetConfig(c *settings.Topic) { panic("unwritten") }

// Offsets is one atomic snapshot of the log's positions.
func (l *Log) Offsets() Offsets { panic("unwritten") }

// LeaderEpoch is the latest leader epoch the log knows, -1 for none.
func (l *Log) LeaderEpoch() int32 { panic("unwritten") }

// AppendAsLeader checks, stamps and appends a client's or coordinator's
// records. A duplicate of an idempotent batch is no error.
func (l *Log) AppendAsLeader(a Append) (AppendInfo, error) { panic("unwritten") }

// AppendAsFollower appends bytes of the leader as they are. Batches whose
// leader epoch is above leaderEpoch, the epoch the fetch was made in, are
// dropped with all that follow (KAFKA-18723). A first offset below the log end
// is an error (UNKNOWN_SERVER_ERROR with a text): the replica must not go on.
// The returned offsets say what was appended.
func (l *Log) AppendAsFollower(set []byte, leaderEpoch int32) (AppendInfo, error) {
	panic("unwritten")
}

// Read returns a slice of the log that starts with the batch holding r.Offset.
// An offset outside [LogStart, LogEnd] is OFFSET_OUT_OF_RANGE (Data.Offsets is
// filled all the same); at or above the bound the answer is empty.
func (l *Log) Read(r Read) (Data, error) { panic("unwritten") }

// Available tells how many bytes lie between offset and the bound, 0 when
// offset is at or above it. newerSegment says that the bound is in a later
// segment than offset; bytes are then those to the end of offset's segment.
func (l *Log) Available(offset int64, bound Bound) (bytes int64, newerSegment bool, err error) {
	panic("unwritten")
}

// OffsetForTime finds the first record at or after timestamp ts (ms), bounded
// by nothing but the log end: the caller drops an answer at or above its bound.
func (l *Log) OffsetForTime(ts int64) (TimestampedOffset, error) { panic("unwritten") }

// OffsetOfMaxTimestamp finds the record with the largest timestamp.
func (l *Log) OffsetOfMaxTimestamp() (TimestampedOffset, error) { panic("unwritten") }

// EarliestOffset is the log start with its leader epoch, as ListOffsets -2
// tells it; the timestamp is -1.
func (l *Log) EarliestOffset() TimestampedOffset { panic("unwritten") }

// LatestOffset is the bound's offset with the latest leader epoch, as
// ListOffsets -1 tells it; the timestamp is -1.
func (l *Log) LatestOffset(bound Bound) TimestampedOffset { panic("unwritten") }

// LegacyOffsetsBefore answers ListOffsets v0: at most max segment bases (and
// the log end), newest first, of segments last modified at or before ts; -1
// and -2 stand for latest and earliest.
func (l *Log) LegacyOffsetsBefore(ts int64, max int) ([]int64, error) { panic("unwritten") }

// EndOffsetForEpoch answers OffsetForLeaderEpoch: the largest known epoch at or
// below epoch, and where it ends; (-1, -1) when there is none.
func (l *Log) EndOffsetForEpoch(epoch int32) (foundEpoch int32, endOffset int64) {
	panic("unwritten")
}

// AssignEpochStart records that epoch starts at offset, durably, before a new
// leader serves.
func (l *Log) AssignEpochStart(epoch int32, offset int64) error { panic("unwritten") }

// TruncateTo cuts the log so that it ends at offset; truncated is false when it
// ended there or before already.
func (l *Log) TruncateTo(offset int64) (truncated bool, err error) { panic("unwritten") }

// TruncateFullyAndStartAt drops all data; the log is empty and ends at offset.
// logStart is the new log start, offset itself when -1.
func (l *Log) TruncateFullyAndStartAt(offset, logStart int64) error { panic("unwritten") }

// SetHighWatermark moves the high watermark, clamped to [LogStart, LogEnd], and
// with it the last stable offset; it returns the value taken and whether it or
// the last stable offset moved.
func (l *Log) SetHighWatermark(offset int64) (high int64, moved bool) { panic("unwritten") }

// IncrementLogStart raises the log start (DeleteRecords, or a follower that
// learns it). Above the high watermark it is OFFSET_OUT_OF_RANGE; lower than
// the present one it does nothing.
func (l *Log) IncrementLogStart(offset int64) error { panic("unwritten") }

// DeleteOldSegments applies retention now and tells how many segments went.
func (l *Log) DeleteOldSegments() (n int, err error) { panic("unwritten") }

// Flush makes everything below the log end durable.
func (l *Log) Flush() error { panic("unwritten") }

// Roll starts a new segment at the log end.
func (l *Log) Roll() error { panic("unwritten") }

// RecoveryPoint is the first offset not known to be durable.
func (l *Log) RecoveryPoint() int64 { panic("unwritten") }

// Size is the bytes of all segments' .log files.
func (l *Log) Size() int64 { panic("unwritten") }

// SegmentCount is the number of segments.
func (l *Log) SegmentCount() int { panic("unwritten") }

// Producers lists the active producers, by id.
func (l *Log) Producers() []ProducerStatus { panic("unwritten") }

// ManagerConfig is what a Manager needs to open log directories.
type ManagerConfig struct {
	FS       vfs.FS
	Dirs     []string // log.dirs, in order
	Settings *settings.Config
	Log      *logrus.Logger
	// BrokerID and ClusterID go into meta.properties. BrokerID is final: see
	// StoredBrokerID for one that is generated.
	BrokerID  int32
	ClusterID string
	// Defaults is the configuration of a topic that TopicConfig does not know.
	Defaults *settings.Topic
	// TopicConfig returns the configuration of a topic found on disk.
	TopicConfig func(topic string) *settings.Topic
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// Manager owns the log directories and every log in them.
type Manager struct{ _ int }

// DirStatus tells of one log directory.
type DirStatus struct {
	Path   string
	Online bool
	Total  int64 // bytes of the volume, -1 unknown
	Usable int64
}

// StoredIdentity reads the meta.properties of the directories before a
// Manager exists: the broker id (-1 none) and cluster id ("" none) they
// hold. Directories that disagree, or that cannot be read, are an error.
func StoredIdentity(fs vfs.FS, dirs []string) (brokerID int32, clusterID string, err error) {
	panic("unwritten")
}

// NewManager locks the directories and checks or writes their meta.properties.
// A directory that fails with an I/O error is offline; all offline is an error.
func NewManager(c ManagerConfig) (*Manager, error) { panic("unwritten") }

// Load loads and where needed recovers all logs, in parallel, showing its progress.
func (m *Manager) Load() error { panic("unwritten") }

// Start begins the periodic work: retention, flush, checkpoints, deletion.
func (m *Manager) Start() { panic("unwritten") }

// Close stops the work, flushes and closes every log, writes snapshots,
// checkpoints and the clean-shutdown marker, and unlocks the directories.
func (m *Manager) Close() error { panic("unwritten") }

// OnDirFailure registers what is called, once a directory and from a goroutine
// of its own, after an I/O error took the directory offline. To be called
// before Start; directories that failed before are reported at once.
func (m *Manager) OnDirFailure(f func(dir string)) { panic("unwritten") }

// Dirs tells of every directory in the order of log.dirs.
func (m *Manager) Dirs() []DirStatus { panic("unwritten") }

// Log returns the partition's log; nil when there is none in a live directory.
func (m *Manager) Log(tp TopicPartition) *Log { panic("unwritten") }

// FutureLog returns the partition's future log, nil when there is none.
func (m *Manager) FutureLog(tp TopicPartition) *Log { panic("unwritten") }

// Logs lists all current logs of the live directories, in no order.
func (m *Manager) Logs() []*Log { panic("unwritten") }

// FutureLogs lists all future logs of the live directories, in no order.
func (m *Manager) FutureLogs() []*Log { panic("unwritten") }

// GetOrCreate returns the partition's log and makes it where there is none, in
// the live directory with the fewest logs. While a directory is offline only a
// partition that isNew is made: KAFKA_STORAGE_ERROR otherwise, since the
// offline one may hold it. A zero topicID leaves the log's id as it is; an id
// other than the log's is INCONSISTENT_TOPIC_ID.
func (m *Manager) GetOrCreate(tp TopicPartition, topicID metadata.TopicID, c *settings.Topic, isNew bool) (*Log, error) {
	panic("unwritten")
}

// PreferDir says which directory the partition's log shall be made in when it
// does not exist yet (AlterReplicaLogDirs). An unknown directory is
// LOG_DIR_NOT_FOUND, an offline one KAFKA_STORAGE_ERROR.
func (m *Manager) PreferDir(tp TopicPartition, dir string) error { panic("unwritten") }

// CreateFuture makes the future log of the partition in dir.
func (m *Manager) CreateFuture(tp TopicPartition, dir string) (*Log, error) { panic("unwritten") }

// ReplaceWithFuture makes the caught-up future log the current one; the old one
// is deleted in the background.
func (m *Manager) ReplaceWithFuture(tp TopicPartition) error { panic("unwritten") }

// Delete drops the partition's log, or its future log: renamed at once, removed
// from disk after file.delete.delay.ms. None there is no error.
func (m *Manager) Delete(tp TopicPartition, future bool) error { panic("unwritten") }

// SetTopicConfig replaces the configuration of the topic's logs.
func (m *Manager) SetTopicConfig(topic string, c *settings.Topic) { panic("unwritten") }

// ReadHighWatermarks reads replication-offset-checkpoint of the directory.
func (m *Manager) ReadHighWatermarks(dir string) (map[TopicPartition]int64, error) {
	panic("unwritten")
}

// WriteHighWatermarks replaces replication-offset-checkpoint of the directory;
// an I/O error takes it offline.
func (m *Manager) WriteHighWatermarks(dir string, offsets map[TopicPartition]int64) error {
	panic("unwritten")
}

type pin struct{}

func (pin) release() {}
