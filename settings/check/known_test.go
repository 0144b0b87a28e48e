package check

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/monedula/monedula/settings"
)

// readers are the methods of a document that look up the rows of the keys that they are given.
var readers = []string{"text", "number", "numbers", "is", "list"}

// A key that the code names and that does not exist stops the program when its value is needed, which
// for most keys is only if a file sets it.
func TestTheKeysThatTheCodeNamesExist(t *testing.T) {
	keys := namedKeys(t)
	if len(keys) < 30 {
		t.Errorf("only %d keys were found in the code", len(keys))
	}
	for _, u := range usualValues {
		keys = append(keys, u.key)
	}
	for _, f := range replicationFactors {
		keys = append(keys, f.key)
	}
	for _, same := range sameEverywhere {
		keys = append(keys, same.key)
	}
	for _, key := range keys {
		if settings.LookupAny(key) == nil {
			t.Errorf("no key is called %s", key)
		}
	}
}

// namedKeys returns the keys that are literal arguments of readers.
func namedKeys(t *testing.T) (keys []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, isCall := n.(*ast.CallExpr)
			if !isCall {
				return true
			}
			if method, is := call.Fun.(*ast.SelectorExpr); !is || !slices.Contains(readers, method.Sel.Name) {
				return true
			}
			for _, argument := range call.Args {
				if literal, is := argument.(*ast.BasicLit); is && literal.Kind == token.STRING {
					key, err := strconv.Unquote(literal.Value)
					if err != nil {
						t.Fatal(err)
					}
					keys = append(keys, key)
				}
			}
			return true
		})
	}
	return keys
}
