// Command bench compares the broker of this tree with that of Apache Kafka, alternately in the same
// run, and prints one table. scripts/bench.sh builds and runs it:
//
//	scripts/bench.sh [-quick] [-ours] [-rounds N] [-partitions N] [-recovery-gb N] [-out FILE] [MEASUREMENT...]
//
// Missed goals are marked in the table. The exit code is 0 unless a measurement failed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/monedula/monedula/internal/testkit"
)

// originalVersion is the release of Apache Kafka that this tree is compared with.
const originalVersion = "3.9.1"

// measurement is one thing to measure. Each is in a file of its own and adds its rows to the
// report.
type measurement struct {
	name string
	run  func(context.Context, *bench) error
}

// measurements lists the measurements in the order in which they run.
var measurements = []measurement{
	{"start", measureStart},
	{"memory", measureIdleMemory},
	{"throughput", measureThroughput},
	{"latency", measureLatency},
	{"tools", measureTools},
	{"group-rebalance", measureRebalance},
	{"group-commits", measureCommits},
	{"group-memory", measureGroupMemory},
	{"transactions", measureTransactions},
	{"streams", measureStreams},
	{"transaction-load", measureTxnLoad},
	{"cleaner", measureCleaner},
	{"recovery", measureRecovery},
	{"cluster-load", measureClusterLoad},
	{"cluster-latency", measureClusterLatency},
	{"cluster-topics", measureClusterTopics},
	{"cluster-failover", measureFailover},
	{"cluster-shutdown", measureShutdown},
	{"group-load", measureGroupLoad},
	{"cluster-partitions", measureManyPartitions},
	{"cluster-stop", measureClusterStop},
	{"fetch-rounds", measureRounds},
}

// sizes says how much is measured.
type sizes struct {
	limit         time.Duration // of the whole run
	rounds        int           // turns of each side
	session       time.Duration // ZooKeeper session timeout of both brokers
	idle          time.Duration // from the start of a broker until its idle memory is read
	warmUp        time.Duration // load before a warm broker is measured
	largeBytes    int64         // written in a round with large batches
	smallBytes    int64         // written in a round with small batches
	fetchBytes    int64         // read back in a round, in as many passes as needed
	latency       time.Duration // length of a round, without its own warm-up
	recoveryBytes int64
	toolRepeats   int // runs of our tools in a round

	clusterPart    int64 // rounds of load on clusters are smaller by this factor
	partitions     int   // of the topics that are created, deleted and fail over
	manyPartitions int   // of a broker while its idle memory is read

	commits       time.Duration // length of a round of offset commits
	groups        int           // on a broker while its memory is read
	loadedCommits int           // in the partition of the offsets topic that is loaded

	transactions time.Duration // length of a round of transactions
	cleanBytes   int64         // of a log to compact
	loadedIDs    int           // in the partition of the transaction topic that is loaded
	streamsPairs int           // pairs of inputs of the Streams application in a round
}

// clusterBytes returns how many bytes a round writes to a cluster.
func (z sizes) clusterBytes(s shape) int64 { return s.bytes / z.clusterPart }

func fullSizes() sizes {
	return sizes{limit: 120 * time.Minute, rounds: 5, session: 6 * time.Second, idle: 5 * time.Second, warmUp: 30 * time.Second,
		largeBytes: 1 << 30, smallBytes: 256 << 20, fetchBytes: 2 << 30, latency: 15 * time.Second, recoveryBytes: 5e9, toolRepeats: 4,
		clusterPart: 4, partitions: 2000, manyPartitions: 10_000,
		commits: 10 * time.Second, groups: 10_000, loadedCommits: 1_000_000,
		transactions: 10 * time.Second, cleanBytes: 512 << 20, loadedIDs: 1_000_000, streamsPairs: 100_000}
}

func quickSizes() sizes {
	return sizes{limit: 20 * time.Minute, rounds: 2, session: 4 * time.Second, idle: 2 * time.Second, warmUp: 15 * time.Second,
		largeBytes: 128 << 20, smallBytes: 32 << 20, fetchBytes: 128 << 20, latency: 3 * time.Second, recoveryBytes: 3e8, toolRepeats: 10,
		clusterPart: 1, partitions: 300, manyPartitions: 1000,
		commits: 3 * time.Second, groups: 2000, loadedCommits: 100_000,
		transactions: 2 * time.Second, cleanBytes: 64 << 20, loadedIDs: 100_000, streamsPairs: 5000}
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	quick := flags.Bool("quick", os.Getenv("BENCH_QUICK") == "1", "small sizes and two rounds, in under 20 minutes (also BENCH_QUICK=1)")
	partitions := flags.Int("partitions", 0, "`number` of partitions of the topics that are created, deleted and fail over (default 2000, quick 300)")
	warmUp := flags.Duration("warm-up", 0, "how long to load a warm broker before it is measured (default 30s, quick 15s)")
	rounds := flags.Int("rounds", 0, "`number` of turns of each side (default 5, quick 2)")
	recovery := flags.Float64("recovery-gb", 0, "size of the log to recover in `GB` (default 5, quick 0.3)")
	alone := flags.Bool("ours", false, "measure only this tree, without Apache Kafka")
	keep := flags.Bool("keep", false, "keep the work directory, including the logs")
	out := flags.String("out", os.Getenv("BENCH_OUT"), "also write the final output to this `file` (also BENCH_OUT)")
	work := flags.String("work", "", "work `directory`, removed at the end (default: a new one below TMPDIR)")
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "usage: scripts/bench.sh [OPTION...] [MEASUREMENT...]\nmeasurements (default: all): %s\n", strings.Join(names(), " "))
		flags.PrintDefaults()
	}
	_ = flags.Parse(args)
	chosen, err := choose(flags.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	z := fullSizes()
	if *quick {
		z = quickSizes()
	}
	if *rounds > 0 {
		z.rounds = *rounds
	}
	if *warmUp > 0 {
		z.warmUp = *warmUp
	}
	if *partitions > 0 {
		z.partitions = *partitions
	}
	if *recovery > 0 {
		z.recoveryBytes = int64(*recovery * 1e9)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	if err := measureAll(ctx, z, chosen, options{work: *work, out: *out, alone: *alone, keep: *keep}); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		if ctx.Err() != nil {
			return 130
		}
		return 1
	}
	return 0
}

func names() []string {
	var all []string
	for _, m := range measurements {
		all = append(all, m.name)
	}
	return all
}

// choose returns the measurements with these names, in their own order, or all if no name is given.
func choose(wanted []string) ([]measurement, error) {
	for _, w := range wanted {
		if !slices.Contains(names(), w) {
			return nil, fmt.Errorf("unknown measurement %q; the measurements are: %s", w, strings.Join(names(), " "))
		}
	}
	var chosen []measurement
	for _, m := range measurements {
		if len(wanted) == 0 || slices.Contains(wanted, m.name) {
			chosen = append(chosen, m)
		}
	}
	return chosen, nil
}

// options are the options of a run.
type options struct {
	work, out   string // directory for data; file for the table, "" for none
	alone, keep bool   // see bench
}

// measureAll runs the measurements and prints the table of what was measured, even if some
// measurements failed or the run was interrupted.
func measureAll(ctx context.Context, z sizes, chosen []measurement, o options) error {
	limited, cancel := context.WithTimeoutCause(ctx, z.limit, fmt.Errorf("the run took longer than its limit of %v", z.limit))
	defer cancel()
	begin := time.Now()
	b, err := newBench(z, o.work)
	if err != nil {
		return err
	}
	b.alone, b.keep = o.alone, o.keep
	defer b.close()
	var failed error
	for _, m := range chosen {
		b.progress("[%4.0f s] %s", time.Since(begin).Seconds(), m.name)
		if err := m.run(limited, b); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", m.name, err))
			b.report.note("The measurement %q failed and is incomplete.", m.name)
			if limited.Err() != nil {
				break
			}
			b.progress("  failed: %v", err)
			b.coolDown()
		}
	}
	b.progress("[%4.0f s] done", time.Since(begin).Seconds())
	return errors.Join(failed, b.print(o.out))
}

// print writes the header and the table to stdout and, if out is not "", to that file.
func (b *bench) print(out string) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n\n", machine(b.work, b.sizes))
	b.report.write(&text)
	if _, err := io.WriteString(os.Stdout, "\n"+text.String()); err != nil {
		return err
	}
	if out == "" {
		return nil
	}
	return os.WriteFile(out, []byte(text.String()), 0o644)
}

// bench is one run.
type bench struct {
	sizes     sizes
	alone     bool // leave out the original
	keep      bool // keep the work directory
	report    *report
	work      string
	zookeeper *testkit.Ensemble
	ours      *side
	original  *side

	warmed     map[*side]*broker  // brokers that are up and warm
	clusters   map[*side]*cluster // clusters that are up and warm
	chroots    int                // number of chroot names handed out
	topics     int                // number of topic names handed out
	toolRounds int                // number of runs of a tool
}

func newBench(z sizes, work string) (*bench, error) {
	jars, err := testkit.Script("scripts/kafka-jars.sh", originalVersion)
	if err != nil {
		return nil, err
	}
	if work == "" {
		if work, err = os.MkdirTemp("", "monedula-bench-"); err != nil {
			return nil, err
		}
	}
	b := &bench{sizes: z, work: work, warmed: map[*side]*broker{}, clusters: map[*side]*cluster{}, ours: ourSide()}
	if b.original, err = originalSide(work, jars, originalVersion); err == nil {
		b.report = &report{ours: b.ours.name, original: b.original.name}
		err = checkSpace(work, 3*z.recoveryBytes+4<<30)
	}
	if err == nil {
		dir := filepath.Join(work, "zookeeper")
		if err = os.MkdirAll(dir, 0o755); err == nil {
			b.zookeeper, err = testkit.ZooKeeperRelease{}.Start(dir)
		}
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// close stops what is still running and removes the work directory.
func (b *bench) close() {
	b.coolDown()
	if b.zookeeper != nil {
		b.zookeeper.Kill()
	}
	if b.keep {
		b.progress("kept: %s", b.work)
		return
	}
	_ = os.RemoveAll(b.work)
}

func (b *bench) sides() []*side {
	if b.alone {
		return []*side{b.ours}
	}
	return []*side{b.ours, b.original}
}

// alternate runs both sides once in each round. They take turns at being first, so neither side
// always runs after the other. What one side wrote is on disk before the other begins.
func (b *bench) alternate(ctx context.Context, turn func(context.Context, *side) error) error {
	order := b.sides()
	for range b.sizes.rounds {
		for _, s := range order {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := syncDisk(b.work); err != nil {
				return err
			}
			if err := turn(ctx, s); err != nil {
				return err
			}
		}
		slices.Reverse(order)
	}
	return nil
}

// warm returns the side's broker that stays up for all measurements of a warm broker. The first
// call starts both sides' brokers and puts them under load, one after the other.
func (b *bench) warm(ctx context.Context, s *side) (*broker, error) {
	if br := b.warmed[s]; br != nil {
		return br, nil
	}
	b.coolClusters()
	b.report.note("Load, latency and tools: both brokers were under load for %v each beforehand and stay up all the time; while one broker is measured, the other is idle.", b.sizes.warmUp)
	if b.sizes.warmUp < fullSizes().warmUp {
		b.report.note("After such a short load the original still runs much code that is not compiled yet: its CPU and latency figures are too high, and the ratios are too good for ours. Only a full run counts.")
	}
	for _, each := range b.sides() {
		br, err := b.newClusterBroker(each, b.newChroot(), 0, groupProperties...)
		if err != nil {
			return nil, err
		}
		b.warmed[each] = br
		if _, _, err := br.startServing(ctx, "ready", 1); err != nil {
			return nil, err
		}
		b.progress("  %s: warming for %v", each.name, b.sizes.warmUp)
		if err := b.warmUp(ctx, br); err != nil {
			return nil, err
		}
	}
	return b.warmed[s], nil
}

// warmUp puts every shape of load on a broker in turn.
func (b *bench) warmUp(ctx context.Context, br *broker) error {
	for until := time.Now().Add(b.sizes.warmUp); time.Now().Before(until); {
		for _, s := range b.sizes.shapes() {
			s.bytes /= 8
			topic := b.newTopic("warm")
			if err := createTopic(ctx, br, topic, loadPartitions); err != nil {
				return err
			}
			if _, err := produce(ctx, br, topic, s, &batchMeter{}); err != nil {
				return err
			}
			if _, err := fetch(ctx, br, topic, s.records()); err != nil {
				return err
			}
			if err := deleteTopic(ctx, br, topic); err != nil {
				return err
			}
		}
	}
	return nil
}

// coolDown stops the warm brokers and clusters.
func (b *bench) coolDown() {
	b.coolClusters()
	b.coolBrokers()
}

func (b *bench) coolClusters() {
	for s, c := range b.clusters {
		_ = c.remove()
		delete(b.clusters, s)
	}
}

func (b *bench) coolBrokers() {
	for s, br := range b.warmed {
		br.remove()
		delete(b.warmed, s)
	}
}

// newTopic returns a topic name that was not used in this run.
func (b *bench) newTopic(what string) string {
	b.topics++
	return fmt.Sprintf("%s-%d", what, b.topics)
}

// newChroot returns a chroot that was not used in this run.
func (b *bench) newChroot() string {
	b.chroots++
	return fmt.Sprintf("/c%d", b.chroots)
}

func (b *bench) progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func last(samples []float64) float64 { return samples[len(samples)-1] }
