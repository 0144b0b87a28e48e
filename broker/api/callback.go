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

// outcome is like callback, for calls that pass a result and an error. refused is the error that
// was passed; err is the error of ctx.
func outcome[T any](ctx context.Context, call func(done func(T, error))) (result T, refused, err error) {
	type pair struct {
		result T
		err    error
	}
	p, err := callback(ctx, func(done func(pair)) {
		call(func(result T, err error) { done(pair{result, err}) })
	})
	return p.result, p.err, err
}

func millis(n int32) time.Duration { return time.Duration(n) * time.Millisecond }
