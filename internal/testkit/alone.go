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

// aloneVariable is set in the inner process of Alone, which runs in namespaces of its own.
const aloneVariable = "MONEDULA_TEST_ALONE"

// InNamespaces reports whether this process is the inner process of Alone.
func InNamespaces() bool { return os.Getenv(aloneVariable) != "" }

// Alone runs the calling test in a second process of the test binary, which has a network and a
// mount namespace of its own. What the test does to either is invisible outside and is gone when
// that process ends, however it ends. Alone returns true in the inner process. In the caller it
// reports the outcome of the inner process and returns false. If namespaces cannot be created, the
// test fails with a message that says what it needs.
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
	runtime.LockOSThread() // the death signal is sent when the thread that started the process ends
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		t.Fatalf("cannot create network and mount namespaces: %v. This test needs them: run it as root, or allow users to create namespaces (sysctl kernel.unprivileged_userns_clone=1, user.max_net_namespaces above 0); in a container, with CAP_SYS_ADMIN and CAP_NET_ADMIN.", err)
	}
	err = cmd.Wait()
	out.flush()
	if err != nil {
		t.Errorf("the test failed in its own namespaces: %v", err)
	}
	return false
}

// logLines logs what is written to it line by line.
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

// Mount mounts a tmpfs of a fixed size such as "64m" at path. The process must be in namespaces.
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

// Resize changes the size of a file system that Mount mounted.
func Resize(t testing.TB, path, size string) {
	t.Helper()
	if err := remount(path, size); err != nil {
		t.Fatalf("resize the tmpfs at %s to %s: %v", path, size, err)
	}
}

// Fill makes a file system that Mount mounted full, even while other processes write to it: it sets
// the size to the space in use.
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
