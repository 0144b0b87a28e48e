package client

import (
	"context"
	"time"
)

// Throttle limits the rate of a stream of records.
type Throttle struct {
	PerSecond float64 // negative: no limit; 0: nothing passes until the context is done
	Began     time.Time
}

// Wait pauses after the n-th record (from 1) for as long as the rate requires.
func (t *Throttle) Wait(ctx context.Context, n int64) {
	switch {
	case t.PerSecond < 0:
	case t.PerSecond == 0:
		<-ctx.Done()
	default:
		ahead := time.Duration(float64(n)/t.PerSecond*float64(time.Second)) - time.Since(t.Began)
		if ahead < 2*time.Millisecond { // shorter pauses are too inexact to be worth their cost
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(ahead):
		}
	}
}
