package replication

import "slices"

// highWatermarkCandidate is the offset up to which everything is on every
// replica that counts: the leader, the maximal in-sync replicas, and those that
// are about to join: caught up by time and eligible (alive). Without the last
// rule the high watermark would run ahead of a follower faster than it can
// fetch, and it would never get in. The caller moves the high watermark only up.
func highWatermarkCandidate(leaderEnd int64, maximal []int32, followers map[int32]*progress,
	eligible func(id int32) bool, nowMs, lagMaxMs int64) int64 {
	candidate := leaderEnd
	for id, p := range followers {
		if p.logEnd >= candidate {
			continue
		}
		if slices.Contains(maximal, id) || p.caughtUp(leaderEnd, nowMs, lagMaxMs) && eligible(id) {
			candidate = p.logEnd
		}
	}
	return candidate
}

// lowWatermark is the least log start offset of the leader and its live
// followers: below it nobody can read any more.
func lowWatermark(leaderStart int64, followers map[int32]*progress, alive func(id int32) bool) int64 {
	low := leaderStart
	for id, p := range followers {
		if p.logStart < low && alive(id) {
			low = p.logStart
		}
	}
	return low
}
