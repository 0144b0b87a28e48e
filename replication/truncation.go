package replication

import "github.com/monedula/monedula/protocol"

// truncateTo decides where a follower cuts its log after the leader said where
// an epoch ends (by OffsetForLeaderEpoch or a fetch's diverging epoch). floor is
// the follower's high watermark, for when the leader knows nothing; local looks
// up the end of an epoch in the follower's own log.
//
// done is false where the follower must ask again with the latest epoch of the
// log that remains: it knew an epoch that the leader does not, and one step may
// not reach the point where both logs agree (KIP-279).
func truncateTo(leader protocol.EpochEndOffset, floor, logEnd int64, local func(epoch int32) (int32, int64)) (offset int64, done bool) {
	switch {
	case leader.EndOffset < 0:
		return floor, true
	case leader.Epoch < 0:
		return min(leader.EndOffset, logEnd), true
	}
	epoch, end := local(leader.Epoch)
	switch {
	case end < 0:
		return min(leader.EndOffset, logEnd), true
	case epoch != leader.Epoch:
		return min(end, logEnd), false
	}
	return min(end, leader.EndOffset, logEnd), true
}

// fetcherID is the fetcher thread, among n per leader, that a partition belongs
// to. The hash is Java's, as Kafka spreads partitions by it.
func fetcherID(id TopicPartition, n int32) int32 {
	h := 31*javaHash(id.Topic) + id.Partition
	if h == -1<<31 {
		return 0
	}
	return max(h, -h) % n
}

// javaHash is String.hashCode of an ASCII string.
func javaHash(s string) int32 {
	var h int32
	for i := range len(s) {
		h = 31*h + int32(s[i])
	}
	return h
}
