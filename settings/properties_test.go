package settings

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// testdata contains what java.util.Properties 17 reads from each file; nil means that it refuses
// the file.
func TestPropertiesEqualThoseThatJavaReads(t *testing.T) {
	var cases []struct {
		File    string
		Entries map[string]string
	}
	data, err := os.ReadFile("testdata/properties-java.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &cases); err != nil || len(cases) < 700 {
		t.Fatalf("%d cases: %v", len(cases), err)
	}
	file := filepath.Join(t.TempDir(), "p")
	for _, c := range cases {
		var latin1 []byte
		for _, r := range c.File {
			latin1 = append(latin1, byte(r))
		}
		if err := os.WriteFile(file, latin1, 0o644); err != nil {
			t.Fatal(err)
		}
		entries, err := ReadProperties(file)
		if (err != nil) != (c.Entries == nil) || !maps.Equal(entries, c.Entries) {
			t.Errorf("%q: %q (%v), Java %q", c.File, entries, err, c.Entries)
		}
	}
}

// The error names the line and has Java's text of the mistake. It can be distinguished from that of
// a missing file.
func TestTheErrorForAPropertiesFileNamesTheMistake(t *testing.T) {
	file := filepath.Join(t.TempDir(), "p")
	if err := os.WriteFile(file, []byte("# c\na=1\n\nb=x\\\n\\u00zz\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := ReadProperties(file)
	var wrong *SyntaxError
	if !errors.As(err, &wrong) || wrong.Line != 4 || err.Error() != file+`, line 4: Malformed \uxxxx encoding.` {
		t.Errorf("%v", err)
	}
	if _, err := ReadProperties(file + ".nosuch"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
