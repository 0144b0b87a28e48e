package coordinator

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/replication"
)

// waiting has the appends of one partition that are not on all in-sync replicas yet, in the order of
// their offsets. The high watermark passes them in this order, so one goroutine waits for all.
type waiting struct {
	mu      sync.Mutex // a leaf
	appends []waitingAppend
	next    time.Time // not after the first timeout of an append
	running bool      // a goroutine waits for the first append
}

type waitingAppend struct {
	written replication.Written
	until   time.Time
	then    func(error)
}

// waitStep is how long the goroutine waits at most until it looks for timeouts of later appends.
const waitStep = 250 * time.Millisecond

// AfterReplicated calls then with the outcome of an append, as of Topic.AwaitReplicated: at once if
// it is known, else from background work that the appends of the partition share. After Stop, then
// may not be called.
func (r *Runtime[E]) AfterReplicated(index int32, w replication.Written, timeout time.Duration, then func(error)) {
	err := r.cfg.Topic.AwaitReplicated(index, w, 0, r.done)
	if !errors.Is(err, protocol.RequestTimedOut) {
		then(err)
		return
	}
	q := &r.partitions[index].waiting
	q.mu.Lock()
	defer q.mu.Unlock()
	until := r.cfg.Now().Add(timeout)
	if len(q.appends) == 0 || until.Before(q.next) {
		q.next = until
	}
	q.appends = append(q.appends, waitingAppend{w, until, then})
	if !q.running {
		q.running = r.Begin(Work{
			Run: func() {
				for r.awaitFirst(index, q, waitStep) {
				}
			},
			Step: func() bool { return r.awaitFirst(index, q, 0) },
		})
	}
}

// awaitFirst waits for the first append of the queue, at most for the given time. It returns false if
// the queue is empty.
func (r *Runtime[E]) awaitFirst(index int32, q *waiting, most time.Duration) bool {
	first, patience, any := q.first(r.cfg.Now())
	if !any {
		return false
	}
	err := r.cfg.Topic.AwaitReplicated(index, first.written, min(patience, most), r.done)
	if errors.Is(err, protocol.RequestTimedOut) {
		for _, late := range q.late(r.cfg.Now(), r.done) {
			late.then(err)
		}
		return true
	}
	q.pop()
	first.then(err)
	return true
}

// first returns the first append and how long to wait until a timeout is over. If there is none,
// running ends.
func (q *waiting) first(now time.Time) (first waitingAppend, patience time.Duration, any bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.appends) == 0 {
		q.appends, q.running = nil, false
		return waitingAppend{}, 0, false
	}
	return q.appends[0], max(q.next.Sub(now), 0), true
}

func (q *waiting) pop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.appends[0] = waitingAppend{}
	q.appends = q.appends[1:]
}

// late removes and returns the appends whose timeout is over, or all if done is closed.
func (q *waiting) late(now time.Time, done <-chan struct{}) (late []waitingAppend) {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := false
	select {
	case <-done:
		all = true
	default:
	}
	if !all && now.Before(q.next) {
		return nil
	}
	q.next = now.Add(time.Hour)
	q.appends = slices.DeleteFunc(q.appends, func(a waitingAppend) bool {
		if all || !now.Before(a.until) {
			late = append(late, a)
			return true
		}
		if a.until.Before(q.next) {
			q.next = a.until
		}
		return false
	})
	return late
}
