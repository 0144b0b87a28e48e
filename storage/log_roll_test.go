package storage

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

func TestRollConditions(t *testing.T) {
	hour := int64(3600 * 1000)
	for name, tt := range map[string]struct {
		change func(*settings.Topic)
		first  func(t *testing.T, l *Log) // fills the active segment
		wait   time.Duration
		stamp  int64 // of the next append
		roll   bool
	}{
		"enough space": {roll: false},
		"size": {
			change: func(c *settings.Topic) { c.SegmentBytes = 200 },
			first:  func(t *testing.T, l *Log) { fill(t, l, 1, 90, 1) }, roll: true},
		"age by timestamps": {
			change: func(c *settings.Topic) { c.SegmentMs = hour },
			first:  func(t *testing.T, l *Log) { fill(t, l, 1, 1, 1000) }, stamp: 1001 + hour, roll: true},
		"just not old enough": {
			change: func(c *settings.Topic) { c.SegmentMs = hour },
			first:  func(t *testing.T, l *Log) { fill(t, l, 1, 1, 1000) }, stamp: 1000 + hour, roll: false},
		"age by the clock does not count where records have timestamps": {
			change: func(c *settings.Topic) { c.SegmentMs = hour },
			first:  func(t *testing.T, l *Log) { fill(t, l, 1, 1, 1000) }, wait: 2 * time.Hour, stamp: 1000, roll: false},
		"age by the clock without timestamps": {
			change: func(c *settings.Topic) { c.SegmentMs = hour },
			first:  func(t *testing.T, l *Log) { fill(t, l, 1, 1, -1) }, wait: time.Hour + time.Millisecond, stamp: -1, roll: true},
		"an empty segment does not age": {
			change: func(c *settings.Topic) { c.SegmentMs = hour },
			wait:   2 * time.Hour, stamp: -1, roll: false},
		"max.compaction.lag.ms of a compacted topic": {
			change: func(c *settings.Topic) { c.CleanupCompact, c.MaxCompactionLagMs = true, hour },
			first:  func(t *testing.T, l *Log) { fill(t, l, 1, 1, 1000) }, stamp: 1001 + hour, roll: true},
		"offset index full": {
			change: func(c *settings.Topic) { c.SegmentIndexBytes, c.IndexIntervalBytes = 24, 1 },
			first:  func(t *testing.T, l *Log) { fill(t, l, 4, 1, -1) }, stamp: -1, roll: true},
		"time index full": {
			change: func(c *settings.Topic) { c.SegmentIndexBytes, c.IndexIntervalBytes = 36, 1 },
			first:  func(t *testing.T, l *Log) { fill(t, l, 3, 1, 1) }, stamp: 10, roll: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := testTopic()
			if tt.change != nil {
				tt.change(c)
			}
			l, h := newLog(t, c)
			if tt.first != nil {
				tt.first(t, l)
			}
			segments, end := l.SegmentCount(), l.Offsets().LogEnd
			h.clock.advance(tt.wait)
			appendValues(t, l, tt.stamp, "next"+strings.Repeat(" ", 20))
			if rolled := l.SegmentCount() > segments; rolled != tt.roll {
				t.Errorf("rolled: %v", rolled)
			}
			if v := l.positions.load(); tt.roll && v.active().base != end {
				t.Errorf("new base %d, want %d", v.active().base, end)
			}
		})
	}
}

func TestRollByOffsetDistanceOfAFollower(t *testing.T) {
	l, _ := newLog(t, testTopic())
	far := func(base record.Offset) []byte {
		o := record.Defaults()
		o.BaseOffset, o.LeaderEpoch = base, 0
		return batch(t, o, values(1, "x")...)
	}
	for _, base := range []record.Offset{0, 1<<31 - 1, 1 << 31} {
		if _, err := l.AppendAsFollower(far(base), 0); err != nil {
			t.Fatal(err)
		}
	}
	wantEqual(t, "segments", l.SegmentCount(), 2)
	wantEqual(t, "records", len(all(t, l, 0)), 3)
}

// A leader that cut into a batch has a gap there, and a segment of a log that is not compacted
// begins with the gap. Compaction leaves gaps anywhere: a compacted log's segment begins with its
// first record, as in Kafka.
func TestASegmentBeginsWithTheGapUnlessTheLogIsCompacted(t *testing.T) {
	for compacted, base := range map[bool]record.Offset{false: 1, true: 50} {
		c := testTopic()
		c.CleanupCompact, c.CleanupDelete, c.SegmentBytes = compacted, !compacted, 100
		l, _ := newLog(t, c)
		what := fmt.Sprintf("compacted %v: ", compacted)
		for _, offset := range []record.Offset{0, 50} {
			o := record.Defaults()
			o.BaseOffset, o.LeaderEpoch = offset, 0
			_, err := l.AppendAsFollower(batch(t, o, rec{"k", "v", 1}), 0)
			noError(t, err)
		}
		v := l.positions.load()
		wantEqual(t, what+"segments", l.SegmentCount(), 2)
		wantEqual(t, what+"base of the second", v.active().base, base)
		wantEqual(t, what+"records", fmt.Sprint(all(t, l, 0)), "[0=v 50=v]")
	}
}

func TestARollTrimsFilesWritesASnapshotAndFlushesInTheBackground(t *testing.T) {
	l, h := newLog(t, testTopic())
	fill(t, l, 10, 1000, 1)
	noError(t, l.Roll())
	base := l.Offsets().LogEnd
	for name, size := range map[string]int64{
		"00000000000000000000.index": 16, "00000000000000000000.timeindex": 36,
		"00000000000000000010.log": 0, "00000000000000000010.index": 0, "00000000000000000010.snapshot": 10,
	} {
		wantEqual(t, name, fileSize(t, h.config.FS, l.Path()+"/"+name), size)
	}
	waitUntil(t, "the recovery point rises", func() bool { return l.RecoveryPoint() == base })
	if !strings.Contains(h.lines.String(), "[UnifiedLog partition=t-0, dir=/data] Rolled new log segment at offset 10 in ") {
		t.Errorf("no line about the roll:\n%s", h.lines)
	}
}

func TestPreallocatedSegmentsAreTrimmed(t *testing.T) {
	c := testTopic()
	c.Preallocate, c.SegmentBytes = true, 5000
	l, h := newLog(t, c)
	fill(t, l, 2, 100, 1)
	size := l.Size()
	wantEqual(t, "while active", fileSize(t, h.config.FS, l.Path()+"/00000000000000000000.log"), 5000)
	noError(t, l.Roll())
	wantEqual(t, "after the roll", fileSize(t, h.config.FS, l.Path()+"/00000000000000000000.log"), size)
	wantEqual(t, "kept open after the roll", l.positions.load().segments[0].log.held, false)
	fill(t, l, 1, 100, 1)
	h.restart(t)
	wantEqual(t, "records after a restart", len(all(t, h.Log(partition0), 0)), 3)
}

// waitUntil polls for a condition that background work will make true.
func waitUntil(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}
