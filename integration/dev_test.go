package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
)

// dev is monedula dev in a folder, on ports of its own.
type dev struct {
	t               testing.TB
	dir             string
	port, zooKeeper int
}

func (d *dev) command(args ...string) *exec.Cmd {
	all := append([]string{"dev", "--dir", d.dir, "--port", strconv.Itoa(d.port), "--zookeeper-port", strconv.Itoa(d.zooKeeper)}, args...)
	cmd := exec.Command(filepath.Join(testkit.Root(), "monedula"), all...)
	cmd.Dir = testkit.Root()
	return cmd
}

// start starts it and waits until it serves.
func (d *dev) start(args ...string) *testkit.Process {
	d.t.Helper()
	p, err := testkit.Start("monedula dev", d.command(args...))
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(p.Kill)
	if err := p.AwaitOutput("Ctrl-C stops", time.Minute); err != nil {
		d.t.Fatal(err)
	}
	return p
}

// refused starts it and returns the reason why it ended.
func (d *dev) refused(args ...string) string {
	d.t.Helper()
	out, errs, code := testkit.Run(d.t, time.Minute, "", d.command(args...))
	if code != 1 || out != "" {
		d.t.Errorf("exit code %d\n%s", code, out)
	}
	return errs
}

// end sends a signal and waits for a clean end.
func (d *dev) end(p *testkit.Process, signal syscall.Signal) {
	d.t.Helper()
	p.Signal(signal)
	select {
	case <-p.Ended():
	case <-time.After(time.Minute):
		d.t.Fatalf("it did not stop after %v:\n%s", signal, p.Output())
	}
	if p.ExitCode() != 0 || !strings.HasSuffix(p.Output(), "\nStopping\n") {
		d.t.Errorf("after %v: exit code %d\n%s", signal, p.ExitCode(), p.Output())
	}
	for id := range 3 {
		log, _ := os.ReadFile(filepath.Join(d.dir, "logs", fmt.Sprintf("broker-%d", id), "server.log"))
		if strings.Contains(string(log), "unclean shutdown") {
			d.t.Errorf("after %v: broker %d did not move its leaderships", signal, id)
		}
	}
}

func (d *dev) consume(n int) []string {
	d.t.Helper()
	out := must(d.t, "kafka-console-consumer", "--bootstrap-server", fmt.Sprintf("localhost:%d", d.port), "--topic", "t", "--group", "g",
		"--consumer-property", "auto.offset.reset=earliest", "--max-messages", strconv.Itoa(n), "--timeout-ms", "30000")
	return slices.Sorted(slices.Values(strings.Fields(out)))
}

func (d *dev) produce(text string) {
	d.t.Helper()
	mustWith(d.t, text+"\n", "kafka-console-producer", "--bootstrap-server", fmt.Sprintf("localhost:%d", d.port), "--topic", "t")
}

func TestDevRunsAClusterInOneProcessAndKeepsItsData(t *testing.T) {
	d := &dev{t: t, dir: filepath.Join(t.TempDir(), "data"), port: freePorts(t, 3), zooKeeper: testkit.FreePort(t)}
	p := d.start()
	bootstrap := fmt.Sprintf("localhost:%d", d.port)
	if !strings.HasPrefix(p.Output(), "Data: ") {
		t.Errorf("it begins with other lines:\n%s", p.Output())
	}
	for _, text := range []string{"Data: " + d.dir + "\n", fmt.Sprintf("bootstrap server %s, ZooKeeper localhost:%d\n", bootstrap, d.zooKeeper),
		"\n  bin/kafka-topics.sh --create --topic quickstart --bootstrap-server " + bootstrap + "\n"} {
		if !strings.Contains(p.Output(), text) {
			t.Errorf("%q is missing in\n%s", text, p.Output())
		}
	}
	must(t, "kafka-topics", "--bootstrap-server", bootstrap, "--create", "--topic", "t", "--partitions", "2")
	d.produce("one")
	if have := d.consume(1); !slices.Equal(have, []string{"one"}) {
		t.Errorf("consumed %q", have)
	}
	holder := fmt.Sprintf("is in use by process %d (monedula dev)", p.Cmd.Process.Pid)
	if reason := d.refused(); !strings.Contains(reason, d.dir+" "+holder) || !strings.Contains(reason, "--dir OTHER --port") {
		t.Errorf("a second start: %s", reason)
	}
	other := *d
	other.dir = t.TempDir()
	if reason := other.refused(); !strings.Contains(reason, fmt.Sprintf("port %d, of ZooKeeper, %s", d.zooKeeper, holder)) {
		t.Errorf("the port of ZooKeeper in use: %s", reason)
	}
	other.zooKeeper = testkit.FreePort(t)
	if reason := other.refused(); !strings.Contains(reason, fmt.Sprintf("port %d, of broker 0, %s", d.port, holder)) {
		t.Errorf("the port of the broker in use: %s", reason)
	}
	d.end(p, syscall.SIGINT)

	// After it was killed, nothing waits for the sessions of the killed brokers.
	p = d.start("--brokers", "3")
	d.produce("two")
	p.Kill()
	p = d.start("--brokers", "3")
	if _, took, _ := strings.Cut(p.Output(), "Ready after "); true {
		seconds, _, _ := strings.Cut(took, " ")
		if n, err := strconv.ParseFloat(seconds, 64); err != nil || n > 5 {
			t.Errorf("it was ready after %s s, %v", seconds, err)
		}
	}
	d.produce("three")
	if have := d.consume(2); !slices.Equal(have, []string{"three", "two"}) {
		t.Errorf("after a kill, the group consumed %q", have)
	}
	described := must(t, "kafka-topics", "--bootstrap-server", bootstrap, "--describe", "--topic", "t")
	if strings.Count(described, "Leader: 0") != 2 {
		t.Errorf("%s", described)
	}
	d.end(p, syscall.SIGTERM)

	p = d.start()
	if want := "The folder also has the data of broker 1, which is not started"; !strings.Contains(p.Output(), want) {
		t.Errorf("%q is missing in\n%s", want, p.Output())
	}
	d.end(p, syscall.SIGHUP)
}
