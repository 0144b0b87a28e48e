package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/monedula/monedula/record"
)

// cleanShape is a kind of log to compact.
type cleanShape struct {
	name       string
	valueBytes int
}

var cleanShapes = []cleanShape{{"1 KiB records", 1024}, {"100 B records", 100}}

const (
	cleanSegments   = 8       // of a log to compact
	cleanBatchBytes = 16_384  // of record values; the default batch.size of producers
	valuesOfEachKey = 4       // on average
	cleanSeed       = 9184057 // of the order of the keys
)

// cleanerProperties make the cleaner look for work often.
var cleanerProperties = []string{"log.cleaner.backoff.ms=100"}

// measureCleaner lets the cleaner compact logs, one after the other, that are the same on both sides.
func measureCleaner(ctx context.Context, b *bench) error {
	b.report.note("Cleaner: logs of %d MiB without compression, in batches of 16 KiB; each key occurs %d times on average, at random; both sides read the same files, from the page cache where memory allows. The time is that between two lines of the broker's log. The first cleaning of each broker is not counted.",
		b.sizes.cleanBytes>>20, valuesOfEachKey)
	b.coolDown()
	for _, shape := range cleanShapes {
		if err := b.measureCleanShape(ctx, shape); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) measureCleanShape(ctx context.Context, shape cleanShape) error {
	log, err := b.newPreparedLog(b.newTopic("prepared"), b.sizes.cleanBytes/cleanSegments)
	if err != nil {
		return err
	}
	defer os.RemoveAll(log.dir)
	if err := log.fillWithKeys(shape, b.sizes.cleanBytes); err != nil {
		return err
	}
	cleaners := map[*side]*cleaner{}
	for _, s := range b.sides() {
		br, err := b.newClusterBroker(s, b.newChroot(), 0, cleanerProperties...)
		if err != nil {
			return err
		}
		defer br.remove()
		cleaners[s] = &cleaner{br: br, log: log}
		if err := cleaners[s].start(ctx, b.sizes); err != nil {
			return err
		}
	}
	row := func(what, unit string, g goal) *metric {
		return b.report.metric("cleaner: "+what+", "+shape.name, unit, g)
	}
	rate, cpu, memory := row("read", "MB/s", twiceTheRate), row("broker CPU per GB", "s/GB", halfTheTime), row("resident memory, highest", "MiB", memoryGoal)
	above, left := row("the same, above that of the idle broker", "MiB", memoryGoal), row("size of the log afterwards", "MiB", goal{})
	return b.alternate(ctx, func(ctx context.Context, s *side) error {
		c := cleaners[s]
		done, err := c.cleanNext(ctx)
		if err != nil {
			return err
		}
		rate.add(s, float64(done.bytes)/1e6/done.took.Seconds())
		cpu.add(s, done.cpu/(float64(done.bytes)/1e9))
		memory.add(s, done.peak)
		above.add(s, done.peak-c.idle)
		left.add(s, float64(done.left)/(1<<20))
		b.progress("  %s, %s: %.0f MB/s, %.2f s/GB, %.0f MiB, %.0f MiB of log left", s.name, shape.name,
			last(rate.samples[s.name]), last(cpu.samples[s.name]), done.peak, last(left.samples[s.name]))
		return nil
	})
}

// fillWithKeys writes records with keys that repeat in a random order, and one more segment that will
// be the active one.
func (l *preparedLog) fillWithKeys(shape cleanShape, bytes int64) error {
	random := rand.New(rand.NewPCG(cleanSeed, uint64(shape.valueBytes)))
	keys := max(1, int(bytes)/shape.valueBytes/valuesOfEachKey)
	value := append(payload(), payload()...)
	records := max(1, cleanBatchBytes/shape.valueBytes)
	batch := func(b *record.Builder) error {
		for range records {
			from := random.IntN(recordBytes)
			if err := b.Append(1_700_000_000_000, fmt.Appendf(nil, "key-%012d", random.IntN(keys)), value[from:from+shape.valueBytes]); err != nil {
				return err
			}
		}
		return nil
	}
	for written := int64(0); written < bytes; written += int64(records * shape.valueBytes) {
		if err := l.append(batch); err != nil {
			return err
		}
	}
	if err := l.roll(); err != nil {
		return err
	}
	if err := l.append(batch); err != nil {
		return err
	}
	return l.finish()
}

// cleaner is a broker with topics to compact, one for each round and one to begin with.
type cleaner struct {
	br    *broker
	log   *preparedLog // of all topics
	idle  float64      // resident memory before the first cleaning, in MiB
	round int          // the next one
}

// compactedTopic returns the topic that is cleaned in a round.
func compactedTopic(round int) string { return fmt.Sprintf("compacted-%d", round) }

// start starts the broker with a topic for each round and compacts the first one.
func (c *cleaner) start(ctx context.Context, z sizes) (err error) {
	if _, _, err := c.br.startServing(ctx, "ready", 1); err != nil {
		return err
	}
	var topics []string
	for round := range z.rounds + 1 {
		topic := compactedTopic(round)
		topics = append(topics, topic)
		if err := createTopic(ctx, c.br, topic, 1,
			"retention.ms=-1", "min.cleanable.dirty.ratio=0", fmt.Sprint("segment.bytes=", c.log.segmentBytes)); err != nil {
			return err
		}
	}
	if err := c.log.stopAndPlace(ctx, c.br, topics...); err != nil {
		return err
	}
	if _, _, err := c.br.startServing(ctx, "ready", 1); err != nil {
		return err
	}
	for _, topic := range topics {
		if end, err := endOffsets(ctx, c.br, topic, 1); err != nil || end != int64(c.log.next) {
			return fmt.Errorf("%s: %s ends at %d after a log up to %d was placed there: %w", c.br.name, topic, end, c.log.next, err)
		}
	}
	if err := pause(ctx, z.idle); err != nil {
		return err
	}
	if c.idle, _, err = residentMiB(c.br.pid()); err != nil {
		return err
	}
	_, err = c.cleanNext(ctx)
	return err
}

// cleaning is the figures of a cleaning.
type cleaning struct {
	bytes, left int64 // before and afterwards
	took        time.Duration
	cpu         float64 // seconds
	peak        float64 // resident memory in MiB
}

// cleanNext makes the next topic a compacted one and waits until it is cleaned.
func (c *cleaner) cleanNext(ctx context.Context) (done cleaning, err error) {
	topic := compactedTopic(c.round)
	c.round++
	bytes, end := c.log.inactive()
	done.bytes = bytes
	cleaned := fmt.Sprintf("cleaned log %s-0 (dirty section = [0, %d])", topic, end)
	resident := watchMemory(c.br)
	done.cpu, _, err = charge([]*broker{c.br}, func() (time.Duration, error) {
		if err := alterTopic(ctx, c.br, topic, "cleanup.policy", "compact"); err != nil {
			return 0, err
		}
		return 0, c.awaitLine(ctx, cleaned)
	})
	done.peak = resident()
	if err != nil {
		return done, err
	}
	began, err := logLineTime(c.output(), fmt.Sprintf("Beginning cleaning of log %s-0", topic))
	if err != nil {
		return done, err
	}
	ended, err := logLineTime(c.output(), cleaned)
	if err != nil {
		return done, err
	}
	done.took = max(ended.Sub(began), time.Millisecond)
	done.left, err = logBytes(c.br.partitionDir(topic))
	return done, err
}

// output returns what the cleaner has logged. Ours has a file for it, as in Kafka's default
// configuration of Log4j; the original gets one without files.
func (c *cleaner) output() string {
	if text, err := os.ReadFile(filepath.Join(filepath.Dir(c.br.file), "logs", "log-cleaner.log")); err == nil {
		return string(text)
	}
	return c.br.proc.Output()
}

// awaitLine waits until the cleaner has logged a text.
func (c *cleaner) awaitLine(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for !strings.Contains(c.output(), text) {
		if err := pause(ctx, clusterInterval); err != nil {
			return fmt.Errorf("%s has not logged %q; its last lines:\n%s", c.br.name, text, lastLines(c.output(), 15))
		}
	}
	return nil
}

// logBytes returns the size of a partition's segments. Those that are to be deleted do not count.
func logBytes(dir string) (sum int64, err error) {
	files, err := os.ReadDir(dir)
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".log") {
			continue
		}
		info, err := os.Stat(filepath.Join(dir, f.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		sum += info.Size()
	}
	return sum, err
}
