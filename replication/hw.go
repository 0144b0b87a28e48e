package replication

// highWatermarkCandidate is the offset up to which everything is on every
// replica that counts: the leader, the maximal in-sync replicas, and those that
// are about to join: caught up by time and eligible (alive). Without the last
// rule the high watermark would run ahead of a follower faster than it can
// fetch, and it would never get in. The caller moves the high watermark only up.
func highWatermarkCandidate(leaderEnd int64, maximal members, followers followers,
	eligible func(id int32) bool, nowMs, lagMaxMs int64) int64 {
	candidate := leaderEnd
	for i := range followers {
		f := &followers[i]
		if f.logEnd >= candidate {
			continue
		}
		if maximal.has(f.id) || f.caughtUp(leaderEnd, nowMs, lagMaxMs) && eligible(f.id) {
			candidate = f.logEnd
		}
	}
	return candidate
}

// lowWatermark is the least log start offset of the leader and its live
// followers: below it nobody can read any more.
func lowWatermark(leaderStart int64, followers followers, alive func(id int32) bool) int64 {
	low := leaderStart
	for i := range followers {
		if f := &followers[i]; f.logStart < low && alive(f.id) {
			low = f.logStart
		}
	}
	return low
}
