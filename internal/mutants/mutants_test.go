package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
)

const sample = `package sample

func (p *partition) lead(epoch int) (done bool) {
	if epoch < p.epoch && !p.retired || epoch == 0 {
		return false
	}
	p.wake()
	defer p.wake()
	p.end = min(epoch, 5)
	p.to = p.end
	return p.end > 3
}
`

func sampleFile(t *testing.T) *sourceFile {
	t.Helper()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "sample.go"), []byte(sample), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := parseSource(root, "sample.go")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Every safeguard in the lists must still exist in the sources, and its replacement must be valid
// Go.
func TestListedSafeguardsExist(t *testing.T) {
	all, err := readSafeguards(testkit.Root(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("the lists name no safeguard")
	}
	for _, round := range rounds(all) {
		for file, places := range placesByFile(round) {
			f, err := parseSource(testkit.Root(), file)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parser.ParseFile(token.NewFileSet(), file, instrumented(f.source, places), 0); err != nil {
				t.Errorf("without its safeguards %v", err)
			}
		}
	}
}

func TestPlacesAreFoundByTheirText(t *testing.T) {
	for _, c := range []struct{ list, want string }{
		{"n sample.go partition.lead\n- epoch < p.epoch && !p.retired\n+ false",
			"if func() bool { if mutant.On(1) { return false }; return epoch < p.epoch && !p.retired }() || epoch == 0 {"},
		{"n sample.go partition.lead\n-1 p.wake()", "\tif mutant.On(1) {  } else { p.wake() }\n\tdefer"},
		{"n sample.go partition.lead\n- defer p.wake()", "if mutant.On(1) {  } else { defer p.wake() }"},
		{"n sample.go partition.lead\n- min(epoch, 5)\n+ epoch", "p.end = mutant.Pick(1, epoch, min(epoch, 5))"},
		{"n sample.go partition.lead\n-3 epoch\n+ 7", "p.end = min(mutant.Pick(1, 7, epoch), 5)"},
		{"n sample.go partition.lead\n- p.end > 3\n+ p.end >= 3", "return func() bool { if mutant.On(1) { return p.end >= 3 }; return p.end > 3 }()"},
	} {
		list, err := blocks(c.list)
		if err != nil {
			t.Fatal(err)
		}
		f := sampleFile(t)
		p, err := locate(f, list[0])
		if err != nil {
			t.Error(err)
			continue
		}
		got := string(instrumented(f.source, []switched{{p, 1}}))
		if !strings.Contains(got, c.want) {
			t.Errorf("%q became\n%s\nwithout %q", c.list, got, c.want)
		}
		if strings.Count(got, "\n") != strings.Count(sample, "\n") {
			t.Errorf("%q moved lines", c.list)
		}
	}
}

func TestListsWithUnknownPlacesAreRefused(t *testing.T) {
	for list, want := range map[string]string{
		"n sample.go partition.follow\n- x\n+ y":           "no function partition.follow",
		"n sample.go partition.lead\n- epoch > 9\n+ false": "occurs 0 times",
		"n sample.go partition.lead\n- p.end\n+ 1":         "occurs 3 times",
		"n sample.go partition.lead\n-3 p.end > 3\n+ true": "occurs 1 times",
		"- p.end":          "line 1",
		"n sample.go":      "line 1",
		"& sample.go lead": "line 1",
	} {
		list, err := blocks(list)
		if err == nil {
			_, err = locate(sampleFile(t), list[0])
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestRandomPlacesCompileAndDoNotOverlap(t *testing.T) {
	f := sampleFile(t)
	sites := functionSites(f, functionNamed(f, "partition.lead"))
	seen := map[string]bool{}
	for i, s := range sites {
		p := s.places[0]
		seen[s.operator] = true
		got := instrumented(f.source, []switched{{p, i + 1}})
		if _, err := parser.ParseFile(token.NewFileSet(), "", got, 0); err != nil {
			t.Errorf("%s: %v\n%s", s, err, got)
		}
	}
	for _, operator := range []string{"drop-left", "drop-right", "boundary", "negate-eq", "skip-if", "always-if", "negate-if", "drop-call", "drop-defer", "drop-assign"} {
		if !seen[operator] {
			t.Errorf("no place for %s", operator)
		}
	}
	for _, round := range rounds(sites) {
		for i := range round {
			if overlaps(round[:i], round[i]) {
				t.Errorf("%v overlaps another of its round", round[i])
			}
		}
	}
}

func TestLoggingAndErrorTextsAreNotMutated(t *testing.T) {
	source := "package sample\n\nfunc f() {\n" + strings.Join([]string{
		`l.log().Infof("x %d", f())`, `c.metaInfof("x")`, `defer m.mu.Unlock()`, `panic("x")`, `s.count.Inc()`,
		`err = fmt.Errorf("%w: x", err)`, `if x != y && n > 1 { l.warn("x") }`, `timer := time.NewTimer(5)`, `defer timer.Stop()`,
		`p.log.Truncate(5)`, `err = protocol.Errorf(protocol.InvalidRecord, "x")`, `p.later(func() { l.log().Infof("x") })`, `defer s.Stop()`,
	}, "\n") + "\n}\n"
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "sample.go"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := parseSource(root, "sample.go")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range functionSites(f, functionNamed(f, "f")) {
		got = append(got, strings.Split(source, "\n")[s.places[0].line-1])
	}
	want := strings.Split(source, "\n")[12:16]
	if !slices.Equal(got, want) {
		t.Errorf("changed are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestQuickTestsRunFirst(t *testing.T) {
	const output = "=== RUN   TestA\n--- PASS: TestA (0.01s)\n    --- PASS: TestA/sub (3.00s)\n" +
		"--- PASS: TestB (2.50s)\n--- PASS: TestC (0.50s)\n--- PASS: TestD (0.49s)\nPASS\n"
	want := [][]string{{"-test.skip=^(TestB|TestC)$"}, {"-test.run=^(TestB|TestC)$"}}
	if got := quickFirst(output, ""); !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	want[0][0] += "|Real"
	if got := quickFirst(output, "Real"); !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, all := range []string{"--- PASS: TestB (2.50s)\n", "--- PASS: TestA (0.01s)\n", ""} {
		if got := quickFirst(all, ""); !reflect.DeepEqual(got, [][]string{nil}) {
			t.Errorf("%q in parts %q", all, got)
		}
	}
}
