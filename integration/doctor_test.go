package integration

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
)

// own runs a program of Monedula that has no script.
func own(t testing.TB, name string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return testkit.Run(t, time.Minute, "", exec.Command(filepath.Join(testkit.Root(), "monedula"), append([]string{name}, args...)...))
}

func TestTheDoctorExaminesABroker(t *testing.T) {
	z := startEmbedded(t)
	b := startBroker(t, options{id: 1, zookeeper: z.Address() + "/kafka", extra: []string{"num.partitons=3"}})
	must(t, "kafka-topics", append(b.bootstrap(), "--create", "--topic", "orders")...)
	b.produce("orders", "one", "two", "three")
	must(t, "kafka-console-consumer", append(b.bootstrap(), "--topic", "orders", "--group", "billing", "--from-beginning", "--max-messages", "2")...)
	out, errs, code := own(t, "doctor", append(b.bootstrap(), "--config", b.file, "--watch", "0")...)
	for _, want := range []string{
		fmt.Sprintf("broker 1  %s  answered in ", b.address()),
		", Kafka 3.9 or newer",
		"ZooKeeper " + z.Address() + "/kafka, session opened in ",
		"standalone, version 3.9",
		"group billing: warning: it has no members and is 1 record(s) behind [group-stopped]",
		"The configuration num.partitons is not known and has no effect; did you mean num.partitions? [unknown-key]",
		"no errors, 2 warnings, ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in the examination, exit code %d\n%s%s", want, code, out, errs)
		}
	}
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	if testkit.FullMatrices() {
		examineRealBroker(t, z.Address()+"/kafka")
	}
	if out, _, code := own(t, "doctor", "--bootstrap-server", z.Address()); code != 1 || !strings.Contains(out, "error: the port is that of ZooKeeper, not of a broker [zookeeper-port]") {
		t.Errorf("the port of ZooKeeper: exit code %d\n%s", code, out)
	}
	b.stop()
	config := testkit.WriteFile(t, "admin.properties", "default.api.timeout.ms=1000\n")
	out, errs, code = run(t, "kafka-topics", append(b.bootstrap(), "--list", "--command-config", config)...)
	lines := strings.Split(strings.TrimSpace(errs), "\n")
	if last := lines[len(lines)-1]; code != 1 || !strings.HasPrefix(last, "Tried without success: "+b.address()) || !strings.HasSuffix(last, ": connection refused by "+b.address()+".") ||
		!strings.Contains(out+errs, "Timed out waiting for a node assignment. Call: listTopics") {
		t.Errorf("a broker that is stopped: exit code %d\n%s%s", code, out, errs)
	}
}

// examineRealBroker adds a real broker to the cluster and examines the cluster through it.
func examineRealBroker(t *testing.T, zooKeeper string) {
	t.Helper()
	real := testkit.RealKafka(t, "3.9.1").Broker(t, 2, zooKeeper, t.TempDir())
	testkit.Eventually(t, 2*time.Minute, "the examination of both brokers", func() bool {
		out, _, code := own(t, "doctor", "--bootstrap-server", real.Address(), "--zookeeper", zooKeeper, "--watch", "0")
		return code == 0 && strings.Contains(out, "2 broker(s)") && strings.Contains(out, "broker 2  "+real.Address()+"  answered in ") && !strings.Contains(out, "not-registered")
	})
}

func TestAConfigurationIsCheckedBeforeTheStart(t *testing.T) {
	file := testkit.WriteFile(t, "server.properties", "broker.id=1 # the first\nlog.dirs="+t.TempDir()+"\nzookeeper.connect=127.0.0.1:1\n")
	out, _, code := own(t, "check-config", file)
	if want := file + ":1: error: the comment after the value of broker.id is part of the value [inline-comment]\n"; code != 1 || !strings.Contains(out, want) {
		t.Errorf("exit code %d\n%s", code, out)
	}
	// The start fails with Kafka's message, after a warning that explains it.
	out, _, code = run(t, "kafka-server-start", file)
	warning := strings.Index(out, "] WARN the comment after the value of broker.id is part of the value. ")
	if refusal := strings.Index(out, "Invalid value 1 # the first for configuration broker.id: Not a number of type INT"); code != 1 || warning < 0 || refusal < warning {
		t.Errorf("exit code %d\n%s", code, out)
	}
}
