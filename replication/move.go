package replication

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/storage"
)

// move is the move of one partition to another log directory. Its future log is filled from the
// current log, as a follower's from its leader's, until it has everything and replaces the current
// log.
type move struct {
	m         *Manager
	id        TopicPartition
	partition *Partition

	// mu is held while a step changes the future log, so that ending the move waits for the step.
	// It is taken before Partition.mu.
	mu    sync.Mutex
	ended bool

	// marks guards the fields below. It is a leaf: marking does not wait for a step, which may
	// flush or copy for seconds.
	marks sync.Mutex
	// truncating: the current log may have been truncated, so the future log must be truncated to
	// the common part before more is copied.
	truncating bool
	// keep is the offset to which the current log was truncated; the future log keeps at most that
	// much. -1: no truncation is known.
	keep    record.Offset
	delayed time.Time // no step before this time
}

func newMove(m *Manager, p *Partition) *move {
	return &move{m: m, id: p.id, partition: p, truncating: true, keep: -1}
}

// moveOutcome is the result of a step.
type moveOutcome int8

const (
	moveContinues moveOutcome = iota // step again
	moveWaits                        // step again after the back-off time
	moveDone                         // the future log is the current log
	moveStopped                      // the move ended: it was removed or failed
)

// mark records that the current log was truncated to offset, or that its leader epoch is new
// (offset -1). A truncation is recorded with the partition's mu held, as it is made, so the future
// log does not replace the current log before it is truncated as well. What the current step still
// copies is removed when the next step truncates to keep.
func (mv *move) mark(offset record.Offset) {
	mv.marks.Lock()
	defer mv.marks.Unlock()
	mv.truncating = true
	if offset >= 0 && (mv.keep < 0 || offset < mv.keep) {
		mv.keep = offset
	}
	mv.delayed = time.Time{}
}

// takeMark returns and clears the mark.
func (mv *move) takeMark() (marked bool, keep record.Offset) {
	mv.marks.Lock()
	defer mv.marks.Unlock()
	marked, keep = mv.truncating, mv.keep
	mv.truncating, mv.keep = false, -1
	return marked, keep
}

func (mv *move) marked() bool {
	mv.marks.Lock()
	defer mv.marks.Unlock()
	return mv.truncating
}

// end stops the move. When it returns, no step is running.
func (mv *move) end() {
	mv.mu.Lock()
	defer mv.mu.Unlock()
	mv.ended = true
}

// step copies one piece, or replaces the current log. buf is the buffer for records.
func (mv *move) step(buf *[]byte) (moveOutcome, error) {
	mv.mu.Lock()
	defer mv.mu.Unlock()
	if mv.ended {
		return moveStopped, nil
	}
	current, epoch, err := mv.partition.movable()
	if err != nil {
		return moveStopped, err
	}
	future := mv.m.cfg.Logs.FutureLog(mv.id)
	if future == nil {
		return moveStopped, protocol.Errorf(protocol.KafkaStorageError, "The future replica for %s is not available", mv.id)
	}
	if err := mv.align(current, future); err != nil {
		return moveStopped, err
	}
	if current.Offsets().LogEnd == future.Offsets().LogEnd {
		return mv.replace(future)
	}
	return mv.copy(current, future, epoch, buf)
}

// align truncates the future log to the part that it shares with the current log, and restarts it
// if there is none, or if the current log was cleaned while the future log was away. It fails if the future log is of a topic that was deleted and created again.
func (mv *move) align(current, future *storage.Log) error {
	if marked, keep := mv.takeMark(); marked {
		if err := future.AssignTopicID(current.TopicID()); err != nil { // a crash may have lost the future log's
			return err
		}
		if err := mv.truncate(current, future, keep); err != nil {
			return err
		}
		if same, err := current.BeginsWith(future); err != nil {
			return err
		} else if !same {
			mv.m.mover.log.Infof("Copying %s again from its start, because the log has been cleaned since the move began", mv.id)
			start := current.Offsets().LogStart
			return future.TruncateFullyAndStartAt(start, start)
		}
	}
	at, end := current.Offsets(), future.Offsets().LogEnd
	switch {
	case end > at.LogEnd:
		_, err := future.TruncateTo(at.LogEnd)
		return err
	case end < at.LogStart:
		return future.TruncateFullyAndStartAt(at.LogStart, at.LogStart)
	}
	return nil
}

// truncate compares the leader epochs step by step (KIP-279). If the future log has none, the part
// below its high watermark is known to be common.
func (mv *move) truncate(current, future *storage.Log, keep record.Offset) error {
	for done := false; !done; {
		at := future.Offsets()
		offset := at.HighWatermark
		if latest := future.LeaderEpoch(); latest >= 0 {
			epoch, end := current.EndOffsetForEpoch(latest)
			offset, done = truncateTo(epochEnd{epoch, end}, at.HighWatermark, at.LogEnd, future.EndOffsetForEpoch)
		} else {
			done = true
		}
		if keep >= 0 {
			offset = min(offset, keep)
		}
		if _, err := future.TruncateTo(offset); err != nil {
			return err
		}
	}
	return nil
}

// copy appends the next piece of the current log to the future log, without holding a lock of the
// partition.
func (mv *move) copy(current, future *storage.Log, epoch metadata.LeaderEpoch, buf *[]byte) (moveOutcome, error) {
	if !future.HasSpaceFor(record.FromClient) {
		return moveWaits, nil // the other partitions of the directory need the space
	}
	from := future.Offsets().LogEnd
	data, err := current.Read(storage.Read{Offset: from, MaxBytes: mv.m.opts.FetchPartitionBytes, MinOneMessage: true})
	if errors.Is(err, protocol.OffsetOutOfRange) {
		return moveContinues, nil // the log changed; the next step handles that
	}
	if err != nil {
		return moveStopped, err
	}
	set, err := readAll(&data, buf)
	if err != nil {
		return moveWaits, nil // truncated or closed during the read; the next step handles that
	}
	if len(set) == 0 {
		return moveWaits, nil // no data up to the log end, which a truncation may leave
	}
	if err := mv.partition.restartAtFirstBatch(future, set); err != nil {
		return moveStopped, err
	}
	info, err := future.AppendAsFollower(set, epoch)
	switch {
	case errors.Is(err, protocol.CorruptMessage):
		mv.m.mover.log.Errorf("Found invalid messages during fetch for partition %s offset %d: %v", mv.id, from, err)
		return moveWaits, nil
	case errors.Is(err, storage.ErrDiskLow):
		return moveWaits, nil
	case err != nil && mv.marked():
		return moveContinues, nil // truncated during the read and filled with other batches
	case err != nil:
		return moveStopped, err
	}
	future.SetHighWatermark(data.Offsets.HighWatermark)
	if err := future.AdoptLogStart(min(data.Offsets.LogStart, future.Offsets().HighWatermark)); err != nil {
		return moveStopped, err
	}
	mv.m.quotas.moves.record(int64(info.Bytes), mv.m.now())
	if info.Bytes == 0 {
		return moveWaits, nil // of a leader epoch that this broker does not know yet
	}
	return moveContinues, nil
}

// readAll reads the data into buf and unpins it.
func readAll(data *storage.Data, buf *[]byte) ([]byte, error) {
	defer data.Release()
	if data.Length == 0 {
		return nil, nil
	}
	if cap(*buf) < int(data.Length) {
		*buf = make([]byte, data.Length)
	}
	set := (*buf)[:data.Length]
	n, err := data.File.ReadAt(set, data.Position)
	if n < len(set) {
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return set, nil
}

// copyEpochs gives the future log the leader epochs of the log, unless the log was truncated since
// the two were compared.
func (mv *move) copyEpochs() bool {
	mv.partition.mu.RLock()
	defer mv.partition.mu.RUnlock()
	if mv.marked() {
		return false
	}
	mv.m.cfg.Logs.CopyEpochs(mv.id)
	return true
}

// replace replaces the current log with the future log, unless the current log has received new
// records in the meantime.
func (mv *move) replace(future *storage.Log) (moveOutcome, error) {
	if !mv.copyEpochs() {
		return moveContinues, nil
	}
	if err := mv.m.cfg.Logs.SettleFuture(mv.id); err != nil {
		return moveStopped, err
	}
	done, err := mv.partition.adoptFuture(future, mv.marked)
	switch {
	case done:
		mv.ended = true
		return moveDone, errors.Join(err, mv.m.cfg.Logs.SettleMove(mv.id))
	case err != nil:
		return moveStopped, err
	}
	return moveContinues, nil
}

// movable returns the log that a move copies, and its leader epoch.
func (p *Partition) movable() (*storage.Log, metadata.LeaderEpoch, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.retired != nil {
		return nil, metadata.NoLeaderEpoch, p.retired
	}
	if p.log == nil {
		return nil, metadata.NoLeaderEpoch, protocol.NotLeaderOrFollower
	}
	return p.log, p.leaderEpoch, nil
}

// adoptFuture replaces the log by its future log, if that has everything and the log was not
// truncated since the two were compared. Appends, truncations and reads wait while it runs. Data of
// the old log that is being sent stays readable.
func (p *Partition) adoptFuture(future *storage.Log, cut func() bool) (done bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.retired != nil {
		return false, p.retired
	}
	if cut() {
		return false, nil
	}
	if done, err = p.m.cfg.Logs.ReplaceWithFuture(p.id); done {
		p.observe(future)
		p.log = future
		p.waits.wake(offsetsMoved | stateChanged) // the last stable offset may be lower, as after a truncation
	}
	return done, err
}

// restartAtFirstBatch moves the start of an empty log back to the start of the first batch, if that
// batch contains the log end. After DeleteRecords in the middle of a batch, the source sends a
// batch that begins before its log start (KAFKA-6975).
func (p *Partition) restartAtFirstBatch(log *storage.Log, set []byte) error {
	at := log.Offsets()
	if at.LogStart != at.LogEnd {
		return nil
	}
	first, err := record.First(set)
	if err != nil || first == nil {
		return err
	}
	if base := first.BaseOffset(); base < at.LogEnd && first.LastOffset() >= at.LogEnd {
		p.m.partitionLog.Infof("[Partition %s broker=%d] Unexpected offset in append to %s. First offset %d is less than log start offset %d. Since this is the first record to be appended to the follower's log, will start the log from offset %d.",
			p.id, p.m.opts.BrokerID, p.id, base, at.LogStart, base)
		return log.TruncateFullyAndStartAt(base, base)
	}
	return nil
}
