package settings

import "math"

// The keys of logs and the defaults of topics.
var (
	logDirs = nullableKey[string]("log.dirs", nil, High, ReadOnly,
		"Log directories, separated by commas. If it is not set, log.dir applies.")
	logDir = key[string]("log.dir", "/tmp/kafka-logs", nil, High, ReadOnly,
		"Log directory, if log.dirs is not set.")
	_ = key[int64]("log.dir.failure.timeout.ms", 30000, atLeast(1), Low, ReadOnly,
		"How long a failed directory may go unreported. Used in KRaft mode only.")
	logSegmentBytes = key[int32]("log.segment.bytes", 1073741824, atLeast(14), High, ClusterWide,
		"Size at which a segment is rolled.")
	logRollMs = nullableKey[int64]("log.roll.ms", nil, High, ClusterWide,
		"Age at which a segment is rolled. Overrides log.roll.hours.")
	logRollHours = key[int32]("log.roll.hours", 168, atLeast(1), High, ReadOnly,
		"Age in hours at which a segment is rolled.")
	logRollJitterMs = nullableKey[int64]("log.roll.jitter.ms", nil, High, ClusterWide,
		"Maximum random time subtracted from the age at which a segment is rolled. Overrides log.roll.jitter.hours.")
	logRollJitterHours = key[int32]("log.roll.jitter.hours", 0, atLeast(0), High, ReadOnly,
		"Maximum random time in hours subtracted from the age at which a segment is rolled.")
	logRetentionMs = nullableKey[int64]("log.retention.ms", nil, High, ClusterWide,
		"How long records are kept; -1 for no limit. Overrides log.retention.minutes.")
	logRetentionMinutes = nullableKey[int32]("log.retention.minutes", nil, High, ReadOnly,
		"How long records are kept, in minutes. Overrides log.retention.hours.")
	logRetentionHours = key[int32]("log.retention.hours", 168, nil, High, ReadOnly,
		"How long records are kept, in hours.")
	logRetentionBytes = key[int64]("log.retention.bytes", -1, nil, High, ClusterWide,
		"Size of a partition above which its oldest segments are deleted; -1 for no limit.")
	LogRetentionCheckIntervalMs = key[int64]("log.retention.check.interval.ms", 300000, atLeast(1), Medium, ReadOnly,
		"How often logs are checked for segments to delete.")
	logSegmentDeleteDelayMs = key[int64]("log.segment.delete.delay.ms", 60000, atLeast(0), High, ClusterWide,
		"How long a deleted file is kept on disk.")
	logCleanupPolicy = key[[]string]("log.cleanup.policy", []string{"delete"}, in("compact", "delete"), Medium, ClusterWide,
		"What happens to old segments: delete, compact, or both.")
	LogCleanerEnable = key[bool]("log.cleaner.enable", true, nil, Medium, ReadOnly,
		"Whether the log cleaner, which compacts topics, runs.")
	LogCleanerThreads = key[int32]("log.cleaner.threads", 1, atLeast(0), Medium, ClusterWide,
		"Number of threads of the log cleaner.")
	LogCleanerIOMaxBytesPerSecond = key[float64]("log.cleaner.io.max.bytes.per.second", 1.7976931348623157e308, nil, Medium, ClusterWide,
		"Largest number of bytes per second that the log cleaner reads and writes.")
	LogCleanerDedupeBufferSize = key[int64]("log.cleaner.dedupe.buffer.size", 134217728, nil, Medium, ClusterWide,
		"Memory for the keys of the log cleaner, in all threads.")
	LogCleanerIOBufferSize = key[int32]("log.cleaner.io.buffer.size", 524288, atLeast(0), Medium, ClusterWide,
		"Memory for the read and write buffers of the log cleaner, in all threads.")
	LogCleanerIOBufferLoadFactor = key[float64]("log.cleaner.io.buffer.load.factor", 0.9, nil, Medium, ClusterWide,
		"Load factor of the table of keys of the log cleaner.")
	LogCleanerBackoffMs = key[int64]("log.cleaner.backoff.ms", 15000, atLeast(0), Medium, ClusterWide,
		"Pause of the log cleaner if no log needs it.")
	logCleanerMinCleanableRatio = key[float64]("log.cleaner.min.cleanable.ratio", 0.5, between(0, 1), Medium, ClusterWide,
		"Share of a log that must be uncompacted before it is compacted.")
	logCleanerDeleteRetentionMs = key[int64]("log.cleaner.delete.retention.ms", 86400000, atLeast(0), Medium, ClusterWide,
		"How long tombstones and transaction markers are kept in a compacted topic.")
	logCleanerMinCompactionLagMs = key[int64]("log.cleaner.min.compaction.lag.ms", 0, atLeast(0), Medium, ClusterWide,
		"Shortest time for which a record remains uncompacted.")
	logCleanerMaxCompactionLagMs = key[int64]("log.cleaner.max.compaction.lag.ms", math.MaxInt64, atLeast(1), Medium, ClusterWide,
		"Longest time for which a record remains uncompacted.")
	logIndexSizeMaxBytes = key[int32]("log.index.size.max.bytes", 10485760, atLeast(4), Medium, ClusterWide,
		"Largest size of an index.")
	logIndexIntervalBytes = key[int32]("log.index.interval.bytes", 4096, atLeast(0), Medium, ClusterWide,
		"Bytes of records between two entries of an index.")
	logFlushIntervalMessages = key[int64]("log.flush.interval.messages", math.MaxInt64, atLeast(1), High, ClusterWide,
		"Number of records after which a log is forced to disk.")
	logFlushIntervalMs = nullableKey[int64]("log.flush.interval.ms", nil, High, ClusterWide,
		"Time after which a log is forced to disk; null for the value of log.flush.scheduler.interval.ms.")
	LogFlushSchedulerIntervalMs = key[int64]("log.flush.scheduler.interval.ms", math.MaxInt64, nil, High, ReadOnly,
		"How often logs are checked whether they must be forced to disk.")
	LogFlushOffsetCheckpointIntervalMs = key[int32]("log.flush.offset.checkpoint.interval.ms", 60000, atLeast(0), High, ReadOnly,
		"How often the recovery points are written.")
	LogFlushStartOffsetCheckpointIntervalMs = key[int32]("log.flush.start.offset.checkpoint.interval.ms", 60000, atLeast(0), High, ReadOnly,
		"How often the start offsets of logs are written.")
	LogInitialTaskDelayMs = key[int64]("log.initial.task.delay.ms", 30000, atLeast(0), Low, ReadOnly|Internal,
		"Delay before the first periodic tasks of logs.")
	logPreallocate = key[bool]("log.preallocate", false, nil, Medium, ClusterWide,
		"Whether a new segment is preallocated at its full size.")
	logMessageFormatVersion = key[string]("log.message.format.version", "3.0-IV1", protocolVersion, Medium, ReadOnly,
		"Version of the record format. Has no effect with inter.broker.protocol.version 3.0 or newer.")
	logMessageTimestampType = key[string]("log.message.timestamp.type", "CreateTime", in("CreateTime", "LogAppendTime"), Medium, ClusterWide,
		"Whether the timestamp of a record is set by its producer (CreateTime) or when it is appended (LogAppendTime).")
	logMessageTimestampDifferenceMaxMs = key[int64]("log.message.timestamp.difference.max.ms", math.MaxInt64, atLeast(0), Medium, ClusterWide,
		"Largest difference between the timestamp of a record and the time of the broker, in both directions. Replaced by the keys for before and after.")
	logMessageTimestampBeforeMaxMs = key[int64]("log.message.timestamp.before.max.ms", math.MaxInt64, atLeast(0), Medium, ClusterWide,
		"How far the timestamp of a record may lie in the past.")
	logMessageTimestampAfterMaxMs = key[int64]("log.message.timestamp.after.max.ms", math.MaxInt64, atLeast(0), Medium, ClusterWide,
		"How far the timestamp of a record may lie in the future.")
	logMessageDownconversionEnable = key[bool]("log.message.downconversion.enable", true, nil, Low, ClusterWide,
		"Whether records are converted for consumers that support only older formats.")
	NumPartitions = key[int32]("num.partitions", 1, atLeast(1), Medium, ReadOnly,
		"Number of partitions of a new topic if none is given.")
	NumRecoveryThreadsPerDataDir = key[int32]("num.recovery.threads.per.data.dir", 1, atLeast(1), High, ClusterWide,
		"Number of threads per log directory that load logs at the start and force them to disk at the stop.")
	compressionType = key[string]("compression.type", "producer", in("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"), High, ClusterWide,
		"Codec with which records are stored; producer keeps the codec of the producer.")
	compressionGzipLevel = key[int32]("compression.gzip.level", -1, gzipLevel, Medium, ClusterWide,
		"Compression level of gzip.")
	compressionLZ4Level = key[int32]("compression.lz4.level", 9, between(1, 17), Medium, ClusterWide,
		"Compression level of lz4.")
	compressionZstdLevel = key[int32]("compression.zstd.level", 3, between(-131072, 22), Medium, ClusterWide,
		"Compression level of zstd.")
)
