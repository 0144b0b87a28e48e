package storage

import (
	"fmt"
	"math"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

// AppendInfo describes the result of an append.
type AppendInfo struct {
	FirstOffset    int64 // -1 if nothing was appended (an empty set)
	LastOffset     int64 // FirstOffset-1 if nothing was appended
	MaxTimestamp   int64
	LogAppendTime  int64 // -1 for CreateTime
	LogStartOffset int64
	LeaderEpoch    int32 // of the last batch
	Records        int   // 0 for a follower's append, which does not count the records
	Bytes          int
	Converted      int  // records whose format was converted
	Duplicate      bool // an idempotent batch that is already in the log; the offsets are the original's

	flushDue bool // flush.messages is reached
}

// Append is one leader append.
type Append struct {
	Records     []byte // one or more entries; stamped in place, owned by the log until the call returns
	LeaderEpoch int32
	Origin      record.Origin
	ZstdAllowed bool
	// BatchRequired makes an empty or incomplete set INVALID_RECORD (Produce v3+) instead of a
	// no-op.
	BatchRequired bool
	// VerificationRequired makes transactional records that do not belong to an open transaction of
	// this log INVALID_TXN_STATE, unless Verified is the producer's pending verification (KIP-890).
	VerificationRequired bool
	Verified             *Verification
}

// AppendAsLeader checks, stamps and appends a client's or coordinator's records. A duplicate of an
// idempotent batch is not an error. After a failed write the log accepts no further append before a
// restart (KAFKA-10778).
func (l *Log) AppendAsLeader(a Append) (AppendInfo, error) {
	info := AppendInfo{FirstOffset: -1, LastOffset: -2, MaxTimestamp: record.NoTimestamp, LogAppendTime: record.NoTimestamp, LeaderEpoch: a.LeaderEpoch}
	if err := l.ready(); err != nil {
		return info, err
	}
	config := l.config.Load()
	checked, err := record.CheckAppend(a.Records, record.Check{
		Origin: a.Origin, TopicPartition: l.name, MaxBatchSize: int(config.topic.MaxMessageBytes), LeaderEpoch: a.LeaderEpoch})
	if err != nil {
		return info, err
	}
	if checked.ValidBytes == 0 {
		info.LogStartOffset = l.Offsets().LogStart
		if a.BatchRequired {
			err = protocol.Errorf(protocol.InvalidRecord, "Produce requests must have at least one record batch per partition")
		}
		return info, err
	}
	if err := l.appendValidated(&a, &checked, config, &info); err != nil {
		return info, err
	}
	return info, l.flushIfDue(&info)
}

func (l *Log) appendValidated(a *Append, checked *record.Checked, config *logConfig, info *AppendInfo) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	set, err := l.validate(a, checked, config, info)
	if err != nil {
		return err
	}
	return l.ioError(appending, l.appendLocked(set, info, checked.FirstOffset == record.NoOffset, a, config.topic))
}

// flushIfDue flushes the log before an append is answered if at least flush.messages offsets are
// not durable.
func (l *Log) flushIfDue(info *AppendInfo) error {
	if !info.flushDue {
		return nil
	}
	return l.Flush()
}

// ready returns nil if the log may be appended to. It writes the topic id to disk, so that no
// record precedes it, and makes the name of a log that has replaced another one durable.
func (l *Log) ready() error {
	if err := l.check(); err != nil {
		return err
	}
	if err := l.settleMove(); err != nil {
		return err
	}
	return l.topicID.flush()
}

// validate checks the records and assigns their offsets. The caller must hold mu.
func (l *Log) validate(a *Append, checked *record.Checked, config *logConfig, info *AppendInfo) ([]byte, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	t := config.target
	t.TopicPartition, t.Origin, t.LeaderEpoch, t.ZstdAllowed = l.name, a.Origin, a.LeaderEpoch, a.ZstdAllowed
	t.FirstOffset, t.NowMs = l.Offsets().LogEnd, l.env.now()
	valid, err := record.ValidateAndAssign(a.Records, *checked, t)
	if err != nil {
		return nil, err
	}
	info.FirstOffset, info.LastOffset = t.FirstOffset, valid.LastOffset
	info.MaxTimestamp, info.LogAppendTime = valid.MaxTimestamp, valid.LogAppendTime
	info.Records, info.Converted, info.Bytes = valid.Records, valid.Converted, len(valid.Bytes)
	return valid.Bytes, nil
}

// AppendAsFollower appends the leader's bytes unchanged. Batches whose leader epoch is above
// leaderEpoch, the epoch the fetch was made in, are dropped together with all that follow
// (KAFKA-18723). A first offset below the log end is an error (UNKNOWN_SERVER_ERROR with a
// message), and the replica must stop fetching. The returned offsets are those of the batches that
// were appended.
func (l *Log) AppendAsFollower(set []byte, leaderEpoch int32) (AppendInfo, error) {
	info := AppendInfo{FirstOffset: -1, LastOffset: -2, MaxTimestamp: record.NoTimestamp, LogAppendTime: record.NoTimestamp, LeaderEpoch: record.NoLeaderEpoch}
	if err := l.ready(); err != nil {
		return info, err
	}
	checked, err := record.CheckAppend(set, record.Check{
		Origin: record.FromReplication, TopicPartition: l.name, LeaderEpoch: leaderEpoch, RequireMonotonic: true})
	if err != nil {
		return info, err
	}
	if checked.SkippedBatches > 0 {
		l.log().Infof("Skipping %d batches in append to %s because their partition leader epoch is higher than the replica's current leader epoch %d",
			checked.SkippedBatches, l.name, leaderEpoch)
	}
	if checked.ValidBytes == 0 {
		info.LogStartOffset = l.Offsets().LogStart
		return info, nil
	}
	info = AppendInfo{FirstOffset: checked.FirstOrLastOffsetOfFirstBatch(), LastOffset: checked.LastOffset, MaxTimestamp: checked.MaxTimestamp,
		LogAppendTime: record.NoTimestamp, LeaderEpoch: checked.LastLeaderEpoch, Bytes: checked.ValidBytes}
	if err := l.appendReplicated(set[:checked.ValidBytes], &checked, &info); err != nil {
		return info, err
	}
	return info, l.flushIfDue(&info)
}

func (l *Log) appendReplicated(set []byte, checked *record.Checked, info *AppendInfo) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	end := l.Offsets()
	if info.FirstOffset < end.LogEnd {
		which := "First offset"
		if checked.FirstOffset == record.NoOffset {
			which = "Last offset of the first batch"
		}
		return protocol.Errorf(protocol.UnknownServerError,
			"Unexpected offset in append to %s. %s %d is less than the next offset %d. First offset in append: %d, last offset in append: %d. Log start offset = %d",
			l.name, which, info.FirstOffset, end.LogEnd, record.Batch(set).BaseOffset(), info.LastOffset, end.LogStart)
	}
	if err := l.check(); err != nil {
		return err
	}
	return l.ioError(appending, l.appendLocked(set, info, checked.FirstOffset == record.NoOffset, &Append{Origin: record.FromReplication}, l.Config()))
}

const appending = "Error while appending records to %s in dir %s"

// appendLocked puts batches with their final offsets at the end of the log: it assigns epochs,
// rolls, checks producers, writes the batches and indexes, and updates the producer state.
// oldFormat reports whether the true first offset is inside a v0 or v1 wrapper. Only the rules of a
// are used, not its records. The caller must hold mu.
func (l *Log) appendLocked(set []byte, info *AppendInfo, oldFormat bool, a *Append, c *settings.Topic) error {
	if err := l.assignEpochs(set); err != nil {
		return err
	}
	if len(set) > int(c.SegmentBytes) {
		return protocol.Errorf(protocol.RecordListTooLarge,
			"Message batch size is %d bytes in append to partition %s, which exceeds the maximum configured segment size of %d.", len(set), l.name, c.SegmentBytes)
	}
	active, err := l.maybeRoll(len(set), info, oldFormat, c)
	if err != nil {
		return err
	}
	if l.update == nil {
		l.update = new(producerAppend)
	}
	l.update.begin(l.producers, a.Origin)
	duplicate, found, err := l.update.addAll(set, a)
	if err != nil {
		return err
	}
	info.LogStartOffset = l.Offsets().LogStart
	if found {
		info.FirstOffset, info.LastOffset = duplicate.firstOffset(), duplicate.lastOffset
		info.LogAppendTime = duplicate.timestamp
		info.Duplicate = true
		info.flushDue = l.positions.unflushed() >= c.FlushMessages // the original may not be durable yet
		return nil
	}
	if err := active.activate(c); err != nil {
		return err
	}
	if info.LastOffset-active.base > math.MaxInt32 {
		return fmt.Errorf("%w: a set that ends at %d in %v", errIndexOverflow, info.LastOffset, active)
	}
	txns, err := l.update.openTxns(active)
	if err != nil {
		return err
	}
	if txns != nil {
		defer txns.release()
	}
	return l.change(appending, func() error {
		if err := active.append(set, c); err != nil {
			return err
		}
		if err := l.update.apply(active, info.LastOffset+1); err != nil {
			return err
		}
		unstable, _ := l.producers.firstUnstable()
		info.flushDue = l.positions.publish(info.LastOffset+1, active.size.Load(), unstable) >= c.FlushMessages
		return nil
	})
}

// assignEpochs records where new leader epochs begin. A batch of an old format has no epoch;
// replicas can then truncate only to the high watermark, so the known epochs are dropped.
func (l *Log) assignEpochs(set []byte) error {
	for b, err := range record.Batches(set) {
		if err != nil {
			return err
		}
		if b.Magic() >= 2 {
			if e := b.PartitionLeaderEpoch(); e >= 0 {
				l.epochs.assignUnsynced(e, b.BaseOffset())
			}
		} else if l.epochs.latestEpoch() >= 0 {
			l.log().Warnf("Clearing leader epoch cache after unexpected append with message format v%d", b.Magic())
			l.epochs.clearUnsynced()
		}
	}
	return nil
}

// maybeRoll returns the segment to append to: the active one, or a new one.
func (l *Log) maybeRoll(bytes int, info *AppendInfo, oldFormat bool, c *settings.Topic) (*segment, error) {
	active := l.positions.active()
	roll, err := active.mustRoll(c, rollReason{bytes: int64(bytes), maxTimestamp: info.MaxTimestamp, lastOffset: info.LastOffset, now: l.env.now()})
	if err != nil || !roll {
		return active, err
	}
	expected := info.FirstOffset
	if oldFormat {
		// This is never above the true first offset.
		expected = info.LastOffset - math.MaxInt32
	}
	if err := l.rollLocked(expected, info.LastOffset); err != nil {
		return nil, err
	}
	return l.positions.active(), nil
}
