package settings

// The keys of replication.
var (
	DefaultReplicationFactor = key[int32]("default.replication.factor", 1, nil, Medium, ReadOnly,
		"Number of replicas of a new topic if none is given.")
	minInsyncReplicas = key[int32]("min.insync.replicas", 1, atLeast(1), High, ClusterWide,
		"Number of in-sync replicas that a produce with acks=all requires.")
	UncleanLeaderElectionEnable = key[bool]("unclean.leader.election.enable", false, nil, High, ClusterWide,
		"Whether a replica that is not in sync may become leader if no other can. Records can be lost.")
	NumReplicaFetchers = key[int32]("num.replica.fetchers", 1, nil, High, ClusterWide,
		"Number of fetchers per leader broker.")
	NumReplicaAlterLogDirsThreads = nullableKey[int32]("num.replica.alter.log.dirs.threads", nil, High, ReadOnly,
		"Number of threads that move replicas between log directories; null for the number of log directories.")
	ReplicaFetchMaxBytes = key[int32]("replica.fetch.max.bytes", 1048576, atLeast(0), Medium, ReadOnly,
		"Largest number of bytes per partition that a follower requests.")
	ReplicaFetchResponseMaxBytes = key[int32]("replica.fetch.response.max.bytes", 10485760, atLeast(0), Medium, ReadOnly,
		"Largest number of bytes per response that a follower requests.")
	ReplicaFetchMinBytes = key[int32]("replica.fetch.min.bytes", 1, nil, High, ReadOnly,
		"Smallest number of bytes for which a fetch of a follower waits.")
	ReplicaFetchWaitMaxMs = key[int32]("replica.fetch.wait.max.ms", 500, nil, High, ReadOnly,
		"How long a fetch of a follower waits for replica.fetch.min.bytes. Must not exceed replica.lag.time.max.ms.")
	ReplicaFetchBackoffMs = key[int32]("replica.fetch.backoff.ms", 1000, atLeast(0), Medium, ReadOnly,
		"Pause of a follower after an error.")
	ReplicaLagTimeMaxMs = key[int64]("replica.lag.time.max.ms", 30000, nil, High, ReadOnly,
		"How long a follower may be behind before it is removed from the in-sync replicas.")
	ReplicaSocketTimeoutMs = key[int32]("replica.socket.timeout.ms", 30000, nil, High, ReadOnly,
		"How long a follower waits for a response.")
	_ = key[int32]("replica.socket.receive.buffer.bytes", 65536, nil, High, ReadOnly,
		"Size of the receive buffer of a follower's connection.")
	ReplicaHighWatermarkCheckpointIntervalMs = key[int64]("replica.high.watermark.checkpoint.interval.ms", 5000, nil, High, ReadOnly,
		"How often the high watermarks are written.")
	ReplicaSelectorClass = nullableKey[string]("replica.selector.class", nil, Medium, ReadOnly,
		"Class that chooses the replica that a consumer reads from. Only Kafka's rack-aware class is supported.")
)
