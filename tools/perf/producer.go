// Package perf implements kafka-producer-perf-test and kafka-consumer-perf-test.
package perf

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// ProducerTool is kafka-producer-perf-test.
var ProducerTool = cli.Tool{
	Name:    "kafka-producer-perf-test",
	Summary: "Measures the throughput and latency of a producer.",
	Run:     runProducerPerf,
}

// producerPerf is one run of the tool.
type producerPerf struct {
	env         *cli.Env
	topic       string
	records     int64
	throughput  float64
	payload     func(i int64) []byte
	transaction time.Duration // 0: no transactions
	metrics     bool
	clientID    string
}

func runProducerPerf(env *cli.Env, args []string) int {
	a := cli.NewArguments(env, "producer-performance", "This tool is used to verify the producer performance.")
	topic := a.Add(cli.Argument{Name: "--topic", Metavar: "TOPIC", Required: true, Doc: "The topic to send to."})
	records := a.Add(cli.Argument{Name: "--num-records", Metavar: "NUM-RECORDS", Required: true, Kind: "Long", Doc: "The number of records to send."})
	delimiter := a.Add(cli.Argument{Name: "--payload-delimiter", Metavar: "PAYLOAD-DELIMITER", Doc: `The delimiter between payloads in --payload-file. (default: \n)`})
	throughput := a.Add(cli.Argument{Name: "--throughput", Metavar: "THROUGHPUT", Required: true, Kind: "Double", Doc: "The approximate number of records to send per second; -1 for no limit."})
	given := a.Add(cli.Argument{Name: "--producer-props", Metavar: "PROP-NAME=PROP-VALUE", Many: true, Doc: "Producer properties, such as bootstrap.servers. They take precedence over --producer.config."})
	config := a.Add(cli.Argument{Name: "--producer.config", Metavar: "CONFIG-FILE", Doc: "A properties file for the producer."})
	metrics := a.Add(cli.Argument{Name: "--print-metrics", Doc: "Print the client's metrics at the end."})
	transactionalID := a.Add(cli.Argument{Name: "--transactional-id", Metavar: "TRANSACTIONAL-ID", Doc: "The transactional id. (default: performance-producer-default-transactional-id)"})
	duration := a.Add(cli.Argument{Name: "--transaction-duration-ms", Metavar: "TRANSACTION-DURATION", Kind: "Long", Doc: "The duration of each transaction in ms; 0 for no transactions. (default: 0)"})
	size := a.Add(cli.Argument{Name: "--record-size", Metavar: "RECORD-SIZE", Kind: "Integer", Doc: "The size of each record in bytes."})
	file := a.Add(cli.Argument{Name: "--payload-file", Metavar: "PAYLOAD-FILE", Doc: "A text file of payloads. Each record gets one of them at random."})
	monotonic := a.Add(cli.Argument{Name: "--payload-monotonic", Doc: "Use increasing numbers as payloads."})
	a.OneOf = []*cli.Argument{size, file, monotonic}
	return a.Run(args, func() error {
		switch {
		case !given.Given() && !config.Given():
			return cli.BadArgument("Either --producer-props or --producer.config must be specified.")
		case records.Number(0) < 1:
			return cli.BadArgument("argument --num-records: must be at least 1")
		case size.Number(0) < 0:
			return cli.BadArgument("argument --record-size: must not be negative")
		}
		p := &producerPerf{env: env, topic: topic.Or(""), records: records.Number(0), metrics: metrics.Given(), transaction: cli.Millis(duration.Number(0))}
		p.throughput, _ = strconv.ParseFloat(throughput.Or(""), 64)
		switch {
		case file.Given():
			payloads, err := p.readPayloads(file.Or(""), strings.ReplaceAll(delimiter.Or(`\n`), `\n`, "\n"))
			if err != nil {
				return err
			}
			p.payload = func(int64) []byte { return payloads[rand.IntN(len(payloads))] }
		case monotonic.Given():
			p.payload = func(i int64) []byte { return strconv.AppendInt(nil, i, 10) }
		default:
			n := size.Number(0)
			p.payload = func(int64) []byte { return randomLetters(n) }
		}
		props, err := perfProperties(config.Or(""), given.Values, "perf-producer-client")
		if err != nil {
			return err
		}
		p.clientID = props["client.id"]
		var more []kgo.Opt
		if p.transaction > 0 {
			more = append(more, kgo.TransactionalID(transactionalID.Or("performance-producer-default-transactional-id")))
		}
		producer, err := client.OpenTopicProducer(env, props["bootstrap.servers"], p.topic, props, more...)
		if err != nil {
			return err
		}
		defer producer.Client.Close()
		return p.run(producer)
	})
}

// perfProperties returns the properties of the file and of the command line, which takes
// precedence.
func perfProperties(file string, given []string, clientID string) (map[string]string, error) {
	props, err := client.LoadProperties(file)
	if err != nil {
		return nil, err
	}
	for _, one := range given {
		pieces := strings.Split(strings.TrimRight(one, "="), "=")
		if len(pieces) != 2 {
			return nil, cli.IllegalArgument("Invalid property: " + one)
		}
		props[pieces[0]] = pieces[1]
	}
	if props["client.id"] == "" {
		props["client.id"] = clientID
	}
	if props["bootstrap.servers"] == "" {
		return nil, cli.NewJavaError("org.apache.kafka.common.KafkaException", "Failed to construct kafka producer")
	}
	return props, nil
}

func (p *producerPerf) readPayloads(path, delimiter string) ([][]byte, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		absolute = path
	}
	p.env.Println("Reading payloads from: " + absolute)
	text, err := os.ReadFile(path)
	if err != nil || len(text) == 0 {
		return nil, cli.IllegalArgument("File does not exist or empty file provided.")
	}
	separator, err := regexp.Compile(delimiter)
	if err != nil {
		return nil, cli.PatternError(delimiter, err)
	}
	parts := separator.Split(string(text), -1)
	for len(parts) > 1 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	p.env.Printf("Number of messages read: %d\n", len(parts))
	payloads := make([][]byte, len(parts))
	for i, part := range parts {
		payloads[i] = []byte(part)
	}
	return payloads, nil
}

func randomLetters(n int64) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'A' + byte(rand.UintN(26))
	}
	return b
}

func (p *producerPerf) run(producer *client.TopicProducer) error {
	ctx, cancel := p.env.UntilSignal()
	defer cancel()
	if p.transaction > 0 { // transactions need a producer id
		if _, _, err := producer.Client.ProducerID(ctx); err != nil {
			return client.FromKgo(err)
		}
	}
	stats := newPerfStats(p.env, p.records)
	rate := client.Throttle{PerSecond: p.throughput, Began: stats.began}
	var opened time.Time // start of the open transaction; zero: none is open
	for i := int64(0); i < p.records && ctx.Err() == nil; i++ {
		if p.transaction > 0 && opened.IsZero() {
			if err := producer.Client.BeginTransaction(); err != nil {
				return client.FromKgo(err)
			}
			opened = time.Now()
		}
		r := &kgo.Record{Topic: p.topic, Value: p.payload(i)}
		sent := time.Now()
		producer.Produce(context.Background(), r, func(r *kgo.Record, err error) { stats.done(sent, len(r.Value), err) })
		if p.transaction > 0 && sent.Sub(opened) >= p.transaction {
			if err := commitTransaction(producer); err != nil {
				return err
			}
			opened = time.Time{}
		}
		rate.Wait(ctx, i+1)
	}
	if !opened.IsZero() {
		if err := commitTransaction(producer); err != nil {
			return err
		}
	}
	_ = producer.Flush(context.Background())
	stats.printTotal()
	if p.metrics {
		printMetrics(p.env, map[string]int64{
			"producer-metrics:record-send-total:{client-id=" + p.clientID + "}":  stats.count,
			"producer-metrics:record-error-total:{client-id=" + p.clientID + "}": stats.failures,
		})
	}
	return nil
}

func commitTransaction(producer *client.TopicProducer) error {
	if err := producer.Flush(context.Background()); err != nil {
		return client.FromKgo(err)
	}
	return client.FromKgo(producer.Client.EndTransaction(context.Background(), kgo.TryCommit))
}

// printMetrics prints a table of metrics by name.
func printMetrics(env *cli.Env, metrics map[string]int64) {
	names := slices.Sorted(maps.Keys(metrics))
	width := len(slices.MaxFunc(names, func(a, b string) int { return len(a) - len(b) }))
	env.Printf("\n%-*s   %s\n", width, "Metric Name", "Value")
	for _, name := range names {
		env.Printf("%-*s : %.3f\n", width, name, float64(metrics[name]))
	}
}

// samplesMax is the maximum number of latencies that are kept for the percentiles.
const samplesMax = 500000

// perfStats collects the results of sends.
type perfStats struct {
	env   *cli.Env
	began time.Time

	mu         sync.Mutex // guards the fields below
	samples    []int64    // every sampling-th latency, in ms
	sampling   int64
	count      int64
	failures   int64
	all        window
	now        window
	windowFrom time.Time
	bar        cli.Progress
}

// window is a sum over records; latencies are in ms.
type window struct{ count, bytes, latency, worst int64 }

func (w *window) add(latency int64, size int) {
	w.count++
	w.bytes += int64(size)
	w.latency += latency
	w.worst = max(w.worst, latency)
}

func newPerfStats(env *cli.Env, records int64) *perfStats {
	now := time.Now()
	return &perfStats{env: env, began: now, windowFrom: now, sampling: records / min(records, samplesMax), bar: cli.Progress{Env: env, Total: records}}
}

// done counts a record that was acknowledged or failed. It prints each failure, as Kafka's tool
// does.
func (s *perfStats) done(sent time.Time, size int, err error) {
	latency := time.Since(sent).Milliseconds()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.failures++
		s.bar.Clear()
		s.env.Complainf("%s", cli.ExceptionText(cli.JavaClass(err), err.Error()))
		return
	}
	if s.count%s.sampling == 0 {
		s.samples = append(s.samples, latency)
	}
	s.count++
	s.all.add(latency, size)
	s.now.add(latency, size)
	if elapsed := time.Since(s.windowFrom); elapsed >= 5*time.Second {
		s.bar.Clear()
		seconds := elapsed.Seconds()
		s.env.Printf("%d records sent, %.1f records/sec (%.2f MB/sec), %.1f ms avg latency, %.1f ms max latency.\n", s.now.count,
			float64(s.now.count)/seconds, float64(s.now.bytes)/seconds/(1<<20), float64(s.now.latency)/float64(s.now.count), float64(s.now.worst))
		s.now, s.windowFrom = window{}, time.Now()
	}
	s.bar.Show(s.count)
}

func (s *perfStats) printTotal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bar.Clear()
	seconds := max(time.Since(s.began).Seconds(), 0.001)
	slices.Sort(s.samples)
	percentile := func(p float64) int64 {
		if len(s.samples) == 0 {
			return 0
		}
		return s.samples[min(int(p*float64(len(s.samples))), len(s.samples)-1)]
	}
	average := "NaN"
	if s.count > 0 {
		average = fmt.Sprintf("%.2f", float64(s.all.latency)/float64(s.count))
	}
	s.env.Printf("%d records sent, %f records/sec (%.2f MB/sec), %s ms avg latency, %.2f ms max latency, %d ms 50th, %d ms 95th, %d ms 99th, %d ms 99.9th.\n",
		s.count, float64(s.count)/seconds, float64(s.all.bytes)/seconds/(1<<20), average, float64(s.all.worst),
		percentile(0.5), percentile(0.95), percentile(0.99), percentile(0.999))
}
