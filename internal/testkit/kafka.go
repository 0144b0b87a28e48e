package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Kafka is a release of Apache Kafka, in a directory of jars.
type Kafka struct {
	Version string
	jars    string
	more    []string // further entries of the class path
	flags   []string // passed to every JVM
}

var releases = struct {
	sync.Mutex
	known map[string]*Kafka
}{known: map[string]*Kafka{}}

// RealKafka returns a release of Apache Kafka ("3.9.1", "2.8.2"). If the release is not available,
// the test fails with a message that says what to install.
func RealKafka(t testing.TB, version string) *Kafka {
	t.Helper()
	releases.Lock()
	defer releases.Unlock()
	if k := releases.known[version]; k != nil {
		return k
	}
	jars, err := Script("scripts/kafka-jars.sh", version)
	if err != nil {
		t.Fatal(err)
	}
	k := &Kafka{Version: version, jars: jars}
	k.flags = k.classes(t)
	releases.known[version] = k
	return k
}

// Plain returns the release without the class archive. With the archive, reflection returns some
// methods in another order, which shows in the JSON that tools print.
func (k *Kafka) Plain() *Kafka { return &Kafka{Version: k.Version, jars: k.jars} }

// With returns the release with further jars that scripts/kafka-jars.sh fetches, "streams" or
// "connect". If they are not available, the test fails with a message that says what to install.
func (k *Kafka) With(t testing.TB, jars string) *Kafka {
	t.Helper()
	dir, err := Script("scripts/kafka-jars.sh", k.Version, jars)
	if err != nil {
		t.Fatal(err)
	}
	return k.withClasses(dir + "/*")
}

// JavaSystem returns a system with clients of its own, "flink", "spring" or "curator", for Compile and
// Command. It has neither a broker nor tools. If its jars are not available, the test
// fails with a message that says what to install.
func JavaSystem(t testing.TB, name, version string) *Kafka {
	t.Helper()
	dir, err := Script("scripts/kafka-jars.sh", version, name)
	if err != nil {
		t.Fatal(err)
	}
	return &Kafka{Version: version, jars: dir}
}

// Compile compiles a Java program, given by its path in the source tree, and returns the release
// with its class.
func (k *Kafka) Compile(t testing.TB, source string) *Kafka {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("javac", "-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "-proc:none", "-d", dir, "-cp", k.classPath(), filepath.Join(Root(), source))
	if _, errs, code := Run(t, 5*time.Minute, "", cmd); code != 0 {
		t.Fatalf("javac %s: exit code %d\n%s", source, code, errs)
	}
	return k.withClasses(dir)
}

func (k *Kafka) withClasses(entry string) *Kafka {
	return &Kafka{Version: k.Version, jars: k.jars, more: append(slices.Clone(k.more), entry), flags: k.flags}
}

func (k *Kafka) classPath() string {
	return strings.Join(append([]string{k.jars + "/*"}, k.more...), ":")
}

// Command returns the command that runs a class of the release, such as
// kafka.tools.DumpLogSegments. Log lines of level WARN and above go to stderr.
func (k *Kafka) Command(t testing.TB, heap, class string, args ...string) *exec.Cmd {
	t.Helper()
	java := append([]string{heap, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"}, k.flags...)
	java = append(java, "-Dlog4j.configuration=file:"+k.log4j(t, "WARN", "System.err"), "-cp", k.classPath(), class)
	return exec.Command("java", append(java, args...)...)
}

// Run runs a tool of the release and waits for it to end.
func (k *Kafka) Run(t testing.TB, class string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return k.RunWithInput(t, "", class, args...)
}

// RunWithInput is like Run with stdin as standard input.
func (k *Kafka) RunWithInput(t testing.TB, stdin, class string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return Run(t, 3*time.Minute, stdin, k.Command(t, "-Xmx512m", class, args...))
}

// RealBroker is a running broker of Apache Kafka.
type RealBroker struct {
	*Process
	ID   int
	Port int
	Dir  string // its log.dirs
	file string
	k    *Kafka
	t    testing.TB
}

// Address returns the host:port of the broker's PLAINTEXT listener.
func (b *RealBroker) Address() string { return fmt.Sprintf("127.0.0.1:%d", b.Port) }

// Broker starts a real broker and waits until it serves requests. The broker is killed when the
// test ends. If dir is empty, a temporary directory is used. extra are properties that override the
// defaults.
func (k *Kafka) Broker(t testing.TB, id int, zookeeper, dir string, extra ...string) *RealBroker {
	t.Helper()
	b := &RealBroker{ID: id, Port: FreePort(t), Dir: dir, k: k, t: t}
	if b.Dir == "" {
		b.Dir = filepath.Join(t.TempDir(), "kafka-logs")
	}
	lines := append([]string{
		fmt.Sprintf("broker.id=%d", id),
		fmt.Sprintf("listeners=PLAINTEXT://127.0.0.1:%d", b.Port),
		"log.dirs=" + b.Dir,
		"zookeeper.connect=" + zookeeper,
		"offsets.topic.replication.factor=1",
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"group.initial.rebalance.delay.ms=0",
	}, extra...)
	b.file = WriteFile(t, fmt.Sprintf("server-%d.properties", id), strings.Join(lines, "\n")+"\n")
	b.Start()
	t.Cleanup(func() { b.Kill() })
	return b
}

// Start starts the broker again after Stop or Kill, with the same port and directory.
func (b *RealBroker) Start() {
	b.t.Helper()
	java := append([]string{"-Xms256m", "-Xmx512m", "-XX:TieredStopAtLevel=1"}, b.k.flags...)
	java = append(java, "-Dlog4j.configuration=file:"+b.k.log4j(b.t, "INFO", "System.out"), "-cp", b.k.jars+"/*", "kafka.Kafka", b.file)
	proc, err := Start(fmt.Sprintf("Kafka %s broker %d", b.k.Version, b.ID), exec.Command("java", java...))
	if err != nil {
		b.t.Fatal(err)
	}
	b.Process = proc
	if err := proc.AwaitOutput("started (kafka.server.KafkaServer)", 3*time.Minute); err != nil {
		b.t.Fatal(err)
	}
}

func (k *Kafka) log4j(t testing.TB, level, target string) string {
	t.Helper()
	text := fmt.Sprintf("log4j.rootLogger=%s, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\nlog4j.appender.out.target=%s\nlog4j.appender.out.follow=true\nlog4j.appender.out.layout=org.apache.log4j.PatternLayout\nlog4j.appender.out.layout.ConversionPattern=[%%d] %%p %%m (%%c)%%n\n", level, target)
	path := filepath.Join(os.TempDir(), fmt.Sprintf("monedula-test-log4j-%s-%s.properties", level, target))
	if old, err := os.ReadFile(path); err == nil && string(old) == text {
		return path
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
