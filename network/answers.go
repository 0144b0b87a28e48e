package network

import (
	"sync"
	"time"
)

// answer is a response to write, with its request.
type answer struct {
	Response
	req    *Request
	timing Timing
	queued time.Time
}

// maxQueuedAnswers is how many responses may wait behind a Deferred one before the connection stops
// reading.
const maxQueuedAnswers = 64

// answers is the queue of a connection's responses while a Deferred one is not complete. While the
// queue is not empty, a second goroutine takes the responses in order, waits for each and writes
// it.
type answers struct {
	conn *conn

	mu      sync.Mutex
	changed sync.Cond // uses mu
	queue   []answer  // guarded by mu
	running bool      // guarded by mu: the second goroutine exists
	failed  bool      // guarded by mu: the connection must end, nothing more is written
}

func (q *answers) init(c *conn) {
	q.conn = c
	q.changed.L = &q.mu
}

// pending reports whether a response has not been written yet.
func (q *answers) pending() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.running
}

// add queues a response. It returns false if the connection must end; the response is then dropped.
func (q *answers) add(a answer) bool {
	a.queued = time.Now()
	q.mu.Lock()
	for len(q.queue) >= maxQueuedAnswers && !q.failed {
		q.changed.Wait()
	}
	q.queue = append(q.queue, a)
	if !q.running {
		q.running = true
		go q.write()
	}
	failed := q.failed
	q.mu.Unlock()
	return !failed
}

// drain waits until all responses have been written. It returns false if the connection must end.
func (q *answers) drain() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.running {
		q.changed.Wait()
	}
	return !q.failed
}

// write finishes the responses in the order of the queue until it is empty. It runs in the second
// goroutine.
func (q *answers) write() {
	for {
		q.mu.Lock()
		if len(q.queue) == 0 {
			q.running = false
			q.queue = nil
			q.changed.Broadcast()
			q.mu.Unlock()
			return
		}
		a := q.queue[0]
		q.queue[0] = answer{}
		q.queue = q.queue[1:]
		failed := q.failed
		q.changed.Broadcast()
		q.mu.Unlock()
		if !q.finish(a, failed) && !failed {
			q.mu.Lock()
			q.failed = true
			q.changed.Broadcast()
			q.mu.Unlock()
			q.conn.cut()
		}
	}
}

// finish waits for a response and writes it, or drops it if drop is set. It returns false if the
// connection must end.
func (q *answers) finish(a answer, drop bool) bool {
	c := q.conn
	a.timing.Queued = time.Since(a.queued)
	if deferred := a.Deferred; deferred != nil {
		started := time.Now()
		a.Response = c.call(a.req, deferred)
		a.timing.Serve += time.Since(started)
	}
	if drop {
		a.Runs, a.Close = nil, true
	}
	return c.finish(a)
}
