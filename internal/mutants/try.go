package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

const module = "github.com/monedula/monedula"

// simulation holds the tests that run a whole cluster in one goroutine.
const simulation = "internal/simulation"

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	return strings.TrimSpace(string(out)), err
}

// try tries every mutation and prints its result, then a table. It returns the number of survivors.
func try(root string, all []mutation, o options) (survived int, err error) {
	table := map[string]*tally{}
	var survivors []mutation
	for _, round := range rounds(all) {
		b, err := build(root, round)
		if err != nil {
			return 0, err
		}
		b.own, b.skip = o.own, o.skip
		if err := b.checkBaseline(round); err != nil {
			return 0, err
		}
		results := b.tryAll(round, o.jobs)
		for _, m := range round {
			t := table[m.dir()]
			if t == nil {
				t = new(tally)
				table[m.dir()] = t
			}
			t.count(results[m.id])
			if results[m.id].by == "" {
				survivors = append(survivors, m)
			}
		}
		os.RemoveAll(b.dir)
	}
	printTable(table)
	for _, m := range survivors {
		fmt.Println("survived:", m)
	}
	return len(survivors), nil
}

// result is the outcome for a mutant: by is the package whose tests detected it, "" if none did.
type result struct {
	by       string
	test     string // the first test that failed, or "timeout"
	compiled bool
}

type tally struct{ mutants, own, others, survived int }

func (t *tally) count(r result) {
	if !r.compiled {
		return
	}
	t.mutants++
	switch r.by {
	case "":
		t.survived++
	case "own":
		t.own++
	default:
		t.others++
	}
}

func printTable(table map[string]*tally) {
	var dirs []string
	var sum tally
	for dir, t := range table {
		dirs = append(dirs, dir)
		sum.mutants += t.mutants
		sum.own += t.own
		sum.others += t.others
		sum.survived += t.survived
	}
	sort.Strings(dirs)
	table["all"] = &sum
	fmt.Printf("%-24s %8s %10s %8s %9s %7s\n", "package", "mutants", "own tests", "others", "survived", "killed")
	for _, dir := range append(dirs, "all") {
		t := table[dir]
		if t.mutants > 0 {
			fmt.Printf("%-24s %8d %10d %8d %9d %6d%%\n", dir, t.mutants, t.own, t.others, t.survived, 100*(t.own+t.others)/t.mutants)
		}
	}
}

// builds holds the test binaries that contain all mutants of a round.
type builds struct {
	root, dir string
	overlay   string
	own       bool         // run only the tests of the changed package
	skip      string       // skip the tests that match it, if it is not ""
	broken    map[int]bool // mutants that do not compile
	importers map[string][]string

	mu       sync.Mutex
	binaries map[string]*binary // by package
}

// binary holds the compiled tests of one package.
type binary struct {
	once    sync.Once
	path    string
	err     error
	took    time.Duration // run time without a mutant
	reached map[int]bool  // mutants that the tests reach
	parts   [][]string    // arguments that select tests, the quick ones first
}

// build writes the overlay and compiles the mutated packages. Mutants that do not compile are left
// out.
func build(root string, round []mutation) (*builds, error) {
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return nil, err
	}
	b := &builds{root: root, dir: dir, broken: map[int]bool{}, binaries: map[string]*binary{}}
	if b.importers, err = importers(root); err != nil {
		return nil, err
	}
	packages := map[string]bool{}
	for _, m := range round {
		for _, p := range m.places {
			packages["./"+path.Dir(p.file)] = true
		}
	}
	args := []string{"build", "-overlay", filepath.Join(dir, "overlay.json")}
	for p := range packages {
		args = append(args, p)
	}
	for {
		if err := b.writeOverlay(round); err != nil {
			return nil, err
		}
		cmd := exec.Command("go", args...)
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		if err == nil {
			return b, nil
		}
		if !b.leaveOut(round, string(out)) {
			return nil, fmt.Errorf("the instrumented sources do not compile: %s", out)
		}
	}
}

var compilerLine = regexp.MustCompile(`(?m)^(?:\./)?([^\s:]+\.go):(\d+):`)

// leaveOut marks the mutants on the lines of compiler errors as broken and reports whether there
// were any.
func (b *builds) leaveOut(round []mutation, output string) bool {
	found := false
	for _, at := range compilerLine.FindAllStringSubmatch(output, -1) {
		line, _ := strconv.Atoi(at[2])
		for _, m := range round {
			for _, p := range m.places {
				if !b.broken[m.id] && p.line == line && copyName(p.file) == filepath.Base(at[1]) {
					b.broken[m.id], found = true, true
				}
			}
		}
	}
	return found
}

func (b *builds) writeOverlay(round []mutation) error {
	whole := slices.DeleteFunc(slices.Clone(round), func(m mutation) bool { return b.broken[m.id] })
	replace := map[string]string{}
	for file, places := range placesByFile(whole) {
		real := filepath.Join(b.root, filepath.FromSlash(file))
		source, err := os.ReadFile(real)
		if err != nil {
			return err
		}
		copied := filepath.Join(b.dir, copyName(file))
		if err := os.WriteFile(copied, instrumented(source, places), 0o644); err != nil {
			return err
		}
		replace[real] = copied
	}
	b.overlay = filepath.Join(b.dir, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	return os.WriteFile(b.overlay, text, 0o644)
}

// copyName returns the name of the instrumented copy of file, which appears in compiler errors.
func copyName(file string) string { return strings.ReplaceAll(file, "/", "_") }

// placesByFile returns the places of all mutations by the file that they change.
func placesByFile(all []mutation) map[string][]switched {
	files := map[string][]switched{}
	for _, m := range all {
		for _, p := range m.places {
			files[p.file] = append(files[p.file], switched{p, m.id})
		}
	}
	return files
}

// importers returns, for each package, the packages that import it and whose tests are worth
// running: those of this module other than the integration tests and internal packages.
func importers(root string) (map[string][]string, error) {
	cmd := exec.Command("go", "list", "-f", `{{if .TestGoFiles}}{{.ImportPath}} {{join .Imports " "}}{{end}}`, "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	by := map[string][]string{}
	for _, line := range strings.Split(string(out), "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.Contains(fields[0], "/integration") || strings.Contains(fields[0], "/internal/") {
			continue
		}
		for _, imported := range fields[1:] {
			if p, ours := strings.CutPrefix(imported, module+"/"); ours {
				by[p] = append(by[p], strings.TrimPrefix(fields[0], module+"/"))
			}
		}
	}
	return by, nil
}

// nearest returns the packages whose tests must pass with all mutants off.
func (b *builds) nearest(m mutation) []string {
	if b.own {
		return []string{m.dir()}
	}
	return []string{m.dir(), simulation}
}

// checkBaseline returns an error if the tests of a mutated package, or the simulation, fail with
// all mutants off. The switch alone must not change anything.
func (b *builds) checkBaseline(round []mutation) error {
	for _, m := range round {
		for _, p := range b.nearest(m) {
			if err := b.binary(p).err; err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
		}
	}
	return nil
}

func (b *builds) tryAll(round []mutation, jobs int) map[int]result {
	var (
		mu      sync.Mutex
		results = map[int]result{}
		queue   = make(chan mutation)
		workers sync.WaitGroup
	)
	for range jobs {
		workers.Go(func() {
			for m := range queue {
				r := result{}
				if !b.broken[m.id] {
					r = b.try(m)
				}
				mu.Lock()
				results[m.id] = r
				switch {
				case !r.compiled:
					fmt.Printf("not compiled  %v\n", m)
				case r.by == "":
					fmt.Printf("SURVIVED      %v\n", m)
				default:
					fmt.Printf("killed        %v  by %s\n", m, r.test)
				}
				mu.Unlock()
			}
		})
	}
	for _, m := range round {
		queue <- m
	}
	close(queue)
	workers.Wait()
	return results
}

// try runs the tests that might notice m, nearest first.
func (b *builds) try(m mutation) result {
	packages := b.nearest(m)
	if !b.own {
		packages = append(packages, b.importers[m.dir()]...)
	}
	for i, p := range packages {
		bin := b.binary(p)
		if bin.err != nil {
			fmt.Printf("              %s: %v\n", p, bin.err)
			continue
		}
		if !bin.reached[m.id] {
			continue
		}
		for _, part := range bin.parts {
			test, failed := bin.run(filepath.Join(b.root, p), append(b.arguments(p), part...), []string{"MONEDULA_MUTANT=" + strconv.Itoa(m.id)}, 5*bin.took+30*time.Second)
			if failed {
				by := "own"
				if i > 0 {
					by = p
				}
				return result{by: by, test: p + " " + test, compiled: true}
			}
		}
	}
	return result{compiled: true}
}

// arguments returns the arguments of a package's test binary.
func (b *builds) arguments(p string) []string {
	args := []string{"-test.failfast", "-test.timeout=0"}
	if b.skip != "" {
		args = append(args, "-test.skip="+b.skip)
	}
	if p == simulation {
		args = append(args, "-test.run=^(TestSeeds|TestSeedsThatOnceFailed)$")
	}
	return args
}

// binary compiles a package's tests once and runs them without a mutant, to find out how long they
// take and which mutants they reach.
func (b *builds) binary(p string) *binary {
	b.mu.Lock()
	bin := b.binaries[p]
	if bin == nil {
		bin = &binary{path: filepath.Join(b.dir, strings.ReplaceAll(p, "/", "_")+".test"), reached: map[int]bool{}}
		b.binaries[p] = bin
	}
	b.mu.Unlock()
	bin.once.Do(func() {
		cmd := exec.Command("go", "test", "-c", "-vet=off", "-overlay", b.overlay, "-o", bin.path, "./"+p)
		cmd.Dir = b.root
		if out, err := cmd.CombinedOutput(); err != nil {
			bin.err = fmt.Errorf("compiling its tests: %v: %s", err, out)
			return
		}
		trace := bin.path + ".trace"
		started := time.Now()
		var out bytes.Buffer
		if test, failed := bin.runTo(&out, filepath.Join(b.root, p), append(b.arguments(p), "-test.v"), []string{"MONEDULA_MUTANT_TRACE=" + trace}, time.Hour); failed {
			bin.err = fmt.Errorf("%s fails without a mutant", test)
			return
		}
		bin.took = time.Since(started)
		bin.parts = quickFirst(out.String(), b.skip)
		text, _ := os.ReadFile(trace) // missing if no mutant is reached
		for _, id := range strings.Fields(string(text)) {
			n, _ := strconv.Atoi(id)
			bin.reached[n] = true
		}
	})
	return bin
}

var passedTest = regexp.MustCompile(`(?m)^--- PASS: (\S+) \(([\d.]+)s\)`)

// quickFirst returns arguments that first run the tests that took less than half a second, as shown
// by output, and then the others. Most mutants are killed by a quick test.
func quickFirst(output, skip string) [][]string {
	var slow []string
	quick := false
	for _, passed := range passedTest.FindAllStringSubmatch(output, -1) {
		if seconds, _ := strconv.ParseFloat(passed[2], 64); seconds >= 0.5 {
			slow = append(slow, passed[1])
		} else {
			quick = true
		}
	}
	if !quick || len(slow) == 0 {
		return [][]string{nil}
	}
	pattern := "^(" + strings.Join(slow, "|") + ")$"
	if skip != "" {
		skip = "|" + skip
	}
	return [][]string{{"-test.skip=" + pattern + skip}, {"-test.run=" + pattern}}
}

var failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// run runs the tests in the package's directory and reports whether they failed, and which test
// failed first.
func (bin *binary) run(dir string, args, env []string, limit time.Duration) (test string, failed bool) {
	var out bytes.Buffer
	return bin.runTo(&out, dir, args, env, limit)
}

// runTo is like run and writes the output to out.
func (bin *binary) runTo(out *bytes.Buffer, dir string, args, env []string, limit time.Duration) (test string, failed bool) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin.path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = 10 * time.Second
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	switch found := failedTest.FindSubmatch(out.Bytes()); {
	case err == nil:
		return "", false
	case ctx.Err() != nil:
		return "timeout", true
	case found != nil:
		return string(found[1]), true
	}
	return "a panic", true
}
