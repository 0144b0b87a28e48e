package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// ProducerTool is kafka-console-producer.
var ProducerTool = cli.Tool{
	Name:    "kafka-console-producer",
	Summary: "Sends lines of stdin to a topic.",
	Run:     runConsoleProducer,
}

type producerOptions struct {
	*cli.Options
	topic, brokerList, bootstrap, sync, codec *cli.Option
	property, readerConfig, lineReader        *cli.Option
	producerProperty, producerConfig          *cli.Option
	merged                                    map[string]*cli.Option // options that set a producer property, keyed by property
	defaults                                  map[string]string      // default values, keyed by property
}

func newProducerOptions(env *cli.Env) *producerOptions {
	o := &producerOptions{Options: cli.NewOptions(env, "kafka-console-producer", "This tool helps to read data from standard input and publish it to Kafka."),
		merged: map[string]*cli.Option{}, defaults: map[string]string{}}
	o.topic = o.Value("topic", "String: topic", "REQUIRED: The topic to send to.")
	o.brokerList = o.Value("broker-list", "String: broker-list", "DEPRECATED: use --bootstrap-server. Ignored if --bootstrap-server is given. The brokers, as HOST1:PORT1,HOST2:PORT2.")
	o.bootstrap = o.Value("bootstrap-server", "String: server to connect to", "REQUIRED unless --broker-list is given: The brokers to connect to first, as HOST1:PORT1,HOST2:PORT2.")
	o.sync = o.Toggle("sync", "Send lines one at a time and wait for each acknowledgement.")
	o.codec = o.MaybeValue("compression-codec", "String: compression-codec", "The compression codec: 'none', 'gzip', 'snappy', 'lz4' or 'zstd'. 'gzip' if no value is given.")
	merge := func(key, name, arg, def, doc string) {
		o.merged[key], o.defaults[key] = o.Value(name, arg, doc+" (default: "+def+")"), def
	}
	merge("linger.ms", "timeout", "Long: timeout_ms", "1000", "The maximum time that a record waits for others to fill its batch, in ms.")
	merge("acks", "request-required-acks", "String: request required acks", "-1", "The acknowledgements required for each record: 0 (none), 1 (the leader), or -1 (all in-sync replicas).")
	merge("request.timeout.ms", "request-timeout-ms", "Integer: request timeout ms", "1500", "The maximum time to wait for a response, in ms.")
	merge("retries", "message-send-max-retries", "Integer", "3", "The maximum number of times to retry a failed send.")
	merge("retry.backoff.ms", "retry-backoff-ms", "Long", "100", "The pause before each retry, in ms.")
	merge("send.buffer.bytes", "socket-buffer-size", "Integer: size", "102400", "The size of the socket's send buffer, in bytes.")
	merge("buffer.memory", "max-memory-bytes", "Long: total memory in bytes", "33554432", "The maximum size of the records waiting to be sent, in bytes.")
	merge("batch.size", "batch-size", "Integer: size", "16384", "The maximum size of a batch, in bytes.")
	batch := o.Value("max-partition-memory-bytes", "Integer: memory in bytes per partition", "The maximum size of a partition's batch, in bytes. Takes precedence over --batch-size. (default: 16384)")
	merge("metadata.max.age.ms", "metadata-expiry-ms", "Long: metadata expiration interval", "300000", "The maximum age of metadata before it is refreshed, in ms.")
	merge("max.block.ms", "max-block-ms", "Long: max block on send", "60000", "The maximum time that a send waits for metadata or memory, in ms.")
	o.merged["batch.size/partition"] = batch
	o.lineReader = o.Value("line-reader", "String: reader_class", "Only the default reader is accepted: other Java classes cannot be loaded.")
	o.property = o.Value("property", "String: prop", "A property of the line reader: parse.key, key.separator, parse.headers, headers.delimiter, headers.separator, headers.key.separator, ignore.error, null.marker.")
	o.readerConfig = o.Value("reader-config", "String: config file", "A properties file for the line reader. --property takes precedence.")
	o.producerProperty = o.Value("producer-property", "String: producer_prop", "A producer property as key=value.")
	o.producerConfig = o.Value("producer.config", "String: config file", "A properties file for the producer. --producer-property takes precedence.")
	return o
}

func runConsoleProducer(env *cli.Env, args []string) int {
	o := newProducerOptions(env)
	if err := o.Parse(args); err != nil {
		return o.FailParsing(err)
	}
	if !o.bootstrap.Given() && !o.brokerList.Given() {
		return o.Fail(cli.UsageError{Text: "Missing required option(s) [bootstrap-server]"})
	}
	if err := o.Require(o.topic); err != nil {
		return o.Fail(err)
	}
	servers, err := client.ParseBootstrap(o.bootstrap.Or(o.brokerList.Or("")))
	if err != nil {
		return o.Fail(cli.UsageError{Text: "Please provide valid host:port like host1:9091,host2:9092\n "})
	}
	if class := o.lineReader.Or(""); class != "" && !strings.HasSuffix(class, "LineMessageReader") {
		return o.Fail(fmt.Errorf("java.lang.ClassNotFoundException: %s (custom line readers are Java classes, which this program cannot load)", class))
	}
	if err := o.CheckNumbers(); err != nil {
		env.Complainf("%s", err)
		return 1
	}
	if err := o.produce(servers); err != nil {
		env.Complainf("%s", cli.ExceptionText(cli.JavaClass(err), err.Error()))
		return 1
	}
	return 0
}

// properties returns the producer's properties from the file, --producer-property and the other
// options.
func (o *producerOptions) properties() (map[string]string, error) {
	props, err := client.LoadProperties(o.producerConfig.Or(""))
	if err != nil {
		return nil, err
	}
	for key, value := range keyValues(o.producerProperty.Values()) {
		props[key] = value
	}
	props["compression.type"] = "none"
	if o.codec.Given() {
		props["compression.type"] = "gzip"
		if codec := o.codec.Or(""); codec != "" {
			props["compression.type"] = codec
		}
	}
	for key, opt := range o.merged {
		target, _, _ := strings.Cut(key, "/")
		if opt.Given() {
			props[target] = opt.Or("")
		}
	}
	if batch := o.merged["batch.size/partition"]; batch.Given() {
		props["batch.size"] = batch.Or("")
	}
	for key, def := range o.defaults {
		if _, set := props[key]; !set {
			props[key] = def
		}
	}
	if props["client.id"] == "" {
		props["client.id"] = "console-producer"
	}
	return props, nil
}

// keyValues parses key=value arguments. A key without a value has an empty value.
func keyValues(args []string) map[string]string {
	out := map[string]string{}
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		out[key] = value
	}
	return out
}

func (o *producerOptions) produce(servers []string) error {
	props, err := o.properties()
	if err != nil {
		return err
	}
	readerProps, err := client.LoadProperties(o.readerConfig.Or(""))
	if err != nil {
		return err
	}
	for key, value := range keyValues(o.property.Values()) {
		readerProps[key] = value
	}
	config, err := client.ProducerConfig(props)
	if err != nil {
		return err
	}
	ctx, cancel := o.Env.UntilSignal()
	defer cancel()
	reader, err := newLineReader(o.topic.Or(""), readerProps, cli.NewInterruptible(ctx, o.Env.Stdin), func() {
		if o.Env.Terminal {
			o.Env.Printf(">")
		}
	})
	if err != nil {
		return err
	}
	p := &consoleProducer{topic: o.topic.Or(""), log: o.Env.Logger("org.apache.kafka.clients.producer.internals.ErrorLoggingCallback"), sync: o.sync.Given()}
	waiter := config.Waiter(o.Env, servers, p.topic)
	open := func() error {
		if p.producer != nil {
			return nil
		}
		if err := waiter.Wait(ctx); err != nil {
			return err
		}
		producer, err := config.Open(o.Env, servers)
		p.producer = &client.TopicProducer{Client: producer, Await: waiter.Wait, Reporter: waiter.Reporter}
		return err
	}
	defer func() {
		if p.producer != nil {
			p.producer.Client.Close()
		}
	}()
	sendErr := p.sendAll(ctx, reader, open)
	if ctx.Err() != nil && errors.Is(sendErr, ctx.Err()) {
		return nil // the user did not want to wait for the brokers
	}
	if p.producer != nil { // send what was typed before Ctrl-C
		if err := p.producer.Flush(context.Background()); err != nil && sendErr == nil {
			sendErr = err
		}
	}
	return sendErr
}

// consoleProducer sends the records of a reader.
type consoleProducer struct {
	topic    string
	producer *client.TopicProducer // nil until the first record
	log      *logrus.Entry
	sync     bool
}

// sendAll sends records until the reader ends. It calls open before each record; one that cannot be
// sent since open fails is reported like one that could not be sent.
func (p *consoleProducer) sendAll(ctx context.Context, reader *lineReader, open func() error) error {
	for {
		record, err := reader.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := open(); err != nil {
			if ctx.Err() != nil {
				return err
			}
			if p.sync {
				return client.Execution(err)
			}
			p.complain(record, err)
			continue
		}
		if p.sync {
			sent := make(chan error, 1)
			p.producer.Produce(context.Background(), record, func(_ *kgo.Record, err error) { sent <- err })
			if err := <-sent; err != nil {
				return client.Execution(err)
			}
			continue
		}
		p.producer.Produce(context.Background(), record, func(r *kgo.Record, err error) {
			if err != nil {
				p.complain(r, err)
			}
		})
	}
}

// complain logs a record that could not be sent.
func (p *consoleProducer) complain(r *kgo.Record, err error) {
	key := "null"
	if r.Key != nil {
		key = strconv.Itoa(len(r.Key)) + " bytes"
	}
	value := "null"
	if r.Value != nil {
		value = strconv.Itoa(len(r.Value)) + " bytes"
	}
	p.log.WithError(cli.AsException(err)).Errorf("Error when sending message to topic %s with key: %s, value: %s with error:", p.topic, key, value)
}
