package simulation

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	seeds = flag.Int("seeds", 24, "number of seeds that TestSeeds runs")
	first = flag.Uint64("first", 1, "the first seed of TestSeeds")
	trace = flag.Uint64("seed", 0, "print the trace of this seed, with the brokers' log lines")
)

// TestSeeds runs many seeds; see `make sim`.
func TestSeeds(t *testing.T) {
	began := time.Now()
	var next, events, acked, faults, commits, failed atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(*seeds); n = next.Add(1) {
				r := Run(Swarm(*first + uint64(n) - 1))
				events.Add(int64(r.Events))
				acked.Add(int64(r.Acked))
				faults.Add(int64(r.Faults))
				commits.Add(int64(r.Committed))
				if r.Err != nil {
					failed.Add(1)
					t.Errorf("%v", r.Err)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d seeds, %d failed: %d events, %d faults, %d batches acknowledged, %d transactions committed, %v", *seeds, failed.Load(), events.Load(), faults.Load(), acked.Load(), commits.Load(), time.Since(began).Round(time.Millisecond))
	if acked.Load() < int64(*seeds)*20 {
		t.Errorf("only %d batches were acknowledged: the cluster was hardly ever available", acked.Load())
	}
}

func TestSeedsOfTransactions(t *testing.T) {
	commits := 0
	for seed := *first; seed < *first+uint64(*seeds); seed++ {
		r := RunTransactions(Config{Seed: seed})
		commits += r.Acked
		if r.Err != nil {
			t.Errorf("%v", r.Err)
		}
	}
	t.Logf("%d transactions committed", commits)
	if commits < *seeds*5 {
		t.Errorf("only %d transactions were committed", commits)
	}
}

// These seeds failed in the past. Three failed because of mistakes of the checker: it did not check
// a leader that had lost data of another partition; it expected a follower that had dropped a
// response to know the newest high watermark; and it missed records that were acknowledged in the
// moment in which the only log directory with them failed. The others found bugs: a controller kept
// a leader that had come back without its unsynced records before the controller looked; a
// controller that took over during a deletion took the old topic's mark for one of the new topic; a
// leader committed records at the end of a reassignment that were missing on a replica which was
// being removed but was still in sync; a follower that fetched by topic names made its leader
// forget the partition of a topic that was created again; a controller that canceled a reassignment
// dropped the only replica in sync, which was one that the reassignment was adding; a leader that
// missed two epochs counted records that a follower had truncated in the meantime; a compacted log
// lost the start of an epoch when it moved, so a follower kept records that were never committed; a
// coordinator wrote a marker after a decision that it had loaded, and that no other replica had; and one
// whose disk had failed before it loaded served no transactional ids; a truncation and a move that
// lowered the last stable offset did not wake a consumer. The rules failed as well: the check that a fetch is not settled was the first to notice a broken disk.
func TestSeedsThatOnceFailed(t *testing.T) {
	for _, seed := range []uint64{1666, 1990, 11417} {
		if r := Run(Config{Seed: seed}); r.Err != nil {
			t.Error(r.Err)
		}
	}
	for _, seed := range []uint64{66, 30479, 50555} {
		cfg := early(seed)
		cfg.Consumers = false // the seeds were found without consumers
		if r := Run(cfg); r.Err != nil {
			t.Error(r.Err)
		}
	}
	for _, seed := range []uint64{406714, 417903, 613894} {
		if r := Run(early(seed)); r.Err != nil {
			t.Error(r.Err)
		}
	}
	for _, seed := range []uint64{911042, 911623, 1007051} {
		cfg := Swarm(seed)
		cfg.Transactions = false // the seeds were found without transactions
		if r := Run(cfg); r.Err != nil {
			t.Error(r.Err)
		}
	}
	for _, seed := range []uint64{1, 1115, 5013, 5041, 2000278, 2000783} {
		if r := Run(Swarm(seed)); r.Err != nil {
			t.Error(r.Err)
		}
	}
}

// early returns the configuration of a seed that was found before topics were compacted, logs were
// moved and producers wrote transactions.
func early(seed uint64) Config {
	cfg := Swarm(seed)
	cfg.Compaction, cfg.LogMoves, cfg.Transactions = false, false, false
	return cfg
}

func TestTheSameSeedGivesTheSameTrace(t *testing.T) {
	for seed := *first; seed < *first+3; seed++ {
		var traces [2]bytes.Buffer
		for i := range traces {
			if r := Run(withTrace(Swarm(seed), &traces[i])); r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		if traces[0].Len() < 10_000 {
			t.Fatalf("seed %d has a trace of %d bytes only", seed, traces[0].Len())
		}
		a, b := bytes.Split(traces[0].Bytes(), []byte("\n")), bytes.Split(traces[1].Bytes(), []byte("\n"))
		for i := range min(len(a), len(b)) {
			if !bytes.Equal(a[i], b[i]) {
				t.Fatalf("seed %d, line %d: %s\nthen: %s", seed, i+1, a[i], b[i])
			}
		}
		if len(a) != len(b) {
			t.Fatalf("seed %d: %d lines, then %d", seed, len(a), len(b))
		}
	}
}

func withTrace(cfg Config, w io.Writer) Config {
	cfg.Trace = w
	return cfg
}

func TestTraceOfOneSeed(t *testing.T) {
	if *trace == 0 {
		*trace = 1
		if r := Run(Swarm(*trace)); r.Err != nil {
			t.Error(r.Err)
		}
		return
	}
	cfg := Swarm(*trace)
	cfg.Trace, cfg.Logs = os.Stdout, os.Stdout
	r := Run(cfg)
	fmt.Printf("%+v\n", r)
}
