// Package console implements kafka-console-consumer and kafka-console-producer.
package console

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// ConsumerTool is kafka-console-consumer.
var ConsumerTool = cli.Tool{
	Name:    "kafka-console-consumer",
	Summary: "Prints the records of a topic.",
	Run:     runConsoleConsumer,
}

type consumerOptions struct {
	*cli.Options
	topic, include, whitelist, partition, offset *cli.Option
	bootstrap, group, fromBeginning              *cli.Option
	maxMessages, timeout, skipOnError, systest   *cli.Option
	formatterClass, formatterConfig, property    *cli.Option
	consumerProperty, consumerConfig, isolation  *cli.Option
	keyDeserializer, valueDeserializer           *cli.Option
}

func newConsumerOptions(env *cli.Env) *consumerOptions {
	o := &consumerOptions{Options: cli.NewOptions(env, "kafka-console-consumer", "This tool helps to read data from Kafka topics and outputs it to standard output.")}
	o.topic = o.Value("topic", "String: topic", "The topic to read.")
	o.include = o.Value("include", "String: Java regex (String)", "A regular expression for the topics to read.")
	o.whitelist = o.Value("whitelist", "String: Java regex (String)", "DEPRECATED: use --include. Ignored if --include is given.")
	o.partition = o.Value("partition", "Integer: partition", "The partition to read. Starts at its end unless --offset or --from-beginning is given.")
	o.offset = o.Value("offset", "String: consume offset", "The offset to start from: a number, 'earliest' or 'latest'. (default: latest)")
	o.bootstrap = o.Value("bootstrap-server", "String: server to connect to", "REQUIRED: The brokers to connect to first, as HOST1:PORT1,HOST2:PORT2.")
	o.group = o.Value("group", "String: consumer group id", "The consumer group to join.")
	o.fromBeginning = o.Toggle("from-beginning", "Start with the earliest record instead of the next one to arrive.")
	o.maxMessages = o.Value("max-messages", "Integer: num_messages", "Stop after N records. (default: no limit)")
	o.timeout = o.Value("timeout-ms", "Long: timeout_ms", "Stop if no record arrives for N ms. (default: no limit)")
	o.skipOnError = o.Toggle("skip-message-on-error", "Skip records that cannot be printed instead of stopping.")
	o.systest = o.Toggle("enable-systest-events", "Also print the consumer's lifecycle events.")
	o.formatterClass = o.Value("formatter", "String: class", "The formatter: "+defaultFormatterClass+" (default), or LoggingMessageFormatter or NoOpMessageFormatter of the same package. Use OffsetsMessageFormatter or GroupMetadataMessageFormatter for __consumer_offsets and TransactionLogMessageFormatter for __transaction_state.")
	o.formatterConfig = o.Value("formatter-config", "String: config file", "A properties file for the formatter. --property takes precedence.")
	o.property = o.Value("property", "String: prop", "A property of the formatter: print.timestamp, print.key, print.offset, print.partition, print.headers, print.value (true or false), key.separator, line.separator, headers.separator, null.literal, key.deserializer, value.deserializer, headers.deserializer.")
	o.consumerProperty = o.Value("consumer-property", "String: consumer_prop", "A consumer property as key=value.")
	o.consumerConfig = o.Value("consumer.config", "String: config file", "A properties file for the consumer. --consumer-property takes precedence.")
	o.isolation = o.Value("isolation-level", "String", "'read_committed' skips the records of transactions that were not committed; 'read_uncommitted' reads all records. (default: read_uncommitted)")
	o.keyDeserializer = o.Value("key-deserializer", "String: deserializer for key", "The Java class that deserializes keys.")
	o.valueDeserializer = o.Value("value-deserializer", "String: deserializer for values", "The Java class that deserializes values.")
	return o
}

func runConsoleConsumer(env *cli.Env, args []string) int {
	if asksForZookeeper(args) {
		return runClassicConsumer(env, args)
	}
	o := newConsumerOptions(env)
	if len(args) == 0 {
		return o.Fail(cli.UsageError{Text: o.Summary})
	}
	if err := o.Parse(args); err != nil {
		return o.FailParsing(err)
	}
	if err := o.check(); err != nil {
		return o.Fail(err)
	}
	if _, err := strconv.ParseInt(o.partition.Or("0"), 10, 32); err != nil {
		env.Uncaught(notANumber(o.partition))
		return 1
	}
	if _, err := strconv.ParseInt(o.timeout.Or("0"), 10, 64); err != nil {
		env.Uncaught(notANumber(o.timeout))
		return 1
	}
	log := env.Logger("org.apache.kafka.tools.consumer.ConsoleConsumer")
	if _, err := regexp.Compile(o.includes().Or("")); err != nil {
		log.WithError(cli.AsException(cli.PatternError(o.includes().Or(""), err))).Error("Unknown error when running consumer: ")
		return 1
	}
	c, err := o.consumer()
	if err != nil {
		var usage cli.UsageError
		if errors.As(err, &usage) {
			return o.Fail(err)
		}
		env.Complainf("%s", err)
		return 1
	}
	if err := c.run(); err != nil {
		log.WithError(cli.AsException(err)).Error("Unknown error when running consumer: ")
		return 1
	}
	return 0
}

func notANumber(opt *cli.Option) error {
	return cli.NewJavaError("joptsimple.OptionArgumentConversionException", fmt.Sprintf("Cannot parse argument '%s' of option %s", opt.Or(""), opt.Name))
}

func (o *consumerOptions) includes() *cli.Option {
	if o.include.Given() {
		return o.include
	}
	return o.whitelist
}

func (o *consumerOptions) check() error {
	if o.topic.Given() == o.includes().Given() {
		text := "Exactly one of --include/--topic is required. "
		if o.whitelist.Given() {
			text += "--whitelist is DEPRECATED use --include instead; ignored if --include specified."
		}
		return cli.UsageError{Text: text}
	}
	switch {
	case o.partition.Given() && !o.topic.Given():
		return cli.UsageError{Text: "The topic is required when partition is specified."}
	case o.partition.Given() && o.fromBeginning.Given() && o.offset.Given():
		return cli.UsageError{Text: "Options from-beginning and offset cannot be specified together."}
	case !o.partition.Given() && o.offset.Given():
		return cli.UsageError{Text: "The partition is required when offset is specified."}
	}
	return o.Require(o.bootstrap)
}

// consumer creates the consumer that the options describe.
func (o *consumerOptions) consumer() (*consoleConsumer, error) {
	props, err := client.LoadProperties(o.consumerConfig.Or(""))
	if err != nil {
		return nil, fmt.Errorf("Exception in thread \"main\" %w", cli.AsException(err))
	}
	for key, value := range keyValues(o.consumerProperty.Values()) {
		props[key] = value
	}
	if o.group.Given() {
		if o.partition.Given() {
			return nil, cli.UsageError{Text: "Options group and partition cannot be specified together."}
		}
		if id := props["group.id"]; id != "" && id != o.group.Or("") {
			return nil, cli.UsageError{Text: fmt.Sprintf("The group ids provided in different places (directly using '--group', via '--consumer-property', or via '--consumer.config') do not match. Detected group ids: '%s', '%s'", o.group.Or(""), id)}
		}
		props["group.id"] = o.group.Or("")
	}
	if reset := props["auto.offset.reset"]; o.fromBeginning.Given() && reset != "" && reset != "earliest" {
		return nil, fmt.Errorf("Can't simultaneously specify --from-beginning and 'auto.offset.reset=%s', please remove one option", reset)
	}
	if props["client.id"] == "" {
		props["client.id"] = "console-consumer"
	}
	if o.isolation.Given() || props["isolation.level"] == "" {
		props["isolation.level"] = o.isolation.Or("read_uncommitted")
	}
	c := &consoleConsumer{o: o, reporter: client.Reporter{Env: o.Env, Name: "Consumer clientId=" + props["client.id"]}, log: o.Env.Logger("org.apache.kafka.tools.consumer.ConsoleConsumer")}
	if c.reset, err = o.resetOffset(props["auto.offset.reset"]); err != nil {
		return nil, err
	}
	if c.start, err = o.startOffset(c.reset); err != nil {
		return nil, err
	}
	c.timeout = -1
	if timeout, _ := strconv.ParseInt(o.timeout.Or("-1"), 10, 64); timeout >= 0 { // checked by runConsoleConsumer
		c.timeout = cli.Millis(timeout)
	}
	if c.config, err = client.ConsumerConfig(props); err != nil {
		return nil, err
	}
	if !o.partition.Given() {
		if c.group, err = client.GroupOf(props); err != nil {
			return nil, err
		}
		if c.group != nil {
			c.reporter.Name += ", groupId=" + c.group.ID
			c.reporter.Group = c.group.ID
		}
	}
	if c.servers, err = client.ParseBootstrap(o.bootstrap.Or("")); err != nil {
		return nil, err
	}
	formatterProps, err := client.LoadProperties(o.formatterConfig.Or(""))
	if err != nil {
		return nil, cli.UsageError{Text: err.Error()}
	}
	if d := o.keyDeserializer.Or(""); d != "" {
		formatterProps["key.deserializer"] = d
	}
	if d := o.valueDeserializer.Or(""); d != "" {
		formatterProps["value.deserializer"] = d
	}
	for key, value := range keyValues(o.property.Values()) {
		formatterProps[key] = value
	}
	c.format, err = newFormatter(o.Env, o.formatterClass.Or(defaultFormatterClass), formatterProps)
	return c, err
}

// resetOffset returns the offset at which the consumer starts if it has no offset, or one that is
// not in the log.
func (o *consumerOptions) resetOffset(reset string) (kgo.Offset, error) {
	if reset == "" && o.fromBeginning.Given() {
		reset = "earliest"
	}
	return client.ResetOffset(reset)
}

// startOffset returns the offset given by --offset, or reset without that option.
func (o *consumerOptions) startOffset(reset kgo.Offset) (kgo.Offset, error) {
	if !o.offset.Given() {
		return reset, nil
	}
	switch text := o.offset.Or(""); strings.ToLower(text) {
	case "earliest":
		return kgo.NewOffset().AtStart(), nil
	case "latest":
		return kgo.NewOffset().AtEnd(), nil
	default:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return kgo.Offset{}, cli.UsageError{Text: fmt.Sprintf("The provided offset value '%s' is incorrect. Valid values are 'earliest', 'latest', or a non-negative long.", text)}
		}
		return kgo.NewOffset().At(n), nil
	}
}

// consoleConsumer prints records until it reaches its limit, times out, or is interrupted.
type consoleConsumer struct {
	o        *consumerOptions
	reporter client.Reporter
	servers  []string
	config   client.Config
	group    *client.GroupConfig // nil: partitions are read without a group
	start    kgo.Offset
	reset    kgo.Offset    // from auto.offset.reset
	most     int64         // -1: no limit
	timeout  time.Duration // -1: no timeout
	format   formatter
	log      *logrus.Entry
	count    int64
}

func (c *consoleConsumer) run() error {
	env := c.o.Env
	defer func() {
		env.Complainf("Processed a total of %d messages", c.count)
		if c.o.systest.Given() {
			env.Println("shutdown_complete")
		}
	}()
	var err error
	if c.most, err = strconv.ParseInt(c.o.maxMessages.Or("-1"), 10, 32); err != nil {
		return notANumber(c.o.maxMessages)
	}
	ctx, cancel := env.UntilSignal()
	defer cancel()
	if c.group != nil {
		return c.runInGroup(ctx)
	}
	err = c.awaitBrokers(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		c.endBy(err)
		return nil
	}
	consumer, err := c.config.Open(c.o.Env, c.servers, c.subscription()...)
	if err != nil {
		return err
	}
	defer consumer.Close()
	return c.consume(ctx, consumer)
}

// errTimeout is the error of a consumer that got no record in time.
var errTimeout = cli.NewJavaError("org.apache.kafka.common.errors.TimeoutException", "")

// endBy logs the error that ended the consumer before its limit. As in Kafka's tool, the exit code
// is 0 nevertheless.
func (c *consoleConsumer) endBy(err error) {
	c.log.WithError(cli.AsException(err)).Error("Error processing message, terminating consumer process: ")
}

// awaitBrokers waits until the brokers answer. If a topic is read by name, it also waits until the
// topic exists, as a subscribed consumer does. It returns an error if the consumer has no offset to
// start from.
func (c *consoleConsumer) awaitBrokers(ctx context.Context) error {
	cluster, err := client.Connect(ctx, c.o.Env, c.reporter.Name, c.servers, "metadata")
	if err != nil {
		return err
	}
	defer cluster.Close()
	if !c.o.topic.Given() {
		if c.start == kgo.NoResetOffset() {
			return client.NoOffset(c.o.includes().Or(""))
		}
		return nil
	}
	waiter := client.TopicWaiter{Topic: c.o.topic.Or(""), Reporter: c.reporter, Limit: c.timeout, MayCreate: c.config.MayCreate}
	if err := waiter.WaitAt(ctx, cluster); errors.Is(err, client.ErrTopicMissing) {
		return errTimeout
	} else if err != nil || c.start != kgo.NoResetOffset() {
		return err
	}
	return c.noOffset(ctx, cluster)
}

// noOffset returns the error of a consumer that finds no offset for any partition of its topic.
func (c *consoleConsumer) noOffset(ctx context.Context, cluster *peerlink.Cluster) error {
	metadata, err := cluster.Metadata(ctx, []string{c.o.topic.Or("")})
	if err != nil {
		return err
	}
	partitions := map[client.TopicPartition]bool{}
	for _, t := range metadata.Topics {
		for _, p := range t.Partitions {
			partitions[client.TopicPartition{Topic: *t.Topic, Partition: p.Partition}] = true
		}
	}
	return client.NoOffset(javatext.Join(client.SortedPartitions(partitions), ", "))
}

// subscription returns the client options with which a consumer without a group reads.
func (c *consoleConsumer) subscription() []kgo.Opt {
	options := []kgo.Opt{kgo.ConsumeResetOffset(c.reset)}
	switch {
	case c.o.partition.Given():
		n, _ := strconv.ParseInt(c.o.partition.Or(""), 10, 32) // checked by runConsoleConsumer
		return append(options, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{c.o.topic.Or(""): {int32(n): c.start}}))
	case c.o.topic.Given():
		return append(options, kgo.ConsumeTopics(c.o.topic.Or("")))
	}
	return append(options, kgo.ConsumeRegex(), kgo.ConsumeTopics(c.o.pattern()))
}

// pattern returns the expression of --include, anchored to match whole names.
func (o *consumerOptions) pattern() string { return "^(?:" + o.includes().Or("") + ")$" }

// readAgain restarts reading a topic that was deleted and possibly created again.
func (c *consoleConsumer) readAgain(consumer *kgo.Client, topic string) {
	consumer.PurgeTopicsFromConsuming(topic)
	if c.o.partition.Given() {
		n, _ := strconv.ParseInt(c.o.partition.Or(""), 10, 32)
		consumer.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: {int32(n): c.reset}})
		return
	}
	consumer.AddConsumeTopics(topic)
	consumer.ForceMetadataRefresh() // finds the topic by pattern; if it does not exist yet, a later refresh finds it
}

func (c *consoleConsumer) consume(ctx context.Context, consumer *kgo.Client) error {
	out := bufio.NewWriterSize(c.o.Env.Stdout, 64<<10)
	defer out.Flush()
	for c.most < 0 || c.count < c.most {
		poll, cancel := ctx, context.CancelFunc(func() {})
		if c.timeout >= 0 {
			poll, cancel = context.WithTimeout(ctx, c.timeout)
		}
		fetches := consumer.PollFetches(poll)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		for _, topic := range client.GoneTopics(fetches, c.warnGone) {
			c.readAgain(consumer, topic)
		}
		for _, e := range fetches.Errors() {
			if errors.Is(e.Err, context.DeadlineExceeded) {
				c.endBy(errTimeout)
				return nil
			}
			if !c.passes(e.Err) {
				c.endBy(c.reporter.Fetch(consumer, e))
				return nil
			}
		}
		var printed []*kgo.Record
		for records := fetches.RecordIter(); !records.Done() && (c.most < 0 || c.count < c.most); {
			c.count++
			r := records.Next()
			if c.group != nil {
				printed = append(printed, r)
			}
			if err := c.format(out, r); err != nil && !cli.OutputFailed(out) {
				if !c.o.skipOnError.Given() {
					return err
				}
				c.log.WithError(cli.AsException(err)).Error("Error processing message, skipping this message: ")
			}
		}
		if err := out.Flush(); err != nil {
			c.o.Env.Complainf("Unable to write to standard out, closing consumer.")
			return nil
		}
		if c.group != nil && c.group.AutoCommit {
			consumer.MarkCommitRecords(printed...)
		}
	}
	return nil
}
