// Package mutant is the switch that instrumented sources use to find out which mutant is on. No
// source in the tree imports it: internal/mutants adds the import to the copies that it compiles.
package mutant

import (
	"fmt"
	"os"
	"strconv"
	"sync"
)

var (
	active, _ = strconv.Atoi(os.Getenv("MONEDULA_MUTANT"))
	trace     = os.Getenv("MONEDULA_MUTANT_TRACE")

	mu      sync.Mutex
	reached = map[int]bool{}
)

// On reports whether mutant id is on: whether it is the one that the environment variable
// MONEDULA_MUTANT names. If MONEDULA_MUTANT_TRACE names a file, the first call with each id appends
// it to the file.
func On(id int) bool {
	if trace != "" {
		record(id)
	}
	return id == active
}

// Pick returns mutated if mutant id is on and original otherwise.
func Pick[T any](id int, mutated, original T) T {
	if On(id) {
		return mutated
	}
	return original
}

func record(id int) {
	mu.Lock()
	defer mu.Unlock()
	if reached[id] {
		return
	}
	reached[id] = true
	f, err := os.OpenFile(trace, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	fmt.Fprintln(f, id)
}
