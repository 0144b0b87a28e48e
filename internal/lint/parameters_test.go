package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
)

const (
	mostAlike      = 3 // adjacent parameters of one type
	mostParameters = 5 // parameters, if two adjacent ones have the same type
)

// tooAlike lists the functions that break the rule, with the reason.
var tooAlike = map[string]string{
	"record/builder.go appendV2":           "on the path of every record; its slices are those of AppendAt in the same order",
	"tools/client/observe.go OnBrokerRead": "implements a hook of franz-go",
	"record/builder.go writeHeader":        "has the fields of the header in their order",
}

// TestParametersCannotBeSwappedUnnoticed checks that a function takes at most three adjacent
// parameters of one type, and no two of them if it takes more than five parameters. Other functions
// take a struct, whose fields the caller names.
func TestParametersCannotBeSwappedUnnoticed(t *testing.T) {
	found := map[string]bool{}
	eachFile(t, func(path, _ string, test bool, _ []string) {
		if test {
			return
		}
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		rel, _ := filepath.Rel(testkit.Root(), path)
		for _, decl := range f.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			all, alike := count(fn.Type.Params)
			if alike <= mostAlike && (all <= mostParameters || alike == 1) {
				continue
			}
			name := filepath.ToSlash(rel) + " " + fn.Name.Name
			found[name] = true
			if tooAlike[name] == "" {
				t.Errorf("%s takes %d parameters, %d of one type in a row: let it take a struct", name, all, alike)
			}
		}
	})
	for name := range tooAlike {
		if !found[name] {
			t.Errorf("%s is no longer an exception: remove it from the list", name)
		}
	}
}

// count returns the number of parameters and the length of the longest run of one type.
func count(params *ast.FieldList) (all, alike int) {
	row, before := 0, ""
	for _, field := range params.List {
		for range max(1, len(field.Names)) {
			if is := types.ExprString(field.Type); is == before {
				row++
			} else {
				row, before = 1, is
			}
			all++
			alike = max(alike, row)
		}
	}
	return all, alike
}
