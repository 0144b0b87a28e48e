package replication

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/record"
)

// following is one partition that a fetcher fetches.
type following struct {
	id        TopicPartition
	partition *Partition
	topicID   TopicID
	epoch     metadata.LeaderEpoch // leader epoch in which the partition follows; every request carries it
	offset    record.Offset        // next offset to fetch; the log end while fetching
	lastEpoch metadata.LeaderEpoch // of the log's last batch if the leader checks for divergence; otherwise -1
	// truncating: OffsetForLeaderEpoch or a truncation to the high watermark must come first.
	truncating bool
	delayed    time.Time // no request before this time
	lag        int64     // distance to the leader's log end; -1: unknown

	prev, next *following // in the fetcher's order
	// active: the next round decides whether and how to fetch the partition. Otherwise the leader's
	// session has a request for it, which stays valid until the next event.
	active  bool
	removed bool
	change  *changeEntry[following] // observes partition; a pointer because a following is copied
}

func (p *following) unlink() {
	p.prev.next, p.next.prev = p.next, p.prev
	p.prev, p.next = nil, nil
}

// fetcher follows some partitions of one leader with one goroutine, one connection, one fetch
// session and one request in flight. Choosing a request and handling its response are separate
// steps (next, leaderRequest); run only sends and waits.
type fetcher struct {
	fm   *fetcherManager
	m    *Manager
	key  fetcherKey
	name string // as in Kafka's log lines

	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
	wakeup chan struct{} // one slot; filled when a partition is added
	counts fetcherCounts

	// Used only by the goroutine that runs the fetcher.
	link    *peerlink.Link
	address string
	session clientSession
	// lookups are requests that come before the next fetch. truncated is set if the latest request
	// was a round of truncation, so a fetch comes next.
	lookups   []*leaderRequest
	truncated bool

	// mu guards the fields below. It is held while the response for a partition is applied, so
	// remove waits until that is done.
	mu         sync.Mutex
	partitions map[TopicPartition]*following
	// order is the ring, with a sentinel, in which partitions are requested. A partition that
	// received data moves to the end.
	order following
	// active holds the partitions that the next round looks at. The round drops those that have
	// been removed.
	active []*following
	// gone holds the partitions removed since the last round.
	gone    []TopicPartition
	limited bool                 // the follower's quota had a limit in the last round
	changes changeSet[following] // has its own lock
}

func newFetcher(fm *fetcherManager, key fetcherKey) *fetcher {
	ctx, cancel := context.WithCancel(context.Background())
	f := &fetcher{fm: fm, m: fm.m, key: key, ctx: ctx, cancel: cancel, done: make(chan struct{}),
		name:   fmt.Sprintf("[ReplicaFetcher replicaId=%d, leaderId=%d, fetcherId=%d]", fm.m.opts.BrokerID, key.leader, key.id),
		wakeup: make(chan struct{}, 1), session: newClientSession(), partitions: map[TopicPartition]*following{}}
	f.order.prev, f.order.next = &f.order, &f.order
	return f
}

// lastLocked appends a partition to the order, which must not contain it yet.
func (f *fetcher) lastLocked(p *following) {
	p.prev, p.next = f.order.prev, &f.order
	p.prev.next, f.order.prev = p, p
}

func (f *fetcher) add(p following) {
	f.mu.Lock()
	if known := f.partitions[p.id]; known != nil {
		if known.epoch == p.epoch {
			f.mu.Unlock()
			return
		}
		f.dropLocked(known)
	}
	p.active, p.removed, p.change = false, false, &changeEntry[following]{owner: &p, set: &f.changes}
	p.change.watch(&p.partition.waits)
	f.partitions[p.id] = &p
	f.lastLocked(&p)
	f.activateLocked(&p)
	f.mu.Unlock()
	select {
	case f.wakeup <- struct{}{}:
	default:
	}
}

func (f *fetcher) remove(id TopicPartition) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.removeLocked(id)
}

func (f *fetcher) removeLocked(id TopicPartition) bool {
	p := f.partitions[id]
	if p == nil {
		return false
	}
	delete(f.partitions, id)
	f.dropLocked(p)
	return true
}

// dropLocked ends the fetcher's work for a partition. The caller removes it from the map or
// replaces it there.
func (f *fetcher) dropLocked(p *following) {
	p.unlink()
	p.change.unwatch()
	p.removed = true
	f.gone = append(f.gone, p.id)
}

// activateLocked makes the next round look at the partition.
func (f *fetcher) activateLocked(p *following) {
	if !p.active {
		p.active = true
		f.active = append(f.active, p)
	}
}

// takeAll removes and returns all partitions. When it returns, this fetcher no longer appends to or
// truncates any of them.
func (f *fetcher) takeAll() []following {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []following
	for p := f.order.next; p != &f.order; p = f.order.next {
		all = append(all, *p)
		f.dropLocked(p)
	}
	clear(f.partitions)
	return all
}

func (f *fetcher) setTopicID(id TopicPartition, topicID TopicID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.partitions[id]; p != nil {
		p.topicID = topicID
		f.activateLocked(p)
	}
}

func (f *fetcher) idle() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.partitions) == 0
}

func (f *fetcher) close() {
	f.cancel()
	<-f.done
}

// run truncates and fetches until the fetcher is closed.
func (f *fetcher) run() {
	defer close(f.done)
	defer func() {
		if f.link != nil {
			f.link.Close()
		}
	}()
	thread := fmt.Sprintf("[ReplicaFetcherThread-%d-%d]", f.key.id, f.key.leader)
	f.m.fetchLog.Infof("%s: Starting", thread)
	for f.ctx.Err() == nil {
		e, wait := f.next(f.m.now())
		if e == nil {
			f.pause(wait)
			continue
		}
		if resp, err := f.ask(e); err == nil || f.ctx.Err() == nil {
			e.answered(resp, err)
		}
	}
	f.m.fetchLog.Infof("%s: Stopped", thread)
}

// leaderRequest is a request to the leader and the function that handles the response or the error.
type leaderRequest struct {
	req      kmsg.Request // with its version set
	answered func(kmsg.Response, error)
}

// next returns the next request, or nil and how long to wait for partitions to be added. Lookups
// come first, then a round of truncation, then a fetch.
func (f *fetcher) next(now time.Time) (*leaderRequest, time.Duration) {
	if len(f.lookups) > 0 {
		e := f.lookups[0]
		f.lookups = f.lookups[1:]
		return e, 0
	}
	if !f.truncated {
		if e := f.truncation(now); e != nil {
			f.truncated = true
			return e, 0
		}
	}
	f.truncated = false
	f.nextFetch(now)
	if len(f.session.known) == 0 {
		return nil, f.untilReady(now)
	}
	return f.fetch(), 0
}

// pause waits for d or until a partition is added.
func (f *fetcher) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-f.wakeup:
	case <-timer.C:
	case <-f.ctx.Done():
	}
}

// untilReady returns the time until the first of the delayed partitions is ready, without those
// that a quota holds back.
func (f *fetcher) untilReady(now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	wait := f.m.opts.FetchBackoff
	for _, p := range f.partitions {
		if !p.held(now) { // others are checked again after the back-off time
			wait = min(wait, max(0, p.delayed.Sub(now)))
		}
	}
	return max(wait, time.Millisecond)
}

func (f *fetcher) requestFailed(ids []TopicPartition, err error) {
	f.logFailure(f.session.id, f.session.epoch, err)
	f.session.reset()
	f.delay(ids)
}

// logFailure logs that a whole request failed. Kafka's log line also lists every partition of the
// request.
func (f *fetcher) logFailure(sessionID, epoch int32, err error) {
	opts := &f.m.opts
	f.m.fetchLog.Warnf("%s Error in response for fetch request (type=FetchRequest, replicaId=%d, maxWait=%d, minBytes=%d, maxBytes=%d, metadata=(sessionId=%d, epoch=%d)): %v",
		f.name, opts.BrokerID, opts.FetchWait.Milliseconds(), opts.FetchMinBytes, opts.FetchResponseBytes, sessionID, epoch, err)
}

// clientID returns the name of the fetcher in Kafka's metrics.
func (f *fetcher) clientID() string {
	return fmt.Sprintf("ReplicaFetcherThread-%d-%d", f.key.id, f.key.leader)
}

// delay keeps partitions from being requested for the back-off time.
func (f *fetcher) delay(ids []TopicPartition) {
	until := f.m.now().Add(f.m.opts.FetchBackoff)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		if p := f.partitions[id]; p != nil {
			p.delayed = until
			f.activateLocked(p)
		}
	}
}

// leaderAddress returns the leader's current address.
func (f *fetcher) leaderAddress() (string, error) {
	b := f.m.Metadata().Brokers[f.key.leader]
	if b == nil {
		return "", fmt.Errorf("leader %d is not among the live brokers", f.key.leader)
	}
	e, has := b.Endpoints[f.m.opts.InterBrokerListener]
	if !has {
		return "", fmt.Errorf("leader %d has no endpoint on the listener %s", f.key.leader, f.m.opts.InterBrokerListener)
	}
	return e.Address(), nil
}

// leader returns the link to the leader at its current address.
func (f *fetcher) leader() (*peerlink.Link, error) {
	address, err := f.leaderAddress()
	if err != nil {
		return nil, err
	}
	if f.link != nil && f.address != address {
		f.link.Close()
		f.link = nil
		f.session.reset()
	}
	if f.link == nil {
		f.address = address
		f.counts.address.Store(&address)
		f.link = peerlink.New(peerlink.Config{Address: address, Dial: f.m.cfg.Dial,
			ClientID:       fmt.Sprintf("broker-%d-fetcher-%d", f.m.opts.BrokerID, f.key.id),
			RequestTimeout: f.m.opts.FetchTimeout, ReuseBuffer: true})
	}
	return f.link, nil
}

func (f *fetcher) ask(e *leaderRequest) (kmsg.Response, error) {
	link, err := f.leader()
	if err != nil {
		return nil, err
	}
	return link.Do(f.ctx, e.req)
}

// nextFetch updates the session to request what must be fetched now. It looks at the partitions
// with events and at those that are temporarily left out.
func (f *fetcher) nextFetch(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := f.changes.take(); p != nil; p = f.changes.take() {
		if !p.removed {
			f.activateLocked(p)
		}
	}
	for _, id := range f.gone {
		if f.partitions[id] == nil { // otherwise it was added again and is active
			f.session.drop(id)
		}
	}
	f.gone = f.gone[:0]
	limited := f.m.quotas.follower.limited()
	if limited && !f.limited {
		for p := f.order.next; p != &f.order; p = p.next {
			f.activateLocked(p)
		}
	}
	f.limited = limited
	f.active = slices.DeleteFunc(f.active, func(p *following) bool {
		if !p.removed {
			p.active = f.lookAtLocked(p, now)
		}
		return p.removed || !p.active
	})
}

// lookAtLocked decides whether and how the partition is requested, and reports whether the next
// round must look at it again.
func (f *fetcher) lookAtLocked(p *following, now time.Time) (again bool) {
	log := p.partition.Log()
	if p.truncating || p.delayed.After(now) || log == nil || p.held(now) {
		f.session.drop(p.id)
		return true
	}
	ask := PartitionAsk{Topic: p.id.Topic, TopicID: p.topicID, Partition: p.id.Partition, FetchOffset: p.offset,
		LogStartOffset: log.Offsets().LogStart, MaxBytes: f.m.opts.FetchPartitionBytes,
		CurrentLeaderEpoch: p.epoch, LastFetchedEpoch: metadata.NoLeaderEpoch}
	if f.m.opts.PeerVersions.TruncateOnFetch {
		ask.LastFetchedEpoch = p.lastEpoch
	}
	if !log.HasSpaceFor(record.FromReplication) {
		// The leader may still send one batch, which is refused. What matters is its log start,
		// without which DeleteRecords would not free the disk.
		ask.MaxBytes = 0
	}
	f.session.want(p.id, ask)
	// A quota may hold the partition back. A lag of -1 may persist: in a new epoch, a leader whose
	// session has the partition sends nothing until there is something new.
	return p.lag != 0 && f.limited
}

// inOrder lists the partitions that the session wants, in order.
func (f *fetcher) inOrder() []TopicPartition {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]TopicPartition, 0, len(f.session.known))
	for p := f.order.next; p != &f.order; p = p.next {
		if _, wanted := f.session.known[p.id]; wanted {
			all = append(all, p.id)
		}
	}
	return all
}

// request builds the Fetch request. Its version follows from inter.broker.protocol.version, but is
// at most 12 while a topic has no id.
func (f *fetcher) request() *kmsg.FetchRequest {
	version := f.m.opts.PeerVersions.Fetch
	byID := version >= 13 && f.session.withoutID == 0
	if !byID {
		version = min(version, 12)
	}
	opts := &f.m.opts
	req := kmsg.NewPtrFetchRequest()
	req.Version = version
	req.IsolationLevel = 0
	if version >= 15 { // a tagged field that leaders refuse in earlier versions
		req.ReplicaState.ID, req.ReplicaState.Epoch = int32(opts.BrokerID), f.m.cfg.BrokerEpoch()
	} else {
		req.ReplicaID = int32(opts.BrokerID)
	}
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = int32(opts.FetchWait.Milliseconds()), opts.FetchMinBytes, opts.FetchResponseBytes
	diff := f.session.next(byID)
	send := diff.send
	if diff.full || version < 7 {
		send = f.inOrder()
	}
	if version >= 7 {
		req.SessionID, req.SessionEpoch = diff.id, diff.epoch
		for _, gone := range diff.forget {
			t := kmsg.NewFetchRequestForgottenTopic()
			t.Topic, t.TopicID, t.Partitions = gone.Topic, gone.TopicID, []int32{gone.Partition}
			req.ForgottenTopics = append(req.ForgottenTopics, t)
		}
	}
	for _, id := range send {
		ask, wanted := f.session.known[id]
		if !wanted {
			continue
		}
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.CurrentLeaderEpoch, p.FetchOffset = ask.Partition, int32(ask.CurrentLeaderEpoch), int64(ask.FetchOffset)
		p.LastFetchedEpoch, p.LogStartOffset, p.PartitionMaxBytes = int32(ask.LastFetchedEpoch), int64(ask.LogStartOffset), ask.MaxBytes
		if n := len(req.Topics); n > 0 && req.Topics[n-1].Topic == ask.Topic && req.Topics[n-1].TopicID == ask.TopicID {
			req.Topics[n-1].Partitions = append(req.Topics[n-1].Partitions, p)
			continue
		}
		t := kmsg.NewFetchRequestTopic()
		t.Topic, t.TopicID, t.Partitions = ask.Topic, ask.TopicID, []kmsg.FetchRequestTopicPartition{p}
		req.Topics = append(req.Topics, t)
	}
	return req
}

// fetch requests records and applies the response.
func (f *fetcher) fetch() *leaderRequest {
	req := f.request()
	return &leaderRequest{req, func(resp kmsg.Response, err error) {
		if err != nil {
			f.requestFailed(f.inOrder(), err)
			return
		}
		f.fetched(req, resp.(*kmsg.FetchResponse))
	}}
}
