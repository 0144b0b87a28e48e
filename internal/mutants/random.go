package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// chooseRandom returns n places of the packages' sources. Conditions and comparisons are chosen
// twice as often as removed statements. The packages get equal shares if they have enough places.
func chooseRandom(root string, packages []string, n int, seed uint64) ([]mutation, error) {
	if len(packages) == 0 {
		return nil, fmt.Errorf("-random needs packages, for example storage replication")
	}
	r := rand.New(rand.NewPCG(seed, 0))
	var chosen []mutation
	for i, dir := range packages {
		share := (n - len(chosen)) / (len(packages) - i)
		sites, err := packageSites(root, strings.Trim(filepath.ToSlash(dir), "./"))
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, draw(r, sites, share)...)
	}
	sort.SliceStable(chosen, func(i, j int) bool {
		a, b := chosen[i].places[0], chosen[j].places[0]
		return a.file < b.file || a.file == b.file && a.line < b.line
	})
	for i := range chosen {
		chosen[i].id = i + 1
		chosen[i].name = strconv.Itoa(i + 1)
	}
	return chosen, nil
}

// draw returns n sites, at most one of each place.
func draw(r *rand.Rand, sites []mutation, n int) []mutation {
	weighted := append([]mutation(nil), sites...)
	for _, s := range sites {
		if s.places[0].kind == condition {
			weighted = append(weighted, s)
		}
	}
	r.Shuffle(len(weighted), func(i, j int) { weighted[i], weighted[j] = weighted[j], weighted[i] })
	var chosen []mutation
	for _, s := range weighted {
		if len(chosen) < n && !overlaps(chosen, s) {
			chosen = append(chosen, s)
		}
	}
	return chosen
}

func packageSites(root, dir string) ([]mutation, error) {
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(dir), "*.go"))
	if err != nil {
		return nil, err
	}
	var all []mutation
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parseSource(root, dir+"/"+filepath.Base(file))
		if err != nil {
			return nil, err
		}
		for _, d := range f.tree.Decls {
			if function, ok := d.(*ast.FuncDecl); ok && function.Body != nil && !spoken.MatchString(function.Name.Name) {
				all = append(all, functionSites(f, function)...)
			}
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no Go sources", dir)
	}
	return all, nil
}

// These places are left alone because no test should depend on them: what only people read or count
// (functions that format values, calls that log or count, the text of a wrapped error), a panic
// after something that cannot happen, stopping a timer that is no longer used, and unlocking,
// without which every test hangs.
var (
	spoken = regexp.MustCompile(`^(String|Error|GoString|Format)$`)
	said   = regexp.MustCompile(`(?i)^(\w*(trace|debug|info|warn|error|fatal|print|log)(f|ln)?|inc|dec|mark|panic|r?unlock)$`)
)

// says reports whether s only prints, logs or counts something, so no test needs to fail without
// it.
func says(s ast.Stmt) bool {
	switch s := s.(type) {
	case *ast.ExprStmt:
		return saysBy(s.X)
	case *ast.DeferStmt:
		return saysBy(s.Call) || stopsTimer(s.Call)
	case *ast.AssignStmt:
		call, ok := s.Rhs[0].(*ast.CallExpr)
		if !ok || calledName(call) != "Errorf" {
			return false
		}
		format, ok := call.Args[0].(*ast.BasicLit)
		return ok && strings.Contains(format.Value, "%w")
	}
	return false
}

// stopsTimer reports whether the call stops a variable that a time.NewTimer or
// time.NewTicker was assigned to. Since Go 1.23 nothing depends on that.
func stopsTimer(call *ast.CallExpr) bool {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || method.Sel.Name != "Stop" {
		return false
	}
	variable, ok := method.X.(*ast.Ident)
	if !ok || variable.Obj == nil {
		return false
	}
	assigned, ok := variable.Obj.Decl.(*ast.AssignStmt)
	if !ok {
		return false
	}
	maker, ok := assigned.Rhs[0].(*ast.CallExpr)
	return ok && (calledName(maker) == "NewTimer" || calledName(maker) == "NewTicker")
}

func saysBy(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	return ok && said.MatchString(calledName(call))
}

// calledName returns the name of the called function or method without its qualifier.
func calledName(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

func functionSites(f *sourceFile, function *ast.FuncDecl) []mutation {
	var all []mutation
	add := func(n ast.Node, k kind, operator, mutated string) {
		all = append(all, mutation{operator: operator, places: []place{f.place(n, k, mutated)}})
	}
	addStatements := func(list []ast.Stmt) {
		for _, s := range list {
			if operator := droppable(s); operator != "" && !says(s) {
				add(s, statement, operator, "")
			}
		}
	}
	onlySaid := conditionsOfWhatIsSaid(function.Body)
	inConditions(function.Body, func(e ast.Expr) {
		b, ok := e.(*ast.BinaryExpr)
		if !ok || slices.ContainsFunc(onlySaid, func(c ast.Expr) bool { return c.Pos() <= b.Pos() && b.End() <= c.End() }) {
			return
		}
		x, y := f.text(b.X), f.text(b.Y)
		switch b.Op {
		case token.LAND, token.LOR:
			add(b, condition, "drop-left", y)
			add(b, condition, "drop-right", x)
		case token.LSS:
			add(b, condition, "boundary", x+" <= "+y)
		case token.LEQ:
			add(b, condition, "boundary", x+" < "+y)
		case token.GTR:
			add(b, condition, "boundary", x+" >= "+y)
		case token.GEQ:
			add(b, condition, "boundary", x+" > "+y)
		case token.EQL:
			add(b, condition, "negate-eq", x+" != "+y)
		case token.NEQ:
			add(b, condition, "negate-eq", x+" == "+y)
		}
	})
	ast.Inspect(function.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IfStmt:
			if slices.Contains(onlySaid, n.Cond) {
				return true
			}
			add(n.Cond, condition, "skip-if", "false")
			add(n.Cond, condition, "always-if", "true")
			add(n.Cond, condition, "negate-if", "!("+f.text(n.Cond)+")")
		case *ast.BlockStmt:
			addStatements(n.List)
		case *ast.CaseClause:
			addStatements(n.Body)
		case *ast.CommClause:
			addStatements(n.Body)
		}
		return true
	})
	return all
}

// conditionsOfWhatIsSaid returns the conditions of if statements whose only statement satisfies
// says.
func conditionsOfWhatIsSaid(body *ast.BlockStmt) (conditions []ast.Expr) {
	ast.Inspect(body, func(n ast.Node) bool {
		if n, ok := n.(*ast.IfStmt); ok && n.Else == nil && len(n.Body.List) == 1 && says(n.Body.List[0]) {
			conditions = append(conditions, n.Cond)
		}
		return true
	})
	return conditions
}

// droppable names the operator that leaves out s, or returns "" if the source
// might not compile without it.
func droppable(s ast.Stmt) string {
	switch s := s.(type) {
	case *ast.ExprStmt:
		return "drop-call"
	case *ast.IncDecStmt:
		return "drop-assign"
	case *ast.DeferStmt:
		return "drop-defer"
	case *ast.AssignStmt:
		if s.Tok != token.DEFINE {
			return "drop-assign"
		}
	}
	return ""
}
