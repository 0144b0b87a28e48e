package figures

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCount(t *testing.T) {
	root := t.TempDir()
	for name, content := range map[string]string{
		"a/a.go":          "// Package a\npackage a\n\n// T is a type.\ntype T struct{}\n\n// M is a method.\nfunc (T) M() {}\n\nfunc (*T) N() {\n} // end\n\ntype i interface{ X(); Y() }\n",
		"a/a_test.go":     "package a\n\n",
		"a/testdata/x.go": "not Go",
		".hidden/x.go":    "not Go",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Count(root)
	if err != nil {
		t.Fatal(err)
	}
	if c.Methods["a.T"] != 2 || c.Methods["a.i (interface)"] != 2 {
		t.Errorf("methods: %v", c.Methods)
	}
	if c.Docs["a.T"] != "T is a type.\n" || c.Docs["a.i (interface)"] != "" {
		t.Errorf("doc comments: %q", c.Docs)
	}
	if want := []Size{{"a.T.M", 1}, {"a.T.N", 2}}; !slices.Equal(c.Functions, want) {
		t.Errorf("functions: %v, want %v", c.Functions, want)
	}
	if want := []Size{{"a/a.go", 13}}; !slices.Equal(c.Files, want) {
		t.Errorf("files: %v, want %v", c.Files, want)
	}
	var out strings.Builder
	c.Print(&out)
	for _, want := range []string{
		"| a | 1 | 13 | 30.8 % | 2 | 0.15 | 2 of 3 |\n",
		"Functions: 2, of 2 lines in the median, 2 at the 95th percentile, 2 at most. Files: 13 lines in the median, 13 at most.\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, out.String())
		}
	}
}
