package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
)

// A real Kafka Connect cluster with exactly.once.source.support=enabled copies files to a topic and
// the topic to a file, while brokers and workers are killed or sleep, and the coordinators move. The
// topic has each line of the files once, and in its order in each partition. The file has each line
// at least once: the sink promises no more.
func TestConnectCopiesEachLineOnce(t *testing.T) {
	var clusters [][]string
	if testkit.FullMatrices() {
		clusters = [][]string{{"ours", "ours", "ours"}, {"ours", "3.9.1", "ours"}, {"3.9.1", "3.9.1", "3.9.1"}}
	}
	for _, kinds := range clusters {
		t.Run(strings.Join(kinds, " "), func(t *testing.T) { playConnect(t, kinds) })
	}
}

var connectFaults = []struct {
	name   string
	strike func(*connectRun)
}{
	{"kill -9 of the transaction coordinator", func(c *connectRun) { c.killBroker(c.transactionCoordinator()) }},
	{"kill -9 of a worker", (*connectRun).killWorker},
	{"a move of all coordinators", func(c *connectRun) { c.moveCoordinators() }},
	{"a worker asleep until its tasks have moved", (*connectRun).pauseWorker},
	{"a leader of the lines stopped cleanly", func(c *connectRun) { c.stopBroker(c.leaderOf("lines", 0)) }},
	{"kill -9 of a worker and of the transaction coordinator", func(c *connectRun) {
		m := c.transactionCoordinator()
		m.process().Kill()
		c.killWorker()
		c.restart(m)
	}},
	{"the transaction coordinator asleep for longer than its session", func(c *connectRun) { c.pauseBroker(c.transactionCoordinator()) }},
	{"kill -9 of the controller", func(c *connectRun) { c.killBroker(c.controller()) }},
}

func playConnect(t *testing.T, kinds []string) {
	log := timedLog(t)
	c := newConnectRun(t, kinds)
	log("the cluster runs")
	c.startWorker()
	c.startWorker()
	c.createConnectors()
	c.awaitProgress()
	log("%d lines", c.lines.count())
	for _, fault := range connectFaults {
		fault.strike(c)
		c.awaitProgress()
		c.awaitAllInSync()
		log("%s: %d lines", fault.name, c.lines.count())
	}
	want, err := c.lines.stop()
	if err != nil {
		t.Fatal(err)
	}
	c.awaitProgress()
	c.awaitOffsets()
	for _, m := range c.members {
		c.check(fmt.Sprintf("the topic, read from %s,", m), c.readLines(m), want)
	}
	c.checkSink(want)
	for _, w := range c.workers {
		if !w.Stop(time.Minute) {
			t.Errorf("%s did not stop:\n%s", w.Name, ending(w.Output()))
		}
	}
	c.awaitSameBytes("lines", connectPartitions, c.members...)
	c.checkHealthy()
	log("verified %d lines", len(want))
}

const connectSources, connectPartitions = 3, 3

// connectRun is a cluster with Connect workers, file sources and a file sink.
type connectRun struct {
	*exactlyOnce
	connect *testkit.Kafka
	dir     string // of the files
	started int
	workers []*connectWorker
	lines   *lineFeed
}

type connectWorker struct {
	*testkit.Process
	port int // of its REST interface
}

func newConnectRun(t *testing.T, kinds []string) *connectRun {
	t.Helper()
	return &connectRun{
		connect:     testkit.RealKafka(t, "3.9.1").With(t, "connect"),
		exactlyOnce: newExactlyOnce(t, kinds, "workers-", map[string]int32{"lines": connectPartitions}),
		dir:         t.TempDir(),
	}
}

// startWorker starts one more worker and waits until it serves requests.
func (c *connectRun) startWorker() {
	c.t.Helper()
	c.started++
	port := testkit.FreePort(c.t)
	properties := testkit.WriteFile(c.t, "connect.properties", strings.Join([]string{
		"bootstrap.servers=" + strings.Join(c.addresses(), ","),
		"group.id=workers",
		"exactly.once.source.support=enabled",
		"key.converter=org.apache.kafka.connect.storage.StringConverter",
		"value.converter=org.apache.kafka.connect.storage.StringConverter",
		"config.storage.topic=connect-configs",
		"offset.storage.topic=connect-offsets", "offset.storage.partitions=3",
		"status.storage.topic=connect-status", "status.storage.partitions=3",
		fmt.Sprintf("listeners=http://127.0.0.1:%d", port),
		"plugin.discovery=service_load",
		"offset.flush.interval.ms=1000",
		"session.timeout.ms=4000", "heartbeat.interval.ms=500", "scheduled.rebalance.max.delay.ms=0",
		"consumer.session.timeout.ms=4000", "consumer.heartbeat.interval.ms=500",
		"metadata.max.age.ms=5000",
	}, "\n")+"\n")
	p := startApplication(c.t, fmt.Sprintf("worker %d", c.started), c.connect.Command(c.t, "-Xmx384m", "org.apache.kafka.connect.cli.ConnectDistributed", properties))
	w := &connectWorker{p, port}
	c.workers = append(c.workers, w)
	testkit.Eventually(c.t, 2*time.Minute, p.Name+" to serve", func() bool {
		checkRunning(c.t, p)
		var connectors []string
		return c.request(w, "GET", "/connectors", nil, &connectors) == nil
	})
}

// request sends a request to a worker's REST interface.
func (c *connectRun) request(w *connectWorker, method, path string, body, answer any) error {
	var text bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&text).Encode(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequest(method, fmt.Sprintf("http://127.0.0.1:%d%s", w.port, path), &text)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, data)
	}
	return json.Unmarshal(data, answer)
}

// createConnectors creates the files, the connectors that read them, and the sink.
func (c *connectRun) createConnectors() {
	c.t.Helper()
	var files []string
	configs := map[string]map[string]string{
		"sink": {"connector.class": "FileStreamSink", "tasks.max": "1", "topics": "lines", "file": c.sinkFile(),
			"consumer.override.isolation.level": committed, "consumer.override.auto.offset.reset": "earliest"},
	}
	for i := range connectSources {
		file := filepath.Join(c.dir, fmt.Sprintf("source-%d.txt", i))
		files = append(files, file)
		configs[fmt.Sprintf("source-%d", i)] = map[string]string{"connector.class": "FileStreamSource", "tasks.max": "1", "topic": "lines", "file": file,
			"exactly.once.support": "required", "transaction.boundary": "interval", "transaction.boundary.interval.ms": "300"}
	}
	c.lines = startLineFeed(c.t, files, 50)
	for name, config := range configs {
		var err error
		if !within(2*time.Minute, func() bool {
			var answer any
			err = c.request(c.workers[0], "PUT", "/connectors/"+name+"/config", config, &answer)
			return err == nil
		}) {
			c.t.Fatalf("create the connector %s: %v", name, err)
		}
	}
}

func (c *connectRun) sinkFile() string { return filepath.Join(c.dir, "sink.txt") }

func (c *connectRun) killWorker() {
	c.t.Helper()
	c.workers[0].Kill()
	c.workers = c.workers[1:]
	c.startWorker()
}

// pauseWorker pauses a worker until another one runs its tasks. When it continues, it must be
// fenced.
func (c *connectRun) pauseWorker() {
	c.t.Helper()
	sleeping, awake := c.workers[0], c.workers[1]
	sleeping.Signal(sigStop)
	testkit.Eventually(c.t, 2*time.Minute, "all tasks to run on "+awake.Name, func() bool {
		return slices.Equal(c.tasksOn(awake), []string{"sink", "source-0", "source-1", "source-2"})
	})
	sleeping.Signal(sigCont)
}

// tasksOn returns the connectors whose task a worker runs.
func (c *connectRun) tasksOn(w *connectWorker) (connectors []string) {
	var all map[string]struct {
		Status struct {
			Tasks []struct {
				State  string `json:"state"`
				Worker string `json:"worker_id"`
			} `json:"tasks"`
		} `json:"status"`
	}
	if c.request(w, "GET", "/connectors?expand=status", nil, &all) != nil {
		return nil
	}
	for name, connector := range all {
		for _, task := range connector.Status.Tasks {
			if task.State == "RUNNING" && task.Worker == fmt.Sprintf("127.0.0.1:%d", w.port) {
				connectors = append(connectors, name)
			}
		}
	}
	slices.Sort(connectors)
	return connectors
}

// awaitProgress waits until lines that are written from now on, or the last ones, are in the sink's
// file.
func (c *connectRun) awaitProgress() {
	c.t.Helper()
	next := c.lines.last()
	testkit.Eventually(c.t, 3*time.Minute, fmt.Sprintf("the lines %v in the sink's file", next), func() bool {
		sunk, _ := os.ReadFile(c.sinkFile())
		for _, line := range next {
			if !bytes.Contains(sunk, []byte(line+"\n")) {
				return false
			}
		}
		return true
	})
}

// awaitOffsets waits until the offsets of the sources are the sizes of their files.
func (c *connectRun) awaitOffsets() {
	c.t.Helper()
	for i, file := range c.lines.files {
		info, err := os.Stat(file.Name())
		if err != nil {
			c.t.Fatal(err)
		}
		var got struct {
			Offsets []struct {
				Offset struct {
					Position int64 `json:"position"`
				} `json:"offset"`
			} `json:"offsets"`
		}
		testkit.Eventually(c.t, time.Minute, fmt.Sprintf("the offset of source-%d to be %d", i, info.Size()), func() bool {
			return c.request(c.workers[0], "GET", fmt.Sprintf("/connectors/source-%d/offsets", i), nil, &got) == nil &&
				len(got.Offsets) == 1 && got.Offsets[0].Offset.Position == info.Size()
		})
	}
}

// readLines reads the committed lines of the topic from a broker, and checks their order in each
// partition.
func (c *connectRun) readLines(m *member) (lines []string) {
	c.t.Helper()
	for p, records := range readCommittedRecords(c.t, m, "lines", connectPartitions) {
		latest := map[string]int{}
		for _, r := range records {
			source, number, _ := strings.Cut(string(r.Value), "-")
			n, err := strconv.Atoi(number)
			if before, found := latest[source]; err != nil || found && n <= before {
				c.t.Errorf("lines-%d of %s has %q after line %d", p, m, r.Value, before)
			}
			latest[source] = n
			lines = append(lines, string(r.Value))
		}
	}
	return lines
}

// check compares lines with those that were written, each once.
func (c *connectRun) check(what string, got, want []string) {
	c.t.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if difference := firstDifference(got, want); difference != "" {
		c.t.Errorf("%s differs from the files: %s", what, difference)
	}
}

// checkSink compares the lines of the sink's file with those written, without duplicates.
func (c *connectRun) checkSink(want []string) {
	c.t.Helper()
	sunk, err := os.ReadFile(c.sinkFile())
	if err != nil {
		c.t.Fatal(err)
	}
	all := slices.Sorted(slices.Values(strings.Fields(string(sunk))))
	once := slices.Compact(slices.Clone(all))
	c.check("the sink's file", once, want)
	c.t.Logf("%d of %d lines of the sink's file are duplicates", len(all)-len(once), len(all))
}

// lineFeed appends numbered lines to files.
type lineFeed struct {
	files []*os.File
	quit  chan struct{}
	done  sync.WaitGroup

	mu    sync.Mutex // guards lines and err
	lines []string
	err   error
}

func startLineFeed(t testing.TB, paths []string, perSecond int) *lineFeed {
	t.Helper()
	f := &lineFeed{quit: make(chan struct{})}
	for _, path := range paths {
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		f.files = append(f.files, file)
	}
	f.done.Go(func() { f.write(time.Second / time.Duration(perSecond)) })
	t.Cleanup(func() {
		_, _ = f.stop()
		for _, file := range f.files {
			file.Close()
		}
	})
	return f
}

func (f *lineFeed) write(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-f.quit:
			return
		case <-tick.C:
		}
		f.mu.Lock()
		for i, file := range f.files {
			line := strconv.Itoa(i) + "-" + strconv.Itoa(n)
			if _, err := file.WriteString(line + "\n"); err != nil {
				f.err = err
			}
			f.lines = append(f.lines, line)
		}
		f.mu.Unlock()
	}
}

func (f *lineFeed) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.lines)
}

// last returns the latest line of each file.
func (f *lineFeed) last() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.lines[max(0, len(f.lines)-len(f.files)):])
}

// stop stops writing and returns all lines.
func (f *lineFeed) stop() ([]string, error) {
	f.mu.Lock()
	select {
	case <-f.quit:
	default:
		close(f.quit)
	}
	f.mu.Unlock()
	f.done.Wait()
	return f.lines, f.err
}
