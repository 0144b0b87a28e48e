// Package integration tests the whole system: the built binary and its scripts with real ZooKeeper,
// real clients, and real Kafka.
package integration

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/peerlink"
)

func TestMain(m *testing.M) {
	if testkit.InNamespaces() {
		testkit.Main(m) // the parent process has built the binary
	}
	build := exec.Command("go", "build", "-o", "monedula", "./cmd/monedula")
	build.Dir = testkit.Root()
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		os.Exit(1)
	}
	testkit.Main(m)
}

// broker is one of our brokers, run by its start script.
type broker struct {
	*testkit.Process
	t         testing.TB
	id        int
	port      int
	dir       string // log.dirs
	zookeeper string
	file      string        // server.properties
	logs      string        // LOG_DIR
	node      *testkit.Node // its network namespace; nil: that of the test
	outside   int           // the port by which others reach it; 0: port
}

// options are the options of a broker under test.
type options struct {
	id        int
	dir       string // "": a new one
	zookeeper string // "": a new chroot
	port      int    // 0: a free one
	extra     []string
	omit      map[string]bool // keys of the default properties to omit
}

// newBroker writes a broker's properties without starting it.
func newBroker(t testing.TB, o options) *broker {
	t.Helper()
	b := &broker{t: t, id: o.id, port: o.port, dir: o.dir, zookeeper: o.zookeeper, logs: t.TempDir()}
	if b.port == 0 {
		b.port = testkit.FreePort(t)
	}
	if b.dir == "" {
		b.dir = filepath.Join(t.TempDir(), "kafka-logs")
	}
	if b.zookeeper == "" {
		b.zookeeper = testkit.ZooKeeper(t)
	}
	var lines []string
	for _, line := range []string{
		fmt.Sprintf("broker.id=%d", b.id),
		fmt.Sprintf("listeners=PLAINTEXT://127.0.0.1:%d", b.port),
		"log.dirs=" + b.dir,
		"zookeeper.connect=" + b.zookeeper,
		"zookeeper.session.timeout.ms=3000",
		"offsets.topic.replication.factor=1",
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"group.initial.rebalance.delay.ms=0",
	} {
		key, _, _ := strings.Cut(line, "=")
		if !o.omit[key] {
			lines = append(lines, line)
		}
	}
	b.file = testkit.WriteFile(t, "server.properties", strings.Join(append(lines, o.extra...), "\n")+"\n")
	return b
}

// startBroker starts a broker and waits until it serves. The broker is killed at the end of the
// test.
func startBroker(t testing.TB, o options) *broker {
	t.Helper()
	b := newBroker(t, o)
	b.start()
	return b
}

const startedLine = "started (kafka.server.KafkaServer)"

func (b *broker) start(overrides ...string) {
	b.t.Helper()
	b.launch(overrides...)
	if err := b.AwaitOutput(startedLine, 2*time.Minute); err != nil {
		b.t.Fatal(err)
	}
}

// launch starts the process without waiting for anything.
func (b *broker) launch(overrides ...string) {
	b.t.Helper()
	args := []string{b.file}
	for _, o := range overrides {
		args = append(args, "--override", o)
	}
	cmd := script("kafka-server-start", args...)
	cmd.Env = append(os.Environ(), "LOG_DIR="+b.logs)
	p, err := testkit.Start(fmt.Sprintf("broker %d", b.id), b.node.Command(cmd))
	if err != nil {
		b.t.Fatal(err)
	}
	b.Process = p
	b.t.Cleanup(p.Kill)
}

// stop stops the broker cleanly.
func (b *broker) stop() {
	b.t.Helper()
	if !b.Stop(time.Minute) {
		b.t.Fatalf("the broker did not stop within a minute of SIGTERM; its output:\n%s", b.Output())
	}
}

func (b *broker) address() string {
	port := b.port
	if b.outside != 0 {
		port = b.outside
	}
	return fmt.Sprintf("%s:%d", b.host(), port)
}

func (b *broker) host() string {
	if b.node != nil {
		return b.node.IP
	}
	return "127.0.0.1"
}

// bootstrap returns the option that points a tool at the broker.
func (b *broker) bootstrap() []string { return []string{"--bootstrap-server", b.address()} }

// link returns a connection for a test's own requests to the broker.
func link(t testing.TB, address string) *peerlink.Link {
	t.Helper()
	l := peerlink.New(peerlink.Config{Address: address, ClientID: "integration", RequestTimeout: 30 * time.Second, ConnectTimeout: 5 * time.Second})
	t.Cleanup(l.Close)
	return l
}

// script returns the command of a script in bin/.
func script(name string, args ...string) *exec.Cmd {
	return exec.Command(filepath.Join(testkit.Root(), "bin", name+".sh"), args...)
}

// run runs a script to its end.
func run(t testing.TB, name string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return testkit.Run(t, 3*time.Minute, "", script(name, args...))
}

// must runs a script, which must succeed, and returns its stdout.
func must(t testing.TB, name string, args ...string) string {
	t.Helper()
	return mustWith(t, "", name, args...)
}

// mustWith is like must, with stdin as the script's standard input.
func mustWith(t testing.TB, stdin, name string, args ...string) string {
	t.Helper()
	stdout, stderr, code := testkit.Run(t, 3*time.Minute, stdin, script(name, args...))
	if code != 0 {
		t.Fatalf("%s %s: exit code %d\nstdout:\n%s\nstderr:\n%s", name, strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// produce sends lines to a topic with our console producer.
func (b *broker) produce(topic string, lines ...string) {
	b.t.Helper()
	mustWith(b.t, strings.Join(lines, "\n")+"\n", "kafka-console-producer", append(b.bootstrap(), "--topic", topic)...)
}

// consume reads n records of a topic from its beginning with our console consumer.
func (b *broker) consume(topic string, n int) []string {
	b.t.Helper()
	out := must(b.t, "kafka-console-consumer", append(b.bootstrap(), "--topic", topic, "--from-beginning", "--max-messages", fmt.Sprint(n), "--timeout-ms", "20000")...)
	return strings.Split(strings.TrimSuffix(out, "\n"), "\n")
}

// createTopic creates a topic with our tool.
func (b *broker) createTopic(name string, partitions int, configs ...string) {
	b.t.Helper()
	args := append(b.bootstrap(), "--create", "--topic", name, "--partitions", fmt.Sprint(partitions), "--replication-factor", "1")
	for _, c := range configs {
		args = append(args, "--config", c)
	}
	must(b.t, "kafka-topics", args...)
}

// rawFrame sends one frame and returns the body of the answer, or an error if the connection closes
// without an answer.
func rawFrame(address string, frame []byte, limit time.Duration) ([]byte, error) {
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(limit))
	if _, err := conn.Write(frame); err != nil {
		return nil, err
	}
	head := make([]byte, 4)
	if _, err := readFull(conn, head); err != nil {
		return nil, err
	}
	body := make([]byte, int(head[0])<<24|int(head[1])<<16|int(head[2])<<8|int(head[3]))
	_, err = readFull(conn, body)
	return body, err
}

func readFull(conn net.Conn, buf []byte) (int, error) {
	n := 0
	for n < len(buf) {
		m, err := conn.Read(buf[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func background() context.Context { return context.Background() }

const sigStop, sigCont = syscall.SIGSTOP, syscall.SIGCONT

// failsToStart starts the broker and requires that it exits by itself with code 1 and prints each
// of the words.
func (b *broker) failsToStart(words ...string) {
	b.t.Helper()
	b.launch()
	b.endsWith(words...)
}

// endsWith waits until the broker exits by itself, and checks its exit code and its output.
func (b *broker) endsWith(words ...string) {
	b.t.Helper()
	select {
	case <-b.Ended():
	case <-time.After(2 * time.Minute):
		b.t.Fatalf("the broker did not exit; its output:\n%s", b.Output())
	}
	if code := b.ExitCode(); code != 1 {
		b.t.Errorf("exit code %d, want 1", code)
	}
	for _, word := range words {
		if !strings.Contains(b.Output(), word) {
			b.t.Errorf("it did not print %q; its output:\n%s", word, b.Output())
		}
	}
	if strings.Contains(b.Output(), "goroutine ") {
		b.t.Errorf("the broker panicked:\n%s", b.Output())
	}
}
