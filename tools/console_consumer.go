package tools

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
)

var consoleConsumerTool = Tool{
	Name:    "kafka-console-consumer",
	Summary: "Prints the records of a topic.",
	Run:     runConsoleConsumer,
}

type consumerOptions struct {
	*options
	topic, include, whitelist, partition, offset *option
	bootstrap, group, fromBeginning              *option
	maxMessages, timeout, skipOnError, systest   *option
	formatterClass, formatterConfig, property    *option
	consumerProperty, consumerConfig, isolation  *option
	keyDeserializer, valueDeserializer           *option
}

func newConsumerOptions(env *Env) *consumerOptions {
	o := &consumerOptions{options: newOptions(env, "kafka-console-consumer", "This tool helps to read data from Kafka topics and outputs it to standard output.")}
	o.topic = o.value("topic", "String: topic", "The topic to read.")
	o.include = o.value("include", "String: Java regex (String)", "A regular expression for the topics to read.")
	o.whitelist = o.value("whitelist", "String: Java regex (String)", "DEPRECATED: use --include. Ignored if --include is given.")
	o.partition = o.value("partition", "Integer: partition", "The partition to read. Starts at its end unless --offset or --from-beginning is given.")
	o.offset = o.value("offset", "String: consume offset", "The offset to start from: a number, 'earliest' or 'latest'. (default: latest)")
	o.bootstrap = o.value("bootstrap-server", "String: server to connect to", "REQUIRED: The brokers to connect to first, as HOST1:PORT1,HOST2:PORT2.")
	o.group = o.value("group", "String: consumer group id", "The consumer group to join.")
	o.fromBeginning = o.toggle("from-beginning", "Start with the earliest record instead of the next one to arrive.")
	o.maxMessages = o.value("max-messages", "Integer: num_messages", "Stop after N records. (default: no limit)")
	o.timeout = o.value("timeout-ms", "Long: timeout_ms", "Stop if no record arrives for N ms. (default: no limit)")
	o.skipOnError = o.toggle("skip-message-on-error", "Skip records that cannot be printed instead of stopping.")
	o.systest = o.toggle("enable-systest-events", "Also print the consumer's lifecycle events.")
	o.formatterClass = o.value("formatter", "String: class", "The formatter: "+defaultFormatterClass+" (default), or LoggingMessageFormatter or NoOpMessageFormatter of the same package. Use OffsetsMessageFormatter or GroupMetadataMessageFormatter for __consumer_offsets and TransactionLogMessageFormatter for __transaction_state.")
	o.formatterConfig = o.value("formatter-config", "String: config file", "A properties file for the formatter. --property takes precedence.")
	o.property = o.value("property", "String: prop", "A property of the formatter: print.timestamp, print.key, print.offset, print.partition, print.headers, print.value (true or false), key.separator, line.separator, headers.separator, null.literal, key.deserializer, value.deserializer, headers.deserializer.")
	o.consumerProperty = o.value("consumer-property", "String: consumer_prop", "A consumer property as key=value.")
	o.consumerConfig = o.value("consumer.config", "String: config file", "A properties file for the consumer. --consumer-property takes precedence.")
	o.isolation = o.value("isolation-level", "String", "'read_committed' skips the records of transactions that were not committed; 'read_uncommitted' reads all records. (default: read_uncommitted)")
	o.keyDeserializer = o.value("key-deserializer", "String: deserializer for key", "The Java class that deserializes keys.")
	o.valueDeserializer = o.value("value-deserializer", "String: deserializer for values", "The Java class that deserializes values.")
	return o
}

func runConsoleConsumer(env *Env, args []string) int {
	if asksForZookeeper(args) {
		return runClassicConsumer(env, args)
	}
	o := newConsumerOptions(env)
	if err := o.parse(args); err != nil {
		return o.failParsing(err)
	}
	if err := o.check(); err != nil {
		return o.fail(err)
	}
	if _, err := strconv.ParseInt(o.partition.or("0"), 10, 32); err != nil {
		env.complainf("Exception in thread \"main\" %s", exception("joptsimple.OptionArgumentConversionException",
			fmt.Sprintf("Cannot parse argument '%s' of option partition", o.partition.or(""))))
		return 1
	}
	c, err := o.consumer()
	if err != nil {
		var usage usageError
		if errors.As(err, &usage) {
			return o.fail(err)
		}
		env.complainf("%s", err)
		return 1
	}
	log := env.logger("org.apache.kafka.tools.consumer.ConsoleConsumer")
	if err := c.run(); err != nil {
		log.WithError(asException(err)).Error("Unknown error when running consumer: ")
		return 1
	}
	return 0
}

func (o *consumerOptions) includes() *option {
	if o.include.given() {
		return o.include
	}
	return o.whitelist
}

func (o *consumerOptions) check() error {
	if o.topic.given() == o.includes().given() {
		text := "Exactly one of --include/--topic is required. "
		if o.whitelist.given() {
			text += "--whitelist is DEPRECATED use --include instead; ignored if --include specified."
		}
		return usageError{text}
	}
	switch {
	case o.partition.given() && !o.topic.given():
		return usageError{"The topic is required when partition is specified."}
	case o.partition.given() && o.fromBeginning.given() && o.offset.given():
		return usageError{"Options from-beginning and offset cannot be specified together."}
	case !o.partition.given() && o.offset.given():
		return usageError{"The partition is required when offset is specified."}
	}
	return o.require(o.bootstrap)
}

// consumer creates the consumer that the options describe.
func (o *consumerOptions) consumer() (*consoleConsumer, error) {
	props, err := loadProperties(o.consumerConfig.or(""))
	if err != nil {
		return nil, asException(err)
	}
	for key, value := range keyValues(o.consumerProperty.values()) {
		props[key] = value
	}
	if o.group.given() {
		if o.partition.given() {
			return nil, usageError{"Options group and partition cannot be specified together."}
		}
		if id := props["group.id"]; id != "" && id != o.group.or("") {
			return nil, usageError{fmt.Sprintf("The group ids provided in different places (directly using '--group', via '--consumer-property', or via '--consumer.config') do not match. Detected group ids: '%s', '%s'", o.group.or(""), id)}
		}
		props["group.id"] = o.group.or("")
	}
	if reset := props["auto.offset.reset"]; o.fromBeginning.given() && reset != "" && reset != "earliest" {
		return nil, fmt.Errorf("Can't simultaneously specify --from-beginning and 'auto.offset.reset=%s', please remove one option", reset)
	}
	if props["client.id"] == "" {
		props["client.id"] = "console-consumer"
	}
	if o.isolation.given() || props["isolation.level"] == "" {
		props["isolation.level"] = o.isolation.or("read_uncommitted")
	}
	if _, err := regexp.Compile(o.pattern()); !o.topic.given() && err != nil {
		return nil, usageError{o.includes().or("") + " is an invalid regex."}
	}
	c := &consoleConsumer{o: o, client: "Consumer clientId=" + props["client.id"], log: o.env.logger("org.apache.kafka.tools.consumer.ConsoleConsumer")}
	if c.reset, err = o.resetOffset(props["auto.offset.reset"]); err != nil {
		return nil, err
	}
	if c.start, err = o.startOffset(c.reset); err != nil {
		return nil, err
	}
	if c.most, err = o.number(o.maxMessages, -1); err != nil {
		return nil, usageError{err.Error()}
	}
	timeout, err := o.number(o.timeout, -1)
	if err != nil {
		return nil, usageError{err.Error()}
	}
	c.timeout = -1
	if timeout >= 0 {
		c.timeout = millis(timeout)
	}
	if c.config, err = consumerConfig(props); err != nil {
		return nil, err
	}
	if !o.partition.given() {
		if c.group, err = groupOf(props); err != nil {
			return nil, err
		}
	}
	if c.servers, err = parseBootstrap(o.bootstrap.or("")); err != nil {
		return nil, err
	}
	formatterProps, err := loadProperties(o.formatterConfig.or(""))
	if err != nil {
		return nil, asException(err)
	}
	if d := o.keyDeserializer.or(""); d != "" {
		formatterProps["key.deserializer"] = d
	}
	if d := o.valueDeserializer.or(""); d != "" {
		formatterProps["value.deserializer"] = d
	}
	for key, value := range keyValues(o.property.values()) {
		formatterProps[key] = value
	}
	c.format, err = newFormatter(o.env, o.formatterClass.or(defaultFormatterClass), formatterProps)
	return c, err
}

// resetOffset returns the offset at which the consumer starts if it has no offset, or one that is
// not in the log.
func (o *consumerOptions) resetOffset(reset string) (kgo.Offset, error) {
	if reset == "" && o.fromBeginning.given() {
		reset = "earliest"
	}
	return resetOffset(reset)
}

// startOffset returns the offset given by --offset, or reset without that option.
func (o *consumerOptions) startOffset(reset kgo.Offset) (kgo.Offset, error) {
	if !o.offset.given() {
		return reset, nil
	}
	switch text := o.offset.or(""); strings.ToLower(text) {
	case "earliest":
		return kgo.NewOffset().AtStart(), nil
	case "latest":
		return kgo.NewOffset().AtEnd(), nil
	default:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return kgo.Offset{}, usageError{fmt.Sprintf("The provided offset value '%s' is incorrect. Valid values are 'earliest', 'latest', or a non-negative long.", text)}
		}
		return kgo.NewOffset().At(n), nil
	}
}

// consoleConsumer prints records until it reaches its limit, times out, or is interrupted.
type consoleConsumer struct {
	o       *consumerOptions
	client  string
	servers []string
	config  clientConfig
	group   *groupConfig // nil: partitions are read without a group
	start   kgo.Offset
	reset   kgo.Offset    // from auto.offset.reset
	most    int64         // -1: no limit
	timeout time.Duration // -1: no timeout
	format  formatter
	log     *logrus.Entry
	count   int64
}

func (c *consoleConsumer) run() error {
	env := c.o.env
	defer func() {
		env.complainf("Processed a total of %d messages", c.count)
		if c.o.systest.given() {
			env.println("shutdown_complete")
		}
	}()
	ctx, cancel := env.untilSignal()
	defer cancel()
	if c.group != nil {
		return c.runInGroup(ctx)
	}
	if c.start == kgo.NoResetOffset() {
		return noOffset(c.o.topic.or(c.o.includes().or("")))
	}
	err := c.awaitBrokers(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if errors.Is(err, errTimeout) {
		c.endByTimeout()
		return nil
	}
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(append(append(c.config.options, kgo.SeedBrokers(c.servers...)), c.subscription()...)...)
	if err != nil {
		return err
	}
	defer client.Close()
	return c.consume(ctx, client)
}

var errTimeout = errors.New("no record came in time")

func (c *consoleConsumer) endByTimeout() {
	c.log.WithError(errors.New("org.apache.kafka.common.errors.TimeoutException")).Error("Error processing message, terminating consumer process: ")
}

// awaitBrokers waits until the brokers answer. If a topic is read by name, it also waits until the
// topic exists, as a subscribed consumer does.
func (c *consoleConsumer) awaitBrokers(ctx context.Context) error {
	log := c.o.env.logger("org.apache.kafka.clients.NetworkClient")
	cluster, err := connect(ctx, log, c.client, c.servers, "metadata")
	if err != nil {
		return err
	}
	defer cluster.Close()
	if !c.o.topic.given() {
		return nil
	}
	waiter := topicWaiter{topic: c.o.topic.or(""), client: c.client, log: log, limit: c.timeout, mayCreate: c.config.mayCreate}
	if err := waiter.waitAt(ctx, cluster); errors.Is(err, errTopicMissing) {
		return errTimeout
	} else {
		return err
	}
}

// subscription returns what a consumer without a group reads.
func (c *consoleConsumer) subscription() []kgo.Opt {
	options := []kgo.Opt{kgo.ConsumeResetOffset(c.reset)}
	switch {
	case c.o.partition.given():
		n, _ := strconv.ParseInt(c.o.partition.or(""), 10, 32) // checked by runConsoleConsumer
		return append(options, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{c.o.topic.or(""): {int32(n): c.start}}))
	case c.o.topic.given():
		return append(options, kgo.ConsumeTopics(c.o.topic.or("")))
	}
	return append(options, kgo.ConsumeRegex(), kgo.ConsumeTopics(c.o.pattern()))
}

// pattern returns the expression of --include, anchored to match whole names.
func (o *consumerOptions) pattern() string { return "^(?:" + o.includes().or("") + ")$" }

// readAgain restarts reading a topic that was deleted and possibly created again.
func (c *consoleConsumer) readAgain(client *kgo.Client, topic string) {
	client.PurgeTopicsFromConsuming(topic)
	if c.o.partition.given() {
		n, _ := strconv.ParseInt(c.o.partition.or(""), 10, 32)
		client.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: {int32(n): c.reset}})
		return
	}
	client.AddConsumeTopics(topic)
	client.ForceMetadataRefresh() // finds the topic by pattern; if it does not exist yet, a later refresh finds it
}

func (c *consoleConsumer) consume(ctx context.Context, client *kgo.Client) error {
	out := bufio.NewWriterSize(c.o.env.Stdout, 64<<10)
	defer out.Flush()
	for c.most < 0 || c.count < c.most {
		poll, cancel := ctx, context.CancelFunc(func() {})
		if c.timeout >= 0 {
			poll, cancel = context.WithTimeout(ctx, c.timeout)
		}
		fetches := client.PollFetches(poll)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		for _, topic := range goneTopics(fetches, c.warnGone) {
			c.readAgain(client, topic)
		}
		for _, e := range fetches.Errors() {
			if errors.Is(e.Err, context.DeadlineExceeded) {
				c.endByTimeout()
				return nil
			}
			if !c.passes(e.Err) {
				return fromKgo(e.Err)
			}
		}
		var printed []*kgo.Record
		for records := fetches.RecordIter(); !records.Done() && (c.most < 0 || c.count < c.most); {
			c.count++
			r := records.Next()
			if c.group != nil {
				printed = append(printed, r)
			}
			if err := c.format(out, r); err != nil && !unread(out) {
				if !c.o.skipOnError.given() {
					return err
				}
				c.log.WithError(asException(err)).Error("Error processing message, skipping this message: ")
			}
		}
		if err := out.Flush(); err != nil {
			c.o.env.complainf("Unable to write to standard out, closing consumer.")
			return nil
		}
		if c.group != nil && c.group.autoCommit {
			client.MarkCommitRecords(printed...)
		}
	}
	return nil
}
