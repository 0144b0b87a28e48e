package replication

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/storage"
)

// How a fetcher finds its position: it truncates to the point where its log and the leader's agree,
// and recovers if the leader does not have the offset.

// truncateLocked truncates the log according to the leader's answer. The next fetch starts there
// and reports again if the logs still diverge.
func (f *fetcher) truncateLocked(p *following, leader epochEnd) error {
	log := p.partition.Log()
	if log == nil {
		return errNotFollowing
	}
	offset, done := p.cut(log, leader)
	if err := p.partition.truncate(offset, p.epoch); err != nil {
		return err
	}
	f.m.fetchLog.Infof("%s Truncated partition %s to offset %d; the leader's epoch %d ends at offset %d", f.name, p.id, offset, leader.epoch, leader.offset)
	p.offset = offset
	p.lastEpoch = log.LeaderEpoch()
	p.truncating = !done && !f.m.opts.PeerVersions.TruncateOnFetch
	return nil
}

// cut returns the offset to which the log must be truncated according to the leader's answer.
func (p *following) cut(log *storage.Log, leader epochEnd) (offset record.Offset, done bool) {
	return truncateTo(leader, p.offset, log.Offsets().LogEnd, log.EndOffsetForEpoch)
}

// announceTruncations announces to storage the truncations that the leader's answers cause.
// Otherwise each log would rewrite the checkpoints of its directory on its own.
func (f *fetcher) announceTruncations(answers map[TopicPartition]epochEnd) {
	if len(answers) < 2 {
		return
	}
	offsets := make(map[TopicPartition]record.Offset, len(answers))
	f.mu.Lock()
	for id, leader := range answers {
		if p := f.partitions[id]; p != nil {
			if log := p.partition.Log(); log != nil {
				offsets[id], _ = p.cut(log, leader)
			}
		}
	}
	f.mu.Unlock()
	f.m.cfg.Logs.ExpectTruncations(offsets)
}

// truncation does what must come before the first fetch. It truncates logs without epochs to the
// high watermark, and returns the request for the epochs of the others, or nil if there are none.
func (f *fetcher) truncation(now time.Time) *leaderRequest {
	byEpoch, toHigh := f.truncating(now)
	if len(toHigh) > 1 {
		offsets := make(map[TopicPartition]record.Offset, len(toHigh))
		for _, p := range toHigh {
			offsets[p.id] = p.offset
		}
		f.m.cfg.Logs.ExpectTruncations(offsets)
	}
	for _, p := range toHigh {
		f.withFollowing(p.id, p.epoch, p.offset, func(p *following) error {
			if err := p.partition.truncate(p.offset, p.epoch); err != nil {
				return err
			}
			p.truncating = false
			return nil
		})
	}
	if len(byEpoch) == 0 {
		return nil
	}
	return f.truncateByEpoch(byEpoch)
}

// truncating returns copies of the partitions that must truncate, with lastEpoch set to the latest
// epoch of their logs.
func (f *fetcher) truncating(now time.Time) (byEpoch, toHigh []following) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, at := range f.active {
		p := *at
		log := p.partition.Log()
		if p.removed || !p.truncating || p.delayed.After(now) || log == nil {
			continue
		}
		if p.lastEpoch = log.LeaderEpoch(); p.lastEpoch < 0 {
			toHigh = append(toHigh, p)
		} else {
			byEpoch = append(byEpoch, p)
		}
	}
	return byEpoch, toHigh
}

// withFollowing calls change if the partition is still followed in the epoch at the offset. If
// change returns an error, the partition is no longer followed.
func (f *fetcher) withFollowing(id TopicPartition, epoch metadata.LeaderEpoch, offset record.Offset, change func(*following) error) {
	f.mu.Lock()
	p := f.partitions[id]
	if p == nil || p.epoch != epoch || p.offset != offset {
		f.mu.Unlock()
		return
	}
	was := *p
	f.activateLocked(p)
	err := change(p)
	if err != nil {
		f.removeLocked(id)
	}
	f.mu.Unlock()
	if err != nil {
		f.failed(&was, err)
	}
}

// truncateByEpoch asks the leader where the latest epochs of the logs end (KIP-101).
func (f *fetcher) truncateByEpoch(partitions []following) *leaderRequest {
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	req.Version = f.m.opts.PeerVersions.OffsetForLeaderEpoch
	req.ReplicaID = int32(f.m.opts.BrokerID)
	asked := make(map[TopicPartition]following, len(partitions))
	ids := make([]TopicPartition, len(partitions))
	for i, p := range partitions {
		asked[p.id], ids[i] = p, p.id
		q := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		q.Partition, q.CurrentLeaderEpoch, q.LeaderEpoch = p.id.Partition, int32(p.epoch), int32(p.lastEpoch)
		t := kmsg.NewOffsetForLeaderEpochRequestTopic()
		t.Topic, t.Partitions = p.id.Topic, []kmsg.OffsetForLeaderEpochRequestTopicPartition{q}
		req.Topics = append(req.Topics, t)
	}
	return &leaderRequest{req, func(resp kmsg.Response, err error) {
		if err != nil {
			f.requestFailed(ids, err)
			return
		}
		f.epochsAnswered(asked, resp.(*kmsg.OffsetForLeaderEpochResponse))
	}}
}

// epochsAnswered truncates according to the leader's response.
func (f *fetcher) epochsAnswered(asked map[TopicPartition]following, resp *kmsg.OffsetForLeaderEpochResponse) {
	answers := map[TopicPartition]epochEnd{}
	for _, t := range resp.Topics {
		for _, a := range t.Partitions {
			id := TopicPartition{Topic: t.Topic, Partition: a.Partition}
			if _, ok := asked[id]; ok && a.ErrorCode == 0 {
				answers[id] = epochEnd{metadata.LeaderEpoch(a.LeaderEpoch), record.Offset(a.EndOffset)}
			}
		}
	}
	f.announceTruncations(answers)
	var delayed []TopicPartition
	for _, t := range resp.Topics {
		for _, a := range t.Partitions {
			id := TopicPartition{Topic: t.Topic, Partition: a.Partition}
			p, ok := asked[id]
			if !ok {
				continue
			}
			switch code := protocol.ErrorCode(a.ErrorCode); code {
			case protocol.None:
				// Ignore answers for an epoch in which the partition no longer follows
				// (KAFKA-7786).
				f.withFollowing(id, p.epoch, p.offset, func(now *following) error {
					return f.truncateLocked(now, epochEnd{metadata.LeaderEpoch(a.LeaderEpoch), record.Offset(a.EndOffset)})
				})
			case protocol.FencedLeaderEpoch:
				f.withFollowing(id, p.epoch, p.offset, func(*following) error { return code })
			default:
				f.m.fetchLog.Infof("%s Retrying leaderEpoch request for partition %s as the leader reported an error: %s", f.name, id, code.Name())
				delayed = append(delayed, id)
			}
		}
	}
	f.delay(delayed)
}

// outOfRange finds the offset at which to continue after the leader refused the current one. Both
// lookups carry the leader epoch: the answer of a broker that no longer leads must not make this
// broker drop the log (KAFKA-2143).
func (f *fetcher) outOfRange(id TopicPartition, ask PartitionAsk) {
	epoch := ask.CurrentLeaderEpoch
	f.leaderOffset(id, epoch, LatestOffset, func(latest record.Offset) {
		f.leaderOffset(id, epoch, EarliestOffset, func(earliest record.Offset) { f.reposition(id, ask, latest, earliest) })
	})
}

// reposition continues at an offset that the leader has.
func (f *fetcher) reposition(id TopicPartition, ask PartitionAsk, latest, earliest record.Offset) {
	f.withFollowing(id, ask.CurrentLeaderEpoch, ask.FetchOffset, func(p *following) error {
		log := p.partition.Log()
		if log == nil {
			return errNotFollowing
		}
		end := log.Offsets().LogEnd
		switch {
		case latest < end: // unclean election: the leader has less than this log
			f.m.fetchLog.Warnf("%s Reset fetch offset for partition %s from %d to current leader's latest offset %d", f.name, id, end, latest)
			if err := p.partition.truncate(latest, p.epoch); err != nil {
				return err
			}
			p.offset = latest
		case earliest > end: // the leader no longer has anything of this log
			f.m.fetchLog.Warnf("%s Current offset %d for partition %s is out of range; starting at the leader's start offset %d", f.name, end, id, earliest)
			if err := p.partition.restartAt(earliest, p.epoch); err != nil {
				return err
			}
			p.offset = earliest
		case p.offset == end: // within the leader's range: retry later
			p.delayed = f.m.now().Add(f.m.opts.FetchBackoff)
		default:
			p.offset = end
		}
		p.lastEpoch, p.truncating, p.lag = log.LeaderEpoch(), false, int64(max(0, latest-p.offset))
		return nil
	})
}

// leaderOffset asks the leader for one offset, as a replica, so the limit is the log end.
func (f *fetcher) leaderOffset(id TopicPartition, epoch metadata.LeaderEpoch, timestamp int64, found func(offset record.Offset)) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version = f.m.opts.PeerVersions.ListOffsets
	req.IsolationLevel = 0
	req.ReplicaID = int32(f.m.opts.BrokerID)
	q := kmsg.NewListOffsetsRequestTopicPartition()
	q.Partition, q.CurrentLeaderEpoch, q.Timestamp, q.MaxNumOffsets = id.Partition, int32(epoch), timestamp, 1
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic, t.Partitions = id.Topic, []kmsg.ListOffsetsRequestTopicPartition{q}
	req.Topics = append(req.Topics, t)
	f.lookups = append(f.lookups, &leaderRequest{req, func(resp kmsg.Response, err error) {
		var offset record.Offset
		if err == nil {
			offset, err = f.offsetIn(resp.(*kmsg.ListOffsetsResponse), id)
		}
		if err != nil {
			f.offsetRefused(id, err)
			return
		}
		found(offset)
	}})
}

// offsetRefused ends a failed lookup. It starts again, with a fetch, after the back-off time.
func (f *fetcher) offsetRefused(id TopicPartition, err error) {
	switch protocol.CodeOf(err) {
	case protocol.UnknownTopicOrPartition, protocol.UnknownLeaderEpoch, protocol.NotLeaderOrFollower, protocol.FencedLeaderEpoch:
		f.m.fetchLog.Infof("%s Could not fetch offset for %s due to error: %v", f.name, id, err)
	default:
		f.m.fetchLog.Errorf("%s Error getting offset for partition %s: %v", f.name, id, err)
	}
	f.delay([]TopicPartition{id})
}

// offsetIn returns the offset in a response to a lookup of one partition.
func (f *fetcher) offsetIn(resp *kmsg.ListOffsetsResponse, id TopicPartition) (record.Offset, error) {
	for _, t := range resp.Topics {
		for _, a := range t.Partitions {
			switch {
			case a.ErrorCode != 0:
				return 0, protocol.ErrorCode(a.ErrorCode)
			case resp.Version == 0 && len(a.OldStyleOffsets) > 0:
				return record.Offset(a.OldStyleOffsets[0]), nil
			case resp.Version > 0:
				return record.Offset(a.Offset), nil
			}
		}
	}
	return 0, fmt.Errorf("broker %d did not answer for %s", f.key.leader, id)
}
