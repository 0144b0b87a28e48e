// Package testdata finds the golden files: what real Kafka brokers, tools and
// ZooKeeper wrote, kept byte for byte under testdata/golden at the top of the
// repository, with checksums that a test verifies.
package testdata

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Golden returns the path of a golden file or directory, which must not be
// written to: see Copy.
func Golden(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(root(t), "testdata", "golden", filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// Read returns the content of a golden file.
func Read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(Golden(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Copy copies a golden directory into dir, which is created where absent.
func Copy(t testing.TB, name, dir string) {
	t.Helper()
	from := Golden(t, name)
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, relative)
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, b, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// root is the directory that holds go.mod.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the test's directory")
		}
		dir = up
	}
}
