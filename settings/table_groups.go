package settings

import "math"

// The keys of consumer groups and their offsets.
var (
	GroupMinSessionTimeoutMs = key[int32]("group.min.session.timeout.ms", 6000, nil, Medium, ReadOnly,
		"Shortest session timeout that a member may request.")
	GroupMaxSessionTimeoutMs = key[int32]("group.max.session.timeout.ms", 1800000, nil, Medium, ReadOnly,
		"Longest session timeout that a member may request.")
	GroupInitialRebalanceDelayMs = key[int32]("group.initial.rebalance.delay.ms", 3000, nil, Medium, ReadOnly,
		"How long an empty group waits for more members before its first rebalance.")
	GroupMaxSize = key[int32]("group.max.size", math.MaxInt32, atLeast(1), Medium, ReadOnly,
		"Largest number of members of a group.")
	_ = key[[]string]("group.coordinator.rebalance.protocols", []string{"classic"}, in("consumer", "classic", "share", "unknown"), Medium, ReadOnly,
		"Supported rebalance protocols. Only classic works with ZooKeeper.")
	_ = key[bool]("group.coordinator.new.enable", false, nil, Medium, ReadOnly|Internal,
		"Whether the new group coordinator is used. Used in KRaft mode only.")
	_ = key[int32]("group.coordinator.threads", 1, atLeast(1), Medium, ReadOnly,
		"Number of threads of the new group coordinator. Used in KRaft mode only.")
	_ = key[int32]("group.coordinator.append.linger.ms", 10, atLeast(0), Medium, ReadOnly,
		"How long the new group coordinator collects writes. Used in KRaft mode only.")
	_ = key[int32]("group.consumer.session.timeout.ms", 45000, atLeast(1), Medium, ReadOnly,
		"Session timeout of members of the new protocol. Used in KRaft mode only.")
	_ = key[int32]("group.consumer.min.session.timeout.ms", 45000, atLeast(1), Medium, ReadOnly,
		"Shortest session timeout of the new protocol. Used in KRaft mode only.")
	_ = key[int32]("group.consumer.max.session.timeout.ms", 60000, atLeast(1), Medium, ReadOnly,
		"Longest session timeout of the new protocol. Used in KRaft mode only.")
	_ = key[int32]("group.consumer.heartbeat.interval.ms", 5000, atLeast(1), Medium, ReadOnly,
		"Heartbeat interval of the new protocol. Used in KRaft mode only.")
	_ = key[int32]("group.consumer.min.heartbeat.interval.ms", 5000, atLeast(1), Medium, ReadOnly,
		"Shortest heartbeat interval of the new protocol. Used in KRaft mode only.")
	_ = key[int32]("group.consumer.max.heartbeat.interval.ms", 15000, atLeast(1), Medium, ReadOnly,
		"Longest heartbeat interval of the new protocol. Used in KRaft mode only.")
	_ = key[int32]("group.consumer.max.size", math.MaxInt32, atLeast(1), Medium, ReadOnly,
		"Largest number of members of a group of the new protocol. Used in KRaft mode only.")
	_ = key[[]string]("group.consumer.assignors", []string{"org.apache.kafka.coordinator.group.assignor.UniformAssignor", "org.apache.kafka.coordinator.group.assignor.RangeAssignor"}, nil, Medium, ReadOnly,
		"Assignors of the new protocol. Used in KRaft mode only.")
	_ = key[string]("group.consumer.migration.policy", "disabled", inAnyCase("DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"), Medium, ReadOnly|Internal,
		"Whether groups may migrate between the protocols. Used in KRaft mode only.")
	_ = key[bool]("group.share.enable", false, nil, Medium, ReadOnly|Internal,
		"Whether share groups are supported. Used in KRaft mode only.")
	_ = key[int32]("group.share.delivery.count.limit", 5, between(2, 10), Medium, ReadOnly,
		"How often a record is delivered to a share group at most. Used in KRaft mode only.")
	_ = key[int32]("group.share.heartbeat.interval.ms", 5000, atLeast(1), Medium, ReadOnly,
		"Heartbeat interval of share groups. Used in KRaft mode only.")
	_ = key[int32]("group.share.min.heartbeat.interval.ms", 5000, atLeast(1), Medium, ReadOnly,
		"Shortest heartbeat interval of share groups. Used in KRaft mode only.")
	_ = key[int32]("group.share.max.heartbeat.interval.ms", 15000, atLeast(1), Medium, ReadOnly,
		"Longest heartbeat interval of share groups. Used in KRaft mode only.")
	_ = key[int32]("group.share.session.timeout.ms", 45000, atLeast(1), Medium, ReadOnly,
		"Session timeout of share groups. Used in KRaft mode only.")
	_ = key[int32]("group.share.min.session.timeout.ms", 45000, atLeast(1), Medium, ReadOnly,
		"Shortest session timeout of share groups. Used in KRaft mode only.")
	_ = key[int32]("group.share.max.session.timeout.ms", 60000, atLeast(1), Medium, ReadOnly,
		"Longest session timeout of share groups. Used in KRaft mode only.")
	_ = key[int16]("group.share.max.groups", 10, between(1, 100), Medium, ReadOnly,
		"Largest number of share groups. Used in KRaft mode only.")
	_ = key[int16]("group.share.max.size", 200, between(10, 1000), Medium, ReadOnly,
		"Largest number of members of a share group. Used in KRaft mode only.")
	_ = key[int32]("group.share.record.lock.duration.ms", 30000, between(1000, 60000), Medium, ReadOnly,
		"How long a member of a share group locks a record. Used in KRaft mode only.")
	_ = key[int32]("group.share.min.record.lock.duration.ms", 15000, between(1000, 30000), Medium, ReadOnly,
		"Shortest time for which a record is locked. Used in KRaft mode only.")
	_ = key[int32]("group.share.max.record.lock.duration.ms", 60000, between(30000, 3600000), Medium, ReadOnly,
		"Longest time for which a record is locked. Used in KRaft mode only.")
	_ = key[int32]("group.share.partition.max.record.locks", 200, between(100, 10000), Medium, ReadOnly,
		"Largest number of locked records of a partition. Used in KRaft mode only.")
	OffsetMetadataMaxBytes = key[int32]("offset.metadata.max.bytes", 4096, nil, High, ReadOnly,
		"Largest metadata of a committed offset.")
	OffsetsCommitRequiredAcks = key[int16]("offsets.commit.required.acks", -1, nil, High, ReadOnly,
		"Acks required for an offset commit. Leave it at -1.")
	OffsetsCommitTimeoutMs = key[int32]("offsets.commit.timeout.ms", 5000, atLeast(1), High, ReadOnly,
		"How long an offset commit waits for the replicas of the offsets topic.")
	OffsetsLoadBufferSize = key[int32]("offsets.load.buffer.size", 5242880, atLeast(1), High, ReadOnly,
		"Size of a read when offsets are loaded.")
	OffsetsRetentionCheckIntervalMs = key[int64]("offsets.retention.check.interval.ms", 600000, atLeast(1), High, ReadOnly,
		"How often expired offsets are removed.")
	OffsetsRetentionMinutes = key[int32]("offsets.retention.minutes", 10080, atLeast(1), High, ReadOnly,
		"How long offsets are kept after their group has become empty.")
	OffsetsTopicCompressionCodec = key[int32]("offsets.topic.compression.codec", 0, nil, High, ReadOnly,
		"Codec of the offsets topic: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.")
	OffsetsTopicNumPartitions = key[int32]("offsets.topic.num.partitions", 50, atLeast(1), High, ReadOnly,
		"Number of partitions of the offsets topic. Do not change it later.")
	OffsetsTopicReplicationFactor = key[int16]("offsets.topic.replication.factor", 3, atLeast(1), High, ReadOnly,
		"Number of replicas of the offsets topic.")
	OffsetsTopicSegmentBytes = key[int32]("offsets.topic.segment.bytes", 104857600, atLeast(1), High, ReadOnly,
		"Size of a segment of the offsets topic.")
)
