package settings

// transactionKeys are the keys of transactions and idempotent producers.
var transactionKeys = []Key{
	{"transaction.max.timeout.ms", Int, "900000", atLeast(1), High, ReadOnly,
		"Longest transaction timeout that a producer may request."},
	{"transaction.abort.timed.out.transaction.cleanup.interval.ms", Int, "10000", atLeast(1), Low, ReadOnly,
		"How often transactions that have timed out are aborted."},
	{"transaction.remove.expired.transaction.cleanup.interval.ms", Int, "3600000", atLeast(1), Low, ReadOnly,
		"How often expired transactional ids are removed."},
	{"transaction.partition.verification.enable", Boolean, "true", nil, Low, ClusterWide,
		"Whether a transactional batch is verified with the transaction coordinator before it is appended."},
	{"transaction.state.log.load.buffer.size", Int, "5242880", atLeast(1), High, ReadOnly,
		"Size of a read when transactions are loaded."},
	{"transaction.state.log.min.isr", Int, "2", atLeast(1), High, ReadOnly,
		"Number of in-sync replicas required by the transactions topic."},
	{"transaction.state.log.num.partitions", Int, "50", atLeast(1), High, ReadOnly,
		"Number of partitions of the transactions topic. Do not change it later."},
	{"transaction.state.log.replication.factor", Short, "3", atLeast(1), High, ReadOnly,
		"Number of replicas of the transactions topic."},
	{"transaction.state.log.segment.bytes", Int, "104857600", atLeast(1), High, ReadOnly,
		"Size of a segment of the transactions topic."},
	{"transactional.id.expiration.ms", Int, "604800000", atLeast(1), High, ReadOnly,
		"How long an unused transactional id is kept."},
	{"producer.id.expiration.ms", Int, "86400000", atLeast(1), Low, ClusterWide,
		"How long the sequence numbers of an idle producer are kept."},
	{"producer.id.expiration.check.interval.ms", Int, "600000", atLeast(1), Low, ReadOnly | Internal,
		"How often idle producers are removed."},
}
