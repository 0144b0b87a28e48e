package replication

import (
	"sync/atomic"
	"time"

	"github.com/monedula/monedula/record"
)

// Meters counts what belongs to no topic, with atomics.
type Meters struct {
	rejections rejections
	waits      parkedCounts
}

// Meters returns the counters of the manager.
func (m *Manager) Meters() *Meters { return &m.meters }

// rejections counts the records that were refused, by flaw, from clients and from leaders.
type rejections [len(record.Flaws{})]atomic.Int64

func (r *rejections) count(err error) {
	for flaw, n := range record.FlawsOf(err) {
		if n > 0 {
			r[flaw].Add(n)
		}
	}
}

// Rejections returns how many records or batches were refused since the start, by flaw.
func (m *Meters) Rejections() (all record.Flaws) {
	for i := range m.rejections {
		all[i] = m.rejections[i].Load()
	}
	return all
}

// ParkedCounts counts waiting requests of one kind: Kafka's purgatory of delayed operations.
type ParkedCounts struct {
	Requests int64 // that wait now (NumDelayedOperations)
	Watches  int64 // on partitions or fetch sessions, of these requests (PurgatorySize)
}

// parkedKind is a kind of waiting requests.
type parkedKind int8

const (
	parkedProduce parkedKind = iota
	parkedConsumer
	parkedFollower
	parkedDelete
	parkedKinds
)

// parkedCounts counts the waiting requests of each kind, and those whose wait ended with its
// timeout.
type parkedCounts [parkedKinds]struct{ requests, watches, expired atomic.Int64 }

// await waits like waiter.await and counts the wait.
func (c *parkedCounts) await(kind parkedKind, w *waiter, timeout time.Duration, done <-chan struct{}, ready func() bool) outcome {
	of, watches := &c[kind], max(1, int64(len(w.regs)))
	of.requests.Add(1)
	of.watches.Add(watches)
	o := w.await(timeout, done, ready)
	of.requests.Add(-1)
	of.watches.Add(-watches)
	if o == expired {
		of.expired.Add(1)
	}
	return o
}

// Parked returns the waiting requests by the names of Kafka's purgatories: Produce, Fetch and
// DeleteRecords.
func (m *Meters) Parked() map[string]ParkedCounts {
	of := func(kinds ...parkedKind) (c ParkedCounts) {
		for _, k := range kinds {
			c.Requests += m.waits[k].requests.Load()
			c.Watches += m.waits[k].watches.Load()
		}
		return c
	}
	return map[string]ParkedCounts{"Produce": of(parkedProduce), "Fetch": of(parkedConsumer, parkedFollower), "DeleteRecords": of(parkedDelete)}
}

// ExpiredFetches returns how many waiting fetches were answered since the start because their
// timeout had passed.
func (m *Meters) ExpiredFetches() (consumers, followers int64) {
	return m.waits[parkedConsumer].expired.Load(), m.waits[parkedFollower].expired.Load()
}

// ThrottledRates returns how many bytes per second were sent to throttled followers, fetched for
// throttled replicas, and moved between log directories, over the windows of the quotas.
func (m *Manager) ThrottledRates() (leader, follower, moves float64) {
	now := m.now()
	return m.quotas.leader.rate(now), m.quotas.follower.rate(now), m.quotas.moves.rate(now)
}

// lateBuffer is how much longer than transaction.max.timeout.ms a transaction must be open to be
// late, as in Kafka.
const lateBuffer = 5 * time.Minute

// ProducerCounts returns the number of producers that the logs remember and, given
// transaction.max.timeout.ms, the number of partitions with a transaction that should have ended.
func (m *Manager) ProducerCounts(maxTimeout time.Duration) (producers, late int) {
	began := m.now().Add(-maxTimeout - lateBuffer).UnixMilli()
	for _, p := range m.Partitions() {
		log := p.Log()
		if log == nil || p.offline() {
			continue
		}
		n, oldest := log.ProducerCounts()
		producers += n
		if oldest >= 0 && oldest < began {
			late++
		}
	}
	return producers, late
}

// FetcherStats describes a fetcher, which follows some partitions of a leader. Counts are since the
// fetcher began.
type FetcherStats struct {
	ClientID string // of the fetcher, as in Kafka's metrics
	Address  string // of the leader; empty if it was not known yet
	Requests int64  // answered Fetch requests
	Bytes    int64  // of the records received
}

// fetcherCounts counts for FetcherStats.
type fetcherCounts struct {
	requests, bytes atomic.Int64
	address         atomic.Pointer[string]
}

// FetcherStats returns the statistics of all fetchers, in no particular order.
func (m *Manager) FetcherStats() []FetcherStats {
	var all []FetcherStats
	for _, f := range m.fetchers.list() {
		s := FetcherStats{ClientID: f.clientID(), Requests: f.counts.requests.Load(), Bytes: f.counts.bytes.Load()}
		if address := f.counts.address.Load(); address != nil {
			s.Address = *address
		}
		all = append(all, s)
	}
	return all
}

// MoveStats describes the moves of partitions between log directories.
type MoveStats struct {
	Moves  int   // running now
	MaxLag int64 // of a running move: the offsets that its log does not have yet
	Failed int64 // since the start: moves that ended with an error
	Steps  int64 // since the start: pieces copied
}

// MoveStats returns the statistics of moves.
func (m *Manager) MoveStats() MoveStats {
	mr := m.mover
	mr.mu.Lock()
	s := MoveStats{Moves: len(mr.moves), Failed: mr.failed}
	ids := make([]TopicPartition, 0, len(mr.moves))
	for id := range mr.moves {
		ids = append(ids, id)
	}
	mr.mu.Unlock()
	s.Steps = mr.steps.Load()
	for _, id := range ids {
		log, future := m.cfg.Logs.Log(id), m.cfg.Logs.FutureLog(id)
		if log != nil && future != nil {
			s.MaxLag = max(s.MaxLag, int64(log.Offsets().LogEnd-future.Offsets().LogEnd))
		}
	}
	return s
}
