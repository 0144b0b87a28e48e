package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
)

// spacedCopy copies the scripts to a folder with spaces in its name, together with the binary and a
// java that prints its arguments.
func spacedCopy(t *testing.T) (base string, env []string) {
	t.Helper()
	base = filepath.Join(t.TempDir(), "a folder  with spaces")
	for _, folder := range []string{"bin", "config", "docker", "scripts"} {
		if err := os.CopyFS(filepath.Join(base, folder), os.DirFS(filepath.Join(testkit.Root(), folder))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(testkit.Root(), "monedula"), filepath.Join(base, "monedula")); err != nil {
		t.Fatal(err)
	}
	java, zookeeper := filepath.Join(base, "java home"), filepath.Join(base, "zoo keeper")
	for path, text := range map[string]string{
		filepath.Join(java, "bin", "java"):            "#!/bin/sh\nfor arg in \"$@\"; do echo \"<$arg>\"; done\n",
		filepath.Join(zookeeper, "zookeeper-0.0.jar"): "",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return base, append(os.Environ(), "JAVA_HOME="+java, "ZOOKEEPER_HOME="+zookeeper, "LOG_DIR="+t.TempDir())
}

// shellNames are the shells that run the scripts; with an empty list the system chooses one by the
// script's first line.
var shellNames = [][]string{{}, {"sh"}, {"dash"}, {"bash"}, {"bash", "--posix"}}

// calls returns the command in every form: by each shell, from the script's folder, from its parent
// folder, from another folder, and through links.
func calls(t *testing.T, path string, args ...string) map[string]*exec.Cmd {
	t.Helper()
	links := t.TempDir()
	link, again := filepath.Join(links, "link to "+filepath.Base(path)), filepath.Join(links, "further")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Base(link), again); err != nil {
		t.Fatal(err)
	}
	folder, name := filepath.Split(path)
	above := filepath.Dir(filepath.Clean(folder))
	commands := map[string]*exec.Cmd{}
	for _, shell := range shellNames {
		for way, call := range map[string]struct{ dir, script string }{
			"its own folder":   {folder, "./" + name},
			"the folder above": {above, filepath.Join(filepath.Base(filepath.Clean(folder)), name)},
			"elsewhere":        {"/", path},
			"a link":           {"/", link},
			"a link to a link": {links, "./further"},
		} {
			line := append(slices.Clone(shell), append([]string{call.script}, args...)...)
			commands[strings.Join(shell, " ")+" from "+way] = &exec.Cmd{Path: lookUp(t, line[0], call.dir), Args: line, Dir: call.dir}
		}
		if len(shell) > 0 { // by the bare name
			line := append(slices.Clone(shell), append([]string{name}, args...)...)
			commands[strings.Join(shell, " ")+" by its name"] = &exec.Cmd{Path: lookUp(t, line[0], folder), Args: line, Dir: folder}
		}
	}
	return commands
}

func lookUp(t *testing.T, program, dir string) string {
	t.Helper()
	if strings.Contains(program, "/") {
		if filepath.IsAbs(program) {
			return program
		}
		return filepath.Join(dir, program)
	}
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is missing; install it with: sudo apt-get install %s", program, program)
	}
	return path
}

// Every script runs in sh, dash and bash, from any folder, through links, and from a folder with
// spaces in its name.
func TestEveryScriptRunsFromAnyShellAndFolder(t *testing.T) {
	base, env := spacedCopy(t)
	scripts, err := filepath.Glob(filepath.Join(base, "bin", "*.sh"))
	if err != nil || len(scripts) < 27 {
		t.Fatalf("only %d scripts: %v", len(scripts), err)
	}
	type call struct {
		args   []string
		code   int
		output string
	}
	expected := map[string][]call{}
	for _, path := range scripts {
		version := "3.9.1\n"
		if name := filepath.Base(path); strings.HasPrefix(name, "zookeeper-server-") || name == "zkServer.sh" {
			version = "<org.apache.zookeeper.version.VersionInfoMain>"
		}
		expected[path] = []call{{[]string{"--version"}, 0, version}, {[]string{"--help"}, 0, ""}}
	}
	expected[filepath.Join(base, "docker", "entrypoint.sh")] = []call{{[]string{"kafka-topics.sh", "--version"}, 0, "3.9.1\n"}}
	for name, words := range map[string]string{"cluster.sh": "Runs a local cluster", "prerequisites.sh": "Installs missing prerequisites"} {
		expected[filepath.Join(base, "scripts", name)] = []call{{[]string{"nonsense"}, 2, words}}
	}
	expected[filepath.Join(base, "scripts", "zookeeper-classpath.sh")] = []call{{nil, 0, "zookeeper-0.0.jar"}}
	for path, cases := range expected {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			for _, c := range cases {
				for way, cmd := range calls(t, path, c.args...) {
					cmd.Env = env
					out, errs, code := testkit.Run(t, 60*time.Second, "", cmd)
					if code != c.code || !strings.Contains(out+errs, c.output) {
						t.Errorf("%s, %q: exit code %d, want %d and %q\n%s%s", way, c.args, code, c.code, c.output, out, errs)
					}
				}
			}
		})
	}
}

// ZooKeeper gets the path of its logging configuration unsplit, even in a folder with spaces, and
// each option in a variable as its own argument.
func TestZooKeeperStartsFromAFolderWithSpaces(t *testing.T) {
	base, env := spacedCopy(t)
	env = append(env, "KAFKA_HEAP_OPTS=-Xmx9m -Xms8m", "KAFKA_OPTS=-Da=b -Dc=d")
	config := filepath.Join(base, "config", "zookeeper.properties")
	for way, cmd := range calls(t, filepath.Join(base, "bin", "zookeeper-server-start.sh"), config) {
		cmd.Env = env
		out, errs, code := testkit.Run(t, 60*time.Second, "", cmd)
		want := strings.Join([]string{"<-Xmx9m>", "<-Xms8m>", "<-Dlog4j.configuration=file:" + base + "/config/zookeeper-log4j.properties>",
			"<-Da=b>", "<-Dc=d>", "<-cp>", "<" + filepath.Join(base, "zoo keeper", "zookeeper-0.0.jar") + ">",
			"<org.apache.zookeeper.server.quorum.QuorumPeerMain>", "<" + config + ">"}, "\n") + "\n"
		if code != 0 || out != want {
			t.Errorf("%s: exit code %d\n%s%s", way, code, out, errs)
		}
	}
}

// kafka-run-class.sh runs our tools for the classes that documents name, and reports an unknown
// class as a JVM does.
func TestRunClassRunsTheToolOfAClass(t *testing.T) {
	for _, c := range []struct {
		args   []string
		code   int
		output string
	}{
		{[]string{"kafka.tools.GetOffsetShell", "--topic", "t"}, 1, "Missing required option(s) [bootstrap-server]"},
		{[]string{"org.apache.kafka.tools.GetOffsetShell", "--version"}, 0, "3.9.1\n"},
		{[]string{"kafka.admin.TopicCommand", "--list"}, 1, "--bootstrap-server"},
		{[]string{"kafka.tools.ConsoleConsumer", "--version"}, 0, "3.9.1\n"},
		{[]string{"kafka.tools.ConsoleProducer", "--version"}, 0, "3.9.1\n"},
		{[]string{"kafka.tools.DumpLogSegments", "--files", "nosuch.txt"}, 0, "Ignoring unknown file nosuch.txt"},
		{[]string{"-name", "producer", "-loggc", "org.apache.kafka.tools.ProducerPerformance", "--version"}, 0, "3.9.1\n"},
		{[]string{"kafka.Kafka", "--version"}, 0, "3.9.1\n"},
		{[]string{"kafka.Kafka"}, 1, "USAGE: "},
		{[]string{"kafka.Kafka", "nosuch.properties"}, 1, "nosuch.properties"},
		{[]string{"org.apache.zookeeper.server.quorum.QuorumPeerMain", "nosuch.properties"}, 1, "the properties file 'nosuch.properties' does not exist"},
		{[]string{"no.such.Class", "--help"}, 1, "Error: Could not find or load main class no.such.Class\nCaused by: java.lang.ClassNotFoundException: no.such.Class\n"},
		{[]string{"--version"}, 0, "3.9.1\n"},
		{[]string{"-daemon"}, 1, "USAGE: "},
		{nil, 1, "kafka-run-class.sh [-daemon] [-name servicename] [-loggc] classname [opts]"},
	} {
		cmd := script("kafka-run-class", c.args...)
		cmd.Dir = t.TempDir()
		cmd.Env = append(os.Environ(), "LOG_DIR="+t.TempDir())
		out, errs, code := testkit.Run(t, 60*time.Second, "", cmd)
		if code != c.code || !strings.Contains(out+errs, c.output) {
			t.Errorf("%q: exit code %d, want %d and %q\n%s%s", c.args, code, c.code, c.output, out, errs)
		}
	}
	real := testkit.RealKafka(t, "3.9.1")
	_, want, code := testkit.Run(t, 60*time.Second, "", real.Command(t, "-Xmx32m", "no.such.Class"))
	_, have, _ := run(t, "kafka-run-class", "no.such.Class")
	if code != 1 || have != want {
		t.Errorf("for an unknown class: %q, a JVM: %q (exit code %d)", have, want, code)
	}
}

// With -daemon, the output of a class goes to the file named after it.
func TestRunClassRunsInTheBackgroundWithDaemon(t *testing.T) {
	logs := t.TempDir()
	cmd := script("kafka-run-class", "-daemon", "-name", "versions", "kafka.tools.ConsoleProducer", "--version")
	cmd.Env = append(os.Environ(), "LOG_DIR="+logs)
	if out, errs, code := testkit.Run(t, 30*time.Second, "", cmd); code != 0 || out != "" {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	testkit.Eventually(t, 30*time.Second, "the output in versions.out", func() bool {
		text, _ := os.ReadFile(filepath.Join(logs, "versions.out"))
		return string(text) == "3.9.1\n"
	})
}
