package storage

import (
	"sync/atomic"
	"time"

	"github.com/monedula/monedula/settings"
)

// Start begins the periodic work: retention, flushes, checkpoints, the expiry of producers and
// compaction.
func (m *Manager) Start() {
	o := &m.config.Options
	m.log.Infof("Starting log cleanup with a period of %d ms.", o.RetentionCheck.Milliseconds())
	m.every(o.RetentionCheck, m.deleteOldSegments)
	m.log.Infof("Starting log flusher with a default period of %d ms.", flushPeriod(o.FlushCheck.Milliseconds()))
	m.every(o.FlushCheck, m.flushDirtyLogs)
	m.every(o.RecoveryPointCheckpoint, func() { m.eachDir(func(d *logDir) { d.checkpoints.writeRecoveryPoints() }) })
	m.every(o.LogStartCheckpoint, func() { m.eachDir(func(d *logDir) { d.checkpoints.writeLogStarts() }) })
	m.every(o.ProducerExpiryCheck, m.expireProducers)
	if o.DiskLowWatermark != 0 {
		for _, d := range m.dirs {
			m.env.schedule.every(diskCheck, diskCheck, d.small, d.measureSpace)
		}
	}
	m.cleaner.start()
}

// diskCheck is the period in which the free space of a log directory is measured, besides the
// measurements that appends begin.
const diskCheck = time.Second

// flushPeriod returns ms, or the largest int64, Kafka's default, if ms is the longest Duration.
func flushPeriod(ms int64) int64 {
	if ms >= int64(settings.Milliseconds(1<<63-1).Milliseconds()) {
		return 1<<63 - 1
	}
	return ms
}

func (m *Manager) every(period time.Duration, f func()) {
	m.env.schedule.every(m.config.InitialDelay, period, m.tasks, f)
}

func (m *Manager) eachDir(f func(*logDir)) {
	for _, d := range m.dirs.online() {
		f(d)
	}
}

// allLogs returns the current and future logs.
func (m *Manager) allLogs() []*Log {
	return sortedByName(append(m.logs.list(false), m.logs.list(true)...))
}

// deleteOldSegments applies retention, even to compacted logs: any log may have segments below its
// log start, and cleanup.policy=compact,delete limits the age of records too.
func (m *Manager) deleteOldSegments() {
	start, total := m.env.now(), 0
	for _, l := range m.allLogs() {
		if m.cleaner.isCleaning(l) {
			continue // the cleaner does it afterwards
		}
		n, err := l.DeleteOldSegments()
		total += n
		if err != nil {
			m.log.Errorf("Deleting old segments of %v: %v", l, err)
		}
	}
	m.log.Debugf("Log cleanup completed. %d files deleted in %d seconds", total, (m.env.now()-start)/1000)
}

// flushDirtyLogs flushes the logs whose last flush is at least flush.ms ago.
func (m *Manager) flushDirtyLogs() {
	for _, l := range m.allLogs() {
		if m.env.now()-l.lastFlush.Load() < l.Config().FlushMs {
			continue
		}
		if err := l.Flush(); err != nil {
			m.log.Errorf("Error flushing topic %s: %v", l.tp.Topic, err)
		}
	}
}

func (m *Manager) expireProducers() {
	for _, l := range m.allLogs() {
		l.ExpireProducers()
	}
}

// Close stops the periodic work, flushes and closes every log, writes snapshots, checkpoints and
// the clean-shutdown marker, and unlocks the directories.
func (m *Manager) Close() error {
	if !m.closing.CompareAndSwap(false, true) {
		return nil
	}
	m.log.Info("Shutting down.")
	m.env.schedule.close()
	m.cleaner.close()
	m.tasks.wait()
	for _, d := range m.dirs {
		d.background.wait()
		d.small.wait()
	}
	for _, l := range m.logs.list(false) {
		if old := l.replaced.Load(); old != nil && l.settleMove() != nil {
			old.dir.loaded, old.dir.cleanAtStart = false, false // the directory holds a log that was not closed cleanly
		}
	}
	online := m.dirs.online()
	closings := make([]*dirClosing, len(online))
	for i, d := range online {
		closings[i] = m.closeDir(d)
	}
	for _, c := range closings {
		c.workers.wait()
		if !c.failed.Load() {
			m.cleanStop(c.dir)
		}
	}
	m.dirs.unlock()
	m.log.Info("Shutdown complete.")
	return nil
}

// dirClosing is the closing of all logs of one directory.
type dirClosing struct {
	dir     *logDir
	workers *pool
	failed  atomic.Bool
}

func (m *Manager) closeDir(d *logDir) *dirClosing {
	c := &dirClosing{dir: d, workers: newPool(max(int(m.recoveryThreads.Load()), closingThreads))}
	for _, l := range sortedByName(m.logs.inDir(d)) {
		c.workers.run(func() {
			if err := l.close(); err != nil {
				c.failed.Store(true)
				m.log.Warnf("There was an error in one of the threads during LogManager shutdown: %v", err)
			}
		})
	}
	return c
}

// closingThreads is the minimum number of logs of a directory that are closed at the same time.
// Closing is mostly waiting for the disk.
const closingThreads = 8
