package testkit

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// aloneVariable tells a test process that it runs in namespaces of its own.
const aloneVariable = "MONEDULA_TEST_ALONE"

// InNamespaces says whether this process is the inner one of Alone.
func InNamespaces() bool { return os.Getenv(aloneVariable) != "" }

// Alone has the calling test run by a second process of the test binary, which
// has a network and mounts of its own: what the test does to either is seen by
// nobody else and is gone with that process, however it ends. It returns true
// there, and false in the caller, where the outcome has been reported already.
// Where namespaces cannot be made the test fails and says so.
//
//	if !testkit.Alone(t) {
//		return
//	}
func Alone(t *testing.T) bool {
	t.Helper()
	if InNamespaces() {
		return true
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=0", "-test.count=1")
	cmd.Env = append(os.Environ(), aloneVariable+"=1")
	out := &logLines{t: t}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	runtime.LockOSThread() // the death signal comes when the thread that started the process ends
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		t.Fatalf("no network and mount namespaces can be made here: %v. This test needs them: run it as root, or where the kernel lets users make namespaces (sysctl kernel.unprivileged_userns_clone=1, user.max_net_namespaces above 0); in a container, with CAP_SYS_ADMIN and CAP_NET_ADMIN.", err)
	}
	err = cmd.Wait()
	out.flush()
	if err != nil {
		t.Errorf("in namespaces of its own: %v", err)
	}
	return false
}

// logLines logs what is written, line by line.
type logLines struct {
	t    *testing.T
	rest []byte
}

func (l *logLines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte{'\n'})
		if !found {
			return len(p), nil
		}
		l.t.Log(strings.TrimRight(string(line), " "))
		l.rest = rest
	}
}

func (l *logLines) flush() {
	if len(l.rest) > 0 {
		l.t.Log(string(l.rest))
		l.rest = nil
	}
}

// Mount mounts a file system of memory, of a fixed size such as "64m", at a
// folder, in a process that Alone made.
func Mount(t testing.TB, path, size string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", path, "tmpfs", 0, "size="+size); err != nil {
		t.Fatalf("mount a tmpfs at %s: %v", path, err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(path, syscall.MNT_DETACH) })
}

// Resize gives a mount of Mount another size.
func Resize(t testing.TB, path, size string) {
	t.Helper()
	if err := remount(path, size); err != nil {
		t.Fatalf("give the tmpfs at %s the size %s: %v", path, size, err)
	}
}

// Fill makes a mount of Mount full, whoever else is writing to it: its size
// becomes what is in use.
func Fill(t testing.TB, path string) {
	t.Helper()
	Eventually(t, 10*time.Second, path+" to be full", func() bool {
		var s syscall.Statfs_t
		if err := syscall.Statfs(path, &s); err != nil {
			t.Fatalf("statfs %s: %v", path, err)
		}
		return remount(path, fmt.Sprint(int64(s.Blocks-s.Bfree)*s.Bsize)) == nil
	})
}

func remount(path, size string) error {
	return syscall.Mount("none", path, "tmpfs", syscall.MS_REMOUNT, "size="+size)
}
