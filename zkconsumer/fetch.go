package zkconsumer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/zkstore"
)

// fetchVersionMax is the highest Fetch version that is used, the first one that supports zstd.
// Older brokers get the highest version that they know and send records in the format in which they
// store them.
const fetchVersionMax = 10

// fetching reads the partitions of one claim from their leaders until it is stopped.
type fetching struct {
	cfg   *Config
	store *zkstore.Store
	id    string // the member's id
	log   *logrus.Entry
	ctx   context.Context
	end   context.CancelFunc
	wg    sync.WaitGroup
	find  chan struct{} // has a token when leaderless is not empty

	mu         sync.Mutex // guards the fields below
	leaderless map[TopicPartition]*position
	fetchers   map[string]*fetcher // keyed by host:port
}

// fetcher reads from one broker.
type fetcher struct {
	*fetching
	link *peerlink.Link
	wake chan struct{} // has a token when there may be something to fetch

	positions []*position // guarded by fetching.mu; longest waiting first
}

func startFetching(cfg *Config, store *zkstore.Store, id string, positions []*position) *fetching {
	ctx, cancel := context.WithCancel(context.Background())
	f := &fetching{cfg: cfg, store: store, id: id, log: kafkalog.For(cfg.Logger, "kafka.consumer.ConsumerFetcherManager"), ctx: ctx, end: cancel,
		find: make(chan struct{}, 1), leaderless: map[TopicPartition]*position{}, fetchers: map[string]*fetcher{}}
	f.release(positions...)
	f.wg.Go(f.findLeaders)
	return f
}

// stop stops all reading. Nothing is added to the streams after it returns.
func (f *fetching) stop() {
	f.end()
	f.wg.Wait()
}

// release takes partitions from their fetchers and schedules a lookup of their leaders.
func (f *fetching) release(positions ...*position) {
	if len(positions) == 0 {
		return
	}
	f.mu.Lock()
	for _, p := range positions {
		f.leaderless[p.tp] = p
		for _, one := range f.fetchers {
			one.positions = slices.DeleteFunc(one.positions, func(q *position) bool { return q == p })
		}
	}
	f.mu.Unlock()
	signal(f.find)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// wakeAll notifies the fetchers that streams accept more chunks.
func (f *fetching) wakeAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range f.fetchers {
		signal(one.wake)
	}
}

// pause waits and reports whether fetching is still active.
func (f *fetching) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-f.ctx.Done():
		return false
	}
}

// findLeaders passes every partition without a leader to the fetcher of its leader.
func (f *fetching) findLeaders() {
	for {
		select {
		case <-f.find:
		case <-f.ctx.Done():
			return
		}
		f.mu.Lock()
		topics := map[string]bool{}
		for tp := range f.leaderless {
			topics[tp.Topic] = true
		}
		f.mu.Unlock()
		if len(topics) == 0 {
			continue
		}
		leaders, err := f.leadersOf(topics)
		if f.ctx.Err() != nil {
			return
		}
		if err != nil {
			f.log.WithError(err).Warnf("[%s] Failed to find leader for %s", f.id, names(topics))
		}
		if left := f.assignToFetchers(leaders); left {
			signal(f.find)
		}
		if !f.pause(f.cfg.LeaderBackoff) {
			return
		}
	}
}

func names(topics map[string]bool) []string {
	var list []string
	for t := range topics {
		list = append(list, t)
	}
	slices.Sort(list)
	return list
}

// assignToFetchers moves partitions to the fetchers of the given addresses. It reports whether some
// partitions still have no leader.
func (f *fetching) assignToFetchers(leaders map[TopicPartition]string) (left bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for tp, p := range f.leaderless {
		address, known := leaders[tp]
		if !known {
			continue
		}
		one := f.fetchers[address]
		if one == nil {
			one = &fetcher{fetching: f, wake: make(chan struct{}, 1), link: peerlink.New(peerlink.Config{Address: address, ClientID: f.cfg.ClientID,
				RequestTimeout: f.cfg.SocketTimeout, ConnectTimeout: f.cfg.SocketTimeout})}
			f.fetchers[address] = one
			f.wg.Go(one.run)
		}
		delete(f.leaderless, tp)
		one.positions = append(one.positions, p)
		signal(one.wake)
	}
	return len(f.leaderless) > 0
}

// leadersOf returns the leaders' addresses. It asks the brokers registered in ZooKeeper in random
// order until one answers.
func (f *fetching) leadersOf(topics map[string]bool) (map[TopicPartition]string, error) {
	addresses, err := plaintextAddresses(f.ctx, f.store)
	if err != nil {
		return nil, err
	}
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range names(topics) {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	var failures []error
	for _, address := range addresses {
		resp, err := f.once(address, req)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		return leadersIn(resp.(*kmsg.MetadataResponse)), nil
	}
	return nil, errors.Join(failures...)
}

// plaintextAddresses returns the PLAINTEXT addresses of the brokers registered in ZooKeeper, in
// random order.
func plaintextAddresses(ctx context.Context, store *zkstore.Store) ([]string, error) {
	brokers, err := store.Brokers(ctx)
	if err != nil {
		return nil, err
	}
	var addresses []string
	for _, b := range brokers {
		for _, e := range b.Endpoints {
			if e.SecurityProtocol == 0 {
				addresses = append(addresses, e.Address())
				break
			}
		}
	}
	if len(addresses) == 0 {
		return nil, fmt.Errorf("none of the %d brokers registered in %s has a PLAINTEXT listener, which this consumer needs", len(brokers), zkstore.BrokerIDsPath)
	}
	rand.Shuffle(len(addresses), func(i, j int) { addresses[i], addresses[j] = addresses[j], addresses[i] })
	return addresses, nil
}

// once sends a request at version 0 on a new connection.
func (f *fetching) once(address string, req kmsg.Request) (kmsg.Response, error) {
	link := peerlink.New(peerlink.Config{Address: address, ClientID: f.cfg.ClientID, RequestTimeout: f.cfg.SocketTimeout, ConnectTimeout: f.cfg.SocketTimeout})
	defer link.Close()
	req.SetVersion(0)
	return link.Do(f.ctx, req)
}

func leadersIn(resp *kmsg.MetadataResponse) map[TopicPartition]string {
	addresses := map[int32]string{}
	for _, b := range resp.Brokers {
		addresses[b.NodeID] = net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
	}
	leaders := map[TopicPartition]string{}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if address, known := addresses[p.Leader]; known && t.Topic != nil {
				leaders[TopicPartition{Topic: *t.Topic, Partition: p.Partition}] = address
			}
		}
	}
	return leaders
}

// run fetches until the claim ends.
func (f *fetcher) run() {
	defer f.link.Close()
	for f.ctx.Err() == nil {
		positions := f.fetchable()
		if len(positions) == 0 {
			select {
			case <-f.wake:
			case <-f.ctx.Done():
			}
			continue
		}
		if lost := f.fetch(positions); len(lost) > 0 && f.ctx.Err() == nil {
			f.pause(f.cfg.LeaderBackoff)
			f.release(lost...)
		}
	}
}

// fetchable returns the partitions whose streams accept more chunks.
func (f *fetcher) fetchable() []*position {
	f.mu.Lock()
	all := slices.Clone(f.positions)
	f.mu.Unlock()
	return slices.DeleteFunc(all, func(p *position) bool { return !p.stream.accepts(p, f.cfg.QueuedChunks) })
}

// fetch sends one request for the given partitions. It returns those whose leader must be looked up
// again.
func (f *fetcher) fetch(positions []*position) (lost []*position) {
	log := kafkalog.For(f.cfg.Logger, "kafka.consumer.ConsumerFetcherThread").WithContext(f.ctx)
	for _, p := range positions {
		if p.fetch < 0 {
			if err := f.reset(p); err != nil {
				f.complain(log, err, "[%s] Error getting offset for partition %s-%d", f.id, p.tp.Topic, p.tp.Partition)
				lost = append(lost, p)
			}
		}
	}
	positions = slices.DeleteFunc(positions, func(p *position) bool { return p.fetch < 0 })
	if len(positions) == 0 {
		return lost
	}
	answer, err := f.link.Negotiated(f.ctx, f.request(positions), fetchVersionMax)
	if err != nil {
		f.complain(log, err, "[%s] Error in fetch to broker %s", f.id, f.link.Address())
		return append(lost, positions...)
	}
	byTP := map[TopicPartition]*position{}
	for _, p := range positions {
		byTP[p.tp] = p
	}
	for _, t := range answer.(*kmsg.FetchResponse).Topics {
		for _, data := range t.Partitions {
			p := byTP[TopicPartition{Topic: t.Topic, Partition: data.Partition}]
			if p == nil {
				continue
			}
			switch code := protocol.ErrorCode(data.ErrorCode); code {
			case protocol.None:
				if err := f.take(p, data.RecordBatches); err != nil {
					f.complain(log, err, "[%s] Found invalid messages during fetch for partition %s-%d offset %d", f.id, p.tp.Topic, p.tp.Partition, p.fetch)
					lost = append(lost, p)
				}
			case protocol.OffsetOutOfRange:
				was := p.fetch
				if err := f.reset(p); err != nil {
					lost = append(lost, p)
					continue
				}
				log.Infof("[%s] Current offset %d for partition %s-%d is out of range, which typically implies a leader change. Reset fetch offset to %d", f.id, was, p.tp.Topic, p.tp.Partition, p.fetch)
			case protocol.NotLeaderOrFollower:
				log.Infof("[%s] Remote broker is not the leader for partition %s-%d, which could indicate that the partition is being moved", f.id, p.tp.Topic, p.tp.Partition)
				lost = append(lost, p)
			default:
				f.complain(log, code, "[%s] Error for partition %s-%d at offset %d", f.id, p.tp.Topic, p.tp.Partition, p.fetch)
				lost = append(lost, p)
			}
		}
	}
	return lost
}

// complain logs an error unless fetching has been stopped.
func (f *fetcher) complain(log *logrus.Entry, err error, format string, args ...any) {
	if f.ctx.Err() == nil {
		log.WithError(err).Warnf(format, args...)
	}
}

func (f *fetcher) request(positions []*position) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxWaitMillis = -1, int32(f.cfg.FetchWait.Milliseconds())
	req.MinBytes, req.MaxBytes = int32(f.cfg.FetchMin), int32(f.cfg.FetchMax)
	req.SessionID, req.SessionEpoch = 0, -1
	at := map[string]int{}
	for _, p := range positions {
		i, found := at[p.tp.Topic]
		if !found {
			i = len(req.Topics)
			at[p.tp.Topic] = i
			t := kmsg.NewFetchRequestTopic()
			t.Topic = p.tp.Topic
			req.Topics = append(req.Topics, t)
		}
		rp := kmsg.NewFetchRequestTopicPartition()
		rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = p.tp.Partition, int64(p.fetch), int32(f.cfg.FetchMessageMax)
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, rp)
	}
	return req
}

// take passes the fetched records of a partition to its stream and moves the partition to the end
// of the next request.
func (f *fetcher) take(p *position, set []byte) error {
	c := &chunk{from: p, next: p.fetch}
	var failure error
	for b, err := range record.Batches(set) {
		if err == nil {
			err = f.open(c, b)
		}
		if failure = err; failure != nil {
			break
		}
	}
	if c.next == p.fetch {
		if len(set) > 0 && failure == nil {
			c.err = fmt.Errorf("Found a message larger than the maximum fetch size of this consumer on topic %s partition %d at fetch offset %d. Increase the fetch size, or decrease the maximum message size the broker will allow.",
				p.tp.Topic, p.tp.Partition, p.fetch)
			p.stream.add(c)
		}
		return failure
	}
	p.fetch = c.next
	if f.ctx.Err() == nil {
		p.stream.add(c)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := slices.Index(f.positions, p); i >= 0 {
		f.positions = append(slices.Delete(f.positions, i, i+1), p)
	}
	return failure
}

// open appends a batch's records to a chunk.
func (f *fetcher) open(c *chunk, b record.Batch) error {
	if err := b.Validate(); err != nil {
		return err
	}
	tp := c.from.tp
	if !b.IsControl() {
		err := b.Each(func(r *record.Record) error {
			if r.Offset < c.next {
				return nil
			}
			one := Record{Topic: tp.Topic, Partition: tp.Partition, Offset: r.Offset, Timestamp: r.Timestamp, TimestampType: b.TimestampType(),
				Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value)}
			for _, h := range r.Headers {
				one.Headers = append(one.Headers, record.Header{Key: bytes.Clone(h.Key), Value: bytes.Clone(h.Value)})
			}
			c.records = append(c.records, one)
			return nil
		})
		if err != nil {
			return err
		}
	}
	c.next = max(c.next, b.NextOffset())
	return nil
}

// reset moves a partition to the start or the end of its log, according to auto.offset.reset.
func (f *fetcher) reset(p *position) error {
	req := kmsg.NewPtrListOffsetsRequest()
	req.SetVersion(0)
	req.ReplicaID = -1
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = p.tp.Topic
	rp := kmsg.NewListOffsetsRequestTopicPartition()
	rp.Partition, rp.Timestamp, rp.MaxNumOffsets = p.tp.Partition, -1, 1
	if f.cfg.OffsetReset == Smallest {
		rp.Timestamp = -2
	}
	t.Partitions = append(t.Partitions, rp)
	req.Topics = append(req.Topics, t)
	resp, err := f.link.Do(f.ctx, req)
	if err != nil {
		return err
	}
	for _, t := range resp.(*kmsg.ListOffsetsResponse).Topics {
		for _, got := range t.Partitions {
			if code := protocol.ErrorCode(got.ErrorCode); code != protocol.None {
				return code
			}
			if len(got.OldStyleOffsets) > 0 {
				p.fetch = record.Offset(got.OldStyleOffsets[0])
				p.stream.reset(p, p.fetch)
				return nil
			}
		}
	}
	return fmt.Errorf("ListOffsets of %s-%d was answered without an offset", p.tp.Topic, p.tp.Partition)
}
