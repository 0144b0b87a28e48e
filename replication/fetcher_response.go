package replication

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/storage"
)

// fetched handles the response to a Fetch.
func (f *fetcher) fetched(req *kmsg.FetchRequest, resp *kmsg.FetchResponse) {
	code := protocol.ErrorCode(resp.ErrorCode)
	f.counts.requests.Add(1)
	if req.Version >= 7 {
		f.session.answered(resp.SessionID, code)
	}
	if code != protocol.None {
		f.m.fetchLog.Infof("%s Node %d was unable to process the fetch request with (sessionId=%d, epoch=%d): %s.",
			f.name, f.key.leader, req.SessionID, req.SessionEpoch, code.Name())
		if !sessionLost(req, code) {
			f.logFailure(req.SessionID, req.SessionEpoch, code)
			f.delay(f.inOrder())
		}
		return
	}
	var diverging map[TopicPartition]epochEnd // usually nil
	f.eachAnswer(req, resp, func(id TopicPartition, _ PartitionAsk, answer *kmsg.FetchResponseTopicPartition) {
		if d := answer.DivergingEpoch; answer.ErrorCode == 0 && diverges(d) {
			if diverging == nil {
				diverging = map[TopicPartition]epochEnd{}
			}
			diverging[id] = epochEnd{metadata.LeaderEpoch(d.Epoch), record.Offset(d.EndOffset)}
		}
	})
	f.announceTruncations(diverging)
	var round fetchRound
	f.eachAnswer(req, resp, func(id TopicPartition, ask PartitionAsk, answer *kmsg.FetchResponseTopicPartition) {
		f.apply(id, ask, answer, &round)
	})
	f.delay(round.delayed)
	for _, id := range round.outOfRange {
		f.outOfRange(id, f.session.known[id])
	}
}

// eachAnswer calls do for every requested partition in a response.
func (f *fetcher) eachAnswer(req *kmsg.FetchRequest, resp *kmsg.FetchResponse, do func(TopicPartition, PartitionAsk, *kmsg.FetchResponseTopicPartition)) {
	for i := range resp.Topics {
		t := &resp.Topics[i]
		topic := t.Topic
		if req.Version >= 13 {
			topic = f.session.name(t.TopicID)
		}
		for j := range t.Partitions {
			id := TopicPartition{Topic: topic, Partition: t.Partitions[j].Partition}
			if ask, asked := f.session.known[id]; asked {
				do(id, ask, &t.Partitions[j])
			}
		}
	}
}

// diverges reports whether the leader's log diverges from this broker's.
func diverges(d kmsg.FetchResponseTopicPartitionDivergingEpoch) bool {
	return d.Epoch >= 0 || d.EndOffset >= 0
}

// sessionLost reports whether the only error is that the leader forgot the session of an
// incremental fetch. The partitions are fine then, and the full fetch that creates a new session
// follows at once (RemoteLeaderEndPoint.fetch).
func sessionLost(req *kmsg.FetchRequest, code protocol.ErrorCode) bool {
	return req.SessionEpoch > initialSessionEpoch &&
		(code == protocol.FetchSessionIDNotFound || code == protocol.InvalidFetchSessionEpoch)
}

// fetchRound collects the work that a round leaves to do.
type fetchRound struct {
	delayed    []TopicPartition
	outOfRange []TopicPartition
}

// apply handles the response for one partition. It has an effect only if the partition is still
// followed at the same offset in the same epoch.
func (f *fetcher) apply(id TopicPartition, ask PartitionAsk, answer *kmsg.FetchResponseTopicPartition, round *fetchRound) {
	f.mu.Lock()
	p := f.partitions[id]
	if p == nil || p.offset != ask.FetchOffset || p.epoch != ask.CurrentLeaderEpoch || p.delayed.After(f.m.now()) {
		f.mu.Unlock()
		return
	}
	f.activateLocked(p)
	var events event
	var failure error
	switch code := protocol.ErrorCode(answer.ErrorCode); code {
	case protocol.None:
		events, failure = f.applyDataLocked(p, answer)
	case protocol.OffsetOutOfRange:
		round.outOfRange = append(round.outOfRange, id)
	case protocol.FencedLeaderEpoch:
		failure = code
	default:
		f.logRefusal(p, code)
		round.delayed = append(round.delayed, id)
	}
	was := *p
	switch {
	case failure == nil && ask.MaxBytes == 0: // asked so because the disk is almost full
		round.delayed = append(round.delayed, id)
	case failure == nil:
	case errors.Is(failure, storage.ErrDiskLow), errors.Is(failure, storage.ErrTooManyFiles):
		round.delayed = append(round.delayed, id)
		failure = nil
	case errors.Is(failure, protocol.CorruptMessage) || errors.Is(failure, protocol.InvalidRecord):
		f.m.meters.rejections.count(failure)
		f.m.fetchLog.Errorf("%s Found invalid messages during fetch for partition %s offset %d: %v", f.name, id, p.offset, failure)
		round.delayed = append(round.delayed, id)
		failure = nil
	default:
		f.removeLocked(id)
	}
	f.mu.Unlock()
	p.partition.waits.wake(events)
	if failure != nil {
		f.failed(&was, failure)
	}
}

// logRefusal logs an error that the leader returned for a partition. The partition is requested
// again after the back-off time. Errors that occur at every change of leaders are logged at debug
// level.
func (f *fetcher) logRefusal(p *following, code protocol.ErrorCode) {
	log := f.m.fetchLog
	switch code {
	case protocol.UnknownLeaderEpoch:
		log.Debugf("%s Remote broker has a smaller leader epoch for partition %s than this replica's current leader epoch of %d.", f.name, p.id, p.epoch)
	case protocol.NotLeaderOrFollower:
		log.Debugf("%s Remote broker is not the leader for partition %s, which could indicate that the partition is being moved", f.name, p.id)
	case protocol.UnknownTopicOrPartition, protocol.UnknownTopicID, protocol.InconsistentTopicID:
		log.Warnf("%s Received %s from the leader for partition %s. This error may be returned transiently when the partition is being created or deleted, but it is not expected to persist.",
			f.name, code.Name(), p.id)
	default:
		log.Errorf("%s Error for partition %s at offset %d: %s", f.name, p.id, p.offset, code.Name())
	}
}

// failed records that a partition is no longer followed because of err. If the leader has a newer
// leader epoch, this is an ordinary change of leaders; the LeaderAndIsr that announces it makes the
// broker follow again.
func (f *fetcher) failed(p *following, err error) {
	switch {
	case errors.Is(err, errNotFollowing):
		return
	case errors.Is(err, protocol.FencedLeaderEpoch):
		f.m.fetchLog.Infof("%s Partition %s has an older epoch (%d) than the current leader. Will await the new LeaderAndIsr state before resuming fetching.",
			f.name, p.id, p.epoch)
	case protocol.CodeOf(err) == protocol.KafkaStorageError:
		f.m.fetchLog.Errorf("%s Error while processing data for partition %s at offset %d: %v", f.name, p.id, p.offset, err)
	default:
		f.m.fetchLog.Errorf("%s Unexpected error occurred while processing data for partition %s at offset %d: %v", f.name, p.id, p.offset, err)
	}
	f.m.fetchLog.Warnf("%s Partition %s marked as failed", f.name, p.id)
	f.fm.markFailed(p)
}

// applyDataLocked appends the records, or truncates if the leader's log diverges from this
// broker's.
func (f *fetcher) applyDataLocked(p *following, answer *kmsg.FetchResponseTopicPartition) (event, error) {
	if d := answer.DivergingEpoch; diverges(d) {
		return 0, f.truncateLocked(p, epochEnd{metadata.LeaderEpoch(d.Epoch), record.Offset(d.EndOffset)})
	}
	done, err := p.partition.appendFetched(answer.RecordBatches, p.offset, p.epoch, record.Offset(answer.HighWatermark), record.Offset(answer.LogStartOffset))
	if err != nil {
		return done.events, err
	}
	if done.nextOffset != p.offset {
		p.offset = done.nextOffset
		p.lastEpoch = done.lastEpoch
		// Partitions with data go to the end, so the limit on the response size starves none.
		p.unlink()
		f.lastLocked(p)
	}
	bytes := int64(len(answer.RecordBatches))
	f.counts.bytes.Add(bytes)
	if bytes > 0 && p.partition.followerQuotaHolds() {
		f.m.quotas.follower.record(bytes, f.m.now())
	}
	p.lag = int64(max(0, record.Offset(answer.HighWatermark)-p.offset))
	return done.events, nil
}
