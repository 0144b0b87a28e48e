package server

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/monedula/monedula/tools/cli"
)

// A process of this test that has a broker's command line takes the place of a broker.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == StartCommand || os.Args[1] == DevCommand) {
		fmt.Println("started")
		<-time.After(time.Minute)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// startBroker starts a process that looks like a broker with the given properties file.
func startBroker(t *testing.T, dir, file string) *exec.Cmd {
	t.Helper()
	return startProcess(t, dir, StartCommand, file)
}

// startProcess starts a process that looks like our binary with these arguments.
func startProcess(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Args, cmd.Dir = append([]string{"/usr/bin/monedula"}, args...), dir
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	if _, err := out.Read(make([]byte, 10)); err != nil { // the command line is complete then
		t.Fatal(err)
	}
	return cmd
}

func run(args ...string) (out, errs string, code int) {
	var stdout, stderr bytes.Buffer
	code = StopTool.Run(&cli.Env{Stdout: &stdout, Stderr: &stderr}, args)
	return stdout.String(), stderr.String(), code
}

func properties(t *testing.T, name string) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, path
}

func TestTheBrokerOfAFileIsStopped(t *testing.T) {
	dir, path := properties(t, "server.properties")
	link := filepath.Join(dir, "link.properties")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, started := range []string{path, "server.properties", link} { // absolute, relative to the broker's directory, and linked
		broker := startBroker(t, dir, started)
		out, errs, code := run(path)
		if code != 0 || out != "" || errs != "" {
			t.Fatalf("%s: exit code %d, %q, %q", started, code, out, errs)
		}
		err := broker.Wait()
		if status := broker.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGTERM {
			t.Errorf("%s: the broker ended with %v", started, err)
		}
	}
}

func TestTheSignalCanBeChosen(t *testing.T) {
	for name, want := range map[string]syscall.Signal{"KILL": syscall.SIGKILL, "9": syscall.SIGKILL, "INT": syscall.SIGINT, "2": syscall.SIGINT, "TERM": syscall.SIGTERM} {
		t.Setenv("SIGNAL", name)
		dir, path := properties(t, "server.properties")
		broker := startBroker(t, dir, path)
		if out, errs, code := run("--process-role", path); code != 0 {
			t.Fatalf("exit code %d, %q, %q", code, out, errs)
		}
		_ = broker.Wait()
		if status := broker.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != want && !(want == syscall.SIGINT && status.Exited()) {
			t.Errorf("%s: the broker ended with %v", name, status)
		}
	}
}

func TestOtherBrokersContinue(t *testing.T) {
	dir, path := properties(t, "server.properties")
	_, other := properties(t, "other.properties")
	startBroker(t, dir, path)
	if out, errs, code := run(other); code != 1 || out != "No kafka server to stop\n" || errs != "" {
		t.Errorf("exit code %d, %q, %q", code, out, errs)
	}
	found := false
	for _, b := range runningBrokers() {
		found = found || b.file == path
	}
	if !found {
		t.Error("the other broker is gone")
	}
}

// A process with brokers has no properties file, so it is not the one that was named.
func TestBrokersWithoutAFileContinueIfAFileIsNamed(t *testing.T) {
	_, path := properties(t, "server.properties")
	dev := startProcess(t, t.TempDir(), DevCommand, "--brokers", "3")
	if out, errs, code := run(path); code != 1 || out != "No kafka server to stop\n" || errs != "" {
		t.Errorf("exit code %d, %q, %q", code, out, errs)
	}
	found := false
	for _, b := range runningBrokers() {
		found = found || b.pid == dev.Process.Pid && b.file == ""
	}
	if !found {
		t.Error("the process is not found")
	}
}

func TestHelpVersionAndMissingFiles(t *testing.T) {
	if out, _, code := run("--help"); code != 0 || out != "USAGE: kafka-server-stop.sh [server.properties]\n" {
		t.Errorf("exit code %d, %q", code, out)
	}
	if out, _, code := run("--version"); code != 0 || out != cli.Version+"\n" {
		t.Errorf("exit code %d, %q", code, out)
	}
	missing := filepath.Join(t.TempDir(), "nosuch")
	if _, errs, code := run(missing); code != 1 || !strings.HasPrefix(errs, "kafka-server-stop: the properties file "+missing+" cannot be found: ") {
		t.Errorf("exit code %d, %q", code, errs)
	}
}
