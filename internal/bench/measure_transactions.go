package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// Goals of transactions, compaction and loading: twice the speed of the original.
var (
	twiceTheRate = goal{atLeast: 2}
	halfTheTime  = goal{ratio: 0.5}
)

// txnPartitions is the number of partitions of the topic of the transactions.
const txnPartitions = 20

// txnLoad is a load of small transactions. Each producer writes to the given number of partitions in
// each transaction.
type txnLoad struct{ producers, partitions int }

func (l txnLoad) String() string {
	return fmt.Sprintf("transactions of %s by %s", counted(l.partitions, "partition"), counted(l.producers, "producer"))
}

// counted returns "1 thing" or "N things".
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// partitionsOf returns the partitions to which a producer writes. Producers that write to one
// partition are spread over all.
func (l txnLoad) partitionsOf(producer int) []int32 {
	indexes := make([]int32, l.partitions)
	for i := range indexes {
		indexes[i] = int32((producer + i) % txnPartitions)
	}
	return indexes
}

func txnLoads() (all []txnLoad) {
	for _, partitions := range []int{1, txnPartitions} {
		for _, producers := range []int{1, 10, 100} {
			all = append(all, txnLoad{producers, partitions})
		}
	}
	return all
}

// measureTransactions lets producers commit one small transaction after the other.
func measureTransactions(ctx context.Context, b *bench) error {
	b.report.note("Transactions: each writes a record of %d bytes to each of its partitions; a producer repeats a request that meets its last transaction still incomplete after %v, clients after 20 ms. The latency of a commit is that of EndTxn. It leaves out how long a producer waits before its next transaction can begin, which that from the begin includes: the faster broker has more commits at the same time.", txnValueBytes, concurrentPause)
	warmed := map[*side]bool{}
	for _, load := range txnLoads() {
		err := b.alternate(ctx, func(ctx context.Context, s *side) error {
			br, err := b.warm(ctx, s)
			if err != nil {
				return err
			}
			if !warmed[s] {
				warmed[s] = true
				if err := b.warmUpTransactions(ctx, br); err != nil {
					return err
				}
			}
			return b.measureTxnLoad(ctx, br, load)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// warmUpTransactions puts each load of transactions on a broker.
func (b *bench) warmUpTransactions(ctx context.Context, br *broker) error {
	topic := b.newTopic("txn-warm")
	if err := createTopic(ctx, br, topic, txnPartitions); err != nil {
		return err
	}
	loads := txnLoads()
	for _, load := range loads {
		if _, err := load.run(ctx, br, topic, topic, b.sizes.warmUp/time.Duration(len(loads))); err != nil {
			return err
		}
	}
	return deleteTopic(ctx, br, topic)
}

func (b *bench) measureTxnLoad(ctx context.Context, br *broker, load txnLoad) error {
	row := func(what, unit string, g goal) *metric { return b.report.metric(load.String()+what, unit, g) }
	rate, cpu := row("", "1/s", twiceTheRate), row(", broker CPU for each", "us", halfTheTime)
	p50, p99 := row(", commit p50", "ms", halfTheTime), row(", commit p99", "ms", halfTheTime)
	whole50, whole99 := row(", from the begin p50", "ms", halfTheTime), row(", from the begin p99", "ms", halfTheTime)
	memory := b.report.metric("resident memory under transactions, highest", "MiB", memoryGoal)

	topic := b.newTopic("txn")
	if err := createTopic(ctx, br, topic, txnPartitions); err != nil {
		return err
	}
	if _, err := load.run(ctx, br, topic, topic, b.sizes.transactions/10); err != nil { // the first transactions of the ids do not count
		return err
	}
	resident := watchMemory(br)
	defer func() { memory.add(br.side, resident()) }()
	var done txnRun
	spent, took, err := charge([]*broker{br}, func() (time.Duration, error) {
		begin := time.Now()
		var err error
		done, err = load.run(ctx, br, topic, topic, b.sizes.transactions)
		return time.Since(begin), err
	})
	if err != nil {
		return err
	}
	slices.Sort(done.commits)
	slices.Sort(done.wholes)
	count := float64(len(done.commits))
	rate.add(br.side, count/took.Seconds())
	cpu.add(br.side, spent*1e6/count)
	p50.add(br.side, percentile(done.commits, 0.5))
	p99.add(br.side, percentile(done.commits, 0.99))
	whole50.add(br.side, percentile(done.wholes, 0.5))
	whole99.add(br.side, percentile(done.wholes, 0.99))
	b.progress("  %s, %s: %.0f/s, commit p50 %.2f ms, p99 %.2f ms, %.0f us of CPU each, %.1f repeated requests each", br.name, load,
		last(rate.samples[br.name]), last(p50.samples[br.name]), last(p99.samples[br.name]), last(cpu.samples[br.name]), float64(done.conflicts)/count)
	return deleteTopic(ctx, br, topic)
}

// txnRun is what producers did: how many ms each commit and each whole transaction took, and how many
// requests met an incomplete transaction.
type txnRun struct {
	commits   []float64
	wholes    []float64
	conflicts int
}

// run lets the producers commit transactions for the given time.
func (l txnLoad) run(ctx context.Context, br *broker, prefix, topic string, length time.Duration) (done txnRun, err error) {
	var mu sync.Mutex // guards done
	until := time.Now().Add(length)
	err = eachClient(ctx, br, l.producers, func(conn net.Conn, i int) error {
		p, err := newTxnProducer(conn, fmt.Sprintf("%s-%d", prefix, i), topic, l.partitionsOf(i))
		if err != nil {
			return err
		}
		for ok := true; ok; ok = time.Now().Before(until) {
			if err := p.commitOne(); err != nil {
				return err
			}
		}
		mu.Lock()
		defer mu.Unlock()
		done.commits = append(done.commits, p.commits...)
		done.wholes = append(done.wholes, p.wholes...)
		done.conflicts += p.conflict
		return nil
	})
	return done, err
}
