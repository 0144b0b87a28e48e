package transaction

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/coordinator"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
)

// Versions of WriteTxnMarkers that are sent.
const (
	markersVersionMin = 0
	markersVersionMax = 1
)

// retryPause is how long a marker or a record waits until it is tried again for the first time. Later
// pauses are twice as long each, up to retryPause << retryDoublings. A change of the metadata ends
// them all, since it may announce another leader.
const (
	retryPause     = 100 * time.Millisecond
	retryDoublings = 4
)

// markersPerRequest is the approximate maximum number of markers of a request. A broker refuses a
// request with too many entries.
const markersPerRequest = 10_000

// markerSender writes the markers of decided transactions on the leaders of their partitions. It has
// one request in flight for each broker, with the markers of all transactions that wait for it. What
// cannot be sent or is refused for the time being is tried again after a pause, with the leader that
// the metadata then has.
//
// Goroutines: one for each broker with waiting markers, and one while something is to be tried again.
type markerSender struct {
	c      *Coordinator
	dial   peerlink.Dialer
	local  func(context.Context, *kmsg.WriteTxnMarkersRequest) *kmsg.WriteTxnMarkersResponse // Config.WriteMarkers
	post   func(address string, req kmsg.Request, answered func(kmsg.Response, error))       // Steps.Post
	ctx    context.Context
	cancel context.CancelFunc

	traffic peerlink.Traffic

	mu      sync.Mutex              // a leaf; guards the fields below and the queues
	queues  map[string]*markerQueue // by address; "": this broker
	retries []retry
	pausing bool // the next attempt is waited for
}

// markerQueue has the markers that wait for one broker.
type markerQueue struct {
	link    *peerlink.Link // nil: to this broker itself
	waiting []*markerJob
	sending bool // requests are being sent, one after another
	failing bool // the last request had no answer; used only by the sending goroutine
	posted  bool // a request was posted and has no answer yet; used only with Steps
}

// markerJob is a transaction's markers for partitions with the same leader.
type markerJob struct {
	e          *entry
	markers    *Markers
	partitions []TopicPartition // sorted; must not be changed
	attempts   int              // that have failed before
}

// retry is something to try again: markers, or a record of an entry.
type retry struct {
	at            time.Time
	job           *markerJob
	unknownBroker bool // the leader of the job's partitions is not reachable

	e      *entry
	record *Transition
}

// pauseAfter returns the pause after a number of earlier attempts.
func pauseAfter(attempts int) time.Duration { return retryPause << min(attempts, retryDoublings) }

func newMarkerSender(c *Coordinator, cfg *Config) *markerSender {
	s := &markerSender{c: c, dial: cfg.Dial, local: cfg.WriteMarkers, post: cfg.steps().Post, queues: map[string]*markerQueue{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// close closes the connections. It must be called when all goroutines have ended.
func (s *markerSender) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.queues {
		if q.link != nil {
			q.link.Close()
		}
	}
}

// destination is where markers go.
type destination struct {
	leader  metadata.Endpoint // the zero value: not known
	deleted bool              // the partition does not exist
	local   bool              // this broker leads the partition and needs no request
}

// destinationOf returns where the marker of a partition goes.
func (s *markerSender) destinationOf(cluster *metadata.Snapshot, id TopicPartition) destination {
	p := cluster.Partition(id.Topic, id.Partition)
	switch {
	case p == nil:
		return destination{deleted: cluster.Complete}
	case p.Leader == s.c.opts.BrokerID && s.local != nil:
		return destination{local: true}
	case cluster.Brokers[p.Leader] == nil:
		return destination{}
	}
	return destination{leader: cluster.Brokers[p.Leader].Endpoints[s.c.opts.Listener]}
}

// send distributes a job to the queues of the leaders of its partitions. Markers of deleted
// partitions count as written. Those without a reachable leader are tried again later.
func (s *markerSender) send(j *markerJob) {
	cluster := s.c.metadata.Snapshot()
	var shares []share
next:
	for _, p := range j.partitions {
		to := s.destinationOf(cluster, p)
		for i := range shares {
			if shares[i].to == to {
				shares[i].partitions = append(shares[i].partitions, p)
				continue next
			}
		}
		shares = append(shares, share{to, []TopicPartition{p}})
	}
	for _, share := range shares {
		part := &markerJob{j.e, j.markers, share.partitions, j.attempts}
		switch {
		case share.to.deleted:
			s.c.logf(Info, MarkerLine, "Couldn't find leader endpoint for partitions %v while trying to send transaction markers for %s, these partitions are likely deleted already and hence can be skipped",
				part.partitions, j.e.txn.ID)
			s.c.markersWritten(part, part.partitions)
		case share.to.local:
			s.enqueue("", part)
		case share.to.leader == metadata.Endpoint{}:
			s.later(retry{job: part, unknownBroker: true})
		default:
			s.enqueue(share.to.leader.Address(), part)
		}
	}
}

// share is the partitions of a job with the same destination.
type share struct {
	to         destination
	partitions []TopicPartition
}

// enqueue adds a job to a broker's queue. This broker has no address.
func (s *markerSender) enqueue(address string, j *markerJob) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[address]
	if q == nil {
		q = &markerQueue{}
		if address != "" {
			q.link = peerlink.New(peerlink.Config{Address: address, Dial: s.dial,
				ClientID:       "broker-" + strconv.Itoa(int(s.c.opts.BrokerID)) + "-txn-marker-sender",
				ConnectTimeout: s.c.opts.RequestTimeout, RequestTimeout: s.c.opts.RequestTimeout, Traffic: &s.traffic})
		}
		s.queues[address] = q
	}
	q.waiting = append(q.waiting, j)
	if !q.sending {
		q.sending = s.c.rt.Begin(coordinator.Work{Run: func() { s.run(q) }, Step: func() bool { return s.postNext(q) }})
	}
}

// take removes and returns the jobs for the next request. Those of unloaded ids are dropped. If none
// is left, sending ends.
func (s *markerSender) take(q *markerQueue) (jobs []*markerJob) {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken, markers := 0, 0
	for ; taken < len(q.waiting) && markers < markersPerRequest; taken++ {
		if j := q.waiting[taken]; !j.e.unloaded.Load() {
			jobs, markers = append(jobs, j), markers+len(j.partitions)
		}
	}
	if q.waiting = q.waiting[taken:]; len(q.waiting) == 0 {
		q.waiting = nil
	}
	q.sending = len(jobs) > 0
	return jobs
}

// run sends requests until the queue is empty.
func (s *markerSender) run(q *markerQueue) {
	for {
		jobs := s.take(q)
		if len(jobs) == 0 {
			return
		}
		resp, err := s.request(q, markersRequest(jobs))
		if s.ctx.Err() != nil {
			return
		}
		s.answered(q, jobs, resp, err)
	}
}

// postNext posts the next request when the one before is answered. It returns false when the queue is
// empty.
func (s *markerSender) postNext(q *markerQueue) (left bool) {
	if q.posted {
		return true
	}
	jobs := s.take(q)
	if len(jobs) == 0 {
		return false
	}
	q.posted = true
	s.post(q.link.Address(), markersRequest(jobs), func(resp kmsg.Response, err error) {
		q.posted = false
		written, _ := resp.(*kmsg.WriteTxnMarkersResponse)
		s.answered(q, jobs, written, err)
	})
	return true
}

// answered takes the response to a request, or the error.
func (s *markerSender) answered(q *markerQueue, jobs []*markerJob, resp *kmsg.WriteTxnMarkersResponse, err error) {
	if failed := err != nil; failed != q.failing {
		if q.failing = failed; failed {
			s.c.logf(Warn, MarkerLine, "Sending transaction markers to %s failed; they are sent again: %v", q.link.Address(), err)
		}
	}
	if err != nil {
		s.laterAll(jobs)
		return
	}
	s.settle(jobs, resp)
}

// request writes markers on the broker of the queue.
func (s *markerSender) request(q *markerQueue, req *kmsg.WriteTxnMarkersRequest) (*kmsg.WriteTxnMarkersResponse, error) {
	if q.link == nil {
		return s.local(s.ctx, req), nil
	}
	resp, err := q.link.Between(s.ctx, req, markersVersionMin, markersVersionMax)
	if err != nil {
		return nil, err
	}
	return resp.(*kmsg.WriteTxnMarkersResponse), nil
}

func markersRequest(jobs []*markerJob) *kmsg.WriteTxnMarkersRequest {
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	req.Markers = make([]kmsg.WriteTxnMarkersRequestMarker, len(jobs))
	for i, j := range jobs {
		m := &req.Markers[i]
		m.ProducerID, m.ProducerEpoch, m.Committed = j.markers.ProducerID, j.markers.Epoch, j.markers.Commit
		m.CoordinatorEpoch = int32(j.markers.CoordinatorEpoch)
		for name, indexes := range byTopic(j.partitions) {
			m.Topics = append(m.Topics, kmsg.WriteTxnMarkersRequestMarkerTopic{Topic: name, Partitions: indexes})
		}
	}
	return req
}

// settle passes the response to the transactions. A marker that the response leaves out is tried
// again.
func (s *markerSender) settle(jobs []*markerJob, resp *kmsg.WriteTxnMarkersResponse) {
	answers := make(map[int64]*kmsg.WriteTxnMarkersResponseMarker, len(resp.Markers))
	for i := range resp.Markers {
		answers[resp.Markers[i].ProducerID] = &resp.Markers[i]
	}
	for _, j := range jobs {
		s.settleOne(j, codesOf(j.partitions, answers[j.markers.ProducerID]))
	}
}

// codesOf returns the code of each of the sorted partitions. That of a partition without an answer is
// UNKNOWN_SERVER_ERROR.
func codesOf(partitions []TopicPartition, m *kmsg.WriteTxnMarkersResponseMarker) []protocol.ErrorCode {
	codes := make([]protocol.ErrorCode, len(partitions))
	for i := range codes {
		codes[i] = protocol.UnknownServerError
	}
	if m == nil {
		return codes
	}
	for i := range m.Topics {
		for _, p := range m.Topics[i].Partitions {
			at, found := slices.BinarySearchFunc(partitions, TopicPartition{Topic: m.Topics[i].Topic, Partition: p.Partition}, comparePartitions)
			if found {
				codes[at] = protocol.ErrorCode(p.ErrorCode)
			}
		}
	}
	return codes
}

// settleOne passes the codes of a job's partitions to its transaction.
func (s *markerSender) settleOne(j *markerJob, codes []protocol.ErrorCode) {
	var written, again []TopicPartition
	var refusals []string
	for i, p := range j.partitions {
		switch code := codes[i]; OutcomeOf(code) {
		case MarkerWritten:
			written = append(written, p)
		case MarkerAbandoned:
			s.c.logf(Info, MarkerLine, "Sending %s's transaction marker for partition %s has permanently failed with error org.apache.kafka.common.errors.%s with the current coordinator epoch %d; cancel sending any more transaction markers %s to the brokers",
				j.e.txn.ID, p, code.Exception(), j.markers.CoordinatorEpoch, j.markers)
			s.c.markersAbandoned(j)
			return
		default:
			again, refusals = append(again, p), append(refusals, p.String()+": "+code.Name())
		}
	}
	if len(written) > 0 {
		s.c.markersWritten(j, written)
	}
	if len(again) > 0 {
		s.c.logf(Info, MarkerLine, "Sending %s's transaction markers with coordinator epoch %d failed for %s; they are sent again",
			j.e.txn.ID, j.markers.CoordinatorEpoch, strings.Join(refusals, ", "))
		s.later(retry{job: &markerJob{j.e, j.markers, again, j.attempts}})
	}
}

// String returns the text that Kafka logs.
func (m *Markers) String() string {
	return fmt.Sprintf("TxnMarkerEntry{producerId=%d, producerEpoch=%d, coordinatorEpoch=%d, result=%s, partitions=%v}",
		m.ProducerID, m.Epoch, m.CoordinatorEpoch, deciding(m.Commit).result(), m.Partitions)
}

// wanted reports whether the transaction still waits for the job's markers.
func (c *Coordinator) wanted(j *markerJob) (wanted bool) {
	c.step(j.e, func(t *Transaction, _ time.Time) *Effects {
		wanted = t.markers == j.markers
		return nil
	})
	return wanted
}

// markersWritten passes partitions that have their marker, or do not exist, to the transaction.
func (c *Coordinator) markersWritten(j *markerJob, partitions []TopicPartition) {
	c.step(j.e, func(t *Transaction, _ time.Time) *Effects { return t.MarkersWritten(j.markers, partitions) })
}

// markersAbandoned gives up a transaction's markers.
func (c *Coordinator) markersAbandoned(j *markerJob) {
	c.step(j.e, func(t *Transaction, _ time.Time) *Effects {
		t.MarkersAbandoned(j.markers)
		return nil
	})
}

// later tries something again after a pause.
func (s *markerSender) later(r retry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.laterLocked(r)
}

func (s *markerSender) laterAll(jobs []*markerJob) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range jobs {
		s.laterLocked(retry{job: j})
	}
}

func (s *markerSender) laterLocked(r retry) {
	attempts := 0
	if r.job != nil {
		attempts = r.job.attempts
		r.job.attempts++
	}
	r.at = s.c.now().Add(pauseAfter(attempts))
	s.retries = append(s.retries, r)
	if !s.pausing {
		s.pausing = s.c.rt.Begin(coordinator.Work{Run: s.tryAgain, Step: s.stepsOfRetries()})
	}
}

// tryAgain tries everything again when its pause is over, until nothing is left.
func (s *markerSender) tryAgain() {
	tick := time.NewTicker(retryPause)
	defer tick.Stop()
	for changed := s.c.metadata.Changed(); ; {
		all := false
		select {
		case <-tick.C:
		case <-changed:
			all, changed = true, s.c.metadata.Changed()
		case <-s.ctx.Done():
			return
		}
		if !s.tryDue(all) {
			return
		}
	}
}

// stepsOfRetries returns the steps that do what tryAgain does.
func (s *markerSender) stepsOfRetries() (step func() (left bool)) {
	var changed <-chan struct{}
	return func() bool {
		all := false
		select {
		case <-changed:
			all, changed = true, nil
		default:
		}
		if changed == nil {
			changed = s.c.metadata.Changed()
		}
		return s.tryDue(all)
	}
}

// tryDue tries again what is due, or everything, and reports whether something is left.
func (s *markerSender) tryDue(all bool) (left bool) {
	for _, r := range s.takeRetries(all) {
		switch {
		case r.record != nil:
			s.c.appendAgain(r.e, r.record)
		case s.c.wanted(r.job):
			s.send(r.job)
		}
	}
	return s.stillPausing()
}

// takeRetries removes and returns what is to be tried now: all, or that whose pause is over.
func (s *markerSender) takeRetries(all bool) (taken []retry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.c.now()
	s.retries = slices.DeleteFunc(s.retries, func(r retry) bool {
		due := all || !r.at.After(now)
		if due {
			taken = append(taken, r)
		}
		return due
	})
	return taken
}

// stillPausing reports whether something is to be tried again. If not, pausing ends.
func (s *markerSender) stillPausing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pausing = len(s.retries) > 0
	return s.pausing
}

// sizes returns the number of jobs whose leader is not reachable and of records to append again.
func (s *markerSender) sizes() (unknownBroker, records int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.retries {
		switch r := &s.retries[i]; {
		case r.record != nil:
			records++
		case r.unknownBroker:
			unknownBroker++
		}
	}
	return unknownBroker, records
}
