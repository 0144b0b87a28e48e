package replication

import (
	"maps"
	"slices"
	"sync"
)

// changeQueue is the changes of in-sync replicas that wait to be decided, at most
// one of a partition.
type changeQueue struct {
	wakeup chan struct{} // one slot: changes were added

	mu      sync.Mutex // a leaf; guards what follows
	waiting map[TopicPartition]*waitingChange
	added   int // changes so far
}

type waitingChange struct {
	place  int // in the order in which changes were added
	change ISRChange
	done   func(ISRAnswer)
}

func newChangeQueue() *changeQueue {
	return &changeQueue{wakeup: make(chan struct{}, 1), waiting: map[TopicPartition]*waitingChange{}}
}

// add queues a change; false where one of its partition waits already.
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

// all is all changes that wait, oldest first.
func (q *changeQueue) all() []*waitingChange {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := slices.Collect(maps.Values(q.waiting))
	slices.SortFunc(all, func(x, y *waitingChange) int { return x.place - y.place })
	return all
}

// remove takes a partition's change out, before the partition is told of the
// answer: it may submit the next one at once. nil where none waits.
func (q *changeQueue) remove(id TopicPartition) *waitingChange {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.waiting[id]
	delete(q.waiting, id)
	return w
}
