// Package admin is topic and configuration administration against ZooKeeper:
// it validates, assigns replicas and writes the znodes; broker/api serves it
// over the wire, tools use it for --zookeeper.
package admin
