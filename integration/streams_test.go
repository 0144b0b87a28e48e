package integration

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/testkit"
)

// A real Kafka Streams application with exactly_once_v2 joins, counts and counts in windows. Brokers
// and instances of the application are killed while it runs, and its coordinators move. Its results
// show that each input was processed once.
func TestStreamsProcessesEachRecordOnce(t *testing.T) {
	if !testkit.FullMatrices() {
		playStreams(t, []streamsFault{
			{"kill -9 of an instance and of the transaction coordinator", (*streamsRun).killInstanceAndCoordinator},
			{"a move of all coordinators", func(s *streamsRun) { s.moveCoordinators() }},
		}, "ours", "ours", "ours")
		return
	}
	for _, kinds := range [][]string{{"ours", "ours", "ours"}, {"ours", "3.9.1", "ours"}, {"3.9.1", "3.9.1", "3.9.1"}} {
		t.Run(strings.Join(kinds, " "), func(t *testing.T) { playStreams(t, streamsFaults, kinds...) })
	}
}

// streamsFault is something that happens to the application or to its brokers.
type streamsFault struct {
	name   string
	strike func(*streamsRun)
}

var streamsFaults = []streamsFault{
	{"kill -9 of the transaction coordinator", func(s *streamsRun) { s.killBroker(s.transactionCoordinator()) }},
	{"kill -9 of an instance", (*streamsRun).killInstance},
	{"a move of all coordinators", func(s *streamsRun) { s.moveCoordinators() }},
	{"kill -9 of an instance and of the transaction coordinator", (*streamsRun).killInstanceAndCoordinator},
	{"a leader of the results stopped cleanly", func(s *streamsRun) { s.stopBroker(s.leaderOf("joined", 0)) }},
	{"the transaction coordinator asleep for longer than its session", func(s *streamsRun) { s.pauseBroker(s.transactionCoordinator()) }},
	{"kill -9 of the controller", func(s *streamsRun) { s.killBroker(s.controller()) }},
	{"kill -9 of all instances", func(s *streamsRun) {
		s.killInstance()
		s.killInstance()
	}},
	{"kill -9 of each broker in turn", func(s *streamsRun) {
		for _, m := range s.members {
			s.killBroker(m)
			s.awaitAllInSync()
		}
	}},
}

// playStreams runs the application on a cluster, lets the faults strike one after the other, and
// compares the results with those computed from the input.
func playStreams(t *testing.T, faults []streamsFault, kinds ...string) {
	log := timedLog(t)
	s := startStreams(t, log, kinds)
	for _, fault := range faults {
		fault.strike(s)
		s.awaitProgress()
		s.awaitAllInSync()
		log("%s: %s", fault.name, s)
	}
	s.finish(t, log)
}

// startStreams starts the cluster and two instances, and waits until they have processed inputs.
func startStreams(t *testing.T, log func(string, ...any), kinds []string, more ...string) *streamsRun {
	t.Helper()
	s := newStreamsRun(t, kinds, more...)
	log("the cluster runs")
	s.startInstance()
	s.startInstance()
	s.awaitProgress()
	log("%s", s)
	return s
}

// finish stops the application and compares its results, read from each broker, with those computed
// from the input.
func (s *streamsRun) finish(t *testing.T, log func(string, ...any)) {
	t.Helper()
	n := s.feed.stop()
	s.results.await(t, 3*n)
	log("%d inputs of each topic are processed", n)
	for _, i := range s.instances {
		if !i.Stop(time.Minute) || !strings.Contains(i.Output(), "closed true") {
			t.Errorf("%s did not close:\n%s", i.Name, ending(i.Output()))
		}
	}
	log("the application has closed")
	s.check("the reader during the faults", s.results)
	for _, m := range s.members {
		r := readCommittedTopics(t, patient(kgo.SeedBrokers(m.address())), streamsResults...)
		r.await(t, 3*n)
		s.check("a reader of "+m.String(), r)
	}
	for _, topic := range []string{"left", "right"} {
		if sum := committedOffsets(t, s.members[0].address(), streamsID, topic); sum != int64(n) {
			t.Errorf("the application has committed %d of %d offsets of %s", sum, n, topic)
		}
	}
	for _, topic := range streamsResults {
		s.awaitSameBytes(topic, streamsPartitions, s.members...)
	}
	s.checkHealthy()
	log("verified")
}

const (
	streamsID         = "app" // application.id, which is also the group and the prefix of transactional ids
	streamsPartitions = 3
)

var (
	streamsInputs  = []string{"left", "right"}
	streamsResults = []string{"joined", "counts", "windows"}
)

// streamsRun is a cluster with a Streams application whose instances read what feed writes.
type streamsRun struct {
	*exactlyOnce
	app       *testkit.Kafka
	started   int
	instances []*testkit.Process
	feed      *numberFeed
	results   *committedReader
}

func newStreamsRun(t *testing.T, kinds []string, more ...string) *streamsRun {
	t.Helper()
	app := testkit.RealKafka(t, "3.9.1").With(t, "streams").Compile(t, "integration/testdata/StreamsApp.java")
	topics := map[string]int32{}
	for _, topic := range slices.Concat(streamsInputs, streamsResults) {
		topics[topic] = streamsPartitions
	}
	s := &streamsRun{exactlyOnce: newExactlyOnce(t, kinds, streamsID+"-", topics, more...), app: app}
	s.feed = startNumberFeed(t, s.patient(), streamsInputs, 50)
	s.results = readCommittedTopics(t, s.patient(), streamsResults...)
	return s
}

func (s *streamsRun) String() string {
	return fmt.Sprintf("%d inputs, %d results", s.feed.count(), s.results.count())
}

// startInstance starts one more instance of the application, with a directory of its own.
func (s *streamsRun) startInstance() {
	s.t.Helper()
	s.started++
	properties := testkit.WriteFile(s.t, "streams.properties", strings.Join([]string{
		"bootstrap.servers=" + strings.Join(s.addresses(), ","),
		"application.id=" + streamsID,
		"state.dir=" + s.t.TempDir(),
		"processing.guarantee=exactly_once_v2",
		"replication.factor=3",
		"num.stream.threads=2",
		"statestore.cache.max.bytes=0", // each count is a result
		"default.key.serde=org.apache.kafka.common.serialization.Serdes$StringSerde",
		"default.value.serde=org.apache.kafka.common.serialization.Serdes$StringSerde",
		"main.consumer.session.timeout.ms=4000",
		"main.consumer.heartbeat.interval.ms=500",
		"producer.transaction.timeout.ms=5000",
		"metadata.max.age.ms=5000",
	}, "\n")+"\n")
	p := startApplication(s.t, fmt.Sprintf("instance %d of the application", s.started), s.app.Command(s.t, "-Xmx256m", "StreamsApp", properties))
	s.instances = append(s.instances, p)
}

// killInstance kills the oldest instance and starts another one.
func (s *streamsRun) killInstance() {
	s.t.Helper()
	s.instances[0].Kill()
	s.instances = s.instances[1:]
	s.startInstance()
}

// killInstanceAndCoordinator kills an instance, and with it the broker that is to abort its
// transactions.
func (s *streamsRun) killInstanceAndCoordinator() {
	s.t.Helper()
	m := s.transactionCoordinator()
	s.instances[0].Kill()
	m.process().Kill()
	s.instances = s.instances[1:]
	s.startInstance()
	s.restart(m)
}

// awaitProgress waits until the next inputs have been processed, enough to have some in each
// partition.
func (s *streamsRun) awaitProgress() {
	s.t.Helper()
	id := s.feed.count()
	testkit.Eventually(s.t, 2*time.Minute, fmt.Sprintf("the results of the inputs from %d", id), func() bool {
		checkRunning(s.t, s.instances...)
		return s.results.hasNumbers("joined", id, id+20)
	})
}

// check compares results with those of the input.
func (s *streamsRun) check(who string, r *committedReader) {
	s.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	want := map[string]map[string][]string{"joined": {}, "counts": {}, "windows": {}}
	count := func(topic, key string) {
		want[topic][key] = append(want[topic][key], fmt.Sprint(len(want[topic][key])+1))
	}
	for id := range s.feed.count() {
		window := s.feed.timestamp(id).Truncate(10 * time.Second).UnixMilli()
		want["joined"][fmt.Sprint(id)] = []string{fmt.Sprintf("%d+%d", id, id)}
		count("counts", fmt.Sprint(id%10))
		count("windows", fmt.Sprintf("%d@%d", id%10, window))
	}
	for _, topic := range streamsResults {
		differ := 0
		keys := maps.Clone(want[topic])
		maps.Copy(keys, r.values[topic])
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			if difference := firstDifference(r.values[topic][key], want[topic][key]); difference != "" {
				if differ++; differ <= 3 {
					s.t.Errorf("%s: %s of key %s: %s", who, topic, key, difference)
				}
			}
		}
		if differ > 3 {
			s.t.Errorf("%s: %s: %d keys differ", who, topic, differ)
		}
	}
}
