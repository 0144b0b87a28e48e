package settings

// transactionKeys are the keys of transactions and idempotent producers.
var transactionKeys = []Key{
	{"transaction.max.timeout.ms", Int, "900000", atLeast(1), High, ReadOnly,
		"Longest transaction timeout that a producer may ask for."},
	{"transaction.abort.timed.out.transaction.cleanup.interval.ms", Int, "10000", atLeast(1), Low, ReadOnly,
		"How often transactions that took too long are looked for."},
	{"transaction.remove.expired.transaction.cleanup.interval.ms", Int, "3600000", atLeast(1), Low, ReadOnly,
		"How often transactional ids that have expired are looked for."},
	{"transaction.partition.verification.enable", Boolean, "true", nil, Low, ClusterWide,
		"Whether a transactional batch is checked against its coordinator before it is appended."},
	{"transaction.state.log.load.buffer.size", Int, "5242880", atLeast(1), High, ReadOnly,
		"Size of the reads with which transactions are loaded."},
	{"transaction.state.log.min.isr", Int, "2", atLeast(1), High, ReadOnly,
		"In-sync replicas that the transactions topic needs."},
	{"transaction.state.log.num.partitions", Int, "50", atLeast(1), High, ReadOnly,
		"Number of partitions of the transactions topic. Not to be changed later."},
	{"transaction.state.log.replication.factor", Short, "3", atLeast(1), High, ReadOnly,
		"Number of replicas of the transactions topic."},
	{"transaction.state.log.segment.bytes", Int, "104857600", atLeast(1), High, ReadOnly,
		"Size of the transactions topic's files."},
	{"transactional.id.expiration.ms", Int, "604800000", atLeast(1), High, ReadOnly,
		"How long an unused transactional id is remembered."},
	{"producer.id.expiration.ms", Int, "86400000", atLeast(1), Low, ClusterWide,
		"How long an idle producer's sequence numbers are remembered."},
	{"producer.id.expiration.check.interval.ms", Int, "600000", atLeast(1), Low, ReadOnly | Internal,
		"How often idle producers are looked for."},
}
