package storage

import (
	"testing"
	"time"
)

func TestTheObserverIsCalledForEveryMoveOfTheOffsets(t *testing.T) {
	l, h := newLog(t, testTopic())
	moves := 0
	l.Observe(func() { moves++ })
	was := l.Offsets()
	step := func(what string, f func()) {
		t.Helper()
		moves = 0
		f()
		if now := l.Offsets(); now == was {
			t.Errorf("%s did not move the offsets", what)
		} else if moves == 0 {
			t.Errorf("%s: %+v became %+v without a call of the observer", what, was, now)
		}
		was = l.Offsets()
	}
	step("an append", func() { fill(t, l, 3, 30, 1) })
	step("a high watermark", func() { l.SetHighWatermark(2) })
	step("a log start", func() { noError(t, l.IncrementLogStart(1)) })
	step("retention", func() {
		noError(t, l.Roll())
		l.SetHighWatermark(3)
		c := testTopic()
		c.RetentionMs = 1
		l.SetConfig(c)
		h.clock.set(time.UnixMilli(1 << 40))
		moves = 0
		if n, err := l.DeleteOldSegments(); n == 0 || err != nil {
			t.Fatal(n, err)
		}
	})
	fill(t, l, 3, 30, 1)
	was = l.Offsets()
	step("a truncation", func() {
		if _, err := l.TruncateTo(4); err != nil {
			t.Fatal(err)
		}
	})
	step("a full truncation", func() { noError(t, l.TruncateFullyAndStartAt(10, 10)) })
}
