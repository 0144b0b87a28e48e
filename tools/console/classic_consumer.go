package console

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
	"github.com/monedula/monedula/zkconsumer"
	"github.com/monedula/monedula/zkstore"
)

// This file implements the console consumer of Kafka 0.8 to 1.1, which --zookeeper selects. It has
// the options and messages of 1.1.1.

type classicOptions struct {
	*cli.Options
	topic, whitelist, blacklist, zookeeper, bootstrap     *cli.Option
	partition, offset, newConsumer, group                 *cli.Option
	consumerProperty, consumerConfig                      *cli.Option
	formatterClass, property                              *cli.Option
	deleteOffsets, fromBeginning                          *cli.Option
	maxMessages, timeout, skipOnError, systest, isolation *cli.Option
	csvReporter, metricsDir                               *cli.Option
	keyDeserializer, valueDeserializer                    *cli.Option
}

func newClassicOptions(env *cli.Env) *classicOptions {
	o := &classicOptions{Options: cli.NewOptions(env, "kafka-console-consumer", "The console consumer is a tool that reads data from Kafka and outputs it to standard output.")}
	o.topic = o.Value("topic", "String: topic", "The topic to read.")
	o.whitelist = o.Value("whitelist", "String: whitelist", "A regular expression for the topics to read.")
	o.blacklist = o.Value("blacklist", "String: blacklist", "A regular expression for the topics not to read.")
	o.zookeeper = o.Value("zookeeper", "String: urls", "The ZooKeeper ensemble as HOST1:PORT1,HOST2:PORT2/CHROOT. Selects the consumer that keeps its group in ZooKeeper.")
	o.bootstrap = o.Value("bootstrap-server", "String: server to connect to", "Not valid with --zookeeper.")
	o.partition = o.Value("partition", "Integer: partition", "Not valid with --zookeeper.")
	o.offset = o.Value("offset", "String: consume offset", "Not valid with --zookeeper.")
	o.newConsumer = o.Toggle("new-consumer", "Not valid with --zookeeper.")
	o.group = o.Value("group", "String: consumer group id", "The consumer group. (default: a new group, which is deleted at the end)")
	o.consumerProperty = o.Value("consumer-property", "String: consumer_prop", "A consumer property as key=value.")
	o.consumerConfig = o.Value("consumer.config", "String: config file", "A properties file for the consumer. --consumer-property takes precedence.")
	o.formatterClass = o.Value("formatter", "String: class", "The formatter: kafka.tools.DefaultMessageFormatter (default), or LoggingMessageFormatter or NoOpMessageFormatter of the same package.")
	o.property = o.Value("property", "String: prop", "A property of the formatter.")
	o.deleteOffsets = o.Toggle("delete-consumer-offsets", "Delete the group from ZooKeeper before reading.")
	o.fromBeginning = o.Toggle("from-beginning", "Start with the earliest record if the group has no offset.")
	o.maxMessages = o.Value("max-messages", "Integer: num_messages", "Stop after N records. (default: no limit)")
	o.timeout = o.Value("timeout-ms", "Integer: timeout_ms", "Stop if no record arrives for N ms. (default: no limit)")
	o.skipOnError = o.Toggle("skip-message-on-error", "Skip records that cannot be printed instead of stopping.")
	o.systest = o.Toggle("enable-systest-events", "Also print the consumer's lifecycle events.")
	o.isolation = o.Value("isolation-level", "String", "Accepted, but has no effect with --zookeeper.")
	o.csvReporter = o.Toggle("csv-reporter-enabled", "Accepted, but has no effect.")
	o.metricsDir = o.Value("metrics-dir", "String: metrics directory", "Accepted, but has no effect.")
	o.keyDeserializer = o.Value("key-deserializer", "String: deserializer for key", "The Java class that deserializes keys.")
	o.valueDeserializer = o.Value("value-deserializer", "String: deserializer for values", "The Java class that deserializes values.")
	return o
}

// asksForZookeeper reports whether the command line selects the classic consumer.
func asksForZookeeper(args []string) bool {
	for _, arg := range args {
		name, _, _ := strings.Cut(arg, "=")
		if name == "--zookeeper" || name == "-zookeeper" {
			return true
		}
	}
	return false
}

func runClassicConsumer(env *cli.Env, args []string) int {
	o := newClassicOptions(env)
	if err := o.Parse(args); err != nil {
		var bad cli.BadOption
		if errors.As(err, &bad) { // 1.1.1 prints the options if the parser fails
			err = cli.UsageError{Text: bad.Text}
		}
		return o.Fail(err)
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
	var line lineError
	switch err := c.run(); {
	case errors.As(err, &line):
		env.Complainf("%s", line.text)
		return 1
	case err != nil:
		c.log.WithError(classicException(err)).Error("Unknown error when running consumer: ")
		return 1
	}
	return 0
}

// inMain formats an error like an exception that Java's main method did not catch.
func inMain(class string, err error) error {
	return fmt.Errorf("Exception in thread \"main\" %s", cli.ExceptionText(class, err.Error()))
}

// classicException returns err with the exception class that 1.1.1 names.
func classicException(err error) error {
	var config *zkconsumer.ConfigError
	var failed *zkconsumer.RebalanceFailedError
	var timeout *zkstore.ConnectionTimeoutError
	switch {
	case errors.As(err, &failed):
		return errors.New(cli.ExceptionText("kafka.common.ConsumerRebalanceFailedException", err.Error()))
	case errors.As(err, &timeout):
		return fmt.Errorf("org.I0Itec.zkclient.exception.ZkTimeoutException: Unable to connect to zookeeper server '%s' with timeout of %d ms: %s", timeout.Connect, timeout.After.Milliseconds(), timeout.Hint())
	case errors.As(err, &config) && (strings.Contains(config.Text, "requirement") || strings.Contains(config.Text, "required property")):
		return errors.New(cli.ExceptionText("java.lang.IllegalArgumentException", config.Text))
	case errors.As(err, &config):
		return errors.New(cli.ExceptionText("kafka.common.InvalidConfigException", config.Text))
	}
	return cli.AsException(err)
}

// check rejects what 1.1.1 rejects, with the same messages and in the same order.
func (o *classicOptions) check() error {
	switch {
	case o.bootstrap.Given():
		return cli.UsageError{Text: "Option [bootstrap-server] is not valid with [zookeeper]."}
	case o.newConsumer.Given():
		return cli.UsageError{Text: "Option [new-consumer] is not valid with [zookeeper]."}
	}
	given := 0
	for _, opt := range []*cli.Option{o.topic, o.whitelist, o.blacklist} {
		if opt.Given() {
			given++
		}
	}
	if given != 1 {
		return cli.UsageError{Text: "Exactly one of whitelist/blacklist/topic is required."}
	}
	if pattern := o.topic.Or(o.whitelist.Or(o.blacklist.Or(""))); pattern != "" {
		if err := zkconsumer.CheckPattern(pattern); err != nil {
			return inMain("java.lang.RuntimeException", err)
		}
	}
	o.Env.Complainf("Using the ConsoleConsumer with old consumer is deprecated and will be removed in a future major release. Consider using the new consumer by passing [bootstrap-server] instead of [zookeeper].")
	if o.partition.Given() || o.offset.Given() {
		return cli.UsageError{Text: "Partition-offset based consumption is supported in the new consumer only."}
	}
	return nil
}

// classicConsumer is the console consumer that uses ZooKeeper.
type classicConsumer struct {
	o         *classicOptions
	props     map[string]string
	config    zkconsumer.Config
	group     string
	generated bool          // the group name is generated; the group is deleted at the end
	most      int64         // -1: no limit
	timeout   time.Duration // -1: no timeout
	format    formatter
	log       *logrus.Entry
	count     int64
}

func (o *classicOptions) consumer() (*classicConsumer, error) {
	c := &classicConsumer{o: o, log: o.Env.Logger("kafka.tools.ConsoleConsumer$"), timeout: -1}
	var err error
	if c.most, err = o.Number(o.maxMessages, -1); err != nil {
		return nil, inMain("joptsimple.OptionArgumentConversionException", err)
	}
	timeout, err := o.Number(o.timeout, -1)
	if err != nil {
		return nil, inMain("joptsimple.OptionArgumentConversionException", err)
	}
	file, err := client.LoadProperties(o.consumerConfig.Or(""))
	if err != nil {
		return nil, cli.AsException(err)
	}
	formatting := keyValues(o.property.Values())
	for class, opt := range map[string]*cli.Option{"key.deserializer": o.keyDeserializer, "value.deserializer": o.valueDeserializer} {
		if opt.Or("") != "" {
			formatting[class] = opt.Or("")
		}
	}
	class := o.formatterClass.Or(defaultFormatterClass)
	if now, old := renamedFormatters[class]; old { // these names were not deprecated in 1.1.1
		class = now
	}
	if c.format, err = newFormatter(o.Env, class, formatting); err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	own := keyValues(o.consumerProperty.Values())
	if err := c.findGroup(file["group.id"], own["group.id"]); err != nil {
		return nil, err
	}
	c.props = file
	for key, value := range own {
		c.props[key] = value
	}
	c.props["group.id"] = c.group
	if reset := c.props["auto.offset.reset"]; reset == "" {
		c.props["auto.offset.reset"] = zkconsumer.Largest
		if o.fromBeginning.Given() {
			c.props["auto.offset.reset"] = zkconsumer.Smallest
		}
	} else if o.fromBeginning.Given() && reset != zkconsumer.Smallest {
		return nil, fmt.Errorf("Can't simultaneously specify --from-beginning and 'auto.offset.reset=%s', please remove one option", reset)
	}
	c.props["zookeeper.connect"] = o.zookeeper.Or("")
	if timeout >= 0 {
		c.props["consumer.timeout.ms"] = fmt.Sprint(timeout)
	}
	return c, nil
}

// findGroup sets the group's name. It may be given in several places, but must be the same in all
// of them.
func (c *classicConsumer) findGroup(file, property string) error {
	var given []string
	for _, id := range []string{c.o.group.Or(""), file, property} {
		if id != "" && !slices.Contains(given, id) {
			given = append(given, id)
		}
	}
	switch len(given) {
	case 0:
		c.group, c.generated = fmt.Sprintf("console-consumer-%d", rand.IntN(100000)), true
	case 1:
		c.group = given[0]
	default:
		return cli.UsageError{Text: fmt.Sprintf("The group ids provided in different places (directly using '--group', via '--consumer-property', or via '--consumer.config') do not match. Detected group ids: '%s'", strings.Join(given, "', '"))}
	}
	return nil
}

// configure reads the properties and warns about unknown ones.
func (c *classicConsumer) configure() error {
	unknown, err := c.config.Properties(c.props)
	if err != nil {
		return err
	}
	for _, key := range unknown {
		c.o.Env.Logger("kafka.utils.VerifiableProperties").Warnf("Property %s is not valid", key)
	}
	if text := c.props["consumer.timeout.ms"]; text != "" {
		var ms int64
		if _, err := fmt.Sscan(text, &ms); err != nil {
			return &zkconsumer.ConfigError{Text: fmt.Sprintf("consumer.timeout.ms: For input string: %q", text)}
		}
		if ms >= 0 {
			c.timeout = cli.Millis(ms)
		}
	}
	switch {
	case c.o.topic.Given():
		c.config.Include = c.o.topic.Or("")
	case c.o.whitelist.Given():
		c.config.Include = c.o.whitelist.Or("")
	default:
		c.config.Exclude = c.o.blacklist.Or("")
	}
	c.config.Logger = c.log.Logger
	return nil
}

func (c *classicConsumer) run() error {
	ctx, cancel := c.o.Env.UntilSignal()
	defer cancel()
	if err := c.prepare(); err != nil {
		return err
	}
	if err := c.configure(); err != nil {
		return err
	}
	consumer, err := zkconsumer.Open(ctx, c.config)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	err = c.print(ctx, consumer.Streams()[0])
	consumer.Close()
	c.o.Env.Complainf("Processed a total of %d messages", c.count)
	if c.generated {
		if e := c.inZookeeper(func(ctx context.Context, store *zkstore.Store) error { return store.DeleteConsumerGroup(ctx, c.group) }); e != nil {
			c.log.WithError(e).Warnf("The generated group %s could not be deleted in ZooKeeper", c.group)
		}
	}
	if c.o.systest.Given() && ctx.Err() != nil {
		c.o.Env.Println("shutdown_complete")
	}
	return err
}

// inZookeeper runs f with a ZooKeeper session of its own.
func (c *classicConsumer) inZookeeper(f func(ctx context.Context, store *zkstore.Store) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), client.AdminTimeout)
	defer cancel()
	store, err := zkstore.Open(ctx, zkstore.Config{Connect: c.o.zookeeper.Or(""), SessionTimeout: 30 * time.Second})
	var timeout *zkstore.ConnectionTimeoutError
	if errors.As(err, &timeout) { // 1.1.1 prints only the first of these two lines
		return lineError{"No brokers found in ZK.\n" + timeout.Hint()}
	}
	if err != nil {
		return err
	}
	defer store.Close()
	return f(ctx, store)
}

// prepare checks that there are brokers. It deletes the group from ZooKeeper if the options ask for
// it. Otherwise it fails if the group has offsets although auto.offset.reset is smallest.
func (c *classicConsumer) prepare() error {
	return c.inZookeeper(func(ctx context.Context, store *zkstore.Store) error {
		there, err := store.Arm(ctx, zkstore.BrokerIDsPath)
		if err != nil {
			return err
		}
		if !there {
			return lineError{"No brokers found in ZK."}
		}
		if c.o.deleteOffsets.Given() {
			return store.DeleteConsumerGroup(ctx, c.group)
		}
		committed, err := store.HasConsumerOffsets(ctx, c.group)
		if err != nil {
			return err
		}
		if committed && c.props["auto.offset.reset"] == zkconsumer.Smallest {
			return lineError{fmt.Sprintf("Found previous offset information for this group %s. Please use --delete-consumer-offsets to delete previous offsets metadata", c.group)}
		}
		return nil
	})
}

// lineError ends the tool with a single line of text and exit code 1.
type lineError struct{ text string }

func (e lineError) Error() string { return e.text }

// printMost is the maximum number of records that are printed before they count as consumed.
const printMost = 500

func (c *classicConsumer) print(ctx context.Context, stream *zkconsumer.Stream) error {
	out := bufio.NewWriterSize(c.o.Env.Stdout, 64<<10)
	defer out.Flush()
	for c.most < 0 || c.count < c.most {
		most := printMost
		if left := c.most - c.count; c.most >= 0 && left < int64(most) {
			most = int(left)
		}
		poll, cancel := ctx, context.CancelFunc(func() {})
		if c.timeout >= 0 {
			poll, cancel = context.WithTimeout(ctx, c.timeout)
		}
		records, err := stream.Poll(poll, most)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, context.DeadlineExceeded):
			c.log.WithError(errors.New("kafka.consumer.ConsumerTimeoutException")).Error("Error processing message, terminating consumer process: ")
			return nil
		case err != nil:
			c.log.WithError(errors.New(cli.ExceptionText("kafka.common.MessageSizeTooLargeException", err.Error()))).Error("Error processing message, terminating consumer process: ")
			return nil
		}
		for i := range records {
			c.count++
			if err := c.format(out, asKgo(&records[i])); err != nil && !cli.OutputFailed(out) {
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
	}
	return nil
}

// asKgo converts a record to the type that the formatters accept.
func asKgo(r *zkconsumer.Record) *kgo.Record {
	to := &kgo.Record{Topic: r.Topic, Partition: r.Partition, Offset: int64(r.Offset), Key: r.Key, Value: r.Value, Timestamp: time.UnixMilli(r.Timestamp)}
	for _, h := range r.Headers {
		to.Headers = append(to.Headers, kgo.RecordHeader{Key: string(h.Key), Value: h.Value})
	}
	to.Attrs = kgo.NewRecordAttrs(kgo.RecordAttrsOpts{TimestampType: int8(r.TimestampType)})
	return to
}
