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
	return rebuildState(l.producers, v.segments, logStart, upTo, l.Config().Magic, false, false, l.env, l.log())
}

// rebuildState makes state the producer state of the log range [logStart, upTo): it loads the
// newest snapshot below upTo, replays the batches above it, and writes a snapshot at upTo. If no
// snapshot can be expected (old formats, or no snapshot after a clean shutdown, as before Kafka
// 0.11), it writes empty ones at the last two segments and at upTo instead of reading the whole
// log. With sync the snapshots are made durable.
func rebuildState(state *producerState, segments []*segment, logStart, upTo record.Offset, magic int8, clean, sync bool, env *environment, log kafkalog.Prefixed) error {
	log.Infof("Loading producer state till offset %d with message format version %d", upTo, magic)
	var bases []record.Offset
	for _, s := range segments[max(len(segments)-2, 0):] {
		bases = append(bases, s.base)
	}
	if _, any := state.latestSnapshot(); magic < 2 || !any && clean {
		for _, offset := range append(bases, upTo) {
			state.setMapEnd(offset)
			if _, err := state.takeSnapshot(sync); err != nil {
				return err
			}
		}
		return nil
	}
	log.Infof("Reloading from producer snapshot and rebuilding producer state from offset %d", upTo)
	nothingToLose := state.isEmpty() && state.mapEnd() >= upTo
	started := env.now()
	if err := state.truncateAndReload(logStart, upTo, started); err != nil {
		return err
	}
	loaded := env.now()
	if upTo > state.mapEnd() && !nothingToLose {
		if err := replaySegments(state, segments, logStart, upTo, bases, sync, env, log); err != nil {
			return err
		}
	}
	state.setMapEnd(upTo)
	if _, err := state.takeSnapshot(sync); err != nil {
		return err
	}
	log.Infof("Producer state recovery took %dms for snapshot load and %dms for segment recovery from offset %d", loaded-started, env.now()-loaded, upTo)
	return nil
}

// replaySegments applies the batches from the state's end up to upTo to the state, and writes
// snapshots at the given bases.
func replaySegments(state *producerState, segments []*segment, logStart, upTo record.Offset, bases []record.Offset, sync bool, env *environment, log kafkalog.Prefixed) error {
	for i, s := range segments {
		if s.base >= upTo || i+1 < len(segments) && segments[i+1].base <= state.mapEnd() {
			continue
		}
		from := max(s.base, state.mapEnd(), logStart)
		state.setMapEnd(from)
		if slices.Contains(bases, s.base) {
			if _, err := state.takeSnapshot(sync); err != nil {
				return err
			}
		}
		err := replaySegment(state, s, from, upTo, env, log)
		if isProtocolError(err) {
			log.Warnf("Found invalid messages in %s; the producer state lacks the rest of the segment: %v", s.log.name(), err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

func replaySegment(state *producerState, s *segment, from, upTo record.Offset, env *environment, log kafkalog.Prefixed) error {
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
	scan.begin(f, at, end, false, &env.buffers)
	defer scan.close()
	var update producerAppend
	for {
		b, at, err := scan.next()
		if err != nil || b == nil {
			return err
		}
		if b.LastOffset() >= upTo {
			return nil
		}
		if err := env.stopped(); err != nil {
			return err
		}
		if b.HasProducerID() && b.IsControl() {
			if b, err = scan.wholeAt(at, sizeOf(b)); err != nil {
				return err
			}
		}
		if err := replay(state, &update, b, nil, log); err != nil {
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
