package replication

import (
	"errors"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/storage"
)

// makeFollower makes the partition a follower of the role's leader, which must be alive. It reports
// whether the epoch is new; if so, the fetcher must be restarted, even with the same leader.
func (p *Partition) makeFollower(r *role) (restart bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.partitionEpoch < p.partitionEpoch {
		p.m.stateLog.Infof("Skipped the become-follower state change for %s since the follower is already at a newer partition epoch %d.", p.id, p.partitionEpoch)
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
			p.id, r.leaderEpoch, at.LogEnd, r.partitionEpoch, at.HighWatermark, r.leader, leaderText(p.leader), p.leaderEpoch)
	}
	p.log = log
	p.assignLocked(r)
	p.isr = notLeading
	p.followers = nil
	p.leader, p.leaderEpoch, p.epochStart = r.leader, max(r.leaderEpoch, p.leaderEpoch), -1
	return newEpoch, nil
}

// openOnly opens the log of a partition whose leader is unavailable and changes nothing else. So
// the high watermark gets into the next checkpoint (KAFKA-1647), and the same request, sent again
// later, still applies.
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

// errNotFollowing reports that the partition no longer follows in the epoch, so the fetcher's
// records are dropped. An epoch has one leader, so this broker never leads in an epoch in which it
// followed.
var errNotFollowing = errors.New("the partition no longer follows in this epoch")

// followed is the result of an append of fetched records.
type followed struct {
	nextOffset record.Offset
	lastEpoch  metadata.LeaderEpoch // of the last batch appended, or -1
	events     event
}

// appendFetched appends the records that the leader of epoch sent for fetchOffset, and adopts the
// leader's high watermark and log start offset as far as this log goes, even if the records are
// refused with storage.ErrDiskLow. Offsets that do not continue the log are an error that stops
// following.
func (p *Partition) appendFetched(set []byte, fetchOffset record.Offset, epoch metadata.LeaderEpoch, leaderHigh, leaderStart record.Offset) (followed, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.log == nil || p.leaderEpoch != epoch {
		return followed{}, errNotFollowing
	}
	was := p.log.Offsets()
	if was.LogEnd != fetchOffset {
		return followed{}, protocol.Errorf(protocol.UnknownServerError,
			"Offset mismatch for partition %s: fetched offset = %d, log end offset = %d", p.id, fetchOffset, was.LogEnd)
	}
	f := followed{nextOffset: was.LogEnd, lastEpoch: metadata.NoLeaderEpoch}
	var refused error
	if len(set) > 0 {
		if err := p.restartAtFirstBatch(p.log, set); err != nil {
			return f, err
		}
		info, err := p.log.AppendAsFollower(set, epoch)
		switch {
		case errors.Is(err, storage.ErrDiskLow):
			refused = err
		case err != nil:
			return f, err
		}
		if info.Bytes > 0 {
			f.nextOffset, f.lastEpoch = info.LastOffset+1, info.LeaderEpoch
			f.events |= logEndMoved
			p.traffic.replicationBytesIn.Add(int64(info.Bytes))
			if p.adding.has(p.m.opts.BrokerID) {
				p.traffic.reassignmentBytesIn.Add(int64(info.Bytes))
			}
		}
	}
	if _, moved := p.log.SetHighWatermark(leaderHigh); moved {
		f.events |= highWatermarkMoved
	}
	if err := p.log.AdoptLogStart(leaderStart); err != nil {
		return f, err
	}
	return f, refused
}

// truncate truncates a follower's log to offset, as the leader of epoch requires. A future log must
// also be truncated before it may replace the log.
func (p *Partition) truncate(offset record.Offset, epoch metadata.LeaderEpoch) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.log == nil || p.leaderEpoch != epoch {
		return errNotFollowing
	}
	if high := p.log.Offsets().HighWatermark; offset < high {
		p.m.fetchLog.Warnf("Truncating %s to offset %d below high watermark %d", p.id, offset, high)
	}
	_, err := p.log.TruncateTo(offset)
	// The leader epochs are truncated now as well, and the last stable offset may be lower although the
	// high watermark is not: the marker of a transaction may be gone.
	p.waits.wake(offsetsMoved | stateChanged)
	p.m.mover.truncated(p.id, offset)
	return err
}

// restartAt drops the follower's whole log: the leader of epoch no longer has any of it, and its
// log begins at offset.
func (p *Partition) restartAt(offset record.Offset, epoch metadata.LeaderEpoch) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.log == nil || p.leaderEpoch != epoch {
		return errNotFollowing
	}
	err := p.log.TruncateFullyAndStartAt(offset, offset)
	p.waits.wake(stateChanged)
	return err
}
