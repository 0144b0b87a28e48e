package replication

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/storage"
)

// move is one partition on its way to another log directory: its future log is
// filled from the current one, as a follower's from its leader, until it has
// everything and takes the current one's place.
type move struct {
	m         *Manager
	id        TopicPartition
	partition *Partition

	// mu is held while a step changes the future log, so that ending the move waits
	// for that. Taken before Partition.mu.
	mu    sync.Mutex
	ended bool

	// marks guards what follows. It is a leaf: a mark waits for no step, which may
	// flush or copy for seconds.
	marks sync.Mutex
	// truncating: the current log may have been cut since, and the future one is
	// cut to what they have in common before more is copied.
	truncating bool
	// keep is the offset up to which a cut of the current log left it, at most
	// which the future log keeps; -1: no cut is known.
	keep    int64
	delayed time.Time // not before
}

func newMove(m *Manager, p *Partition) *move {
	return &move{m: m, id: p.id, partition: p, truncating: true, keep: -1}
}

// moveOutcome is what a step did.
type moveOutcome int8

const (
	moveOn      moveOutcome = iota // step again
	moveWaits                      // after the back-off time
	moveDone                       // the future log is the current one
	moveStopped                    // the move is over: ended by others, or by an error
)

// mark notes that the current log was cut at offset, or that its leader epoch
// is a new one (offset -1). A cut is noted with the partition's mu held, as it is
// made, so that the future log does not take over before it is cut as well; what
// the step under way still copies goes with the next one's cut to keep.
func (mv *move) mark(offset int64) {
	mv.marks.Lock()
	defer mv.marks.Unlock()
	mv.truncating = true
	if offset >= 0 && (mv.keep < 0 || offset < mv.keep) {
		mv.keep = offset
	}
	mv.delayed = time.Time{}
}

// takeMark returns and clears the mark.
func (mv *move) takeMark() (marked bool, keep int64) {
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

// end keeps the move from going on; on return no step is under way.
func (mv *move) end() {
	mv.mu.Lock()
	defer mv.mu.Unlock()
	mv.ended = true
}

// step copies one piece, or replaces the current log. buf is for the records.
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
		return moveStopped, protocol.Errorf(protocol.KafkaStorageError, "The future replica for %s is not available", name(mv.id))
	}
	if err := mv.align(current, future); err != nil {
		return moveStopped, err
	}
	if current.Offsets().LogEnd == future.Offsets().LogEnd {
		return mv.replace(future)
	}
	return mv.copy(current, future, epoch, buf)
}

// align cuts the future log to what it has in common with the current one, and
// starts it anew where that is nothing.
func (mv *move) align(current, future *storage.Log) error {
	if marked, keep := mv.takeMark(); marked {
		if err := mv.truncate(current, future, keep); err != nil {
			return err
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

// truncate compares the leader epochs, step by step (KIP-279). Where the future
// log has none, its high watermark is what is known to be common.
func (mv *move) truncate(current, future *storage.Log, keep int64) error {
	for done := false; !done; {
		at := future.Offsets()
		offset := at.HighWatermark
		if latest := future.LeaderEpoch(); latest >= 0 {
			var answer protocol.EpochEndOffset
			answer.Epoch, answer.EndOffset = current.EndOffsetForEpoch(latest)
			offset, done = truncateTo(answer, at.HighWatermark, at.LogEnd, future.EndOffsetForEpoch)
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

// copy appends the next piece of the current log to the future one. No lock of
// the partition is held meanwhile.
func (mv *move) copy(current, future *storage.Log, epoch int32, buf *[]byte) (moveOutcome, error) {
	from := future.Offsets().LogEnd
	data, err := current.Read(storage.Read{Offset: from, MaxBytes: mv.m.opts.FetchPartitionBytes, MinOneMessage: true})
	if errors.Is(err, protocol.OffsetOutOfRange) {
		return moveOn, nil // the log moved on, the next step sees how
	}
	if err != nil {
		return moveStopped, err
	}
	set, err := readAll(&data, buf)
	if err != nil {
		return moveWaits, nil // cut while it was read, or closed: the next step sees what became of it
	}
	if len(set) == 0 {
		return moveWaits, nil // nothing between here and the log end, which a cut may leave
	}
	if err := mv.partition.restartAtFirstBatch(future, set); err != nil {
		return moveStopped, err
	}
	info, err := future.AppendAsFollower(set, epoch)
	switch {
	case errors.Is(err, protocol.CorruptMessage):
		mv.m.mover.log.Errorf("Found invalid messages during fetch for partition %s offset %d: %v", name(mv.id), from, err)
		return moveWaits, nil
	case err != nil && mv.marked():
		return moveOn, nil // cut while it was read, and refilled with other batches
	case err != nil:
		return moveStopped, err
	}
	future.SetHighWatermark(data.Offsets.HighWatermark)
	if err := future.AdoptLogStart(min(data.Offsets.LogStart, future.Offsets().HighWatermark)); err != nil {
		return moveStopped, err
	}
	mv.m.quotas.moves.record(int64(info.Bytes), mv.m.now())
	if info.Bytes == 0 {
		return moveWaits, nil // of a leader epoch that this broker was not told of yet
	}
	return moveOn, nil
}

// readAll reads the run of bytes into buf and unpins it.
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

// replace puts the future log in the place of the current one, unless that has
// got new records meanwhile.
func (mv *move) replace(future *storage.Log) (moveOutcome, error) {
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
	return moveOn, nil
}

// movable returns the log that a move copies, and the leader epoch it is at.
func (p *Partition) movable() (*storage.Log, int32, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.retired != nil {
		return nil, noEpoch, p.retired
	}
	if p.log == nil {
		return nil, noEpoch, protocol.NotLeaderOrFollower
	}
	return p.log, p.leaderEpoch, nil
}

// adoptFuture replaces the log by its future one, if that has everything and the
// log was not cut since the future one was compared with it.
// Appends, truncations and reads wait meanwhile; what is being sent of the old
// log stays readable.
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
		p.waits.wake(offsetsMoved)
	}
	return done, err
}

// restartAtFirstBatch moves the start of an empty log back to the first batch,
// when that holds its log end: DeleteRecords in the middle of a batch makes
// the source send a batch that begins before its log start (KAFKA-6975).
func (p *Partition) restartAtFirstBatch(log *storage.Log, set []byte) error {
	at := log.Offsets()
	if at.LogStart != at.LogEnd {
		return nil
	}
	first, _, err := record.Next(set)
	if err != nil || first == nil {
		return err
	}
	if base := first.BaseOffset(); base < at.LogEnd && first.LastOffset() >= at.LogEnd {
		p.m.partitionLog.Infof("[Partition %s broker=%d] Unexpected offset in append to %s. First offset %d is less than log start offset %d. Since this is the first record to be appended to the follower's log, will start the log from offset %d.",
			name(p.id), p.m.opts.BrokerID, name(p.id), base, at.LogStart, base)
		return log.TruncateFullyAndStartAt(base, base)
	}
	return nil
}
