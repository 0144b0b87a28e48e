package settings

// The keys of KRaft mode. They are accepted but have no effect.
var (
	_ = key[int32]("controller.quorum.append.linger.ms", 25, nil, Medium, ReadOnly,
		"How long the leader of the quorum collects writes. Used in KRaft mode only.")
	_ = key[[]string]("controller.quorum.bootstrap.servers", nil, nil, High, ReadOnly,
		"Addresses of the quorum. Used in KRaft mode only.")
	_ = key[int32]("controller.quorum.election.backoff.max.ms", 1000, nil, High, ReadOnly,
		"Longest pause before a new election of the quorum. Used in KRaft mode only.")
	_ = key[int32]("controller.quorum.election.timeout.ms", 1000, nil, High, ReadOnly,
		"Longest duration of an election of the quorum. Used in KRaft mode only.")
	_ = key[int32]("controller.quorum.fetch.timeout.ms", 2000, nil, High, ReadOnly,
		"How long the leader of the quorum may be silent. Used in KRaft mode only.")
	_ = key[int32]("controller.quorum.request.timeout.ms", 2000, nil, Medium, ReadOnly,
		"How long to wait for a response in the quorum. Used in KRaft mode only.")
	_ = key[int32]("controller.quorum.retry.backoff.ms", 20, nil, Low, ReadOnly,
		"Pause before a request in the quorum is sent again. Used in KRaft mode only.")
	_ = key[[]string]("controller.quorum.voters", nil, nil, High, ReadOnly,
		"Members of the quorum: id@host:port, separated by commas. Used in KRaft mode only.")
	_ = nullableKey[string]("metadata.log.dir", nil, High, ReadOnly,
		"Directory of the metadata log. Used in KRaft mode only.")
	_ = key[int64]("metadata.log.max.record.bytes.between.snapshots", 20971520, atLeast(1), High, ReadOnly,
		"Bytes of the metadata log between two snapshots. Used in KRaft mode only.")
	_ = key[int64]("metadata.log.max.snapshot.interval.ms", 3600000, atLeast(0), High, ReadOnly,
		"Longest time between two snapshots of the metadata. Used in KRaft mode only.")
	_ = key[int32]("metadata.log.segment.bytes", 1073741824, atLeast(12), High, ReadOnly,
		"Size of a segment of the metadata log. Used in KRaft mode only.")
	_ = key[int32]("metadata.log.segment.min.bytes", 8388608, atLeast(12), High, ReadOnly|Internal,
		"Smallest size of a segment of the metadata log. Used in KRaft mode only.")
	_ = key[int64]("metadata.log.segment.ms", 604800000, nil, High, ReadOnly,
		"Age at which a segment of the metadata log is rolled. Used in KRaft mode only.")
	_ = key[int32]("metadata.max.idle.interval.ms", 500, atLeast(0), Low, ReadOnly,
		"How often the quorum writes a record when idle. Used in KRaft mode only.")
	_ = key[int64]("metadata.max.retention.bytes", 104857600, nil, High, ReadOnly,
		"Size up to which the metadata log is kept. Used in KRaft mode only.")
	_ = key[int64]("metadata.max.retention.ms", 604800000, nil, High, ReadOnly,
		"How long the metadata log is kept. Used in KRaft mode only.")
	processRoles = key[[]string]("process.roles", nil, in("broker", "controller"), High, ReadOnly,
		"Roles in KRaft mode. Must be empty: this broker is coordinated by ZooKeeper.")
)
