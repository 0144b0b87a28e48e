// Package golden gives tests access to the golden files: files, output and data that real Kafka
// brokers, Kafka's tools and ZooKeeper wrote. They are kept byte for byte in testdata/golden at the
// root of the repository, and a test of this package checks them against their checksums.
package golden

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
)

// Path returns the path of a golden file or directory. Tests must not write to it; Copy makes a
// copy that they may change.
func Path(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(testkit.Root(), "testdata", "golden", filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// Read returns the content of a golden file.
func Read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(Path(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Copy copies the content of a golden directory into dir, which it creates if necessary.
func Copy(t testing.TB, name, dir string) {
	t.Helper()
	from := Path(t, name)
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
