package peerlink

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff is the pause between tries: Min at first, doubling to Max, each
// varied by up to a fifth either way so that many who failed at once do not
// come back at once. Not safe for concurrent use.
type Backoff struct {
	Min, Max time.Duration
	next     time.Duration
}

// Wait pauses; it returns early with the context's error.
func (b *Backoff) Wait(ctx context.Context) error {
	timer := time.NewTimer(vary(b.advance()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Reset is for after a success: the next Wait takes Min again.
func (b *Backoff) Reset() { b.next = 0 }

func (b *Backoff) advance() time.Duration {
	pause := max(b.next, b.Min)
	b.next = min(2*pause, max(b.Max, b.Min))
	return pause
}

func vary(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}
