package integration

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/testkit"
)

// A group moves from our broker to a real one and back, on one log directory. To its members this
// is only a restart of their broker: members and generation stay the same, no offset is lost, and
// nothing is read twice. The real dump tool can read what ours wrote.
func TestARealBrokerTakesOverOurGroupsAndBack(t *testing.T) {
	ours := startBroker(t, options{})
	ours.createTopic("moved", 4)
	one := newMember(t, ours, "moved", "moved", kgo.SessionTimeout(60*time.Second), kgo.InstanceID("one"))
	two := newMember(t, ours, "moved", "moved", kgo.SessionTimeout(60*time.Second))
	testkit.Eventually(t, 20*time.Second, "two members to share", func() bool { return share(4, 2, one, two) })
	id, generation := two.client.GroupMetadata()
	sent := 0
	loads := func(who string, output string) {
		t.Helper()
		if line := fmt.Sprintf("Loading group metadata for moved with generation %d", generation); !strings.Contains(output, line) {
			t.Errorf("%s did not find generation %d", who, generation)
		}
	}
	makeProgress := func(who string) {
		t.Helper()
		fill(t, ours, "moved", sent, 40)
		sent += 40
		testkit.Eventually(t, 60*time.Second, "every record to be committed to "+who, func() bool {
			return committedOffsets(t, ours.address(), "moved", "moved") == int64(sent)
		})
		var now string // a client may rejoin under its old id
		if now, generation = two.client.GroupMetadata(); now != id {
			t.Errorf("%s: member %s became %s", who, id, now)
		}
		if n := one.records() + two.records(); n != sent {
			t.Errorf("%s: the members have read %d records of %d", who, n, sent)
		}
	}
	makeProgress("ours")
	ours.stop()
	checkOffsetsDump(t, ours.dir, "moved")

	real := testkit.RealKafka(t, "3.9.1").Broker(t, 0, ours.zookeeper, ours.dir,
		fmt.Sprintf("listeners=PLAINTEXT://127.0.0.1:%d", ours.port), "zookeeper.session.timeout.ms=3000")
	testkit.Eventually(t, 20*time.Second, "the real broker to load the offsets topic", func() bool {
		return strings.Contains(real.Output(), "Loading group metadata for moved")
	})
	loads("the real one", real.Output())
	makeProgress("the real one")
	complaints(t, real)
	realServer{real, t}.stop()

	ours.start()
	testkit.Eventually(t, 20*time.Second, "the offsets topic to be loaded", func() bool {
		return strings.Contains(ours.Output(), "Loading group metadata for moved")
	})
	loads("ours", ours.Output())
	makeProgress("ours again")
	one.leave()
	two.leave()
	ours.stop()
	checkOffsetsDump(t, ours.dir, "moved")
	for _, m := range []*consumerMember{one, two} {
		for record, n := range m.seen {
			if n != 1 {
				t.Errorf("%s was read %d times", record, n)
			}
		}
	}
}

// checkOffsetsDump compares our tool's dump of the offsets topic with that of the real tool.
func checkOffsetsDump(t *testing.T, dir, group string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "__consumer_offsets-*", "*.log"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no offsets topic in %s: %v", dir, err)
	}
	args := []string{"--offsets-decoder", "--files", strings.Join(files, ",")}
	real, errs, code := testkit.RealKafka(t, "3.9.1").Run(t, "kafka.tools.DumpLogSegments", args...)
	if code != 0 || errs != "" {
		t.Errorf("DumpLogSegments: exit code %d\n%s", code, errs)
	}
	for _, wanted := range []string{`"group":"` + group + `"`, `"protocolType":"consumer"`, `"metadata"`} {
		if !strings.Contains(real, wanted) {
			t.Errorf("the real tool does not print %s:\n%s", wanted, real)
		}
	}
	if i := strings.Index(real, "isvalid: false"); i >= 0 {
		t.Errorf("a batch is not valid:\n%s", real[max(0, i-400):i+20])
	}
	ours := must(t, "kafka-dump-log", args...)
	if d := firstDifference(strings.Split(ours, "\n"), strings.Split(real, "\n")); d != "" {
		t.Errorf("our dump of the same files differs: %s", d)
	}
}
