package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
)

// typedNumbers lists names of numbers that have a type of their own, and the plain type that they
// must not have. inTests: the rule holds for tests as well; those of epochs and broker ids build
// requests, whose numbers are plain.
var typedNumbers = []struct {
	names       *regexp.Regexp
	plain, want string
	inTests     bool
}{
	{regexp.MustCompile(`(?i)(offset|log_?start|log_?end|leader_?end|high_?watermark|last_?stable)$`), "int64", "record.Offset", true},
	{regexp.MustCompile(`(?i)leader_?epoch$`), "int32", "metadata.LeaderEpoch", false},
	{regexp.MustCompile(`(?i)controller_?epoch$`), "int32", "metadata.ControllerEpoch", false},
	{regexp.MustCompile(`(?i)(broker_?id|^leader|^controller_?id)$`), "int32", "metadata.BrokerID", false},
}

// typedPackages are the packages in which numbers have their types. Numbers of requests, responses
// and command lines are plain.
var typedPackages = []string{"record", "storage", "replication", "coordinator", "group", "transaction", "zkconsumer", "zkstore", "controller", "metadata", "admin"}

// TestNumbersHaveTheirTypes checks fields, parameters, results and variables with a declared type.
func TestNumbersHaveTheirTypes(t *testing.T) {
	seen := map[string]bool{}
	eachFile(t, func(path, pkg string, test bool, _ []string) {
		if !within(pkg, typedPackages) {
			return
		}
		seen[pkg] = true
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		check := func(names []*ast.Ident, typ ast.Expr) {
			plain, ok := typ.(*ast.Ident)
			if !ok {
				return
			}
			for _, name := range names {
				for _, number := range typedNumbers {
					if plain.Name == number.plain && (number.inTests || !test) && number.names.MatchString(name.Name) {
						rel, _ := filepath.Rel(testkit.Root(), path)
						t.Errorf("%s:%d: %s is of type %s, want %s", rel, files.Position(name.Pos()).Line, name.Name, number.plain, number.want)
					}
				}
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Field:
				check(n.Names, n.Type)
			case *ast.GenDecl:
				for _, spec := range n.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok && n.Tok == token.VAR {
						check(v.Names, v.Type)
					}
				}
			}
			return true
		})
	})
	if len(seen) != len(typedPackages) {
		t.Errorf("checked %v, want %v", seen, typedPackages)
	}
}
