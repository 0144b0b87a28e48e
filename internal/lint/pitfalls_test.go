package lint

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
)

var pitfallTest = regexp.MustCompile(`(?m)^func TestPitfall(Controller|Replication)([0-9]{2})_\w+\(`)

// TestEveryPitfallHasATest checks that each fault of Kafka's history in testdata/pitfalls.txt has a
// test named after it or a reason for having none, and that no test is named after an unlisted
// fault.
func TestEveryPitfallHasATest(t *testing.T) {
	tested := map[string]bool{}
	err := filepath.WalkDir(testkit.Root(), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "internal/lint/pitfalls_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range pitfallTest.FindAllStringSubmatch(string(text), -1) {
			tested[m[1]+m[2]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := os.Open("testdata/pitfalls.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	counts := map[string]int{}
	for lines := bufio.NewScanner(list); lines.Scan(); {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, what, _ := strings.Cut(line, " ")
		area := strings.TrimRight(name, "0123456789")
		counts[area]++
		_, reason, excused := strings.Cut(what, " -- ")
		switch {
		case excused && (tested[name] || reason == ""):
			t.Errorf("%s has a test, or no reason for having none", name)
		case !excused && !tested[name]:
			t.Errorf("no test is called TestPitfall%s_...: %s", name, what)
		}
		delete(tested, name)
	}
	for name := range tested {
		t.Errorf("TestPitfall%s_... is not listed", name)
	}
	if counts["Controller"] != 22 || counts["Replication"] != 32 {
		t.Errorf("%d pitfalls of the controller are listed, want 22; %d of replication, want 32", counts["Controller"], counts["Replication"])
	}
}
