package golden

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sumsFile lists the checksums of the golden files in the format of sha256sum.
const sumsFile = "SHA256SUMS"

// TestGoldenFilesMatchTheirChecksums names each golden file that is missing, unlisted or changed,
// for example by an ignore rule, a conversion of line ends or an editor. After adding files, run:
//
//	cd testdata/golden && find . -type f ! -name SHA256SUMS | LC_ALL=C sort | xargs -d '\n' sha256sum > SHA256SUMS
func TestGoldenFilesMatchTheirChecksums(t *testing.T) {
	want := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(Read(t, sumsFile))), "\n") {
		sum, name, ok := strings.Cut(line, "  ")
		if !ok {
			t.Fatalf("malformed line %q", line)
		}
		want[strings.TrimPrefix(name, "./")] = sum
	}
	dir := Path(t, ".")
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == sumsFile {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(relative)
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(b)
		switch known, ok := want[name]; {
		case !ok:
			t.Errorf("%s is not listed in %s", name, sumsFile)
		case known != hex.EncodeToString(sum[:]):
			t.Errorf("%s has changed", name)
		}
		delete(want, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range want {
		t.Errorf("%s is missing", name)
	}
}

func TestCopiesAreCompleteAndWritable(t *testing.T) {
	dir := t.TempDir()
	Copy(t, "logdir-3.9.1/clean", dir)
	name := filepath.Join(dir, "segments-0", "00000000000000000048.log")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) != 1772 {
		t.Errorf("the copy has %d bytes", len(b))
	}
	if _, err := os.Stat(filepath.Join(dir, ".kafka_cleanshutdown")); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(name, []byte("x"), 0o644); err != nil {
		t.Error(err)
	}
}
