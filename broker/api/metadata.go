package api

import (
	"context"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// Metadata is what the broker knows about the cluster. It is implemented by *metadata.Cache.
type Metadata interface {
	Snapshot() *metadata.Snapshot
	// Await waits until done returns true for the current snapshot, the timeout expires or ctx
	// ends. It returns the last result of done.
	Await(ctx context.Context, timeout time.Duration, done func(*metadata.Snapshot) bool) bool
}

var _ Metadata = (*metadata.Cache)(nil)

// known returns a function that reports whether the metadata has the topic.
func known(m Metadata) func(topic string) bool {
	return func(topic string) bool { return m.Snapshot().Topics[topic] != nil }
}

// missing returns the code for a topic or partition that is missing in the snapshot: unknown if it
// does not exist, or again, which makes clients try again, if the controller may not have announced
// it yet.
func missing(s *metadata.Snapshot, unknown, again protocol.ErrorCode) protocol.ErrorCode {
	if s.Complete {
		return unknown
	}
	return again
}
