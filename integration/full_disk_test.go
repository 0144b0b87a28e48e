package integration

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
)

// Small disks of a leader and its follower fill up under load. The follower pauses, and the leader
// refuses its producers, but serves consumers and groups. Clients of several languages wait. When
// records are deleted, everything continues by itself, nothing that was acknowledged is lost, and
// the follower gets what it missed.
func TestProducersWaitWhileDisksAreFull(t *testing.T) {
	extra := []string{"log.retention.check.interval.ms=200", "log.initial.task.delay.ms=0", "replica.lag.time.max.ms=1500",
		"replica.fetch.backoff.ms=200", "offsets.topic.num.partitions=1", "log.segment.delete.delay.ms=100"}
	metricsPort := testkit.FreePort(t)
	// The low watermark of so small disks is an eighth.
	leader, follower := mount(t, "40m"), mount(t, "32m")
	b := newBroker(t, options{id: 1, dir: filepath.Join(leader.path, "kafka-logs"),
		extra: append(slices.Clone(extra), fmt.Sprintf("monedula.metrics.listener=127.0.0.1:%d", metricsPort))})
	b.startIn(leader)
	b2 := newBroker(t, options{id: 2, zookeeper: b.zookeeper, dir: filepath.Join(follower.path, "kafka-logs"), extra: extra})
	b2.startIn(follower)
	must(t, "kafka-topics", append(b.bootstrap(), "--create", "--topic", "load", "--replica-assignment", "1:2", "--config", "segment.bytes=1048576")...)
	// The follower's disk may have no space left for records of coordinators.
	must(t, "kafka-topics", append(b.bootstrap(), "--create", "--topic", "__consumer_offsets", "--replica-assignment", "1", "--config", "cleanup.policy=compact")...)
	clients := []string{"java", "kcat", "python"}
	for _, topic := range clients {
		must(t, "kafka-topics", append(b.bootstrap(), "--create", "--topic", topic, "--replica-assignment", "1")...)
	}

	l := startLargeLoad(t, b)
	rounds := 1
	if testkit.FullMatrices() {
		rounds = 5
	}
	for round := range rounds {
		awaitLine := func(b *broker, line string) {
			t.Helper()
			testkit.Eventually(t, 60*time.Second, line, func() bool { return strings.Count(b.Output(), line) > round })
		}
		awaitLine(b2, "Replication to this directory pauses")
		awaitLine(b, "Records from clients are refused with NOT_ENOUGH_REPLICAS")
		metric := func(name string) float64 { return scrape(t, metricsPort)[name] }
		refuses := fmt.Sprintf("monedula_storage_log_dir_refuses_appends{logDirectory=%q,origin=\"client\"}", b.dir)
		if got := metric(refuses); got != 1 {
			t.Errorf("%s is %v", refuses, got)
		}
		readInGroup(t, b, fmt.Sprint("group", round))
		var sent sync.WaitGroup
		if round == 0 {
			for _, client := range clients {
				sent.Go(func() { sendWith(t, b, client) })
			}
			for _, client := range clients {
				testkit.Eventually(t, 60*time.Second, client+" to be refused", func() bool {
					return metric(fmt.Sprintf("kafka_server_brokertopicmetrics_failedproducerequests_total{topic=%q}", client)) > 1
				})
			}
		}
		l.paused.Store(true) // so that the disks do not fill up again at once
		before := l.count()
		resp := sendTo[*kmsg.DeleteRecordsResponse](t, b.address(), 2, deleteAll("load"))
		if code := resp.Topics[0].Partitions[0].ErrorCode; code != 0 {
			t.Fatalf("DeleteRecords: code %d", code)
		}
		awaitLine(b, "Records from clients are accepted again.")
		awaitLine(b2, "Replication to this directory continues.")
		testkit.Eventually(t, 60*time.Second, "writing to continue", func() bool { return l.count() >= before+largeLoadInFlight })
		sent.Wait()
		l.paused.Store(round == rounds-1)
	}
	l.stop()
	for _, client := range clients {
		if got := b.consume(client, 3); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("%s: the records are %q", client, got)
		}
	}
	l.verify(b)
	testkit.Eventually(t, 30*time.Second, "the follower to be in sync again", func() bool {
		return strings.Contains(must(t, "kafka-topics", append(b.bootstrap(), "--describe", "--topic", "load")...), "Isr: 1,2")
	})
	b.stop()
	testkit.Eventually(t, 30*time.Second, "the follower to lead", func() bool {
		return strings.Contains(must(t, "kafka-topics", append(b2.bootstrap(), "--describe", "--topic", "load")...), "Leader: 2")
	})
	l.verify(b2)
}

// deleteAll returns a request that deletes all records of partition 0 of a topic up to the high
// watermark.
func deleteAll(topic string) *kmsg.DeleteRecordsRequest {
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = 20_000
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Offset = -1
	req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{p}}}
	return req
}

// sendWith sends three records with a client that is named like their topic, and fails the test
// unless the client succeeds.
func sendWith(t *testing.T, b *broker, client string) {
	var out, errs string
	var code int
	switch client {
	case "java":
		out, errs, code = testkit.RealKafka(t, "3.9.1").RunWithInput(t, "a\nb\nc\n", "kafka.tools.ConsoleProducer",
			append(b.bootstrap(), "--topic", client, "--message-send-max-retries", "2147483647")...)
	case "kcat":
		out, errs, code = testkit.Run(t, 60*time.Second, "a\nb\nc\n", exec.Command("kcat", "-P", "-b", b.address(), "-t", client, "-p", "0"))
	case "python":
		out, errs, code = testkit.Run(t, 60*time.Second, "", exec.Command(filepath.Join(cached(t, "python-kafka-3.0.12"), "bin/python"), "-c",
			"import sys\nfrom kafka import KafkaProducer\np = KafkaProducer(bootstrap_servers=sys.argv[1])\n"+
				"for f in [p.send(sys.argv[2], v) for v in (b'a', b'b', b'c')]: f.get(timeout=60)", b.address(), client))
	}
	if code != 0 || strings.Contains(errs, "ERROR") {
		t.Errorf("%s: exit code %d\n%s\n%s", client, code, out, errs)
	}
}

// readInGroup reads some records of the topic load and commits their offsets.
func readInGroup(t *testing.T, b *broker, group string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.address()), kgo.ConsumeTopics("load"), kgo.ConsumerGroup(group), kgo.DisableAutoCommit(),
		kgo.RetryTimeout(30*time.Second)) // Close would wait for a coordinator forever
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(background(), 30*time.Second)
	defer cancel()
	fetches := client.PollRecords(ctx, 10)
	if fetches.NumRecords() == 0 {
		t.Fatalf("nothing was read: %v", fetches.Errors())
	}
	if err := client.CommitRecords(ctx, fetches.Records()...); err != nil {
		t.Errorf("committing an offset: %v", err)
	}
}

// largeLoad writes records of 4 KB, which begin with their number, to the topic load as fast as it
// can.
type largeLoad struct {
	t      *testing.T
	client *kgo.Client
	end    context.CancelFunc
	ended  chan struct{}
	paused atomic.Bool

	mu           sync.Mutex
	acknowledged map[int64]int // numbers by offset
}

// largeLoadInFlight is the number of records that wait for an answer while none is given.
const largeLoadInFlight = 500

func startLargeLoad(t *testing.T, b *broker) *largeLoad {
	t.Helper()
	client, err := kgo.NewClient(patient(kgo.SeedBrokers(b.address()), kgo.DefaultProduceTopic("load"), kgo.MaxBufferedRecords(largeLoadInFlight),
		kgo.ProducerBatchCompression(kgo.NoCompression()))...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(background())
	l := &largeLoad{t: t, client: client, end: cancel, ended: make(chan struct{}), acknowledged: map[int64]int{}}
	go l.write(ctx)
	t.Cleanup(func() { cancel(); client.Close(); <-l.ended })
	return l
}

func (l *largeLoad) write(ctx context.Context) {
	defer close(l.ended)
	pad := strings.Repeat("x", 4000)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		for l.paused.Load() && ctx.Err() == nil {
			<-tick.C
		}
		if ctx.Err() != nil {
			return
		}
		l.client.Produce(background(), kgo.StringRecord(fmt.Sprintf("%d %s", n, pad)), func(r *kgo.Record, err error) {
			if err != nil {
				l.t.Errorf("record %d: %v", n, err)
				return
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.acknowledged[r.Offset] = n
		})
	}
}

func (l *largeLoad) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acknowledged)
}

// stop ends the load once all records have been acknowledged.
func (l *largeLoad) stop() {
	l.t.Helper()
	l.end()
	ctx, cancel := context.WithTimeout(background(), time.Minute)
	defer cancel()
	<-l.ended
	if err := l.client.Flush(ctx); err != nil {
		l.t.Fatal(err)
	}
	l.client.Close()
}

// verify reads the topic through a broker. It has exactly the acknowledged records that were not
// deleted, each at its offset.
func (l *largeLoad) verify(b *broker) {
	l.t.Helper()
	read := readStored(l.t, b.address(), "load", 1)[0]
	if len(read) == 0 {
		l.t.Fatal("nothing was read")
	}
	wanted := maps.Clone(l.acknowledged)
	maps.DeleteFunc(wanted, func(offset int64, _ int) bool { return offset < read[0].offset })
	for _, r := range read {
		text, _, _ := strings.Cut(r.value, " ")
		if n, err := strconv.Atoi(text); err != nil || wanted[r.offset] != n {
			l.t.Fatalf("offset %d has record %q, acknowledged was %d", r.offset, text, wanted[r.offset])
		}
		delete(wanted, r.offset)
	}
	if len(wanted) > 0 {
		l.t.Errorf("%d acknowledged records are missing", len(wanted))
	}
}
