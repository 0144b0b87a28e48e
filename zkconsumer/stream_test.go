package zkconsumer

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/monedula/monedula/record"
)

func filled(offsets ...record.Offset) (*Stream, *position) {
	s := newStream(thread{"m", 0})
	s.taken = func() {}
	p := &position{stream: s, consumed: offsets[0]}
	c := &chunk{from: p, next: offsets[len(offsets)-1] + 1}
	for _, o := range offsets {
		c.records = append(c.records, Record{Offset: o})
	}
	s.add(c)
	return s, p
}

// What Poll has returned must not count as consumed before the next call, so that a member that
// dies in between loses nothing.
func TestRecordsAreConsumedOnTheNextPoll(t *testing.T) {
	ctx := t.Context()
	s, p := filled(3, 4, 7)
	got, err := s.Poll(ctx, 2)
	if err != nil || len(got) != 2 || s.consumedOf(p) != 3 {
		t.Fatalf("%v, %v, consumed %d", got, err, s.consumedOf(p))
	}
	if got, err = s.Poll(ctx, 2); err != nil || len(got) != 1 || s.consumedOf(p) != 7 {
		t.Fatalf("%v, %v, consumed %d", got, err, s.consumedOf(p))
	}
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if _, err := s.Poll(short, 0); !errors.Is(err, context.DeadlineExceeded) || s.consumedOf(p) != 8 {
		t.Errorf("%v, consumed %d", err, s.consumedOf(p))
	}
	s.close()
	if _, err := s.Poll(ctx, 0); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestARebalanceWaitsForRecordsHandedOut(t *testing.T) {
	s, p := filled(0, 1)
	if _, err := s.Poll(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	back := make(chan struct{})
	go func() {
		s.handBack(10 * time.Second)
		close(back)
	}()
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	select {
	case <-back:
		t.Error("handBack did not wait for the batch that was handed out")
	case <-short.Done():
	}
	next, stop := context.WithCancel(t.Context())
	stop()
	if got, err := s.Poll(next, 1); len(got) > 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("the rest was handed out after the rebalance began: %v, %v", got, err)
	}
	<-back
	if s.consumedOf(p) != 1 {
		t.Errorf("consumed %d", s.consumedOf(p))
	}
	s, _ = filled(0, 1)
	if _, err := s.Poll(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	s.handBack(time.Millisecond) // must return after the limit
}

func TestChunksWithoutVisibleRecordsAreSkipped(t *testing.T) {
	s, p := filled(0)
	s.queue = []*chunk{{from: p, next: 9}}
	p.queued = 1
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Poll(done, 0); !errors.Is(err, context.Canceled) || s.consumedOf(p) != 9 || !s.accepts(p, 1) {
		t.Errorf("%v, consumed %d", err, s.consumedOf(p))
	}
}
