package storage

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/monedula/monedula/record"
)

// cleaningStats are the figures of one cleaning.
type cleaningStats struct {
	indexing, total            time.Duration // the time for the offset map, and all of it
	mapBytes                   int64         // read for the offset map
	read, written              int64         // bytes
	messagesRead, messagesKept int64
	invalid                    int64   // messages without a key
	utilization                float64 // of the offset map
}

// report writes the figures to the log as Kafka does.
func (s *cleaningStats) report(t *cleanerThread, l *Log, from, to record.Offset) {
	total, indexing := s.total.Seconds(), s.indexing.Seconds()
	mb := func(bytes int64) float64 { return float64(bytes) / (1 << 20) }
	var b strings.Builder
	fmt.Fprintf(&b, "\n\tLog cleaner thread %d cleaned log %s (dirty section = [%d, %d])\n", t.id, l.name, from, to)
	fmt.Fprintf(&b, "\t%s MB of log processed in %s seconds (%s MB/sec).\n", grouped(mb(s.read), 1), grouped(total, 1), grouped(mb(s.read)/total, 1))
	fmt.Fprintf(&b, "\tIndexed %s MB in %.1f seconds (%s Mb/sec, %.1f%% of total time)\n",
		grouped(mb(s.mapBytes), 1), indexing, grouped(mb(s.mapBytes)/indexing, 1), 100*indexing/total)
	fmt.Fprintf(&b, "\tBuffer utilization: %.1f%%\n", 100*s.utilization)
	fmt.Fprintf(&b, "\tCleaned %s MB in %.1f seconds (%s Mb/sec, %.1f%% of total time)\n",
		grouped(mb(s.read), 1), total-indexing, grouped(mb(s.read)/(total-indexing), 1), 100*(total-indexing)/total)
	fmt.Fprintf(&b, "\tStart size: %s MB (%s messages)\n", grouped(mb(s.read), 1), grouped(float64(s.messagesRead), 0))
	fmt.Fprintf(&b, "\tEnd size: %s MB (%s messages)\n", grouped(mb(s.written), 1), grouped(float64(s.messagesKept), 0))
	fmt.Fprintf(&b, "\t%.1f%% size reduction (%.1f%% fewer messages)\n",
		100*(1-float64(s.written)/float64(s.read)), 100*(1-float64(s.messagesKept)/float64(s.messagesRead)))
	t.c.log.Infof("[kafka-log-cleaner-thread-%d]: %s", t.id, b.String())
	if s.invalid > 0 {
		t.c.log.Warnf("[kafka-log-cleaner-thread-%d]: \tFound %d invalid messages during compaction.", t.id, s.invalid)
	}
}

// grouped formats a number as Java's %,.Nf does in an English locale.
func grouped(v float64, decimals int) string {
	s := fmt.Sprintf("%.*f", decimals, v)
	whole, fraction, _ := strings.Cut(s, ".")
	digits := strings.TrimPrefix(whole, "-")
	if strings.Trim(digits, "0123456789") != "" {
		return strings.TrimPrefix(s, "+") // NaN
	}
	var b strings.Builder
	b.WriteString(whole[:len(whole)-len(digits)])
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	if fraction != "" {
		b.WriteString("." + fraction)
	}
	return b.String()
}

// javaDate formats a time in ms as Java's Date does.
func javaDate(ms int64) string { return time.UnixMilli(ms).Format("Mon Jan 02 15:04:05 MST 2006") }

// CleanerStatus describes the cleaning of logs, as Kafka's metrics of LogCleaner and
// LogCleanerManager report it.
type CleanerStatus struct {
	MaxDirtyPercent       int   // of the log with the largest dirty part
	SinceLastRunMs        int64 // since a thread last looked for a log
	RecopyPercent         int   // bytes kept by the last cleaning of each thread
	MaxBufferUtilization  int   // percent of the offset map
	MaxCleanSeconds       int
	MaxCompactionDelaySec int
	IOBytes               int64 // read and written by all cleanings
	// Uncleanable holds the logs of each online directory that could not be cleaned.
	Uncleanable map[string]UncleanableLogs
}

// UncleanableLogs describes the logs of a directory that could not be cleaned.
type UncleanableLogs struct {
	Partitions int
	Bytes      int64                     // that are due
	Reasons    map[TopicPartition]string // one line each
}

// cleanerFigures collect what CleanerStatus reports.
type cleanerFigures struct {
	lastRun  int64 // ms
	dirtiest float64
	last     map[int]cleaningStats // of each thread
	delays   map[int]int64         // ms by which compaction was late when each thread last looked
}

func (f *cleanerFigures) selected(now int64, dirtiest float64, thread int, delay int64) {
	f.lastRun, f.dirtiest = now, dirtiest
	if f.delays == nil {
		f.delays = map[int]int64{}
	}
	f.delays[thread] = delay
}

func (f *cleanerFigures) cleaned(thread int, s cleaningStats) {
	if f.last == nil {
		f.last = map[int]cleaningStats{}
	}
	f.last[thread] = s
}

// CleanerStatus returns the state of the cleaning.
func (m *Manager) CleanerStatus() CleanerStatus { return m.cleaner.status() }

func (c *cleaner) status() CleanerStatus {
	now := c.m.env.now()
	s := CleanerStatus{Uncleanable: map[string]UncleanableLogs{}}
	for _, d := range c.m.dirs.online() {
		s.Uncleanable[d.path] = UncleanableLogs{}
	}
	s.IOBytes = c.throttle.bytes.Load()
	c.mu.Lock()
	f := &c.figures
	s.MaxDirtyPercent, s.SinceLastRunMs = int(100*f.dirtiest), now-f.lastRun
	read, written := int64(0), int64(0)
	for _, last := range f.last {
		read, written = read+last.read, written+last.written
		s.MaxBufferUtilization = max(s.MaxBufferUtilization, int(100*last.utilization))
		s.MaxCleanSeconds = max(s.MaxCleanSeconds, int(last.total.Seconds()))
	}
	for _, delay := range f.delays {
		s.MaxCompactionDelaySec = max(s.MaxCompactionDelaySec, int(delay/1000))
	}
	s.RecopyPercent = int(100 * float64(written) / float64(max(read, 1)))
	uncleanable := maps.Clone(c.uncleanable)
	c.mu.Unlock()
	for l, aside := range uncleanable {
		n, online := s.Uncleanable[l.dir.path]
		if !online || l.check() != nil {
			continue
		}
		n.Partitions++
		if n.Reasons == nil {
			n.Reasons = map[TopicPartition]string{}
		}
		n.Reasons[l.tp], _, _ = strings.Cut(aside.cause.Error(), "\n")
		if state, err := l.cleanState(now); err == nil && len(state.Segments) > 0 {
			n.Bytes += state.Plan(now).CleanableBytes
		}
		s.Uncleanable[l.dir.path] = n
	}
	return s
}
