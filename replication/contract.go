// Package replication is a broker's replicas: partitions as leader and
// follower, the in-sync set, the high watermark, fetch sessions, and requests
// that wait.
package replication
