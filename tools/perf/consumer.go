package perf

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// ConsumerTool is kafka-consumer-perf-test.
var ConsumerTool = cli.Tool{
	Name:    "kafka-consumer-perf-test",
	Summary: "Measures the throughput of a consumer.",
	Run:     runConsumerPerf,
}

type consumerPerfOptions struct {
	*cli.Options
	brokerList, bootstrap, topic, group, fetchSize  *cli.Option
	fromLatest, socketBuffer, threads, fetchThreads *cli.Option
	config, printMetrics, detailed, timeout         *cli.Option
	messages, interval, dateFormat, hideHeader      *cli.Option
}

func newConsumerPerfOptions(env *cli.Env) *consumerPerfOptions {
	o := &consumerPerfOptions{Options: cli.NewOptions(env, "kafka-consumer-perf-test", "This tool is used to verify the consumer performance.")}
	o.brokerList = o.Value("broker-list", "String: broker-list", "DEPRECATED: use --bootstrap-server. Ignored if --bootstrap-server is given.")
	o.bootstrap = o.Value("bootstrap-server", "String: server to connect to", "REQUIRED: The brokers to connect to first, as HOST1:PORT1,HOST2:PORT2.")
	o.topic = o.Value("topic", "String: topic", "REQUIRED: The topic to read.")
	o.group = o.Value("group", "String: gid", "The consumer group to join. (default: perf-consumer- followed by a random number)")
	o.fetchSize = o.Value("fetch-size", "Integer: size", "The maximum number of bytes to fetch from a partition at once. (default: 1048576)")
	o.fromLatest = o.Toggle("from-latest", "Start with the latest record if the group has no committed offset.")
	o.socketBuffer = o.Value("socket-buffer-size", "Integer: size", "The size of the socket's receive buffer, in bytes. (default: 2097152)")
	o.threads = o.Value("threads", "Integer: count", "DEPRECATED AND IGNORED. (default: 10)")
	o.fetchThreads = o.Value("num-fetch-threads", "Integer: count", "DEPRECATED AND IGNORED. (default: 1)")
	o.config = o.Value("consumer.config", "String: config file", "A properties file for the consumer.")
	o.printMetrics = o.Toggle("print-metrics", "Print the client's metrics at the end.")
	o.detailed = o.Toggle("show-detailed-stats", "Print a line for each interval.")
	o.timeout = o.MaybeValue("timeout", "Long: milliseconds", "Stop if no record arrives for N ms. (default: 10000)")
	o.messages = o.Value("messages", "Long: count", "REQUIRED: The number of records to read.")
	o.interval = o.Value("reporting-interval", "Integer: interval_ms", "The interval of --show-detailed-stats in ms. (default: 5000)")
	o.dateFormat = o.Value("date-format", "String: date format", "The format of printed times, as a pattern of Java's SimpleDateFormat. (default: yyyy-MM-dd HH:mm:ss:SSS)")
	o.hideHeader = o.Toggle("hide-header", "Omit the header line.")
	return o
}

func runConsumerPerf(env *cli.Env, args []string) int {
	o := newConsumerPerfOptions(env)
	if err := o.Parse(args); err != nil {
		return o.FailParsing(err)
	}
	if !o.bootstrap.Given() && !o.brokerList.Given() {
		return o.Fail(cli.UsageError{Text: "Missing required option(s) [bootstrap-server]"})
	}
	if o.threads.Given() || o.fetchThreads.Given() {
		env.Println("WARNING: option [threads] and [num-fetch-threads] have been deprecated and will be ignored by the test")
	}
	if err := o.Require(o.topic, o.messages); err != nil {
		return o.Fail(err)
	}
	if err := o.run(); err != nil {
		env.ComplainWithStack(err)
		return 1
	}
	return 0
}

// consumerPerf is one run of the tool.
type consumerPerf struct {
	o        *consumerPerfOptions
	messages int64
	timeout  time.Duration
	interval time.Duration
	date     string
	reporter client.Reporter

	joinFrom            atomic.Int64 // start of the current rebalance, in ms since 1970
	joined, joinedRound atomic.Int64 // time spent in rebalances in ms: total, and since the last report

	records, bytes int64
}

func (o *consumerPerfOptions) run() error {
	if !o.hideHeader.Given() {
		head := "start.time, end.time"
		if o.detailed.Given() {
			head = "time, threadId"
		}
		o.Env.Println(head + ", data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec")
	}
	c := &consumerPerf{o: o, date: o.dateFormat.Or("yyyy-MM-dd HH:mm:ss:SSS")}
	options, err := c.options()
	if err != nil {
		return err
	}
	if c.messages, err = o.Number(o.messages, 0); err != nil {
		return err
	}
	timeout, err := o.Number(o.timeout, 10000)
	if err != nil {
		return err
	}
	c.timeout = cli.Millis(timeout)
	if text := o.interval.Or("5000"); !regexp.MustCompile(`^\d+$`).MatchString(text) {
		return cli.BadOption{Text: fmt.Sprintf("Cannot parse argument '%s' of option reporting-interval", text), Class: "OptionArgumentConversionException"}
	}
	interval, err := o.Number(o.interval, 5000)
	if err != nil {
		return err
	}
	if interval <= 0 {
		return cli.IllegalArgument("Reporting interval must be greater than 0.")
	}
	c.interval = cli.Millis(interval)
	if _, err := cli.JavaDate(c.date, time.Now()); err != nil {
		return err
	}
	consumer, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	defer consumer.Close()
	return c.run(consumer)
}

// options returns the options of a client that joins the group.
func (c *consumerPerf) options() ([]kgo.Opt, error) {
	o := c.o
	props, err := client.LoadProperties(o.config.Or(""))
	if err != nil {
		return nil, err
	}
	props["group.id"] = o.group.Or(fmt.Sprintf("perf-consumer-%d", rand.IntN(100000)))
	props["max.partition.fetch.bytes"] = o.fetchSize.Or("1048576")
	props["receive.buffer.bytes"] = o.socketBuffer.Or("2097152")
	if props["client.id"] == "" {
		props["client.id"] = "perf-consumer-client"
	}
	servers, err := client.ParseBootstrap(o.bootstrap.Or(o.brokerList.Or("")))
	if err != nil {
		return nil, cli.NewJavaError("org.apache.kafka.common.KafkaException", "Failed to construct kafka consumer")
	}
	config, err := client.ConsumerConfig(props)
	if err != nil {
		return nil, err
	}
	group, err := client.GroupOf(props)
	if err != nil {
		return nil, err
	}
	c.reporter = client.Reporter{Env: o.Env, Name: "Consumer clientId=" + props["client.id"] + ", groupId=" + props["group.id"], Group: props["group.id"]}
	start := kgo.NewOffset().AtStart()
	if o.fromLatest.Given() {
		start = kgo.NewOffset().AtEnd()
	}
	c.joinFrom.Store(time.Now().UnixMilli())
	revoked := func(context.Context, *kgo.Client, map[string][]int32) { c.joinFrom.Store(time.Now().UnixMilli()) }
	return append(append(config.Options, group.Options...), kgo.SeedBrokers(servers...), client.Observed(o.Env), kgo.ConsumeTopics(o.topic.Or("")), kgo.ConsumeResetOffset(start),
		kgo.OnPartitionsRevoked(revoked), kgo.OnPartitionsLost(revoked),
		kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) {
			elapsed := time.Now().UnixMilli() - c.joinFrom.Load()
			c.joined.Add(elapsed)
			c.joinedRound.Add(elapsed)
		})), nil
}

func (c *consumerPerf) warnGone(topic string, partition int32) {
	client.WarnGone(c.o.Env, c.reporter.Name, topic, partition)
}

func (c *consumerPerf) run(consumer *kgo.Client) error {
	env := c.o.Env
	ctx, cancel := env.UntilUnread()
	defer cancel()
	bar := cli.Progress{Env: env, Total: c.messages}
	began := time.Now()
	lastRecord, report := began, began
	var reported struct{ records, bytes int64 }
	for c.records < c.messages && time.Since(lastRecord) <= c.timeout && ctx.Err() == nil {
		poll, end := context.WithTimeout(ctx, 100*time.Millisecond)
		fetches := consumer.PollRecords(poll, client.PollRecords)
		end()
		for _, gone := range client.GoneTopics(fetches, c.warnGone) {
			consumer.PurgeTopicsFromConsuming(gone)
			consumer.AddConsumeTopics(gone)
		}
		for _, e := range fetches.Errors() {
			if ended := errors.Is(e.Err, context.DeadlineExceeded) || errors.Is(e.Err, context.Canceled); !ended && !client.GroupContinues(e.Err) {
				return c.reporter.Fetch(consumer, e)
			}
		}
		now := time.Now()
		fetches.EachRecord(func(r *kgo.Record) {
			lastRecord = now
			c.records++
			c.bytes += int64(len(r.Key) + len(r.Value))
			if now.Sub(report) < c.interval {
				return
			}
			if c.o.detailed.Given() {
				bar.Clear()
				c.printInterval(report, now, c.records-reported.records, c.bytes-reported.bytes)
			}
			c.joinedRound.Store(0)
			report, reported.records, reported.bytes = now, c.records, c.bytes
		})
		bar.Show(c.records)
	}
	bar.Clear()
	ended := time.Now()
	if c.records < c.messages {
		env.Printf("WARNING: Exiting before consuming the expected number of messages: timeout (%d ms) exceeded. "+
			"You can use the --timeout option to increase the timeout.\n", c.timeout.Milliseconds())
	}
	if !c.o.detailed.Given() {
		c.printTotal(began, ended)
	}
	if c.o.printMetrics.Given() {
		printMetrics(env, map[string]int64{
			"consumer-fetch-manager-metrics:bytes-consumed-total:{}":   c.bytes,
			"consumer-fetch-manager-metrics:records-consumed-total:{}": c.records,
		})
	}
	return nil
}

const mebibyte = 1 << 20

func (c *consumerPerf) printTotal(began, ended time.Time) {
	from, _ := cli.JavaDate(c.date, began)
	to, _ := cli.JavaDate(c.date, ended)
	total := ended.Sub(began).Milliseconds()
	fetching := total - c.joined.Load()
	mb := float64(c.bytes) / mebibyte
	seconds, fetchSeconds := float64(total)/1000, float64(fetching)/1000
	c.o.Env.Printf("%s, %s, %.4f, %s, %d, %s, %d, %d, %s, %s\n", from, to, mb, ratio(mb, seconds), c.records, ratio(float64(c.records), seconds),
		c.joined.Load(), fetching, ratio(mb, fetchSeconds), ratio(float64(c.records), fetchSeconds))
}

// ratio formats a/b with four decimal places, or as Java formats it if b is zero.
func ratio(a, b float64) string {
	switch {
	case b == 0 && a == 0:
		return "NaN"
	case b == 0:
		return "Infinity"
	}
	return fmt.Sprintf("%.4f", a/b)
}

func (c *consumerPerf) printInterval(from, to time.Time, records, bytes int64) {
	at, _ := cli.JavaDate(c.date, to)
	elapsed := to.Sub(from).Seconds()
	fetching := to.Sub(from).Milliseconds() - c.joinedRound.Load()
	mb := float64(bytes) / mebibyte
	fetchMB, fetchRecords := 0.0, 0.0
	if fetching > 0 {
		fetchMB, fetchRecords = mb*1000/float64(fetching), float64(records)*1000/float64(fetching)
	}
	c.o.Env.Printf("%s, %d, %.4f, %.4f, %d, %.4f, %d, %d, %.4f, %.4f\n", at, 0, float64(c.bytes)/mebibyte, mb/elapsed, c.records,
		float64(records)/elapsed, c.joinedRound.Load(), fetching, fetchMB, fetchRecords)
}
