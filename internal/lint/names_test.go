package lint

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
)

var testFunction = regexp.MustCompile(`(?m)^func ((Test|Fuzz|Benchmark)[A-Z0-9]\w*)\(`)

// declaredTests returns the names of all tests, fuzz targets and benchmarks of the tree.
func declaredTests(t *testing.T) map[string]bool {
	t.Helper()
	declared := map[string]bool{}
	eachFile(t, func(path, _ string, test bool, _ []string) {
		if test {
			addTests(t, declared, path)
		}
	})
	return declared
}

// testsOf returns the names of those of one package.
func testsOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	declared := map[string]bool{}
	files, _ := filepath.Glob(filepath.Join(dir, "*_test.go")) // the pattern is valid
	for _, path := range files {
		addTests(t, declared, path)
	}
	return declared
}

func addTests(t *testing.T, declared map[string]bool, path string) {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range testFunction.FindAllSubmatch(source, -1) {
		declared[string(m[1])] = true
	}
}

var (
	namedTest = regexp.MustCompile(`\b(Test|Fuzz|Benchmark)[A-Z]\w*`)
	benched   = regexp.MustCompile(`-bench '?([\w\\|]+)`) // a regular expression; \| in tables of Markdown
)

// TestDocumentsAndScriptsNameTestsThatExist checks that every test that a document, a script or
// the Makefile names exists, and that every pattern for benchmarks matches one.
func TestDocumentsAndScriptsNameTestsThatExist(t *testing.T) {
	declared := declaredTests(t)
	named := 0
	for _, pattern := range []string{"*.md", "docs/*.md", "scripts/*.sh", "scripts/*.txt", ".ci/*", "Makefile"} {
		files, err := filepath.Glob(filepath.Join(testkit.Root(), pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no file matches %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range namedTest.FindAllString(string(text), -1) {
				named++
				if !declared[name] {
					t.Errorf("%s names %s, which does not exist", filepath.Base(file), name)
				}
			}
			for _, m := range benched.FindAllStringSubmatch(string(text), -1) {
				for part := range strings.SplitSeq(strings.ReplaceAll(m[1], `\`, ""), "|") {
					if !anyBenchmark(declared, part) {
						t.Errorf("%s: no benchmark matches %s", filepath.Base(file), part)
					}
				}
			}
		}
	}
	if named < 400 {
		t.Errorf("only %d tests are named", named)
	}
}

func anyBenchmark(declared map[string]bool, part string) bool {
	for name := range declared {
		if strings.HasPrefix(name, "Benchmark") && strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// TestLanesListPackagesAndTestsThatExist checks scripts/lanes.txt, from which scripts/test.sh
// decides how each package and test runs. A name that does not exist would be left out silently.
func TestLanesListPackagesAndTestsThatExist(t *testing.T) {
	root := testkit.Root()
	text, err := os.ReadFile(filepath.Join(root, "scripts/lanes.txt"))
	if err != nil {
		t.Fatal(err)
	}
	declared := declaredTests(t)
	sizes := map[string]int{"plain": 0, "first": 0, "all": 0, "long": 0, "unraced": 0}
	for line := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 2 && (len(fields) != 3 || fields[0] != "unraced") {
			t.Errorf("%q is not a list and a name", line)
			continue
		}
		list, name := fields[0], fields[len(fields)-1]
		if _, known := sizes[list]; !known {
			t.Errorf("%q: scripts/test.sh reads no list %s", line, list)
		}
		sizes[list]++
		if list == "plain" {
			files, _ := filepath.Glob(filepath.Join(root, strings.TrimSuffix(name, "/..."), "*.go"))
			if len(files) == 0 {
				t.Errorf("there is no package %s", name)
			}
		} else if !declared[name] {
			t.Errorf("there is no test %s", name)
		}
		if len(fields) == 3 && !testsOf(t, filepath.Join(root, fields[1]))[name] {
			t.Errorf("package %s has no test %s", fields[1], name)
		}
	}
	for list, size := range sizes {
		if size == 0 {
			t.Errorf("the list %s is empty", list)
		}
	}
}
