package settings

// The keys of transactions and idempotent producers.
var (
	TransactionMaxTimeoutMs = key[int32]("transaction.max.timeout.ms", 900000, atLeast(1), High, ReadOnly,
		"Longest transaction timeout that a producer may request.")
	TransactionAbortTimedOutCleanupIntervalMs = key[int32]("transaction.abort.timed.out.transaction.cleanup.interval.ms", 10000, atLeast(1), Low, ReadOnly,
		"How often transactions that have timed out are aborted.")
	TransactionRemoveExpiredCleanupIntervalMs = key[int32]("transaction.remove.expired.transaction.cleanup.interval.ms", 3600000, atLeast(1), Low, ReadOnly,
		"How often expired transactional ids are removed.")
	TransactionPartitionVerificationEnable = key[bool]("transaction.partition.verification.enable", true, nil, Low, ClusterWide,
		"Whether a transactional batch is verified with the transaction coordinator before it is appended.")
	TransactionStateLogLoadBufferSize = key[int32]("transaction.state.log.load.buffer.size", 5242880, atLeast(1), High, ReadOnly,
		"Size of a read when transactions are loaded.")
	TransactionStateLogMinISR = key[int32]("transaction.state.log.min.isr", 2, atLeast(1), High, ReadOnly,
		"Number of in-sync replicas required by the transactions topic.")
	TransactionStateLogNumPartitions = key[int32]("transaction.state.log.num.partitions", 50, atLeast(1), High, ReadOnly,
		"Number of partitions of the transactions topic. Do not change it later.")
	TransactionStateLogReplicationFactor = key[int16]("transaction.state.log.replication.factor", 3, atLeast(1), High, ReadOnly,
		"Number of replicas of the transactions topic.")
	TransactionStateLogSegmentBytes = key[int32]("transaction.state.log.segment.bytes", 104857600, atLeast(1), High, ReadOnly,
		"Size of a segment of the transactions topic.")
	TransactionalIDExpirationMs = key[int32]("transactional.id.expiration.ms", 604800000, atLeast(1), High, ReadOnly,
		"How long an unused transactional id is kept.")
	ProducerIDExpirationMs = key[int32]("producer.id.expiration.ms", 86400000, atLeast(1), Low, ClusterWide,
		"How long the sequence numbers of an idle producer are kept.")
	ProducerIDExpirationCheckIntervalMs = key[int32]("producer.id.expiration.check.interval.ms", 600000, atLeast(1), Low, ReadOnly|Internal,
		"How often idle producers are removed.")
)
