package tools

import (
	"context"
	"time"
)

// throttle limits the rate of a stream of records.
type throttle struct {
	perSecond float64 // negative: no limit; 0: nothing passes until the context is done
	began     time.Time
}

// wait pauses after the n-th record (from 1) for as long as the rate requires.
func (t *throttle) wait(ctx context.Context, n int64) {
	switch {
	case t.perSecond < 0:
	case t.perSecond == 0:
		<-ctx.Done()
	default:
		ahead := time.Duration(float64(n)/t.perSecond*float64(time.Second)) - time.Since(t.began)
		if ahead < 2*time.Millisecond { // shorter pauses are too inexact to be worth their cost
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(ahead):
		}
	}
}
