package api

import (
	"sync/atomic"
	"time"

	"github.com/monedula/monedula/metadata"
)

// Waits has the numbers of requests that wait until the metadata shows their effect: Kafka's
// purgatories "topic" and "ElectLeader".
type Waits struct{ topics, elections atomic.Int64 }

// Counts returns the numbers of waiting requests that create or delete topics or partitions, and of
// those that elect leaders.
func (w *Waits) Counts() (topics, elections int64) { return w.topics.Load(), w.elections.Load() }

// waitKind selects the number of a kind of waiting requests.
type waitKind func(*Waits) *atomic.Int64

func forTopics(w *Waits) *atomic.Int64    { return &w.topics }
func forElections(w *Waits) *atomic.Int64 { return &w.elections }

// await waits like metadata.Cache.Await, until the connection ends at most, and counts the wait.
func (c *Call) await(kind waitKind, cache Metadata, timeout time.Duration, done func(*metadata.Snapshot) bool) bool {
	if c.waits != nil {
		n := kind(c.waits)
		n.Add(1)
		defer n.Add(-1)
	}
	return cache.Await(c.Context(), timeout, done)
}
