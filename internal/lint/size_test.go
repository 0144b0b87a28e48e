package lint

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/figures"
	"github.com/monedula/monedula/internal/testkit"
)

// The limits of a type, a function and a file. Tests may be longer.
const (
	mostMethods     = 60
	longestFunction = 80
	longestFile     = 550
)

// reasonForMethods begins the sentence of a type's doc comment that allows it more than mostMethods
// methods.
const reasonForMethods = "It has many methods because "

func TestTypesFunctionsAndFilesAreNotTooLarge(t *testing.T) {
	counts, err := figures.Count(testkit.Root())
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range tooLarge(counts) {
		t.Error(problem)
	}
}

// tooLarge describes what exceeds the limits, in a fixed order.
func tooLarge(counts *figures.Counts) (problems []string) {
	for name, n := range counts.Methods {
		reason := strings.Contains(strings.Join(strings.Fields(counts.Docs[name]), " "), reasonForMethods)
		switch {
		case n > mostMethods && !reason:
			problems = append(problems, fmt.Sprintf("%s has %d methods, more than %d: give a part of its state a type of its own, or write in its doc comment a sentence that begins with %q",
				name, n, mostMethods, reasonForMethods))
		case n <= mostMethods && reason:
			problems = append(problems, fmt.Sprintf("%s has only %d methods: delete the sentence %q from its doc comment", name, n, reasonForMethods))
		}
	}
	for _, f := range counts.Functions {
		if f.Lines > longestFunction {
			problems = append(problems, fmt.Sprintf("%s has %d lines, more than %d: move a step that has a name of its own to another function", f.Name, f.Lines, longestFunction))
		}
	}
	for _, f := range counts.Files {
		if f.Lines > longestFile {
			problems = append(problems, fmt.Sprintf("%s has %d lines, more than %d: move one of its subjects to another file", f.Name, f.Lines, longestFile))
		}
	}
	slices.Sort(problems)
	return problems
}

func TestLargeTypesFunctionsAndFilesAreFound(t *testing.T) {
	methods := func(receiver string, n int) (source string) {
		for i := range n {
			source += fmt.Sprintf("\nfunc (%s) m%d() {}\n", receiver, i)
		}
		return source
	}
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "p"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, source := range map[string]string{
		"at_the_limit.go": "type some struct{}\n" + methods("*some", mostMethods) + "\nfunc long() {" + strings.Repeat("\n", longestFunction-1) + "}\n",
		"too_many.go":     "type many struct{}\n" + methods("*many", mostMethods+1),
		"reason.go":       "// T is large. It has many methods\n// because each\n// is a step.\ntype T struct{}\n" + methods("T", mostMethods+1),
		"no_reason.go":    "// U is small. It has many methods because it did once.\ntype U struct{}\n\nfunc (U) m() {}\n",
		"too_long.go":     "type w struct{}\n\nfunc (w *w) walk() {" + strings.Repeat("\n", longestFunction) + "}\n",
		"a_book.go":       strings.Repeat("\n", longestFile),
		"a_test.go":       "func test() {" + strings.Repeat("\n", longestFile) + "}\n",
	} {
		if err := os.WriteFile(filepath.Join(root, "p", name), []byte("package p\n"+source), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	counts, err := figures.Count(root)
	if err != nil {
		t.Fatal(err)
	}
	found := tooLarge(counts)
	want := []string{"p.U has only 1 methods", "p.many has 61 methods", "p.w.walk has 81 lines", "p/a_book.go has 551 lines"}
	if !slices.EqualFunc(found, want, strings.HasPrefix) {
		t.Errorf("found:\n%s\nwant lines that begin with %q", strings.Join(found, "\n"), want)
	}
}
