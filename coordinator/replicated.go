package coordinator

import (
	"errors"
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
	running bool // a goroutine waits for the first
}

type waitingAppend struct {
	written replication.Written
	until   time.Time
	then    func(error)
}

// AfterReplicated calls then with the outcome of an append, as of Topic.AwaitReplicated: at once if
// it is known, else from a goroutine that the appends of the partition share. After Stop, then may
// not be called.
func (r *Runtime[E]) AfterReplicated(index int32, w replication.Written, timeout time.Duration, then func(error)) {
	err := r.cfg.Topic.AwaitReplicated(index, w, 0, r.done)
	if !errors.Is(err, protocol.RequestTimedOut) {
		then(err)
		return
	}
	q := &r.partitions[index].waiting
	q.mu.Lock()
	defer q.mu.Unlock()
	q.appends = append(q.appends, waitingAppend{w, time.Now().Add(timeout), then})
	if !q.running {
		q.running = r.Go(func() { r.awaitAll(index, q) })
	}
}

// awaitAll waits for each append of the queue until it is empty.
func (r *Runtime[E]) awaitAll(index int32, q *waiting) {
	for {
		first, any := q.first()
		if !any {
			return
		}
		first.then(r.cfg.Topic.AwaitReplicated(index, first.written, max(time.Until(first.until), 0), r.done))
	}
}

// first removes and returns the first append. If there is none, running ends.
func (q *waiting) first() (first waitingAppend, any bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.appends) == 0 {
		q.appends, q.running = nil, false
		return waitingAppend{}, false
	}
	first, q.appends[0] = q.appends[0], waitingAppend{}
	q.appends = q.appends[1:]
	return first, true
}
