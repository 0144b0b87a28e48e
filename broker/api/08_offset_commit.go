package api

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/group"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// OffsetCommit stores a group's offsets.
//
// Versions 0 to 9. v0 stores in ZooKeeper, without metadata and regardless of the group's state.
// v1 has a time for each partition, v2 to v4 one retention for all. v6 adds leader epochs, v7
// static members, v8 is flexible, v9 is for the new group protocol.
func OffsetCommit(groups *group.Coordinator, classic ConsumerOffsets, cache Metadata, settings Settings) Handler {
	h := Handler{Key: protocol.OffsetCommit, Min: 0, Max: 9, PerEntry: true}
	return Typed(h, func(c *Call, req *kmsg.OffsetCommitRequest) (kmsg.Response, error) {
		if err := c.requireGroup(kmsg.ACLOperationRead, req.Group); err != nil {
			return nil, err
		}
		if err := checkInstance(req.InstanceID, settings); err != nil {
			return nil, err
		}
		resp := kmsg.NewPtrOffsetCommitResponse()
		resp.Topics = make([]kmsg.OffsetCommitResponseTopic, len(req.Topics))
		var pending pendingCodes
		var commits []group.Commit
		cluster := cache.Snapshot()
		now := time.Now().UnixMilli()
		for i := range req.Topics {
			asked, t := &req.Topics[i], &resp.Topics[i]
			t.Topic, t.Partitions = asked.Topic, make([]kmsg.OffsetCommitResponseTopicPartition, len(asked.Partitions))
			for j := range asked.Partitions {
				p := group.TopicPartition{Topic: asked.Topic, Partition: asked.Partitions[j].Partition}
				t.Partitions[j].Partition = p.Partition
				if pending.add(c.checkCommitted(cluster, p.Topic, p.Partition), &t.Partitions[j].ErrorCode) {
					commits = append(commits, group.Commit{Partition: p, Offset: offsetOf(req, &asked.Partitions[j], now)})
				}
			}
		}
		switch {
		case len(commits) == 0:
		case req.Version == 0:
			pending.settle(commitClassic(c.Context(), groups, classic, req.Group, commits))
		default:
			pending.settle(groups.Commit(req.Group, group.CommitRequest{MemberID: req.MemberID, InstanceID: req.InstanceID,
				Generation: req.Generation, Commits: commits}))
		}
		return resp, nil
	})
}

// offsetOf returns the offset that the request commits for a partition.
func offsetOf(req *kmsg.OffsetCommitRequest, p *kmsg.OffsetCommitRequestTopicPartition, nowMs int64) group.CommittedOffset {
	o := group.CommittedOffset{Offset: record.Offset(p.Offset), LeaderEpoch: -1, Metadata: valueOrEmpty(p.Metadata), CommittedMs: nowMs, ExpiresMs: -1}
	if req.Version == 1 && p.Timestamp != -1 {
		o.CommittedMs = p.Timestamp
	}
	if req.Version >= 2 && req.Version <= 4 && req.RetentionTimeMillis != -1 {
		o.ExpiresMs = nowMs + req.RetentionTimeMillis
	}
	if req.Version >= 6 {
		o.LeaderEpoch = metadata.LeaderEpoch(p.LeaderEpoch)
	}
	return o
}

func commitClassic(ctx context.Context, groups *group.Coordinator, classic ConsumerOffsets, name string, commits []group.Commit) []protocol.ErrorCode {
	codes := make([]protocol.ErrorCode, len(commits))
	for i := range commits {
		if groups.TooLong(commits[i].Offset.Metadata) {
			codes[i] = protocol.OffsetMetadataTooLarge
			continue
		}
		codes[i] = protocol.CodeOf(classic.SetConsumerOffset(ctx, name, commits[i].Partition, commits[i].Offset.Offset))
	}
	return codes
}
