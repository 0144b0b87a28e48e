package storage

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

// progressInterval is the time between two progress lines of a long recovery.
const progressInterval = 5 * time.Second

// Load loads all logs in parallel, recovers those that need it, and logs its progress. An I/O error
// takes the directory offline. A directory that no broker may start on, for example because it
// holds a foreign directory or a log twice, is an error. When ctx ends, Load stops within a batch
// and returns the context's error; the Manager can then only be closed, and the next start recovers
// again.
func (m *Manager) Load(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { m.env.loadStopped.Store(true) })()
	online := m.dirs.online()
	paths := make([]string, len(online))
	for i, d := range online {
		paths[i] = d.path
	}
	m.log.Infof("Loading logs from log dirs ArrayBuffer(%s)", strings.Join(paths, ", "))
	start := time.Now()
	loads := make([]*dirLoad, len(online))
	for i, d := range online {
		loads[i] = &dirLoad{m: m, dir: d}
	}
	for _, load := range loads {
		if err := load.prepare(); err != nil {
			return err
		}
	}
	m.loads.Store(&loads)
	defer m.loads.Store(nil)
	for _, load := range loads {
		load.begin()
	}
	stopProgress := m.showProgress(loads)
	total := 0
	var unclean []string
	var failure error
	for _, load := range loads {
		load.workers.wait()
		total += len(load.logs)
		if !load.dir.cleanAtStart && len(load.logs) > 0 {
			unclean = append(unclean, load.dir.path)
		}
		if err := load.end(); err != nil && failure == nil {
			failure = err
		}
	}
	stopProgress()
	if err := ctx.Err(); err != nil {
		return err
	}
	if failure != nil {
		m.log.Errorf("There was an error in one of the threads during logs loading: %v", failure)
		return failure
	}
	if err := m.checkAnyOnline(); err != nil {
		return err
	}
	note := ""
	if len(unclean) > 0 {
		note = fmt.Sprintf(" (unclean log dirs = ArrayBuffer(%s))", strings.Join(unclean, ", "))
	}
	m.log.Infof("Loaded %d logs in %dms%s", total, time.Since(start).Milliseconds(), note)
	return nil
}

// showProgress periodically logs a line for every directory that is still recovering, until stop is
// called.
func (m *Manager) showProgress(loads []*dirLoad) (stop func()) {
	var mu sync.Mutex
	stopped := false
	var timer *time.Timer
	timer = time.AfterFunc(progressInterval, func() {
		mu.Lock()
		defer mu.Unlock()
		if stopped {
			return
		}
		for _, load := range loads {
			if done := load.done.Load(); int(done) < len(load.logs) {
				m.log.Infof("Still loading logs in %s: %d/%d completed, %d segments left to recover in the logs being loaded",
					load.dir.path, done, len(load.logs), load.segmentsLeft.Load())
			}
		}
		timer.Reset(progressInterval)
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}

// RecoveryProgress is the work left in a directory while Load runs: the logs to load, and the
// segments to recover in those being loaded.
type RecoveryProgress struct{ Logs, Segments int }

// RecoveryProgress returns the work left for Load in each directory; it is empty while Load does
// not run. Kafka's gauges remainingLogsToRecover and remainingSegmentsToRecover show it.
func (m *Manager) RecoveryProgress() map[string]RecoveryProgress {
	progress := map[string]RecoveryProgress{}
	if loads := m.loads.Load(); loads != nil {
		for _, load := range *loads {
			progress[load.dir.path] = RecoveryProgress{Logs: len(load.logs) - int(load.done.Load()), Segments: int(load.segmentsLeft.Load())}
		}
	}
	return progress
}

// dirLoad loads the logs of one directory.
type dirLoad struct {
	m       *Manager
	dir     *logDir
	workers *pool
	logs    []string // partition directories

	recoveryPoints, logStarts map[TopicPartition]record.Offset

	done         atomic.Int64 // logs that were loaded or failed
	segmentsLeft atomic.Int64

	mu      sync.Mutex // guards the fields below
	ioError error      // takes the directory offline
	fatal   error      // stops the start
	leftOut bool       // a log could not be loaded
	stopped bool       // a log was not loaded because the context of Load ended
}

// prepare reads the directory's own state and finds its logs. It returns an error only if the
// broker cannot start at all.
func (d *dirLoad) prepare() error {
	d.workers = newPool(d.m.config.RecoveryThreads)
	if err := d.readState(); err != nil {
		d.m.log.Errorf("Error while loading log dir %s: %v", d.dir.path, err)
		d.ioError = err
		return nil
	}
	entries, err := d.m.config.FS.ReadDir(d.dir.path)
	if err != nil {
		d.ioError = err
		return nil
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != remoteIndexDir {
			path := d.dir.file(e.Name())
			if _, _, err := parseDirName(path); err != nil {
				return err
			}
			d.logs = append(d.logs, path)
		}
	}
	return nil
}

// begin starts loading the logs found.
func (d *dirLoad) begin() {
	switch {
	case d.ioError != nil:
	case len(d.logs) == 0:
		d.m.log.Infof("No logs found to be loaded in %s", d.dir.path)
	case d.dir.cleanAtStart:
		d.m.log.Infof("Skipping recovery of %d logs from %s since clean shutdown file was found", len(d.logs), d.dir.path)
	default:
		d.m.log.Infof("Recovering %d logs from %s since no clean shutdown file was found", len(d.logs), d.dir.path)
	}
	for _, path := range d.logs {
		d.workers.run(func() { d.load(path) })
	}
}

// readState reads and removes the clean-shutdown marker, and reads the checkpoints. A damaged
// checkpoint counts as empty, so more is recovered than needed.
func (d *dirLoad) readState() (err error) {
	fs := d.m.config.FS
	if d.dir.cleanAtStart, err = takeCleanShutdown(fs, d.dir.path); err != nil {
		return err
	}
	if d.recoveryPoints, err = d.readCheckpoint(recoveryPointFile, "resetting the recovery checkpoint to 0"); err != nil {
		return err
	}
	if d.logStarts, err = d.readCheckpoint(logStartFile, "resetting to the base offset of the first segment"); err != nil {
		return err
	}
	highWatermarks, err := readOffsetCheckpoint(fs, d.dir.file(highWatermarkFile))
	if err != nil && !isDamage(err) {
		return err
	}
	cleaned, err := d.readCheckpoint(cleanerOffsetFile, "cleaning its logs from their start")
	if err != nil {
		return err
	}
	d.dir.checkpoints.read(map[string]map[TopicPartition]record.Offset{
		recoveryPointFile: d.recoveryPoints, logStartFile: d.logStarts, highWatermarkFile: highWatermarks, cleanerOffsetFile: cleaned})
	return nil
}

func (d *dirLoad) readCheckpoint(name, instead string) (map[TopicPartition]record.Offset, error) {
	offsets, err := readOffsetCheckpoint(d.m.config.FS, d.dir.file(name))
	if err != nil && isDamage(err) {
		d.m.log.Warnf("Error occurred while reading %s file of directory %s, %s: %v", name, d.dir.path, instead, err)
		return nil, nil
	}
	return offsets, err
}

// load loads one log.
func (d *dirLoad) load(path string) {
	start := time.Now()
	l, err := d.open(path)
	if errors.Is(err, errLoadStopped) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.stopped = true
		return
	}
	done := d.done.Add(1)
	ms := time.Since(start).Milliseconds()
	if err != nil {
		d.m.log.Infof("Error while loading logs in %s in %dms (%d/%d completed in %s): %v", path, ms, done, len(d.logs), d.dir.path, err)
		d.mu.Lock()
		defer d.mu.Unlock()
		switch {
		case isFatal(err):
			d.fatal = err
		case isDiskError(err):
			if d.ioError == nil {
				d.ioError = err
			}
		default:
			d.leaveOut(path, err)
		}
		return
	}
	if l != nil {
		v := l.positions.load()
		d.m.log.Infof("Completed load of %v with %d segments, local-log-start-offset %d and log-end-offset %d in %dms (%d/%d completed in %s)",
			l, len(v.segments), v.LogStart, v.LogEnd, ms, done, len(d.logs), d.dir.path)
	}
}

// leaveOut records a log that cannot be loaded, so the directory is served without it. The caller
// must hold mu.
func (d *dirLoad) leaveOut(path string, cause error) {
	d.m.log.Errorf("The log in %s could not be loaded and stays offline; the other logs of %s are not affected: %v", path, d.dir.path, cause)
	tp, kind, err := parseDirName(path)
	if err != nil {
		return
	}
	d.leftOut = true
	d.m.logs.setUnserved(logKey{tp, kind == futureDir}, &unservedLog{
		dir: d.dir, path: path, recoveryPoint: d.recoveryPoints[tp], logStart: d.logStarts[tp], cause: fmt.Errorf("could not be loaded when the broker started: %w", cause)})
}

// open opens the log of a partition directory. It schedules the removal of a deleted directory and
// ignores a stray one.
func (d *dirLoad) open(path string) (_ *Log, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic while loading the log: %v\n%s", p, debug.Stack())
		}
	}()
	if err := d.m.env.stopped(); err != nil {
		return nil, err
	}
	tp, kind, err := parseDirName(path)
	if err != nil {
		return nil, err
	}
	if kind == deletedDir {
		d.m.removeDirLater(d.dir, path, tp)
		return nil, nil
	}
	if kind == strayDir {
		d.m.log.Warnf("Loaded stray log: %s", path)
		return nil, nil
	}
	before := int64(0)
	from := loading{
		clean: d.dir.cleanAtStart, recoveryPoint: d.recoveryPoints[tp], damagedPoints: d.recoveryPoints == nil, logStart: d.logStarts[tp],
		remaining: func(n int) {
			d.segmentsLeft.Add(int64(n) - before)
			before = int64(n)
		},
	}
	l, err := openLog(d.dir, d.m.env, path, tp, kind, d.m.topicConfig(tp.Topic), from)
	if err != nil {
		return nil, err
	}
	if previous := d.m.logs.put(l, kind == futureDir); previous != nil {
		return nil, duplicateError(previous, l, kind)
	}
	return l, nil
}

// duplicateError returns the fatal error for two directories of one log.
func duplicateError(a, b *Log, kind dirKind) error {
	if kind == futureDir {
		return fatalError{fmt.Errorf("Duplicate log directories found: %s, %s", b.Path(), a.Path())}
	}
	return fatalError{fmt.Errorf("Duplicate log directories for %s are found in both %s and %s. It is likely because log directory failure happened while broker was "+
		"replacing current replica with future replica. Recover broker from this failure by manually deleting one of the two directories "+
		"for this partition. It is recommended to delete the partition in the log directory that is known to have failed recently.",
		b.name, b.Path(), a.Path())}
}

// end handles the result of the load once all work is done.
func (d *dirLoad) end() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fatal != nil {
		return d.fatal
	}
	if d.ioError != nil {
		d.dir.takeOffline("Error while loading log dir "+d.dir.path, d.ioError)
		return nil
	}
	if d.stopped {
		return nil
	}
	d.dir.loaded, d.dir.partlyLoaded = !d.leftOut, d.leftOut
	d.dir.checkpoints.lowerAll()
	return nil
}

// fatalError prevents the broker from starting.
type fatalError struct{ error }

func (e fatalError) Unwrap() error { return e.error }

func isFatal(err error) bool {
	var f fatalError
	return errors.As(err, &f)
}

func (m *Manager) topicConfig(topic string) *settings.Topic {
	if c := m.config.TopicConfig(topic); c != nil {
		return c
	}
	return m.defaults.Load()
}

// removeDirLater removes a directory that was renamed for deletion, after the broker's
// file.delete.delay.ms.
func (m *Manager) removeDirLater(d *logDir, path string, tp TopicPartition) {
	delay := settings.Milliseconds(m.defaults.Load().FileDeleteDelayMs)
	m.env.schedule.after(max(delay, time.Millisecond), d.background, func() {
		if d.check() != nil {
			return
		}
		if err := m.config.FS.RemoveAll(path); err != nil {
			d.fail(fmt.Sprintf("Error while deleting dir for %s in dir %s", currentDirName(tp), d.path), err)
			return
		}
		m.log.Infof("Deleted log for partition %s in %s.", currentDirName(tp), path)
	})
}

// sortedByName sorts logs, so that files and log lines have the same order each time.
func sortedByName(logs []*Log) []*Log {
	slices.SortFunc(logs, func(a, b *Log) int { return strings.Compare(filepath.Base(a.Path()), filepath.Base(b.Path())) })
	return logs
}
