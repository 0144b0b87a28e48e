package storage

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/storage/clean"
)

// CleanerOptions holds the broker's settings for the compaction of logs.
type CleanerOptions struct {
	Enabled          bool          // log.cleaner.enable
	Threads          int           // log.cleaner.threads
	DedupeBytes      int64         // log.cleaner.dedupe.buffer.size, of all threads
	LoadFactor       float64       // log.cleaner.io.buffer.load.factor
	BufferBytes      int64         // log.cleaner.io.buffer.size, of all threads
	IOBytesPerSecond float64       // log.cleaner.io.max.bytes.per.second
	Backoff          time.Duration // log.cleaner.backoff.ms
}

// DefaultCleanerOptions returns Kafka's defaults.
func DefaultCleanerOptions() CleanerOptions {
	return CleanerOptions{Enabled: true, Threads: 1, DedupeBytes: 128 << 20, LoadFactor: 0.9, BufferBytes: 512 << 10,
		IOBytesPerSecond: math.MaxFloat64, Backoff: 15 * time.Second}
}

func cleanerOptionsOf(c *settings.Config) CleanerOptions {
	return CleanerOptions{
		Enabled:          settings.LogCleanerEnable.Of(c),
		Threads:          int(settings.LogCleanerThreads.Of(c)),
		DedupeBytes:      settings.LogCleanerDedupeBufferSize.Of(c),
		LoadFactor:       settings.LogCleanerIOBufferLoadFactor.Of(c),
		BufferBytes:      int64(settings.LogCleanerIOBufferSize.Of(c)),
		IOBytesPerSecond: settings.LogCleanerIOMaxBytesPerSecond.Of(c),
		Backoff:          settings.Milliseconds(settings.LogCleanerBackoffMs.Of(c)),
	}
}

// uncleanableRetry is the time after which a log that could not be cleaned is tried again. Kafka
// leaves it alone until a restart.
const uncleanableRetry = 10 * time.Minute

// setAside describes why a log is not cleaned for a while.
type setAside struct {
	cause error
	retry int64 // when it is tried again (ms), if needs is 0
	needs int64 // the bytes for which its log directory has too little free space
}

// over reports whether the log may be tried again.
func (s setAside) over(l *Log, now int64) bool {
	if s.needs > 0 {
		return l.dir.space.fits(record.FromReplication, s.needs)
	}
	return s.retry <= now
}

// cleaner compacts the logs of a Manager. As in Kafka there are log.cleaner.threads threads, each of
// which cleans the log with the largest dirty part that no other thread is cleaning, and pauses if
// there is none. A pausing thread is a timer and no goroutine.
//
// Nothing waits for a cleaning. One whose log is closed, moved, truncated, or loses segments finds
// that out by itself, and stops without a change to the log.
type cleaner struct {
	m        *Manager
	log      *logrus.Entry
	pool     *pool
	throttle ioThrottle
	stopped  chan struct{} // closed by close

	options    atomic.Pointer[CleanerOptions]
	generation atomic.Int64 // counts changes of the options; threads of an older one end
	selecting  sync.Mutex   // held while a thread chooses a log; taken before mu

	mu          sync.Mutex // guards the fields below
	busy        map[*Log]struct{}
	uncleanable map[*Log]setAside
	figures     cleanerFigures
}

func newCleaner(m *Manager) *cleaner {
	c := &cleaner{m: m, log: kafkalog.For(m.config.Log, "kafka.log.LogCleaner"), pool: newPool(math.MaxInt), stopped: make(chan struct{}),
		busy: map[*Log]struct{}{}, uncleanable: map[*Log]setAside{}}
	c.options.Store(&m.config.Options.Cleaner)
	return c
}

// start begins cleaning, if that is enabled.
func (c *cleaner) start() {
	o := c.options.Load()
	if !o.Enabled {
		return
	}
	c.log.Info("Starting the log cleaner")
	generation := c.generation.Add(1)
	for id := range o.Threads {
		c.next(&cleanerThread{c: c, id: id, generation: generation, options: o}, 0)
	}
}

// configure applies changed options. Cleanings in progress are aborted and begin again, as in Kafka.
// Before start it only sets the options.
func (c *cleaner) configure(o CleanerOptions) {
	o.Enabled = c.options.Load().Enabled // read-only
	if o == *c.options.Load() {
		return
	}
	c.options.Store(&o)
	c.throttle.reset()
	if c.generation.Load() > 0 && !c.m.closing.Load() {
		c.start()
	}
}

// close stops the cleaning. It returns once no thread is running.
func (c *cleaner) close() {
	close(c.stopped)
	c.pool.wait()
}

// next runs a thread's next step after a delay.
func (c *cleaner) next(t *cleanerThread, delay time.Duration) {
	c.m.env.schedule.after(delay, c.pool, func() {
		if !t.current() {
			return
		}
		if t.step() {
			c.next(t, 0)
		} else {
			c.next(t, max(t.options.Backoff, time.Millisecond))
		}
	})
}

// cleanerThread is one of the threads that clean.
type cleanerThread struct {
	c          *cleaner
	id         int
	generation int64
	options    *CleanerOptions
}

// current reports whether the thread may continue.
func (t *cleanerThread) current() bool {
	return t.generation == t.c.generation.Load() && !t.c.m.closing.Load()
}

// step cleans the log that needs it most, and reports whether there was one.
func (t *cleanerThread) step() bool {
	c := t.c
	l, plan := c.choose(t.id)
	if l == nil {
		return false
	}
	defer c.release(l)
	err := t.clean(l, plan)
	if err != nil {
		c.failed(l, err)
	}
	if _, err := l.DeleteOldSegments(); err != nil { // retention leaves logs that are being cleaned alone
		c.log.Errorf("Deleting old segments of %v: %v", l, err)
	}
	return err == nil
}

// choose returns the log with the largest share of dirty bytes among those that are due, and
// reserves it; nil if there is none.
func (c *cleaner) choose(thread int) (*Log, clean.Plan) {
	c.selecting.Lock()
	defer c.selecting.Unlock()
	now := c.m.env.now()
	var chosen *Log
	var best clean.Plan
	dirtiest, delay, due := 0.0, int64(0), int64(0)
	for _, l := range sortedByName(c.candidates(now)) {
		p, ok := c.plan(l, now)
		if !ok || p.CleanBytes+p.CleanableBytes == 0 {
			continue
		}
		dirtiest, delay = max(dirtiest, p.Ratio()), max(delay, p.DelayMs)
		if !p.Due(l.Config().MinCleanableDirtyRatio) {
			continue
		}
		due++
		if chosen == nil || p.Ratio() > best.Ratio() {
			chosen, best = l, p
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.figures.selected(now, dirtiest, thread, delay)
	if chosen != nil {
		c.busy[chosen] = struct{}{}
	}
	return chosen, best
}

// candidates returns the compacted logs that no thread is cleaning and that are not known to be
// uncleanable. It forgets uncleanable logs that no longer exist or are tried again.
func (c *cleaner) candidates(now int64) []*Log {
	logs := c.m.logs.list(false)
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.uncleanable, func(l *Log, s setAside) bool { return s.over(l, now) || l.check() != nil })
	return slices.DeleteFunc(logs, func(l *Log) bool {
		_, busy := c.busy[l]
		_, uncleanable := c.uncleanable[l]
		return busy || uncleanable || l.moving.Load() || !l.Config().CleanupCompact
	})
}

// plan determines the cleaning of a log; ok is false if that failed.
func (c *cleaner) plan(l *Log, now int64) (p clean.Plan, ok bool) {
	state, err := l.cleanState(now)
	if err != nil {
		c.failed(l, err)
		return p, false
	}
	if len(state.Segments) == 0 {
		return p, false
	}
	p = state.Plan(now)
	v := l.positions.load()
	switch {
	case p.Reset == clean.BelowStart && !l.Config().CleanupDelete:
		c.log.Warnf("Resetting first dirty offset of %s to log start offset %d since the checkpointed offset %d is invalid.", l.name, state.Start, state.Checkpoint)
	case p.Reset == clean.AboveEnd:
		c.log.Warnf("The last checkpoint dirty offset for partition %s is %d, which is larger than the log end offset %d. Resetting to the log start offset %d.",
			l.name, state.Checkpoint, state.End, state.Start)
	}
	if p.Reset != clean.NoReset {
		l.markClean(p.FirstDirty, v.truncations)
	}
	return p, true
}

// cleanState returns what the selection needs to know of the log. It has no segments if there is
// nothing to clean, or if the log is changing.
func (l *Log) cleanState(now int64) (clean.Log, error) {
	v := l.positions.load()
	c := l.Config()
	s := clean.Log{Start: v.LogStart, LastStable: v.LastStable, End: v.LogEnd, Checkpoint: l.dir.checkpoints.offset(cleanerOffsetFile, l.tp),
		MinLagMs: c.MinCompactionLagMs, MaxLagMs: c.MaxCompactionLagMs}
	if len(v.segments) == 1 || l.check() != nil {
		return s, nil
	}
	s.Segments = make([]clean.Segment, len(v.segments))
	for i, from := range v.segments {
		if err := from.cleanState(l, &s.Segments[i], c, now); err != nil {
			s.Segments = nil
			if l.check() != nil || l.changedSince(&v) {
				err = nil
			}
			return s, err
		}
	}
	return s, nil
}

func (s *segment) cleanState(l *Log, to *clean.Segment, c *settings.Topic, now int64) (err error) {
	to.Base, to.Size = s.base, s.size.Load()
	if c.MinCompactionLagMs > 0 {
		if to.LargestMs, _, err = s.largestTimestamp(); err != nil {
			return err
		}
	}
	if now > c.MaxCompactionLagMs {
		l.mu.Lock()
		defer l.mu.Unlock()
		to.FirstMs, _, err = s.firstTimestamp()
	}
	return err
}

// clean cleans a log. A panic is an error like others, since it would end the process.
func (t *cleanerThread) clean(l *Log, plan clean.Plan) (err error) {
	c, o := t.c, t.options
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic while cleaning the log: %v\n%s", p, debug.Stack())
		}
	}()
	run := cleaning{
		l: l, config: l.Config(), plan: plan, now: c.m.env.now(),
		pause:   t.pause,
		offsets: clean.NewOffsetMap(min(o.DedupeBytes/int64(max(o.Threads, 1)), math.MaxInt32), o.LoadFactor),
		chunk:   int(min(max(o.BufferBytes/int64(max(o.Threads, 1))/2, headerChunk), wholeChunk)),
		log:     kafkalog.WithPrefix(c.m.config.Log, "kafka.log.LogCleaner", "Cleaner %d: ", t.id),
	}
	end, err := run.run()
	if errors.Is(err, errSegmentSplit) {
		return nil
	}
	if err != nil {
		return err
	}
	run.stats.report(t, l, plan.FirstDirty, end)
	c.mu.Lock()
	c.figures.cleaned(t.id, run.stats)
	c.mu.Unlock()
	l.markClean(end, run.view.truncations)
	return nil
}

// markClean checkpoints that the log is clean up to an offset. Cleanings do not read what is below the
// log start, so the log start becomes durable first: if it went back, records that were never read
// would count as clean.
func (l *Log) markClean(end record.Offset, truncations int64) {
	c, v := &l.dir.checkpoints, l.positions.load()
	if v.LogStart > max(c.offset(logStartFile, l.tp), 0) && (v.LogStart > v.segments[0].base || l.names.pending()) {
		c.writeLogStarts()
	}
	c.writeCleaned(l, end, truncations)
}

// pause waits as the I/O limit demands after bytes were read or written. It returns an error if the
// thread must stop.
func (t *cleanerThread) pause(bytes int) error {
	if wait := t.c.throttle.take(bytes, t.options.IOBytesPerSecond, t.c.m.config.Now()); wait > 0 {
		t.c.sleep(wait)
	}
	if !t.current() {
		return errCleaningAborted
	}
	return nil
}

// sleep waits, but not after close.
func (c *cleaner) sleep(d time.Duration) {
	if sleep := c.m.config.Sleep; sleep != nil {
		sleep(d)
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.stopped:
	}
}

// failed handles the error of a cleaning. A disk error takes the directory offline. A cleaning that
// needs more space than is free waits until that much is free. Any other error makes the log
// uncleanable for a while, unless the log is changing or closed.
func (c *cleaner) failed(l *Log, err error) {
	var space *spaceError
	switch {
	case errors.Is(err, errCleaningAborted), l.check() != nil:
	case errors.As(err, &space):
		c.log.Warnf("Cleaning log %s waits for free disk space: %v", l.name, err)
		c.setAside(l, setAside{cause: err, needs: space.bytes})
	case isTooManyFiles(err):
		c.log.Warnf("Cleaning log %s failed; it will be tried again: %v", l.name, err)
	case isDiskError(err):
		l.dir.fail(fmt.Sprintf("Failed to clean up log for %s in dir %s due to IOException", l.name, l.dir.path), err)
	default:
		c.log.Warnf("Unexpected exception thrown when cleaning log %v. Marking its partition (%s) as uncleanable; it will be tried again in %v: %v",
			l, l.name, uncleanableRetry, err)
		c.setAside(l, setAside{cause: err, retry: c.m.env.now() + uncleanableRetry.Milliseconds()})
	}
}

func (c *cleaner) setAside(l *Log, s setAside) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.uncleanable[l] = s
}

func (c *cleaner) release(l *Log) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.busy, l)
}

// isCleaning reports whether a thread is cleaning the log.
func (c *cleaner) isCleaning(l *Log) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, busy := c.busy[l]
	return busy
}

// ioThrottle spreads the reads and writes of all threads over time.
type ioThrottle struct {
	bytes atomic.Int64 // read and written so far

	mu   sync.Mutex // guards free
	free time.Time  // when everything that was taken is paid for
}

// reset forgets what is not paid for, because the rate has changed.
func (t *ioThrottle) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.free = time.Time{}
}

// take counts bytes, and returns how long to wait so that no more than rate bytes a second are taken.
func (t *ioThrottle) take(bytes int, rate float64, now time.Time) time.Duration {
	t.bytes.Add(int64(bytes))
	if rate >= math.MaxFloat64 || rate <= 0 {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.free.Before(now) {
		t.free = now
	}
	t.free = t.free.Add(time.Duration(min(float64(bytes)/rate, 60) * float64(time.Second)))
	return t.free.Sub(now)
}
