package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
)

// mutation replaces one expression or statement of a source file, or several that guard against the
// same fault.
type mutation struct {
	id       int
	name     string
	operator string
	places   []place
}

// place is the range of one file that a mutation replaces.
type place struct {
	file       string // slash-separated, relative to the module's root
	line       int
	start, end int    // range of bytes in file that is replaced
	mutated    string // source text; "" for a removed statement
	kind       kind
}

// kind determines the code that switches between a mutation and the original.
type kind int

const (
	condition kind = iota // a boolean expression
	failure               // an expression that returns an error
	value                 // another expression; it is evaluated even if the mutant is on
	statement
)

// dir returns the directory of the package whose tests run first.
func (m mutation) dir() string { return path.Dir(m.places[0].file) }

func (m mutation) String() string {
	at := ""
	for _, p := range m.places {
		at += fmt.Sprintf(" %s:%d", p.file, p.line)
	}
	return strings.TrimSpace(fmt.Sprintf("%-28s%s %s", m.name, at, m.operator))
}

// switched is a place that is controlled by the switch of mutation id.
type switched struct {
	place
	id int
}

// instrumented returns source with code at every place that switches between the original and the
// mutation. The places must not overlap.
func instrumented(source []byte, all []switched) []byte {
	sorted := append([]switched(nil), all...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].start > sorted[j].start })
	for _, m := range sorted {
		original := string(source[m.start:m.end])
		var text string
		switch m.kind {
		case condition:
			text = fmt.Sprintf("func() bool { if mutant.On(%d) { return %s }; return %s }()", m.id, m.mutated, original)
		case failure:
			text = fmt.Sprintf("func() error { if mutant.On(%d) { return %s }; return %s }()", m.id, m.mutated, original)
		case value:
			text = fmt.Sprintf("mutant.Pick(%d, %s, %s)", m.id, m.mutated, original)
		case statement:
			text = fmt.Sprintf("if mutant.On(%d) { %s } else { %s }", m.id, m.mutated, original)
		}
		source = bytes.Join([][]byte{source[:m.start], []byte(text), source[m.end:]}, nil)
	}
	// The import is on the line of the package clause, so that line numbers do not change.
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, "", source, parser.PackageClauseOnly)
	if err != nil {
		return source
	}
	at := set.Position(f.Name.End()).Offset
	return bytes.Join([][]byte{source[:at], []byte("; import \"" + module + "/internal/mutants/mutant\""), source[at:]}, nil)
}

// rounds splits mutations into groups without overlaps.
func rounds(all []mutation) [][]mutation {
	var groups [][]mutation
next:
	for _, m := range all {
		for i, group := range groups {
			if !overlaps(group, m) {
				groups[i] = append(group, m)
				continue next
			}
		}
		groups = append(groups, []mutation{m})
	}
	return groups
}

func overlaps(group []mutation, m mutation) bool {
	for _, o := range group {
		for _, a := range o.places {
			for _, b := range m.places {
				if a.file == b.file && a.start < b.end && b.start < a.end {
					return true
				}
			}
		}
	}
	return false
}

// sourceFile is a parsed file of the tree.
type sourceFile struct {
	path   string // slash-separated, relative to the module's root
	source []byte
	set    *token.FileSet
	tree   *ast.File
}

func parseSource(root, file string) (*sourceFile, error) {
	source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, file, source, 0)
	if err != nil {
		return nil, err
	}
	return &sourceFile{file, source, set, tree}, nil
}

func (f *sourceFile) offset(p token.Pos) int { return f.set.Position(p).Offset }
func (f *sourceFile) line(n ast.Node) int    { return f.set.Position(n.Pos()).Line }

func (f *sourceFile) text(n ast.Node) string {
	return string(f.source[f.offset(n.Pos()):f.offset(n.End())])
}

func (f *sourceFile) place(n ast.Node, k kind, mutated string) place {
	return place{f.path, f.line(n), f.offset(n.Pos()), f.offset(n.End()), mutated, k}
}

// inConditions calls visit for every boolean expression that it finds: conditions of if and for,
// comparisons, and && || and ! with their operands.
func inConditions(root ast.Node, visit func(ast.Expr)) {
	seen := map[ast.Expr]bool{}
	var walk func(e ast.Expr)
	walk = func(e ast.Expr) {
		if e == nil || seen[e] {
			return
		}
		seen[e] = true
		visit(e)
		switch e := e.(type) {
		case *ast.ParenExpr:
			walk(e.X)
		case *ast.UnaryExpr:
			if e.Op == token.NOT {
				walk(e.X)
			}
		case *ast.BinaryExpr:
			if e.Op == token.LAND || e.Op == token.LOR {
				walk(e.X)
				walk(e.Y)
			}
		}
	}
	ast.Inspect(root, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IfStmt:
			walk(n.Cond)
		case *ast.ForStmt:
			walk(n.Cond)
		case *ast.UnaryExpr:
			if n.Op == token.NOT {
				walk(n)
			}
		case *ast.BinaryExpr:
			switch n.Op {
			case token.LAND, token.LOR, token.EQL, token.NEQ, token.LSS, token.LEQ, token.GTR, token.GEQ:
				walk(n)
			}
		}
		return true
	})
}

// squeezed returns source text with every run of white space replaced by one space.
func squeezed(s string) string { return strings.Join(strings.Fields(s), " ") }
