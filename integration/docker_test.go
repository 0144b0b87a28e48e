package integration

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/settings"
)

// composeFile has the keys of docker/compose.yaml that the file may use. Others are errors.
type composeFile struct {
	Name     string
	Services map[string]composeService
	Volumes  map[string]any
	Anchors  map[string]any `yaml:",inline"` // x-...: parts that the services share
}

type composeService struct {
	Image           string
	Build           *struct{ Context, Dockerfile string }
	Restart         string
	StopGracePeriod time.Duration                         `yaml:"stop_grace_period"`
	DependsOn       map[string]struct{ Condition string } `yaml:"depends_on"`
	Healthcheck     *struct {
		Test              []string
		Interval, Timeout time.Duration
		Retries           int
	}
	Hostname       string
	Ports, Volumes []string
	Environment    map[string]string
}

func loadCompose(t *testing.T) composeFile {
	t.Helper()
	text, err := os.Open(filepath.Join(testkit.Root(), "docker/compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	decoder := yaml.NewDecoder(text)
	decoder.KnownFields(true)
	var file composeFile
	if err := decoder.Decode(&file); err != nil {
		t.Fatalf("docker/compose.yaml: %v", err)
	}
	for key := range file.Anchors {
		if !strings.HasPrefix(key, "x-") {
			t.Errorf("docker/compose.yaml has the key %s, which this test does not know", key)
		}
	}
	return file
}

// The compose file is valid, has three ZooKeepers and three brokers that refer to each other, and
// sets only keys that a broker knows.
func TestTheComposeFileIsValid(t *testing.T) {
	file := loadCompose(t)
	published := map[string]string{}
	for _, kind := range []string{"zookeeper", "kafka"} {
		for n := 1; n <= 3; n++ {
			name := fmt.Sprintf("%s-%d", kind, n)
			service := file.service(t, name)
			if service.Healthcheck == nil || len(service.Volumes) == 0 || service.Hostname != name {
				t.Errorf("%s lacks a health check or a volume, or has another host name", name)
			}
			for _, port := range service.Ports {
				outside, _, _ := strings.Cut(port, ":")
				if other := published[outside]; other != "" {
					t.Errorf("%s and %s both publish %s", other, name, outside)
				}
				published[outside] = name
			}
			for _, volume := range service.Volumes {
				volume, _, _ = strings.Cut(volume, ":")
				if _, ok := file.Volumes[volume]; !ok {
					t.Errorf("%s uses the volume %s, which is missing", name, volume)
				}
			}
			for variable, value := range service.Environment {
				key, isKafka := strings.CutPrefix(variable, "KAFKA_")
				if !isKafka {
					continue
				}
				if key = strings.ReplaceAll(strings.ToLower(key), "_", "."); settings.Lookup(key) == nil {
					t.Errorf("%s: %s=%s sets %s, which no broker knows", name, variable, value, key)
				}
			}
			if kind == "kafka" {
				file.checkBroker(t, name, n)
			} else if id := service.Environment["ZOO_MY_ID"]; id != fmt.Sprint(n) {
				t.Errorf("%s has the id %q", name, id)
			}
		}
	}
	if len(file.Services) != 6 {
		t.Errorf("%d services, want 6", len(file.Services))
	}
}

func (f composeFile) service(t *testing.T, name string) composeService {
	t.Helper()
	service, ok := f.Services[name]
	if !ok {
		t.Fatalf("docker/compose.yaml has no service %s", name)
	}
	return service
}

func (f composeFile) checkBroker(t *testing.T, name string, n int) {
	t.Helper()
	service := f.service(t, name)
	if id := service.Environment["KAFKA_BROKER_ID"]; id != fmt.Sprint(n) || len(service.DependsOn) != 3 {
		t.Errorf("%s: broker.id %q, depends_on %v", name, id, service.DependsOn)
	}
	for server := range service.DependsOn {
		f.service(t, server)
	}
	for _, server := range strings.Split(service.Environment["KAFKA_ZOOKEEPER_CONNECT"], ",") {
		host, _, _ := strings.Cut(server, ":")
		f.service(t, host)
	}
	if advertised := service.Environment["KAFKA_ADVERTISED_LISTENERS"]; !strings.Contains(advertised, "://"+name+":") {
		t.Errorf("%s advertises %s", name, advertised)
	}
	if service.Build == nil {
		t.Fatalf("%s has no build section", name)
	}
	if _, err := os.Stat(filepath.Join(testkit.Root(), "docker", service.Build.Context, service.Build.Dockerfile)); err != nil {
		t.Error(err)
	}
}

// Every file that the Dockerfile copies exists.
func TestTheDockerfileCopiesExistingFiles(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testkit.Root(), "docker/Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	copied := 0
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[0] != "COPY" || strings.HasPrefix(fields[1], "--from=") {
			continue
		}
		for _, source := range fields[1 : len(fields)-1] {
			copied++
			if _, err := os.Stat(filepath.Join(testkit.Root(), source)); err != nil {
				t.Error(err)
			}
		}
	}
	if copied < 5 {
		t.Errorf("the Dockerfile copies only %d files", copied)
	}
}

// entryScript returns the image's entry script with the given variables, PATH and HOME as its only
// environment.
func entryScript(variables []string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(testkit.Root(), "docker/entrypoint.sh"), args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, variables...)
	return cmd
}

// The entry script starts a broker from the variables of the compose file, with addresses of this
// machine, and a client produces and consumes.
func TestTheImagesEntryScriptStartsABroker(t *testing.T) {
	service := loadCompose(t).service(t, "kafka-2")
	internal, external, folder := testkit.FreePort(t), testkit.FreePort(t), t.TempDir()
	file := filepath.Join(folder, "server.properties")
	environment := maps.Clone(service.Environment)
	for name, value := range map[string]string{
		"KAFKA_ZOOKEEPER_CONNECT":                testkit.ZooKeeper(t),
		"KAFKA_LISTENERS":                        fmt.Sprintf("INTERNAL://127.0.0.1:%d,EXTERNAL://127.0.0.1:%d", internal, external),
		"KAFKA_ADVERTISED_LISTENERS":             fmt.Sprintf("INTERNAL://127.0.0.1:%d,EXTERNAL://127.0.0.1:%d", internal, external),
		"KAFKA_LOG_DIRS":                         filepath.Join(folder, "data"),
		"KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1", "KAFKA_DEFAULT_REPLICATION_FACTOR": "1", "KAFKA_MIN_INSYNC_REPLICAS": "1",
		"KAFKA_CFG_NUM_PARTITIONS": "3",
		"KAFKA_MY_ODD___KEY__NAME": "  a\\b = c\n\td", "KAFKA_HEAP_OPTS": "-Xmx1G", "KAFKA_CREATE_TOPICS": "t:1:1",
		"MONEDULA_SERVER_PROPERTIES": file, "LOG_DIR": filepath.Join(folder, "logs"),
	} {
		environment[name] = value
	}
	var variables []string
	for name, value := range environment {
		variables = append(variables, name+"="+value)
	}
	process, err := testkit.Start("the image's broker", entryScript(variables, "--override", "log.segment.bytes=1048576"))
	if err != nil {
		t.Fatal(err)
	}
	b := &broker{t: t, id: 2, port: external, Process: process}
	t.Cleanup(b.Kill)
	if err := b.AwaitOutput(startedLine, 60*time.Second); err != nil {
		t.Fatal(err)
	}
	written, err := settings.ReadProperties(file)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"broker.id": "2", "num.partitions": "3", "inter.broker.listener.name": "INTERNAL", "my.odd-key_name": "  a\\b = c\n\td",
		"log.retention.hours": "168", "zookeeper.connect": environment["KAFKA_ZOOKEEPER_CONNECT"],
	} {
		if written[key] != want {
			t.Errorf("%s is %q, want %q", key, written[key], want)
		}
	}
	for _, key := range []string{"heap.opts", "create.topics", "cfg.num.partitions"} {
		if _, found := written[key]; found {
			t.Errorf("%s was written to server.properties", key)
		}
	}
	for _, words := range []string{"KAFKA_CREATE_TOPICS is ignored", "log.segment.bytes = 1048576"} {
		if !strings.Contains(b.Output(), words) {
			t.Errorf("it did not print %q", words)
		}
	}

	must(t, "kafka-topics", append(b.bootstrap(), "--create", "--topic", "t")...)
	kcat := func(stdin string, args ...string) string {
		out, errs, code := testkit.Run(t, time.Minute, stdin, exec.Command("kcat", append([]string{"-b", b.address(), "-t", "t"}, args...)...))
		if code != 0 {
			t.Fatalf("kcat %v: exit code %d\n%s", args, code, errs)
		}
		return out
	}
	kcat("one\ntwo\nthree\n", "-P")
	read := strings.Fields(kcat("", "-C", "-e", "-q"))
	slices.Sort(read)
	if strings.Join(read, " ") != "one three two" {
		t.Errorf("read %v", read)
	}
	if !b.Stop(30 * time.Second) {
		t.Error("the broker did not stop within 30 s of SIGTERM")
	}
}

func TestTheImagesEntryScriptRunsToolsAndReportsWhatIsMissing(t *testing.T) {
	out, errs, code := testkit.Run(t, time.Minute, "", entryScript(nil, "kafka-topics.sh", "--version"))
	if code != 0 || out != "3.9.1\n" {
		t.Errorf("kafka-topics.sh --version: exit code %d\n%s%s", code, out, errs)
	}
	out, errs, code = testkit.Run(t, time.Minute, "", entryScript([]string{"KAFKA_BROKER_ID=1"}))
	if code != 1 || !strings.HasPrefix(errs, "KAFKA_ZOOKEEPER_CONNECT is not set") {
		t.Errorf("without ZooKeeper: exit code %d\n%s%s", code, out, errs)
	}
}

// propertiesOf returns the server.properties that the entry script writes for the given variables.
func propertiesOf(t *testing.T, variables ...string) map[string]string {
	t.Helper()
	written, errs, code := entryScriptWrites(t, variables...)
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, errs)
	}
	return written
}

// entryScriptWrites runs the entry script without a broker. It returns the server.properties that it
// writes, what it prints to stderr, and its exit code.
func entryScriptWrites(t *testing.T, variables ...string) (written map[string]string, errs string, code int) {
	t.Helper()
	home := t.TempDir()
	for _, part := range []string{"docker/entrypoint.sh", "config/server.properties"} {
		text, err := os.ReadFile(filepath.Join(testkit.Root(), part))
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(home, strings.TrimPrefix(part, "docker/"))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	start := filepath.Join(home, "bin", "kafka-server-start.sh") // replaced by a script that does nothing
	if err := os.Mkdir(filepath.Dir(start), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(start, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := entryScript(append(variables, "KAFKA_ZOOKEEPER_CONNECT=zk:2181", "MONEDULA_SERVER_PROPERTIES="+filepath.Join(home, "written")))
	cmd.Path, cmd.Args[0] = filepath.Join(home, "entrypoint.sh"), filepath.Join(home, "entrypoint.sh")
	_, errs, code = testkit.Run(t, time.Minute, "", cmd)
	written, err := settings.ReadProperties(filepath.Join(home, "written"))
	if err != nil {
		t.Fatal(err)
	}
	return written, errs, code
}

// A StatefulSet numbers its pods in their host names. A name without such a number leaves the
// default.
func TestTheEntryScriptTakesTheBrokerIDFromTheHostName(t *testing.T) {
	for _, c := range []struct{ host, want string }{
		{"kafka-0", "0"}, {"kafka-12", "12"}, {"my-kafka-broker-0007", "7"}, {"kafka", "0"}, {"kafka-7d9f8b6c5-24687", "0"}, {"4f1c2a9b77e0", "0"}, {"kafka2", "0"},
	} {
		if got := propertiesOf(t, "HOSTNAME="+c.host)["broker.id"]; got != c.want {
			t.Errorf("%s: broker.id=%s, want %s", c.host, got, c.want)
		}
	}
	if got := propertiesOf(t, "HOSTNAME=kafka-3", "KAFKA_CFG_BROKER_ID=8")["broker.id"]; got != "8" {
		t.Errorf("broker.id=%s, want the 8 that the user set", got)
	}
	if _, errs, _ := entryScriptWrites(t, "HOSTNAME=kafka-3"); errs != "KAFKA_BROKER_ID is not set: the host name kafka-3 makes this broker 3\n" {
		t.Errorf("it printed %q", errs)
	}
}

func TestTheEntryScriptReadsSecretsFromFiles(t *testing.T) {
	secret := testkit.WriteFile(t, "secret", "pass\\word = 1\n\n")
	got := propertiesOf(t, "KAFKA_SSL_KEY_PASSWORD_FILE="+secret, "KAFKA_CFG_SSL_KEYSTORE_PASSWORD_FILE="+secret)
	for _, key := range []string{"ssl.key.password", "ssl.keystore.password"} {
		if got[key] != "pass\\word = 1" {
			t.Errorf("%s=%q", key, got[key])
		}
	}
	for _, key := range []string{"ssl.key.password.file", "ssl.keystore.password.file"} {
		if _, found := got[key]; found {
			t.Errorf("%s was written to server.properties", key)
		}
	}
	for want, variables := range map[string][]string{
		"KAFKA_SSL_KEY_PASSWORD_FILE names /nowhere/x, which cannot be read\n":                        {"KAFKA_BROKER_ID=1", "KAFKA_SSL_KEY_PASSWORD_FILE=/nowhere/x"},
		"KAFKA_SSL_KEY_PASSWORD and KAFKA_SSL_KEY_PASSWORD_FILE are both set: set only one of them\n": {"KAFKA_BROKER_ID=1", "KAFKA_SSL_KEY_PASSWORD=a", "KAFKA_SSL_KEY_PASSWORD_FILE=" + secret},
	} {
		if _, errs, code := entryScriptWrites(t, variables...); code != 1 || errs != want {
			t.Errorf("exit code %d, %q, want %q", code, errs, want)
		}
	}
}

// Variables of Confluent's, Bitnami's and wurstmeister's images have their meaning or are ignored.
func TestTheEntryScriptUnderstandsTheVariablesOfOtherImages(t *testing.T) {
	plain := propertiesOf(t, "KAFKA_BROKER_ID=4")
	got, errs, code := entryScriptWrites(t, "KAFKA_BROKER_ID=4", "CLUSTER_ID=MkU3OEVBNTcwNTJENDM2Qg", "KAFKA_KRAFT_CLUSTER_ID=a", "KAFKA_ENABLE_KRAFT=no", "ALLOW_PLAINTEXT_LISTENER=yes",
		"KAFKA_HEAP_OPTS=-Xmx1G", "KAFKA_JMX_PORT=9101", "KAFKA_JMX_HOSTNAME=localhost", "KAFKA_LOG4J_ROOT_LOGLEVEL=INFO", "KAFKA_CLIENT_USERS=a", "KAFKA_CLIENT_PASSWORDS_FILE=/nowhere")
	if code != 0 || !maps.Equal(got, plain) {
		t.Errorf("exit code %d, %v, want %v", code, got, plain)
	}
	for _, name := range []string{"CLUSTER_ID", "KAFKA_KRAFT_CLUSTER_ID"} {
		if !strings.Contains("\n"+errs, "\n"+name+" is ignored: a cluster with ZooKeeper has the id that its first broker writes to /cluster/id\n") {
			t.Errorf("no note about %s:\n%s", name, errs)
		}
	}
	got = propertiesOf(t, "BROKER_ID_COMMAND=echo 5", "RACK_COMMAND=echo eu-1", "HOSTNAME_COMMAND=echo outside.example", "PORT_COMMAND=echo 32100",
		"KAFKA_ADVERTISED_LISTENERS=IN://:9094,OUT://_{HOSTNAME_COMMAND}:_{PORT_COMMAND}", "KAFKA_LISTENERS=IN://:9094,OUT://:9092")
	for key, want := range map[string]string{"broker.id": "5", "broker.rack": "eu-1", "advertised.listeners": "IN://:9094,OUT://outside.example:32100"} {
		if got[key] != want {
			t.Errorf("%s=%s, want %s", key, got[key], want)
		}
	}
}

// Kubernetes sets variables like KAFKA_PORT in every pod if a Service is named kafka or
// kafka-something. They are not configuration.
func TestTheEntryScriptIgnoresTheVariablesOfKubernetesServices(t *testing.T) {
	plain := propertiesOf(t, "KAFKA_BROKER_ID=4")
	among := propertiesOf(t, "KAFKA_BROKER_ID=4",
		"KAFKA_SERVICE_HOST=10.0.0.7", "KAFKA_SERVICE_PORT=9092", "KAFKA_SERVICE_PORT_TCP_INTERNAL=9092", "KAFKA_PORT=tcp://10.0.0.7:9092",
		"KAFKA_PORT_9092_TCP=tcp://10.0.0.7:9092", "KAFKA_PORT_9092_TCP_PROTO=tcp", "KAFKA_PORT_9092_TCP_PORT=9092", "KAFKA_PORT_9092_TCP_ADDR=10.0.0.7",
		"KAFKA_HEADLESS_SERVICE_HOST=10.0.0.8", "KAFKA_HEADLESS_PORT=udp://10.0.0.8:53", "KAFKA_HEADLESS_PORT_53_UDP_ADDR=10.0.0.8")
	if !maps.Equal(among, plain) || plain["broker.id"] != "4" {
		t.Errorf("%v, want %v", among, plain)
	}
	if own := propertiesOf(t, "KAFKA_PORT=9093"); own["port"] != "9093" {
		t.Errorf("port is %q, want the 9093 that the user set", own["port"])
	}
}

// If only advertised listeners are set, the listeners are derived from them, as in the usual
// images.
func TestTheEntryScriptDerivesListenersFromAdvertisedOnes(t *testing.T) {
	for _, c := range []struct {
		variables []string
		want      string
	}{
		{[]string{"KAFKA_ADVERTISED_LISTENERS=INSIDE://kafka:29092,OUTSIDE://localhost:19092"}, "INSIDE://0.0.0.0:29092,OUTSIDE://0.0.0.0:19092"},
		{[]string{"KAFKA_CFG_ADVERTISED_LISTENERS=PLAINTEXT://[::1]:9092"}, "PLAINTEXT://0.0.0.0:9092"},
		{[]string{"KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://a:1", "KAFKA_LISTENERS=PLAINTEXT://:2"}, "PLAINTEXT://:2"},
		{nil, ""},
	} {
		if got := propertiesOf(t, c.variables...)["listeners"]; got != c.want {
			t.Errorf("%v: listeners=%s, want %s", c.variables, got, c.want)
		}
	}
}

// A broker starts with the variables of a Kubernetes Service in its environment, and with
// advertised listeners alone.
func TestTheImagesBrokerStartsInKubernetesAndFromUsualComposeFiles(t *testing.T) {
	inside, outside, folder := testkit.FreePort(t), testkit.FreePort(t), t.TempDir()
	p, err := testkit.Start("the image's broker", entryScript([]string{
		"KAFKA_BROKER_ID=1", "KAFKA_ZOOKEEPER_CONNECT=" + testkit.ZooKeeper(t), "KAFKA_LOG_DIRS=" + filepath.Join(folder, "data"),
		"LOG_DIR=" + filepath.Join(folder, "logs"), "MONEDULA_SERVER_PROPERTIES=" + filepath.Join(folder, "server.properties"),
		"KAFKA_LISTENER_SECURITY_PROTOCOL_MAP=INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT", "KAFKA_INTER_BROKER_LISTENER_NAME=INSIDE",
		fmt.Sprintf("KAFKA_ADVERTISED_LISTENERS=INSIDE://127.0.0.1:%d,OUTSIDE://localhost:%d", inside, outside),
		"KAFKA_PORT=tcp://10.0.0.7:9092", "KAFKA_SERVICE_HOST=10.0.0.7", "KAFKA_SERVICE_PORT=9092", "KAFKA_PORT_9092_TCP=tcp://10.0.0.7:9092",
	}, "--override", fmt.Sprintf("listeners=INSIDE://127.0.0.1:%d,OUTSIDE://127.0.0.1:%d", inside, outside))) // listen on loopback only
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	if err := p.AwaitOutput(startedLine, 60*time.Second); err != nil {
		t.Fatal(err)
	}
	for _, port := range []int{inside, outside} {
		if out := must(t, "kafka-broker-api-versions", "--bootstrap-server", fmt.Sprintf("127.0.0.1:%d", port)); !strings.Contains(out, "id: 1") {
			t.Errorf("port %d: %s", port, out)
		}
	}
}
