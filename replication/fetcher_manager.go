package replication

import (
	"maps"
	"slices"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
)

// fetcherManager distributes the partitions that follow other brokers to fetchers:
// num.replica.fetchers per leader.
//
// Locks: mu, then a fetcher's own; both come before any Partition's.
type fetcherManager struct {
	m   *Manager
	log *logrus.Entry

	mu        sync.Mutex // guards the fields below
	closed    bool
	perLeader int32 // num.replica.fetchers
	fetchers  map[fetcherKey]*fetcher
	// failed are the partitions that are no longer followed because of an error. The next
	// LeaderAndIsr with a new epoch tries again.
	failed map[TopicPartition]struct{}
}

type fetcherKey struct {
	leader metadata.BrokerID
	id     int32
}

func newFetcherManager(m *Manager) *fetcherManager {
	return &fetcherManager{m: m, log: kafkalog.For(m.cfg.Logger, "kafka.server.ReplicaFetcherManager"),
		perLeader: max(m.opts.Fetchers, 1), fetchers: map[fetcherKey]*fetcher{}, failed: map[TopicPartition]struct{}{}}
}

// follow starts fetching the partitions from the leaders of their roles.
func (fm *fetcherManager) follow(entries []*roleEntry) {
	if len(entries) == 0 {
		return
	}
	fm.mu.Lock()
	defer fm.mu.Unlock()
	if fm.closed {
		return
	}
	var ids []TopicPartition
	for _, e := range entries {
		start, ok := e.partition.startFollowing(e.role.topicID, fm.m.opts.PeerVersions.TruncateOnFetch)
		if !ok {
			continue
		}
		delete(fm.failed, e.id)
		ids = append(ids, e.id)
		fm.fetcherLocked(e.role.leader, e.id).add(start)
	}
	fm.log.Infof("[ReplicaFetcherManager on broker %d] Added fetcher for partitions %s", fm.m.opts.BrokerID, partitionSet(ids))
}

func (fm *fetcherManager) fetcherLocked(leader metadata.BrokerID, id TopicPartition) *fetcher {
	key := fetcherKey{leader: leader, id: fetcherID(id, fm.perLeader)}
	f := fm.fetchers[key]
	if f == nil {
		f = newFetcher(fm, key)
		fm.fetchers[key] = f
		if drive := fm.m.cfg.Follow; drive != nil {
			close(f.done)
			drive(&Follower{f})
		} else {
			go f.run()
		}
	}
	return f
}

// remove stops following the partitions. When it returns, no fetcher appends to or truncates any of
// them.
func (fm *fetcherManager) remove(ids []TopicPartition) {
	if len(ids) == 0 {
		return
	}
	fm.mu.Lock()
	defer fm.mu.Unlock()
	var removed []TopicPartition
	for _, id := range ids {
		delete(fm.failed, id)
		for _, f := range fm.fetchers {
			if f.remove(id) {
				removed = append(removed, id)
			}
		}
	}
	if len(removed) > 0 {
		fm.log.Infof("[ReplicaFetcherManager on broker %d] Removed fetcher for partitions %s", fm.m.opts.BrokerID, partitionSet(removed))
	}
}

// setTopicID passes a topic id that was assigned or removed within an epoch to the fetchers.
func (fm *fetcherManager) setTopicID(id TopicPartition, topicID TopicID) {
	fm.mu.Lock()
	defer fm.mu.Unlock()
	for _, f := range fm.fetchers {
		f.setTopicID(id, topicID)
	}
}

// resize distributes the partitions to another number of fetchers per leader. Every partition
// continues at its position.
func (fm *fetcherManager) resize(perLeader int32) {
	fm.mu.Lock()
	if fm.closed || perLeader == fm.perLeader {
		fm.mu.Unlock()
		return
	}
	fm.log.Infof("[ReplicaFetcherManager on broker %d] Resizing fetcher thread pool size from %d to %d", fm.m.opts.BrokerID, fm.perLeader, perLeader)
	fm.perLeader = perLeader
	for key, f := range maps.Clone(fm.fetchers) {
		for _, p := range f.takeAll() {
			fm.fetcherLocked(key.leader, p.id).add(p)
		}
	}
	fm.mu.Unlock()
	fm.stopIdle()
}

// stopIdle closes the fetchers without partitions.
func (fm *fetcherManager) stopIdle() {
	fm.mu.Lock()
	var idle []*fetcher
	for key, f := range fm.fetchers {
		if f.idle() {
			idle = append(idle, f)
			delete(fm.fetchers, key)
		}
	}
	fm.mu.Unlock()
	for _, f := range idle {
		f.close()
	}
}

// markFailed records that following a partition ended with an error, unless the partition has a
// newer leader epoch by now: then it is followed again or led here.
func (fm *fetcherManager) markFailed(p *following) {
	fm.mu.Lock()
	defer fm.mu.Unlock()
	if p.partition.State().LeaderEpoch == p.epoch {
		fm.failed[p.id] = struct{}{}
	}
}

func (fm *fetcherManager) failedCount() int {
	fm.mu.Lock()
	defer fm.mu.Unlock()
	return len(fm.failed)
}

// list returns the fetchers in no particular order.
func (fm *fetcherManager) list() []*fetcher {
	fm.mu.Lock()
	defer fm.mu.Unlock()
	return slices.Collect(maps.Values(fm.fetchers))
}

// FollowerLag is the number of messages by which a partition followed here lags behind its leader;
// -1 while unknown.
type FollowerLag struct {
	Partition TopicPartition
	ClientID  string // of the fetcher, as in Kafka's metric FetcherLagMetrics
	Lag       int64
}

// FollowerLags returns the lags of all partitions that follow another broker.
func (m *Manager) FollowerLags() []FollowerLag {
	var lags []FollowerLag
	for _, f := range m.fetchers.list() {
		client := f.clientID()
		f.mu.Lock()
		for id, p := range f.partitions {
			lags = append(lags, FollowerLag{Partition: id, ClientID: client, Lag: p.lag})
		}
		f.mu.Unlock()
	}
	return lags
}

// close closes all fetchers for good.
func (fm *fetcherManager) close() {
	fm.mu.Lock()
	if fm.closed {
		fm.mu.Unlock()
		return
	}
	fm.closed = true
	all := fm.fetchers
	fm.fetchers = map[fetcherKey]*fetcher{}
	fm.mu.Unlock()
	fm.log.Infof("[ReplicaFetcherManager on broker %d] shutting down", fm.m.opts.BrokerID)
	for _, f := range all {
		f.close()
	}
	fm.log.Infof("[ReplicaFetcherManager on broker %d] shutdown completed", fm.m.opts.BrokerID)
}

// startFollowing returns the position at which a follower starts. It is the log end if the leader
// reports divergence in its responses and the log has epochs to compare. Otherwise it is the high
// watermark, and truncation comes first.
func (p *Partition) startFollowing(topicID TopicID, truncateOnFetch bool) (following, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.log == nil || p.leadsLocked() {
		return following{}, false
	}
	at := p.log.Offsets()
	f := following{id: p.id, partition: p, topicID: topicID, epoch: p.leaderEpoch, lastEpoch: metadata.NoLeaderEpoch, lag: -1}
	if latest := p.log.LeaderEpoch(); truncateOnFetch && latest >= 0 {
		f.offset, f.lastEpoch = at.LogEnd, latest
		return f, true
	}
	f.offset, f.truncating = at.HighWatermark, true
	return f, true
}
