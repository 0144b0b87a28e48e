package storage

import (
	"slices"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/record"
)

// Producers returns the active producers, sorted by id.
func (l *Log) Producers() []ProducerStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.producers.producers()
}

// ProducerCounts returns the number of producers whose state the log keeps, and the last timestamp
// in ms of the producer with the oldest open transaction, -1 if no transaction is open.
func (l *Log) ProducerCounts() (producers int, oldestOpen int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.producers.entries), l.producers.oldestTxnTimestamp()
}

// ExpireProducers drops the state of producers that have been silent for producer.id.expiration.ms.
func (l *Log) ExpireProducers() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.producers.expire(l.env.now())
}

// rebuildProducers rebuilds the producer state up to offset upTo after a truncation. The caller
// must hold mu.
func (l *Log) rebuildProducers(logStart, upTo record.Offset) error {
	v := l.positions.load()
	r := stateRebuild{state: l.producers, segments: v.segments, logStart: logStart, upTo: upTo,
		magic: l.Config().Magic, env: l.env, log: l.log()}
	return r.run()
}

// settleSnapshots ensures that no recovery begins with a producer snapshot below base, the base of the
// segment after those that a cleaning replaces: it would replay cleaned segments, and a transaction
// that was open at the snapshot would stay open if its marker has been removed. It makes the snapshot at
// base durable, or removes all earlier ones if there is none.
func (l *Log) settleSnapshots(base record.Offset) error {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	l.mu.Lock()
	snapshot, err := l.producers.settleSnapshots(base)
	l.mu.Unlock()
	if err == nil && snapshot != "" {
		err = l.syncFile(snapshot)
	}
	if err != nil {
		return err
	}
	return l.names.settle(func() error { return l.env.fs.SyncDir(l.Path()) })
}

// stateRebuild makes state the producer state of the log range [logStart, upTo).
type stateRebuild struct {
	state          *producerState
	segments       []*segment
	logStart, upTo record.Offset
	magic          int8
	clean          bool // the log was closed properly
	sync           bool // make the snapshots durable
	env            *environment
	log            kafkalog.Prefixed
}

// run loads the newest snapshot below upTo, replays the batches above it, and writes a snapshot at
// upTo. If no snapshot can be expected (old formats, or no snapshot after a clean shutdown, as
// before Kafka 0.11), it writes empty ones at the last two segments and at upTo instead of reading
// the whole log.
func (r *stateRebuild) run() error {
	state, upTo, log := r.state, r.upTo, r.log
	log.Infof("Loading producer state till offset %d with message format version %d", upTo, r.magic)
	var bases []record.Offset
	for _, s := range r.segments[max(len(r.segments)-2, 0):] {
		bases = append(bases, s.base)
	}
	if _, any := state.latestSnapshot(); r.magic < 2 || !any && r.clean {
		for _, offset := range append(bases, upTo) {
			state.setMapEnd(offset)
			if _, err := state.takeSnapshot(r.sync); err != nil {
				return err
			}
		}
		return nil
	}
	log.Infof("Reloading from producer snapshot and rebuilding producer state from offset %d", upTo)
	nothingToLose := state.isEmpty() && state.mapEnd() >= upTo
	started := r.env.now()
	if err := state.truncateAndReload(r.logStart, upTo, started); err != nil {
		return err
	}
	loaded := r.env.now()
	if upTo > state.mapEnd() && !nothingToLose {
		if err := r.replaySegments(bases); err != nil {
			return err
		}
	}
	state.setMapEnd(upTo)
	if _, err := state.takeSnapshot(r.sync); err != nil {
		return err
	}
	log.Infof("Producer state recovery took %dms for snapshot load and %dms for segment recovery from offset %d", loaded-started, r.env.now()-loaded, upTo)
	return nil
}

// replaySegments applies the batches from the state's end up to upTo to the state, and writes
// snapshots at the given bases.
func (r *stateRebuild) replaySegments(bases []record.Offset) error {
	state := r.state
	for i, s := range r.segments {
		if s.base >= r.upTo || i+1 < len(r.segments) && r.segments[i+1].base <= state.mapEnd() {
			continue
		}
		from := max(s.base, state.mapEnd(), r.logStart)
		state.setMapEnd(from)
		if slices.Contains(bases, s.base) {
			if _, err := state.takeSnapshot(r.sync); err != nil {
				return err
			}
		}
		err := r.replaySegment(s, from)
		if isProtocolError(err) {
			r.log.Warnf("Found invalid messages in %s; the producer state lacks the rest of the segment: %v", s.log.name(), err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// replaySegment applies the batches of a segment from offset from up to upTo.
func (r *stateRebuild) replaySegment(s *segment, from record.Offset) error {
	f, err := s.log.acquire()
	if err != nil {
		return err
	}
	defer f.release()
	end := s.size.Load()
	at, size, err := s.translate(f, from, end)
	if err != nil || size == 0 {
		return err
	}
	var scan batchScan
	scan.begin(f, at, end, false, &r.env.buffers)
	defer scan.close()
	var update producerAppend
	for {
		b, at, err := scan.next()
		if err != nil || b == nil {
			return err
		}
		if b.LastOffset() >= r.upTo {
			return nil
		}
		if err := r.env.stopped(); err != nil {
			return err
		}
		if b.HasProducerID() && b.IsControl() {
			if b, err = scan.wholeAt(at, sizeOf(b)); err != nil {
				return err
			}
		}
		if err := replay(r.state, &update, b, nil, r.log); err != nil {
			return err
		}
	}
}

// replay applies a batch of the log to the producer state, and with a segment also writes its
// transaction index. A batch in the log has been accepted before, so one that does not fit the
// state is only logged.
func replay(state *producerState, update *producerAppend, b record.Batch, index *segment, log kafkalog.Prefixed) error {
	if !b.HasProducerID() {
		return nil
	}
	update.begin(state, record.FromReplication)
	if err := update.add(b); err != nil {
		log.Warnf("The batch at offset %d does not fit the state of producer %d: %v", b.BaseOffset(), b.ProducerID(), err)
		return nil
	}
	state.apply(update)
	for _, t := range update.completed {
		if index == nil {
			state.complete(t)
		} else if err := completeTxn(state, index, t); err != nil {
			return err
		}
	}
	return nil
}
