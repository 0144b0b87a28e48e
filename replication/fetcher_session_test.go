package replication

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// wantedOf returns what a fetcher should request, found by looking at all partitions.
func (f *fetcher) wantedOf(now time.Time) map[TopicPartition]PartitionAsk {
	wanted := map[TopicPartition]PartitionAsk{}
	for id, p := range f.partitions {
		log := p.partition.Log()
		if p.truncating || p.delayed.After(now) || log == nil || p.held(now) {
			continue
		}
		wanted[id] = PartitionAsk{Topic: id.Topic, TopicID: p.topicID, Partition: id.Partition, FetchOffset: p.offset,
			LogStartOffset: log.Offsets().LogStart, MaxBytes: f.m.opts.FetchPartitionBytes, CurrentLeaderEpoch: p.epoch, LastFetchedEpoch: p.lastEpoch}
	}
	return wanted
}

// rememberingLeader keeps what the session of a leader contains after the requests.
type rememberingLeader map[sessionKey]kmsg.FetchRequestTopicPartition

func (l rememberingLeader) take(req *kmsg.FetchRequest) {
	if req.SessionEpoch == initialSessionEpoch {
		clear(l)
	}
	key := func(topic string, id TopicID, partition int32) sessionKey {
		if req.Version >= 13 {
			return sessionKey{id: id, partition: partition}
		}
		return sessionKey{topic: topic, partition: partition}
	}
	for _, topic := range req.Topics {
		for _, p := range topic.Partitions {
			l[key(topic.Topic, topic.TopicID, p.Partition)] = p
		}
	}
	for _, topic := range req.ForgottenTopics {
		for _, p := range topic.Partitions {
			delete(l, key(topic.Topic, topic.TopicID, p))
		}
	}
}

// In every round, a fetcher that looks only at changes wants the same as one that looks at
// everything, and the leader's session contains exactly that.
func TestAFetcherThatLooksOnlyAtChangesRequestsEverythingItShould(t *testing.T) {
	const partitions = 6
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 2))
		b := newHostOfMany(t, partitions, 2)
		b.opts.PeerVersions.Fetch = []int16{17, 12}[seed%2]
		throttled, err := testSettings(t).Topic(map[string]string{"follower.replication.throttled.replicas": "*"})
		if err != nil {
			t.Fatal(err)
		}
		b.configure(throttled)
		f, leader, epochs := b.follower.fetcher, rememberingLeader{}, make([]int32, partitions)
		steps, looked, all := []string{}, 0, 0
		for range 400 {
			p := int32(r.IntN(partitions))
			id := TopicPartition{Topic: testTopic, Partition: p}
			switch n := r.IntN(30); n {
			case 0:
				steps = append(steps, fmt.Sprint("stop following ", p))
				b.fetchers.remove([]TopicPartition{id})
			case 1, 2:
				epochs[p]++
				steps = append(steps, fmt.Sprint("new epoch of ", p))
				takeRoles(t, b.Manager, roleOf(p, 2, 1+epochs[p], []int32{ourID, 2}, ourID, 2))
			case 3:
				steps = append(steps, fmt.Sprint("raise the log start of ", p))
				log := b.hosted.get(testTopic, p).Log()
				_ = log.IncrementLogStart(log.Offsets().HighWatermark)
			case 4:
				steps = append(steps, "used up")
				b.SetRates(Rates{Leader: NoQuota, Follower: 10, Moves: NoQuota})
				b.quotas.follower.record(1000, b.clock)
			case 5:
				steps = append(steps, "no quota")
				b.SetRates(Rates{Leader: NoQuota, Follower: NoQuota, Moves: NoQuota})
			case 6, 7:
				steps = append(steps, "time passes")
				b.clock = b.clock.Add(700 * time.Millisecond)
			case 8:
				steps = append(steps, "another id")
				other := testTopicID
				other[15] = byte(r.IntN(3))
				if other[15] == 2 {
					other = TopicID{}
				}
				b.fetchers.setTopicID(id, other)
			}
			e, _ := f.next(b.clock)
			if want := f.wantedOf(b.clock); !maps.Equal(want, f.session.known) {
				t.Fatalf("seed %d: wants\n%+v, should want\n%+v\nafter %q", seed, f.session.known, want, steps)
			}
			if e == nil {
				b.clock = b.clock.Add(300 * time.Millisecond)
				continue
			}
			req, isFetch := e.req.(*kmsg.FetchRequest)
			if !isFetch {
				e.answered(nil, fmt.Errorf("no response"))
				continue
			}
			leader.take(req)
			looked, all = looked+len(f.active), all+len(f.partitions)
			if len(leader) != len(f.session.known) {
				t.Fatalf("seed %d: the leader knows\n%+v, wanted is\n%+v\nafter %q", seed, leader, f.session.known, steps)
			}
			for id, ask := range f.session.known {
				k := sessionKey{topic: id.Topic, partition: id.Partition}
				if req.Version >= 13 {
					k = sessionKey{id: ask.TopicID, partition: id.Partition}
				}
				if got := leader[k]; record.Offset(got.FetchOffset) != ask.FetchOffset || record.Offset(got.LogStartOffset) != ask.LogStartOffset ||
					got.CurrentLeaderEpoch != int32(ask.CurrentLeaderEpoch) || got.LastFetchedEpoch != int32(ask.LastFetchedEpoch) {
					t.Fatalf("seed %d: of %v the leader knows %+v, wanted is %+v\nafter %q", seed, id, got, ask, steps)
				}
			}
			answerAtRandom(t, r, e, req, f)
		}
		if looked >= all {
			t.Errorf("seed %d: looked again at %d of %d partitions", seed, looked, all)
		}
	}
}

// answerAtRandom answers a fetch with records, nothing, an error, or not at all.
func answerAtRandom(t *testing.T, r *rand.Rand, e *leaderRequest, req *kmsg.FetchRequest, f *fetcher) {
	if r.IntN(25) == 0 {
		e.answered(nil, fmt.Errorf("no response"))
		return
	}
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	resp.Version, resp.SessionID = req.Version, 77
	if r.IntN(25) == 0 {
		resp.ErrorCode = int16(protocol.FetchSessionIDNotFound)
	}
	for id, ask := range f.session.known {
		if req.SessionEpoch != initialSessionEpoch && r.IntN(6) > 0 {
			continue
		}
		topic, p := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
		topic.Topic, topic.TopicID, p.Partition = id.Topic, ask.TopicID, id.Partition
		p.HighWatermark, p.LogStartOffset = int64(ask.FetchOffset+record.Offset(r.IntN(3))), 0
		switch r.IntN(12) {
		case 0:
			p.ErrorCode = int16(protocol.NotLeaderOrFollower)
		case 1:
			p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset = 1, int64(max(0, ask.FetchOffset-1))
		case 2, 3, 4:
			p.RecordBatches = batch(t, 1, at(ask.FetchOffset, int32(ask.CurrentLeaderEpoch)))
		}
		topic.Partitions = append(topic.Partitions, p)
		resp.Topics = append(resp.Topics, topic)
	}
	e.answered(resp, nil)
}
