package storage

import (
	"errors"
	"math"
	"path/filepath"
	"slices"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

// loading is what is known about a log before it is opened.
type loading struct {
	fresh         bool          // the directory was just created and is empty
	clean         bool          // the log was closed cleanly
	recoveryPoint record.Offset // as checkpointed, 0 if unknown
	damagedPoints bool          // the checkpoint of recovery points could not be read
	logStart      record.Offset // as checkpointed, 0 if unknown
	// remaining is called with the number of segments that are still to be recovered.
	remaining func(n int)
}

// loader opens a log from the files in its directory.
type loader struct {
	loading
	l        *Log
	env      *environment
	path     string
	config   *settings.Topic
	log      kafkalog.Prefixed
	stateLog kafkalog.Prefixed // for lines about rebuilding the producer state
	segments []*segment        // in order of base offset
	// recovered is the producer state at the end of the segment recovered last. It holds more than
	// the snapshot taken of it.
	recovered *producerState
	// renewEpochs is set while all segments from the recovery point on are recovered, so their
	// batches determine which leader epochs the log has.
	renewEpochs bool
}

// openLog loads the log in a partition directory. It finishes or undoes a cleaning that was
// interrupted, cuts off damage above the recovery point after an unclean shutdown, and rebuilds the
// state that is kept in addition to the records. An empty directory becomes a log that starts at
// the given log start.
func openLog(dir *logDir, env *environment, path string, tp TopicPartition, kind dirKind, c *settings.Topic, from loading) (*Log, error) {
	l := &Log{partitionDir: partitionDir{tp: tp, name: currentDirName(tp), dir: dir, env: env}}
	l.topicID.home = &l.partitionDir
	l.path.Store(&path)
	l.future.Store(kind == futureDir)
	l.SetConfig(c)
	l.lastFlush.Store(env.now())
	ld := &loader{loading: from, l: l, env: env, path: path, config: c}
	const prefix = "[LogLoader partition=%s, dir=%s] "
	ld.log = kafkalog.WithPrefix(env.logger, "kafka.log.LogLoader", prefix, l.name, dir.path)
	ld.stateLog = kafkalog.WithPrefix(env.logger, "kafka.log.UnifiedLog$", prefix, l.name, dir.path)
	if ld.remaining == nil {
		ld.remaining = func(int) {}
	}
	if err := ld.load(); err != nil {
		for _, s := range ld.segments {
			s.drop()
		}
		return nil, err
	}
	l.epochs.later = l.flushEpochsLater
	return l, nil
}

func (ld *loader) load() error {
	if !ld.clean {
		// An earlier run may have created, renamed or removed files without making that durable.
		ld.l.names.note()
		ld.l.dirName.note()
	}
	if err := ld.openState(); err != nil {
		return err
	}
	if err := ld.finishSwaps(); err != nil {
		return err
	}
	if err := ld.retryOverflow(ld.loadSegments); err != nil {
		return err
	}
	logEnd := record.Offset(0)
	err := ld.retryOverflow(func() (err error) {
		logEnd, err = ld.recover()
		return err
	})
	if err != nil {
		return err
	}
	return ld.settle(logEnd)
}

// openState opens the topic id, the leader epochs and the producer state.
func (ld *loader) openState() (err error) {
	l := ld.l
	if ld.fresh {
		// no topic id yet
	} else if ld.env.keepTopicIDs {
		l.topicID.id, err = readPartitionMetadata(ld.env.fs, ld.path)
	} else {
		err = removePartitionMetadata(ld.env.fs, ld.path)
	}
	if err != nil {
		return err
	}
	if ld.config.Magic < 2 {
		l.epochs = newUnfiledEpochCache()
		if err := ignoreMissing(ld.env.fs.Remove(filepath.Join(ld.path, leaderEpochFile))); err != nil {
			return err
		}
	} else if l.epochs, err = openEpochCache(ld.env.fs, ld.path); err != nil {
		return err
	}
	l.producers, err = ld.newState()
	return err
}

func (ld *loader) newState() (*producerState, error) {
	log := kafkalog.For(ld.env.logger, "org.apache.kafka.storage.internals.log.ProducerStateManager")
	state, err := openProducerState(ld.env.fs, ld.path, ld.l.tp, &ld.env.expirationMs, log)
	state.names = &ld.l.names
	return state, err
}

// settle gives the loaded log its positions, epochs and producer state.
func (ld *loader) settle(logEnd record.Offset) error {
	l := ld.l
	logStart := max(ld.logStart, ld.segments[0].base)
	l.epochs.truncateFromEnd(logEnd)
	// Kafka uses the checkpointed log start here, not the segment's; it is 0 if there is no
	// checkpoint.
	l.epochs.truncateFromStart(ld.logStart)
	if err := l.epochs.flush(); err != nil {
		return err
	}
	bases := make([]record.Offset, len(ld.segments))
	for i, s := range ld.segments {
		bases[i] = s.base
	}
	if !ld.fresh {
		if err := l.producers.removeStraySnapshots(bases); err != nil {
			return err
		}
	}
	r := stateRebuild{state: l.producers, segments: ld.segments, logStart: logStart, upTo: logEnd,
		magic: ld.config.Magic, clean: ld.clean, sync: true, env: ld.env, log: ld.stateLog}
	if err := r.run(); err != nil {
		return err
	}
	if ld.recovered != nil {
		l.producers.recall(ld.recovered.entries)
	}
	active := ld.segments[len(ld.segments)-1]
	p := &l.positions
	p.v = view{
		Offsets:     Offsets{LogStart: logStart, HighWatermark: logStart, LogEnd: logEnd},
		segments:    ld.segments,
		endPosition: active.size.Load(),
	}
	p.recoveryLimit = math.MaxInt64
	p.recoveryPoint = min(ld.recoveryPoint, logEnd)
	if ld.clean {
		p.recoveryPoint = logEnd
	}
	p.setFirstUnstable(l.producers.firstUnstable())
	return nil
}

// loadSegments opens all segments. It recovers a segment whose offset or time index is missing, or
// whose transaction index is damaged.
func (ld *loader) loadSegments() error {
	for _, s := range ld.segments {
		s.drop()
	}
	ld.segments = nil
	names, err := ld.list()
	if err != nil {
		return err
	}
	for _, name := range names {
		base, suffix, ok := parseOffsetFileName(name)
		switch {
		case !ok:
		case suffix == indexSuffix || suffix == timeIndexSuffix || suffix == txnIndexSuffix:
			if !slices.Contains(names, offsetFileName(base, logSuffix)) {
				ld.log.Warnf("Found an orphaned index file %s, with no corresponding log file.", filepath.Join(ld.path, name))
				if err := ignoreMissing(ld.env.fs.Remove(filepath.Join(ld.path, name))); err != nil {
					return err
				}
			}
		case suffix == logSuffix:
			if err := ld.loadSegment(base, names); err != nil {
				return err
			}
		}
	}
	return nil
}

func (ld *loader) loadSegment(base record.Offset, names []string) error {
	s, err := openSegment(ld.env, ld.path, base, ld.config)
	if err != nil {
		return err
	}
	ld.segments = append(ld.segments, s)
	slices.SortFunc(ld.segments, func(a, b *segment) int { return int(min(max(a.base-b.base, -1), 1)) })
	switch {
	case !ld.clean && base > ld.recoveryPoint:
		return nil // recoverUnflushed rebuilds the indexes once all earlier segments are known to be sound
	case !slices.Contains(names, offsetFileName(base, indexSuffix)):
		if ld.clean || base < ld.recoveryPoint {
			ld.log.Errorf("Could not find offset index file corresponding to log file %s, recovering segment and rebuilding index files...", s.log.name())
		}
	case !slices.Contains(names, offsetFileName(base, timeIndexSuffix)):
		// With an empty time index every lookup by time would end in this segment.
		ld.log.Errorf("Could not find time index file corresponding to log file %s, recovering segment and rebuilding index files...", s.log.name())
	default:
		err := s.txns.sanityCheck()
		if !errors.Is(err, errCorruptIndex) {
			return err
		}
		ld.log.Warnf("Found a corrupted index file corresponding to log file %s due to %v, recovering segment and rebuilding index files...", s.log.name(), err)
	}
	_, err = ld.recoverSegment(s)
	return err
}

// list returns the names of the files in the partition directory, sorted.
func (ld *loader) list() ([]string, error) {
	if ld.fresh {
		return nil, nil
	}
	entries, err := ld.env.fs.ReadDir(ld.path)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
