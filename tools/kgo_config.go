package tools

import (
	"cmp"
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
)

// clientConfig is a client's properties turned into options of franz-go.
type clientConfig struct {
	options  []kgo.Opt
	clientID string
	maxBlock time.Duration // max.block.ms, of producers
}

// waiter waits for the topic that a producer sends to.
func (c clientConfig) waiter(env *Env, servers []string, topic string) *topicWaiter {
	return &topicWaiter{servers: servers, topic: topic, client: "Producer clientId=" + c.clientID,
		log: env.logger("org.apache.kafka.clients.NetworkClient"), limit: c.maxBlock}
}

// fromKgo turns an error of franz-go into one with Kafka's code and text.
func fromKgo(err error) error {
	var k *kerr.Error
	if errors.As(err, &k) {
		return protocol.ErrorCode(k.Code)
	}
	if errors.Is(err, kgo.ErrRecordTimeout) || errors.Is(err, kgo.ErrRecordRetries) {
		return javaError{"org.apache.kafka.common.errors.TimeoutException", err.Error()}
	}
	return err
}

// plainOnly refuses properties that ask for what the clients cannot do.
func plainOnly(props map[string]string) error {
	if p := strings.ToUpper(props["security.protocol"]); p != "" && p != "PLAINTEXT" {
		return configError(fmt.Sprintf("security.protocol=%s is not supported by this tool; only PLAINTEXT is", p))
	}
	return nil
}

func configError(text string) error {
	return javaError{"org.apache.kafka.common.config.ConfigException", text}
}

// propertyReader reads numbers from properties and keeps the first mistake.
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
		r.err = configError(text)
	}
}

// metadataPause is the least time between two requests for metadata, as long as
// Java's first retry.backoff.ms.
const metadataPause = 100 * time.Millisecond

// metadataAge is metadata.max.age.ms, as short as the client can do.
func (r *propertyReader) metadataAge() time.Duration {
	return max(millis(r.number("metadata.max.age.ms", 300000, 0)), metadataPause)
}

// producerConfig reads producer properties as the Java producer names them.
func producerConfig(props map[string]string) (clientConfig, error) {
	if err := plainOnly(props); err != nil {
		return clientConfig{}, err
	}
	r := &propertyReader{props: props}
	var c clientConfig
	acks, idempotent := kgo.AllISRAcks(), true
	switch props["acks"] {
	case "", "-1", "all":
	case "1":
		acks, idempotent = kgo.LeaderAck(), false
	case "0":
		acks, idempotent = kgo.NoAck(), false
	default:
		r.fail(fmt.Sprintf("Invalid value %s for configuration acks: String must be one of: all, -1, 0, 1", props["acks"]))
	}
	if strings.EqualFold(props["enable.idempotence"], "false") {
		idempotent = false
	}
	codec, ok := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}[cmp.Or(props["compression.type"], "none")]
	if !ok {
		r.fail(fmt.Sprintf("Invalid value %s for configuration compression.type: String must be one of: none, gzip, snappy, lz4, zstd", props["compression.type"]))
	}
	c.clientID = props["client.id"]
	requestTimeout := millis(r.number("request.timeout.ms", 30000, 0))
	retries := r.number("retries", 2147483647, 0)
	if retries == 0 { // as in the Java producer
		idempotent = false
	}
	backoff := millis(r.number("retry.backoff.ms", 100, 0))
	c.maxBlock = millis(r.number("max.block.ms", 60000, 0))
	delivery := millis(r.number("delivery.timeout.ms", 120000, 0))
	maxRequest := r.number("max.request.size", 1048576, 0)
	linger := millis(r.number("linger.ms", 0, 0))
	// A producer knows topics by name, as Java's does: the client gives up one
	// whose id changes. Metadata has ids from version 10 on. Records whose topic
	// does not exist come back at once, for topicProducer to wait for it.
	byName := kversion.Stable()
	byName.SetMaxKeyVersion(int16(kmsg.Metadata), 9)
	c.options = []kgo.Opt{
		kgo.ClientID(props["client.id"]),
		kgo.MaxVersions(byName),
		kgo.UnknownTopicRetries(0),
		kgo.MetadataMaxAge(r.metadataAge()),
		kgo.MetadataMinAge(metadataPause),
		kgo.RequiredAcks(acks),
		kgo.ProducerBatchCompression(codec),
		kgo.ProducerLinger(linger),
		kgo.ProduceRequestTimeout(max(requestTimeout, 100*time.Millisecond)),
		kgo.RecordRetries(int(min(retries, 1<<30))),
		kgo.RecordDeliveryTimeout(delivery),
		kgo.RetryBackoffFn(func(int) time.Duration { return backoff }),
		kgo.ProducerBatchMaxBytes(int32(min(max(maxRequest, r.number("batch.size", 16384, 0)), 1<<30))),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.AllowAutoTopicCreation(),
	}
	if !idempotent {
		c.options = append(c.options, kgo.DisableIdempotentWrite())
	}
	return c, r.err
}

// consumerConfig reads consumer properties as the Java consumer names them.
func consumerConfig(props map[string]string) (clientConfig, error) {
	if err := plainOnly(props); err != nil {
		return clientConfig{}, err
	}
	r := &propertyReader{props: props}
	var c clientConfig
	c.clientID = props["client.id"]
	c.options = []kgo.Opt{
		kgo.ClientID(props["client.id"]),
		kgo.MetadataMaxAge(r.metadataAge()),
		kgo.MetadataMinAge(metadataPause),
		kgo.FetchMaxWait(millis(r.number("fetch.max.wait.ms", 500, 0))),
		kgo.FetchMinBytes(int32(r.number("fetch.min.bytes", 1, 0))),
		kgo.FetchMaxBytes(int32(min(r.number("fetch.max.bytes", 52428800, 0), 1<<30))),
		kgo.FetchMaxPartitionBytes(int32(min(r.number("max.partition.fetch.bytes", 1048576, 0), 1<<30))),
	}
	switch isolation := props["isolation.level"]; isolation {
	case "", "read_uncommitted":
		c.options = append(c.options, kgo.FetchIsolationLevel(kgo.ReadUncommitted()))
	case "read_committed":
		c.options = append(c.options, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	default:
		r.fail(fmt.Sprintf("Invalid value %s for configuration isolation.level: String must be one of: read_committed, read_uncommitted", isolation))
	}
	return c, r.err
}
