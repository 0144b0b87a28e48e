// Package producerids hands out producer ids, which are never reused in the cluster. A broker gets
// them in blocks of 1000: from the controller with AllocateProducerIds (KIP-730) or, below IBP 3.0,
// directly from /latest_producer_id_block.
package producerids

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/protocol"
)

// Block is a range of ids that belongs to this broker only.
type Block struct {
	Start int64
	Count int32
}

// Source returns a new block. A block that was allocated but did not arrive is lost, which does no
// harm.
type Source func(ctx context.Context) (Block, error)

const (
	// prefetchAt is the share of a block after which the next block is fetched.
	prefetchAt = 0.9
	// retryPause is the pause between two attempts to fetch a block. After waitLimit it doubles
	// with each attempt, up to retryPauseMax, because there may be no controller for a long time.
	retryPause    = 50 * time.Millisecond
	retryPauseMax = time.Second
	// waitLimit is how long Next waits for a block before the client must retry. Kafka does not
	// wait at all; clients see no difference except the time saved.
	waitLimit = time.Second
)

// Manager hands out the ids of one broker. It is safe for concurrent use.
type Manager struct {
	source Source
	log    *logrus.Entry
	ctx    context.Context // canceled by Close
	cancel context.CancelFunc

	mu       sync.Mutex // guards the fields below
	current  block
	spare    *block        // fetched ahead; nil: none
	fetching chan struct{} // closed when the running fetch has stored a block; nil: no fetch runs
}

// block holds the ids of a Block that are not handed out yet: from next to end, without end.
type block struct {
	next, end int64
	prefetch  int64 // handing out this id starts the next fetch
}

// New returns a Manager without ids.
func New(source Source, log *logrus.Logger) *Manager {
	ctx, cancel := context.WithCancel(context.Background())
	return &Manager{source: source, log: kafkalog.For(log, "kafka.coordinator.transaction.RPCProducerIdManager"), ctx: ctx, cancel: cancel}
}

// Close ends fetches. Waiting callers of Next get an error on which clients retry.
func (m *Manager) Close() { m.cancel() }

// Fetch starts fetching a first block, so that the first client need not wait. Brokers below IBP
// 3.0 call it at startup.
func (m *Manager) Fetch() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fetchLocked()
}

// Next returns an id that was never handed out. If none is available within waitLimit, the error is
// COORDINATOR_LOAD_IN_PROGRESS, on which clients of all versions retry.
func (m *Manager) Next(ctx context.Context) (int64, error) {
	limit := time.NewTimer(waitLimit)
	defer limit.Stop()
	for {
		id, arrives, ok := m.take()
		if ok {
			return id, nil
		}
		select {
		case <-arrives:
		case <-limit.C:
			return 0, errNoBlock
		case <-ctx.Done():
			return 0, errNoBlock
		case <-m.ctx.Done():
			return 0, errNoBlock
		}
	}
}

var errNoBlock = protocol.Errorf(protocol.CoordinatorLoadInProgress, "Producer ID block is full. Waiting for next block")

// take returns an id, or a channel that is closed when a block has arrived.
func (m *Manager) take() (id int64, arrives <-chan struct{}, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.current.next == m.current.end && m.spare != nil {
		m.current, m.spare = *m.spare, nil
	}
	if m.current.next == m.current.end {
		m.fetchLocked()
		return 0, m.fetching, false
	}
	id = m.current.next
	m.current.next++
	if id == m.current.prefetch {
		m.fetchLocked()
	}
	return id, nil, true
}

// fetchLocked starts a fetch unless one is running.
func (m *Manager) fetchLocked() {
	if m.fetching != nil || m.spare != nil {
		return
	}
	m.fetching = make(chan struct{})
	go m.fetch()
}

// fetch calls the source until it gets a block.
func (m *Manager) fetch() {
	for began, pause := time.Now(), retryPause; ; {
		b, err := m.source(m.ctx)
		if err == nil && b.Count <= 0 {
			err = fmt.Errorf("the block is empty: %+v", b)
		}
		if err == nil {
			m.arrived(b)
			return
		}
		if m.ctx.Err() != nil {
			return
		}
		m.log.WithError(err).Warn("Had an unknown error getting a block of producer ids, will try again")
		select {
		case <-time.After(pause):
		case <-m.ctx.Done():
			return
		}
		if time.Since(began) >= waitLimit {
			pause = min(2*pause, retryPauseMax)
		}
	}
}

func (m *Manager) arrived(b Block) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spare = &block{next: b.Start, end: b.Start + int64(b.Count), prefetch: b.Start + int64(float64(b.Count)*prefetchAt)}
	close(m.fetching)
	m.fetching = nil
}
