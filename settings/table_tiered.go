package settings

import "math"

// The keys of tiered storage. This broker does not have tiered storage, but
// accepts the keys so that existing configuration files work.
var (
	logLocalRetentionBytes = key[int64]("log.local.retention.bytes", -2, atLeast(-2), Medium, ClusterWide,
		"Size up to which a tiered partition is kept on local disk; -2 for the value of log.retention.bytes.")
	logLocalRetentionMs = key[int64]("log.local.retention.ms", -2, atLeast(-2), Medium, ClusterWide,
		"How long records of a tiered partition are kept on local disk; -2 for the value of log.retention.ms.")
	_ = key[int32]("remote.fetch.max.wait.ms", 500, atLeast(1), Medium, ClusterWide,
		"How long a fetch waits for tiered records.")
	_ = key[int64]("remote.log.index.file.cache.total.size.bytes", 1073741824, atLeast(1), Low, ClusterWide,
		"Size of the cache for tiered indexes.")
	_ = key[int32]("remote.log.manager.copier.thread.pool.size", -1, copierThreads, Medium, ReadOnly,
		"Number of threads that copy files to the tier.")
	_ = key[int64]("remote.log.manager.copy.max.bytes.per.second", math.MaxInt64, atLeast(1), Medium, ClusterWide,
		"Largest number of bytes per second copied to the tier.")
	_ = key[int32]("remote.log.manager.copy.quota.window.num", 11, atLeast(1), Medium, ReadOnly,
		"Number of samples for the quota of copying to the tier.")
	_ = key[int32]("remote.log.manager.copy.quota.window.size.seconds", 1, atLeast(1), Medium, ReadOnly,
		"Duration of a sample for the quota of copying to the tier.")
	_ = key[int32]("remote.log.manager.expiration.thread.pool.size", -1, copierThreads, Medium, ReadOnly,
		"Number of threads that delete expired files from the tier.")
	_ = key[int64]("remote.log.manager.fetch.max.bytes.per.second", math.MaxInt64, atLeast(1), Medium, ClusterWide,
		"Largest number of bytes per second read from the tier.")
	_ = key[int32]("remote.log.manager.fetch.quota.window.num", 11, atLeast(1), Medium, ReadOnly,
		"Number of samples for the quota of reading from the tier.")
	_ = key[int32]("remote.log.manager.fetch.quota.window.size.seconds", 1, atLeast(1), Medium, ReadOnly,
		"Duration of a sample for the quota of reading from the tier.")
	_ = key[int64]("remote.log.manager.task.interval.ms", 30000, atLeast(1), Low, ReadOnly,
		"How often logs are checked for files to copy to the tier or delete from it.")
	_ = key[int64]("remote.log.manager.task.retry.backoff.max.ms", 30000, atLeast(1), Low, ReadOnly|Internal,
		"Longest pause between two attempts of the tiering task.")
	_ = key[int64]("remote.log.manager.task.retry.backoff.ms", 500, atLeast(1), Low, ReadOnly|Internal,
		"First pause between two attempts of the tiering task.")
	_ = key[float64]("remote.log.manager.task.retry.jitter", 0.2, between(0, 0.5), Low, ReadOnly|Internal,
		"Random share added to the pauses of the tiering task.")
	_ = key[int32]("remote.log.manager.thread.pool.size", 10, atLeast(1), Medium, ReadOnly,
		"Number of threads of tiered storage.")
	_ = key[int32]("remote.log.metadata.custom.metadata.max.bytes", 128, atLeast(0), Low, ReadOnly,
		"Largest metadata that a plug-in for the tier may keep for a file.")
	_ = key[string]("remote.log.metadata.manager.class.name", "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager", nonEmpty, Medium, ReadOnly,
		"Java class that manages the metadata of the tier.")
	_ = nullableKey[string]("remote.log.metadata.manager.class.path", nil, Medium, ReadOnly,
		"Class path of the class for the metadata of the tier.")
	_ = key[string]("remote.log.metadata.manager.impl.prefix", "rlmm.config.", nonEmpty, Medium, ReadOnly,
		"Prefix of the keys of the class for the metadata of the tier.")
	_ = nullableKey[string]("remote.log.metadata.manager.listener.name", nonEmpty, Medium, ReadOnly,
		"Listener on which the class for the metadata of the tier connects to brokers.")
	_ = key[int32]("remote.log.reader.max.pending.tasks", 100, atLeast(1), Medium, ReadOnly,
		"Largest number of waiting reads from the tier.")
	_ = key[int32]("remote.log.reader.threads", 10, atLeast(1), Medium, ReadOnly,
		"Number of threads that read from the tier.")
	_ = nullableKey[string]("remote.log.storage.manager.class.name", nonEmpty, Medium, ReadOnly,
		"Java class that implements the tier.")
	_ = nullableKey[string]("remote.log.storage.manager.class.path", nil, Medium, ReadOnly,
		"Class path of the class that implements the tier.")
	_ = key[string]("remote.log.storage.manager.impl.prefix", "rsm.config.", nonEmpty, Medium, ReadOnly,
		"Prefix of the keys of the class that implements the tier.")
	remoteLogStorageSystemEnable = key[bool]("remote.log.storage.system.enable", false, nil, Medium, ReadOnly,
		"Whether tiered storage is enabled. Cannot be enabled here.")
)
