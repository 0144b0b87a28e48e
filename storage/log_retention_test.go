package storage

import (
	"fmt"
	"testing"
	"time"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

func TestRetention(t *testing.T) {
	// There are four segments of one record each, of about 100 bytes, with timestamps 1, 2, 3 and 4
	// hours after the epoch. The clock is at 10 hours.
	hour := int64(3600 * 1000)
	for name, tt := range map[string]struct {
		change   func(*settings.Topic)
		high     record.Offset
		logStart record.Offset
		left     int           // segments
		first    record.Offset // log start afterwards
	}{
		"unlimited":               {high: 4, left: 4},
		"time":                    {change: func(c *settings.Topic) { c.RetentionMs = 7*hour + hour/2 }, high: 4, left: 2, first: 2},
		"all by time":             {change: func(c *settings.Topic) { c.RetentionMs = hour }, high: 4, left: 1, first: 4},
		"only below the high":     {change: func(c *settings.Topic) { c.RetentionMs = hour }, high: 1, left: 3, first: 1},
		"size":                    {change: func(c *settings.Topic) { c.RetentionBytes = 250 }, high: 4, left: 3, first: 1},
		"size larger than a log":  {change: func(c *settings.Topic) { c.RetentionBytes = 100000 }, high: 4, left: 4},
		"size 0":                  {change: func(c *settings.Topic) { c.RetentionBytes = 0 }, high: 4, left: 1, first: 4},
		"log start":               {high: 4, logStart: 2, left: 2, first: 2},
		"log start in the active": {high: 4, logStart: 4, left: 1, first: 4},
		"log start, compacted":    {change: func(c *settings.Topic) { c.CleanupDelete, c.CleanupCompact, c.RetentionMs = false, true, 1 }, high: 4, logStart: 2, left: 2, first: 2},
		"compact keeps by time":   {change: func(c *settings.Topic) { c.CleanupDelete, c.CleanupCompact, c.RetentionMs = false, true, 1 }, high: 4, left: 4},
	} {
		t.Run(name, func(t *testing.T) {
			l, h := newLog(t, testTopic())
			h.clock.set(time.UnixMilli(10 * hour))
			for i := int64(0); i < 4; i++ {
				if i > 0 {
					noError(t, l.Roll())
				}
				fill(t, l, 1, 30, (i+1)*hour)
			}
			l.SetHighWatermark(tt.high)
			c := testTopic()
			if tt.change != nil {
				tt.change(c)
			}
			l.SetConfig(c)
			noError(t, l.IncrementLogStart(tt.logStart))
			_, err := l.DeleteOldSegments()
			noError(t, err)
			wantEqual(t, "segments", l.SegmentCount(), tt.left)
			wantEqual(t, "log start", l.Offsets().LogStart, tt.first)
			wantEqual(t, "records", len(all(t, l, tt.first)), 4-int(tt.first))
			wantEqual(t, "next offset", appendValues(t, l, 5*hour, "next").FirstOffset, 4)
			h.restart(t)
			wantEqual(t, "log start after a restart", h.Log(partition0).Offsets().LogStart, tt.first)
		})
	}
}

func TestRetentionWithoutTimestampsUsesTheModificationTime(t *testing.T) {
	l, h := newLog(t, testTopic())
	fill(t, l, 1, 10, -1)
	noError(t, l.Roll())
	fill(t, l, 1, 10, -1)
	old := time.Now().Add(-time.Hour)
	noError(t, h.config.FS.Chtimes(l.Path()+"/00000000000000000000.log", old))
	h.clock.set(time.Now())
	c := testTopic()
	c.RetentionMs = 30 * 60 * 1000
	l.SetConfig(c)
	n, err := l.DeleteOldSegments()
	noError(t, err)
	wantEqual(t, "segments deleted", n, 1)
}

func TestDeletedFilesAreRemovedAfterTheDelayButStayReadable(t *testing.T) {
	c := testTopic()
	c.FileDeleteDelayMs = 0
	l, h := newLog(t, c)
	fill(t, l, 3, 100, 1)
	noError(t, l.Roll())
	data, err := l.Read(Read{Offset: 0, MaxBytes: 1 << 20})
	noError(t, err)
	noError(t, l.IncrementLogStart(3))
	_, err = l.DeleteOldSegments()
	noError(t, err)
	_, err = l.Read(Read{Offset: 0, MaxBytes: 1})
	wantError(t, err, protocol.OffsetOutOfRange)
	waitUntil(t, "the file has been removed", func() bool {
		_, err := h.config.FS.Stat(l.Path() + "/00000000000000000000.log.deleted")
		return err != nil
	})
	b := make([]byte, data.Length)
	_, err = data.File.ReadAt(b, data.Position)
	noError(t, err)
	data.Release()
}

func TestLogStartIsBoundedByTheHighWatermark(t *testing.T) {
	l, h := newLog(t, testTopic())
	fill(t, l, 5, 10, 1)
	l.SetHighWatermark(3)
	wantError(t, l.IncrementLogStart(4), protocol.OffsetOutOfRange)
	noError(t, l.IncrementLogStart(3))
	noError(t, l.IncrementLogStart(1))
	wantEqual(t, "offsets", fmt.Sprint(l.Offsets()), "{3 3 3 5}")
	h.restart(t)
	wantEqual(t, "log start after a restart", h.Log(partition0).Offsets().LogStart, 3)
}

func TestRetentionRunsOnCompactedLogsToo(t *testing.T) {
	for _, tt := range []struct {
		deleted  bool // cleanup.policy=compact,delete
		segments int  // after retention
		start    int  // segments once the log start is 4
	}{{true, 1, 1}, {false, 6, 2}} {
		c := testTopic()
		c.CleanupCompact, c.CleanupDelete = true, tt.deleted
		c.RetentionMs, c.RetentionBytes = 1, 1
		l, h := newLog(t, c)
		for i := range int64(5) {
			appendValues(t, l, i+1, "old")
			noError(t, l.Roll())
		}
		h.deleteOldSegments()
		wantEqual(t, fmt.Sprint("segments, deleted ", tt.deleted), l.SegmentCount(), tt.segments)
		noError(t, l.IncrementLogStart(4))
		h.deleteOldSegments()
		wantEqual(t, fmt.Sprint("segments above the log start, deleted ", tt.deleted), l.SegmentCount(), tt.start)
	}
}
