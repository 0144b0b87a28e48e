package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
)

// zookeeperFile writes the properties file of a ZooKeeper on a free port.
func zookeeperFile(t *testing.T) (file, address string) {
	t.Helper()
	port := testkit.FreePort(t)
	file = testkit.WriteFile(t, "zookeeper.properties", fmt.Sprintf("dataDir=%s\nclientPort=%d\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n", t.TempDir(), port))
	return file, fmt.Sprintf("127.0.0.1:%d", port)
}

func TestZkServerStartsReportsItsStatusAndStops(t *testing.T) {
	file, address := zookeeperFile(t)
	zk := func(action string) (string, int) {
		cmd := script("zkServer", action, file)
		cmd.Env = append(os.Environ(), "LOG_DIR="+t.TempDir(), "KAFKA_HEAP_OPTS=-Xmx128m")
		out, errs, code := testkit.Run(t, 60*time.Second, "", cmd)
		return out + errs, code
	}
	if out, code := zk("status"); code != 1 || !strings.Contains(out, "Error contacting service. It is probably not running.") {
		t.Errorf("status before start: exit code %d\n%s", code, out)
	}
	if out, code := zk("start"); code != 0 || !strings.Contains(out, "Starting zookeeper ... STARTED") {
		t.Fatalf("start: exit code %d\n%s", code, out)
	}
	t.Cleanup(func() { zk("stop") })
	if out, code := zk("status"); code != 0 || !strings.Contains(out, "Mode: standalone") {
		t.Errorf("status: exit code %d\n%s", code, out)
	}
	must(t, "zkCli", "-server", address, "create", "/seen", "by-zkCli")
	out := must(t, "zookeeper-shell", address, "get", "/seen")
	if out != "Connecting to "+address+"\n\nWATCHER::\n\nWatchedEvent state:SyncConnected type:None path:null\nby-zkCli\n" {
		t.Errorf("zookeeper-shell printed %q", out)
	}
	if out, code := zk("stop"); code != 0 || !strings.Contains(out, "Stopping zookeeper ... STOPPED") {
		t.Errorf("stop: exit code %d\n%s", code, out)
	}
	if out, code := zk("status"); code != 1 {
		t.Errorf("status after stop: exit code %d\n%s", code, out)
	}
}

func TestZooKeeperServerStartRunsInTheBackgroundWithDaemon(t *testing.T) {
	file, address := zookeeperFile(t)
	logs := t.TempDir()
	cmd := script("zookeeper-server-start", "-daemon", file)
	cmd.Env = append(os.Environ(), "LOG_DIR="+logs, "KAFKA_HEAP_OPTS=-Xmx128m")
	if out, errs, code := testkit.Run(t, 30*time.Second, "", cmd); code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	t.Cleanup(func() {
		_ = exec.Command("pkill", "-f", file).Run()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(logs, "zookeeper.out"))
			t.Logf("ZooKeeper printed:\n%s", log)
		}
	})
	testkit.Eventually(t, 60*time.Second, "ZooKeeper to answer", func() bool {
		out, _, code := run(t, "zookeeper-shell", address, "ls", "/")
		return code == 0 && strings.Contains(out, "[zookeeper]")
	})
	log, err := os.ReadFile(filepath.Join(logs, "zookeeper.out"))
	if err != nil || !strings.Contains(string(log), "INFO binding to port") {
		t.Errorf("zookeeper.out: %v\n%s", err, log)
	}
}

// hidden returns an environment in which only the named programs and a few basic ones are found.
func hidden(t *testing.T, programs ...string) []string {
	t.Helper()
	dir := t.TempDir()
	for _, p := range append(programs, "bash", "sh", "dirname", "readlink", "id", "env", "cat", "sed", "mkdir", "flock", "rm", "mktemp") {
		path, err := exec.LookPath(p)
		if err != nil {
			continue
		}
		if err := os.Symlink(path, filepath.Join(dir, p)); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	return []string{"PATH=" + dir, "HOME=" + t.TempDir(), "MONEDULA_CACHE=" + t.TempDir(), "ZOOKEEPER_HOME=/nowhere"}
}

// If a program is missing and cannot be installed, the scripts print the install command and exit
// with code 1.
func TestMissingProgramsAreReportedWithTheInstallCommand(t *testing.T) {
	root := testkit.Root()
	for _, c := range []struct {
		name   string
		script []string
		env    []string
		want   []string
	}{
		{"ZooKeeper without Java", []string{"scripts/zookeeper-classpath.sh"}, hidden(t), []string{"there is no 'java' to run it", "apt-get install --no-install-recommends zookeeper", "ZOOKEEPER_HOME"}},
		{"ZooKeeper without jars", []string{"scripts/zookeeper-classpath.sh"}, hidden(t, "java"), []string{"ZOOKEEPER_HOME=/nowhere has no zookeeper jar"}},
		{"a ZooKeeper server", []string{"bin/zookeeper-server-start.sh", "config/zookeeper.properties"}, hidden(t), []string{"apt-get install --no-install-recommends zookeeper"}},
		{"Kafka's jars", []string{"scripts/kafka-jars.sh", "3.9.1"}, hidden(t, "java"), []string{"'mvn' is needed", "apt-get install --no-install-recommends default-jdk-headless maven"}},
		{"no apt-get", []string{"scripts/prerequisites.sh", "run"}, hidden(t), []string{"please install, by this system's own means: zookeeper"}},
		{"no root", []string{"scripts/prerequisites.sh", "test"}, append(hidden(t), "FAKE=1"), []string{"please install"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(filepath.Join(root, c.script[0]), c.script[1:]...)
			cmd.Dir, cmd.Env = root, c.env
			out, errs, code := testkit.Run(t, 60*time.Second, "", cmd)
			if code != 1 {
				t.Errorf("exit code %d\n%s%s", code, out, errs)
			}
			for _, want := range c.want {
				if !strings.Contains(errs, want) {
					t.Errorf("stderr does not contain %q:\n%s", want, errs)
				}
			}
		})
	}
}

// Without root and sudo, the script does not try apt-get but prints the command.
func TestWithoutRootThePrerequisitesPrintTheInstallCommand(t *testing.T) {
	env := hidden(t)
	dir := strings.TrimPrefix(env[0], "PATH=")
	_ = os.Remove(filepath.Join(dir, "id"))
	for name, text := range map[string]string{"id": "#!/bin/sh\necho 1000\n", "apt-get": "#!/bin/sh\necho apt-get was run >&2\nexit 9\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(filepath.Join(testkit.Root(), "scripts/prerequisites.sh"), "run")
	cmd.Env = env
	_, errs, code := testkit.Run(t, 30*time.Second, "", cmd)
	if code != 1 || !strings.Contains(errs, "sudo apt-get install -y --no-install-recommends zookeeper default-jre-headless") || strings.Contains(errs, "was run") {
		t.Errorf("exit code %d\n%s", code, errs)
	}
}
