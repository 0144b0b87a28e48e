//go:build !race

// The tests in this file measure processor time, so they do not run with the race detector.

package group

import (
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/monedula/monedula/protocol"
)

// cpuTime returns the processor time that the current thread has used. Unlike the elapsed time it
// does not depend on other processes.
func cpuTime(t *testing.T) time.Duration {
	const rusageThread = 1
	var used syscall.Rusage
	if err := syscall.Getrusage(rusageThread, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// large returns a stable group of n members, and a time at which no session has expired.
func large(n int) (g *Group, now time.Time) {
	now = time.UnixMilli(1_000_000)
	g = New("g", Rules{MaxSize: n}, now)
	protocol := "range"
	g.state, g.generation, g.protocolType, g.protocol = Stable, 1, "consumer", &protocol
	offered := []Protocol{{protocol, nil}}
	for i := range n {
		g.members.add(&Member{ID: fmt.Sprint("m-", i), SessionTimeoutMs: 10_000, RebalanceTimeoutMs: 10_000, protocols: offered})
	}
	g.Loaded(now)
	return g, now
}

// withTransactions returns a group with n open transactions, each with a commit for a partition of
// its own.
func withTransactions(n int) (g *Group, partitions []TopicPartition) {
	g = New("g", Rules{}, time.UnixMilli(0))
	for i := range n {
		c := commitOf("t", int32(i), 1)
		g.offsets.stageTxn(int64(i), []Commit{c})
		partitions = append(partitions, c.Partition)
	}
	return g, partitions
}

// The cost of one request or one deadline is linear in the size of the group. A quadratic cost
// would hold the group's lock for minutes.
func TestStepsOfLargeGroupsCostNoMoreThanTheirSize(t *testing.T) {
	for what, prepare := range map[string]func(n int) func(){
		"joining": func(n int) func() {
			g, now := large(n)
			g.rules.MaxSize = 2 * n
			return func() {
				for i := range n {
					g.Join(now, JoinRequest{NewMemberID: fmt.Sprint("n-", i), SessionTimeoutMs: 10_000, RebalanceTimeoutMs: 10_000,
						ProtocolType: "consumer", Protocols: []Protocol{{"range", nil}}}, nil)
				}
			}
		},
		"leaving in one request": func(n int) func() {
			n *= 2 // moving the rest of a list costs little for each member
			g, now := large(n)
			leaving := make([]Leaving, n)
			for i := range leaving {
				leaving[i].MemberID = fmt.Sprint("m-", (i+n/2)%n)
			}
			return func() {
				codes, _, _ := g.Leave(now, leaving)
				if i := slices.IndexFunc(codes, func(code protocol.ErrorCode) bool { return code != protocol.None }); i >= 0 || g.State() != Empty {
					t.Fatalf("a member gets the code %s, the group is %s", codes[max(i, 0)].Name(), g.State())
				}
			}
		},
		"a rebalance that no member joins": func(n int) func() {
			n *= 2 // moving the rest of a list costs little for each member
			g, now := large(n)
			g.Leave(now, []Leaving{{MemberID: "m-0"}})
			now = now.Add(time.Minute)
			return func() { g.Expire(now) }
		},
		"sessions that expire together": func(n int) func() {
			n *= 2 // moving the rest of a list costs little for each member
			g, now := large(n)
			now = now.Add(time.Minute)
			return func() { g.Expire(now) }
		},
		"describing": func(n int) func() {
			g, _ := large(n)
			return func() { g.describe() }
		},
		"fetching stable offsets": func(n int) func() {
			g, partitions := withTransactions(n)
			return func() {
				for _, f := range g.offsets.fetch(partitions, true) {
					if f.Err != protocol.UnstableOffsetCommit {
						t.Fatalf("the offset of %v has the code %s", f.Partition, f.Err.Name())
					}
				}
			}
		},
		"removing offsets": func(n int) func() {
			g, partitions := withTransactions(n)
			return func() {
				if g.offsets.remove(partitions); !g.offsets.empty() {
					t.Fatal("commits remain")
				}
			}
		},
		"ending transactions": func(n int) func() {
			g, _ := withTransactions(n)
			return func() {
				for i := range n {
					g.offsets.endTxn(int64(i), true)
				}
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			run := prepare(100_000)
			runtime.GC()
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			began := cpuTime(t)
			run()
			took := cpuTime(t) - began
			t.Logf("took %v", took)
			if took > 2*time.Second {
				t.Errorf("took %v of processor time, usually less than 200ms", took)
			}
		})
	}
}
