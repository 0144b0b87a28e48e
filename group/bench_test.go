package group

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/topictest"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/storage"
)

// BenchmarkLoad reads a partition with 100,000 commits of 100 groups.
func BenchmarkLoad(b *testing.B) {
	const commits = 100_000
	topic := topictest.New()
	f := formats{3, 3}
	var log []byte
	for i := range commits {
		o := record.Defaults()
		o.BaseOffset, o.BaseSequence = record.Offset(i), 0
		batch := record.NewBuilder(o)
		p := TopicPartition{Topic: fmt.Sprint("topic-", i%10), Partition: int32(i % 50)}
		if err := batch.Append(1, appendOffsetKey(nil, fmt.Sprint("group-", i%100), p), f.appendOffset(nil, &CommittedOffset{Offset: record.Offset(i), ExpiresMs: -1})); err != nil {
			b.Fatal(err)
		}
		set, err := batch.Build()
		if err != nil {
			b.Fatal(err)
		}
		log = append(log, set...)
	}
	topic.Logs[0], topic.Ends[0] = log, commits
	b.SetBytes(int64(len(log)))
	b.ReportAllocs()
	for b.Loop() {
		l := newLoader(0, Rules{MaxSize: 1}, b.Logf, b.Errorf)
		for batch, err := range record.Batches(log) {
			if err != nil {
				b.Fatal(err)
			}
			l.Apply(batch)
		}
		if n := len(l.finish(time.Now())); n != 100 {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(commits)*float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}

// discardTopic accepts every append and stores nothing.
type discardTopic struct{ *topictest.Topic }

func (discardTopic) Append(int32, []byte, *storage.Verification, int16) (replication.Written, error) {
	return replication.Written{End: 1}, nil
}

func (discardTopic) Verify(*replication.Transaction, <-chan struct{}) (*storage.Verification, error) {
	return nil, nil
}

// BenchmarkCommit commits one partition's offset for a member.
func BenchmarkCommit(b *testing.B) {
	topic := discardTopic{topictest.New()}
	c := NewCoordinator(Config{Options: testOptions(), Topic: topic, Logger: kafkalog.Discard()})
	c.Start()
	defer c.Stop()
	c.BecameLeader(TopicPartition{Topic: metadata.GroupOffsetsTopic}, 0)
	awaitLoaded(c)
	b.ReportAllocs()
	for b.Loop() {
		if code := c.Commit("g", CommitRequest{Generation: -1, Commits: []Commit{commitOf("t", 0, 1)}})[0]; code != 0 {
			b.Fatal(code.Name())
		}
	}
}

// BenchmarkGroupHeap fills a coordinator with groups of one member and one offset and reports the
// heap bytes that each of them takes.
func BenchmarkGroupHeap(b *testing.B) {
	const groups = 10_000
	opts := testOptions()
	opts.Rules.InitialDelay = 0
	heapSize := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	subscription := append([]byte{0, 0, 0, 0, 0, 1, 0, 4}, "load\xff\xff\xff\xff"...)
	for b.Loop() {
		c := NewCoordinator(Config{Options: opts, Topic: discardTopic{topictest.New()}, Logger: kafkalog.Discard()})
		c.Start()
		c.BecameLeader(TopicPartition{Topic: metadata.GroupOffsetsTopic}, 0)
		awaitLoaded(c)
		before := heapSize()
		for i := range groups {
			id := fmt.Sprint("group-", i)
			joined := c.Join(id, JoinRequest{ClientID: strings.Clone("bench"), ClientHost: strings.Clone("/127.0.0.1"), RebalanceTimeoutMs: 60_000,
				SessionTimeoutMs: opts.MaxSessionMs, ProtocolType: strings.Clone("consumer"), Protocols: []Protocol{{strings.Clone("range"), bytes.Clone(subscription)}}}, nil)
			synced := c.Sync(id, SyncRequest{MemberID: joined.MemberID, Generation: joined.Generation, Assignments: map[string][]byte{joined.MemberID: make([]byte, 16)}}, nil)
			committed := c.Commit(id, CommitRequest{MemberID: joined.MemberID, Generation: joined.Generation, Commits: []Commit{commitOf(strings.Clone("load"), 0, 1)}})
			if joined.Err != 0 || synced.Err != 0 || committed[0] != 0 {
				b.Fatal(joined.Err.Name(), synced.Err.Name(), committed[0].Name())
			}
		}
		b.ReportMetric(float64(heapSize()-before)/groups, "B/group")
		c.Stop()
	}
}
