// Package producerids hands out producer ids, which are unique in the cluster
// for ever. They come in blocks of 1000: from the controller by
// AllocateProducerIds (KIP-730), or, below IBP 3.0, straight from
// /latest_producer_id_block.
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

// Block is a range of ids that belong to this broker alone.
type Block struct {
	Start int64
	Count int32
}

// Source gives a new block; one that was asked for and never arrived is lost,
// which does not matter.
type Source func(ctx context.Context) (Block, error)

const (
	// prefetchAt is the share of a block after which the next one is fetched.
	prefetchAt = 0.9
	// retryPause is the time between two tries to fetch a block. After waitLimit it
	// doubles with each, up to retryPauseMax: there may be no controller for long.
	retryPause    = 50 * time.Millisecond
	retryPauseMax = time.Second
	// waitLimit is how long Next waits for a block before it tells the client to
	// come back. Kafka does not wait at all; the client notices no difference but
	// the time it saves.
	waitLimit = time.Second
)

// Manager hands out the ids of one broker. Safe for concurrent use.
type Manager struct {
	source Source
	log    *logrus.Entry
	ctx    context.Context // ends at Close
	cancel context.CancelFunc

	mu       sync.Mutex // guards what follows
	current  block
	spare    *block        // fetched ahead, nil: none
	fetching chan struct{} // closed when the fetch that runs has brought a block; nil: none runs
}

// block is what is left of a Block.
type block struct {
	next, end int64
	prefetch  int64 // handing this id out starts the next fetch
}

// New returns a Manager that has no ids yet.
func New(source Source, log *logrus.Logger) *Manager {
	ctx, cancel := context.WithCancel(context.Background())
	return &Manager{source: source, log: kafkalog.For(log, "kafka.coordinator.transaction.RPCProducerIdManager"), ctx: ctx, cancel: cancel}
}

// Close ends fetches; who waits for an id is told to come back.
func (m *Manager) Close() { m.cancel() }

// Fetch begins to fetch a first block, so that the first client need not wait:
// brokers below IBP 3.0 do so at the start.
func (m *Manager) Fetch() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fetchLocked()
}

// Next returns an id that was never handed out. Where none is to be had within
// a second the error is COORDINATOR_LOAD_IN_PROGRESS, on which clients of all
// ages try again.
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

// take returns an id, or what to wait for.
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

// fetchLocked starts a fetch unless one runs.
func (m *Manager) fetchLocked() {
	if m.fetching != nil || m.spare != nil {
		return
	}
	m.fetching = make(chan struct{})
	go m.fetch()
}

// fetch asks until it gets a block.
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
