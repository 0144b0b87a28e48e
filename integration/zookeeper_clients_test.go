package integration

import (
	"bufio"
	"encoding/json"
	"encoding/xml"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
)

// outcomes are the results of a test suite: "pass", "fail" or "skip", by the name of the test.
type outcomes map[string]string

// suiteOfGoZooKeeper runs the tests of the client library github.com/go-zookeeper/zk on servers that
// a script starts. Those of an ensemble are left out. The tests find out whether a server serves by
// reading a date in a format that ZooKeeper has had until 3.5; a copy of them looks only for the mode.
func suiteOfGoZooKeeper(t *testing.T, serverScript string) outcomes {
	list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/go-zookeeper/zk")
	list.Dir = testkit.Root()
	source, errs, code := testkit.Run(t, time.Minute, "", list)
	if code != 0 {
		t.Fatal(errs)
	}
	dir := filepath.Join(t.TempDir(), "zk")
	if err := os.CopyFS(dir, os.DirFS(strings.TrimSpace(source))); err != nil {
		t.Fatal(err)
	}
	helper := filepath.Join(dir, "server_help_test.go")
	text, err := os.ReadFile(helper)
	if err != nil {
		t.Fatal(err)
	}
	const date = "_, ok := FLWSrvr(serverAddrs, time.Second)"
	if !strings.Contains(string(text), date) {
		t.Fatalf("%s does not contain %s", helper, date)
	}
	patched := strings.Replace(string(text), date, `text, _ := fourLetterWord(serverAddrs[0], "srvr", time.Second); ok := strings.Contains(string(text), "Mode:")`, 1)
	if err := errors.Join(os.Remove(helper), os.WriteFile(helper, []byte(patched), 0o644)); err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	namedLink(t, serverScript, filepath.Join(bin, "zkServer.sh"))
	cmd := exec.Command("go", "test", "-json", "-count", "1", "-timeout", "15m",
		"-skip", "TestIntegration_(BasicCluster|ClientClusterFailover|NoQuorum|RecurringReAuthHang|DNSHostProviderReconnect|IncrementalReconfig|Reconfig)", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "ZOOKEEPER_BIN_PATH="+bin, "MONEDULA="+testkit.Root())
	out, _, _ := testkit.Run(t, 20*time.Minute, "", cmd)
	all := outcomes{}
	for s := bufio.NewScanner(strings.NewReader(out)); s.Scan(); {
		var event struct{ Action, Test string }
		if json.Unmarshal(s.Bytes(), &event) == nil && event.Test != "" && slices.Contains([]string{"pass", "fail", "skip"}, event.Action) {
			all[event.Test] = event.Action
		}
	}
	return all
}

// suiteOfKazoo runs the tests of the Python client on one server, without those of TLS and SASL. The
// tests start "java"; if script is not empty, that is the script.
func suiteOfKazoo(t *testing.T, script string) outcomes {
	classpath, err := testkit.Script("scripts/zookeeper-classpath.sh")
	if err != nil {
		t.Fatal(err)
	}
	results, bin := filepath.Join(t.TempDir(), "results.xml"), t.TempDir()
	if script != "" {
		namedLink(t, script, filepath.Join(bin, "java"))
	}
	cmd := exec.Command(filepath.Join(cached(t, "python-kazoo-2.11.0"), "bin/python"), "-m", "pytest", "--pyargs", "kazoo.tests", "-q", "-p", "no:cacheprovider",
		"--timeout", "120", "-k", "not SSL and not ssl and not sasl and not Sasl", "--junitxml", results)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "MONEDULA="+testkit.Root(), "ZOOKEEPER_CLASSPATH="+classpath,
		"ZOOKEEPER_VERSION=3.8.0", "ZOOKEEPER_CLUSTER_SIZE=1")
	out, errs, _ := testkit.Run(t, 30*time.Minute, "", cmd)
	text, err := os.ReadFile(results)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, errs)
	}
	var suites struct {
		Cases []struct {
			Class   string    `xml:"classname,attr"`
			Name    string    `xml:"name,attr"`
			Failure *struct{} `xml:"failure"`
			Error   *struct{} `xml:"error"`
			Skipped *struct{} `xml:"skipped"`
		} `xml:"testsuite>testcase"`
	}
	if err := xml.Unmarshal(text, &suites); err != nil {
		t.Fatal(err)
	}
	all := outcomes{}
	for _, c := range suites.Cases {
		outcome := "pass"
		switch {
		case c.Failure != nil || c.Error != nil:
			outcome = "fail"
		case c.Skipped != nil:
			outcome = "skip"
		}
		all[c.Class+"."+c.Name] = outcome
	}
	return all
}

// namedLink makes a name for a script of the tests.
func namedLink(t *testing.T, script, name string) {
	t.Helper()
	if err := os.Symlink(filepath.Join(testkit.Root(), "integration/testdata", script), name); err != nil {
		t.Fatal(err)
	}
}

// The tests of ZooKeeper's clients that pass on Apache ZooKeeper pass on the embedded server.
func TestSuitesOfZooKeepersClientsPassOnTheEmbeddedServer(t *testing.T) {
	const embedded = "embedded-zookeeper.sh"
	for _, suite := range []struct {
		name    string
		run     func(t *testing.T, script string) outcomes
		apache  string // script that starts it
		atLeast int    // tests that pass
	}{
		{"go-zookeeper", suiteOfGoZooKeeper, "apache-zookeeper.sh", 40},
		{"kazoo", suiteOfKazoo, "", 300},
	} {
		t.Run(suite.name, func(t *testing.T) {
			want, got := suite.run(t, suite.apache), suite.run(t, embedded)
			passed := 0
			for name, outcome := range got {
				if outcome == "pass" {
					passed++
				}
				if outcome != want[name] {
					report := t.Logf // a test may be too impatient for a JVM that starts slowly
					if outcome != "pass" || want[name] == "" {
						report = t.Errorf
					}
					report("%s: %s, with Apache ZooKeeper %s", name, outcome, want[name])
				}
			}
			if len(got) != len(want) || passed < suite.atLeast {
				t.Errorf("%d tests, with Apache ZooKeeper %d; %d passed, want at least %d", len(got), len(want), passed, suite.atLeast)
			}
		})
	}
}

// Curator's recipes print the same on the embedded server as on Apache ZooKeeper.
func TestCuratorsRecipesWorkOnTheEmbeddedServer(t *testing.T) {
	app := testkit.JavaSystem(t, "curator", "5.7.1").Compile(t, "integration/testdata/CuratorApp.java")
	run := func(z *testkit.Ensemble) string {
		out, errs, code := testkit.Run(t, 5*time.Minute, "", app.Command(t, "-Xmx256m", "CuratorApp", z.Address()))
		if code != 0 {
			t.Fatalf("exit code %d\n%s\n%s", code, out, errs)
		}
		return out
	}
	want, got := run(testkit.ZooKeeperRelease{}.New(t)), run(testkit.NewEmbeddedZooKeeper(t))
	lines, wanted := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(lines), len(wanted)) {
		if i >= len(lines) || i >= len(wanted) || lines[i] != wanted[i] {
			t.Fatalf("line %d differs; it printed\n%s, with Apache ZooKeeper\n%s", i+1, got, want)
		}
	}
	if n := strings.Count(got, "\n"); n < 40 {
		t.Errorf("%d lines:\n%s", n, got)
	}
}
