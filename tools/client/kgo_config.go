package client

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
)

// Config is the configuration of a client, converted to options of franz-go.
type Config struct {
	Options   []kgo.Opt
	ClientID  string
	maxBlock  time.Duration // max.block.ms, of producers
	MayCreate bool          // allow.auto.create.topics, of consumers
}

// Waiter returns a TopicWaiter for the topic that a producer sends to.
func (c Config) Waiter(env *cli.Env, servers []string, topic string) *TopicWaiter {
	return &TopicWaiter{servers: servers, Topic: topic, Reporter: Reporter{Env: env, Name: "Producer clientId=" + c.ClientID},
		Limit: c.maxBlock, MayCreate: true}
}

// FromKgo converts an error of franz-go to one with Kafka's code and text.
func FromKgo(err error) error {
	var k *kerr.Error
	if errors.As(err, &k) {
		return protocol.ErrorCode(k.Code)
	}
	if errors.Is(err, kgo.ErrRecordTimeout) || errors.Is(err, kgo.ErrRecordRetries) {
		return cli.NewJavaError("org.apache.kafka.common.errors.TimeoutException", err.Error())
	}
	return err
}

// PlainOnly rejects security settings that the clients do not support.
func PlainOnly(props map[string]string) error {
	if p := strings.ToUpper(props["security.protocol"]); p != "" && p != "PLAINTEXT" {
		return ConfigError(fmt.Sprintf("security.protocol=%s is not supported by this tool; only PLAINTEXT is", p))
	}
	return nil
}

// ConfigError returns the exception of an invalid client property.
func ConfigError(text string) error {
	return cli.NewJavaError("org.apache.kafka.common.config.ConfigException", text)
}

// propertyReader reads properties and keeps the first error.
type propertyReader struct {
	props map[string]string
	err   error
}

func (r *propertyReader) number(key string, def, lowest int64) int64 {
	text, set := r.props[key]
	if !set {
		return def
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		r.fail(fmt.Sprintf("Invalid value %s for configuration %s: Not a number of type LONG", text, key))
	} else if n < lowest {
		r.fail(fmt.Sprintf("Invalid value %s for configuration %s: Value must be at least %d", text, key, lowest))
	}
	return n
}

func (r *propertyReader) fail(text string) {
	if r.err == nil {
		r.err = ConfigError(text)
	}
}

// metadataPause is the minimum time between two metadata requests. It equals Java's first
// retry.backoff.ms.
const metadataPause = 100 * time.Millisecond

// Limits of franz-go. It refuses to start with values beyond them, which Java accepts.
const (
	metadataAgeMost = time.Hour
	idleLeast       = 100 * time.Millisecond
	idleMost        = 15 * time.Minute
	lingerMost      = time.Minute
)

// metadataAge returns metadata.max.age.ms, limited to what the client supports.
func (r *propertyReader) metadataAge() time.Duration {
	return min(max(cli.Millis(r.number("metadata.max.age.ms", 300000, 0)), metadataPause), metadataAgeMost)
}

// ProducerConfig converts the properties of a Java producer.
func ProducerConfig(props map[string]string) (Config, error) {
	if err := PlainOnly(props); err != nil {
		return Config{}, err
	}
	r := &propertyReader{props: props}
	var c Config
	acks, acksAll := kgo.AllISRAcks(), true
	switch props["acks"] {
	case "", "-1", "all":
	case "1":
		acks, acksAll = kgo.LeaderAck(), false
	case "0":
		acks, acksAll = kgo.NoAck(), false
	default:
		r.fail(fmt.Sprintf("Invalid value %s for configuration acks: String must be one of: all, -1, 0, 1", props["acks"]))
	}
	c.ClientID = props["client.id"]
	requestTimeout := cli.Millis(r.number("request.timeout.ms", 30000, 0))
	retries := r.number("retries", 2147483647, 0)
	inFlight := r.number("max.in.flight.requests.per.connection", 5, 1)
	idempotent := r.idempotent(acksAll, retries, inFlight)
	c.maxBlock = cli.Millis(r.number("max.block.ms", 60000, 0))
	delivery := cli.Millis(r.number("delivery.timeout.ms", 120000, 0))
	maxRequest := r.number("max.request.size", 1048576, 0)
	linger := min(cli.Millis(r.number("linger.ms", 0, 0)), lingerMost)
	if props["delivery.timeout.ms"] != "" && delivery < linger+requestTimeout {
		r.fail("delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms")
	}
	// Like Java's producer, ours identifies topics by name. franz-go fails a topic whose id
	// changes, and topic ids are in metadata from version 10 on, so use an older version. Records
	// for a missing topic fail at once; TopicProducer waits for the topic and sends them again.
	byName := kversion.Stable()
	byName.SetMaxKeyVersion(int16(kmsg.Metadata), 9)
	c.Options = append(r.connection(),
		kgo.MaxVersions(byName),
		kgo.UnknownTopicRetries(0),
		kgo.RequiredAcks(acks),
		kgo.ProducerBatchCompression(r.codec()),
		kgo.ProducerLinger(linger),
		kgo.ProduceRequestTimeout(max(requestTimeout, 100*time.Millisecond)),
		kgo.RecordRetries(int(min(retries, 1<<30))),
		kgo.RecordDeliveryTimeout(delivery),
		kgo.ProducerBatchMaxBytes(int32(min(max(maxRequest, r.number("batch.size", 16384, 0)), 1<<30))),
		kgo.RecordPartitioner(r.partitioner()),
		kgo.AllowAutoTopicCreation(),
		kgo.TransactionTimeout(cli.Millis(r.number("transaction.timeout.ms", 60000, 0))),
		kgo.MaxBufferedRecords(1<<20), // buffer.memory bounds them
		kgo.MaxBufferedBytes(int(r.number("buffer.memory", 33554432, 0))),
	)
	if !idempotent {
		c.Options = append(c.Options, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(int(min(inFlight, 1<<20))))
	}
	return c, r.err
}

// ConsumerConfig converts the properties of a Java consumer.
func ConsumerConfig(props map[string]string) (Config, error) {
	if err := PlainOnly(props); err != nil {
		return Config{}, err
	}
	r := &propertyReader{props: props}
	var c Config
	c.ClientID = props["client.id"]
	c.Options = append(r.connection(),
		kgo.FetchMaxWait(cli.Millis(r.number("fetch.max.wait.ms", 500, 0))),
		kgo.FetchMinBytes(int32(r.number("fetch.min.bytes", 1, 0))),
		kgo.FetchMaxBytes(int32(min(r.number("fetch.max.bytes", 52428800, 0), 1<<30))),
		kgo.FetchMaxPartitionBytes(int32(min(r.number("max.partition.fetch.bytes", 1048576, 0), 1<<30))),
		kgo.Rack(props["client.rack"]),
	)
	if !r.yes("check.crcs", true) {
		c.Options = append(c.Options, kgo.DisableFetchCRCValidation())
	}
	c.MayCreate = r.yes("allow.auto.create.topics", true)
	if c.MayCreate {
		c.Options = append(c.Options, kgo.AllowAutoTopicCreation())
	}
	if p := props["group.protocol"]; p != "" && !strings.EqualFold(p, "classic") {
		r.fail(fmt.Sprintf("group.protocol=%s requires KRaft; only classic is supported", p))
	}
	switch isolation := props["isolation.level"]; isolation {
	case "", "read_uncommitted":
		c.Options = append(c.Options, kgo.FetchIsolationLevel(kgo.ReadUncommitted()))
	case "read_committed":
		c.Options = append(c.Options, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	default:
		r.fail(fmt.Sprintf("Invalid value %s for configuration isolation.level: String must be one of: read_committed, read_uncommitted", isolation))
	}
	return c, r.err
}
