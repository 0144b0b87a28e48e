package api

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/group"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// TxnOffsetCommit stores offsets as part of a producer's transaction (KIP-98). They are pending
// until the transaction's marker is written.
//
// Versions 0 to 4. v2 adds leader epochs, v3 is flexible and adds the consumer's membership
// (KIP-447), v4 adds TRANSACTION_ABORTABLE. Before v2 the answer has COORDINATOR_NOT_AVAILABLE
// instead of COORDINATOR_LOAD_IN_PROGRESS, at which old producers fail (KAFKA-7296).
func TxnOffsetCommit(groups *group.Coordinator, cache Metadata) Handler {
	h := Handler{Key: protocol.TxnOffsetCommit, Min: 0, Max: 4, PerEntry: true}
	return Typed(h, func(c *Call, req *kmsg.TxnOffsetCommitRequest) (kmsg.Response, error) {
		if err := c.requireTransactionalID(kmsg.ACLOperationWrite, req.TransactionalID); err != nil {
			return nil, err
		}
		if err := c.requireGroup(kmsg.ACLOperationRead, req.Group); err != nil {
			return nil, err
		}
		resp := kmsg.NewPtrTxnOffsetCommitResponse()
		resp.Topics = make([]kmsg.TxnOffsetCommitResponseTopic, len(req.Topics))
		var pending pendingCodes
		var commits []group.Commit
		cluster := cache.Snapshot()
		now := time.Now().UnixMilli()
		for i := range req.Topics {
			asked, t := &req.Topics[i], &resp.Topics[i]
			t.Topic, t.Partitions = asked.Topic, make([]kmsg.TxnOffsetCommitResponseTopicPartition, len(asked.Partitions))
			for j := range asked.Partitions {
				from := &asked.Partitions[j]
				p := group.TopicPartition{Topic: asked.Topic, Partition: from.Partition}
				t.Partitions[j].Partition = p.Partition
				if pending.add(c.checkCommitted(cluster, p.Topic, p.Partition), &t.Partitions[j].ErrorCode) {
					o := group.CommittedOffset{Offset: record.Offset(from.Offset), LeaderEpoch: -1, Metadata: valueOrEmpty(from.Metadata), CommittedMs: now, ExpiresMs: -1}
					if req.Version >= 2 {
						o.LeaderEpoch = metadata.LeaderEpoch(from.LeaderEpoch)
					}
					commits = append(commits, group.Commit{Partition: p, Offset: o})
				}
			}
		}
		if len(commits) > 0 {
			pending.settle(groups.Commit(req.Group, txnCommit(req, commits)))
		}
		if req.Version < 2 {
			hideLoading(resp)
		}
		return resp, nil
	})
}

func txnCommit(req *kmsg.TxnOffsetCommitRequest, commits []group.Commit) group.CommitRequest {
	r := group.CommitRequest{Generation: -1, Commits: commits, Txn: &group.Txn{
		ID: req.TransactionalID, ProducerID: req.ProducerID, Epoch: req.ProducerEpoch, Abortable: req.Version >= 4}}
	if req.Version >= 3 {
		r.Generation, r.MemberID, r.InstanceID = req.Generation, req.MemberID, req.InstanceID
	}
	return r
}

// hideLoading replaces COORDINATOR_LOAD_IN_PROGRESS by COORDINATOR_NOT_AVAILABLE.
func hideLoading(resp *kmsg.TxnOffsetCommitResponse) {
	for _, t := range resp.Topics {
		for i := range t.Partitions {
			if p := &t.Partitions[i]; protocol.ErrorCode(p.ErrorCode) == protocol.CoordinatorLoadInProgress {
				p.ErrorCode = int16(protocol.CoordinatorNotAvailable)
			}
		}
	}
}
