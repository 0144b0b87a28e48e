package settings

import "math"

// The keys of the broker itself, its controller and shutdown.
var (
	brokerID = key[int32]("broker.id", -1, nil, High, ReadOnly,
		"Id of this broker in the cluster, not negative. With -1, the broker uses the id in meta.properties or else a new id from ZooKeeper above reserved.broker.max.id.")
	BrokerIDGenerationEnable = key[bool]("broker.id.generation.enable", true, nil, Medium, ReadOnly,
		"Whether a broker without an id gets one from ZooKeeper.")
	reservedBrokerMaxID = key[int32]("reserved.broker.max.id", 1000, atLeast(0), Medium, ReadOnly,
		"Highest id that may be set as broker.id while ids are generated.")
	nodeID = key[int32]("node.id", -1, nil, High, ReadOnly,
		"Another name for broker.id; if both are set, they must be equal.")
	BrokerRack = nullableKey[string]("broker.rack", nil, Medium, ReadOnly,
		"Rack or zone of this broker. Replicas of a partition are distributed over racks.")
	AutoCreateTopicsEnable = key[bool]("auto.create.topics.enable", true, nil, High, ReadOnly,
		"Whether a metadata request for an unknown topic creates the topic.")
	DeleteTopicEnable = key[bool]("delete.topic.enable", true, nil, High, ReadOnly,
		"Whether topics can be deleted. If false, deletions are refused.")
	AutoLeaderRebalanceEnable = key[bool]("auto.leader.rebalance.enable", true, nil, High, ReadOnly,
		"Whether the controller periodically returns leadership to preferred replicas.")
	LeaderImbalanceCheckIntervalSeconds = key[int64]("leader.imbalance.check.interval.seconds", 300, atLeast(1), High, ReadOnly,
		"How often the controller checks for partitions that are not led by their preferred replica.")
	LeaderImbalancePerBrokerPercentage = key[int32]("leader.imbalance.per.broker.percentage", 10, nil, High, ReadOnly,
		"Percentage of a broker's preferred partitions led by other brokers above which leadership is returned.")
	_ = key[int64]("unclean.leader.election.interval.ms", 300000, atLeast(1), Medium, ReadOnly|Internal,
		"How often partitions without a leader are checked for an unclean leader election.")
	backgroundThreads = key[int32]("background.threads", 10, atLeast(1), High, ClusterWide,
		"Number of threads for background work.")
	NumIOThreads = key[int32]("num.io.threads", 8, atLeast(1), High, ClusterWide,
		"Number of threads that serve requests. Has no effect here: every connection has its own goroutine.")
	numNetworkThreads = key[int32]("num.network.threads", 3, atLeast(1), High, ClusterWide,
		"Number of threads that read and write sockets on each listener. Has no effect here: every connection has its own goroutine.")
	RequestTimeoutMs = key[int32]("request.timeout.ms", 30000, nil, High, ReadOnly,
		"How long to wait for the response of another broker before the request fails.")
	MessageMaxBytes = key[int32]("message.max.bytes", 1048588, atLeast(0), High, ClusterWide,
		"Largest accepted record batch, after compression. Topics override it with max.message.bytes.")
	_ = key[int32]("max.request.partition.size.limit", 2000, atLeast(1), Medium, ReadOnly,
		"Largest number of partitions in a DescribeTopicPartitions response.")
	FetchMaxBytes = key[int32]("fetch.max.bytes", 57671680, atLeast(1024), Medium, ReadOnly,
		"Largest number of bytes in a fetch response. If the first batch is larger, it is still sent.")
	MaxIncrementalFetchSessionCacheSlots = key[int32]("max.incremental.fetch.session.cache.slots", 1000, atLeast(0), Medium, ReadOnly,
		"Largest number of fetch sessions.")
	ControlledShutdownEnable = key[bool]("controlled.shutdown.enable", true, nil, Medium, ReadOnly,
		"Whether a broker that stops first asks the controller to move its leaderships to other brokers.")
	ControlledShutdownMaxRetries = key[int32]("controlled.shutdown.max.retries", 3, nil, Medium, ReadOnly,
		"How often a controlled shutdown is attempted before the broker stops without it.")
	ControlledShutdownRetryBackoffMs = key[int64]("controlled.shutdown.retry.backoff.ms", 5000, nil, Medium, ReadOnly,
		"Pause between two attempts of a controlled shutdown.")
	ControllerSocketTimeoutMs = key[int32]("controller.socket.timeout.ms", 30000, nil, Medium, ReadOnly,
		"How long the controller waits for a connection to a broker.")
	_ = nullableKey[className]("create.topic.policy.class.name", nil, Low, ReadOnly,
		"Java class that may refuse the creation of a topic. Java classes cannot be loaded here.")
	_ = nullableKey[className]("alter.config.policy.class.name", nil, Low, ReadOnly,
		"Java class that may refuse changes of configurations. Java classes cannot be loaded here.")
	interBrokerProtocolVersion = key[string]("inter.broker.protocol.version", "3.9-IV0", protocolVersion, Medium, ReadOnly,
		"Version of the protocol between brokers. Raise it when every broker runs the new release.")
	_ = key[int64]("server.max.startup.time.ms", math.MaxInt64, atLeast(0), Medium, ReadOnly|Internal,
		"How long the start may take.")
	_ = key[int32]("initial.broker.registration.timeout.ms", 60000, nil, Medium, ReadOnly,
		"How long a broker waits to be registered. Used in KRaft mode only.")
	_ = key[int32]("broker.heartbeat.interval.ms", 2000, nil, Medium, ReadOnly,
		"Interval of a broker's heartbeats. Used in KRaft mode only.")
	_ = key[int32]("broker.session.timeout.ms", 9000, nil, Medium, ReadOnly,
		"How long a broker stays registered without heartbeats. Used in KRaft mode only.")
	_ = key[bool]("unstable.api.versions.enable", false, nil, High, ReadOnly|Internal,
		"Whether request versions that are still in development are supported.")
	_ = key[bool]("unstable.feature.versions.enable", false, nil, High, ReadOnly|Internal,
		"Whether feature versions that are still in development are supported.")
	_ = key[bool]("eligible.leader.replicas.enable", false, nil, High, ReadOnly,
		"Whether eligible leader replicas are used. Used in KRaft mode only.")
	_ = key[int32]("delete.records.purgatory.purge.interval.requests", 1, nil, Medium, ReadOnly,
		"Number of waiting DeleteRecords requests after which completed ones are purged.")
	_ = key[int32]("fetch.purgatory.purge.interval.requests", 1000, nil, Medium, ReadOnly,
		"Number of waiting fetches after which completed ones are purged.")
	_ = key[int32]("producer.purgatory.purge.interval.requests", 1000, nil, Medium, ReadOnly,
		"Number of waiting produce requests after which completed ones are purged.")
)
