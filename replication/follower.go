package replication

import (
	"errors"

	"github.com/monedula/monedula/protocol"
)

// makeFollower follows the role's leader, which is alive. It says whether the
// epoch is new: then the fetcher must start anew, even from the same leader.
func (p *Partition) makeFollower(r *role) (restart bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.partitionEpoch < p.partitionEpoch {
		p.m.stateLog.Infof("Skipped the become-follower state change for %s since the follower is already at a newer partition epoch %d.", name(p.id), p.partitionEpoch)
		return false, nil
	}
	log, err := p.m.openLog(p, r)
	if err != nil {
		return false, err
	}
	newEpoch := r.leaderEpoch > p.leaderEpoch
	if newEpoch {
		at := log.Offsets()
		p.m.stateLog.Infof("Follower %s starts at leader epoch %d from offset %d with partition epoch %d and high watermark %d. Current leader is %d. Previous leader %s and previous leader epoch was %d.",
			name(p.id), r.leaderEpoch, at.LogEnd, r.partitionEpoch, at.HighWatermark, r.leader, optionalLeader(p.leader), p.leaderEpoch)
	}
	p.log = log
	p.assignLocked(r)
	p.isr = notLeading
	p.followers = nil
	p.leader, p.leaderEpoch, p.epochStart = r.leader, max(r.leaderEpoch, p.leaderEpoch), -1
	return newEpoch, nil
}

// openOnly makes the log of a partition whose leader is not there, and changes
// nothing else: so its high watermark gets into the next checkpoint (KAFKA-1647)
// and the same request, sent again later, still applies.
func (p *Partition) openOnly(r *role) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.log != nil {
		return nil
	}
	log, err := p.m.openLog(p, r)
	p.log = log
	return err
}

// errNotFollowing: the partition is not a follower in the epoch any more; what
// the fetcher brings is dropped. An epoch has one leader, so that this broker
// leads in no epoch in which it followed.
var errNotFollowing = errors.New("the partition does not follow in this epoch any more")

// followed is what an append of fetched records did.
type followed struct {
	nextOffset int64
	lastEpoch  int32 // of the last batch appended, -1 for none
	events     event
}

// appendFetched appends what the leader of epoch sent for fetchOffset and takes
// over its high watermark and log start offset, each as far as our log goes.
// Offsets that do not continue the log are an error: the replica must not go on.
func (p *Partition) appendFetched(set []byte, fetchOffset int64, epoch int32, leaderHigh, leaderStart int64) (followed, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.log == nil || p.leaderEpoch != epoch {
		return followed{}, errNotFollowing
	}
	was := p.log.Offsets()
	if was.LogEnd != fetchOffset {
		return followed{}, protocol.Errorf(protocol.UnknownServerError,
			"Offset mismatch for partition %s: fetched offset = %d, log end offset = %d", name(p.id), fetchOffset, was.LogEnd)
	}
	f := followed{nextOffset: was.LogEnd, lastEpoch: noEpoch}
	if len(set) > 0 {
		if err := p.restartAtFirstBatch(p.log, set); err != nil {
			return f, err
		}
		info, err := p.log.AppendAsFollower(set, epoch)
		if err != nil {
			return f, err
		}
		if info.Bytes > 0 {
			f.nextOffset, f.lastEpoch = info.LastOffset+1, info.LeaderEpoch
			f.events |= logEndMoved
			p.traffic.replicationBytesIn.Add(int64(info.Bytes))
		}
	}
	if _, moved := p.log.SetHighWatermark(leaderHigh); moved {
		f.events |= highWatermarkMoved
	}
	return f, p.log.AdoptLogStart(leaderStart)
}

// truncate cuts a follower's log to offset, as its leader of epoch demands. A
// future log is cut as well before it may take over.
func (p *Partition) truncate(offset int64, epoch int32) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.log == nil || p.leaderEpoch != epoch {
		return errNotFollowing
	}
	if high := p.log.Offsets().HighWatermark; offset < high {
		p.m.fetchLog.Warnf("Truncating %s to offset %d below high watermark %d", name(p.id), offset, high)
	}
	_, err := p.log.TruncateTo(offset)
	p.waits.wake(offsetsMoved) // again: now the leader epochs are cut as well
	p.m.mover.truncated(p.id, offset)
	return err
}

// restartAt drops the follower's log: the leader of epoch has nothing of it any
// more and begins at offset.
func (p *Partition) restartAt(offset int64, epoch int32) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.log == nil || p.leaderEpoch != epoch {
		return errNotFollowing
	}
	return p.log.TruncateFullyAndStartAt(offset, offset)
}
