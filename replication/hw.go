package replication

import (
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

// highWatermarkCandidate returns the offset up to which every replica that counts has the log. The
// replicas that count are the leader, the maximal in-sync replicas, and replicas about to join:
// those that caught up at sinceMs or later and are eligible (alive). Without the last kind the high
// watermark would run ahead of a joining follower faster than it can fetch, and the follower would
// never join. The caller moves the high watermark only up.
func highWatermarkCandidate(leaderEnd record.Offset, maximal members, followers followers,
	eligible func(id metadata.BrokerID) bool, sinceMs int64) record.Offset {
	candidate := leaderEnd
	for i := range followers {
		f := &followers[i]
		if f.logEnd >= candidate {
			continue
		}
		if maximal.has(f.id) || f.caughtUp(leaderEnd, sinceMs) && eligible(f.id) {
			candidate = f.logEnd
		}
	}
	return candidate
}

// lowWatermark returns the lowest log start offset of the leader and its live followers. No live
// replica serves data below it.
func lowWatermark(leaderStart record.Offset, followers followers, alive func(id metadata.BrokerID) bool) record.Offset {
	low := leaderStart
	for i := range followers {
		if f := &followers[i]; f.logStart < low && alive(f.id) {
			low = f.logStart
		}
	}
	return low
}
