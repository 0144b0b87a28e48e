// Package lint checks the rules of the code base as tests: which package may import which, which
// imports are reserved for one package, what no source file may contain, the phrases to avoid in
// our own text, doc comments, the types of numbers, parameters that can be swapped, how large a
// type, a function or a file may be, and whether the tests exist that documents and scripts name.
package lint

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
)

const module = "github.com/monedula/monedula/"

// leaves may be imported by every package that is not a leaf itself. What a leaf may import is in
// forLeaves.
var leaves = []string{"protocol", "metadata", "peerlink", "settings", "metrics", "record", "internal/findings", "internal/javatext", "internal/kafkalog", "internal/spelling", "internal/vfs"}

// allowed lists what each package may import in addition to the leaves. A package that is not
// listed may import only leaves.
var allowed = map[string][]string{
	"protocol":        {},
	"metadata":        {},
	"record":          {},
	"settings":        {},
	"settings/check":  {},
	"metrics":         {},
	"peerlink":        {},
	"storage":         {"storage/clean"},
	"zkstore":         {"zkstore/zkclient"},
	"zkserver":        {"zkserver/jute", "zkserver/tree", "zkserver/txnlog"},
	"zkserver/tree":   {"zkserver/jute"},
	"zkserver/txnlog": {"zkserver/jute", "zkserver/tree"},
	"network":         {},
	"admin":           {"zkstore"},
	"producerids":     {"zkstore"},
	"zkconsumer":      {"zkstore"},
	"controller":      {"zkstore"},
	"replication":     {"storage", "network"},
	"coordinator":     {"replication", "storage"},
	"group":           {"coordinator", "replication", "storage", "zkstore"},
	"transaction":     {"coordinator", "replication"},
	"lag":             {},
	"broker/api":      {"admin", "controller", "network", "replication", "storage", "zkstore", "group", "transaction", "producerids"},
	"broker":          {"*"},
	"cmd/monedula":    {"broker", "tools", "tools/cli", "tools/server", "settings/check", "zkserver", "internal/gcpacer", "internal/process"},

	// The tools: their command line, their connections, and a package for each family. Families do
	// not import one another; tools lists them all.
	"tools/cli":          {},
	"tools/client":       {"tools/cli", "zkstore"},
	"tools/decode":       {"tools/cli"},
	"tools/jsoninput":    {"tools/cli", "tools/client"},
	"tools/checkconfig":  {"tools/cli", "settings/check"},
	"tools/cluster":      {"tools/cli", "tools/client"},
	"tools/configs":      {"tools/cli", "tools/client", "admin", "zkstore"},
	"tools/console":      {"tools/cli", "tools/client", "tools/decode", "zkconsumer", "zkstore"},
	"tools/doctor":       {"tools/cli", "tools/client", "settings/check", "zkstore"},
	"tools/dump":         {"tools/cli", "tools/decode", "storage"},
	"tools/election":     {"tools/cli", "tools/client", "tools/jsoninput", "zkstore"},
	"tools/groups":       {"tools/cli", "tools/client"},
	"tools/partitions":   {"tools/cli", "tools/client", "tools/jsoninput"},
	"tools/perf":         {"tools/cli", "tools/client"},
	"tools/reassign":     {"tools/cli", "tools/client", "tools/jsoninput", "admin", "zkstore"},
	"tools/server":       {"tools/cli"},
	"tools/topics":       {"tools/cli", "tools/client", "admin", "zkstore"},
	"tools/transactions": {"tools/cli", "tools/client"},
	"tools/verifiable":   {"tools/cli", "tools/client"},
	"tools/zkshell":      {"tools/cli", "zkserver/jute"},
	"tools": {"tools/checkconfig", "tools/cli", "tools/cluster", "tools/configs", "tools/console", "tools/doctor", "tools/dump", "tools/election", "tools/groups",
		"tools/partitions", "tools/perf", "tools/reassign", "tools/server", "tools/topics", "tools/transactions", "tools/verifiable", "tools/zkshell"},
}

// forLeaves lists the imports that are allowed between leaves.
var forLeaves = map[string][]string{
	"metadata":          {},
	"protocol":          {},
	"settings":          {"protocol", "metadata", "record", "internal/javatext", "internal/spelling"},
	"record":            {"protocol", "metadata"},
	"peerlink":          {"protocol", "metadata"},
	"metrics":           {},
	"internal/findings": {},
	"internal/javatext": {},
	"internal/kafkalog": {},
	"internal/spelling": {},
	"internal/vfs":      {},
}

// onlyIn lists imports that only some packages may use.
var onlyIn = map[string][]string{
	"github.com/go-zookeeper/zk":        {"zkstore", "zkstore/zkclient", "internal/simulation"},
	"github.com/spf13/viper":            {"settings"},
	"github.com/rcrowley/go-metrics":    {"metrics"},
	"github.com/segmentio/kafka-go":     {"tools/topics", "integration"},
	"github.com/twmb/franz-go/pkg/kgo":  {"tools/client", "tools/console", "tools/perf", "tools/verifiable", "integration", "internal/bench"},
	"github.com/twmb/franz-go/pkg/kadm": {"integration"},
	"golang.org/x/term":                 {"tools/zkshell"},
}

func TestImportsPointDownOnly(t *testing.T) {
	eachFile(t, func(path, pkg string, test bool, imports []string) {
		for _, imported := range imports {
			if packages, bound := onlyIn[imported]; bound && !test && !within(pkg, packages) {
				t.Errorf("%s imports %s, which only %v may import", path, imported, packages)
			}
			target, ours := strings.CutPrefix(imported, module)
			if !ours || test || target == pkg || strings.HasPrefix(pkg, "internal/") || strings.HasPrefix(pkg, "integration") {
				continue
			}
			if !mayImport(pkg, target) {
				t.Errorf("%s: %s may not import %s", path, pkg, target)
			}
		}
	})
}

func mayImport(pkg, target string) bool {
	if among, leaf := forLeaves[pkg]; leaf {
		return within(target, among)
	}
	if target == "broker" {
		return pkg == "cmd/monedula"
	}
	packages := allowed[pkg]
	return within(target, leaves) || within(target, packages) || within("*", packages)
}

func within(one string, all []string) bool {
	for _, a := range all {
		if a == one {
			return true
		}
	}
	return false
}

// banned are patterns that must not occur in a source file.
var banned = []*regexp.Regexp{
	regexp.MustCompile(`\bTODO\b|\bFIXME\b|\bXXX\b`),
	regexp.MustCompile(`panic\("(unwritten|not implemented|unimplemented)`),
}

func TestSourcesAreFinished(t *testing.T) {
	eachFile(t, func(path, pkg string, test bool, _ []string) {
		if pkg == "internal/lint" {
			return
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, re := range banned {
			if found := re.Find(text); found != nil {
				t.Errorf("%s contains %q", path, found)
			}
		}
	})
}

func TestNoTestIsSkippedOrHidden(t *testing.T) {
	skip := regexp.MustCompile(`\bt\.Skip|\bb\.Skip|testing\.Short\(\)`)
	tag := regexp.MustCompile(`(?m)^//go:build (.*)$`)
	eachFile(t, func(path, pkg string, test bool, _ []string) {
		if pkg == "internal/lint" {
			return
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if test && skip.Match(text) {
			t.Errorf("%s skips a test", path)
		}
		for _, m := range tag.FindAllSubmatch(text, -1) {
			if c := strings.TrimPrefix(string(m[1]), "!"); c != "race" && c != "linux" && c != "unix" {
				t.Errorf("%s has the build constraint %q; only race, linux and unix are used", path, c)
			}
		}
	})
}

// TestEveryGoFileBelongsToAPackage checks that no Go file is in a directory that the pattern ./...
// leaves out. Neither `make test` nor go vet would notice such a package.
func TestEveryGoFileBelongsToAPackage(t *testing.T) {
	root := testkit.Root()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path == filepath.Join(root, ".git") {
				return filepath.SkipDir
			}
			return nil
		}
		rel, _ := filepath.Rel(root, path)
		for dir := range strings.SplitSeq(filepath.Dir(rel), string(filepath.Separator)) {
			ignored := dir == "testdata" || strings.HasPrefix(dir, "_") || dir != "." && strings.HasPrefix(dir, ".")
			if ignored && strings.HasSuffix(path, ".go") {
				t.Errorf("%s: ./... leaves out the directory %s", rel, dir)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// eachFile calls visit for every Go file of the tree.
func eachFile(t *testing.T, visit func(path, pkg string, test bool, imports []string)) {
	t.Helper()
	root := testkit.Root()
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "logs") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		files++
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		var imports []string
		for _, i := range f.Imports {
			p, _ := strconv.Unquote(i.Path.Value)
			imports = append(imports, p)
		}
		rel, _ := filepath.Rel(root, filepath.Dir(path))
		visit(path, filepath.ToSlash(rel), strings.HasSuffix(path, "_test.go"), imports)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 10 {
		t.Fatalf("only %d Go files found below %s", files, root)
	}
}
