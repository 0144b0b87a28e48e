package api

import (
	"context"
	"time"
)

// callback starts an asynchronous call and returns what that passes to its callback, or the error
// of ctx if ctx ends first.
func callback[T any](ctx context.Context, call func(done func(T))) (T, error) {
	answers := make(chan T, 1)
	call(func(answer T) { answers <- answer })
	select {
	case answer := <-answers:
		return answer, nil
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

func millis(n int32) time.Duration { return time.Duration(n) * time.Millisecond }
