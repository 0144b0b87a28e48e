package tools

import (
	"context"
	"time"
)

// throttle keeps a stream of records at about so many a second.
type throttle struct {
	perSecond float64 // negative: no limit; 0: nothing passes until it is told to stop
	began     time.Time
}

// wait pauses after the n-th record (from 1) as long as the rate asks for.
func (t *throttle) wait(ctx context.Context, n int64) {
	switch {
	case t.perSecond < 0:
	case t.perSecond == 0:
		<-ctx.Done()
	default:
		ahead := time.Duration(float64(n)/t.perSecond*float64(time.Second)) - time.Since(t.began)
		if ahead < 2*time.Millisecond { // shorter pauses cost more than they are exact
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(ahead):
		}
	}
}
