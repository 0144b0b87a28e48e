package integration

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/monedula/monedula/internal/testkit"
)

func startEmbedded(t testing.TB) *testkit.Ensemble {
	t.Helper()
	return testkit.NewEmbeddedZooKeeper(t, "snapCount=200")
}

// The server is killed while clients write. After a restart every write that was acknowledged exists.
func TestTheEmbeddedZooKeeperLosesNoAcknowledgedWriteWhenKilled(t *testing.T) {
	rounds := 2
	if testkit.FullMatrices() {
		rounds = 8
	}
	z := startEmbedded(t)
	var mu sync.Mutex
	var acknowledged []string
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(acknowledged)
	}
	for round := range rounds {
		var clients sync.WaitGroup
		enough := count() + 150
		for i := range 4 {
			conn := openTree(t, z.Address()).conn
			clients.Go(func() {
				for n := 0; ; n++ {
					path := fmt.Sprintf("/%d-%d-%d", round, i, n)
					if _, err := conn.Create(path, []byte(path), 0, zk.WorldACL(zk.PermAll)); err != nil {
						return // the server is gone
					}
					mu.Lock()
					acknowledged = append(acknowledged, path)
					mu.Unlock()
				}
			})
		}
		testkit.Eventually(t, time.Minute, "acknowledged writes", func() bool { return count() >= enough })
		z.Kill()
		clients.Wait()
		if err := z.Restart(); err != nil {
			t.Fatal(err)
		}
		names, _, err := openTree(t, z.Address()).conn.Children("/")
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(names)
		for _, path := range acknowledged {
			if _, found := slices.BinarySearch(names, path[1:]); !found {
				t.Fatalf("round %d: %s is lost, one of %d", round, path, len(acknowledged))
			}
		}
	}
}

func TestABrokerRunsOnTheEmbeddedZooKeeper(t *testing.T) {
	z := startEmbedded(t)
	b := startBroker(t, options{id: 1, zookeeper: z.Address() + "/kafka", extra: []string{"zookeeper.session.timeout.ms=10000"}, omit: map[string]bool{"zookeeper.session.timeout.ms": true}})
	must(t, "kafka-topics", append(b.bootstrap(), "--create", "--topic", "first", "--partitions", "2")...)
	b.produce("first", "one", "two")
	z.Kill()
	if err := z.Restart(); err != nil {
		t.Fatal(err)
	}
	// The broker continues with its session.
	must(t, "kafka-topics", append(b.bootstrap(), "--create", "--topic", "second")...)
	b.produce("second", "three")
	if got := append(b.consume("first", 2), b.consume("second", 1)...); strings.Join(slices.Sorted(slices.Values(got)), " ") != "one three two" {
		t.Errorf("consumed %q", got)
	}
	if strings.Contains(b.Output(), "Session expired") {
		t.Errorf("the session was lost:\n%s", b.Output())
	}
	conn := openTree(t, z.Address()).conn
	if testkit.FullMatrices() {
		real := testkit.RealKafka(t, "3.9.1").Broker(t, 2, z.Address()+"/kafka", t.TempDir())
		testkit.Eventually(t, 2*time.Minute, "the real broker", func() bool {
			ids, _, err := conn.Children("/kafka/brokers/ids")
			return err == nil && len(ids) == 2
		})
		must(t, "kafka-topics", append(b.bootstrap(), "--create", "--topic", "both", "--partitions", "2", "--replication-factor", "2")...)
		out := mustWith(t, "four\n", "kafka-console-producer", "--bootstrap-server", real.Address(), "--topic", "both") +
			must(t, "kafka-console-consumer", "--bootstrap-server", real.Address(), "--topic", "both", "--from-beginning", "--max-messages", "1", "--timeout-ms", "30000")
		if !strings.Contains(out, "four") {
			t.Errorf("from the real broker: %q", out)
		}
	}
	b.stop()
	if _, _, err := conn.Get("/kafka/brokers/ids/1"); !errors.Is(err, zk.ErrNoNode) {
		t.Errorf("after the broker stopped: %v", err)
	}
}

func TestTheEmbeddedZooKeeperSaysWhatItIsAndRefusesAnEnsemble(t *testing.T) {
	z := startEmbedded(t)
	if err := z.AwaitOutput("For production use an ensemble of Apache ZooKeeper", time.Minute); err != nil {
		t.Errorf("at its start: %v", err)
	}
	file := testkit.WriteFile(t, "ensemble.properties", "dataDir="+t.TempDir()+"\nclientPort=1\nserver.1=a:2888:3888\n")
	out, _, code := run(t, "zookeeper-server-start", "--embedded", file)
	if code != 1 || !strings.Contains(out, "cannot be part of an ensemble") {
		t.Errorf("an ensemble: exit code %d, %s", code, out)
	}
	// Without Java and ZOOKEEPER_HOME, the script starts the embedded server by itself.
	cmd := script("zookeeper-server-start", file)
	cmd.Env = slices.DeleteFunc(hidden(t), func(v string) bool { return strings.HasPrefix(v, "ZOOKEEPER_HOME=") })
	out, errs, code := testkit.Run(t, time.Minute, "", cmd)
	if code != 1 || !strings.Contains(out, "cannot be part of an ensemble") {
		t.Errorf("without Java: exit code %d, %s%s", code, out, errs)
	}
	// Two servers do not share a directory.
	out, _, code = run(t, "zookeeper-server-start", "--embedded", z.Properties())
	if code != 1 || !strings.Contains(out, "address already in use") {
		t.Errorf("a port in use: exit code %d, %s", code, out)
	}
}
