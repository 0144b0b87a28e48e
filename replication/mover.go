package replication

import (
	"cmp"
	"context"

	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// mover moves partitions between log directories (KIP-113). It has
// num.replica.alter.log.dirs.threads workers. Each moves one partition at a time, in the order of
// their names, and ends when it has none left.
//
// mu is a leaf except for a move's marks and the lock of the table of logs. While mu is held,
// nothing waits for a step or for a lock of a partition.
type mover struct {
	m       *Manager
	log     *logrus.Entry
	threads int32

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	closed  bool
	moves   map[TopicPartition]*move
	workers map[int32]chan struct{} // by running worker, the one-slot channel that wakes it
	failed  int64                   // number of moves that ended with an error

	steps atomic.Int64 // number of pieces copied
}

func newMover(m *Manager) *mover {
	mr := &mover{m: m, log: kafkalog.For(m.cfg.Logger, "kafka.server.ReplicaAlterLogDirsThread"),
		moves: map[TopicPartition]*move{}, workers: map[int32]chan struct{}{}}
	if mr.threads = m.opts.MoveThreads; mr.threads < 1 {
		mr.threads = int32(max(1, len(m.cfg.Logs.Dirs())))
	}
	mr.ctx, mr.cancel = context.WithCancel(context.Background())
	return mr
}

// workerOf returns the worker that a partition belongs to.
func (mr *mover) workerOf(id TopicPartition) int32 { return fetcherID(id, mr.threads) }

// add begins the move of a partition. If the partition is already being moved, its logs are
// compared again, because a new leader epoch began (KAFKA-9654).
func (mr *mover) add(p *Partition) {
	mr.mu.Lock()
	defer mr.mu.Unlock()
	if mr.closed {
		return
	}
	if mv := mr.moves[p.id]; mv != nil && mv.partition == p {
		mv.mark(-1)
		mr.wakeLocked(mr.workerOf(p.id))
		return
	}
	mr.moves[p.id] = newMove(mr.m, p)
	mr.log.Infof("[ReplicaAlterLogDirsManager on broker %d] Added fetcher for partitions HashSet(%s)", mr.m.opts.BrokerID, p.id)
	worker := mr.workerOf(p.id)
	if _, working := mr.workers[worker]; !working {
		mr.workers[worker] = make(chan struct{}, 1)
		w := &moveWorker{mr: mr, id: worker}
		if begin := mr.m.cfg.Move; begin != nil {
			begin(&Mover{w})
		} else {
			mr.wg.Go(w.run)
		}
	}
	mr.wakeLocked(worker)
}

func (mr *mover) wakeLocked(worker int32) {
	select {
	case mr.workers[worker] <- struct{}{}:
	default:
	}
}

// remove ends the moves of partitions. When it returns, none of them is being copied any longer.
// Their future logs stay.
func (mr *mover) remove(ids []TopicPartition) {
	for _, id := range ids {
		mr.mu.Lock()
		mv := mr.moves[id]
		delete(mr.moves, id)
		mr.mu.Unlock()
		if mv != nil {
			mv.end()
			mr.log.Infof("[ReplicaAlterLogDirsManager on broker %d] Removed fetcher for partitions Set(%s)", mr.m.opts.BrokerID, id)
		}
	}
}

// truncated records that a follower's log was truncated to offset. The caller must hold the
// partition's mu.
func (mr *mover) truncated(id TopicPartition, offset record.Offset) {
	mr.mu.Lock()
	mv := mr.moves[id]
	mr.mu.Unlock()
	if mv != nil {
		mv.mark(offset)
	}
}

// close ends all moves; they continue after a restart.
func (mr *mover) close() {
	mr.mu.Lock()
	mr.closed = true
	mr.mu.Unlock()
	mr.cancel()
	mr.wg.Wait()
}

// moveWorker moves the partitions of a worker.
type moveWorker struct {
	mr   *mover
	id   int32
	buf  []byte
	last *move
}

// run makes steps until no move is left. Each worker runs it in a goroutine.
func (w *moveWorker) run() {
	mr := w.mr
	mr.log.Infof("[ReplicaAlterLogDirsThread-%d]: Starting", w.id)
	defer mr.log.Infof("[ReplicaAlterLogDirsThread-%d]: Stopped", w.id)
	for mr.ctx.Err() == nil {
		wakeup, left := w.step()
		switch {
		case !left:
			return
		case wakeup != nil:
			mr.pause(wakeup)
		}
	}
}

// step makes one step of a move. If no move may step now, it returns the channel that wakes the
// worker. left is false if no move is left, which ends the worker.
func (w *moveWorker) step() (wakeup <-chan struct{}, left bool) {
	mr := w.mr
	mv, wakeup, left := mr.next(w.id, w.last)
	if mv == nil || mr.m.quotas.moves.exceeded(mr.m.now()) {
		return wakeup, left
	}
	w.last = mv
	outcome, err := mv.step(&w.buf)
	mr.steps.Add(1)
	if err != nil {
		mr.countFailure(outcome)
		mr.log.Errorf("[ReplicaAlterLogDirsThread-%d]: Error while moving partition %s: %v", w.id, mv.id, err)
	}
	switch outcome {
	case moveWaits:
		mv.delay(mr.m.now().Add(mr.m.opts.FetchBackoff))
	case moveDone, moveStopped:
		mr.forget(mv, outcome == moveDone)
	}
	return nil, true
}

// countFailure counts a move that a failed step ended.
func (mr *mover) countFailure(outcome moveOutcome) {
	if outcome != moveStopped {
		return
	}
	mr.mu.Lock()
	defer mr.mu.Unlock()
	mr.failed++
}

func (mv *move) delay(until time.Time) {
	mv.marks.Lock()
	defer mv.marks.Unlock()
	if !mv.truncating { // otherwise it was marked in the meantime and must step at once
		mv.delayed = until
	}
}

// forget removes a move that is over. If the move is done and a future log exists again, add took
// the request for the new move for this one, so forget starts a new move.
func (mr *mover) forget(mv *move, done bool) {
	mr.mu.Lock()
	defer mr.mu.Unlock()
	switch {
	case mr.moves[mv.id] != mv:
	case done && mr.m.cfg.Logs.FutureLog(mv.id) != nil:
		mr.moves[mv.id] = newMove(mr.m, mv.partition)
	default:
		delete(mr.moves, mv.id)
	}
}

// next returns the move to continue: the last one if it is ready, otherwise the first by name; nil
// if none is ready. left is false if the worker has no moves left; in that case it has been
// unregistered.
func (mr *mover) next(worker int32, last *move) (next *move, wakeup <-chan struct{}, left bool) {
	mr.mu.Lock()
	defer mr.mu.Unlock()
	now := mr.m.now()
	for id, mv := range mr.moves {
		if mr.workerOf(id) != worker {
			continue
		}
		left = true
		if mv.mayStep(now) && (next == nil || next != last && (mv == last || byName(mv.id, next.id) < 0)) {
			next = mv
		}
	}
	if !left {
		delete(mr.workers, worker)
	}
	return next, mr.workers[worker], left
}

func (mv *move) mayStep(now time.Time) bool {
	mv.marks.Lock()
	defer mv.marks.Unlock()
	return !mv.delayed.After(now)
}

func byName(a, b TopicPartition) int {
	if c := strings.Compare(a.Topic, b.Topic); c != 0 {
		return c
	}
	return cmp.Compare(a.Partition, b.Partition)
}

// pause waits for the back-off time or until the worker is woken.
func (mr *mover) pause(wakeup <-chan struct{}) {
	timer := time.NewTimer(mr.m.opts.FetchBackoff)
	defer timer.Stop()
	select {
	case <-wakeup:
	case <-timer.C:
	case <-mr.ctx.Done():
	}
}

// AlterLogDir moves the partition's log to another log directory of this broker or, if the
// partition has no log yet, selects the directory in which it will be created
// (AlterReplicaLogDirs). A running move to a different directory ends. Errors are those for the
// client: LOG_DIR_NOT_FOUND for a directory that is not in log.dirs, KAFKA_STORAGE_ERROR if the
// directory or the log is offline, REPLICA_NOT_AVAILABLE if this broker has no replica (the choice
// is remembered), INVALID_TOPIC_EXCEPTION if the topic's name is too long for the name of a future
// log.
func (m *Manager) AlterLogDir(id TopicPartition, dir string) error {
	m.control.Lock()
	defer m.control.Unlock()
	err := m.alterLogDirLocked(id, dir)
	if protocol.CodeOf(err) == protocol.NotLeaderOrFollower {
		err = protocol.Errorf(protocol.ReplicaNotAvailable, "%v", err) // the code of this API from before NOT_LEADER_OR_FOLLOWER existed
	}
	if err != nil {
		m.log.Warnf("[ReplicaManager broker=%d] Unable to alter log dirs for %s: %v", m.opts.BrokerID, id, err)
	}
	return err
}

// futureNameMax is the longest name of a directory. A future log's name ends with a dot, 32 digits
// and "-future".
const futureNameMax, futureNameEnd = 255, 1 + 32 + len("-future")

// alterLogDirLocked is like AlterLogDir. The caller must hold control.
func (m *Manager) alterLogDirLocked(id TopicPartition, dir string) error {
	logs := m.cfg.Logs
	if len(id.String())+futureNameEnd > futureNameMax {
		return protocol.Errorf(protocol.InvalidTopicException, "The topic name is too long.")
	}
	if err := logs.CheckDir(dir); err != nil {
		return err
	}
	if p := m.hosted.get(id.Topic, id.Partition); p != nil {
		if p.offline() {
			return protocol.Errorf(protocol.KafkaStorageError, "Partition %s is offline", id)
		}
		if future := logs.FutureLog(id); future != nil && future.Dir() != dir {
			m.mover.remove([]TopicPartition{id})
			if err := logs.Delete(id, true); err != nil {
				return err
			}
		}
	}
	if err := logs.PreferDir(id, dir); err != nil {
		return err
	}
	p, err := m.Partition(id.Topic, id.Partition)
	if err != nil {
		return err
	}
	if _, _, err := p.movable(); err != nil {
		return protocol.Errorf(protocol.CodeOf(err), "Log for partition %s is not available on broker %d", id, m.opts.BrokerID)
	}
	future, err := logs.CreateFuture(id, dir)
	if future == nil || err != nil {
		return err
	}
	m.mover.add(p)
	return nil
}

// resumeMoves continues interrupted moves in the leader epochs that have just begun. The caller
// must hold control.
func (m *Manager) resumeMoves(entries []roleEntry) {
	for i := range entries {
		e := &entries[i]
		future := m.cfg.Logs.FutureLog(e.id)
		if future == nil || e.code != protocol.None || e.partition == nil || e.partition.Log() == nil {
			continue
		}
		if high, known := m.checkpointed(future.Dir(), e.id); known && high > future.Offsets().HighWatermark {
			future.SetHighWatermark(high)
		}
		m.mover.add(e.partition)
	}
}
