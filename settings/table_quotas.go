package settings

// The keys of quotas and metrics.
var (
	_ = key[int32]("quota.window.num", 11, atLeast(1), Low, ReadOnly,
		"Number of samples for client quotas.")
	_ = key[int32]("quota.window.size.seconds", 1, atLeast(1), Low, ReadOnly,
		"Duration of a sample for client quotas.")
	ReplicationQuotaWindowNum = key[int32]("replication.quota.window.num", 11, atLeast(1), Low, ReadOnly,
		"Number of samples for replication quotas.")
	ReplicationQuotaWindowSizeSeconds = key[int32]("replication.quota.window.size.seconds", 1, atLeast(1), Low, ReadOnly,
		"Duration of a sample for replication quotas.")
	AlterLogDirsReplicationQuotaWindowNum = key[int32]("alter.log.dirs.replication.quota.window.num", 11, atLeast(1), Low, ReadOnly,
		"Number of samples for the quota of moves between log directories.")
	AlterLogDirsReplicationQuotaWindowSizeSeconds = key[int32]("alter.log.dirs.replication.quota.window.size.seconds", 1, atLeast(1), Low, ReadOnly,
		"Duration of a sample for the quota of moves between log directories.")
	_ = key[int32]("controller.quota.window.num", 11, atLeast(1), Low, ReadOnly,
		"Number of samples for the quota of topic changes.")
	_ = key[int32]("controller.quota.window.size.seconds", 1, atLeast(1), Low, ReadOnly,
		"Duration of a sample for the quota of topic changes.")
	_ = nullableKey[className]("client.quota.callback.class", nil, Low, ReadOnly,
		"Java class that computes quotas. Java classes cannot be loaded here.")
	_ = key[int32]("kafka.metrics.polling.interval.secs", 10, atLeast(1), Low, ReadOnly,
		"How often Java metrics reporters are called. Has no effect here.")
	kafkaMetricsReporters = key[[]string]("kafka.metrics.reporters", nil, nil, Low, ReadOnly,
		"Java metrics reporters. Has no effect here.")
	metricReporters = key[[]string]("metric.reporters", nil, nil, Low, ClusterWide,
		"Java metrics reporters. Has no effect here.")
	_ = key[int32]("metrics.num.samples", 2, atLeast(1), Low, ReadOnly,
		"Number of samples for metrics.")
	_ = key[int64]("metrics.sample.window.ms", 30000, atLeast(1), Low, ReadOnly,
		"Duration of a sample for metrics.")
	_ = key[string]("metrics.recording.level", "INFO", nil, Low, ReadOnly,
		"Level up to which metrics are recorded.")
	_ = key[bool]("auto.include.jmx.reporter", true, nil, Low, ReadOnly,
		"Whether the JMX reporter is always enabled. Has no effect here.")
	_ = key[int32]("telemetry.max.bytes", 1048576, atLeast(1), Low, ReadOnly,
		"Largest metrics message of a client. Used in KRaft mode only.")
)
