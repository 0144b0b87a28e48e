// Package figures counts the sources of the module: files, lines, comments, tests and documentation
// by package, and the methods of types. docs/ARCHITECTURE.md shows its output of two points in time,
// and internal/lint has limits for the sizes.
package figures

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// pkg has the counts of one package, or of all. Everything but testLines is counted only in files
// that are not tests. The numbers of lines include blank lines.
type pkg struct {
	name                 string
	files, lines         int
	commentLines         int // lines with a comment
	testLines            int
	exported, documented int // functions, types and methods of exported types
}

func (p *pkg) add(q *pkg) {
	p.files += q.files
	p.lines += q.lines
	p.commentLines += q.commentLines
	p.testLines += q.testLines
	p.exported += q.exported
	p.documented += q.documented
}

// Counts are the figures of a module.
type Counts struct {
	packages map[string]*pkg
	// Functions are the functions that are not in tests, as "package.Function" or
	// "package.Type.Method". Files are the files that are not tests, by path.
	Functions, Files []Size
	// Methods has the number of methods of each type, under "package.Type" or, for an interface,
	// "package.Type (interface)". Docs has the doc comments of types under the same names.
	Methods map[string]int
	Docs    map[string]string
}

// Size is the length of a function or a file.
type Size struct {
	Name  string
	Lines int // blank lines and comments included
}

// Count reads the sources below the directory root. It leaves out test data and hidden directories.
func Count(root string) (*Counts, error) {
	c := &Counts{packages: map[string]*pkg{}, Methods: map[string]int{}, Docs: map[string]string{}}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != root && (name == "testdata" || name == "third_party" || strings.HasPrefix(name, ".")) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		return c.file(filepath.ToSlash(dir), path)
	})
	return c, err
}

func (c *Counts) file(dir, path string) error {
	source, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	p := c.packages[dir]
	if p == nil {
		p = &pkg{name: dir}
		c.packages[dir] = p
	}
	lines := bytes.Count(source, []byte("\n"))
	if strings.HasSuffix(path, "_test.go") {
		p.testLines += lines
		return nil
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, source, parser.ParseComments)
	if err != nil {
		return err
	}
	p.files++
	p.lines += lines
	c.Files = append(c.Files, Size{dir + "/" + filepath.Base(path), lines})
	commented := map[int]bool{}
	for _, group := range file.Comments {
		for line := set.Position(group.Pos()).Line; line <= set.Position(group.End()).Line; line++ {
			commented[line] = true
		}
	}
	p.commentLines += len(commented)
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			receiver, name := "", dir+"."+d.Name.Name
			if d.Recv != nil {
				receiver = typeName(d.Recv.List[0].Type)
				name = dir + "." + receiver + "." + d.Name.Name
				c.Methods[dir+"."+receiver]++
			}
			c.Functions = append(c.Functions, Size{name, set.Position(d.End()).Line - set.Position(d.Pos()).Line + 1})
			if d.Name.IsExported() && (receiver == "" || ast.IsExported(receiver)) {
				p.document(d.Doc != nil)
			}
		case *ast.GenDecl:
			c.types(p, dir, d)
		}
	}
	return nil
}

func (c *Counts) types(p *pkg, dir string, d *ast.GenDecl) {
	for _, spec := range d.Specs {
		t, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		if t.Name.IsExported() {
			p.document(d.Doc != nil || t.Doc != nil || t.Comment != nil)
		}
		name := dir + "." + t.Name.Name
		if i, ok := t.Type.(*ast.InterfaceType); ok {
			name += " (interface)"
			for _, m := range i.Methods.List {
				c.Methods[name] += len(m.Names)
			}
		}
		c.Docs[name] = d.Doc.Text() + t.Doc.Text()
	}
}

func (p *pkg) document(yes bool) {
	p.exported++
	if yes {
		p.documented++
	}
}

// typeName returns the name of a receiver's type without its pointer and type parameters.
func typeName(e ast.Expr) string {
	switch t := e.(type) {
	case *ast.StarExpr:
		return typeName(t.X)
	case *ast.IndexExpr:
		return typeName(t.X)
	case *ast.IndexListExpr:
		return typeName(t.X)
	case *ast.Ident:
		return t.Name
	}
	return ""
}
