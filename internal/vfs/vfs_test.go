package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// onEach runs a test on every file system, in an empty directory.
func onEach(t *testing.T, test func(t *testing.T, fsys FS, dir string)) {
	t.Run("os", func(t *testing.T) { test(t, OS(), t.TempDir()) })
	t.Run("mem", func(t *testing.T) {
		m := NewMem()
		must(t, m.MkdirAll("/dir", 0o755))
		test(t, m, "/dir")
	})
	t.Run("intercepted", func(t *testing.T) { test(t, Intercept(OS(), func(Op) error { return nil }), t.TempDir()) })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, fsys FS, name, content string) File {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	must(t, err)
	_, err = f.WriteAt([]byte(content), 0)
	must(t, err)
	return f
}

func contentOf(t *testing.T, fsys FS, name string) string {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
	must(t, err)
	defer f.Close()
	return readAll(t, f)
}

func readAll(t *testing.T, f File) string {
	t.Helper()
	info, err := f.Stat()
	must(t, err)
	b := make([]byte, info.Size())
	if n, err := f.ReadAt(b, 0); n != len(b) || err != nil && err != io.EOF {
		t.Fatalf("read %d of %d bytes: %v", n, len(b), err)
	}
	return string(b)
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

func TestReadsAndWritesTakeAnOffset(t *testing.T) {
	onEach(t, func(t *testing.T, fsys FS, dir string) {
		f := create(t, fsys, filepath.Join(dir, "a"), "0123456789")
		_, err := f.WriteAt([]byte("xy"), 8192+3)
		must(t, err)
		want := "0123456789" + strings.Repeat("\x00", 8192+3-10) + "xy"
		if got := readAll(t, f); got != want {
			t.Errorf("read %d bytes, not those written", len(got))
		}
		b := make([]byte, 4)
		if n, err := f.ReadAt(b, 8192+3); n != 2 || err != io.EOF || string(b[:n]) != "xy" {
			t.Errorf("read at the end: %d, %v, %q", n, err, b[:n])
		}
		if n, err := f.ReadAt(b, 100000); n != 0 || err != io.EOF {
			t.Errorf("read beyond the end: %d, %v", n, err)
		}
		must(t, f.Close())
		_, err = f.ReadAt(b, 0)
		wantError(t, err, fs.ErrClosed)
	})
}

func TestTruncatedBytesDoNotComeBack(t *testing.T) {
	onEach(t, func(t *testing.T, fsys FS, dir string) {
		f := create(t, fsys, filepath.Join(dir, "a"), strings.Repeat("z", 10000))
		must(t, f.Truncate(5000))
		must(t, f.Preallocate(9000))
		if got := readAll(t, f); got != strings.Repeat("z", 5000)+strings.Repeat("\x00", 4000) {
			t.Error("the file does not end with zeros")
		}
		must(t, f.Preallocate(100))
		info, err := f.Stat()
		must(t, err)
		if info.Size() != 9000 {
			t.Errorf("Preallocate shrank the file to %d", info.Size())
		}
	})
}

func TestFilesCanBeCreatedOnceAndEmptied(t *testing.T) {
	onEach(t, func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "a")
		_, err := fsys.OpenFile(name, os.O_RDWR, 0)
		wantError(t, err, fs.ErrNotExist)
		create(t, fsys, name, "abc").Close()
		_, err = fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		wantError(t, err, fs.ErrExist)
		f, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
		must(t, err)
		if got := readAll(t, f); got != "" {
			t.Errorf("%q is left", got)
		}
		r, err := fsys.OpenFile(name, os.O_RDONLY, 0)
		must(t, err)
		if _, err := r.WriteAt([]byte("x"), 0); err == nil {
			t.Error("a file opened for reading was written to")
		}
		_, err = fsys.OpenFile(filepath.Join(name, "below"), os.O_RDWR|os.O_CREATE, 0o644)
		wantError(t, err, syscall.ENOTDIR)
		_, err = fsys.OpenFile(filepath.Join(dir, "none", "a"), os.O_RDWR|os.O_CREATE, 0o644)
		wantError(t, err, fs.ErrNotExist)
	})
}

func TestHandlesOutliveRenameAndRemoval(t *testing.T) {
	onEach(t, func(t *testing.T, fsys FS, dir string) {
		a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
		f := create(t, fsys, a, "first")
		g := create(t, fsys, b, "second")
		must(t, fsys.Rename(a, b))
		if got := contentOf(t, fsys, b); got != "first" {
			t.Errorf("b is %q", got)
		}
		_, err := fsys.Stat(a)
		wantError(t, err, fs.ErrNotExist)
		must(t, fsys.Remove(b))
		if got := readAll(t, f) + readAll(t, g); got != "firstsecond" {
			t.Errorf("the handles read %q", got)
		}
		wantError(t, fsys.Remove(b), fs.ErrNotExist)
		wantError(t, fsys.Rename(a, b), fs.ErrNotExist)
	})
}

func TestDirectories(t *testing.T) {
	onEach(t, func(t *testing.T, fsys FS, dir string) {
		must(t, fsys.MkdirAll(filepath.Join(dir, "x", "y"), 0o755))
		create(t, fsys, filepath.Join(dir, "x", "b"), "12").Close()
		create(t, fsys, filepath.Join(dir, "x", "a"), "").Close()
		entries, err := fsys.ReadDir(filepath.Join(dir, "x"))
		must(t, err)
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
			if e.IsDir() != (e.Name() == "y") || e.Type().IsRegular() == e.IsDir() {
				t.Errorf("%s: directory %v", e.Name(), e.IsDir())
			}
		}
		if got := strings.Join(names, " "); got != "a b y" {
			t.Errorf("listed %s", got)
		}
		if err := fsys.Remove(filepath.Join(dir, "x")); err == nil {
			t.Error("a directory with files was removed")
		}
		must(t, fsys.SyncDir(filepath.Join(dir, "x")))
		must(t, fsys.Rename(filepath.Join(dir, "x"), filepath.Join(dir, "z")))
		if got := contentOf(t, fsys, filepath.Join(dir, "z", "b")); got != "12" {
			t.Errorf("b is %q after its directory was renamed", got)
		}
		must(t, fsys.RemoveAll(filepath.Join(dir, "z")))
		must(t, fsys.RemoveAll(filepath.Join(dir, "z")))
		_, err = fsys.ReadDir(filepath.Join(dir, "z"))
		wantError(t, err, fs.ErrNotExist)
	})
}

func TestModificationTimes(t *testing.T) {
	onEach(t, func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, "a")
		f := create(t, fsys, name, "x")
		old := time.UnixMilli(1_700_000_000_123)
		must(t, fsys.Chtimes(name, old))
		info, err := fsys.Stat(name)
		must(t, err)
		if !info.ModTime().Equal(old) {
			t.Errorf("modified at %v, not %v", info.ModTime(), old)
		}
		_, err = f.WriteAt([]byte("y"), 0)
		must(t, err)
		info, err = f.Stat()
		must(t, err)
		if !info.ModTime().After(old) {
			t.Error("a write left the modification time as it was")
		}
	})
}

func TestALockExcludesASecondLockInTheProcess(t *testing.T) {
	onEach(t, func(t *testing.T, fsys FS, dir string) {
		name := filepath.Join(dir, ".lock")
		l, err := fsys.Lock(name)
		must(t, err)
		_, err = fsys.Lock(name)
		wantError(t, err, ErrLocked)
		must(t, l.Close())
		l, err = fsys.Lock(name)
		must(t, err)
		must(t, l.Close())
	})
}

func TestARenamedLockFileIsStillLocked(t *testing.T) {
	dir := t.TempDir()
	l, err := OS().Lock(filepath.Join(dir, ".lock"))
	must(t, err)
	defer l.Close()
	must(t, os.Rename(filepath.Join(dir, ".lock"), filepath.Join(dir, "other")))
	_, err = OS().Lock(filepath.Join(dir, "other"))
	wantError(t, err, ErrLocked)
}

// lockEnv names the file that a second process of the test binary tries to lock.
const lockEnv = "MONEDULA_TEST_LOCK"

func TestMain(m *testing.M) {
	if name := os.Getenv(lockEnv); name != "" {
		_, err := OS().Lock(name)
		var held *LockedError
		switch {
		case err == nil:
			os.Exit(0)
		case errors.As(err, &held) && held.PID != os.Getppid():
			os.Exit(5) // the holder is the test
		case errors.Is(err, ErrLocked):
			os.Exit(3)
		default:
			os.Exit(4)
		}
	}
	os.Exit(m.Run())
}

func TestALockExcludesOtherProcesses(t *testing.T) {
	name := filepath.Join(t.TempDir(), ".lock")
	tryElsewhere := func() int {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), lockEnv+"="+name)
		cmd.Run()
		return cmd.ProcessState.ExitCode()
	}
	l, err := OS().Lock(name)
	must(t, err)
	OS().Lock(name) // refused; it must not release the first lock
	if code := tryElsewhere(); code != 3 {
		t.Errorf("another process got exit code %d while the lock was held", code)
	}
	must(t, l.Close())
	if code := tryElsewhere(); code != 0 {
		t.Errorf("another process got exit code %d after the lock was released", code)
	}
}

func TestRealFilesOfferTheirDescriptor(t *testing.T) {
	f := create(t, OS(), filepath.Join(t.TempDir(), "a"), "x")
	if _, ok := f.(syscall.Conn); !ok {
		t.Error("no syscall.Conn")
	}
}

func TestUsage(t *testing.T) {
	onEach(t, func(t *testing.T, fsys FS, dir string) {
		total, usable, err := fsys.Usage(dir)
		must(t, err)
		if total <= 0 || usable < 0 || usable > total {
			t.Errorf("%d usable of %d", usable, total)
		}
		_, _, err = fsys.Usage(filepath.Join(dir, "none"))
		wantError(t, err, fs.ErrNotExist)
	})
}

func TestALinkIsASecondNameForTheFile(t *testing.T) {
	onEach(t, func(t *testing.T, fsys FS, dir string) {
		a, b := filepath.Join(dir, "a"), filepath.Join(dir, "sub", "b")
		must(t, fsys.MkdirAll(filepath.Dir(b), 0o755))
		must(t, create(t, fsys, a, "content").Close())
		must(t, fsys.Link(a, b))
		wantError(t, fsys.Link(a, b), fs.ErrExist)
		wantError(t, fsys.Link(filepath.Join(dir, "absent"), filepath.Join(dir, "c")), fs.ErrNotExist)
		must(t, fsys.Remove(a))
		if got := contentOf(t, fsys, b); got != "content" {
			t.Errorf("the second name shows %q", got)
		}
	})
}

func TestALimitedVolumeBecomesFullAndIsFreed(t *testing.T) {
	m := NewMem()
	m.Limit(10 * pageSize)
	usable := func(want int64) {
		t.Helper()
		total, usable, err := m.Usage("/")
		must(t, err)
		if total != 10*pageSize || usable != want*pageSize {
			t.Errorf("%d pages of %d usable, want %d of 10", usable/pageSize, total/pageSize, want)
		}
	}
	f := create(t, m, "/a", strings.Repeat("x", 4*pageSize+1))
	usable(5)
	must(t, f.Preallocate(100*pageSize)) // takes no space
	usable(5)
	n, err := f.WriteAt(make([]byte, 6*pageSize), 4*pageSize+10)
	wantError(t, err, syscall.ENOSPC)
	if want := 6*pageSize - 10; n != want {
		t.Errorf("wrote %d bytes, want %d", n, want)
	}
	usable(0)
	_, err = f.WriteAt([]byte("y"), 3)
	must(t, err)
	_, err = create(t, m, "/b", "").WriteAt([]byte("y"), 0)
	wantError(t, err, syscall.ENOSPC)
	must(t, f.Truncate(pageSize))
	usable(9)
	must(t, m.Remove("/a"))
	usable(10)
	m.Limit(0)
	if _, usable, err := m.Usage("/"); err != nil || usable < 1<<40 {
		t.Errorf("without a limit: %d usable, %v", usable, err)
	}
}
