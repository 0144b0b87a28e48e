package group

import (
	"sync/atomic"
	"time"
)

// Stats has the values of Kafka's metrics kafka.server:type=group-coordinator-metrics and
// NumOffsets. Counts are since the start, times are of the last minute.
type Stats struct {
	Commits    int64 // offsets committed (offset-commit-count)
	Expired    int64 // offsets expired (offset-expiration-count)
	Deleted    int64 // offsets deleted by request (offset-deletion-count)
	Rebalances int64 // generations with an assignment (group-completed-rebalance-count)

	Offsets int // offsets currently kept (NumOffsets)
	Members int // members of all groups, for each of which a session timeout runs

	Loads            int // partitions of the offsets topic loaded in the last 30 to 60 seconds
	LoadMax, LoadAvg time.Duration
}

// Stats returns the coordinator's metrics.
func (c *Coordinator) Stats() Stats {
	s := Stats{Commits: c.counts.commits.Load(), Expired: c.counts.expired.Load(), Deleted: c.counts.deleted.Load(), Rebalances: c.counts.rebalances.Load()}
	s.Loads, s.LoadMax, s.LoadAvg = c.rt.LoadTimes()
	groups, _ := c.rt.All()
	for _, e := range groups {
		shown := e.shown.Load()
		s.Offsets += shown.offsets
		s.Members += shown.members
	}
	return s
}

// counts are the counters of a coordinator.
type counts struct {
	commits, expired, deleted, rebalances atomic.Int64
}
