package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"

	"github.com/monedula/monedula/internal/testkit"
)

// roundBenchmarks are Go benchmarks of what a fetch costs with many idle partitions, with the names
// of their figures in the table.
var roundBenchmarks = []struct {
	pkg, bench, times string
	figures           []roundFigure
}{
	{"./replication", "LeaderRound", "2s", []roundFigure{{"ns/op", "leader's round of a follower's fetch", 500}}},
	{"./replication", "FollowerRound", "2s", []roundFigure{{"ns/op", "follower's round", 300}}},
	{"./replication", "ConsumerRound", "2s", []roundFigure{{"ns/op", "consumer's round, with a follower fetching too", 500}}},
	{"./broker/api", "AcksAllWithIdlePartitions", "20000x", []roundFigure{
		{"p50-µs", "acks=all over loopback, p50", 1000},
		{"p99-µs", "acks=all over loopback, p99", 0}}},
}

// roundFigure is a figure of a benchmark. below is its goal in µs; 0 means none.
type roundFigure struct {
	unit, name string
	below      float64
}

// measureRounds runs the benchmarks of rounds, on this tree only, with 10 and with 10,000
// partitions, of which all but one are idle.
func measureRounds(ctx context.Context, b *bench) error {
	b.report.note("Rounds: Go benchmarks of this tree within one process, one partition is busy and the others are idle.")
	for range b.sizes.rounds {
		for _, r := range roundBenchmarks {
			cmd := exec.CommandContext(ctx, "go", "test", r.pkg, "-run", "-", "-bench", r.bench+"$", "-benchtime", r.times)
			cmd.Dir, cmd.Stderr = testkit.Root(), os.Stderr
			out, err := cmd.Output()
			if err != nil {
				return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
			}
			for _, f := range r.figures {
				values := benchmarkFigures(out, f.unit)
				if len(values) == 0 {
					return fmt.Errorf("%s printed no %s:\n%s", strings.Join(cmd.Args, " "), f.unit, out)
				}
				for _, v := range values {
					if f.unit == "ns/op" {
						v.value /= 1000
					}
					b.report.metric(f.name+", "+v.of, "µs", goal{below: f.below}).add(b.ours, v.value)
					b.progress("  %s, %s: %s µs", f.name, v.of, number(v.value))
				}
			}
		}
	}
	return nil
}

// benchmarkFigure is a figure of one sub-benchmark, named by its parameters.
type benchmarkFigure struct {
	of    string
	value float64
}

// benchmarkParameters matches the name of a benchmark and captures what follows the first slash,
// without the number of processors.
var benchmarkParameters = regexp.MustCompile(`^Benchmark[^/]*/(\S+?)(?:-\d+)?$`)

// benchmarkFigures returns the figures with the given unit from the output of go test -bench.
func benchmarkFigures(out []byte, unit string) []benchmarkFigure {
	var all []benchmarkFigure
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 {
			continue
		}
		name := benchmarkParameters.FindStringSubmatch(fields[0])
		if name == nil {
			continue
		}
		for i := 1; i < len(fields); i++ {
			if v, err := strconv.ParseFloat(fields[i-1], 64); err == nil && fields[i] == unit {
				all = append(all, benchmarkFigure{name[1], v})
			}
		}
	}
	return all
}
