package peerlink

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff is the pause between retries. The first pause is Min, and each following one is twice as
// long, up to Max. Each is varied by up to a fifth in either direction, so that many clients that
// failed together do not retry together. It is not safe for concurrent use.
type Backoff struct {
	Min, Max time.Duration
	next     time.Duration
}

// Wait pauses. If the context ends first, it returns the context's error.
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

// Reset makes the next pause Min again. Call it after a success.
func (b *Backoff) Reset() { b.next = 0 }

func (b *Backoff) advance() time.Duration {
	pause := max(b.next, b.Min)
	b.next = min(2*pause, max(b.Max, b.Min))
	return pause
}

func vary(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}
