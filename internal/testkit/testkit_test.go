package testkit

import (
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) { Main(m) }

func TestZooKeeperReturnsAnUnusedChroot(t *testing.T) {
	one, two := ZooKeeper(t), ZooKeeper(t)
	if one == two {
		t.Fatalf("both calls returned %s", one)
	}
	answer, err := shared.z.FourLetterWord("ruok")
	if err != nil || answer != "imok" {
		t.Fatalf("ruok: %q, %v", answer, err)
	}
}

func TestARealBrokerServesItsToolsAndStops(t *testing.T) {
	k := RealKafka(t, "3.9.1")
	b := k.Broker(t, 3, ZooKeeper(t), "")
	out, errs, code := k.Run(t, "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", b.Address(), "--create", "--topic", "a")
	if code != 0 || !strings.Contains(out, "Created topic a.") {
		t.Fatalf("exit %d\n%s\n%s", code, out, errs)
	}
	if !b.Stop(30 * time.Second) {
		t.Fatal("the broker did not stop on SIGTERM")
	}
}
