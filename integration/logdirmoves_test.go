package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/testkit"
)

const (
	reassignTool = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"
	logDirsTool  = "org.apache.kafka.tools.LogDirsCommand"
)

// mover is a broker with two log directories, ours or a real one, whose replica of moving-0 moves
// from one to the other.
type mover struct {
	t       *testing.T
	kafka   *testkit.Kafka
	address string
	dirs    [2]string
}

func (m *mover) admin(f func(ctx context.Context, client *kadm.Client) error) {
	m.t.Helper()
	client, err := kgo.NewClient(patient(kgo.SeedBrokers(m.address))...)
	if err != nil {
		m.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(background(), 30*time.Second)
	defer cancel()
	var last error
	if !within(30*time.Second, func() bool { // a broker that has just started does not know its own address yet
		last = f(ctx, kadm.NewClient(client))
		return last == nil
	}) {
		m.t.Fatal(last)
	}
}

// where returns the directory of moving-0, and the directory and the lag of its future log; "" if
// none.
func (m *mover) where() (current, future string, lag int64) {
	m.t.Helper()
	m.admin(func(ctx context.Context, client *kadm.Client) error {
		all, err := client.DescribeBrokerLogDirs(ctx, 0, nil)
		if err != nil {
			return err
		}
		all.EachPartition(func(p kadm.DescribedLogDirPartition) {
			if p.Topic != "moving" {
				return
			}
			if p.IsFuture {
				future, lag = p.Dir, p.OffsetLag
			} else {
				current = p.Dir
			}
		})
		return nil
	})
	return current, future, lag
}

// tool runs one of the real tools and returns its output, with directories and sizes replaced by
// fixed names.
func (m *mover) tool(class string, args ...string) string {
	m.t.Helper()
	stdout, stderr, code := m.kafka.Run(m.t, class, append([]string{"--bootstrap-server", m.address}, args...)...)
	out := stdout + stderr + fmt.Sprintf("exit code %d\n", code)
	for i, dir := range m.dirs {
		out = strings.ReplaceAll(out, dir, fmt.Sprintf("DIR%d", i))
	}
	return sizes.ReplaceAllString(out, `"size":N`)
}

var sizes = regexp.MustCompile(`"size":[0-9]+`)

// plan writes the file that the reassignment tool reads and returns its name.
func (m *mover) plan(dir string) string {
	return testkit.WriteFile(m.t, "plan.json", fmt.Sprintf(
		`{"version":1,"partitions":[{"topic":"moving","partition":0,"replicas":[0],"log_dirs":[%q]}]}`, dir))
}

const slowMove = "50000" // bytes per second

// slowly begins a throttled move and waits until it is under way.
func (m *mover) slowly(to string) string {
	m.t.Helper()
	said := m.tool(reassignTool, "--execute", "--reassignment-json-file", m.plan(to), "--replica-alter-log-dirs-throttle", slowMove)
	m.awaitUnderWay(to)
	said += m.tool(reassignTool, "--verify", "--preserve-throttles", "--reassignment-json-file", m.plan(to))
	return said
}

// awaitUnderWay waits until a future log is reported that lags.
func (m *mover) awaitUnderWay(to string) {
	m.t.Helper()
	testkit.Eventually(m.t, 30*time.Second, "the move to be under way", func() bool {
		_, future, lag := m.where()
		return future == to && lag > 0
	})
}

// quickly removes the throttle and waits for the end of the move.
func (m *mover) quickly(to string) string {
	m.t.Helper()
	m.admin(func(ctx context.Context, client *kadm.Client) error {
		_, err := client.AlterBrokerConfigs(ctx, []kadm.AlterConfig{{Op: kadm.DeleteConfig, Name: "replica.alter.log.dirs.io.max.bytes.per.second"}}, 0)
		return err
	})
	testkit.Eventually(m.t, 60*time.Second, "the end of the move to "+to, func() bool {
		current, future, _ := m.where()
		return current == to && future == ""
	})
	return m.tool(reassignTool, "--verify", "--reassignment-json-file", m.plan(to)) +
		filledDir.FindString(m.tool(logDirsTool, "--describe", "--topic-list", "moving")) // the tool's order follows the paths
}

// filledDir matches the tool's output for a directory that holds a replica.
var filledDir = regexp.MustCompile(`\{"partitions":\[\{[^]]*\],"error":null,"logDir":"DIR[01]"\}`)

// A replica moves to another log directory, throttled, by the real tools, and the broker is killed
// during the move. A real broker continues a move that our broker began, and ours one that a real
// broker began. The tools print the same in both cases.
func TestAMoveBetweenLogDirsContinuesOnARealBrokerAndBack(t *testing.T) {
	root := t.TempDir()
	dirs := [2]string{filepath.Join(root, "a"), filepath.Join(root, "b")}
	common := []string{"log.dirs=" + dirs[0] + "," + dirs[1], "log.retention.ms=-1"}
	ours := startBroker(t, options{extra: common, omit: map[string]bool{"log.dirs": true}})
	m := &mover{t: t, kafka: testkit.RealKafka(t, "3.9.1"), address: ours.address(), dirs: dirs}
	ours.createTopic("moving", 1, "segment.bytes=300000")
	values := m.fill(2000)
	from, _, _ := m.where()
	to := dirs[0]
	if from == to {
		to = dirs[1]
	}

	began := m.slowly(to)
	ours.Kill()
	if !hasFuture(t, to) {
		t.Fatalf("no future directory in %s", to)
	}
	z := openTree(t, ours.zookeeper)
	z.awaitGone("/brokers/ids/0", 30*time.Second)
	z.awaitGone("/controller", 30*time.Second)
	real := m.kafka.Broker(t, 0, ours.zookeeper, dirs[0], append(common, fmt.Sprintf("listeners=PLAINTEXT://127.0.0.1:%d", ours.port), "zookeeper.session.timeout.ms=3000")...)
	m.awaitUnderWay(to)
	endedThere := m.quickly(to)
	m.check(values)
	complaints(t, real)

	values = append(values, m.fill(500)...)
	beganThere := m.slowly(from)
	real.Kill()
	if !hasFuture(t, from) {
		t.Fatalf("no future directory in %s", from)
	}
	ours.start()
	m.awaitUnderWay(from)
	ended := m.quickly(from)
	m.check(values)
	ours.stop()
	checkDumps(t, from, true)

	swap := strings.NewReplacer("DIR0", "DIR1", "DIR1", "DIR0")
	if want := swap.Replace(beganThere); began != want {
		t.Errorf("at the beginning of a move the tools print with ours:\n%s\nwith a real broker:\n%s", began, want)
	}
	if want := swap.Replace(endedThere); ended != want {
		t.Errorf("at the end of a move the tools print with ours:\n%s\nwith a real broker:\n%s", ended, want)
	}
}

// fill writes n records of 1 KB and returns their values.
func (m *mover) fill(n int) []string {
	m.t.Helper()
	client, err := kgo.NewClient(patient(kgo.SeedBrokers(m.address), kgo.DefaultProduceTopic("moving"),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(20000))...)
	if err != nil {
		m.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(background(), 60*time.Second)
	defer cancel()
	var values []string
	var records []*kgo.Record
	for i := range n {
		values = append(values, fmt.Sprintf("%d of %d %s", i, n, strings.Repeat("x", 1000)))
		records = append(records, kgo.StringRecord(values[i]))
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		m.t.Fatal(err)
	}
	return values
}

// check reads all records and compares them with the wanted values.
func (m *mover) check(want []string) {
	m.t.Helper()
	read := readStored(m.t, m.address, "moving", 1)[0]
	if len(read) != len(want) {
		m.t.Fatalf("%d records, want %d", len(read), len(want))
	}
	for i, r := range read {
		if r.value != want[i] || r.offset != int64(i) {
			m.t.Fatalf("record %d has offset %d or another value", i, r.offset)
		}
	}
}

// hasFuture reports whether a directory holds a future log of moving-0.
func hasFuture(t *testing.T, dir string) bool {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "moving-0.*-future"))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) > 0 {
		_, err = os.Stat(filepath.Join(found[0], "leader-epoch-checkpoint"))
	}
	return len(found) == 1 && err == nil
}
