package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
)

// freePorts returns the first of n consecutive ports that are free and reserved for this caller.
func freePorts(t testing.TB, n int) int {
	t.Helper()
	first := testkit.FreePort(t)
	for last := first; last-first+1 < n; {
		if next := testkit.FreePort(t); next == last+1 {
			last = next
		} else {
			first, last = next, next
		}
	}
	return first
}

func TestOneCommandStartsALocalClusterAndOneStopsIt(t *testing.T) {
	dir, first := t.TempDir(), freePorts(t, 3)
	env := append(os.Environ(), "CLUSTER_DIR="+dir, fmt.Sprintf("BASE_PORT=%d", first), fmt.Sprintf("ZK_PORT=%d", testkit.FreePort(t)))
	cluster := func(limit time.Duration, args ...string) (stdout, stderr string, code int) {
		t.Helper()
		cmd := exec.Command(filepath.Join(testkit.Root(), "scripts/cluster.sh"), args...)
		cmd.Env = env
		return testkit.Run(t, limit, "", cmd)
	}
	t.Cleanup(func() { cluster(3*time.Minute, "stop") })

	out, errs, code := cluster(3*time.Minute, "start", "3")
	if code != 0 || strings.Count(out, " is up on localhost:") != 3 {
		t.Fatalf("start: exit code %d\n%s\n%s", code, out, errs)
	}
	bootstrap := []string{"--bootstrap-server", fmt.Sprintf("localhost:%d", first+2)}
	must(t, "kafka-topics", append(bootstrap, "--create", "--topic", "a", "--partitions", "3", "--replication-factor", "3")...)
	if described := must(t, "kafka-topics", append(bootstrap, "--describe", "--topic", "a")...); strings.Count(described, "Isr: ") != 3 || strings.Count(described, "Leader: ") != 3 {
		t.Errorf("kafka-topics.sh --describe printed\n%s", described)
	}
	if _, errs, code := cluster(time.Minute, "start", "3"); code != 1 || !strings.Contains(errs, "broker 0 runs already") {
		t.Errorf("second start: exit code %d, %s", code, errs)
	}

	out, errs, code = cluster(3*time.Minute, "stop")
	if code != 0 || strings.Count(out, "Stopping ") != 4 || errs != "" {
		t.Errorf("stop: exit code %d\n%s\n%s", code, out, errs)
	}
	if _, err := rawFrame(fmt.Sprintf("127.0.0.1:%d", first), nil, time.Second); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("something still listens on the port of broker 0: %v", err)
	}
	for _, args := range [][]string{{}, {"start"}, {"start", "none"}, {"stop", "3"}} {
		if _, errs, code := cluster(time.Minute, args...); code != 2 || errs == "" {
			t.Errorf("cluster.sh %v: exit code %d, printed %q", args, code, errs)
		}
	}
}
