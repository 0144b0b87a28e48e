package settings

import "math"

// The keys of a topic.
var (
	TopicCleanupPolicy = topicKey[[]string]("cleanup.policy", logCleanupPolicy.Key, []string{"delete"}, in("compact", "delete"), Medium,
		"What happens to old segments: delete, compact, or both.")
	topicCompressionGzipLevel = topicKey[int32]("compression.gzip.level", compressionGzipLevel.Key, -1, gzipLevel, Medium,
		"Compression level of gzip.")
	topicCompressionLZ4Level = topicKey[int32]("compression.lz4.level", compressionLZ4Level.Key, 9, between(1, 17), Medium,
		"Compression level of lz4.")
	TopicCompressionType = topicKey[string]("compression.type", compressionType.Key, "producer", in("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"), Medium,
		"Codec with which records are stored; producer keeps the codec of the producer.")
	topicCompressionZstdLevel = topicKey[int32]("compression.zstd.level", compressionZstdLevel.Key, 3, between(-131072, 22), Medium,
		"Compression level of zstd.")
	topicDeleteRetentionMs = topicKey[int64]("delete.retention.ms", logCleanerDeleteRetentionMs.Key, 86400000, atLeast(0), Medium,
		"How long tombstones and transaction markers are kept in a compacted topic.")
	topicFileDeleteDelayMs = topicKey[int64]("file.delete.delay.ms", logSegmentDeleteDelayMs.Key, 60000, atLeast(0), Medium,
		"How long a deleted file is kept on disk.")
	topicFlushMessages = topicKey[int64]("flush.messages", logFlushIntervalMessages.Key, math.MaxInt64, atLeast(1), Medium,
		"Number of records after which the log is forced to disk.")
	topicFlushMs = topicKey[int64]("flush.ms", logFlushIntervalMs.Key, math.MaxInt64, atLeast(0), Medium,
		"Time after which the log is forced to disk.")
	TopicFollowerReplicationThrottledReplicas = topicKey[[]string]("follower.replication.throttled.replicas", nil, nil, throttledReplicas, Medium,
		"Follower replicas whose fetches are throttled: partition:broker pairs, or * for all.")
	topicIndexIntervalBytes = topicKey[int32]("index.interval.bytes", logIndexIntervalBytes.Key, 4096, atLeast(0), Medium,
		"Bytes of records between two entries of an index.")
	TopicLeaderReplicationThrottledReplicas = topicKey[[]string]("leader.replication.throttled.replicas", nil, nil, throttledReplicas, Medium,
		"Leader replicas whose responses to followers are throttled: partition:broker pairs, or * for all.")
	_ = topicKey[int64]("local.retention.bytes", logLocalRetentionBytes.Key, -2, atLeast(-2), Medium,
		"Size up to which a tiered partition is kept on local disk; -2 for the value of retention.bytes.")
	_ = topicKey[int64]("local.retention.ms", logLocalRetentionMs.Key, -2, atLeast(-2), Medium,
		"How long a tiered partition is kept on local disk; -2 for the value of retention.ms.")
	topicMaxCompactionLagMs = topicKey[int64]("max.compaction.lag.ms", logCleanerMaxCompactionLagMs.Key, math.MaxInt64, atLeast(1), Medium,
		"Longest time for which a record remains uncompacted.")
	topicMaxMessageBytes = topicKey[int32]("max.message.bytes", MessageMaxBytes.Key, 1048588, atLeast(0), Medium,
		"Largest accepted record batch, after compression.")
	topicMessageDownconversionEnable = topicKey[bool]("message.downconversion.enable", logMessageDownconversionEnable.Key, true, nil, Low,
		"Whether records are converted for consumers that support only older formats.")
	TopicMessageFormatVersion = topicKey[string]("message.format.version", logMessageFormatVersion.Key, "3.0-IV1", protocolVersion, Medium,
		"Version of the record format. Has no effect with inter.broker.protocol.version 3.0 or newer.")
	topicMessageTimestampAfterMaxMs = topicKey[int64]("message.timestamp.after.max.ms", logMessageTimestampAfterMaxMs.Key, math.MaxInt64, atLeast(0), Medium,
		"How far the timestamp of a record may lie in the future.")
	topicMessageTimestampBeforeMaxMs = topicKey[int64]("message.timestamp.before.max.ms", logMessageTimestampBeforeMaxMs.Key, math.MaxInt64, atLeast(0), Medium,
		"How far the timestamp of a record may lie in the past.")
	topicMessageTimestampDifferenceMaxMs = topicKey[int64]("message.timestamp.difference.max.ms", logMessageTimestampDifferenceMaxMs.Key, math.MaxInt64, atLeast(0), Medium,
		"Largest difference between the timestamp of a record and the time of the broker, in both directions. Replaced by the keys for before and after.")
	TopicMessageTimestampType = topicKey[string]("message.timestamp.type", logMessageTimestampType.Key, "CreateTime", in("CreateTime", "LogAppendTime"), Medium,
		"Whether the timestamp of a record is set by its producer (CreateTime) or when it is appended (LogAppendTime).")
	topicMinCleanableDirtyRatio = topicKey[float64]("min.cleanable.dirty.ratio", logCleanerMinCleanableRatio.Key, 0.5, between(0, 1), Medium,
		"Share of a log that must be uncompacted before it is compacted.")
	topicMinCompactionLagMs = topicKey[int64]("min.compaction.lag.ms", logCleanerMinCompactionLagMs.Key, 0, atLeast(0), Medium,
		"Shortest time for which a record remains uncompacted.")
	TopicMinInsyncReplicas = topicKey[int32]("min.insync.replicas", minInsyncReplicas.Key, 1, atLeast(1), Medium,
		"Number of in-sync replicas that a produce with acks=all requires.")
	topicPreallocate = topicKey[bool]("preallocate", logPreallocate.Key, false, nil, Medium,
		"Whether a new segment is preallocated at its full size.")
	topicRemoteLogCopyDisable = topicKey[bool]("remote.log.copy.disable", nil, false, nil, Medium,
		"Whether copying to the tier is disabled. Cannot be set here.")
	topicRemoteLogDeleteOnDisable = topicKey[bool]("remote.log.delete.on.disable", nil, false, nil, Medium,
		"Whether the data in the tier is deleted when the tier is disabled. Cannot be set here.")
	topicRemoteStorageEnable = topicKey[bool]("remote.storage.enable", nil, false, nil, Medium,
		"Whether tiered storage is enabled for the topic. Cannot be enabled here.")
	topicRetentionBytes = topicKey[int64]("retention.bytes", logRetentionBytes.Key, -1, nil, Medium,
		"Size of a partition above which its oldest segments are deleted; -1 for no limit.")
	topicRetentionMs = topicKey[int64]("retention.ms", logRetentionMs.Key, 604800000, atLeast(-1), Medium,
		"How long records are kept; -1 for no limit.")
	TopicSegmentBytes = topicKey[int32]("segment.bytes", logSegmentBytes.Key, 1073741824, atLeast(14), Medium,
		"Size at which a segment is rolled.")
	topicSegmentIndexBytes = topicKey[int32]("segment.index.bytes", logIndexSizeMaxBytes.Key, 10485760, atLeast(4), Medium,
		"Largest size of an index.")
	topicSegmentJitterMs = topicKey[int64]("segment.jitter.ms", logRollJitterMs.Key, 0, atLeast(0), Medium,
		"Maximum random time subtracted from the age at which a segment is rolled.")
	topicSegmentMs = topicKey[int64]("segment.ms", logRollMs.Key, 604800000, atLeast(1), Medium,
		"Age at which a segment is rolled.")
	TopicUncleanLeaderElectionEnable = topicKey[bool]("unclean.leader.election.enable", UncleanLeaderElectionEnable.Key, false, nil, Medium,
		"Whether a replica that is not in sync may become leader if no other can. Records can be lost.")
)
