// Package zkconsumer is the classic consumer of Kafka 0.8 to 1.1: its group
// lives in ZooKeeper below /consumers, without a coordinator. Members of this
// package and of the Java client up to 1.1.1 share one group.
//
//	c, err := zkconsumer.Open(ctx, zkconsumer.Config{Zookeeper: "localhost:2181", Group: "g", Include: "orders.*"})
//	...
//	defer c.Close()
//	for {
//		records, err := c.Streams()[0].Poll(ctx, 0)
//		...
//	}
//
// A member registers under ids, and on every change of the members, of the
// partitions or of the topics computes by itself who reads what, as every other
// member does. It stops reading, commits, gives up what it owns and claims its
// new share under owners; as long as somebody else owns a part of that it tries
// again. Owner nodes and commits belong to a ZooKeeper session: a member whose
// session is over neither owns nor commits anything.
//
// Files: config.go the settings, assign.go who reads what (pure), consumer.go
// the member's life, rebalance.go its turns, fetch.go reading from the
// leaders, stream.go handing records out, offsets.go where commits go.
//
// Goroutines of a Consumer: one that rebalances and commits, and while it owns
// partitions one that finds leaders and one for each leader.
//
// Locks: a Stream's, and under it nothing; a fetching's, and under it a
// Stream's; the Consumer's, and under it nothing.
package zkconsumer
