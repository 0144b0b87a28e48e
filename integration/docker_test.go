package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/settings"
)

func loadCompose(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(testkit.Root(), "docker/compose.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(background())
	if err != nil {
		t.Fatalf("docker/compose.yaml: %v", err)
	}
	return project
}

// The compose file is valid, has three ZooKeepers and three brokers that name
// each other, and sets nothing that a broker does not know.
func TestTheComposeFileIsValid(t *testing.T) {
	project := loadCompose(t)
	published := map[string]string{}
	for _, kind := range []string{"zookeeper", "kafka"} {
		for n := 1; n <= 3; n++ {
			name := fmt.Sprintf("%s-%d", kind, n)
			service, err := project.GetService(name)
			if err != nil {
				t.Fatal(err)
			}
			if service.HealthCheck == nil || len(service.Volumes) == 0 || service.Hostname != name {
				t.Errorf("%s has no health check, no volume or another host name", name)
			}
			for _, port := range service.Ports {
				if other := published[port.Published]; other != "" {
					t.Errorf("%s and %s both publish %s", other, name, port.Published)
				}
				published[port.Published] = name
			}
			for variable, value := range service.Environment {
				key, isKafka := strings.CutPrefix(variable, "KAFKA_")
				if !isKafka {
					continue
				}
				if key = strings.ReplaceAll(strings.ToLower(key), "_", "."); settings.Lookup(key) == nil {
					t.Errorf("%s: %s=%s sets %s, which no broker knows", name, variable, *value, key)
				}
			}
			if kind == "kafka" {
				checkBrokerService(t, project, service, n)
			} else if id := service.Environment["ZOO_MY_ID"]; id == nil || *id != fmt.Sprint(n) {
				t.Errorf("%s has the id %v", name, id)
			}
		}
	}
	if len(project.Services) != 6 {
		t.Errorf("%d services", len(project.Services))
	}
}

func checkBrokerService(t *testing.T, project *types.Project, service types.ServiceConfig, n int) {
	t.Helper()
	value := func(name string) string {
		if v := service.Environment[name]; v != nil {
			return *v
		}
		return ""
	}
	if value("KAFKA_BROKER_ID") != fmt.Sprint(n) || len(service.DependsOn) != 3 {
		t.Errorf("%s: broker.id %q, depends on %v", service.Name, value("KAFKA_BROKER_ID"), service.DependsOn)
	}
	for _, server := range strings.Split(value("KAFKA_ZOOKEEPER_CONNECT"), ",") {
		host, _, _ := strings.Cut(server, ":")
		if _, err := project.GetService(host); err != nil {
			t.Errorf("%s connects to ZooKeeper %s: %v", service.Name, server, err)
		}
	}
	if !strings.Contains(value("KAFKA_ADVERTISED_LISTENERS"), "://"+service.Name+":") {
		t.Errorf("%s advertises %s", service.Name, value("KAFKA_ADVERTISED_LISTENERS"))
	}
	if service.Build == nil {
		t.Fatalf("%s is not built", service.Name)
	}
	if _, err := os.Stat(filepath.Join(service.Build.Context, service.Build.Dockerfile)); err != nil {
		t.Error(err)
	}
}

// What the Dockerfile copies is there.
func TestTheDockerfileCopiesWhatThereIs(t *testing.T) {
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
		t.Errorf("only %d things are copied", copied)
	}
}

// entryScript is the image's entry script with only these variables, beside
// those of the system.
func entryScript(variables []string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(testkit.Root(), "docker/entrypoint.sh"), args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, variables...)
	return cmd
}

// The entry script starts a broker from the variables of the compose file, with
// addresses of this machine, and a client writes and reads.
func TestTheImagesEntryScriptStartsABroker(t *testing.T) {
	service, err := loadCompose(t).GetService("kafka-2")
	if err != nil {
		t.Fatal(err)
	}
	internal, external, folder := testkit.FreePort(t), testkit.FreePort(t), t.TempDir()
	file := filepath.Join(folder, "server.properties")
	environment := map[string]string{}
	for name, value := range service.Environment {
		environment[name] = *value
	}
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
	b := &broker{t: t, id: 2, port: external}
	if b.Process, err = testkit.Start("the image's broker", entryScript(variables, "--override", "log.segment.bytes=1048576")); err != nil {
		t.Fatal(err)
	}
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
			t.Errorf("%s is %q, not %q", key, written[key], want)
		}
	}
	for _, key := range []string{"heap.opts", "create.topics", "cfg.num.partitions"} {
		if _, found := written[key]; found {
			t.Errorf("%s was written", key)
		}
	}
	for _, words := range []string{"KAFKA_CREATE_TOPICS is ignored", "log.segment.bytes = 1048576"} {
		if !strings.Contains(b.Output(), words) {
			t.Errorf("it did not say %q", words)
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
		t.Error("it did not stop within 30 s of SIGTERM")
	}
}

func TestTheImagesEntryScriptRunsToolsAndSaysWhatIsMissing(t *testing.T) {
	out, errs, code := testkit.Run(t, time.Minute, "", entryScript(nil, "kafka-topics.sh", "--version"))
	if code != 0 || out != "3.9.1\n" {
		t.Errorf("kafka-topics.sh --version: exit code %d\n%s%s", code, out, errs)
	}
	out, errs, code = testkit.Run(t, time.Minute, "", entryScript([]string{"KAFKA_BROKER_ID=1"}))
	if code != 1 || !strings.HasPrefix(errs, "KAFKA_ZOOKEEPER_CONNECT is not set") {
		t.Errorf("without ZooKeeper: exit code %d\n%s%s", code, out, errs)
	}
}
