package replication

import (
	"fmt"
	"slices"
	"time"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/storage"
)

// role is the entry of one partition in a LeaderAndIsr request.
type role struct {
	topicID         TopicID
	controllerEpoch metadata.ControllerEpoch // of the decision; may be older than the request's
	leader          metadata.BrokerID
	leaderEpoch     metadata.LeaderEpoch
	partitionEpoch  metadata.PartitionEpoch
	isr             []metadata.BrokerID
	replicas        []metadata.BrokerID
	adding          []metadata.BrokerID
	removing        []metadata.BrokerID
	isNew           bool
}

// replicationFactor counts the assigned replicas without those that a reassignment adds.
func (r *role) replicationFactor() int {
	adding, n := membersOf(r.adding), 0
	for _, id := range r.replicas {
		if !adding.has(id) {
			n++
		}
	}
	return n
}

// makeLeader makes this broker the leader or, if it already leads, applies a newer state. The
// fetcher must have been stopped. It reports whether this broker did not lead before.
func (p *Partition) makeLeader(r *role, now time.Time) (became bool, err error) {
	p.mu.Lock()
	became, err = p.makeLeaderLocked(r, now)
	p.mu.Unlock()
	p.waits.wake(stateChanged) // also wakes waiters for the high watermark
	return became, err
}

func (p *Partition) makeLeaderLocked(r *role, now time.Time) (became bool, err error) {
	// An equal partition epoch passes: an AlterPartition response may have brought it before the
	// controller's request did.
	if r.partitionEpoch < p.partitionEpoch {
		p.m.stateLog.Infof("Skipped the become-leader state change for %s since the leader is already at a newer partition epoch %d.", p.id, p.partitionEpoch)
		return false, nil
	}
	log, err := p.m.openLog(p, r)
	if err != nil {
		return false, err
	}
	ledBefore := p.leadsLocked()
	newEpoch := r.leaderEpoch > p.leaderEpoch
	epochStart := p.epochStart
	if newEpoch {
		epochStart = log.Offsets().LogEnd
		// Record the epoch before anything is served under it. A follower may know a later epoch
		// than our last batch has, and must find it (KAFKA-7415).
		if err := log.AssignEpochStart(r.leaderEpoch, epochStart); err != nil {
			return false, err
		}
	}
	p.log = log
	p.assignLocked(r)
	p.isr = committedISR(r.isr)
	p.progressMu.Lock()
	defer p.progressMu.Unlock()
	p.followers = p.followersOf(r, newEpoch, ledBefore && r.leaderEpoch == p.leaderEpoch+1, epochStart, now)
	if newEpoch {
		p.m.stateLog.Infof("Leader %s with topic id %s starts at leader epoch %d from offset %d with partition epoch %d, high watermark %d, ISR %s, adding replicas %s and removing replicas %s %s. Previous leader %s and previous leader epoch was %d.",
			p.id, topicIDText(log.TopicID()), r.leaderEpoch, epochStart, r.partitionEpoch, log.Offsets().HighWatermark,
			javatext.List(r.isr), javatext.List(r.adding), javatext.List(r.removing), p.underMinISRNote(log), leaderText(p.leader), p.leaderEpoch)
	}
	p.leaderEpoch, p.epochStart = max(r.leaderEpoch, p.leaderEpoch), epochStart
	p.leader = p.m.opts.BrokerID
	if !ledBefore {
		p.term = p.m.terms.Add(1)
	}
	p.advanceLocked(now.UnixMilli())
	return !ledBefore, nil
}

// underMinISRNote returns the remark in the log line of a new leader.
func (p *Partition) underMinISRNote(log *storage.Log) string {
	if len(p.isr.committed) < effectiveMinISR(log.Config().MinInSyncReplicas, len(p.followers)+1) {
		return "(under-min-isr)"
	}
	return ""
}

func (p *Partition) assignLocked(r *role) {
	p.controllerEpoch = r.controllerEpoch
	p.partitionEpoch = r.partitionEpoch
	p.replicas, p.reassigning, p.adding = r.replicas, len(r.adding)+len(r.removing) > 0, membersOf(r.adding)
	p.replicationFactor = r.replicationFactor()
}

// followersOf returns the progress of the role's assigned replicas. again: this broker led in the
// epoch before the role's. If it missed an epoch, another broker may have led in it, and followers
// may have truncated their logs as that broker's followers, so their earlier progress is discarded.
// Kafka keeps it.
func (p *Partition) followersOf(r *role, newEpoch, again bool, epochStart record.Offset, now time.Time) followers {
	all := make(followers, 0, len(r.replicas))
	isr := membersOf(r.isr)
	for _, id := range membersOf(r.replicas) {
		if id == p.m.opts.BrokerID {
			continue
		}
		known := p.followers.of(id)
		next := progress{logStart: record.NoOffset, logEnd: record.NoOffset, brokerEpoch: -1}
		if known != nil {
			next = *known
		}
		if newEpoch {
			next = next.newEpoch(now.UnixMilli(), epochStart, again, isr.has(id))
		}
		all = append(all, follower{id, next})
	}
	return all
}

// appended is the result of a leader append.
type appended struct {
	storage.AppendInfo
	term int64 // of this broker's leadership
	// advanced: the append moved the high watermark, as it does if the leader is the only in-sync
	// replica.
	advanced bool
}

// append writes records as the leader. With acks -1 it requires min.insync.replicas before it
// writes. It wakes no waiters; the caller does so, after releasing its locks.
func (p *Partition) append(a storage.Append, acks int16, now time.Time) (appended, error) {
	p.traffic.produceRequests.Add(1)
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.retired != nil {
		return appended{}, p.retired
	}
	if !p.leadsLocked() {
		return appended{}, protocol.Errorf(protocol.NotLeaderOrFollower,
			"Leader not local for partition %s on broker %d", p.id, p.m.opts.BrokerID)
	}
	if acks == -1 && p.underMinISRLocked() {
		return appended{}, protocol.Errorf(protocol.NotEnoughReplicas,
			"The size of the current ISR %s is insufficient to satisfy the min.isr requirement of %d for partition %s",
			javatext.ImmutableSet(p.isr.committed, javatext.IntHash), p.minISRLocked(), p.id)
	}
	a.LeaderEpoch, a.VerificationRequired = p.leaderEpoch, p.m.verifying()
	info, err := p.log.AppendAsLeader(a)
	if err != nil {
		if protocol.CodeOf(err) == protocol.MessageTooLarge {
			p.traffic.bytesRejected.Add(int64(len(a.Records)))
		}
		return appended{AppendInfo: info}, err
	}
	p.traffic.messagesIn.Add(int64(info.LastOffset - info.FirstOffset + 1))
	p.traffic.bytesIn.Add(int64(info.Bytes))
	return appended{AppendInfo: info, term: p.term, advanced: p.advance(now)}, nil
}

// wakeAppended wakes the waiters for appended records.
func (p *Partition) wakeAppended(a appended) {
	events := logEndMoved
	if a.advanced {
		events |= highWatermarkMoved
	}
	p.waits.wake(events)
}

// replicated reports whether all in-sync replicas have everything below offset, which was appended
// in the given term. acks=-1 waits for this. The error is that of a term that has ended, or
// NOT_ENOUGH_REPLICAS_AFTER_APPEND if fewer than min.insync.replicas have it.
func (p *Partition) replicated(offset record.Offset, term int64) (bool, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.ledSinceLocked(term); err != nil {
		return false, err
	}
	switch {
	case p.log.Offsets().HighWatermark < offset:
		return false, nil
	case len(p.isr.maximal) < p.minISRLocked():
		return true, protocol.NotEnoughReplicasAfterAppend
	}
	return true, nil
}

// followerFetch is what a leader learns from a follower's fetch.
type followerFetch struct {
	offset      record.Offset        // its log end
	leaderEpoch metadata.LeaderEpoch // epoch in which the fetch was read
	logStart    record.Offset
	brokerEpoch int64
	leaderEnd   record.Offset // the leader's log end before the fetch was read
	presence    *presence
}

// followerFetched records a follower's position and acts on it: the follower may join the in-sync
// replicas, and the high and the low watermark may rise.
func (p *Partition) followerFetched(id metadata.BrokerID, f followerFetch, now time.Time) {
	p.mu.RLock()
	events, joins, moved := p.recordFetchLocked(id, f, now)
	if moved && !joins && p.advance(now) {
		events |= highWatermarkMoved
	}
	p.mu.RUnlock()
	if joins {
		// The follower joins before the high watermark advances. It is compared with the high
		// watermark that it knew, and from then on it holds the high watermark back.
		p.expand(id)
		p.mu.RLock()
		if moved && p.leadsLocked() && p.advance(now) {
			events |= highWatermarkMoved
		}
		p.mu.RUnlock()
	}
	p.waits.wake(events)
}

// recordFetchLocked records a follower's position. The caller must hold mu; shared is enough.
func (p *Partition) recordFetchLocked(id metadata.BrokerID, f followerFetch, now time.Time) (events event, joins, moved bool) {
	if !p.leadsLocked() || f.leaderEpoch != p.leaderEpoch {
		return 0, false, false // in another epoch the offset may denote other records
	}
	p.progressMu.Lock()
	defer p.progressMu.Unlock()
	known := p.followers.of(id)
	if known == nil {
		return 0, false, false
	}
	was := *known
	*known = was.fetched(f.offset, f.logStart, f.leaderEnd, now.UnixMilli(), f.brokerEpoch)
	known.presence = f.presence
	if known.logStart != was.logStart {
		events = lowWatermarkMoved
	}
	moved = known.logEnd != was.logEnd
	if moved && p.m.selector != nil {
		events |= followersChanged
	}
	return events, p.joinsLocked(id), moved
}

// joinsLocked reports whether a follower is to be added to the in-sync replicas now. The caller
// must hold mu (shared is enough) and progressMu.
func (p *Partition) joinsLocked(id metadata.BrokerID) bool {
	f := p.followers.of(id)
	return f != nil && !p.isr.pending() && !p.isr.inCommitted.has(id) &&
		mayJoin(f.logEnd, p.log.Offsets().HighWatermark, p.epochStart) && p.m.alive(id)
}

// expand submits a change that adds the follower to the in-sync replicas.
func (p *Partition) expand(id metadata.BrokerID) {
	p.changeISR(func() *inSync {
		if !p.joinsLocked(id) {
			return nil
		}
		p.m.partitionLog.Infof("[Partition %s broker=%d] Expanding ISR from %s to %s", p.id, p.m.opts.BrokerID,
			javatext.Join(p.isr.committed, ","), javatext.Join(append(slices.Clone(p.isr.committed), id), ","))
		return p.isr.with(id)
	})
}

// shrink submits a change that removes the followers that are not caught up from the in-sync
// replicas.
func (p *Partition) shrink(now time.Time) {
	if !p.mayShrink(now) {
		return
	}
	p.changeISR(func() *inSync {
		if p.isr.pending() {
			return nil
		}
		out := p.outOfSyncLocked(now)
		if len(out) == 0 {
			return nil
		}
		at := p.log.Offsets()
		next := p.isr.without(out)
		p.m.partitionLog.Infof("[Partition %s broker=%d] Shrinking ISR from %s to %s. Leader: (highWatermark: %d, endOffset: %d). Out of sync replicas: %s.",
			p.id, p.m.opts.BrokerID, javatext.Join(p.isr.committed, ","), javatext.Join(next.proposed, ","),
			at.HighWatermark, at.LogEnd, p.laggards(out))
		return next
	})
}

// mayShrink makes the decision of shrink with mu held shared. An append that hangs on a bad disk
// must delay neither the partitions on other disks nor, behind a waiting writer, the readers of
// this partition.
func (p *Partition) mayShrink(now time.Time) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if !p.leadsLocked() || p.isr.pending() {
		return false
	}
	p.progressMu.Lock()
	defer p.progressMu.Unlock()
	return len(p.outOfSyncLocked(now)) > 0
}

// outOfSyncLocked lists the in-sync replicas that are not caught up. The caller must hold mu
// (shared is enough) and progressMu.
func (p *Partition) outOfSyncLocked(now time.Time) []metadata.BrokerID {
	return outOfSync(p.isr.committed, p.m.opts.BrokerID, p.followers, p.log.Offsets().LogEnd, now.UnixMilli()-p.m.lagMaxMs)
}

func (p *Partition) laggards(out []metadata.BrokerID) string {
	text := ""
	for i, id := range out {
		if i > 0 {
			text += " "
		}
		end, since := record.NoOffset, int64(0)
		if f := p.followers.of(id); f != nil {
			end, since = f.logEnd, f.current().lastCaughtUpMs
		}
		text += fmt.Sprintf("(brokerId: %d, endOffset: %d, lastCaughtUpTimeMs: %d)", id, end, since)
	}
	return text
}

// changeISR calls decide, makes the returned state the pending one, and submits it. If decide
// returns nil, nothing changes. decide is called only while this broker leads, with mu held
// exclusively and progressMu held.
func (p *Partition) changeISR(decide func() *inSync) {
	p.mu.Lock()
	var next *inSync
	if p.leadsLocked() && p.m.isr != nil {
		p.progressMu.Lock()
		next = decide()
		p.progressMu.Unlock()
	}
	if next == nil {
		p.mu.Unlock()
		return
	}
	p.isr = next
	change := p.isrChangeLocked()
	p.mu.Unlock()
	p.submit(change, next)
}

func (p *Partition) isrChangeLocked() ISRChange {
	return ISRChange{
		Partition: p.id, TopicID: p.log.TopicID(), ControllerEpoch: p.controllerEpoch,
		LeaderEpoch: p.leaderEpoch, PartitionEpoch: p.partitionEpoch, ISR: p.isr.proposed,
	}
}

// submit sends the change that is pending as next. If another change of this partition is still
// queued, because a LeaderAndIsr request came in between, the result is the same as if the
// controller had not attempted the change.
func (p *Partition) submit(change ISRChange, next *inSync) {
	if !p.m.isr.Submit(change, func(a ISRAnswer) { p.isrAnswered(next, a) }) {
		p.isrAnswered(next, ISRAnswer{Err: protocol.OperationNotAttempted})
	}
}

// isrVerdict is the meaning of an answer for the pending change.
type isrVerdict int8

const (
	isrCommitted isrVerdict = iota // the controller applied it
	isrRefused                     // not applied and never will be; the committed set stays
	isrUnknown                     // stays pending until the next LeaderAndIsr request
	isrResend                      // submit it again
	isrOutdated                    // the answer does not concern the current epochs
)

// judgeISRAnswer returns the meaning of an answer to a change made in the given epochs.
func judgeISRAnswer(a ISRAnswer, leaderEpoch metadata.LeaderEpoch, partitionEpoch metadata.PartitionEpoch) isrVerdict {
	switch a.Err {
	case protocol.None:
		if a.LeaderEpoch != leaderEpoch || a.PartitionEpoch < partitionEpoch {
			return isrOutdated
		}
		return isrCommitted
	case protocol.OperationNotAttempted, protocol.IneligibleReplica:
		return isrRefused
	case protocol.UnknownTopicOrPartition, protocol.UnknownTopicID, protocol.FencedLeaderEpoch,
		protocol.InvalidUpdateVersion, protocol.InvalidRequest, protocol.NewLeaderElected:
		return isrUnknown
	default:
		return isrResend
	}
}

// resendsISR reports whether a change with the given answer is submitted again.
func resendsISR(code protocol.ErrorCode) bool {
	return judgeISRAnswer(ISRAnswer{Err: code}, 0, 0) == isrResend
}

// isrAnswered handles the answer to the change that was pending as asked. The answer is ignored if
// that state has been replaced since, by a LeaderAndIsr request or because the partition lost its
// log.
func (p *Partition) isrAnswered(asked *inSync, a ISRAnswer) {
	p.mu.Lock()
	if p.isr != asked {
		p.mu.Unlock()
		return
	}
	verdict := judgeISRAnswer(a, p.leaderEpoch, p.partitionEpoch)
	p.m.countISR(asked, verdict)
	advanced := false
	switch verdict {
	case isrCommitted:
		p.isr = committedISR(a.ISR)
		p.partitionEpoch = a.PartitionEpoch
		p.m.partitionLog.Infof("[Partition %s broker=%d] ISR updated to %s %s and version updated to %d",
			p.id, p.m.opts.BrokerID, javatext.Join(a.ISR, ","), p.underMinISRNote(p.log), p.partitionEpoch)
		// A smaller set may let the high watermark advance although no further fetch or append
		// follows (KAFKA-13091).
		advanced = p.advance(p.m.now())
	case isrRefused:
		p.isr = committedISR(asked.committed)
	}
	change := ISRChange{}
	if verdict == isrResend {
		change = p.isrChangeLocked()
	}
	p.mu.Unlock()
	events := followersChanged
	if advanced {
		events |= highWatermarkMoved
	}
	p.waits.wake(events)
	if verdict == isrResend {
		p.submit(change, asked)
	}
}

// deleteRecords raises the log start offset to offset, or to the high watermark if offset is -1. It
// returns the resulting target offset and the term of this broker's leadership.
func (p *Partition) deleteRecords(offset record.Offset) (wanted record.Offset, term int64, err error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.leaderErrorLocked(); err != nil {
		return 0, 0, err
	}
	if !p.log.Config().CleanupDelete {
		return 0, 0, protocol.PolicyViolation
	}
	high := p.log.Offsets().HighWatermark
	if offset == -1 {
		offset = high
	}
	if offset < 0 || offset > high {
		return 0, 0, protocol.OffsetOutOfRange
	}
	return offset, p.term, p.log.IncrementLogStart(offset)
}

// lowWatermark returns the lowest log start offset among the live replicas, for a request of the
// given term.
func (p *Partition) lowWatermark(term int64) (record.Offset, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.ledSinceLocked(term); err != nil {
		return 0, err
	}
	p.progressMu.Lock()
	defer p.progressMu.Unlock()
	return lowWatermark(p.log.Offsets().LogStart, p.followers, p.m.alive), nil
}

// Written is the position of a coordinator's records in a log, with the term of leadership in which
// they were appended.
type Written struct {
	First record.Offset // offset of the first record
	End   record.Offset // offset after the last record

	term int64
}

// AppendAsLeader appends a coordinator's records (offsets, transaction log, markers). With acks -1,
// AwaitReplicated waits until they are replicated. verified is the result of VerifyTransaction for
// transactional records.
func (p *Partition) AppendAsLeader(records []byte, verified *storage.Verification, acks int16) (Written, error) {
	a, err := p.append(storage.Append{Records: records, Origin: record.FromCoordinator, BatchRequired: true,
		Verified: verified}, acks, p.m.now())
	if err != nil {
		return Written{}, err
	}
	p.wakeAppended(a)
	return Written{First: a.FirstOffset, End: a.LastOffset + 1, term: a.term}, nil
}

// EndOf returns the position of a log's end in the current term of leadership, for AwaitReplicated.
func EndOf(p *Partition) (Written, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.leaderErrorLocked(); err != nil {
		return Written{}, err
	}
	end := p.log.Offsets().LogEnd
	return Written{First: end, End: end, term: p.term}, nil
}

// AwaitReplicated blocks until the records are on all in-sync replicas. The error is
// REQUEST_TIMED_OUT after timeout or if done is closed, NOT_LEADER_OR_FOLLOWER if the leadership in
// which they were appended is lost, or NOT_ENOUGH_REPLICAS_AFTER_APPEND.
func (p *Partition) AwaitReplicated(w Written, timeout time.Duration, done <-chan struct{}) error {
	var verdict error
	settled := func() bool {
		reached, err := p.replicated(w.End, w.term)
		verdict = err
		return reached || err != nil
	}
	switch {
	case settled():
		return verdict
	case timeout <= 0:
		return protocol.RequestTimedOut
	}
	waiter := p.m.waiters.get(1)
	defer p.m.waiters.put(waiter)
	waiter.watch(&p.waits, highWatermarkMoved|stateChanged)
	if p.m.meters.waits.await(parkedProduce, waiter, timeout, done, settled) != satisfied {
		return protocol.RequestTimedOut
	}
	return verdict
}
