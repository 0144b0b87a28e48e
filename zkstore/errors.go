package zkstore

import (
	"errors"

	"github.com/monedula/monedula/zkstore/zkclient"
)

// Errors of the store. They are wrapped with the operation and the path; compare with errors.Is.
var (
	// ErrControllerMoved means that another broker is the controller: the epoch check of a fenced
	// write failed, or an election was lost.
	ErrControllerMoved = errors.New("zkstore: another broker is the controller")
	// ErrInvalidNode means that a node's data cannot be decoded.
	ErrInvalidNode = errors.New("zkstore: invalid data in node")
)

// Errors of the client, for callers of the store.
var (
	ErrNoNode         = zkclient.ErrNoNode
	ErrNodeExists     = zkclient.ErrNodeExists
	ErrBadVersion     = zkclient.ErrBadVersion
	ErrSessionExpired = zkclient.ErrSessionExpired
	ErrClosed         = zkclient.ErrClosed
)

// ConnectionTimeoutError means that no server could be reached within
// zookeeper.connection.timeout.ms. Its message is Kafka's.
type ConnectionTimeoutError = zkclient.ConnectionTimeoutError

// ControllerMovedError is an ErrControllerMoved with the message that Kafka returns to clients.
type ControllerMovedError struct{ Message string }

func (e *ControllerMovedError) Error() string { return e.Message }

// Unwrap returns ErrControllerMoved.
func (e *ControllerMovedError) Unwrap() error { return ErrControllerMoved }
