package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
)

// A real application of Spring for Apache Kafka copies a topic with a transaction manager: each
// thread has a producer, commits its offsets in its transactions, and aborts each fifth. Instances
// are killed or sleep, brokers are killed, and the coordinators move. Each record is copied once and
// in order.
func TestSpringCopiesEachRecordOnce(t *testing.T) {
	if !testkit.FullMatrices() {
		playSpring(t, "ours", "ours", "ours")
		return
	}
	for _, kinds := range [][]string{{"ours", "ours", "ours"}, {"ours", "3.9.1", "ours"}, {"3.9.1", "3.9.1", "3.9.1"}} {
		t.Run(strings.Join(kinds, " "), func(t *testing.T) { playSpring(t, kinds...) })
	}
}

func playSpring(t *testing.T, kinds ...string) {
	s := &springRun{
		copyRun: newCopyRun(t, "spring", kinds...),
		app:     testkit.JavaSystem(t, "spring", "4.0.8").Compile(t, "integration/testdata/SpringApp.java"),
	}
	s.start = s.startListeners
	s.startInstance()
	s.startInstance()
	s.play(append(s.faults(), applicationFault{"an instance asleep until its partitions have moved", s.pauseInstance}))
}

type springRun struct {
	*copyRun
	app    *testkit.Kafka
	starts int
}

// startListeners starts an instance with two threads. It takes over the transactional ids of the
// instance that was started two starts before, which has been killed.
func (s *springRun) startListeners() *testkit.Process {
	s.t.Helper()
	s.starts++
	properties := testkit.WriteFile(s.t, "spring.properties", strings.Join([]string{
		"bootstrap.servers=" + strings.Join(s.addresses(), ","),
		"group.id=" + s.group,
		fmt.Sprintf("transactional.id=%s-%d-", s.prefix, s.starts%2),
		"concurrency=2",
		"isolation.level=" + committed,
		"auto.offset.reset=earliest",
		"enable.auto.commit=false",
		"session.timeout.ms=4000", "heartbeat.interval.ms=500",
		"transaction.timeout.ms=5000",
		"metadata.max.age.ms=5000",
	}, "\n")+"\n")
	return startApplication(s.t, fmt.Sprintf("instance %d", s.starts), s.app.Command(s.t, "-Xmx256m", "SpringApp", properties))
}

// pauseInstance pauses an instance until the other one copies all partitions. What the first one
// had open must have no effect when it continues.
func (s *springRun) pauseInstance() {
	s.t.Helper()
	s.instances[0].Signal(sigStop)
	s.awaitProgress()
	s.instances[0].Signal(sigCont)
}
