package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/internal/vfs"
)

// goldenDirs are log directories left by a real Kafka 3.9.1.
var goldenDirs = []string{"logdir-3.9.1/crash", "logdir-3.9.1/clean", "logdir-3.9.1/oldformat"}

// goldenFiles returns the golden files that match the pattern, in the log directories and their
// partition directories.
func goldenFiles(t testing.TB, pattern string) []string {
	t.Helper()
	var all []string
	for _, dir := range goldenDirs {
		for _, where := range []string{"", "*"} {
			found, err := filepath.Glob(filepath.Join(golden.Path(t, dir), where, pattern))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, found...)
		}
	}
	if len(all) == 0 {
		t.Fatalf("no golden file matches %s", pattern)
	}
	return all
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// memDir returns an in-memory file system with a durable, empty directory /d.
func memDir(t testing.TB) *vfs.Mem {
	t.Helper()
	m := vfs.NewMem()
	noError(t, m.MkdirAll("/d", 0o755))
	noError(t, m.SyncDir("/"))
	return m
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

func wantEqual[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// fileContent returns the content of a file, "absent" if it does not exist.
func fileContent(t testing.TB, fsys vfs.FS, path string) string {
	t.Helper()
	b, err := readFile(fsys, path)
	if errors.Is(err, os.ErrNotExist) {
		return "absent"
	}
	noError(t, err)
	return string(b)
}

func fileSize(t testing.TB, fsys vfs.FS, path string) int64 {
	t.Helper()
	info, err := fsys.Stat(path)
	noError(t, err)
	return info.Size()
}

// counter counts open files.
type counter struct{ opened, closed int }

func (c *counter) over(base vfs.FS) vfs.FS {
	return vfs.Intercept(base, func(op vfs.Op) error {
		switch op.Kind {
		case vfs.OpOpen, vfs.OpCreate:
			c.opened++
		case vfs.OpClose:
			c.closed++
		}
		return nil
	})
}

func (c *counter) open() int { return c.opened - c.closed }

func fileNumber(i int) string { return fmt.Sprintf("/d/%d", i) }
