package replication

import (
	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

// epochEnd is what a log answers about a leader epoch: the largest of its epochs up to that one,
// and the offset at which it ends. Both are -1 if the log does not know. Only the epoch is -1 in
// version 0 of OffsetForLeaderEpoch.
type epochEnd struct {
	epoch  metadata.LeaderEpoch
	offset record.Offset
}

// truncateTo returns the offset to which a follower truncates its log, given the leader's answer
// about an epoch (from OffsetForLeaderEpoch or the diverging epoch of a fetch). floor applies if the
// leader does not know the epoch: the offset that the follower was about to fetch, which is its high
// watermark before the first truncation. local looks up the end of an epoch in the follower's log.
//
// done is false if the follower must ask again with the latest epoch of the remaining log: it had an
// epoch that the leader lacks, and one step may not reach the point where both logs agree (KIP-279).
func truncateTo(leader epochEnd, floor, logEnd record.Offset, local func(epoch metadata.LeaderEpoch) (metadata.LeaderEpoch, record.Offset)) (offset record.Offset, done bool) {
	switch {
	case leader.offset < 0:
		return floor, true
	case leader.epoch < 0:
		return min(leader.offset, logEnd), true
	}
	epoch, end := local(leader.epoch)
	switch {
	case end < 0:
		return min(leader.offset, logEnd), true
	case epoch != leader.epoch:
		return min(end, logEnd), false
	}
	return min(end, leader.offset, logEnd), true
}

// fetcherID returns the fetcher, among n per leader, that Kafka assigns a partition to.
func fetcherID(id TopicPartition, n int32) int32 {
	return javatext.Abs(31*javatext.StringHash(id.Topic)+id.Partition) % n
}
