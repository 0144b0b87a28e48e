package storage

import (
	"fmt"
	"math"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// AppendInfo describes the result of an append.
type AppendInfo struct {
	FirstOffset    record.Offset // -1 if nothing was appended (an empty set)
	LastOffset     record.Offset // FirstOffset-1 if nothing was appended
	MaxTimestamp   int64
	LogAppendTime  int64 // -1 for CreateTime
	LogStartOffset record.Offset
	LeaderEpoch    metadata.LeaderEpoch // of the last batch
	Records        int                  // 0 for a follower's append, which does not count the records
	Bytes          int
	Converted      int           // records whose format was converted
	ConversionTime time.Duration // it took
	Duplicate      bool          // an idempotent batch that is already in the log; the offsets are the original's

	flushDue bool // flush.messages is reached
}

// Append is one leader append.
type Append struct {
	Records     []byte // one or more entries; stamped in place, owned by the log until the call returns
	LeaderEpoch metadata.LeaderEpoch
	Origin      record.Origin
	// BatchRequired: an empty or incomplete set fails with INVALID_RECORD (Produce v3+). Otherwise
	// it appends nothing.
	BatchRequired bool
	// VerificationRequired: transactional records outside an open transaction of this log fail with
	// INVALID_TXN_STATE, unless Verified is the producer's pending verification (KIP-890).
	VerificationRequired bool
	Verified             *Verification
}

// AppendAsLeader checks, stamps and appends a client's or coordinator's records. A duplicate of an
// idempotent batch is not an error. An error may wrap ErrDiskLow. After a failed write the log
// accepts no further append before a restart (KAFKA-10778).
func (l *Log) AppendAsLeader(a Append) (AppendInfo, error) {
	w := newAppender(l, a)
	if err := l.ready(); err != nil {
		return w.info, err
	}
	checked, err := record.CheckAppend(a.Records, record.Check{
		Origin: a.Origin, TopicPartition: l.name, MaxBatchSize: int(w.config.topic.MaxMessageBytes), LeaderEpoch: a.LeaderEpoch})
	if err != nil {
		return w.info, err
	}
	if checked.ValidBytes == 0 {
		w.info.LogStartOffset = l.Offsets().LogStart
		if a.BatchRequired {
			err = protocol.Errorf(protocol.InvalidRecord, "Produce requests must have at least one record batch per partition")
		}
		return w.info, err
	}
	if err := l.dir.reserve(a.Origin, checked.ValidBytes); err != nil {
		return w.info, err
	}
	if err := w.asLeader(checked); err != nil {
		return w.info, err
	}
	return w.info, w.flushIfDue()
}

// AppendAsFollower appends the leader's bytes unchanged. Batches whose leader epoch is above
// leaderEpoch, the epoch the fetch was made in, are dropped together with all that follow
// (KAFKA-18723). A first offset below the log end is an error (UNKNOWN_SERVER_ERROR with a
// message), and the replica must stop fetching. An error may wrap ErrDiskLow. The returned offsets
// are those of the batches that were appended.
func (l *Log) AppendAsFollower(set []byte, leaderEpoch metadata.LeaderEpoch) (AppendInfo, error) {
	w := newAppender(l, Append{Records: set, Origin: record.FromReplication, LeaderEpoch: metadata.NoLeaderEpoch})
	if err := l.ready(); err != nil {
		return w.info, err
	}
	checked, err := record.CheckAppend(set, record.Check{
		Origin: record.FromReplication, TopicPartition: l.name, LeaderEpoch: leaderEpoch, RequireMonotonic: true})
	if err != nil {
		return w.info, err
	}
	if checked.SkippedBatches > 0 {
		l.log().Infof("Skipping %d batches in append to %s because their partition leader epoch is higher than the replica's current leader epoch %d",
			checked.SkippedBatches, l.name, leaderEpoch)
	}
	if checked.ValidBytes == 0 {
		w.info.LogStartOffset = l.Offsets().LogStart
		return w.info, nil
	}
	if err := l.dir.reserve(record.FromReplication, checked.ValidBytes); err != nil {
		return w.info, err
	}
	if err := w.asFollower(checked); err != nil {
		return w.info, err
	}
	return w.info, w.flushIfDue()
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

// appender is one append to a log.
type appender struct {
	l      *Log
	a      Append
	config *logConfig
	info   AppendInfo
	set    []byte // the whole batches, with their final offsets
	// oldFormat is set if the true first offset is inside a v0 or v1 wrapper.
	oldFormat bool
}

func newAppender(l *Log, a Append) appender {
	return appender{l: l, a: a, config: l.config.Load(), info: AppendInfo{FirstOffset: -1, LastOffset: -2,
		MaxTimestamp: record.NoTimestamp, LogAppendTime: record.NoTimestamp, LeaderEpoch: a.LeaderEpoch}}
}

// asLeader validates the records, assigns their offsets and appends them.
func (w *appender) asLeader(checked record.Checked) error {
	w.l.mu.Lock()
	defer w.l.mu.Unlock()
	if err := w.validate(checked); err != nil {
		return err
	}
	return w.l.ioError(appending, w.append())
}

// validate checks the records and assigns their offsets. The caller must hold the log's mu.
func (w *appender) validate(checked record.Checked) error {
	l, a := w.l, &w.a
	if err := l.check(); err != nil {
		return err
	}
	t := w.config.target
	t.TopicPartition, t.Origin, t.LeaderEpoch, t.ZstdAllowed = l.name, a.Origin, a.LeaderEpoch, l.env.zstdAllowed
	t.FirstOffset, t.NowMs = l.Offsets().LogEnd, l.env.now()
	valid, err := record.ValidateAndAssign(a.Records, checked, t)
	if err != nil {
		return err
	}
	w.set, w.oldFormat = valid.Bytes, checked.FirstOffset == record.NoOffset
	w.info.FirstOffset, w.info.LastOffset = t.FirstOffset, valid.LastOffset
	w.info.MaxTimestamp, w.info.LogAppendTime = valid.MaxTimestamp, valid.LogAppendTime
	w.info.Records, w.info.Converted, w.info.Bytes = valid.Records, valid.Converted, len(valid.Bytes)
	w.info.ConversionTime = valid.ConversionTime
	return nil
}

// asFollower appends the records, which must begin at or above the log end.
func (w *appender) asFollower(checked record.Checked) error {
	l, info := w.l, &w.info
	w.set, w.oldFormat = w.a.Records[:checked.ValidBytes], checked.FirstOffset == record.NoOffset
	info.FirstOffset, info.LastOffset = checked.FirstOrLastOffsetOfFirstBatch(), checked.LastOffset
	info.MaxTimestamp, info.LeaderEpoch, info.Bytes = checked.MaxTimestamp, checked.LastLeaderEpoch, checked.ValidBytes
	l.mu.Lock()
	defer l.mu.Unlock()
	end := l.Offsets()
	if info.FirstOffset < end.LogEnd {
		which := "First offset"
		if w.oldFormat {
			which = "Last offset of the first batch"
		}
		return protocol.Errorf(protocol.UnknownServerError,
			"Unexpected offset in append to %s. %s %d is less than the next offset %d. First offset in append: %d, last offset in append: %d. Log start offset = %d",
			l.name, which, info.FirstOffset, end.LogEnd, record.Batch(w.set).BaseOffset(), info.LastOffset, end.LogStart)
	}
	if err := l.check(); err != nil {
		return err
	}
	return l.ioError(appending, w.append())
}

const appending = "Error while appending records to %s in dir %s"

// append puts the batches at the end of the log: it assigns epochs, rolls, checks producers, writes
// the batches and indexes, and updates the producer state. The caller must hold the log's mu.
func (w *appender) append() error {
	l, info, c := w.l, &w.info, w.config.topic
	if err := w.assignEpochs(); err != nil {
		return err
	}
	if len(w.set) > int(c.SegmentBytes) {
		return protocol.Errorf(protocol.RecordListTooLarge,
			"Message batch size is %d bytes in append to partition %s, which exceeds the maximum configured segment size of %d.", len(w.set), l.name, c.SegmentBytes)
	}
	active, err := w.maybeRoll()
	if err != nil {
		return err
	}
	if l.update == nil {
		l.update = new(producerAppend)
	}
	l.update.begin(l.producers, w.a.Origin)
	duplicate, found, err := l.update.addAll(w.set, &w.a)
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
		if err := active.append(w.set, c); err != nil {
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
func (w *appender) assignEpochs() error {
	epochs := w.l.epochs
	for b, err := range record.Batches(w.set) {
		if err != nil {
			return err
		}
		if b.Magic() >= 2 {
			if e := b.PartitionLeaderEpoch(); e >= 0 {
				epochs.assignUnsynced(e, b.BaseOffset())
			}
		} else if epochs.latestEpoch() >= 0 {
			w.l.log().Warnf("Clearing leader epoch cache after unexpected append with message format v%d", b.Magic())
			epochs.clearUnsynced()
		}
	}
	return nil
}

// maybeRoll returns the segment to append to: the active one, or a new one.
func (w *appender) maybeRoll() (*segment, error) {
	l, info := w.l, &w.info
	active := l.positions.active()
	roll, err := active.mustRoll(w.config.topic, rollReason{bytes: int64(len(w.set)), maxTimestamp: info.MaxTimestamp, lastOffset: info.LastOffset, now: l.env.now()})
	if err != nil || !roll {
		return active, err
	}
	expected := info.FirstOffset
	if w.oldFormat {
		// This is never above the true first offset.
		expected = info.LastOffset - math.MaxInt32
	}
	if err := l.rollLocked(expected, info.LastOffset); err != nil {
		return nil, err
	}
	return l.positions.active(), nil
}

// flushIfDue flushes the log before the append is answered if at least flush.messages offsets are
// not durable.
func (w *appender) flushIfDue() error {
	if !w.info.flushDue {
		return nil
	}
	return w.l.Flush()
}
