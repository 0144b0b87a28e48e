package client

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/monedula/monedula/tools/cli"
)

// Tools must read properties files like Java does.
func TestToolsReadPropertiesLikeJava(t *testing.T) {
	file := filepath.Join(t.TempDir(), "client.properties")
	for text, want := range map[string]map[string]string{
		"a=x,\\\n   y\nb=2\n":       {"a": "x,y", "b": "2"},
		"a=x,\\\r\n   y\r\nb=2\r\n": {"a": "x,y", "b": "2"},
		"a=1\r\nb=2\r\n":            {"a": "1", "b": "2"},
		"a=x,\\\n\\\n y\n":          {"a": "x,y"},
		"=v\na=1\n":                 {"": "v", "a": "1"},
		"a=${b}\nb=\\u00e4 \n":      {"a": "${b}", "b": "ä "},
	} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := LoadProperties(file); err != nil || !maps.Equal(got, want) {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}

// Errors for unreadable properties files must have Java's class and name the file and the cause.
func TestErrorsNameTheUnreadablePropertiesFile(t *testing.T) {
	folder := t.TempDir()
	wrong, missing := filepath.Join(folder, "wrong"), filepath.Join(folder, "missing")
	if err := os.WriteFile(wrong, []byte("a=1\nb=\\u00zz\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		missing: "java.nio.file.NoSuchFileException: " + missing,
		wrong:   "java.lang.IllegalArgumentException: " + wrong + `, line 2: Malformed \uxxxx encoding.`,
		folder:  "java.io.IOException: read " + folder + ": is a directory",
	} {
		if _, err := LoadProperties(file); err == nil || cli.AsException(err).Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
