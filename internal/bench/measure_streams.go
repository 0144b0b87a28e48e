package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/testkit"
)

// streamsSource is the application, which integration tests also use. It joins two inputs with the
// same keys, and counts the results, in all and in windows; so there are three results of each pair of
// inputs.
const streamsSource = "integration/testdata/StreamsApp.java"

// Topics of the application, each with the prefix that is passed to it.
var (
	streamsInputs  = []string{"left", "right"}
	streamsResults = []string{"joined", "counts", "windows"}
)

// streamsPartitions is the number of partitions of each of these topics.
const streamsPartitions = 3

// measureStreams lets a Kafka Streams application with exactly_once_v2 process inputs that are
// already written, and measures how long it takes from its first to its last committed result.
func measureStreams(ctx context.Context, b *bench) error {
	rate := b.report.metric("Kafka Streams with exactly_once_v2: inputs", "1/s", twiceTheRate)
	cpu := b.report.metric("Kafka Streams with exactly_once_v2: broker CPU for each input", "us", halfTheTime)
	b.report.note("Kafka Streams: one application of %s with two threads, which joins %d pairs of inputs and counts the results; it commits every 100 ms; from its first to its last committed result. The application competes with the broker for the processors.", originalVersion, b.sizes.streamsPairs)
	app, err := b.compileStreams(ctx)
	if err != nil {
		return err
	}
	return b.alternate(ctx, func(ctx context.Context, s *side) error {
		br, err := b.warm(ctx, s)
		if err != nil {
			return err
		}
		spent, took, err := app.process(ctx, b, br)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		inputs := float64(2 * b.sizes.streamsPairs)
		rate.add(s, inputs/took.Seconds())
		cpu.add(s, spent*1e6/inputs)
		b.progress("  %s: %.0f inputs/s, %.1f us of CPU each", s.name, last(rate.samples[s.name]), last(cpu.samples[s.name]))
		return nil
	})
}

// streamsApp is the compiled application.
type streamsApp struct{ classPath, log4j string }

func (b *bench) compileStreams(ctx context.Context) (*streamsApp, error) {
	kafka, err := testkit.Script("scripts/kafka-jars.sh", originalVersion)
	if err != nil {
		return nil, err
	}
	streams, err := testkit.Script("scripts/kafka-jars.sh", originalVersion, "streams")
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.work, "streams")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	app := &streamsApp{classPath: strings.Join([]string{kafka + "/*", streams + "/*", dir}, ":")}
	if app.log4j, err = (log4j{name: "streams", level: "WARN", target: "System.err"}).write(b.work); err != nil {
		return nil, err
	}
	javac := exec.CommandContext(ctx, "javac", "-proc:none", "-d", dir, "-cp", app.classPath, filepath.Join(testkit.Root(), streamsSource))
	if out, err := javac.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("javac %s: %w: %s", streamsSource, err, out)
	}
	return app, nil
}

// start starts the application.
func (a *streamsApp) start(dir string, br *broker, prefix string) (*testkit.Process, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	properties := filepath.Join(dir, "streams.properties")
	lines := []string{
		"bootstrap.servers=" + br.address(),
		"application.id=" + prefix + "app",
		"state.dir=" + filepath.Join(dir, "state"),
		"processing.guarantee=exactly_once_v2",
		"replication.factor=1",
		"num.stream.threads=2",
		"statestore.cache.max.bytes=0", // each count is a result
		"default.key.serde=org.apache.kafka.common.serialization.Serdes$StringSerde",
		"default.value.serde=org.apache.kafka.common.serialization.Serdes$StringSerde",
		"producer.transaction.timeout.ms=60000",
	}
	if err := os.WriteFile(properties, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		return nil, err
	}
	return testkit.Start("the Streams application", exec.Command("java", "-Xmx512m", "-Dlog4j.configuration=file:"+a.log4j, "-cp", a.classPath, "StreamsApp", properties, prefix))
}

// process writes the inputs, runs the application until it has processed them, and returns the
// broker's CPU time and the time, both from the first to the last result.
func (a *streamsApp) process(ctx context.Context, b *bench, br *broker) (cpu float64, took time.Duration, err error) {
	prefix := b.newTopic("streams") + "-"
	for _, topic := range slices.Concat(streamsInputs, streamsResults) {
		if err := createTopic(ctx, br, prefix+topic, streamsPartitions, "retention.ms=-1"); err != nil {
			return 0, 0, err
		}
	}
	if err := writePairs(ctx, br, prefix, b.sizes.streamsPairs); err != nil {
		return 0, 0, err
	}
	dir := filepath.Join(b.work, prefix+"state")
	p, err := a.start(dir, br, prefix)
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(dir)
	defer p.Kill()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	cpu, took, err = awaitResults(ctx, br, prefix, 3*b.sizes.streamsPairs)
	if err != nil {
		return 0, 0, fmt.Errorf("%w; the last output of the application:\n%s", err, lastLines(p.Output(), 15))
	}
	p.Stop(time.Minute)
	return cpu, took, nil
}

// writePairs writes records with the same numbers as keys to both inputs.
func writePairs(ctx context.Context, br *broker, prefix string, pairs int) error {
	client, err := newClient(br, kgo.ProducerLinger(20*time.Millisecond), kgo.MaxBufferedRecords(20_000))
	if err != nil {
		return err
	}
	defer client.Close()
	var failed error // written by the client's only goroutine for callbacks, read after Flush
	begin := time.Now().Add(-time.Hour).Truncate(time.Second)
	for n := range pairs {
		text := fmt.Appendf(nil, "%d", n)
		at := begin.Add(time.Duration(n) * 10 * time.Millisecond)
		for _, topic := range streamsInputs {
			client.Produce(ctx, &kgo.Record{Topic: prefix + topic, Key: text, Value: text, Timestamp: at}, func(_ *kgo.Record, err error) {
				failed = errors.Join(failed, err)
			})
		}
	}
	if err := client.Flush(ctx); err != nil {
		return err
	}
	return failed
}

// awaitResults reads the committed results until it has this many, and measures from the first one.
func awaitResults(ctx context.Context, br *broker, prefix string, results int) (cpu float64, took time.Duration, err error) {
	partitions := map[string]map[int32]kgo.Offset{}
	for _, topic := range streamsResults {
		partitions[prefix+topic] = map[int32]kgo.Offset{}
		for index := range int32(streamsPartitions) {
			partitions[prefix+topic][index] = kgo.NewOffset().AtStart()
		}
	}
	client, err := newClient(br, kgo.ConsumePartitions(partitions), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return 0, 0, err
	}
	defer client.Close()
	have := 0
	read := func() error {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return fmt.Errorf("the application has committed %d of %d results: %w", have, results, context.Cause(ctx))
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if len(r.Key) > 0 { // not one that was sent to try the topic
				have++
			}
		})
		return fetches.Err()
	}
	for have == 0 {
		if err := read(); err != nil {
			return 0, 0, err
		}
	}
	cpu, took, err = charge([]*broker{br}, func() (time.Duration, error) {
		begin := time.Now()
		for have < results {
			if err := read(); err != nil {
				return 0, err
			}
		}
		return time.Since(begin), nil
	})
	if err == nil && have > results {
		err = fmt.Errorf("the application has committed %d results instead of %d", have, results)
	}
	return cpu, took, err
}
