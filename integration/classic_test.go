package integration

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/zkconsumer"
	"github.com/monedula/monedula/zkstore"
)

// classicConsumer is a console consumer that uses ZooKeeper: ours, or that of Kafka 1.1.1.
type classicConsumer struct {
	*testkit.Process
	kind string
}

// startClassic starts a console consumer with a short session and many rebalance retries.
func startClassic(t testing.TB, kind, zookeeper, group string, args ...string) *classicConsumer {
	t.Helper()
	args = append([]string{"--zookeeper", zookeeper, "--consumer-property", "group.id=" + group, "--consumer-property", "auto.commit.interval.ms=500",
		"--consumer-property", "zookeeper.session.timeout.ms=4000", "--consumer-property", "rebalance.backoff.ms=500", "--consumer-property", "rebalance.max.retries=30"}, args...)
	cmd := script("kafka-console-consumer", args...)
	if kind != "ours" {
		cmd = testkit.RealKafka(t, kind).Command(t, "-Xmx128m", "kafka.tools.ConsoleConsumer", args...)
	}
	p, err := testkit.Start(kind+" classic consumer", cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("%s consumer:\n%s", kind, ending(p.Output()))
		}
	})
	return &classicConsumer{p, kind}
}

var classicRecord = regexp.MustCompile(`(?m)^(\d+)/(\d+)$`)

// records returns the numbers that the consumer has printed, by partition, in the order of
// printing.
func (c *classicConsumer) records() map[int32][]int {
	read := map[int32][]int{}
	for _, m := range classicRecord.FindAllStringSubmatch(c.Output(), -1) {
		p, _ := strconv.Atoi(m[1])
		n, _ := strconv.Atoi(m[2])
		read[int32(p)] = append(read[int32(p)], n)
	}
	return read
}

// openStore opens a store to read and write the znodes of consumers.
func openStore(t testing.TB, zookeeper string) *zkstore.Store {
	t.Helper()
	s, err := zkstore.Open(background(), zkstore.Config{Connect: zookeeper, SessionTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// owners returns the member id that owns each partition of a topic, and the number of members of
// the group.
func owners(t testing.TB, s *zkstore.Store, group, topic string) (owned map[int32]string, members int) {
	t.Helper()
	nodes, err := s.Dump(background(), "/consumers/"+group)
	if err != nil {
		t.Fatal(err)
	}
	owned = map[int32]string{}
	for _, n := range nodes {
		if rest, ok := strings.CutPrefix(n.Path, "/consumers/"+group+"/owners/"+topic+"/"); ok {
			p, _ := strconv.Atoi(rest)
			owned[int32(p)] = string(n.Data)
		}
		if strings.HasPrefix(n.Path, "/consumers/"+group+"/ids/") {
			members++
		}
	}
	return owned, members
}

// awaitShares waits until the given number of members own all partitions, with shares that differ
// by at most one.
func awaitShares(t testing.TB, s *zkstore.Store, group, topic string, partitions, members int) {
	t.Helper()
	var owned map[int32]string
	var there int
	shared := within(90*time.Second, func() bool {
		owned, there = owners(t, s, group, topic)
		count := map[string]int{}
		for _, owner := range owned {
			count[owner]++
		}
		if there != members || len(owned) != partitions || len(count) != min(members, partitions) {
			return false
		}
		counts := slices.Sorted(maps.Values(count))
		return counts[len(counts)-1]-counts[0] <= 1
	})
	if !shared {
		t.Fatalf("after 90 s, %d members do not own the %d partitions of %s; the group has %d members, which own %v", members, partitions, topic, there, owned)
	}
}

// numbered writes records "partition/number" to every partition, with increasing numbers.
type numbered struct {
	t          testing.TB
	client     *kgo.Client
	topic      string
	partitions int32
	next       int
}

func newNumbered(t testing.TB, topic string, partitions int32, seeds ...string) *numbered {
	t.Helper()
	client, err := kgo.NewClient(patient(kgo.SeedBrokers(seeds...), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &numbered{t: t, client: client, topic: topic, partitions: partitions}
}

// write adds n records to each partition.
func (w *numbered) write(n int) {
	w.t.Helper()
	var records []*kgo.Record
	for i := range n {
		for p := range w.partitions {
			records = append(records, &kgo.Record{Topic: w.topic, Partition: p, Value: fmt.Appendf(nil, "%d/%d", p, w.next+i)})
		}
	}
	w.next += n
	ctx, cancel := context.WithTimeout(background(), time.Minute)
	defer cancel()
	if err := w.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

// awaitRead waits until every written record has been read by one of the consumers, and returns the
// records that were read more than once.
func (w *numbered) awaitRead(what string, by ...*classicConsumer) (twice []string) {
	w.t.Helper()
	counts := map[string]int{}
	testkit.Eventually(w.t, 90*time.Second, "every record to be read "+what, func() bool {
		clear(counts)
		for _, c := range by {
			for p, numbers := range c.records() {
				for _, n := range numbers {
					counts[fmt.Sprintf("%d/%d", p, n)]++
				}
			}
		}
		return len(counts) == w.next*int(w.partitions)
	})
	for record, n := range counts {
		if n > 1 {
			twice = append(twice, record)
		}
	}
	slices.Sort(twice)
	return twice
}

var (
	memberName  = regexp.MustCompile(`cg1_[A-Za-z0-9._-]+-\d{13}-[0-9a-f]{8}`)
	classicTime = regexp.MustCompile(`"timestamp":"\d{13}"`)
)

// classicTree returns the znodes below /consumers, with member names and times replaced by fixed
// ones.
func classicTree(t testing.TB, s *zkstore.Store) []string {
	t.Helper()
	nodes, err := s.Dump(background(), "/consumers")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, n := range nodes {
		data := string(n.Data)
		switch {
		case n.Data == nil:
			data = "null"
		case data == "":
			data = "(empty)"
		}
		lines = append(lines, n.Path+" = "+data)
	}
	return tidyTree(lines)
}

func tidyTree(lines []string) []string {
	text := strings.Join(lines, "\n")
	names := memberName.FindAllString(text, -1)
	slices.Sort(names)
	for i, name := range slices.Compact(names) {
		text = strings.ReplaceAll(text, name, fmt.Sprint("member ", i+1))
	}
	return strings.Split(classicTime.ReplaceAllString(text, `"timestamp":"T"`), "\n")
}

// goldenClassic returns a section of the golden file of what Kafka 1.1.1 left in ZooKeeper.
func goldenClassic(t testing.TB, section string) []string {
	t.Helper()
	text := golden.Read(t, "classic-consumer-1.1.1.txt")
	_, rest, found := strings.Cut(string(text), "## "+section+"\n")
	if !found {
		t.Fatalf("the golden file has no section %q", section)
	}
	rest, _, _ = strings.Cut(rest, "\n\n")
	lines := strings.Split(rest, "\n")
	for i, line := range lines {
		if strings.HasSuffix(line, " = ") {
			lines[i] += "(empty)"
		}
	}
	return tidyTree(lines)
}

// Two members leave the same znodes as two Java consumers do, whichever of the two is ours.
func TestTheClassicConsumerLeavesTheSameZnodesAsTheRealOne(t *testing.T) {
	for _, kinds := range [][2]string{{"ours", "ours"}, {"ours", "1.1.1"}} {
		t.Run(kinds[0]+" and "+kinds[1], func(t *testing.T) {
			b := startBroker(t, options{})
			b.createTopic("cc", 3)
			s := openStore(t, b.zookeeper)
			first := startClassic(t, kinds[0], b.zookeeper, "cg1", "--topic", "cc", "--from-beginning")
			awaitShares(t, s, "cg1", "cc", 3, 1)
			second := startClassic(t, kinds[1], b.zookeeper, "cg1", "--topic", "cc")
			awaitShares(t, s, "cg1", "cc", 3, 2)
			awaitLines(t, "while both run", func() []string { return classicTree(t, s) }, goldenClassic(t, "znodes while both run (null = no data, empty = zero bytes)"))
			newNumbered(t, "cc", 1, b.address()).write(3)
			testkit.Eventually(t, 20*time.Second, "three records", func() bool { return len(first.records()[0])+len(second.records()[0]) == 3 })
			for _, c := range []*classicConsumer{second, first} {
				if !c.Stop(20 * time.Second) {
					t.Errorf("the %s consumer did not stop", c.kind)
				}
			}
			awaitLines(t, "after both ended", func() []string { return classicTree(t, s) }, goldenClassic(t, "znodes after both ended"))
			if !strings.Contains(first.Output(), "Processed a total of 3 messages") {
				t.Errorf("it did not print the number of messages:\n%s", first.Output())
			}
		})
	}
}

// awaitLines waits until have returns the wanted lines.
func awaitLines(t testing.TB, when string, have func() []string, want []string) {
	t.Helper()
	var difference string
	if !within(30*time.Second, func() bool {
		difference = firstDifference(have(), want)
		return difference == ""
	}) {
		t.Errorf("%s: %s", when, difference)
	}
}

// Two of our consumers and a Java consumer form one group. Each record is read exactly once while
// members join and leave cleanly, and at least once when a member is killed.
func TestClassicConsumersOfBothKindsShareOneGroup(t *testing.T) {
	brokers, strategies := []string{"ours"}, []string{"roundrobin"}
	if testkit.FullMatrices() {
		brokers, strategies = []string{"ours", "3.9.1", "2.8.2"}, []string{"range", "roundrobin"}
	}
	for _, kind := range brokers {
		for _, strategy := range strategies {
			t.Run(kind+" "+strategy, func(t *testing.T) { playClassicGroup(t, kind, strategy) })
		}
	}
}

func playClassicGroup(t *testing.T, kind, strategy string) {
	const partitions = 7
	c := newCluster(t, []string{"group.initial.rebalance.delay.ms=0"}, kind)
	c.createTopic("shared", slices.Repeat([][]int32{{1}}, partitions))
	s := openStore(t, c.zookeeper)
	w := newNumbered(t, "shared", partitions, c.addresses()...)
	w.write(20)
	var all []*classicConsumer
	start := func(kind string) *classicConsumer {
		args := []string{"--whitelist", "shar.*", "--consumer-property", "partition.assignment.strategy=" + strategy}
		if len(all) == 0 { // refused later, since the group then has offsets
			args = append(args, "--from-beginning")
		}
		return startClassic(t, kind, c.zookeeper, "g", args...)
	}
	expect := func(what string, members int, exactly bool) {
		t.Helper()
		awaitShares(t, s, "g", "shared", partitions, members)
		w.write(20)
		if twice := w.awaitRead(what, all...); exactly && len(twice) > 0 {
			t.Errorf("%s: read more than once: %v", what, twice)
		}
	}
	one := start("ours")
	all = append(all, one)
	expect("by one", 1, true)
	java := start("1.1.1")
	all = append(all, java)
	expect("by ours and Java's", 2, true)
	three := start("ours")
	all = append(all, three)
	expect("by three", 3, true)
	for _, m := range all {
		if len(m.records()) == 0 {
			t.Errorf("a member (%s) has read nothing", m.kind)
		}
	}
	if !three.Stop(20 * time.Second) {
		t.Error("the third member did not stop")
	}
	expect("after one left", 2, true)
	four := start("ours")
	all = append(all, four)
	expect("by three again", 3, true)
	java.Stop(20 * time.Second)
	expect("after Java's left", 2, true)
	four.Kill()
	w.write(20)
	expect("after a kill", 1, false)
	// Only the records that the killed member had read but not committed are read again.
	for _, record := range w.awaitRead("at the end", all...) {
		if !strings.Contains("\n"+four.Output(), "\n"+record+"\n") {
			t.Errorf("%s was read more than once, but not by the killed member", record)
		}
	}
	one.Stop(20 * time.Second)
}

// A member that is paused for longer than its session loses its partitions. When it resumes it
// registers again and takes its share back. No offset that the others committed goes back.
func TestAClassicConsumerRejoinsAfterItsSessionExpires(t *testing.T) {
	b := startBroker(t, options{})
	b.createTopic("slept", 4)
	s := openStore(t, b.zookeeper)
	w := newNumbered(t, "slept", 4, b.address())
	one := startClassic(t, "ours", b.zookeeper, "g", "--topic", "slept", "--from-beginning")
	awaitShares(t, s, "g", "slept", 4, 1)
	two := startClassic(t, "ours", b.zookeeper, "g", "--topic", "slept")
	awaitShares(t, s, "g", "slept", 4, 2)
	w.write(10)
	w.awaitRead("by two", one, two)
	two.Signal(sigStop)
	awaitShares(t, s, "g", "slept", 4, 1)
	w.write(10)
	w.awaitRead("while one is paused", one)
	committed := func() (all [4]record.Offset) {
		for p := range all {
			all[p], _, _ = s.ConsumerOffset(background(), "g", zkstore.TopicPartition{Topic: "slept", Partition: int32(p)})
		}
		return all
	}
	testkit.Eventually(t, 10*time.Second, "all to be committed", func() bool { return committed() == [4]record.Offset{20, 20, 20, 20} })
	two.Signal(sigCont)
	awaitShares(t, s, "g", "slept", 4, 2)
	if got := committed(); got != [4]record.Offset{20, 20, 20, 20} {
		t.Errorf("the paused member changed the offsets to %v", got)
	}
	w.write(10)
	w.awaitRead("by two again", one, two)
	for p, numbers := range two.records() {
		for i, n := range numbers {
			if i > 0 && n <= numbers[i-1] {
				t.Errorf("the paused member read %d/%d after %d", p, n, numbers[i-1])
			}
		}
	}
}

// Offsets out of range are reset according to auto.offset.reset. New partitions, and new topics
// that match a pattern, are found.
func TestAClassicConsumerResetsOffsetsAndFindsNewPartitions(t *testing.T) {
	b := startBroker(t, options{})
	b.createTopic("grow-1", 1)
	s := openStore(t, b.zookeeper)
	for _, group := range []string{"small", "large", "library"} {
		if err := s.SetConsumerOffset(background(), group, zkstore.TopicPartition{Topic: "grow-1"}, 1000); err != nil {
			t.Fatal(err)
		}
	}
	w := newNumbered(t, "grow-1", 1, b.address())
	w.write(5)
	small := startClassic(t, "ours", b.zookeeper, "small", "--whitelist", "grow-.,other", "--from-beginning", "--delete-consumer-offsets")
	large := startClassic(t, "ours", b.zookeeper, "large", "--blacklist", "other.*")
	awaitShares(t, s, "small", "grow-1", 1, 1)
	awaitShares(t, s, "large", "grow-1", 1, 1)
	w.awaitRead("from the start", small)
	testkit.Eventually(t, 10*time.Second, "the end to be committed", func() bool {
		at, _, _ := s.ConsumerOffset(background(), "large", zkstore.TopicPartition{Topic: "grow-1"})
		return at == 5
	})
	w.write(5)
	testkit.Eventually(t, 10*time.Second, "the new records", func() bool { return slices.Equal(large.records()[0], []int{5, 6, 7, 8, 9}) })

	library, err := zkconsumer.Open(background(), zkconsumer.Config{Zookeeper: b.zookeeper, Group: "library", Topics: map[string]int{"grow-1": 2, "grow-2": 1}, OffsetReset: zkconsumer.Smallest})
	if err != nil {
		t.Fatal(err)
	}
	defer library.Close()
	ctx, cancel := context.WithTimeout(background(), 30*time.Second)
	defer cancel()
	records, err := library.Streams()[0].Poll(ctx, 0)
	if err != nil || len(records) == 0 || records[0].Offset != 0 || string(records[0].Value) != "0/0" || records[0].Timestamp <= 0 {
		t.Errorf("after the reset of an offset out of range: %+v, %v", records, err)
	}
	if err := library.Commit(ctx); err != nil {
		t.Error(err)
	}
	if at, _, _ := s.ConsumerOffset(ctx, "library", zkstore.TopicPartition{Topic: "grow-1"}); at != records[len(records)-1].Offset+1 {
		t.Errorf("committed offset %d after %d records", at, len(records))
	}

	must(t, "kafka-topics", append(b.bootstrap(), "--alter", "--topic", "grow-1", "--partitions", "3")...)
	b.createTopic("grow-2", 2)
	testkit.Eventually(t, 20*time.Second, "the member of two streams to own all", func() bool {
		owned, _ := owners(t, s, "library", "grow-1")
		more, _ := owners(t, s, "library", "grow-2")
		first, second := library.ID()+"-0", library.ID()+"-1"
		return maps.Equal(owned, map[int32]string{0: first, 1: first, 2: second}) && maps.Equal(more, map[int32]string{0: first, 1: first}) && len(library.Owned()) == 5
	})
	b.createTopic("other-3", 1)
	awaitShares(t, s, "small", "grow-1", 3, 1)
	awaitShares(t, s, "small", "grow-2", 2, 1)
	awaitShares(t, s, "large", "grow-2", 2, 1)
	if owned, _ := owners(t, s, "large", "other-3"); len(owned) > 0 {
		t.Errorf("a blacklisted topic is owned: %v", owned)
	}
	for _, c := range []*classicConsumer{small, large} {
		if !c.Stop(20 * time.Second) {
			t.Errorf("the %s consumer did not stop:\n%s", c.kind, c.Output())
		}
	}
}

// With offsets.storage=kafka, members of both kinds commit to the group coordinator, and also to
// ZooKeeper unless dual.commit.enabled is false.
func TestClassicConsumersCommitToKafka(t *testing.T) {
	b := startBroker(t, options{})
	b.createTopic("stored", 2)
	s := openStore(t, b.zookeeper)
	w := newNumbered(t, "stored", 2, b.address())
	sum := func(group string) (n record.Offset) {
		for p := range int32(2) {
			at, _, _ := s.ConsumerOffset(background(), group, zkstore.TopicPartition{Topic: "stored", Partition: p})
			n += at
		}
		return n
	}
	var all []*classicConsumer
	for _, kind := range []string{"ours", "1.1.1", "ours"} {
		c := startClassic(t, kind, b.zookeeper, "dual", "--topic", "stored", "--consumer-property", "auto.offset.reset=smallest", "--consumer-property", "offsets.storage=kafka",
			"--consumer-property", "dual.commit.enabled="+fmt.Sprint(len(all) == 2), "--delete-consumer-offsets")
		all = append(all, c)
		awaitShares(t, s, "dual", "stored", 2, 1)
		w.write(10)
		if twice := w.awaitRead("by "+kind, all...); len(twice) > 0 {
			t.Errorf("the %s consumer read records again: %v", kind, twice)
		}
		if !c.Stop(20 * time.Second) {
			t.Errorf("the %s consumer did not stop", kind)
		}
		if got := committedOffsets(t, b.address(), "dual", "stored"); got != int64(2*w.next) {
			t.Errorf("the %s consumer committed %d records to Kafka, %d were written", kind, got, 2*w.next)
		}
		if got := sum("dual"); len(all) == 3 && got != record.Offset(2*w.next) || len(all) < 3 && got != 0 {
			t.Errorf("the %s consumer committed %d records to ZooKeeper", kind, got)
		}
	}
}

// Without --group the consumer creates a new group and deletes it at the end. It refuses the same
// options as 1.1.1, with the same messages.
func TestTheClassicConsoleConsumerPrintsWhatTheRealOnePrints(t *testing.T) {
	b := startBroker(t, options{})
	b.createTopic("said", 1)
	b.produce("said", "a", "b", "c")
	s := openStore(t, b.zookeeper)
	real := testkit.RealKafka(t, "1.1.1")
	if err := s.SetConsumerOffset(background(), "old", zkstore.TopicPartition{Topic: "said"}, 1); err != nil {
		t.Fatal(err)
	}
	elsewhere := testkit.ZooKeeper(t)
	openTree(t, elsewhere).create("/nothing", nil)
	lines := [][]string{
		{"--topic", "said", "--from-beginning", "--max-messages", "2"},
		{"--topic", "said", "--from-beginning", "--group", "old"},
		{"--topic", "said", "--consumer-property", "auto.offset.reset=latest"},
		{"--topic", "said", "--bootstrap-server", b.address()},
		{"--whitelist", "s(.*"},
		{"elsewhere", "--topic", "said"},
	}
	if testkit.FullMatrices() {
		lines = append(lines, [][]string{
			{"--topic", "said", "--from-beginning", "--max-messages", "1", "--group", "kept", "--property", "print.key=true", "--property", "key.separator=:"},
			{"--topic", "said", "--consumer-property", "auto.offset.reset=smallest", "--group", "old"},
			{"--topic", "said", "--consumer-property", "auto.offset.reset=largest", "--from-beginning"},
			{"--topic", "said", "--consumer-property", "group.id=one", "--group", "two"},
			{"--topic", "said", "--group", "a/b"},
			{"--topic", "said", "--partition", "0"},
			{"--topic", "said", "--new-consumer"},
			{"--topic", "said", "--whitelist", "s.*"},
			{"--topic", "said", "--max-messages", "many"},
			{"--unknown"},
			{"--topic", "said", "--group", "slow", "--timeout-ms", "1500", "--consumer-property", "offsets.storage=nowhere"},
			{"--topic", "said", "--group", "slow", "--timeout-ms", "1500", "--consumer-property", "no.such.key=this"},
		}...)
	}
	for _, args := range lines {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			zookeeper := b.zookeeper
			if args[0] == "elsewhere" {
				zookeeper, args = elsewhere, args[1:]
			}
			args := append([]string{"--zookeeper", zookeeper}, args...)
			wantOut, wantErr, wantCode := real.Run(t, "kafka.tools.ConsoleConsumer", args...)
			_ = s.DeleteConsumerGroup(background(), "kept")
			out, errs, code := run(t, "kafka-console-consumer", args...)
			if out != wantOut || code != wantCode {
				t.Errorf("exit code %d and\n%s\nwant, as the real one, %d and\n%s", code, out, wantCode, wantOut)
			}
			if got, want := complaint(errs), complaint(wantErr); got != want {
				t.Errorf("it printed\n%s\nthe real one\n%s", got, want)
			}
		})
	}
	nodes, err := s.Dump(background(), "/consumers")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if strings.Contains(n.Path, "console-consumer-") {
			t.Errorf("%s of a generated group was not deleted", n.Path)
		}
	}
}

// complaint returns what a tool printed on stderr, without its table of options, times and Java
// stack traces.
func complaint(errs string) string {
	var kept []string
	for _, line := range strings.Split(errs, "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "Option ") && strings.HasSuffix(line, "Description") {
			break
		}
		if line == "" || strings.HasPrefix(line, "at ") || strings.HasPrefix(line, "... ") || strings.HasPrefix(line, "Caused by: ") {
			continue
		}
		line = regexp.MustCompile(`^\[[^]]*\] `).ReplaceAllString(line, "")
		kept = append(kept, regexp.MustCompile(`console-consumer-\d+`).ReplaceAllString(line, "console-consumer-N"))
	}
	return strings.Join(kept, "\n")
}
