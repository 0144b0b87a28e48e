package api

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/monedula/monedula/metadata"
)

// Metadata is what the broker knows about the cluster. It is implemented by *metadata.Cache.
type Metadata interface {
	Snapshot() *metadata.Snapshot
	// Await waits until done returns true for the current snapshot, the timeout expires or ctx
	// ends. It returns the last result of done.
	Await(ctx context.Context, timeout time.Duration, done func(*metadata.Snapshot) bool) bool
}

var _ Metadata = (*metadata.Cache)(nil)

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

// known returns a function that reports whether the metadata has the topic.
func known(m Metadata) func(topic string) bool {
	return func(topic string) bool { return m.Snapshot().Topics[topic] != nil }
}

func millis(n int32) time.Duration { return time.Duration(n) * time.Millisecond }

// sortedKeys returns the keys of a map, ascending.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
