// Package testkit starts the real programs that tests compare Monedula with: Apache ZooKeeper, and
// brokers and tools of Apache Kafka. A missing program makes the test fail with the command that
// installs it; no test is skipped.
package testkit

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Root returns the root directory of the source tree: the one from which this file was compiled or,
// if the build removed paths (-trimpath), the nearest directory with a go.mod at or above the
// directory in which the tests were started.
func Root() string { return root }

var root = findRoot()

func findRoot() string {
	if _, file, _, _ := runtime.Caller(0); filepath.IsAbs(file) {
		return filepath.Dir(filepath.Dir(filepath.Dir(file)))
	}
	start, _ := os.Getwd()
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return start
		}
	}
}

// FullMatrices reports whether tests should run all rows of their tables, as `make test-all` asks
// for, and not only those that `make test` has time for.
func FullMatrices() bool { return os.Getenv("MONEDULA_TEST_ALL") != "" }

// FreePort returns a TCP port on 127.0.0.1 that was free a moment ago and that no living test
// process was given.
func FreePort(t testing.TB) int {
	t.Helper()
	port, err := UnusedPort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// UnusedPort is like FreePort for programs that are not tests. Ports are taken from below the range
// that the kernel gives to outgoing connections, in which a free port may be taken a moment later.
// Processes begin at different ports.
func UnusedPort() (int, error) {
	ports.Lock()
	defer ports.Unlock()
	for range lastPort - firstPort {
		ports.next++
		port := firstPort + (os.Getpid()*97+ports.next)%(lastPort-firstPort)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		l.Close()
		if claimed(port) {
			return port, nil
		}
	}
	return 0, errors.New("no free port on 127.0.0.1")
}

const firstPort, lastPort = 16000, 32000

var ports struct {
	sync.Mutex
	next   int
	claims []net.Listener // held as long as the process lives
}

// claimed reports whether the port now belongs to this process. The claim is a name in Linux's
// abstract socket namespace, which disappears with the process.
func claimed(port int) bool {
	claim, err := net.Listen("unix", fmt.Sprintf("@monedula-test-port-%d", port))
	if err == nil {
		ports.claims = append(ports.claims, claim)
	}
	return err == nil
}

// Eventually waits until condition holds, checking every few milliseconds. After limit it fails the
// test with what.
func Eventually(t testing.TB, limit time.Duration, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for wait := time.Millisecond; !condition(); wait = min(2*wait, 50*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(wait)
	}
}

// Process is a program in the background. It is killed when the test process ends, however it ends.
type Process struct {
	Name string
	Cmd  *exec.Cmd

	output *output
	done   chan struct{} // closed when the process has ended; err is set before
	err    error
}

// Start runs cmd in the background and records its output.
func Start(name string, cmd *exec.Cmd) (*Process, error) {
	p := &Process{Name: name, Cmd: cmd, output: &output{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.output, p.output
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig, cmd.SysProcAttr.Setpgid = syscall.SIGKILL, true
	started := make(chan error, 1)
	go func() {
		// The death signal is sent when the thread that forked ends, so this goroutine keeps its
		// thread as long as the process lives.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// Output returns what the process has written so far.
func (p *Process) Output() string { return p.output.String() }

// Ended returns a channel that is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.done }

// ExitCode returns the exit code of an ended process, -1 after a signal.
func (p *Process) ExitCode() int { return p.Cmd.ProcessState.ExitCode() }

// AwaitOutput waits until the output contains text. It returns an error if the process ends or
// limit passes first.
func (p *Process) AwaitOutput(text string, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		if strings.Contains(p.Output(), text) {
			return nil
		}
		select {
		case <-p.done:
			if strings.Contains(p.Output(), text) {
				return nil
			}
			return fmt.Errorf("%s ended (%v) before it printed %q; its output:\n%s", p.Name, p.err, text, tail(p.Output()))
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s did not print %q within %v; its output:\n%s", p.Name, text, limit, tail(p.Output()))
		}
	}
}

// Signal sends sig to the process. After SIGSTOP it returns when every thread has stopped: on a
// busy machine a thread could otherwise still answer a request that the test expects to remain
// unanswered.
func (p *Process) Signal(sig syscall.Signal) {
	_ = p.Cmd.Process.Signal(sig)
	for end := time.Now().Add(10 * time.Second); sig == syscall.SIGSTOP && p.runs() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// runs reports whether a thread of the process is neither stopped nor gone.
func (p *Process) runs() bool {
	stats, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.Cmd.Process.Pid))
	for _, file := range stats {
		stat, _ := os.ReadFile(file)
		// The line is "pid (name) state ..."; the name may contain anything.
		_, state, _ := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
		if len(state) > 0 && !bytes.ContainsRune([]byte("TtZX"), rune(state[0])) {
			return true
		}
	}
	return false
}

// Kill ends the process with SIGKILL and waits until it has ended.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// Stop ends the process with SIGTERM, and with SIGKILL after limit. It reports whether SIGTERM was
// enough.
func (p *Process) Stop(limit time.Duration) bool {
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return true
	case <-time.After(limit):
		p.Kill()
		return false
	}
}

// Run runs a command, which must end within limit, and returns its stdout, stderr and exit code.
func Run(t testing.TB, limit time.Duration, stdin string, cmd *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Stdin = strings.NewReader(stdin)
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatalf("run %s: %v", cmd.Path, err)
	}
	timer := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	if !timer.Stop() {
		t.Fatalf("%s did not end within %v\nstdout:\n%s\nstderr:\n%s", strings.Join(cmd.Args, " "), limit, tail(out.String()), tail(errs.String()))
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// Script runs a script of the source tree and returns the last line of its stdout. The error
// contains its stderr, where scripts say what to install.
func Script(path string, args ...string) (string, error) {
	cmd := exec.Command(filepath.Join(Root(), path), args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", path, err, errs.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	return lines[len(lines)-1], nil
}

// WriteFile writes a file to a temporary directory of the test and returns its path.
func WriteFile(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func tail(s string) string {
	const most = 4000
	if len(s) > most {
		return "..." + s[len(s)-most:]
	}
	return s
}

// output collects what a process writes.
type output struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
