package integration

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/internal/testkit"
)

// configTable returns the lines "key = value" that a broker printed at startup.
func configTable(t testing.TB, output string) []string {
	t.Helper()
	_, rest, found := strings.Cut(output, "INFO KafkaConfig values: \n")
	if !found {
		t.Fatalf("no line \"INFO KafkaConfig values: \":\n%s", output)
	}
	table, _, found := strings.Cut(rest, "\n (kafka.server.KafkaConfig)\n")
	if !found {
		t.Fatalf("the table of values does not end like Kafka's:\n%s", rest)
	}
	return strings.Split(table, "\n")
}

// With the same properties, our broker and a real one print the same table of values, except for
// listeners, log.dirs and zookeeper.connect.
func TestStartupPrintsTheConfigurationAsARealBrokerDoes(t *testing.T) {
	ours := startBroker(t, options{})
	real := testkit.RealKafka(t, "3.9.1").Broker(t, 0, testkit.ZooKeeper(t), "", "zookeeper.session.timeout.ms=3000")
	place := regexp.MustCompile(`(?m)^\t(listeners|log\.dirs|zookeeper\.connect) = .*$`)
	mask := func(table []string) []string {
		return strings.Split(place.ReplaceAllString(strings.Join(table, "\n"), "$1"), "\n")
	}
	if d := firstDifference(mask(configTable(t, ours.Output())), mask(configTable(t, real.Output()))); d != "" {
		t.Error(d)
	}
	if !strings.Contains(ours.Output(), "[KafkaServer id=0] started (kafka.server.KafkaServer)") {
		t.Errorf("no line \"[KafkaServer id=0] started\":\n%s", ours.Output())
	}
}

func TestEveryKeyOfTheGoldenTableIsPrinted(t *testing.T) {
	want := golden.Read(t, "kafkaconfig-values-3.9.1.txt")
	keys := func(table []string) []string {
		var names []string
		for _, line := range table {
			name, _, _ := strings.Cut(strings.TrimPrefix(line, "\t"), " = ")
			names = append(names, name)
		}
		return names
	}
	b := startBroker(t, options{})
	if d := firstDifference(keys(configTable(t, b.Output())), keys(configTable(t, string(want)))); d != "" {
		t.Error(d)
	}
}

// Log lines have the pattern that people search for, and go to the files of Kafka's log4j
// configuration.
func TestLogLinesHaveKafkasPatternAndFiles(t *testing.T) {
	b := startBroker(t, options{})
	b.createTopic("a", 1)
	b.stop()
	line := regexp.MustCompile(`^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] (TRACE|DEBUG|INFO|WARN|ERROR|FATAL) .+ \([\w.$-]+\)$`)
	table := configTable(t, b.Output())
	head := regexp.MustCompile(`^\[[^\]]*\] INFO KafkaConfig values: $`)
	// Two of Kafka's messages contain a line break: the table of values and a znode's stat.
	unbroken := strings.ReplaceAll(strings.ReplaceAll(b.Output(), "\n (kafka.server.KafkaConfig)\n", "\n"), "\n (kafka.zk.", " (kafka.zk.")
	for s := bufio.NewScanner(strings.NewReader(unbroken)); s.Scan(); {
		if text := s.Text(); !line.MatchString(text) && !slices.Contains(table, text) && !head.MatchString(text) {
			t.Errorf("not in Kafka's pattern: %q", text)
		}
	}
	for _, want := range []string{
		`INFO Registered signal handlers for TERM, INT, HUP \(org\.apache\.kafka\.common\.utils\.LoggingSignalHandler\)`,
		`INFO starting \(kafka\.server\.KafkaServer\)`,
		`INFO Connecting to zookeeper on \S+ \(kafka\.server\.KafkaServer\)`,
		`INFO \[ZooKeeperClient Kafka server\] Connected\. \(kafka\.zookeeper\.ZooKeeperClient\)`,
		`INFO Cluster ID = [\w-]{22} \(kafka\.server\.KafkaServer\)`,
		`INFO Loading logs from log dirs ArrayBuffer\(\S+\) \(kafka\.log\.LogManager\)`,
		`INFO No logs found to be loaded in \S+ \(kafka\.log\.LogManager\)`,
		`INFO Loaded 0 logs in \d+ms \(kafka\.log\.LogManager\)`,
		`INFO Registered broker 0 at path /brokers/ids/0 with addresses: PLAINTEXT://127\.0\.0\.1:\d+, czxid \(broker epoch\): \d+ \(kafka\.zk\.KafkaZkClient\)`,
		`INFO Kafka version: 3\.9\.1 \(org\.apache\.kafka\.common\.utils\.AppInfoParser\)`,
		`INFO \[KafkaServer id=0\] started \(kafka\.server\.KafkaServer\)`,
		`INFO Terminating process due to signal SIGTERM \(org\.apache\.kafka\.common\.utils\.LoggingSignalHandler\)`,
		`INFO \[KafkaServer id=0\] shutting down \(kafka\.server\.KafkaServer\)`,
		`INFO \[KafkaServer id=0\] Controlled shutdown succeeded \(kafka\.server\.KafkaServer\)`,
		`INFO Shutdown complete\. \(kafka\.log\.LogManager\)`,
		`INFO \[KafkaServer id=0\] shut down completed \(kafka\.server\.KafkaServer\)`,
	} {
		if !regexp.MustCompile(`(?m)\] ` + want + `$`).MatchString(b.Output()) {
			t.Errorf("no line like %s", want)
		}
	}
	server, err := os.ReadFile(filepath.Join(b.logs, "server.log"))
	if err != nil || string(server) != b.Output() {
		t.Errorf("server.log and stdout differ: %v", err)
	}
	for name, want := range map[string]string{
		"controller.log":   "(kafka.controller.KafkaController)",
		"state-change.log": "(state.change.logger)",
	} {
		text, err := os.ReadFile(filepath.Join(b.logs, name))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v, %d bytes", name, err, len(text))
		}
	}
	if t.Failed() {
		t.Log(b.Output())
	}
}

func TestOverridesTakePrecedenceOverTheFile(t *testing.T) {
	b := newBroker(t, options{extra: []string{"num.partitions=2"}})
	b.start("num.partitions=5", "log.segment.bytes=2097152")
	for _, want := range []string{"num.partitions = 5", "log.segment.bytes = 2097152"} {
		if !slices.Contains(configTable(t, b.Output()), "\t"+want) {
			t.Errorf("the table does not contain %q", want)
		}
	}
	must(t, "kafka-topics", append(b.bootstrap(), "--create", "--topic", "a")...)
	if out := must(t, "kafka-topics", append(b.bootstrap(), "--describe", "--topic", "a")...); !strings.Contains(out, "PartitionCount: 5") {
		t.Errorf("the topic does not have five partitions:\n%s", out)
	}
}

func TestTheKeysOfOldReleasesAreHonoured(t *testing.T) {
	dir, port := filepath.Join(t.TempDir(), "old"), testkit.FreePort(t)
	b := newBroker(t, options{port: port, omit: map[string]bool{"listeners": true, "log.dirs": true},
		extra: []string{fmt.Sprintf("port=%d", port), "host.name=127.0.0.1", "log.dir=" + dir}})
	b.start()
	b.createTopic("a", 1)
	b.produce("a", "x")
	if _, err := os.Stat(filepath.Join(dir, "a-0")); err != nil {
		t.Errorf("the log is not in log.dir: %v", err)
	}
	data, _ := openTree(t, b.zookeeper).get("/brokers/ids/0")
	if want := fmt.Sprintf(`"endpoints":["PLAINTEXT://127.0.0.1:%d"]`, port); !strings.Contains(data, want) {
		t.Errorf("registered as %s", data)
	}
}

func TestTheRootServerPropertiesAreThoseInConfig(t *testing.T) {
	one, err := os.Stat(filepath.Join(testkit.Root(), "server.properties"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := os.Stat(filepath.Join(testkit.Root(), "config/server.properties"))
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(one, two) {
		t.Error("server.properties and config/server.properties are different files")
	}
}

// namespace returns a command prefix that runs a command in its own mount namespace, or process
// namespace, depending on flags. A user other than root becomes root in it.
func namespace(flags ...string) []string {
	if os.Getuid() != 0 {
		flags = append(flags, "--user", "--map-root-user")
	}
	return append([]string{"unshare"}, flags...)
}

func TestTheDaemonStopScriptStopsOurBrokersAndNothingElse(t *testing.T) {
	work := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a", "b", "real"} {
		write(name+".properties", fmt.Sprintf("broker.id=0\nlisteners=PLAINTEXT://127.0.0.1:%d\nlog.dirs=%s\nzookeeper.connect=%s\n",
			testkit.FreePort(t), filepath.Join(work, name+"-data"), testkit.ZooKeeper(t)))
	}
	write("log4j.properties", "log4j.rootLogger=INFO, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\nlog4j.appender.out.layout=org.apache.log4j.PatternLayout\nlog4j.appender.out.layout.ConversionPattern=[%d] %p %m (%c)%n\n")
	jars, err := testkit.Script("scripts/kafka-jars.sh", "3.9.1")
	if err != nil {
		t.Fatal(err)
	}
	command := append(namespace("--pid", "--fork", "--kill-child", "--mount-proc"),
		filepath.Join(testkit.Root(), "integration/testdata/stop_brokers.sh"), testkit.Root(), work, jars)
	out, errs, code := testkit.Run(t, 3*time.Minute, "", exec.Command(command[0], command[1:]...))
	want := `daemon exit 0
daemon exit 0
exit 0
after stopping b: a runs, b gone, real runs, decoy runs, reader runs
No kafka server to stop
exit 1
exit 0
after stopping all: a gone, real runs, decoy runs, reader runs
No kafka server to stop
exit 1
a-logs/kafkaServer.out:1
b-logs/kafkaServer.out:1
`
	if out != want || code != 0 {
		t.Errorf("exit code %d\n%s\n%s\nwant\n%s", code, out, errs, want)
	}
}

func TestTheStartScriptPrintsItsUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"server.properties", "--override"}, {"server.properties", "stray"}} {
		out, errs, code := run(t, "kafka-server-start", args...)
		if code != 1 || !strings.Contains(out+errs, "USAGE") && !strings.Contains(out+errs, "override") && !strings.Contains(out+errs, "stray") {
			t.Errorf("%v: exit code %d\n%s%s", args, code, out, errs)
		}
	}
}

func TestAConfigurationMistakePreventsStartupAndNamesTheLine(t *testing.T) {
	for _, c := range []struct {
		line  string
		words []string
	}{
		{"num.partitions=0", []string{"num.partitions", "0", "Value must be at least 1", "[1,...]"}},
		{"num.partitions=many", []string{"num.partitions", "many", "Not a number of type INT"}},
		{"log.cleanup.policy=compct", []string{"log.cleanup.policy", "compct", "[compact, delete]"}},
		{"log.segment.bytes=1", []string{"log.segment.bytes", "Value must be at least 14", "[14,...]"}},
		{"compression.type=brotli", []string{"compression.type", "brotli", "lz4"}},
		{"auto.create.topics.enable=perhaps", []string{"auto.create.topics.enable", "perhaps"}},
		{"listeners=PLAINTEXT://127.0.0.1", []string{"listeners", "PLAINTEXT://127.0.0.1"}},
		{"listeners=NOSUCH://127.0.0.1:1", []string{"listeners", "NOSUCH"}},
		{"inter.broker.protocol.version=9.9", []string{"inter.broker.protocol.version", "9.9"}},
		{"log.dirs=", []string{"log.dir"}},
		{"broker.id=-2", []string{"broker.id"}},
	} {
		t.Run(c.line, func(t *testing.T) {
			key, _, _ := strings.Cut(c.line, "=")
			b := newBroker(t, options{omit: map[string]bool{key: true}, extra: []string{"# a comment", c.line}})
			text, err := os.ReadFile(b.file)
			if err != nil {
				t.Fatal(err)
			}
			number := 1 + strings.Count(string(text[:strings.Index(string(text), "\n"+c.line)+1]), "\n")
			b.failsToStart(append(c.words, fmt.Sprintf("line %d", number), filepath.Base(b.file))...)
			if strings.Contains(b.Output(), "goroutine ") {
				t.Errorf("the broker panicked:\n%s", b.Output())
			}
			if _, err := os.Stat(b.dir); !os.IsNotExist(err) {
				t.Errorf("the log directory was created: %v", err)
			}
		})
	}
}

func TestAMissingPropertiesFilePreventsStartup(t *testing.T) {
	b := newBroker(t, options{})
	b.file = filepath.Join(t.TempDir(), "nosuch.properties")
	b.failsToStart(b.file)
}

func TestAnUnknownKeyGetsOneWarningWithTheNearestKnownKey(t *testing.T) {
	b := startBroker(t, options{extra: []string{"num.partitons=3", "my.company.own.thing=1"}})
	var warnings []string
	for _, line := range strings.Split(b.Output(), "\n") {
		if strings.Contains(line, "num.partitons") {
			warnings = append(warnings, line)
		}
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "] WARN ") || !strings.Contains(warnings[0], "num.partitions") {
		t.Errorf("warnings about num.partitons: %q", warnings)
	}
}

// mounted is a small file system for one test. It exists as long as the process that holds its
// mount namespace. The test sees its files below view.
type mounted struct {
	t    testing.TB
	path string // inside the namespace
	pid  int
}

// mount mounts a tmpfs of the given size in a new namespace.
func mount(t testing.TB, size string) *mounted {
	t.Helper()
	path := t.TempDir()
	command := append(namespace("--mount"), "sh", "-c", `mount -t tmpfs -o size="$1" none "$2" && echo mounted && exec sleep infinity`, "sh", size, path)
	holder, err := testkit.Start("the holder of a mount", exec.Command(command[0], command[1:]...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(holder.Kill)
	if err := holder.AwaitOutput("mounted\n", 10*time.Second); err != nil {
		t.Fatal(err)
	}
	return &mounted{t, path, holder.Cmd.Process.Pid}
}

// enter wraps a command to run in the namespace of the mount.
func (m *mounted) enter(cmd *exec.Cmd) *exec.Cmd {
	args := []string{"-t", fmt.Sprint(m.pid), "--mount"}
	if os.Getuid() != 0 {
		args = append(args, "--user", "--preserve-credentials")
	}
	inside := exec.Command("nsenter", append(args, cmd.Args...)...)
	inside.Env = cmd.Env
	return inside
}

// do runs a shell command in the namespace of the mount.
func (m *mounted) do(line string) {
	m.t.Helper()
	if _, errs, code := testkit.Run(m.t, 30*time.Second, "", m.enter(exec.Command("sh", "-c", line))); code != 0 {
		m.t.Fatalf("%s: %s", line, errs)
	}
}

// launchIn launches the broker in the namespace of the mount.
func (b *broker) launchIn(m *mounted) {
	b.t.Helper()
	cmd := script("kafka-server-start", b.file)
	cmd.Env = append(os.Environ(), "LOG_DIR="+b.logs)
	p, err := testkit.Start(fmt.Sprintf("broker %d", b.id), m.enter(cmd))
	if err != nil {
		b.t.Fatal(err)
	}
	b.Process = p
	b.t.Cleanup(p.Kill)
}

// startIn is like launchIn, but also waits until the broker serves.
func (b *broker) startIn(m *mounted) {
	b.t.Helper()
	b.launchIn(m)
	if err := b.AwaitOutput(startedLine, 60*time.Second); err != nil {
		b.t.Fatal(err)
	}
}

func TestAReadOnlyLogDirectoryPreventsStartup(t *testing.T) {
	for _, place := range []string{"", "kafka-logs"} { // the mount itself, which exists, and a folder that does not exist
		m := mount(t, "1m")
		m.do("mount -o remount,ro " + m.path)
		b := newBroker(t, options{dir: filepath.Join(m.path, place)})
		b.launchIn(m)
		b.endsWith(b.dir, "read-only file system")
	}
}

func TestAFullLogDirectoryPreventsStartup(t *testing.T) {
	m := mount(t, "1m")
	m.do(fmt.Sprintf("mkdir %[1]s/kafka-logs; cat /dev/zero > %[1]s/fill 2>/dev/null; true", m.path))
	b := newBroker(t, options{dir: filepath.Join(m.path, "kafka-logs")})
	b.launchIn(m)
	b.endsWith(b.dir, "no space left on device")
}

// unchecked disables the check of the free space, so that a disk can become full.
const unchecked = "monedula.disk.low.watermark.bytes=0"

// If its last log directory fills up while the broker runs, the broker exits. All acknowledged
// records exist once there is space again.
func TestADirectoryThatFillsUpStopsTheBrokerWithoutLoss(t *testing.T) {
	m := mount(t, "4m")
	b := newBroker(t, options{dir: filepath.Join(m.path, "kafka-logs"), extra: []string{unchecked}})
	b.startIn(m)
	b.createTopic("a", 1, "segment.index.bytes=4096")
	line, acknowledged := strings.Repeat("x", 100_000), 0
	for acknowledged < 100 {
		_, _, code := testkit.Run(t, 90*time.Second, line+"\n", script("kafka-console-producer", append(b.bootstrap(), "--topic", "a", "--sync", "--timeout", "0",
			"--producer-property", "delivery.timeout.ms=3000", "--request-timeout-ms", "2000")...))
		if code != 0 {
			break
		}
		acknowledged++
	}
	if acknowledged < 10 || acknowledged >= 100 {
		t.Fatalf("%d produces succeeded in 4 MiB; the broker:\n%s", acknowledged, b.Output())
	}
	b.endsWith(b.dir, "no space left on device", "all log dirs")
	m.do("mount -o remount,size=32m " + m.path)
	b.startIn(m)
	records := b.consume("a", acknowledged)
	if len(records) != acknowledged {
		t.Fatalf("%d records were acknowledged, %d exist", acknowledged, len(records))
	}
	for i, got := range records {
		if got != line {
			t.Fatalf("record %d of %d has %d bytes", i, acknowledged, len(got))
		}
	}
}

func TestAPortInUsePreventsStartup(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := newBroker(t, options{port: l.Addr().(*net.TCPAddr).Port})
	b.failsToStart(fmt.Sprintf("Socket server failed to bind to 127.0.0.1:%d: Address already in use", b.port), "listeners")
	if _, err := os.Stat(b.dir); !os.IsNotExist(err) {
		t.Errorf("the log directory was created: %v", err)
	}
}

func TestMetaPropertiesOfAnotherClusterOrBrokerPreventStartup(t *testing.T) {
	b := startBroker(t, options{})
	b.createTopic("a", 1)
	b.stop()
	file := filepath.Join(b.dir, "meta.properties")
	mine, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, from, to string
		words          []string
	}{
		{"a foreign cluster id", `cluster\.id=.*`, "cluster.id=AAAAAAAAAAAAAAAAAAAAAA", []string{"AAAAAAAAAAAAAAAAAAAAAA", "zookeeper.connect"}},
		{"another broker's id", `broker\.id=0`, "broker.id=5", []string{"5", "broker.id"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(regexp.MustCompile(c.from).ReplaceAllString(string(mine), c.to)), 0o644); err != nil {
				t.Fatal(err)
			}
			before := readTree(t, b.dir)
			b.failsToStart(append(c.words, "meta.properties")...)
			after := readTree(t, b.dir)
			delete(before, ".lock")
			delete(after, ".lock")
			for path, content := range before {
				if now, there := after[path]; !there || string(now) != string(content) {
					t.Errorf("%s changed", path)
				}
			}
			if len(after) != len(before) {
				t.Errorf("%d files, want %d as before", len(after), len(before))
			}
		})
	}
}

func TestAnUnreachableZooKeeperPreventsStartup(t *testing.T) {
	address := fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t))
	b := newBroker(t, options{zookeeper: address + "/k", extra: []string{"zookeeper.connection.timeout.ms=1000"}})
	b.failsToStart("Timed out waiting for connection", address, "zookeeper.connect")
	if _, err := os.Stat(b.dir); !os.IsNotExist(err) {
		t.Errorf("the log directory was created: %v", err)
	}
}

func TestADirectoryLockedByAnotherBrokerPreventsStartup(t *testing.T) {
	for _, s := range starters {
		t.Run(s.name, func(t *testing.T) {
			connect, dir := testkit.ZooKeeper(t), filepath.Join(t.TempDir(), "kafka-logs")
			first := s.start(t, 0, connect, dir)
			second := newBroker(t, options{id: 0, dir: dir, zookeeper: testkit.ZooKeeper(t)})
			second.failsToStart("Failed to acquire lock on file .lock in " + dir)
			must(t, "kafka-topics", "--bootstrap-server", first.address(), "--create", "--topic", "a")
		})
	}
}
