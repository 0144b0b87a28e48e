package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/monedula/monedula/internal/testkit"
)

// side is one of the two sides of the comparison: how to run its broker and tools.
type side struct {
	name   string
	broker func(properties string) *exec.Cmd
	tool   func(ctx context.Context, t tool, args ...string) *exec.Cmd
}

// tool names a command line tool on both sides.
type tool struct {
	script string // of this tree, below bin/
	class  string // of the original
	heap   string // heap of the original, as its script sets it
}

// ourSide returns the side that runs the binary of this tree through its scripts.
func ourSide() *side {
	bin := filepath.Join(testkit.Root(), "bin")
	return &side{
		name: "Monedula",
		broker: func(properties string) *exec.Cmd {
			cmd := exec.Command(filepath.Join(bin, "kafka-server-start.sh"), properties)
			cmd.Env = append(os.Environ(), "LOG_DIR="+filepath.Join(filepath.Dir(properties), "logs"))
			return cmd
		},
		tool: func(ctx context.Context, t tool, args ...string) *exec.Cmd {
			return exec.CommandContext(ctx, filepath.Join(bin, t.script), args...)
		},
	}
}

// performanceOptions are the JVM options that the original's scripts set for both server and tools
// if the user sets none.
var performanceOptions = []string{"-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
	"-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true"}

// originalSide returns the side that runs Apache Kafka from its jars with its default JVM options.
// It does not use Kafka's scripts, so their cost does not count against the original.
func originalSide(work, jars, version string) (*side, error) {
	serverLog, err := log4j{name: "server", level: "INFO", target: "System.out"}.write(work)
	if err != nil {
		return nil, err
	}
	toolLog, err := log4j{name: "tools", level: "WARN", target: "System.err"}.write(work)
	if err != nil {
		return nil, err
	}
	java := func(heap []string, log, class string, args ...string) []string {
		return slices.Concat(heap, performanceOptions, []string{"-Dlog4j.configuration=file:" + log, "-cp", jars + "/*", class}, args)
	}
	return &side{
		name: "Kafka " + version,
		broker: func(properties string) *exec.Cmd {
			return exec.Command("java", java([]string{"-Xmx1G", "-Xms1G"}, serverLog, "kafka.Kafka", properties)...)
		},
		tool: func(ctx context.Context, t tool, args ...string) *exec.Cmd {
			return exec.CommandContext(ctx, "java", java([]string{t.heap}, toolLog, t.class, args...)...)
		},
	}, nil
}

// log4j is a configuration of Log4j: what is logged, and to which stream.
type log4j struct{ name, level, target string }

// write writes the file to the directory work and returns its path.
func (l log4j) write(work string) (string, error) {
	path := filepath.Join(work, l.name+"-log4j.properties")
	text := fmt.Sprintf("log4j.rootLogger=%s, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\nlog4j.appender.out.target=%s\nlog4j.appender.out.layout=org.apache.log4j.PatternLayout\nlog4j.appender.out.layout.ConversionPattern=[%%d] %%p %%m (%%c)%%n\n", l.level, l.target)
	return path, os.WriteFile(path, []byte(text), 0o644)
}

// broker is one broker process with its own directory and port.
type broker struct {
	*side
	zookeeper *testkit.Ensemble
	chroot    string // "/c1"; brokers with the same chroot are a cluster
	id        int    // broker.id
	port      int
	replicas  int16  // of the topics created on it
	dir       string // its only log.dirs
	file      string // its properties file
	metrics   string // host:port of its metrics; "": none
	proc      *testkit.Process
}

// newBroker prepares a cluster of one broker, on a new chroot.
func (b *bench) newBroker(s *side) (*broker, error) {
	return b.newClusterBroker(s, b.newChroot(), 0)
}

// newClusterBroker prepares a broker with a new directory. Both sides get the same properties. They
// are the defaults unless the measurement needs others; extra properties override them.
func (b *bench) newClusterBroker(s *side, chroot string, id int, extra ...string) (*broker, error) {
	port, err := testkit.UnusedPort()
	if err != nil {
		return nil, err
	}
	home := filepath.Join(b.work, fmt.Sprintf("%s-%d", strings.TrimPrefix(chroot, "/"), id))
	br := &broker{side: s, zookeeper: b.zookeeper, chroot: chroot, id: id, port: port, replicas: 1,
		dir: filepath.Join(home, "kafka-logs"), file: filepath.Join(home, "server.properties")}
	lines := append([]string{
		fmt.Sprintf("broker.id=%d", id),
		fmt.Sprintf("listeners=PLAINTEXT://127.0.0.1:%d", port),
		"log.dirs=" + br.dir,
		"zookeeper.connect=" + b.zookeeper.Address() + br.chroot,
		fmt.Sprintf("zookeeper.session.timeout.ms=%d", b.sizes.session.Milliseconds()),
		"offsets.topic.replication.factor=1",
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"log.segment.delete.delay.ms=1000",
	}, extra...)
	if err := os.MkdirAll(home, 0o755); err != nil {
		return nil, err
	}
	return br, os.WriteFile(br.file, []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

// newMeteredBroker prepares a cluster of one broker whose memory can be read with held.
func (b *bench) newMeteredBroker(s *side, extra ...string) (*broker, error) {
	port, err := testkit.UnusedPort()
	if err != nil {
		return nil, err
	}
	metrics := fmt.Sprintf("127.0.0.1:%d", port)
	br, err := b.newClusterBroker(s, b.newChroot(), 0, append(slices.Clone(extra), "monedula.metrics.listener="+metrics)...)
	if err != nil {
		return nil, err
	}
	br.metrics = metrics
	return br, nil
}

// address returns host:port of the listener.
func (br *broker) address() string { return fmt.Sprintf("127.0.0.1:%d", br.port) }

// dial connects to the listener.
func (br *broker) dial(ctx context.Context) (net.Conn, error) {
	return (&net.Dialer{Timeout: probePatience}).DialContext(ctx, "tcp", br.address())
}

// pid returns the id of the broker's process. The scripts of this tree exec the broker.
func (br *broker) pid() int { return br.proc.Cmd.Process.Pid }

func (br *broker) start() error {
	proc, err := testkit.Start(br.name, br.broker(br.file))
	br.proc = proc
	return err
}

// kill ends the process with SIGKILL, if it was started.
func (br *broker) kill() {
	if br.proc != nil {
		br.proc.Kill()
	}
}

// remove kills the broker and deletes its directory.
func (br *broker) remove() {
	br.kill()
	_ = os.RemoveAll(br.dir)
}

// startServing starts the broker and returns the time from just before the process is started until
// a record is acknowledged on every partition of the topic. A broker that exits is restarted at
// once, as a supervisor would do; restarts is the number of restarts.
func (br *broker) startServing(ctx context.Context, topic string, partitions int) (took time.Duration, restarts int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	begin := time.Now()
	if err := br.start(); err != nil {
		return 0, 0, err
	}
	served := make(chan error, 1)
	go func() { served <- produceOnce(ctx, br, topic, partitions) }()
	for {
		select {
		case err := <-served:
			if err != nil {
				err = fmt.Errorf("%s did not serve: %w; its last output:\n%s", br.name, err, lastLines(br.proc.Output(), 15))
			}
			return time.Since(begin), restarts, err
		case <-br.proc.Ended():
			if restarts++; restarts > 20 {
				return 0, restarts, fmt.Errorf("%s ended while starting, %d times; its last output:\n%s", br.name, restarts, lastLines(br.proc.Output(), 15))
			}
			if err := br.start(); err != nil {
				return 0, restarts, err
			}
		}
	}
}

// awaitDeregistered waits until ZooKeeper has ended the session of a killed broker and its
// registration is gone.
func (br *broker) awaitDeregistered(ctx context.Context) error {
	znode := fmt.Sprintf("%s/brokers/ids/%d", br.chroot, br.id)
	for {
		ephemerals, err := br.zookeeper.FourLetterWord("dump")
		if err == nil && strings.Contains(ephemerals, "phemerals") && !strings.Contains(ephemerals, znode+"\n") {
			return nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("waiting for ZooKeeper to remove %s: %w", znode, err)
		}
	}
}

// pause waits for d or until the context ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func lastLines(text string, most int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
