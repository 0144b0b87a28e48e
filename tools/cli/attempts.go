package cli

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// attempts are the attempts of a tool to reach brokers and ZooKeeper servers, by address. Safe for
// concurrent use.
type attempts struct {
	mu      sync.Mutex
	failed  []*failure // since the last success of their address, in the order of the first one
	reached bool       // at least one attempt succeeded
}

// failure are the failed attempts for one address.
type failure struct {
	address, reason string // reason of the last attempt
	times           int
}

// Reached records that an address answered. Earlier failures of the address are forgotten.
func (e *Env) Reached(address string) {
	a := &e.attempts
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reached = true
	for i, f := range a.failed {
		if f.address == address {
			a.failed = append(a.failed[:i], a.failed[i+1:]...)
			return
		}
	}
}

// NotReached records that an address could not be reached, for the message of RunExplained.
func (e *Env) NotReached(address, reason string) {
	a := &e.attempts
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, f := range a.failed {
		if f.address == address {
			f.reason, f.times = reason, f.times+1
			return
		}
	}
	a.failed = append(a.failed, &failure{address, reason, 1})
}

// Unanswered records that the time of the tool ran out while it waited for an address. A failure of
// the address that is known already says more and stays.
func (e *Env) Unanswered(address string) {
	a := &e.attempts
	a.mu.Lock()
	known := slices.ContainsFunc(a.failed, func(f *failure) bool { return f.address == address })
	a.mu.Unlock()
	if !known {
		e.NotReached(address, "no answer in time")
	}
}

// RunExplained runs the program. If it fails, or if no address answered, it then prints a line to
// stderr with the addresses that could not be reached and the reasons. Kafka's programs print
// nothing of the kind; what they print is unchanged.
func (t Tool) RunExplained(env *Env, args []string) int {
	code := t.Run(env, args)
	a := &env.attempts
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.failed) == 0 || code == 0 && a.reached {
		return code
	}
	var tried []string
	for _, f := range a.failed {
		times := ""
		if f.times > 1 {
			times = fmt.Sprintf(" (%d times)", f.times)
		}
		tried = append(tried, f.address+times+": "+f.reason)
	}
	env.Complainf("Tried without success: %s.", strings.Join(tried, "; "))
	return code
}
