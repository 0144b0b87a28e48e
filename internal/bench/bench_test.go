package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMedianAndPercentileOfUnsortedAndSmallSamples(t *testing.T) {
	for _, c := range []struct {
		samples []float64
		want    float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(c.samples); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.samples, got, c.want)
		}
	}
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(i + 1)
	}
	for p, want := range map[float64]float64{0.5: 50, 0.99: 99, 0.999: 100, 0: 1, 1: 100} {
		if got := percentile(hundred, p); got != want {
			t.Errorf("percentile(1..100, %v) = %v, want %v", p, got, want)
		}
	}
}

func TestTheTableShowsMediansSpreadRatioAndMissedGoals(t *testing.T) {
	ours, original := &side{name: "Ours"}, &side{name: "Original"}
	r := &report{ours: ours.name, original: original.name}
	fill := func(m *metric, o, theirs []float64) {
		for _, v := range o {
			m.add(ours, v)
		}
		for _, v := range theirs {
			m.add(original, v)
		}
	}
	fill(r.metric("start", "ms", goal{ratio: 0.1}), []float64{90, 110, 100}, []float64{2000, 1000, 3000})
	fill(r.metric("memory", "MiB", goal{ratio: 0.1}), []float64{41}, []float64{400})
	fill(r.metric("tool", "ms", goal{below: 50}), []float64{49.9, 12, 3}, nil)
	fill(r.metric("slow tool", "ms", goal{below: 50}), []float64{50}, nil)
	fill(r.metric("rate", "MB/s", goal{}), []float64{0.5}, []float64{1})
	fill(r.metric("speed", "1/s", goal{atLeast: 2}), []float64{30}, []float64{15})
	fill(r.metric("low speed", "1/s", goal{atLeast: 2}), []float64{20}, []float64{11})
	r.note("one")
	r.note("one")
	var b bytes.Buffer
	r.write(&b)
	want := `| Measurement | Unit | Ours             | Original         | Ratio | Goal         | Reached |
|-------------|------|------------------|------------------|-------|--------------|---------|
| start       | ms   | 100 (90.0-110)   | 2000 (1000-3000) | 0.050 | ratio <= 0.1 | yes     |
| memory      | MiB  | 41.0             | 400              | 0.102 | ratio <= 0.1 | MISSED  |
| tool        | ms   | 12.0 (3.00-49.9) | -                | -     | < 50         | yes     |
| slow tool   | ms   | 50.0             | -                | -     | < 50         | MISSED  |
| rate        | MB/s | 0.500            | 1.00             | 0.500 | -            | -       |
| speed       | 1/s  | 30.0             | 15.0             | 2.000 | ratio >= 2   | yes     |
| low speed   | 1/s  | 20.0             | 11.0             | 1.818 | ratio >= 2   | MISSED  |

- one
`
	if got := b.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestFiguresOfGoBenchmarksAreParsedByUnit(t *testing.T) {
	out := []byte(`goos: linux
BenchmarkRound/partitions=10-2         	  154219	     15512 ns/op	        79.50 p50-µs	     592 B/op
BenchmarkRound/partitions=10000        	   54219	     41200 ns/op	        81 p50-µs
PASS
`)
	for unit, want := range map[string][]benchmarkFigure{
		"ns/op":  {{"partitions=10", 15512}, {"partitions=10000", 41200}},
		"p50-µs": {{"partitions=10", 79.5}, {"partitions=10000", 81}},
		"B/op":   {{"partitions=10", 592}},
		"MB/s":   nil,
	} {
		if got := benchmarkFigures(out, unit); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", unit, got, want)
		}
	}
}

func TestCPUTimeOfAProcessGrowsWithItsWork(t *testing.T) {
	before, err := cpuSeconds(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		after, err := cpuSeconds(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if after-before > 0.01 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after 10 s of work the CPU clock has moved by %v s", after-before)
		}
	}
}

func TestMemoryIsReadFromTheStatusOfAProcess(t *testing.T) {
	now, most, err := residentMiB(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if now < 1 || most < now {
		t.Errorf("resident %v MiB, at most %v MiB", now, most)
	}
	if _, err := statusMiB("VmPeak:\t 10 kB\n", "VmRSS"); err == nil || !strings.Contains(err.Error(), "VmRSS") {
		t.Errorf("error for a missing line: %v", err)
	}
}

func TestChosenMeasurementsAreKnownAndInOrder(t *testing.T) {
	chosen, err := choose([]string{"latency", "start"})
	if err != nil || len(chosen) != 2 || chosen[0].name != "start" || chosen[1].name != "latency" {
		t.Errorf("chose %v, %v", chosen, err)
	}
	if all, err := choose(nil); err != nil || len(all) != len(measurements) {
		t.Errorf("chose %d of %d, %v", len(all), len(measurements), err)
	}
	if _, err := choose([]string{"speed"}); err == nil || !strings.Contains(err.Error(), "start memory") {
		t.Errorf("error for an unknown measurement: %v", err)
	}
}

func TestTheUseOfTheHeapIsParsedFromJcmd(t *testing.T) {
	info := "1234:\n garbage-first heap   total 1048576K, used 34816K [0x00000000c0000000, 0x0000000100000000)\n  region size 1024K\n"
	if used, err := usedHeapMiB(info); err != nil || used != 34 {
		t.Errorf("read %v MiB, %v; want 34", used, err)
	}
	if _, err := usedHeapMiB("no heap"); err == nil {
		t.Error("no error for text without a heap")
	}
}

func TestAGroupIsStableWhenAllMembersHaveTheSameGeneration(t *testing.T) {
	stable := make(chan stableAt, 10)
	begin := time.Now()
	// In generation 1 the second member is missing. Generation 2 has both.
	for _, s := range []stableAt{{generation: 1, members: 1}, {generation: 2, members: 2}, {generation: 2}} {
		s.at = begin
		stable <- s
	}
	if at, err := awaitStable(t.Context(), 2, stable); err != nil || at != begin || len(stable) != 0 {
		t.Errorf("stable at %v, %v", at, err)
	}
}

func TestOffsetsPartitionIsThatOfJava(t *testing.T) {
	// String.hashCode of "a" is 97.
	if got := offsetsPartition("a"); got != 97%50 {
		t.Errorf("partition %d, want %d", got, 97%50)
	}
}
