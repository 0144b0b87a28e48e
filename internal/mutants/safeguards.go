package main

import (
	"fmt"
	"go/ast"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// readSafeguards reads the named lists, or all lists if none is named. A list consists of blocks,
// one for each safeguard:
//
//	NAME FILE FUNCTION
//	- text in FUNCTION: one condition, expression or statement
//	+ its replacement; without this line the statement is removed
//
// The replacement error(nil) skips a call that only returns an error. A method is named
// Type.Method. The text must occur exactly once, or have a number: `-2` is its second occurrence. A
// block with the name & belongs to the block before it: both places change together, because each
// guards against the same fault. Lines that begin with # are comments.
func readSafeguards(root string, lists []string) ([]mutation, error) {
	dir := filepath.Join(root, "internal", "mutants", "safeguards")
	if len(lists) == 0 {
		lists = []string{"*"}
	}
	s := &safeguards{root: root, files: map[string]*sourceFile{}}
	for _, list := range lists {
		paths, err := filepath.Glob(filepath.Join(dir, list+".txt"))
		if err != nil {
			return nil, err
		}
		if len(paths) == 0 {
			return nil, fmt.Errorf("no list %s.txt in %s", list, dir)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			if err := s.read(string(text)); err != nil {
				return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
			}
		}
	}
	return s.all, nil
}

// safeguards is what has been read so far.
type safeguards struct {
	root  string
	files map[string]*sourceFile
	all   []mutation
}

func (s *safeguards) read(text string) error {
	list, err := blocks(text)
	if err != nil {
		return err
	}
	for _, b := range list {
		f, err := s.parsed(b.file)
		if err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		p, err := locate(f, b)
		if err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		if b.name == "&" {
			last := &s.all[len(s.all)-1]
			last.places = append(last.places, p)
			continue
		}
		if slices.ContainsFunc(s.all, func(m mutation) bool { return m.name == b.name }) {
			return fmt.Errorf("the name %s is used twice", b.name)
		}
		s.all = append(s.all, mutation{id: len(s.all) + 1, name: b.name, places: []place{p}})
	}
	return nil
}

func (s *safeguards) parsed(file string) (*sourceFile, error) {
	if f := s.files[file]; f != nil {
		return f, nil
	}
	f, err := parseSource(s.root, file)
	if err == nil {
		s.files[file] = f
	}
	return f, err
}

// block is one safeguard as written in a list.
type block struct {
	name, file, function string
	occurrence           int // counted from 1; 0 if the text must occur exactly once
	old, mutated         string
}

func blocks(text string) ([]block, error) {
	var all []block
	for i, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0 || line[0] == '#':
		case len(all) > 0 && line[0] == '-':
			b := &all[len(all)-1]
			rest := line[1:]
			if len(rest) > 0 && rest[0] >= '1' && rest[0] <= '9' {
				b.occurrence, rest = int(rest[0]-'0'), rest[1:]
			}
			b.old += rest + "\n"
		case len(all) > 0 && line[0] == '+':
			all[len(all)-1].mutated += line[1:] + "\n"
		case len(fields) == 3 && (fields[0] != "&" || len(all) > 0):
			all = append(all, block{name: fields[0], file: fields[1], function: fields[2]})
		default:
			return nil, fmt.Errorf("line %d is neither NAME FILE FUNCTION nor a change: %q", i+1, line)
		}
	}
	return all, nil
}

// locate finds the place that a block names.
func locate(f *sourceFile, b block) (place, error) {
	function := functionNamed(f, b.function)
	if function == nil {
		return place{}, fmt.Errorf("%s has no function %s", b.file, b.function)
	}
	conditions := map[ast.Node]bool{}
	inConditions(function, func(e ast.Expr) { conditions[e] = true })
	old := squeezed(b.old)
	mutated := strings.TrimSpace(b.mutated)
	var found []place
	parent := map[ast.Node]ast.Node{}
	ast.Inspect(function.Body, func(n ast.Node) bool {
		for _, child := range children(n) {
			parent[child] = n
		}
		if s, ok := parent[n].(*ast.SelectorExpr); ok && s.Sel == n {
			return false // a name after a dot is not an expression
		}
		switch n := n.(type) {
		case ast.Expr:
			if _, whole := parent[n].(*ast.ExprStmt); whole || mutated == "" || squeezed(f.text(n)) != old {
				return true
			}
			k := value
			switch {
			case conditions[n] || mutated == "true" || mutated == "false":
				k = condition
			case mutated == "error(nil)":
				k = failure
			}
			found = append(found, f.place(n, k, mutated))
			return false
		case ast.Stmt:
			if _, isBlock := n.(*ast.BlockStmt); !isBlock && squeezed(f.text(n)) == old {
				found = append(found, f.place(n, statement, mutated))
				return false
			}
		}
		return true
	})
	switch {
	case b.occurrence > 0 && len(found) >= b.occurrence:
		return found[b.occurrence-1], nil
	case b.occurrence == 0 && len(found) == 1:
		return found[0], nil
	}
	return place{}, fmt.Errorf("%q occurs %d times in %s of %s", old, len(found), b.function, b.file)
}

func functionNamed(f *sourceFile, name string) *ast.FuncDecl {
	for _, d := range f.tree.Decls {
		function, ok := d.(*ast.FuncDecl)
		if !ok || function.Body == nil {
			continue
		}
		full := function.Name.Name
		if function.Recv != nil {
			receiver := strings.TrimLeft(f.text(function.Recv.List[0].Type), "*")
			receiver, _, _ = strings.Cut(receiver, "[")
			full = receiver + "." + full
		}
		if full == name {
			return function
		}
	}
	return nil
}

// children returns the nodes directly below n.
func children(n ast.Node) []ast.Node {
	if n == nil {
		return nil
	}
	var all []ast.Node
	ast.Inspect(n, func(c ast.Node) bool {
		if c == nil || c == n {
			return c == n
		}
		all = append(all, c)
		return false
	})
	return all
}
