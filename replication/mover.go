package replication

import (
	"cmp"
	"context"

	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/protocol"
)

// mover moves partitions between log directories (KIP-113): workers as
// num.replica.alter.log.dirs.threads says, each with one partition at a time,
// in order of their names. A worker ends when it has none left.
//
// mu is a leaf but for a move's marks and the table of logs: no step and no lock
// of a partition is waited for with it held.
type mover struct {
	m       *Manager
	log     *logrus.Entry
	threads int32

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex // guards what follows
	closed  bool
	moves   map[TopicPartition]*move
	workers map[int32]chan struct{} // of those at work, a slot that wakes them
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

// workerOf is the worker that a partition belongs to.
func (mr *mover) workerOf(id TopicPartition) int32 { return fetcherID(id, mr.threads) }

// add begins the move of a partition, or lets one under way look anew whether
// its logs agree: a new leader epoch began (KAFKA-9654).
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
	mr.log.Infof("[ReplicaAlterLogDirsManager on broker %d] Added fetcher for partitions HashSet(%s)", mr.m.opts.BrokerID, name(p.id))
	worker := mr.workerOf(p.id)
	if _, working := mr.workers[worker]; !working {
		mr.workers[worker] = make(chan struct{}, 1)
		mr.wg.Go(func() { mr.run(worker) })
	}
	mr.wakeLocked(worker)
}

func (mr *mover) wakeLocked(worker int32) {
	select {
	case mr.workers[worker] <- struct{}{}:
	default:
	}
}

// remove ends the moves of partitions; on return nothing of theirs is being
// copied any more. Their future logs stay.
func (mr *mover) remove(ids []TopicPartition) {
	for _, id := range ids {
		mr.mu.Lock()
		mv := mr.moves[id]
		delete(mr.moves, id)
		mr.mu.Unlock()
		if mv != nil {
			mv.end()
			mr.log.Infof("[ReplicaAlterLogDirsManager on broker %d] Removed fetcher for partitions Set(%s)", mr.m.opts.BrokerID, name(id))
		}
	}
}

// truncated notes that a follower's log was cut at offset. The partition's mu is
// held.
func (mr *mover) truncated(id TopicPartition, offset int64) {
	mr.mu.Lock()
	mv := mr.moves[id]
	mr.mu.Unlock()
	if mv != nil {
		mv.mark(offset)
	}
}

// close ends all moves; they go on after a restart.
func (mr *mover) close() {
	mr.mu.Lock()
	mr.closed = true
	mr.mu.Unlock()
	mr.cancel()
	mr.wg.Wait()
}

// run is a worker: it moves its partitions until none is left.
func (mr *mover) run(worker int32) {
	mr.log.Infof("[ReplicaAlterLogDirsThread-%d]: Starting", worker)
	defer mr.log.Infof("[ReplicaAlterLogDirsThread-%d]: Stopped", worker)
	var buf []byte
	var last *move
	for mr.ctx.Err() == nil {
		mv, wakeup, left := mr.next(worker, last)
		switch {
		case !left:
			return
		case mv == nil || mr.m.quotas.moves.exceeded(mr.m.now()):
			mr.pause(wakeup)
			continue
		}
		last = mv
		outcome, err := mv.step(&buf)
		if err != nil {
			mr.log.Errorf("[ReplicaAlterLogDirsThread-%d]: Error while moving partition %s: %v", worker, name(mv.id), err)
		}
		switch outcome {
		case moveWaits:
			mv.delay(mr.m.now().Add(mr.m.opts.FetchBackoff))
		case moveDone, moveStopped:
			mr.forget(mv, outcome == moveDone)
		}
	}
}

func (mv *move) delay(until time.Time) {
	mv.marks.Lock()
	defer mv.marks.Unlock()
	if !mv.truncating { // marked meanwhile: at once
		mv.delayed = until
	}
}

// forget drops a move that is over. If it is done and there is a future log
// again, add took it for the move of that one, which begins here instead.
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

// next is the move to go on with: the last one while it is ready, else the
// first by name; nil where none is ready. left is false when the worker has
// nothing to do any more, and has been signed off.
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

// pause waits for the back-off time, or until there is something new.
func (mr *mover) pause(wakeup <-chan struct{}) {
	timer := time.NewTimer(mr.m.opts.FetchBackoff)
	defer timer.Stop()
	select {
	case <-wakeup:
	case <-timer.C:
	case <-mr.ctx.Done():
	}
}

// AlterLogDir has the partition's log moved to another log directory of this
// broker, or, where there is none yet, made there (AlterReplicaLogDirs). A move
// to elsewhere that is under way ends. The errors are those that a client gets:
// LOG_DIR_NOT_FOUND for a directory that is not in log.dirs, KAFKA_STORAGE_ERROR
// where it or the log is offline, REPLICA_NOT_AVAILABLE where this broker has no
// replica (the choice is remembered), INVALID_TOPIC_EXCEPTION for a topic whose
// name leaves no room for the future log's.
func (m *Manager) AlterLogDir(id TopicPartition, dir string) error {
	m.control.Lock()
	defer m.control.Unlock()
	err := m.alterLogDirLocked(id, dir)
	if protocol.CodeOf(err) == protocol.NotLeaderOrFollower {
		err = protocol.Errorf(protocol.ReplicaNotAvailable, "%v", err) // as before there was the other code
	}
	if err != nil {
		m.log.Warnf("[ReplicaManager broker=%d] Unable to alter log dirs for %s: %v", m.opts.BrokerID, name(id), err)
	}
	return err
}

// futureNameMax is the longest name of a directory; a future log's ends with
// a dot, 32 digits and "-future".
const futureNameMax, futureNameEnd = 255, 1 + 32 + len("-future")

// alterLogDirLocked holds control.
func (m *Manager) alterLogDirLocked(id TopicPartition, dir string) error {
	logs := m.cfg.Logs
	if len(name(id))+futureNameEnd > futureNameMax {
		return protocol.Errorf(protocol.InvalidTopicException, "The topic name is too long.")
	}
	if err := logs.CheckDir(dir); err != nil {
		return err
	}
	if p := m.hosted(id.Topic, id.Partition); p != nil {
		if p.offline() {
			return protocol.Errorf(protocol.KafkaStorageError, "Partition %s is offline", name(id))
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
		return protocol.Errorf(protocol.CodeOf(err), "Log for partition %s is not available on broker %d", name(id), m.opts.BrokerID)
	}
	future, err := logs.CreateFuture(id, dir)
	if future == nil || err != nil {
		return err
	}
	m.mover.add(p)
	return nil
}

// resumeMoves goes on with moves that were under way, in the leader epochs now
// begun. control is held.
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
