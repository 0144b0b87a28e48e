package replication

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/settings"
)

// NoQuota is the rate that means unlimited.
const NoQuota int64 = math.MaxInt64

// quota is a limit in bytes per second (KIP-73). The rate is what was recorded in the last windows,
// divided by the time since the oldest of them began. It never waits: a copier calls exceeded
// before and record after copying.
type quota struct {
	windows int64
	windowN int64 // length of a window in ns
	limit   atomic.Int64

	mu      sync.Mutex // a leaf; guards samples
	samples []quotaSample
}

// quotaSample is the number of bytes recorded in one window. window numbers the windows since 1970.
type quotaSample struct{ window, bytes int64 }

// newQuota returns an unlimited quota with the given number and length of windows.
func newQuota(windows int32, length time.Duration) *quota {
	q := &quota{windows: int64(windows), windowN: length.Nanoseconds()}
	q.limit.Store(NoQuota)
	return q
}

// record counts copied bytes.
func (q *quota) record(bytes int64, now time.Time) {
	if bytes == 0 {
		return
	}
	window := now.UnixNano() / q.windowN
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := len(q.samples); n > 0 && q.samples[n-1].window >= window {
		q.samples[n-1].bytes += bytes
		return
	}
	q.expireLocked(window)
	q.samples = append(q.samples, quotaSample{window, bytes})
}

func (q *quota) expireLocked(window int64) {
	q.samples = slices.DeleteFunc(q.samples, func(s quotaSample) bool { return s.window <= window-q.windows })
}

// exceeded reports whether the rate is above the limit now.
func (q *quota) exceeded(now time.Time) bool {
	limit := q.limit.Load()
	return limit != NoQuota && q.rate(now) > float64(limit)
}

// limited reports whether the quota has a limit.
func (q *quota) limited() bool { return q.limit.Load() != NoQuota }

// rate returns the bytes per second over the windows that still count. An elapsed time below one
// window counts as one window.
func (q *quota) rate(now time.Time) float64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.expireLocked(now.UnixNano() / q.windowN)
	if len(q.samples) == 0 {
		return 0
	}
	var bytes int64
	for _, s := range q.samples {
		bytes += s.bytes
	}
	elapsed := max(now.UnixNano()-q.samples[0].window*q.windowN, q.windowN)
	return float64(bytes) / time.Duration(elapsed).Seconds()
}

// quotas holds a broker's limits on copying between replicas.
type quotas struct {
	leader   *quota // bytes sent to throttled followers
	follower *quota // bytes fetched for throttled replicas
	moves    *quota // bytes moved between log directories
}

func newQuotas(o *Options) quotas {
	return quotas{
		leader:   newQuota(o.QuotaWindows, o.QuotaWindow),
		follower: newQuota(o.QuotaWindows, o.QuotaWindow),
		moves:    newQuota(o.MoveQuotaWindows, o.MoveQuotaWindow),
	}
}

// Rates holds limits in bytes per second; NoQuota means unlimited.
type Rates struct {
	Leader   int64 // leader.replication.throttled.rate
	Follower int64 // follower.replication.throttled.rate
	Moves    int64 // replica.alter.log.dirs.io.max.bytes.per.second
}

// RatesOf reads the limits from a broker's configuration.
func RatesOf(d *settings.Dynamic) Rates {
	return Rates{
		Leader:   settings.LeaderReplicationThrottledRate.Of(d),
		Follower: settings.FollowerReplicationThrottledRate.Of(d),
		Moves:    settings.ReplicaAlterLogDirsIOMaxBytesPerSecond.Of(d),
	}
}

// SetRates applies new limits.
func (m *Manager) SetRates(r Rates) {
	m.quotas.leader.limit.Store(r.Leader)
	m.quotas.follower.limit.Store(r.Follower)
	m.quotas.moves.limit.Store(r.Moves)
}

// leaderThrottlesLocked reports whether the follower gets no data of the partition for now: it is
// not in sync, the leader's quota applies to this replica, and the quota is exhausted. In-sync
// followers are never throttled. The caller must hold mu; shared is enough.
func (p *Partition) leaderThrottlesLocked(follower metadata.BrokerID) bool {
	return !p.isr.inCommitted.has(follower) && p.leaderQuotaHolds(p.log.Config()) && p.m.quotas.leader.exceeded(p.m.now())
}

func (p *Partition) leaderQuotaHolds(c *settings.Topic) bool {
	return c.LeaderThrottled.Has(p.id.Partition, p.m.opts.BrokerID)
}

// followerQuotaHolds reports whether fetched bytes of the partition count toward the follower's
// quota.
func (p *Partition) followerQuotaHolds() bool {
	log := p.Log()
	return log != nil && log.Config().FollowerThrottled.Has(p.id.Partition, p.m.opts.BrokerID)
}

// held reports whether the partition is left out of the next fetch: it lags, or its lag is unknown,
// and the follower's quota applies to it and is exhausted.
func (p *following) held(now time.Time) bool {
	return p.lag != 0 && p.partition.m.quotas.follower.exceeded(now) && p.partition.followerQuotaHolds()
}

// recordSent counts bytes sent to a follower, in sync or not. Those of a throttled partition count
// toward the leader's quota.
func (p *Partition) recordSent(follower metadata.BrokerID, bytes int64, now time.Time) {
	p.traffic.replicationBytesOut.Add(bytes)
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.adding.has(follower) {
		p.traffic.reassignmentBytesOut.Add(bytes)
	}
	if p.log != nil && p.leaderQuotaHolds(p.log.Config()) {
		p.m.quotas.leader.record(bytes, now)
	}
}
