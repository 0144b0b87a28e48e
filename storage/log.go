package storage

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

// Log is one partition's log on disk. All methods are safe for concurrent use; errors are protocol
// codes or wrap them. A disk error takes the whole log directory offline (see Manager) and is
// reported as KAFKA_STORAGE_ERROR, as is every later call on a log of that directory; see
// failures.go for other errors.
//
// Parts with their own state are types: the directory, the topic id, the leader epochs, the
// producers, the positions, and one append or truncation while it runs. Log combines them. It has
// many methods because other packages call 36 of them, and because flush, roll, retention, close and
// the rename of the directory change several parts together under the locks of Log.
//
// Locks, in the order they are taken: settling, truncating, flushing, mu, topicID.writing (after the
// topicIDWriter's own lock) and the epoch cache's locks, positions.mu, the locks inside the
// indexes. Only append, roll, truncation, retention and close take mu. Only close syncs files while
// it holds mu. Readers copy positions and pin segments.
type Log struct {
	partitionDir

	config    atomic.Pointer[logConfig]
	future    atomic.Bool
	lastFlush atomic.Int64 // ms
	// checkpointedHigh is the value last written for this log to the directory's checkpoint of high
	// watermarks; guarded by dirCheckpoints.mu.
	checkpointedHigh highWatermarkWrite

	settling sync.Mutex // held by settleMove; guards cleanedAtCopy
	// cleanedAtCopy is the offset up to which the log that a future log replaces was clean when the
	// copying began. What a later cleaning removed may be in the copy, so it does not count.
	cleanedAtCopy record.Offset
	// replaced is the log in another directory that this one has replaced, until the replacement is
	// durable.
	replaced atomic.Pointer[Log]
	// remains is the directory of the log that this one has replaced, if that directory failed before
	// the other log was set aside: the other log returns with it. nil: none.
	remains atomic.Pointer[logDir]

	// moving is true while a future log is being filled from this one. The log is not cleaned then:
	// the copy would keep a record that it got before the cleaning, but not the later one that made
	// it obsolete. Set by logTable.
	moving atomic.Bool

	topicID topicIDFile

	// flushing is held while segments are synced, so a flush that finds nothing to sync knows that
	// everything is durable. Taken before mu.
	flushing sync.Mutex
	// truncating is held during a truncation. Taken before flushing.
	truncating sync.Mutex

	// mu is held while the log's data changes.
	mu        sync.Mutex
	producers *producerState  // guarded by mu
	update    *producerAppend // the append in progress, nil before the first; guarded by mu
	dropped   bool            // the segments were released; guarded by mu

	epochs *epochCache // has its own locks

	positions positions
}

// environment is shared by all logs of a Manager.
type environment struct {
	fs           vfs.FS
	now          func() int64            // ms
	jitter       func(below int64) int64 // a random number in [0, below)
	buffers      scanBuffers
	files        *fileCache
	schedule     *scheduler
	logger       *logrus.Logger
	keepTopicIDs bool                // partition.metadata is kept (inter.broker.protocol.version 2.8 and later)
	zstdAllowed  bool                // logs may be compressed with zstd (inter.broker.protocol.version 2.1 and later)
	expirationMs atomic.Int64        // producer.id.expiration.ms
	onLogFailure func(*partitionDir) // called once; must return at once, since the log's lock is held
	settleMove   func(*Log) error    // Manager.settleMove
	onFlush      func(time.Duration) // ManagerConfig.Flushed; may be nil
	lastConfig   atomic.Pointer[logConfig]
	loadStopped  atomic.Bool // the context of Load has ended, so loading stops
}

// errLoadStopped ends the loading of a log because the Manager stopped loading.
var errLoadStopped = errors.New("the loading was stopped")

// stopped returns errLoadStopped once loading should stop. Long steps of loading call it
// repeatedly.
func (env *environment) stopped() error {
	if env.loadStopped.Load() {
		return errLoadStopped
	}
	return nil
}

// flushed reports that a segment was synced.
func (env *environment) flushed(took time.Duration) {
	if env.onFlush != nil {
		env.onFlush(took)
	}
}

// logConfig is a topic's configuration together with the append target derived from it. It never
// changes; logs that get the same configuration one after the other share it.
type logConfig struct {
	topic  *settings.Topic
	target record.Target
}

// logConfig returns the logConfig of c, and reuses the last one if it is of the same c.
func (env *environment) logConfig(c *settings.Topic) *logConfig {
	if last := env.lastConfig.Load(); last != nil && last.topic == c {
		return last
	}
	made := newLogConfig(c)
	env.lastConfig.Store(made)
	return made
}

func newLogConfig(c *settings.Topic) *logConfig {
	t := record.Target{
		Magic:              c.Magic,
		KeepCodec:          c.CompressionType == "producer",
		Level:              map[record.Codec]int{record.Gzip: c.GzipLevel, record.LZ4: c.LZ4Level, record.Zstd: c.ZstdLevel},
		TimestampBeforeMax: c.TimestampBeforeMaxMs,
		TimestampAfterMax:  c.TimestampAfterMaxMs,
		Compacted:          c.CleanupCompact,
		MaxBatchSize:       int(c.MaxMessageBytes),
		MaxSetSize:         int(c.SegmentBytes),
	}
	if c.TimestampType == record.LogAppendTime.String() {
		t.TimestampType = record.LogAppendTime
	}
	t.Codec, _ = record.CodecOf(c.CompressionType)
	return &logConfig{c, t}
}

// TopicPartition returns the topic and partition of the log.
func (l *Log) TopicPartition() TopicPartition { return l.tp }

// Dir returns the log directory (an element of log.dirs) that holds the log.
func (l *Log) Dir() string { return l.dir.path }

// IsFuture reports whether the log is being filled to replace one in another directory.
func (l *Log) IsFuture() bool { return l.future.Load() }

// Config returns the topic's configuration now in force.
func (l *Log) Config() *settings.Topic { return l.config.Load().topic }

// SetConfig replaces the topic's configuration.
func (l *Log) SetConfig(c *settings.Topic) { l.config.Store(l.env.logConfig(c)) }

// Offsets returns an atomic snapshot of the log's positions.
func (l *Log) Offsets() Offsets {
	return l.positions.offsets()
}

// Observe registers the log's only observer; nil removes it. moved is called whenever the log's
// offsets may have changed: by an append, a truncation, retention or a new high watermark. It runs
// with locks of the log held, so it must neither block nor use the log.
func (l *Log) Observe(moved func()) {
	l.positions.mu.Lock()
	defer l.positions.mu.Unlock()
	l.positions.observer = moved
}

// LeaderEpoch returns the latest leader epoch in the log's cache, -1 for none.
func (l *Log) LeaderEpoch() metadata.LeaderEpoch { return l.epochs.latestEpoch() }

// RecoveryPoint returns the first offset not known to be durable.
func (l *Log) RecoveryPoint() record.Offset {
	_, point := l.positions.loadUnflushed()
	return point
}

// Size returns the size in bytes of all segments' .log files.
func (l *Log) Size() int64 {
	v := l.positions.load()
	size := int64(0)
	for i := range v.segments {
		size += v.end(i)
	}
	return size
}

// SegmentCount returns the number of segments.
func (l *Log) SegmentCount() int {
	v := l.positions.load()
	return len(v.segments)
}

// TopicID returns the id in partition.metadata, zero while none is known.
func (l *Log) TopicID() metadata.TopicID { return l.topicID.get() }

// AssignTopicID records the topic's id. The id is written to partition.metadata in the background,
// and in any case before the first append. If the log already has another id, the error is
// INCONSISTENT_TOPIC_ID.
func (l *Log) AssignTopicID(id metadata.TopicID) error { return l.topicID.assign(id) }

// EndOffsetForEpoch answers OffsetForLeaderEpoch: it returns the largest known epoch at or below
// epoch, and the offset where that epoch ends; (-1, -1) if there is none.
func (l *Log) EndOffsetForEpoch(epoch metadata.LeaderEpoch) (foundEpoch metadata.LeaderEpoch, endOffset record.Offset) {
	return l.epochs.endOffsetFor(epoch, l.Offsets().LogEnd)
}

// AssignEpochStart records that epoch starts at offset. It is called before a new leader serves.
// The file is made durable in the background; epochCache explains why that is early enough.
func (l *Log) AssignEpochStart(epoch metadata.LeaderEpoch, offset record.Offset) error {
	if err := l.check(); err != nil {
		return err
	}
	l.epochs.assignUnsynced(epoch, offset)
	return nil
}

// flushEpochsLater writes the file of leader epochs in the background after the delay.
func (l *Log) flushEpochsLater(delay time.Duration) {
	l.env.schedule.after(delay, l.dir.small, func() {
		if l.check() == nil {
			_ = l.ioError("Error while writing leader epochs of %s in dir %s", l.epochs.flush())
		}
	})
}

// String formats the log as Kafka's log lines do.
func (l *Log) String() string {
	o := l.Offsets()
	id := ""
	if t := l.TopicID(); t != (metadata.TopicID{}) {
		id = ", topicId=" + javatext.UUID(t)
	}
	return fmt.Sprintf("Log(dir=%s%s, topic=%s, partition=%d, highWatermark=%d, lastStableOffset=%d, logStartOffset=%d, logEndOffset=%d)",
		l.Path(), id, l.tp.Topic, l.tp.Partition, o.HighWatermark, o.LastStable, o.LogStart, o.LogEnd)
}
