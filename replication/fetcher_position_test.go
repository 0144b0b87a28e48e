package replication

import (
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// withRecords gives the follower's log the given epochs with two records each, and makes this
// broker a follower in the last of them.
func (l *playedLeader) withRecords(epochs ...int32) {
	l.t.Helper()
	for _, epoch := range epochs {
		if l.partition().State().LeaderEpoch != metadata.LeaderEpoch(epoch) {
			l.announce(epoch)
		}
		end := l.logEnd()
		if _, err := l.partition().appendFetched(batch(l.t, 2, at(end, epoch)), end, metadata.LeaderEpoch(epoch), end+2, 0); err != nil {
			l.t.Fatal(err)
		}
	}
}

// nextEpochEnd returns the OffsetForLeaderEpoch request that the fetcher sends now or after the
// shortest pause; end answers it.
func (l *playedLeader) nextEpochEnd() (epoch int32, end func(epoch int32, offset record.Offset)) {
	l.t.Helper()
	req, answered, pause := l.follower.Next()
	if req == nil && pause == time.Millisecond {
		req, answered, _ = l.follower.Next()
	}
	lookup, ok := req.(*kmsg.OffsetForLeaderEpochRequest)
	if !ok {
		l.t.Fatalf("asks %T, want the end of an epoch", req)
	}
	return lookup.Topics[0].Partitions[0].LeaderEpoch, func(epoch int32, offset record.Offset) {
		resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
		p := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
		p.LeaderEpoch, p.EndOffset = epoch, int64(offset)
		resp.Topics = []kmsg.OffsetForLeaderEpochResponseTopic{{Topic: testTopic, Partitions: []kmsg.OffsetForLeaderEpochResponseTopicPartition{p}}}
		answered(resp, nil)
	}
}

// oldPeers configures an inter.broker.protocol.version below 2.7, with which a follower truncates
// before it fetches.
func oldPeers(o *Options) {
	o.PeerVersions = PeerVersions{Fetch: 11, ListOffsets: 5, OffsetForLeaderEpoch: 3}
}

func TestWithOldPeersTruncationContinuesUntilTheLogsAgree(t *testing.T) {
	l := playLeader(t, oldPeers)
	l.withRecords(3, 5, 7) // the leader knows 3, 4 and 6
	l.announce(8)
	epoch, end := l.nextEpochEnd()
	if epoch != 7 {
		t.Fatalf("asks for the end of epoch %d, want the latest", epoch)
	}
	end(6, 9) // the follower's largest epoch up to 6 is 5
	if l.logEnd() != 4 {
		t.Fatalf("log end %d after the first step", l.logEnd())
	}
	epoch, end = l.nextEpochEnd()
	if epoch != 5 {
		t.Fatalf("asks for the end of epoch %d, want 5", epoch)
	}
	end(4, 3) // the follower's largest epoch up to 4 is 3
	epoch, end = l.nextEpochEnd()
	if epoch != 3 {
		t.Fatalf("asks for the end of epoch %d, want 3", epoch)
	}
	end(3, 1)
	if l.logEnd() != 1 {
		t.Errorf("log end %d once the logs agree", l.logEnd())
	}
	if p := l.nextFetch().Topics[0].Partitions[0]; p.FetchOffset != 1 || p.CurrentLeaderEpoch != 8 {
		t.Errorf("fetches %+v", p)
	}
}

func TestEpochEndsForAnEarlierEpochAreDropped(t *testing.T) {
	l := playLeader(t, oldPeers)
	l.withRecords(3)
	l.announce(4)
	_, end := l.nextEpochEnd()
	l.announce(5)
	end(3, 0)
	if l.logEnd() != 2 {
		t.Errorf("log end %d: a response for epoch 4 truncated the log in epoch 5 (KAFKA-7786)", l.logEnd())
	}
}

// moveTo makes the follower continue at another offset in the same epoch, as if its partition had
// been removed from a fetcher and added again.
func (l *playedLeader) moveTo(records int) {
	l.t.Helper()
	f := l.follower.fetcher
	f.remove(partition0)
	p := l.partition()
	end := l.logEnd()
	if _, err := p.appendFetched(batch(l.t, records, at(end, 3)), end, 3, 0, 0); err != nil {
		l.t.Fatal(err)
	}
	start, ok := p.startFollowing(testTopicID, true)
	if !ok {
		l.t.Fatal("the partition is not followed")
	}
	f.add(start)
}

func TestAnswersForAnotherOffsetAreDropped(t *testing.T) {
	l := playLeader(t)
	l.nextFetch().send(batch(t, 2, at(0, 3)), 0)
	fetch := l.nextFetch() // at offset 2
	l.moveTo(3)
	fetch.answer(func(p *kmsg.FetchResponseTopicPartition) { p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset = 3, 1 })
	if l.logEnd() != 5 {
		t.Errorf("log end %d: a response for offset 2 was applied at 5", l.logEnd())
	}
	if p := l.nextFetch().Topics[0].Partitions[0]; p.FetchOffset != 5 {
		t.Errorf("fetches at %d", p.FetchOffset)
	}
}

func TestOffsetsForAnotherPositionAreDropped(t *testing.T) {
	l := playLeader(t)
	l.nextFetch().send(batch(t, 2, at(0, 3)), 0)
	l.nextFetch().fail(protocol.OffsetOutOfRange)
	l.answerOffset(0, protocol.None) // latest
	l.moveTo(3)
	l.answerOffset(0, protocol.None) // earliest
	if l.logEnd() != 5 {
		t.Errorf("log end %d: lookups for offset 2 were applied at 5", l.logEnd())
	}
}

// A follower that is out of range continues at an offset of the leader's log. Its lookups carry the
// epoch in which it follows (KAFKA-2143).
func TestAFollowerOutOfRangeContinuesWithinTheLeadersLog(t *testing.T) {
	for _, c := range []struct {
		what             string
		latest, earliest record.Offset // of the leader
		end              record.Offset
		next             int64 // the follower's log end and next fetch offset
		epoch            int32 // of the follower's last record, in its next fetch
		lag              int64
		waits            bool
	}{
		{"the leader has less", 1, 0, 1, 1, 3, 0, false},
		{"the leader's log starts later", 9, 7, 7, 7, -1, 2, false},
		{"within the leader's log", 9, 0, 2, 2, 3, 7, true},
	} {
		l := playLeader(t)
		l.nextFetch().send(batch(t, 2, at(0, 3)), 0)
		l.nextFetch().fail(protocol.OffsetOutOfRange)
		var asked []int64
		for _, offset := range []record.Offset{c.latest, c.earliest} {
			p := l.answerOffset(offset, protocol.None)
			asked = append(asked, p.Timestamp)
			if p.CurrentLeaderEpoch != 3 {
				t.Errorf("%s: a lookup in epoch %d", c.what, p.CurrentLeaderEpoch)
			}
		}
		if !slices.Equal(asked, []int64{LatestOffset, EarliestOffset}) {
			t.Errorf("%s: looked up %v", c.what, asked)
		}
		if c.waits {
			l.pauses()
		}
		if lags := l.FollowerLags(); len(lags) != 1 || lags[0].Lag != c.lag {
			t.Errorf("%s: lags %+v, want %d", c.what, lags, c.lag)
		}
		for _, topic := range l.nextFetch().Topics { // empty if the session already has the partition
			if p := topic.Partitions[0]; p.FetchOffset != c.next || p.LastFetchedEpoch != c.epoch {
				t.Errorf("%s: fetches at %d after epoch %d, want %d after epoch %d", c.what, p.FetchOffset, p.LastFetchedEpoch, c.next, c.epoch)
			}
		}
		if l.logEnd() != c.end {
			t.Errorf("%s: log end %d, want %d", c.what, l.logEnd(), c.end)
		}
	}
}

func TestFollowerLagsAreReported(t *testing.T) {
	l := playLeader(t)
	lag := func() int64 {
		t.Helper()
		lags := l.FollowerLags()
		if len(lags) != 1 || lags[0].Partition != partition0 || lags[0].ClientID != "ReplicaFetcherThread-0-2" {
			t.Fatalf("%+v", lags)
		}
		return lags[0].Lag
	}
	if got := lag(); got != -1 {
		t.Errorf("lag %d before the first response, want -1", got)
	}
	l.nextFetch().send(batch(t, 2, at(0, 3)), 9)
	if got := lag(); got != 7 {
		t.Errorf("lag %d, want 7", got)
	}
	l.announce(4) // follow again, also with metrics enabled
}

func TestPartitionsOfATopicAreRequestedTogether(t *testing.T) {
	l := playLeader(t)
	for _, partition := range []int32{1, 2} {
		if code := l.control(roleOf(partition, 2, 3, []int32{2, ourID}, 2, ourID)); code != protocol.None {
			t.Fatal(code)
		}
	}
	req := l.nextFetch()
	if len(req.Topics) != 1 || len(req.Topics[0].Partitions) != 3 {
		t.Errorf("asks for %d topics: %+v", len(req.Topics), req.Topics)
	}
}

// After an unclean election a fetch may find thousands of logs that diverge from their leader's.
// Each truncation on its own would write the checkpoints of all of them.
func TestManyTruncationsShareCheckpointWrites(t *testing.T) {
	const partitions = 30
	for name, versions := range map[string]func(*Options){"by a fetch": func(*Options) {}, "by epochs": oldPeers} {
		t.Run(name, func(t *testing.T) {
			b := newHostOfMany(t, partitions, 2, versions)
			f := b.follower.fetcher
			answer := func(change func(ask PartitionAsk, p *kmsg.FetchResponseTopicPartition)) {
				t.Helper()
				e, _ := f.next(b.clock)
				req, isFetch := e.req.(*kmsg.FetchRequest)
				if !isFetch {
					t.Fatalf("asks %T", e.req)
				}
				resp := req.ResponseKind().(*kmsg.FetchResponse)
				resp.Version, resp.SessionID = req.Version, 77
				for id, ask := range f.session.known {
					topic, p := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
					topic.Topic, topic.TopicID, p.Partition = id.Topic, ask.TopicID, id.Partition
					change(ask, &p)
					topic.Partitions = append(topic.Partitions, p)
					resp.Topics = append(resp.Topics, topic)
				}
				e.answered(resp, nil)
			}
			for range 2 {
				answer(func(ask PartitionAsk, p *kmsg.FetchResponseTopicPartition) {
					p.RecordBatches = batch(t, 1, at(ask.FetchOffset, int32(ask.CurrentLeaderEpoch)))
					p.HighWatermark = int64(ask.FetchOffset + 1)
				})
			}
			if err := b.logs.CheckpointHighWatermarks(testDir, b.logs.Logs()); err != nil {
				t.Fatal(err)
			}
			b.checkpoints.Store(0)
			if name == "by a fetch" {
				answer(func(ask PartitionAsk, p *kmsg.FetchResponseTopicPartition) {
					p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset = int32(ask.CurrentLeaderEpoch), 1
				})
			} else {
				for p := range int32(partitions) {
					takeRoles(t, b.Manager, roleOf(p, 2, 2, []int32{ourID, 2}, ourID, 2))
				}
				e, _ := f.next(b.clock)
				req := e.req.(*kmsg.OffsetForLeaderEpochRequest)
				resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
				for _, asked := range req.Topics {
					topic, p := kmsg.NewOffsetForLeaderEpochResponseTopic(), kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
					topic.Topic, p.Partition, p.LeaderEpoch, p.EndOffset = asked.Topic, asked.Partitions[0].Partition, asked.Partitions[0].LeaderEpoch, 1
					topic.Partitions = append(topic.Partitions, p)
					resp.Topics = append(resp.Topics, topic)
				}
				e.answered(resp, nil)
			}
			for _, l := range b.logs.Logs() {
				if end := l.Offsets().LogEnd; end != 1 {
					t.Fatalf("%v ends at %d", l, end)
				}
			}
			if n := b.checkpoints.Load(); n != 1 {
				t.Errorf("%d truncations wrote the checkpoint %d times", partitions, n)
			}
		})
	}
}
