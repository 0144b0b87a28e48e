package lag

import (
	"testing"
	"time"

	"github.com/monedula/monedula/record"
)

func TestTheTimeOfARecordIsInterpolated(t *testing.T) {
	var h history
	at := func(seconds int64) int64 { return seconds * 1000 }
	if got := h.behind(5, at(1)); got != 0 {
		t.Errorf("behind %v without any report", got)
	}
	h.note(100, at(10))
	h.note(100, at(20)) // idle until here
	h.note(200, at(30))
	h.note(300, at(40))
	for _, c := range []struct {
		offset record.Offset
		want   time.Duration
	}{
		{300, 0}, {301, 0}, // nothing is left to consume
		{250, 15 * time.Second}, // written half way between the last two reports
		{200, 20 * time.Second},
		{150, 25 * time.Second}, // after the idle time
		{100, 30 * time.Second},
		{99, 40 * time.Second}, {0, 40 * time.Second}, // at least since the first report
	} {
		if got := h.behind(c.offset, at(50)); got != c.want {
			t.Errorf("offset %d: %v behind, want %v", c.offset, got, c.want)
		}
	}
	if got := h.behind(250, at(30)); got != 0 {
		t.Errorf("behind %v although the clock was set back", got)
	}
}

func TestTheHistoryIsBoundedAndKeepsTheOldestEnd(t *testing.T) {
	var h history
	for i := range int64(10_000) {
		h.note(record.Offset(i), i*1000)
	}
	if len(h.seen) > historyMax || cap(h.seen) > 2*historyMax {
		t.Errorf("%d ends, capacity %d", len(h.seen), cap(h.seen))
	}
	if got, want := h.behind(5000, 10_000_000), 5000*time.Second; got < want-time.Second || got > want+time.Second {
		t.Errorf("%v behind, want about %v", got, want)
	}
	if got := h.behind(0, 10_000_000); got != 10_000*time.Second {
		t.Errorf("%v behind at the oldest record", got)
	}
}

func TestAnEndThatDecreasedIsForgotten(t *testing.T) {
	var h history
	h.note(100, 1000)
	h.note(200, 2000)
	h.note(150, 3000)
	if got := h.behind(150, 9000); got != 0 {
		t.Errorf("%v behind at the end", got)
	}
	if got := h.behind(100, 9000); got != 8*time.Second {
		t.Errorf("%v behind", got)
	}
}
