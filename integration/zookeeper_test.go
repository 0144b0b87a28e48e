package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/internal/testkit"
)

// chance matches what differs between runs: times, random ids, ports.
var chance = regexp.MustCompile(`"timestamp":"\d{13}"|"id":"[A-Za-z0-9_-]{22}"|"topic_id":"[A-Za-z0-9_-]{22}"|"port":\d+|127\.0\.0\.1:\d+|czxid\S+`)

// treeLines formats nodes as lines of the golden dumps, with versions and numbers of children. It
// skips the root, whose counters depend on its parent.
func treeLines(nodes []znode) []string {
	var lines []string
	for _, n := range nodes {
		if n.path == "/" || strings.HasPrefix(n.path, "/zookeeper") {
			continue
		}
		lines = append(lines, chance.ReplaceAllString(fmt.Sprintf("%s\tdataVersion=%d\tcversion=%d\tnumChildren=%d",
			n, n.stat.Version, n.stat.Cversion, n.stat.NumChildren), "*"))
	}
	return lines
}

// goldenTreeLines reads a pair of golden dumps in the format of treeLines.
func goldenTreeLines(t testing.TB, name string) []string {
	t.Helper()
	read := func(name string) map[string]string {
		lines := map[string]string{}
		for s := bufio.NewScanner(bytes.NewReader(golden.Read(t, name))); s.Scan(); {
			path, rest, _ := strings.Cut(s.Text(), "\t")
			lines[path] = rest
		}
		return lines
	}
	counters := regexp.MustCompile(`dataVersion=\d+|cversion=\d+|numChildren=\d+`)
	nodes, stats := read(name+".txt"), read(name+".stat.txt")
	var paths []string
	for path := range nodes {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	var lines []string
	for _, path := range paths {
		if path == "/" || strings.HasPrefix(path, "/zookeeper") {
			continue
		}
		line := path + "\t" + nodes[path] + "\t" + strings.Join(counters.FindAllString(stats[path], -1), "\t")
		lines = append(lines, chance.ReplaceAllString(line, "*"))
	}
	return lines
}

// awaitSameTree waits until have and want return the same lines, and fails with the first
// difference if they do not within 15 seconds.
func awaitSameTree(t testing.TB, what string, have func() []string, want func() []string) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		difference := firstDifference(have(), want())
		if difference == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %s", what, difference)
		}
		<-time.After(50 * time.Millisecond)
	}
}

func TestAFreshBrokerCreatesTheTreeOfARealOne(t *testing.T) {
	b := startBroker(t, options{})
	z := openTree(t, b.zookeeper)
	real := goldenTreeLines(t, "znodes-3.9.1-fresh-default")
	awaitSameTree(t, "against the golden tree", func() []string { return treeLines(z.dump()) }, func() []string { return real })
}

// Each step is done to our broker and to a real one with the same tool. Their trees must then be
// equal: data, ephemeral nodes, versions and numbers of children, and for a new topic the order in
// which the nodes were created.
func TestTheTreeMatchesARealBrokersThroughTheLifeOfATopic(t *testing.T) {
	ours := startBroker(t, options{})
	real := testkit.RealKafka(t, "3.9.1").Broker(t, 0, testkit.ZooKeeper(t), "")
	realConnect := strings.TrimSpace(connectOf(t, real))
	sides := []struct {
		name    string
		address string
		tree    *tree
	}{{"ours", ours.address(), openTree(t, ours.zookeeper)}, {"real", real.Address(), openTree(t, realConnect)}}
	topics := func(args ...string) func(address string) {
		return func(address string) {
			must(t, "kafka-topics", append([]string{"--bootstrap-server", address}, args...)...)
		}
	}
	known := [2]map[string]bool{{}, {}}
	for _, step := range []struct {
		name string
		do   func(address string)
	}{
		{"start", func(string) {}},
		{"create a topic", topics("--create", "--topic", "one", "--partitions", "1", "--replication-factor", "1")},
		{"create with configs", topics("--create", "--topic", "two", "--partitions", "2", "--replication-factor", "1", "--config", "retention.ms=1000000", "--config", "cleanup.policy=compact")},
		{"create with an assignment", topics("--create", "--topic", "three", "--replica-assignment", "0,0,0")},
		{"add partitions", topics("--alter", "--topic", "one", "--partitions", "3")},
		{"set a topic's config", func(address string) { alterConfig(t, address, 2, "one", "segment.bytes", "1048576", 0) }},
		{"delete a topic's config", func(address string) { alterConfig(t, address, 2, "one", "segment.bytes", "", 1) }},
		{"append to a topic's config", func(address string) { alterConfig(t, address, 2, "two", "cleanup.policy", "delete", 2) }},
		{"take a block of producer ids", func(address string) { initProducer(t, address) }},
		{"delete a topic", topics("--delete", "--topic", "two")},
		{"delete another", topics("--delete", "--topic", "one")},
	} {
		for _, s := range sides {
			step.do(s.address)
		}
		awaitSameTree(t, step.name, func() []string { return treeLines(sides[0].tree.dump()) }, func() []string { return treeLines(sides[1].tree.dump()) })
		var created [2][]string
		for i, s := range sides {
			created[i] = newPaths(s.tree.dump(), known[i])
		}
		if step.name == "create a topic" {
			if d := firstDifference(created[0], created[1]); d != "" {
				t.Errorf("%s: the order of creation differs: %s", step.name, d)
			}
		}
	}
}

// connectOf reads a real broker's connect string from its properties.
func connectOf(t testing.TB, b *testkit.RealBroker) string {
	t.Helper()
	args := b.Cmd.Args
	text, err := os.ReadFile(args[len(args)-1])
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "zookeeper.connect=")
	connect, _, _ := strings.Cut(rest, "\n")
	return connect
}

// newPaths returns the paths that are not in known, in the order of their creation, and adds them
// to known.
func newPaths(nodes []znode, known map[string]bool) []string {
	sort.SliceStable(nodes, func(i, j int) bool { return nodes[i].stat.Czxid < nodes[j].stat.Czxid })
	var paths []string
	for _, n := range nodes {
		if !known[n.path] {
			known[n.path] = true
			paths = append(paths, n.path)
		}
	}
	return paths
}

// alterConfig sends one IncrementalAlterConfigs request (0 set, 1 delete, 2 append).
func alterConfig(t testing.TB, address string, resource kmsg.ConfigResourceType, name, key, value string, op kmsg.IncrementalAlterConfigOp) {
	t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Version = 1
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = resource, name
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Op = key, op
	if op != kmsg.IncrementalAlterConfigOpDelete {
		c.Value = kmsg.StringPtr(value)
	}
	r.Configs = append(r.Configs, c)
	req.Resources = append(req.Resources, r)
	resp, err := link(t, address).Do(background(), req)
	if err != nil {
		t.Fatalf("%s: alter %s of %s: %v", address, key, name, err)
	}
	if a := resp.(*kmsg.IncrementalAlterConfigsResponse).Resources[0]; a.ErrorCode != 0 {
		t.Fatalf("%s: alter %s of %s: error %d", address, key, name, a.ErrorCode)
	}
}

func initProducer(t testing.TB, address string) {
	t.Helper()
	l := link(t, address)
	testkit.Eventually(t, 20*time.Second, "a producer id from "+address, func() bool {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.Version = 4
		resp, err := l.Do(background(), req)
		if err != nil {
			t.Fatal(err)
		}
		return resp.(*kmsg.InitProducerIDResponse).ErrorCode == 0
	})
}

// Our topic tool over ZooKeeper and the real one of 2.8 leave the same nodes.
func TestTheTopicToolOverZooKeeperWritesWhatTheRealOneWrites(t *testing.T) {
	kafka := testkit.RealKafka(t, "2.8.2")
	var trees [2]*tree
	var brokers [2]*broker
	for i := range brokers {
		brokers[i] = startBroker(t, options{})
		trees[i] = openTree(t, brokers[i].zookeeper)
	}
	for _, args := range [][]string{
		{"--create", "--topic", "a", "--partitions", "2", "--replication-factor", "1", "--config", "retention.ms=5000000"},
		{"--alter", "--topic", "a", "--partitions", "3"},
		{"--alter", "--topic", "a", "--config", "segment.bytes=1048576", "--delete-config", "retention.ms"},
		{"--delete", "--topic", "a"},
	} {
		out, errs, code := run(t, "kafka-topics", append([]string{"--zookeeper", brokers[0].zookeeper}, args...)...)
		realOut, realErrs, realCode := kafka.Run(t, "kafka.admin.TopicCommand", append([]string{"--zookeeper", brokers[1].zookeeper}, args...)...)
		if out != realOut || code != realCode {
			t.Errorf("%v:\n ours %d %q %q\n real %d %q %q", args, code, out, errs, realCode, realOut, realErrs)
		}
		awaitSameTree(t, strings.Join(args, " "), func() []string { return treeLines(trees[0].dump()) }, func() []string { return treeLines(trees[1].dump()) })
	}
}

func TestABrokerWithoutAnIDTakesTheNextGeneratedOneAndKeepsIt(t *testing.T) {
	connect := testkit.ZooKeeper(t)
	omit := map[string]bool{"broker.id": true}
	one := startBroker(t, options{zookeeper: connect, omit: omit})
	two := startBroker(t, options{zookeeper: connect, omit: omit})
	for i, b := range []*broker{one, two} {
		if want := fmt.Sprintf("[KafkaServer id=%d] started", 1001+i); !strings.Contains(b.Output(), want) {
			t.Errorf("broker %d did not print %q", i, want)
		}
		meta, err := os.ReadFile(filepath.Join(b.dir, "meta.properties"))
		if err != nil || !strings.Contains(string(meta), fmt.Sprintf("broker.id=%d\n", 1001+i)) {
			t.Errorf("meta.properties of broker %d: %v\n%s", i, err, meta)
		}
	}
	one.stop()
	one.start()
	if !strings.Contains(one.Output(), "[KafkaServer id=1001] started") {
		t.Errorf("after a restart the broker has another id:\n%s", one.Output())
	}
	z := openTree(t, connect)
	if s := z.stat("/brokers/seqid"); s == nil || s.Version != 2 || s.DataLength != 0 {
		t.Errorf("/brokers/seqid after two generated ids: %+v", s)
	}
}

func TestABrokerWithoutAnIDOrIDGenerationDoesNotStart(t *testing.T) {
	b := newBroker(t, options{omit: map[string]bool{"broker.id": true}, extra: []string{"broker.id.generation.enable=false"}})
	b.failsToStart("broker.id")
}

func TestADeepChrootIsCreated(t *testing.T) {
	connect := testkit.ZooKeeper(t) + "/deep/down"
	b := startBroker(t, options{zookeeper: connect})
	b.createTopic("a", 1)
	if _, there := openTree(t, connect).get("/brokers/topics/a"); !there {
		t.Error("the topic is not below the chroot")
	}
}

func TestAZooKeeperRestartNeedsNoBrokerRestart(t *testing.T) {
	ensemble := testkit.NewZooKeeper(t)
	b := startBroker(t, options{zookeeper: ensemble.Address() + "/k"})
	b.createTopic("before", 1)
	b.produce("before", "1")
	ensemble.Kill()
	b.produce("before", "2")
	if got := strings.Join(b.consume("before", 2), " "); got != "1 2" {
		t.Errorf("without ZooKeeper the topic holds %q", got)
	}
	if err := ensemble.Restart(); err != nil {
		t.Fatal(err)
	}
	b.servesAgain("after")
}

func TestAZooKeeperSilentBeyondTheSessionNeedsNoBrokerRestart(t *testing.T) {
	ensemble := testkit.NewZooKeeper(t)
	b := startBroker(t, options{zookeeper: ensemble.Address() + "/k"})
	b.createTopic("before", 1)
	b.produce("before", "1")
	// The test's own session, with the broker's timeout, shows when ZooKeeper is unreachable. The
	// silence must then last longer than that timeout.
	conn, events, err := zk.Connect([]string{ensemble.Address()}, 3*time.Second, zk.WithLogger(quiet{}), zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	awaitState(t, events, zk.StateHasSession)
	ensemble.Pause()
	awaitState(t, events, zk.StateDisconnected)
	b.produce("before", "2")
	silent := time.Now()
	testkit.Eventually(t, 10*time.Second, "the session timeout to pass", func() bool { return time.Since(silent) > 3*time.Second })
	ensemble.Resume()
	b.servesAgain("after")
	if got := strings.Join(b.consume("before", 2), " "); got != "1 2" {
		t.Errorf("the topic holds %q", got)
	}
}

func awaitState(t testing.TB, events <-chan zk.Event, state zk.State) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case e := <-events:
			if e.State == state {
				return
			}
		case <-limit:
			t.Fatalf("the session did not reach the state %v", state)
		}
	}
}

func TestAnExpiredSessionIsFollowedByANewRegistration(t *testing.T) {
	b := startBroker(t, options{})
	b.createTopic("before", 1)
	b.produce("before", "1")
	z := openTree(t, b.zookeeper)
	old := z.stat("/brokers/ids/0")
	b.Signal(sigStop)
	z.awaitGone("/brokers/ids/0", 30*time.Second)
	z.awaitGone("/controller", 30*time.Second)
	b.Signal(sigCont)
	testkit.Eventually(t, 30*time.Second, "the broker to register again", func() bool { return z.stat("/brokers/ids/0") != nil })
	if s := z.stat("/brokers/ids/0"); s.Czxid == old.Czxid || s.EphemeralOwner == old.EphemeralOwner {
		t.Errorf("the registration is still the old one: czxid %d, owner %x", s.Czxid, s.EphemeralOwner)
	}
	b.servesAgain("after")
	b.produce("before", "2")
	if got := strings.Join(b.consume("before", 2), " "); got != "1 2" {
		t.Errorf("the topic holds %q", got)
	}
}

// servesAgain creates a topic, for which the broker needs the controller and ZooKeeper, and uses
// it, without a restart of the broker.
func (b *broker) servesAgain(topic string) {
	b.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		_, errs, code := run(b.t, "kafka-topics", append(b.bootstrap(), "--create", "--if-not-exists", "--topic", topic)...)
		if code == 0 {
			break
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("no topic can be created within a minute: %s\nthe broker:\n%s", errs, b.Output())
		}
	}
	b.produce(topic, "x")
	if got := b.consume(topic, 1); got[0] != "x" {
		b.t.Errorf("topic %s holds %q", topic, got)
	}
	select {
	case <-b.Ended():
		b.t.Errorf("the broker exited with code %d", b.ExitCode())
	default:
	}
}

func TestARestartAfterAKillWaitsForTheOldRegistrationToExpire(t *testing.T) {
	b := startBroker(t, options{})
	z := openTree(t, b.zookeeper)
	old := z.stat("/brokers/ids/0")
	b.Kill()
	b.start()
	if !waitingLine.MatchString(b.Output()) {
		t.Errorf("the restarted broker did not log that it waits:\n%s", b.Output())
	}
	if s := z.stat("/brokers/ids/0"); s == nil || s.Czxid == old.Czxid {
		t.Errorf("the registration is %+v, the old one had czxid %d", s, old.Czxid)
	}
	b.servesAgain("after")
}

var waitingLine = regexp.MustCompile(`/brokers/ids/0 .* (\d+) s`)

// formerSelf registers broker b, which is not running, as if its killed process were still
// registered. The test holds the session of the registration.
func formerSelf(t *testing.T, b *broker, data string) (*tree, *zk.Stat) {
	t.Helper()
	z := openTree(t, b.zookeeper)
	if _, err := z.conn.Create(z.path("/brokers/ids/0"), []byte(data), zk.FlagEphemeral, zk.WorldACL(zk.PermAll)); err != nil {
		t.Fatal(err)
	}
	return z, z.stat("/brokers/ids/0")
}

// registered runs the broker once and returns the data of its registration.
func registered(t *testing.T, b *broker) string {
	t.Helper()
	b.start()
	data, _ := openTree(t, b.zookeeper).get("/brokers/ids/0")
	b.stop()
	if data == "" {
		t.Fatal("the broker did not register")
	}
	return data
}

func TestTheWaitForTheOldRegistrationEndsAsSoonAsItIsGone(t *testing.T) {
	b := newBroker(t, options{})
	z, _ := formerSelf(t, b, registered(t, b))
	b.launch()
	testkit.Eventually(t, 20*time.Second, "two lines with the remaining time", func() bool {
		return len(waitingLine.FindAllString(b.Output(), -1)) >= 2
	})
	lines := waitingLine.FindAllStringSubmatch(b.Output(), -1)
	if lines[0][1] <= lines[1][1] {
		t.Errorf("the remaining seconds do not decrease: %q, then %q", lines[0][0], lines[1][0])
	}
	if err := z.conn.Delete(z.path("/brokers/ids/0"), -1); err != nil {
		t.Fatal(err)
	}
	if err := b.AwaitOutput(startedLine, 20*time.Second); err != nil {
		t.Fatal(err)
	}
}

func TestAnOldRegistrationThatStaysPreventsStartupAndIsNotDeleted(t *testing.T) {
	b := newBroker(t, options{})
	z, held := formerSelf(t, b, registered(t, b))
	began := time.Now()
	b.failsToStart("/brokers/ids/0")
	if took := time.Since(began); took < 3*time.Second || took > 20*time.Second {
		t.Errorf("the broker gave up after %v, want about the session timeout of 3 s plus 5 s", took)
	}
	if s := z.stat("/brokers/ids/0"); s == nil || s.Czxid != held.Czxid {
		t.Errorf("the registration is %+v, want it untouched", s)
	}
}

func TestARegistrationWithOtherEndpointsPreventsStartupAtOnce(t *testing.T) {
	b := newBroker(t, options{})
	mine := registered(t, b)
	port := fmt.Sprint(b.port)
	z, held := formerSelf(t, b, strings.ReplaceAll(mine, port, "19"))
	b.failsToStart("PLAINTEXT://127.0.0.1:19", b.address())
	if waitingLine.MatchString(b.Output()) {
		t.Errorf("the broker waited:\n%s", b.Output())
	}
	if s := z.stat("/brokers/ids/0"); s == nil || s.Czxid != held.Czxid {
		t.Errorf("the registration is %+v, want it untouched", s)
	}
}

func TestAnAddressThatAnotherBrokerHasRegisteredPreventsStartup(t *testing.T) {
	one := startBroker(t, options{})
	two := newBroker(t, options{id: 1, zookeeper: one.zookeeper, extra: []string{"advertised.listeners=PLAINTEXT://" + one.address()}})
	two.failsToStart("already registered by broker 0", one.address())
}
