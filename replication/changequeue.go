package replication

import (
	"maps"
	"slices"
	"sync"
)

// changeQueue is the queue of changes of in-sync replicas, at most one per partition.
type changeQueue struct {
	wakeup chan struct{} // one slot; filled when a change is added

	mu      sync.Mutex // a leaf; guards the fields below
	waiting map[TopicPartition]*waitingChange
	added   int // number of changes added so far
}

type waitingChange struct {
	place  int // position in the order of adding
	change ISRChange
	done   func(ISRAnswer)
}

func newChangeQueue() *changeQueue {
	return &changeQueue{wakeup: make(chan struct{}, 1), waiting: map[TopicPartition]*waitingChange{}}
}

// add queues a change. It returns false if one of its partition is already queued.
func (q *changeQueue) add(change ISRChange, done func(ISRAnswer)) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting[change.Partition] != nil {
		return false
	}
	q.added++
	q.waiting[change.Partition] = &waitingChange{place: q.added, change: change, done: done}
	select {
	case q.wakeup <- struct{}{}:
	default:
	}
	return true
}

// all returns the queued changes, oldest first.
func (q *changeQueue) all() []*waitingChange {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := slices.Collect(maps.Values(q.waiting))
	slices.SortFunc(all, func(x, y *waitingChange) int { return x.place - y.place })
	return all
}

// remove removes the change of a partition and returns it, or nil if none is queued. It must be
// called before the partition gets the answer, because the partition may submit its next change at
// once.
func (q *changeQueue) remove(id TopicPartition) *waitingChange {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.waiting[id]
	delete(q.waiting, id)
	return w
}
