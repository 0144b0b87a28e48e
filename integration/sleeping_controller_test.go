package integration

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
)

// A controller is paused while another broker replaces it, and resumes without hearing from
// ZooKeeper, with its session alive. The brokers refuse its remaining requests, and its first write
// fails on the controller epoch.
func TestAControllerThatSleptThroughItsReplacementIsRefused(t *testing.T) {
	if !testkit.Alone(t) {
		return
	}
	l := newLab(t, "zookeeper.session.timeout.ms=30000", "controlled.shutdown.retry.backoff.ms=500")
	old := l.controller()
	next, busy := l.others(old)[0], l.others(old)[1]
	l.awaitMetadata("all brokers", func(resp *kmsg.MetadataResponse) bool { return len(resp.Brokers) == 3 })
	create := func(topic string) { // over ZooKeeper, since two brokers will be paused
		t.Helper()
		must(t, "kafka-topics", "--zookeeper", l.quorum.Connect(l.quorum.ClientPort())+"/lab", "--create", "--topic", topic, "--replica-assignment",
			fmt.Sprintf("%d:%d:%d", next.id, old.id, busy.id))
	}
	leads := func(s partitionState) bool { return s.Leader == next.id }

	// One broker is slow: one request of the controller is in flight to it, and the following ones
	// wait.
	busy.process().Signal(sigStop)
	for _, topic := range []string{"one", "two", "three"} {
		create(topic)
		l.awaitState(topic, 0, "a leader", leads)
	}
	epoch, _ := l.tree.get("/controller_epoch")
	old.process().Signal(sigStop)
	session := l.tree.stat(fmt.Sprintf("/brokers/ids/%d", old.id)).EphemeralOwner
	create("late") // the controller is notified but cannot react
	if err := l.tree.conn.Delete(l.tree.path("/controller"), -1); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 15*time.Second, "another controller", func() bool { return l.controllerID() == next.id })
	elected := l.tree.stat("/controller").Czxid
	l.awaitState("late", 0, "a leader", leads)
	l.net.Part(only(old.node()), l.quorum.Nodes) // it has already received what ZooKeeper sent so far
	busy.process().Signal(sigCont)
	l.awaitMetadataOn(busy, "the new controller", func(resp *kmsg.MetadataResponse) bool { return resp.ControllerID == next.id })
	old.process().Signal(sigCont)
	busy.awaitLogged(fmt.Sprintf("Ignoring LeaderAndIsr request from controller %d with correlation id", old.id))
	busy.awaitLogged(fmt.Sprintf("since its controller epoch %s is old. Latest known controller epoch is ", epoch))
	l.healLinks()
	old.awaitLogged("Controller moved to another broker when processing TopicChange")

	for _, topic := range []string{"one", "two", "three", "late"} {
		l.awaitInSync(topic, 1, l.ids()...)
	}
	l.checkHealthy()
	if s := l.tree.stat(fmt.Sprintf("/brokers/ids/%d", old.id)); s == nil || s.EphemeralOwner != session {
		t.Errorf("the old controller's registration is %+v, want the earlier one: its session was alive", s)
	}
	failed := false
	for _, txn := range l.loggedWrites(session) {
		if txn.zxid > elected && strings.HasPrefix(txn.what, "multi") {
			if failed = strings.HasPrefix(txn.what, "multi error:"); !failed {
				t.Errorf("the old controller's first write after the election was %q", txn.what)
			}
			break
		}
	}
	if !failed {
		t.Error("no write of the old controller failed on the epoch")
	}
}

// A controller that is paused for longer than its session continues in a new session. Its
// registration is the first ephemeral node that it creates in that session.
func TestAControllerThatSleptThroughItsSessionRegistersBeforeAnythingElse(t *testing.T) {
	if !testkit.Alone(t) {
		return
	}
	l := newLab(t, quick...)
	l.createTopic("load", [][]int32{{1, 2, 3}, {2, 3, 1}, {3, 1, 2}, {1, 3, 2}}, "min.insync.replicas=2")
	old := l.controller()
	registration := fmt.Sprintf("/brokers/ids/%d", old.id)
	session := l.tree.stat(registration).EphemeralOwner
	l.sleepThroughSession(old)
	testkit.Eventually(t, 30*time.Second, "a new registration", func() bool { return l.tree.stat(registration) != nil })
	renewed := l.tree.stat(registration).EphemeralOwner
	if renewed == session {
		t.Fatalf("the registration belongs to the old session %x", session)
	}
	// Let it win an election too, so that the nodes that it creates then are also checked.
	l.awaitInSync("load", clusterPartitions, l.ids()...)
	l.makeController(old)
	mine := regexp.MustCompile(`(?s)^(create|multi create).*?/lab(/controller|/brokers/ids/\d+)\b`)
	var made []string
	for _, txn := range l.loggedWrites(renewed) {
		if m := mine.FindStringSubmatch(txn.what); m != nil && !strings.HasPrefix(m[2], "/controller_epoch") {
			made = append(made, m[2])
		}
	}
	if len(made) < 2 || made[0] != registration || made[len(made)-1] != "/controller" {
		t.Errorf("the new session created %v, want its registration first and then the controller's node", made)
	}
}

// loggedWrite is one entry of ZooKeeper's transaction log.
type loggedWrite struct {
	zxid int64
	what string
}

// loggedWrites returns the writes of a session, successful or not, in order, as printed by
// ZooKeeper's own tool.
func (l *lab) loggedWrites(session int64) []loggedWrite {
	l.t.Helper()
	classpath, err := testkit.Script("scripts/zookeeper-classpath.sh")
	if err != nil {
		l.t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(l.quorum.Servers[l.quorum.Leader(l.t)].DataDir(), "version-2/log.*"))
	if err != nil || len(files) == 0 {
		l.t.Fatalf("no transaction log: %v", err)
	}
	head := regexp.MustCompile(`(?m)^.* session 0x([0-9a-f]+) cxid 0x[0-9a-f]+ zxid 0x([0-9a-f]+) `)
	var all []loggedWrite
	for _, file := range files {
		out, errs, code := testkit.Run(l.t, time.Minute, "", exec.Command("java", "-cp", classpath, "org.apache.zookeeper.server.persistence.TxnLogToolkit", "-d", file))
		if code != 0 {
			l.t.Fatalf("TxnLogToolkit of %s: exit code %d\n%s", file, code, errs)
		}
		at := head.FindAllStringSubmatchIndex(out, -1)
		for i, m := range at {
			end := len(out)
			if i+1 < len(at) {
				end = at[i+1][0]
			}
			if out[m[2]:m[3]] == fmt.Sprintf("%x", uint64(session)) {
				var txn loggedWrite
				if _, err := fmt.Sscanf(out[m[4]:m[5]], "%x", &txn.zxid); err != nil {
					l.t.Fatal(err)
				}
				txn.what = out[m[1]:end]
				all = append(all, txn)
			}
		}
	}
	return all
}
