package integration

import (
	"fmt"
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
		playStreams(t, "ours", "ours", "ours")
		return
	}
	for _, kinds := range [][]string{{"ours", "ours", "ours"}, {"ours", "3.9.1", "ours"}, {"3.9.1", "3.9.1", "3.9.1"}} {
		t.Run(strings.Join(kinds, " "), func(t *testing.T) { playStreams(t, kinds...) })
	}
}

// playStreams runs the application on a cluster, lets the faults strike one after the other, and
// compares the results with those computed from the input.
func playStreams(t *testing.T, kinds ...string) {
	log := timedLog(t)
	s := startStreams(t, log, kinds)
	faults := []applicationFault{
		{"kill -9 of an instance and of the transaction coordinator", s.killInstanceAndCoordinator},
		{"a move of all coordinators", s.moveCoordinators},
	}
	if testkit.FullMatrices() {
		faults = append(s.faults(), applicationFault{"kill -9 of all instances", func() {
			s.killInstance()
			s.killInstance()
		}})
	}
	s.survive(faults, log)
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
	s.stopInstances(time.Minute, "closed true")
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

// streamsRun is a Streams application.
type streamsRun struct {
	*application
	app     *testkit.Kafka
	started int
}

func newStreamsRun(t *testing.T, kinds []string, more ...string) *streamsRun {
	t.Helper()
	app := testkit.RealKafka(t, "3.9.1").With(t, "streams").Compile(t, "integration/testdata/StreamsApp.java")
	topics := map[string]int32{}
	for _, topic := range slices.Concat(streamsInputs, streamsResults) {
		topics[topic] = streamsPartitions
	}
	e := newExactlyOnce(t, kinds, streamsID+"-", topics, more...)
	s := &streamsRun{app: app, application: &application{
		exactlyOnce: e,
		feed:        startNumberFeed(t, e.patient(), streamsInputs, 50),
		results:     readCommittedTopics(t, e.patient(), streamsResults...),
		output:      "joined",
		patience:    2 * time.Minute,
	}}
	s.start = s.startApp
	return s
}

// startApp starts one more instance of the application, with a directory of its own.
func (s *streamsRun) startApp() *testkit.Process {
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
	return startApplication(s.t, fmt.Sprintf("instance %d of the application", s.started), s.app.Command(s.t, "-Xmx256m", "StreamsApp", properties))
}

// check compares results with those of the input.
func (s *streamsRun) check(who string, r *committedReader) {
	s.t.Helper()
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
	r.compare(s.t, who, want)
}
