package settings

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// declares are the functions that declare a key.
var declares = []string{"key", "nullableKey", "topicKey", "dynamicKey"}

// The compiler checks that a key which the code reads exists, and its type. This test checks the
// other direction: a key that has a name is used, by another package if the name is exported. A key
// without an effect is declared as _.
func TestKeysWithANameAreUsed(t *testing.T) {
	named, unnamed := map[string]bool{}, 0
	used, usedOutside := map[string]bool{}, map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		here, test := f.Name.Name == "settings", strings.HasSuffix(path, "_test.go")
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				if here && !test && isKey(n) {
					if n.Names[0].Name == "_" {
						unnamed++
					} else {
						named[n.Names[0].Name] = true
					}
					ast.Inspect(n.Values[0], func(n ast.Node) bool { // not n.Names, which is no use
						if name, ok := n.(*ast.Ident); ok {
							used[name.Name] = true
						}
						return true
					})
					return false
				}
			case *ast.SelectorExpr:
				if from, ok := n.X.(*ast.Ident); ok && from.Name == "settings" && !here {
					usedOutside[n.Sel.Name] = true
					used[n.Sel.Name] = used[n.Sel.Name] || !test
				}
			case *ast.Ident:
				if here && !test {
					used[n.Name] = true
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range named {
		switch {
		case !used[name]:
			t.Errorf("no code uses %s: declare the key as _", name)
		case ast.IsExported(name) && !usedOutside[name]:
			t.Errorf("no other package uses %s: its name need not be exported", name)
		}
	}
	if all := len(broker.keys) + len(topic.keys) + len(dynamicOnly.keys); len(named)+unnamed != all {
		t.Errorf("found %d declarations with a name and %d without, but there are %d keys", len(named), unnamed, all)
	}
}

// isKey reports whether a variable is declared by a call of a function in declares.
func isKey(v *ast.ValueSpec) bool {
	if len(v.Values) != 1 {
		return false
	}
	call, ok := v.Values[0].(*ast.CallExpr)
	if !ok {
		return false
	}
	fun := call.Fun
	if generic, ok := fun.(*ast.IndexExpr); ok {
		fun = generic.X
	}
	name, ok := fun.(*ast.Ident)
	return ok && slices.Contains(declares, name.Name)
}
