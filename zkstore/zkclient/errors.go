package zkclient

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-zookeeper/zk"
)

// Errors of the client. They are wrapped with the operation and the path; compare with errors.Is.
var (
	// ErrNoNode means that the node, or the parent of a node to create, does not exist.
	ErrNoNode = errors.New("zkstore: no such node")
	// ErrNodeExists means that the node to create exists already.
	ErrNodeExists = errors.New("zkstore: node exists")
	// ErrBadVersion means that the node does not have the version that the caller expects.
	ErrBadVersion = errors.New("zkstore: node was changed concurrently")
	// ErrNotEmpty means that the node to delete has children.
	ErrNotEmpty = zk.ErrNotEmpty
	// ErrSessionExpired means that the session of the operation has ended.
	ErrSessionExpired = errors.New("zkstore: session expired")
	// ErrClosed means that the client was closed.
	ErrClosed = errors.New("zkstore: closed")
)

var errConnectionTimeout = errors.New("connection timeout")

// ConnectionTimeoutError means that no server could be reached within
// zookeeper.connection.timeout.ms. Its message is Kafka's.
type ConnectionTimeoutError struct {
	State   string        // of the connection, as in Client.State
	Connect string        // zookeeper.connect
	After   time.Duration // the timeout
}

func (e *ConnectionTimeoutError) Error() string {
	return "Timed out waiting for connection while in state: " + e.State
}

// Hint returns advice for operators.
func (e *ConnectionTimeoutError) Hint() string {
	return fmt.Sprintf("no ZooKeeper server of zookeeper.connect=%s answered within %v; check that it is running and reachable, or raise zookeeper.connection.timeout.ms", e.Connect, e.After)
}
