// Package zkconsumer implements the classic consumer of Kafka 0.8 to 1.1, which keeps its group in
// ZooKeeper below /consumers and needs no coordinator. Members of this package and of the Java
// client up to 1.1.1 can share a group.
//
//	c, err := zkconsumer.Open(ctx, zkconsumer.Config{Zookeeper: "localhost:2181", Group: "g", Include: "orders.*"})
//	...
//	defer c.Close()
//	for {
//		records, err := c.Streams()[0].Poll(ctx, 0)
//		...
//	}
//
// A member registers under ids. When the members, the partitions or the topics change, it computes
// the assignment of partitions by itself, like every other member. It then stops reading, commits,
// releases the partitions that it owns and claims its new share under owners. It retries while
// another member still owns a part of that share. Owner nodes and commits belong to a ZooKeeper
// session: a member whose session has expired can neither own nor commit anything.
//
// Files: config.go holds the settings; assign.go computes the assignment (without I/O); consumer.go
// opens, runs and closes a member; rebalance.go claims its share; fetch.go reads from the leaders;
// stream.go hands out records; offsets.go stores committed offsets.
//
// Goroutines of a Consumer: one rebalances and commits. While the consumer owns partitions, one
// more finds leaders, and one per leader fetches.
//
// Lock order: fetching.mu, then Stream.mu. No other lock is taken while Stream.mu or Consumer.mu is
// held.
package zkconsumer
