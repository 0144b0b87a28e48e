package replication

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// playedLeader is broker 2 as the leader of partition 0 in epoch 3, which this broker follows. The
// test takes the fetcher's steps, answers its requests and sets the clock.
type playedLeader struct {
	*testBroker
	follower *Follower
	time     time.Time
	lines    bytes.Buffer // log output of the fetcher
}

func playLeader(t *testing.T, change ...func(*Options)) *playedLeader {
	t.Helper()
	return playLeaderOf(newTestBroker(t, change...))
}

// playLeaderOf is like playLeader, with a broker that the test has created.
func playLeaderOf(b *testBroker) *playedLeader {
	b.t.Helper()
	l := &playedLeader{testBroker: b, time: time.UnixMilli(1_700_000_000_000)}
	l.cfg.Now = func() time.Time { return l.time }
	l.cfg.Follow = func(f *Follower) { l.follower = f }
	l.fetchLog = kafkalog.For(kafkalog.New(&l.lines), "kafka.server.ReplicaFetcherThread")
	l.know(2, ourID)
	l.announce(3)
	return l
}

// announce applies a LeaderAndIsr request that makes broker 2 the leader.
func (l *playedLeader) announce(epoch int32) {
	l.t.Helper()
	if code := l.control(roleOf(0, 2, epoch, []int32{2, ourID}, 2, ourID)); code != protocol.None {
		l.t.Fatal(code)
	}
}

// next returns the request that the fetcher sends now.
func (l *playedLeader) next() (kmsg.Request, func(kmsg.Response, error)) {
	l.t.Helper()
	req, answered, pause := l.follower.Next()
	if req == nil {
		l.t.Fatalf("the fetcher has no request for %v", pause)
	}
	return req, answered
}

// pauses fails unless the fetcher pauses for the back-off time, and advances the clock by it.
func (l *playedLeader) pauses() {
	l.t.Helper()
	req, _, pause := l.follower.Next()
	if req != nil || pause != l.opts.FetchBackoff {
		l.t.Fatalf("asks %T, pauses for %v; want a pause of %v", req, pause, l.opts.FetchBackoff)
	}
	l.time = l.time.Add(pause)
}

// fetchRequest is a Fetch request that is not answered yet.
type fetchRequest struct {
	*kmsg.FetchRequest
	answered func(kmsg.Response, error)
}

func (l *playedLeader) nextFetch() fetchRequest {
	l.t.Helper()
	req, answered := l.next()
	fetch, ok := req.(*kmsg.FetchRequest)
	if !ok {
		l.t.Fatalf("asks %T, want a fetch", req)
	}
	return fetchRequest{fetch, answered}
}

// refuse answers the whole request with a code.
func (r fetchRequest) refuse(code protocol.ErrorCode) {
	resp := r.ResponseKind().(*kmsg.FetchResponse)
	resp.ErrorCode = int16(code)
	r.answered(resp, nil)
}

// answer answers partition 0 with the response that change prepares.
func (r fetchRequest) answer(change func(*kmsg.FetchResponseTopicPartition)) {
	resp := r.ResponseKind().(*kmsg.FetchResponse)
	resp.SessionID = 77
	p := kmsg.NewFetchResponseTopicPartition()
	p.LogStartOffset = 0
	change(&p)
	topic := kmsg.NewFetchResponseTopic()
	topic.Topic, topic.TopicID, topic.Partitions = testTopic, testTopicID, []kmsg.FetchResponseTopicPartition{p}
	resp.Topics = append(resp.Topics, topic)
	r.answered(resp, nil)
}

func (r fetchRequest) send(records []byte, highWatermark record.Offset) {
	r.answer(func(p *kmsg.FetchResponseTopicPartition) {
		p.RecordBatches, p.HighWatermark = records, int64(highWatermark)
	})
}

func (r fetchRequest) fail(code protocol.ErrorCode) {
	r.answer(func(p *kmsg.FetchResponseTopicPartition) { p.ErrorCode = int16(code) })
}

// logged returns the lines above level DEBUG since the last call, without their times.
func (l *playedLeader) logged() []string {
	var lines []string
	for line := range strings.Lines(l.lines.String()) {
		_, text, _ := strings.Cut(line, "] ")
		lines = append(lines, strings.TrimSuffix(text, " (kafka.server.ReplicaFetcherThread)\n"))
	}
	l.lines.Reset()
	return lines
}

func (l *playedLeader) logEnd() record.Offset { return l.partition().Log().Offsets().LogEnd }

const fetcherOfTwo = "[ReplicaFetcher replicaId=1, leaderId=2, fetcherId=0] "

func TestALostFetchSessionIsReplacedAtOnce(t *testing.T) {
	for _, code := range []protocol.ErrorCode{protocol.FetchSessionIDNotFound, protocol.InvalidFetchSessionEpoch} {
		l := playLeader(t)
		l.nextFetch().send(nil, 0)
		l.nextFetch().refuse(code)
		if req := l.nextFetch(); req.SessionEpoch != initialSessionEpoch || len(req.Topics) != 1 {
			t.Errorf("after %s: session epoch %d, topics %v; want a full fetch", code, req.SessionEpoch, req.Topics)
		}
	}
}

func TestOtherTopLevelErrorsOfAFetchBackOff(t *testing.T) {
	l := playLeader(t)
	l.nextFetch().refuse(protocol.FetchSessionIDNotFound) // makes no sense as a response to a full fetch
	l.pauses()
	l.nextFetch().send(nil, 0)
	l.nextFetch().refuse(protocol.FetchSessionTopicIDError)
	l.pauses()
	l.nextFetch().answered(nil, errors.New("connection refused"))
	l.pauses()
	if req := l.nextFetch(); req.SessionEpoch != initialSessionEpoch {
		t.Errorf("session epoch %d after lost responses, want a full fetch", req.SessionEpoch)
	}
}

// A response for an earlier epoch may be handled when the next LeaderAndIsr request has already
// made the broker follow again.
func TestAFailureOfAnEarlierEpochIsNotCounted(t *testing.T) {
	l := playLeader(t)
	p := l.partition()
	f := l.follower.fetcher
	for epoch, want := range []int{2: 0, 3: 1} {
		f.failed(&following{id: p.ID(), partition: p, epoch: metadata.LeaderEpoch(epoch)}, protocol.FencedLeaderEpoch)
		if n := f.fm.failedCount(); n != want {
			t.Errorf("after a failure of epoch %d, in epoch 3: %d partitions failed, want %d", epoch, n, want)
		}
	}
}

func TestAFollowerWithAnOlderEpochThanItsLeaderAwaitsTheController(t *testing.T) {
	l := playLeader(t)
	l.logged()
	l.nextFetch().fail(protocol.FencedLeaderEpoch)
	want := []string{
		"INFO " + fetcherOfTwo + "Partition t-0 has an older epoch (3) than the current leader. Will await the new LeaderAndIsr state before resuming fetching.",
		"WARN " + fetcherOfTwo + "Partition t-0 marked as failed",
	}
	if got := l.logged(); !slices.Equal(got, want) {
		t.Errorf("logged %q, want %q", got, want)
	}
	if req, _, _ := l.follower.Next(); req != nil {
		t.Errorf("asks %T before the controller announced the epoch", req)
	}
	l.announce(4)
	if req := l.nextFetch(); req.Topics[0].Partitions[0].CurrentLeaderEpoch != 4 {
		t.Errorf("asks %+v, want epoch 4", req.Topics)
	}
}

func TestAFailedLookupStartsAgainWithAFetch(t *testing.T) {
	for code, level := range map[protocol.ErrorCode]string{protocol.FencedLeaderEpoch: "INFO ", protocol.NotLeaderOrFollower: "INFO ",
		protocol.UnknownLeaderEpoch: "INFO ", protocol.UnknownTopicOrPartition: "INFO ", protocol.KafkaStorageError: "ERROR "} {
		l := playLeader(t)
		l.nextFetch().fail(protocol.OffsetOutOfRange)
		l.logged()
		l.answerOffset(0, code)
		if got := l.logged(); len(got) != 1 || !strings.HasPrefix(got[0], level+fetcherOfTwo) {
			t.Errorf("%s: logged %q, want one line of level %s", code.Name(), got, level)
		}
		l.pauses()
		l.nextFetch()
	}
}

// answerOffset answers the lookup that the fetcher sends now, and returns the requested partition.
func (l *playedLeader) answerOffset(offset record.Offset, code protocol.ErrorCode) kmsg.ListOffsetsRequestTopicPartition {
	l.t.Helper()
	req, answered := l.next()
	lookup, ok := req.(*kmsg.ListOffsetsRequest)
	if !ok {
		l.t.Fatalf("asks %T, want a lookup of an offset", req)
	}
	resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
	resp.Version = req.GetVersion()
	p := kmsg.NewListOffsetsResponseTopicPartition()
	p.ErrorCode, p.Offset = int16(code), int64(offset)
	resp.Topics = []kmsg.ListOffsetsResponseTopic{{Topic: testTopic, Partitions: []kmsg.ListOffsetsResponseTopicPartition{p}}}
	answered(resp, nil)
	return lookup.Topics[0].Partitions[0]
}

func TestPartitionErrorsAreLoggedBySeverity(t *testing.T) {
	for _, c := range []struct {
		code protocol.ErrorCode
		line string
	}{
		{protocol.NotLeaderOrFollower, ""},
		{protocol.UnknownLeaderEpoch, ""},
		{protocol.UnknownTopicOrPartition, "WARN " + fetcherOfTwo + "Received UNKNOWN_TOPIC_OR_PARTITION from the leader for partition t-0. This error may be returned transiently when the partition is being created or deleted, but it is not expected to persist."},
		{protocol.UnknownTopicID, "WARN " + fetcherOfTwo + "Received UNKNOWN_TOPIC_ID from the leader for partition t-0. This error may be returned transiently when the partition is being created or deleted, but it is not expected to persist."},
		{protocol.InconsistentTopicID, "WARN " + fetcherOfTwo + "Received INCONSISTENT_TOPIC_ID from the leader for partition t-0. This error may be returned transiently when the partition is being created or deleted, but it is not expected to persist."},
		{protocol.KafkaStorageError, "ERROR " + fetcherOfTwo + "Error for partition t-0 at offset 0: KAFKA_STORAGE_ERROR"},
	} {
		l := playLeader(t)
		l.logged()
		l.nextFetch().fail(c.code)
		if got := strings.Join(l.logged(), "\n"); got != c.line {
			t.Errorf("%s: logged %q, want %q", c.code, got, c.line)
		}
		l.pauses()
		l.nextFetch().send(batch(t, 1, at(0, 3)), 1)
		if l.logEnd() != 1 {
			t.Errorf("%s: the follower did not continue", c.code)
		}
	}
}

func TestAFollowerFetchesADamagedBatchAgain(t *testing.T) {
	l := playLeader(t)
	l.logged()
	set := batch(t, 2, at(0, 3))
	damaged := slices.Clone(set)
	damaged[len(damaged)-1] ^= 1
	l.nextFetch().send(damaged, 2)
	if l.logEnd() != 0 {
		t.Fatalf("a damaged batch was appended: log end %d", l.logEnd())
	}
	if got := l.logged(); len(got) != 1 || !strings.HasPrefix(got[0], "ERROR "+fetcherOfTwo+"Found invalid messages during fetch for partition t-0 offset 0: ") {
		t.Errorf("logged %q", got)
	}
	l.pauses()
	l.nextFetch().send(set, 2)
	if l.logEnd() != 2 || l.highWatermark() != 2 {
		t.Errorf("log end %d, high watermark %d after the intact batch", l.logEnd(), l.highWatermark())
	}
}
