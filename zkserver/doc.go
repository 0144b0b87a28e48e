// Package zkserver is a ZooKeeper server of one node: ZooKeeper's client protocol, sessions, and
// four-letter words, around the tree of zkserver/tree, kept in the files of zkserver/txnlog. It is
// for the first day and for tests; production wants an ensemble of Apache ZooKeeper.
//
//	config.go      the keys of zookeeper.properties
//	server.go      goroutines: start, stop, failure
//	connection.go  sockets
//	machine.go     connections and sessions as a state machine without a clock, files or sockets
//	requests.go    requests and their responses
//	writes.go      requests that change the tree
//	identities.go  passwords of sessions, identities of clients
//	words.go       four-letter words
//	monitor.go     counters, and the word mntr
//
// One goroutine, the owner, runs the machine. What it produces goes to the committer in order: the
// transactions, and the frames for connections. The committer makes the transactions durable before
// it sends the frames, so no client learns of a change that a crash can undo, not even by a read.
// While the committer waits for the disk, the owner collects the next transactions, which share one
// fsync. A third goroutine saves snapshots.
//
// Locks: outbox.mu and Server.mu are leaves. No lock is held while reading or writing files or
// sockets.
package zkserver
