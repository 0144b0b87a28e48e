package storage

import (
	"sync"
	"sync/atomic"
	"time"
)

// scheduler runs work after a delay or periodically. It uses no goroutine while it waits: every
// entry is a timer that hands its work to a pool.
type scheduler struct {
	// later, if set, runs all work instead of timers and pools.
	later func(delay time.Duration, f func())

	mu     sync.Mutex // guards the fields below
	closed bool
	timers map[*time.Timer]struct{}
}

func newScheduler(later func(delay time.Duration, f func())) *scheduler {
	return &scheduler{later: later, timers: make(map[*time.Timer]struct{})}
}

// after runs f on the pool after the delay, or at once if it is 0. Work that is not due when the
// scheduler closes is dropped.
func (s *scheduler) after(delay time.Duration, p *pool, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if s.later != nil {
		s.later(delay, func() {
			if s.open() {
				f()
			}
		})
		return
	}
	if delay <= 0 {
		p.run(f)
		return
	}
	var t *time.Timer
	t = time.AfterFunc(delay, func() {
		s.mu.Lock()
		_, live := s.timers[t]
		delete(s.timers, t)
		s.mu.Unlock()
		if live {
			p.run(f)
		}
	})
	s.timers[t] = struct{}{}
}

// every runs f on the pool after the initial delay, and then again a period after each end, so that
// runs of one f never overlap. As in Kafka's scheduler, f runs only once if the period is 0 or
// less.
func (s *scheduler) every(initial, period time.Duration, p *pool, f func()) {
	s.after(initial, p, func() {
		f()
		if period > 0 {
			s.every(period, period, p, f)
		}
	})
}

// inParallel calls f for 0 to n-1, at most atOnce calls at the same time, and returns when all
// calls have returned. In a simulation the calls run one after the other.
func (s *scheduler) inParallel(n, atOnce int, f func(i int)) {
	if s.later != nil || n < 2 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, atOnce) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

func (s *scheduler) open() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed
}

// close drops all work that has not been handed to a pool.
func (s *scheduler) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for t := range s.timers {
		t.Stop()
	}
	clear(s.timers)
}

// pool runs work on at most limit goroutines, which end when no work is left.
type pool struct {
	limit int

	mu      sync.Mutex // guards the fields below
	idle    *sync.Cond // signaled when running drops to 0
	queue   []func()
	running int
}

func newPool(limit int) *pool {
	p := &pool{limit: max(limit, 1)}
	p.idle = sync.NewCond(&p.mu)
	return p
}

func (p *pool) run(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, f)
	if p.running < p.limit {
		p.running++
		go p.work()
	}
}

func (p *pool) work() {
	for {
		p.mu.Lock()
		if len(p.queue) == 0 {
			p.running--
			if p.running == 0 {
				p.idle.Broadcast()
			}
			p.mu.Unlock()
			return
		}
		f := p.queue[0]
		p.queue[0] = nil
		p.queue = p.queue[1:]
		p.mu.Unlock()
		f()
	}
}

// wait returns when all work handed in has been done.
func (p *pool) wait() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.running > 0 {
		p.idle.Wait()
	}
}
