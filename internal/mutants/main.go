// Command mutants changes the sources in one place at a time and shows which tests fail. A change
// that no test notices is a safeguard without a test.
//
//	mutants -safeguards [-only NAME,...] [LIST...]     the safeguards in the lists
//	mutants -random N [-seed S] [-only N,...] PACKAGE...   N places chosen at random
//
// The lists are the files in the directory safeguards, one for each package. Without a list all of
// them are read.
//
// All mutants are compiled into each test binary once, behind a switch (package mutant), with go's
// -overlay, so the tree itself is not changed. For each mutant the unit tests of its package run
// first, then the simulation, then the unit tests of the packages that import it; with -own only
// the first. A mutant is killed by the first of them that fails or does not end. The exit code is 1
// if a mutant survives.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
)

func main() {
	var o options
	flag.BoolVar(&o.safeguards, "safeguards", false, "remove the listed safeguards one at a time")
	flag.IntVar(&o.random, "random", 0, "try `N` places chosen at random")
	flag.Uint64Var(&o.seed, "seed", 1, "`seed` of the random choice")
	flag.StringVar(&o.only, "only", "", "try only the mutants with these `names`, separated by commas")
	flag.BoolVar(&o.own, "own", false, "run only the tests of the changed package")
	flag.StringVar(&o.skip, "skip", "", "skip the tests that match `regexp`, for example those that start a real broker")
	flag.BoolVar(&o.list, "list", false, "print the mutants and exit")
	flag.IntVar(&o.jobs, "j", runtime.NumCPU(), "`number` of mutants to try at the same time")
	flag.Parse()
	o.args = flag.Args()
	survived, err := run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(2)
	}
	if survived > 0 {
		os.Exit(1)
	}
}

type options struct {
	safeguards bool
	random     int
	seed       uint64
	only       string
	own        bool
	skip       string
	list       bool
	jobs       int
	args       []string // names of lists, or packages
}

func run(o options) (survived int, err error) {
	root, err := moduleRoot()
	if err != nil {
		return 0, err
	}
	var all []mutation
	switch {
	case o.safeguards && o.random == 0:
		all, err = readSafeguards(root, o.args)
	case o.random > 0 && !o.safeguards:
		all, err = chooseRandom(root, o.args, o.random, o.seed)
	default:
		err = fmt.Errorf("give either -safeguards or -random N")
	}
	if err != nil {
		return 0, err
	}
	all = keepNamed(all, o.only)
	if o.list {
		for _, m := range all {
			fmt.Println(m)
		}
		return 0, nil
	}
	return try(root, all, o)
}

// keepNamed returns the mutations whose names are in the list, or all of them if the list is empty.
func keepNamed(all []mutation, list string) []mutation {
	if list == "" {
		return all
	}
	var kept []mutation
	for _, name := range strings.Split(list, ",") {
		for _, m := range all {
			if m.name == name {
				kept = append(kept, m)
			}
		}
	}
	return kept
}
