package zkstore

import (
	"errors"
	"fmt"
	"time"
)

// Errors of the store; they come wrapped with the operation and the path, so
// compare with errors.Is.
var (
	// ErrNoNode: the node, or for a create its parent, does not exist.
	ErrNoNode = errors.New("zkstore: no such node")
	// ErrNodeExists: a create found a node of that name.
	ErrNodeExists = errors.New("zkstore: node exists")
	// ErrBadVersion: the node was changed since the version the caller knows.
	ErrBadVersion = errors.New("zkstore: node was changed by somebody else")
	// ErrControllerMoved: the epoch check of a fenced write failed, or an
	// election was lost: somebody else is the controller.
	ErrControllerMoved = errors.New("zkstore: another broker is the controller")
	// ErrSessionExpired: the operation belonged to a session that is gone.
	ErrSessionExpired = errors.New("zkstore: session expired")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("zkstore: closed")
	// ErrInvalidNode: the node's data is not what it should be.
	ErrInvalidNode = errors.New("zkstore: invalid data in node")
)

var errConnectionTimeout = errors.New("connection timeout")

// ConnectionTimeoutError says that no server was reached within
// zookeeper.connection.timeout.ms.
type ConnectionTimeoutError struct {
	State   string // CONNECTING
	Connect string
	After   time.Duration
}

func (e *ConnectionTimeoutError) Error() string {
	return "Timed out waiting for connection while in state: " + e.State
}

// Hint says what to do about it.
func (e *ConnectionTimeoutError) Hint() string {
	return fmt.Sprintf("no ZooKeeper server of zookeeper.connect=%s answered within %v; check that it runs and can be reached from here, or raise zookeeper.connection.timeout.ms", e.Connect, e.After)
}

// ControllerMovedError is an ErrControllerMoved with the text that Kafka gives
// to clients.
type ControllerMovedError struct{ Message string }

func (e *ControllerMovedError) Error() string { return e.Message }

// Unwrap makes errors.Is(err, ErrControllerMoved) true.
func (e *ControllerMovedError) Unwrap() error { return ErrControllerMoved }
