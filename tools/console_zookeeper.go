package tools

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

	"github.com/monedula/monedula/zkconsumer"
	"github.com/monedula/monedula/zkstore"
)

// This file implements the console consumer of Kafka 0.8 to 1.1, which --zookeeper selects. It has
// the options and texts of 1.1.1.

type classicOptions struct {
	*options
	topic, whitelist, blacklist, zookeeper, bootstrap     *option
	partition, offset, newConsumer, group                 *option
	consumerProperty, consumerConfig                      *option
	formatterClass, property                              *option
	deleteOffsets, fromBeginning                          *option
	maxMessages, timeout, skipOnError, systest, isolation *option
	csvReporter, metricsDir                               *option
	keyDeserializer, valueDeserializer                    *option
}

func newClassicOptions(env *Env) *classicOptions {
	o := &classicOptions{options: newOptions(env, "kafka-console-consumer", "The console consumer is a tool that reads data from Kafka and outputs it to standard output.")}
	o.topic = o.value("topic", "String: topic", "The topic to read.")
	o.whitelist = o.value("whitelist", "String: whitelist", "A regular expression for the topics to read.")
	o.blacklist = o.value("blacklist", "String: blacklist", "A regular expression for the topics not to read.")
	o.zookeeper = o.value("zookeeper", "String: urls", "The ZooKeeper ensemble as HOST1:PORT1,HOST2:PORT2/CHROOT. Selects the consumer that keeps its group in ZooKeeper.")
	o.bootstrap = o.value("bootstrap-server", "String: server to connect to", "Not valid with --zookeeper.")
	o.partition = o.value("partition", "Integer: partition", "Not valid with --zookeeper.")
	o.offset = o.value("offset", "String: consume offset", "Not valid with --zookeeper.")
	o.newConsumer = o.toggle("new-consumer", "Not valid with --zookeeper.")
	o.group = o.value("group", "String: consumer group id", "The consumer group. (default: a new group, which is deleted at the end)")
	o.consumerProperty = o.value("consumer-property", "String: consumer_prop", "A consumer property as key=value.")
	o.consumerConfig = o.value("consumer.config", "String: config file", "A properties file for the consumer. --consumer-property takes precedence.")
	o.formatterClass = o.value("formatter", "String: class", "The formatter: kafka.tools.DefaultMessageFormatter (default), or LoggingMessageFormatter or NoOpMessageFormatter of the same package.")
	o.property = o.value("property", "String: prop", "A property of the formatter.")
	o.deleteOffsets = o.toggle("delete-consumer-offsets", "Delete the group from ZooKeeper before reading.")
	o.fromBeginning = o.toggle("from-beginning", "Start with the earliest record if the group has no offset.")
	o.maxMessages = o.value("max-messages", "Integer: num_messages", "Stop after N records. (default: no limit)")
	o.timeout = o.value("timeout-ms", "Integer: timeout_ms", "Stop if no record arrives for N ms. (default: no limit)")
	o.skipOnError = o.toggle("skip-message-on-error", "Skip records that cannot be printed instead of stopping.")
	o.systest = o.toggle("enable-systest-events", "Also print the consumer's lifecycle events.")
	o.isolation = o.value("isolation-level", "String", "Accepted, but has no effect with --zookeeper.")
	o.csvReporter = o.toggle("csv-reporter-enabled", "Accepted, but has no effect.")
	o.metricsDir = o.value("metrics-dir", "String: metrics directory", "Accepted, but has no effect.")
	o.keyDeserializer = o.value("key-deserializer", "String: deserializer for key", "The Java class that deserializes keys.")
	o.valueDeserializer = o.value("value-deserializer", "String: deserializer for values", "The Java class that deserializes values.")
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

func runClassicConsumer(env *Env, args []string) int {
	o := newClassicOptions(env)
	if err := o.parse(args); err != nil {
		var bad badOption
		if errors.As(err, &bad) { // 1.1.1 prints the options if the parser fails
			err = usageError{bad.text}
		}
		return o.fail(err)
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
	var line lineError
	switch err := c.run(); {
	case errors.As(err, &line):
		env.complainf("%s", line.text)
		return 1
	case err != nil:
		c.log.WithError(classicException(err)).Error("Unknown error when running consumer: ")
		return 1
	}
	return 0
}

// inMain formats an error like an exception that Java's main method did not catch.
func inMain(class string, err error) error {
	return fmt.Errorf("Exception in thread \"main\" %s", exception(class, err.Error()))
}

// classicException returns err with the exception class that 1.1.1 names.
func classicException(err error) error {
	var config *zkconsumer.ConfigError
	var failed *zkconsumer.RebalanceFailedError
	var timeout *zkstore.ConnectionTimeoutError
	switch {
	case errors.As(err, &failed):
		return errors.New(exception("kafka.common.ConsumerRebalanceFailedException", err.Error()))
	case errors.As(err, &timeout):
		return fmt.Errorf("org.I0Itec.zkclient.exception.ZkTimeoutException: Unable to connect to zookeeper server '%s' with timeout of %d ms: %s", timeout.Connect, timeout.After.Milliseconds(), timeout.Hint())
	case errors.As(err, &config) && (strings.Contains(config.Text, "requirement") || strings.Contains(config.Text, "required property")):
		return errors.New(exception("java.lang.IllegalArgumentException", config.Text))
	case errors.As(err, &config):
		return errors.New(exception("kafka.common.InvalidConfigException", config.Text))
	}
	return asException(err)
}

// check rejects what 1.1.1 rejects, with the same texts and in the same order.
func (o *classicOptions) check() error {
	switch {
	case o.bootstrap.given():
		return usageError{"Option [bootstrap-server] is not valid with [zookeeper]."}
	case o.newConsumer.given():
		return usageError{"Option [new-consumer] is not valid with [zookeeper]."}
	}
	given := 0
	for _, opt := range []*option{o.topic, o.whitelist, o.blacklist} {
		if opt.given() {
			given++
		}
	}
	if given != 1 {
		return usageError{"Exactly one of whitelist/blacklist/topic is required."}
	}
	if pattern := o.topic.or(o.whitelist.or(o.blacklist.or(""))); pattern != "" {
		if err := zkconsumer.CheckPattern(pattern); err != nil {
			return inMain("java.lang.RuntimeException", err)
		}
	}
	o.env.complainf("Using the ConsoleConsumer with old consumer is deprecated and will be removed in a future major release. Consider using the new consumer by passing [bootstrap-server] instead of [zookeeper].")
	if o.partition.given() || o.offset.given() {
		return usageError{"Partition-offset based consumption is supported in the new consumer only."}
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
	c := &classicConsumer{o: o, log: o.env.logger("kafka.tools.ConsoleConsumer$"), timeout: -1}
	var err error
	if c.most, err = o.number(o.maxMessages, -1); err != nil {
		return nil, inMain("joptsimple.OptionArgumentConversionException", err)
	}
	timeout, err := o.number(o.timeout, -1)
	if err != nil {
		return nil, inMain("joptsimple.OptionArgumentConversionException", err)
	}
	file, err := loadProperties(o.consumerConfig.or(""))
	if err != nil {
		return nil, asException(err)
	}
	formatting := keyValues(o.property.values())
	for class, opt := range map[string]*option{"key.deserializer": o.keyDeserializer, "value.deserializer": o.valueDeserializer} {
		if opt.or("") != "" {
			formatting[class] = opt.or("")
		}
	}
	class := o.formatterClass.or(defaultFormatterClass)
	if now, old := renamedFormatters[class]; old { // these names were not deprecated in 1.1.1
		class = now
	}
	if c.format, err = newFormatter(o.env, class, formatting); err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	own := keyValues(o.consumerProperty.values())
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
		if o.fromBeginning.given() {
			c.props["auto.offset.reset"] = zkconsumer.Smallest
		}
	} else if o.fromBeginning.given() && reset != zkconsumer.Smallest {
		return nil, fmt.Errorf("Can't simultaneously specify --from-beginning and 'auto.offset.reset=%s', please remove one option", reset)
	}
	c.props["zookeeper.connect"] = o.zookeeper.or("")
	if timeout >= 0 {
		c.props["consumer.timeout.ms"] = fmt.Sprint(timeout)
	}
	return c, nil
}

// findGroup sets the group's name. It may be given in several places, but must be the same in all
// of them.
func (c *classicConsumer) findGroup(file, property string) error {
	var given []string
	for _, id := range []string{c.o.group.or(""), file, property} {
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
		return usageError{fmt.Sprintf("The group ids provided in different places (directly using '--group', via '--consumer-property', or via '--consumer.config') do not match. Detected group ids: '%s'", strings.Join(given, "', '"))}
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
		c.o.env.logger("kafka.utils.VerifiableProperties").Warnf("Property %s is not valid", key)
	}
	if text := c.props["consumer.timeout.ms"]; text != "" {
		var ms int64
		if _, err := fmt.Sscan(text, &ms); err != nil {
			return &zkconsumer.ConfigError{Text: fmt.Sprintf("consumer.timeout.ms: For input string: %q", text)}
		}
		if ms >= 0 {
			c.timeout = millis(ms)
		}
	}
	switch {
	case c.o.topic.given():
		c.config.Include = c.o.topic.or("")
	case c.o.whitelist.given():
		c.config.Include = c.o.whitelist.or("")
	default:
		c.config.Exclude = c.o.blacklist.or("")
	}
	c.config.Logger = c.log.Logger
	return nil
}

func (c *classicConsumer) run() error {
	ctx, cancel := c.o.env.untilSignal()
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
	c.o.env.complainf("Processed a total of %d messages", c.count)
	if c.generated {
		if e := c.inZookeeper(func(ctx context.Context, store *zkstore.Store) error { return store.DeleteConsumerGroup(ctx, c.group) }); e != nil {
			c.log.WithError(e).Warnf("The generated group %s could not be deleted in ZooKeeper", c.group)
		}
	}
	if c.o.systest.given() && ctx.Err() != nil {
		c.o.env.println("shutdown_complete")
	}
	return err
}

// inZookeeper runs f with a ZooKeeper session of its own.
func (c *classicConsumer) inZookeeper(f func(ctx context.Context, store *zkstore.Store) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	store, err := zkstore.Open(ctx, zkstore.Config{Connect: c.o.zookeeper.or(""), SessionTimeout: 30 * time.Second})
	var timeout *zkstore.ConnectionTimeoutError
	if errors.As(err, &timeout) { // 1.1.1 prints the first line
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
		if c.o.deleteOffsets.given() {
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
	out := bufio.NewWriterSize(c.o.env.Stdout, 64<<10)
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
			c.log.WithError(errors.New(exception("kafka.common.MessageSizeTooLargeException", err.Error()))).Error("Error processing message, terminating consumer process: ")
			return nil
		}
		for i := range records {
			c.count++
			if err := c.format(out, asKgo(&records[i])); err != nil && !unread(out) {
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
	}
	return nil
}

// asKgo converts a record to the type that the formatters accept.
func asKgo(r *zkconsumer.Record) *kgo.Record {
	to := &kgo.Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Key: r.Key, Value: r.Value, Timestamp: time.UnixMilli(r.Timestamp)}
	for _, h := range r.Headers {
		to.Headers = append(to.Headers, kgo.RecordHeader{Key: string(h.Key), Value: h.Value})
	}
	to.Attrs = kgo.NewRecordAttrs(kgo.RecordAttrsOpts{TimestampType: int8(r.TimestampType)})
	return to
}
