package client

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// clientProperties are the properties of the producer and the consumer of Kafka 3.9.1, except those
// for TLS and SASL.
const clientProperties = `acks allow.auto.create.topics auto.commit.interval.ms auto.include.jmx.reporter auto.offset.reset
batch.size bootstrap.servers buffer.memory check.crcs client.dns.lookup client.id client.rack compression.gzip.level
compression.lz4.level compression.type compression.zstd.level connections.max.idle.ms default.api.timeout.ms
delivery.timeout.ms enable.auto.commit enable.idempotence enable.metrics.push exclude.internal.topics fetch.max.bytes
fetch.max.wait.ms fetch.min.bytes group.id group.instance.id group.protocol group.remote.assignor heartbeat.interval.ms
interceptor.classes internal.leave.group.on.close internal.throw.on.fetch.stable.offset.unsupported isolation.level
key.deserializer key.serializer linger.ms max.block.ms max.in.flight.requests.per.connection max.partition.fetch.bytes
max.poll.interval.ms max.poll.records max.request.size metadata.max.age.ms metadata.max.idle.ms metadata.recovery.strategy
metric.reporters metrics.num.samples metrics.recording.level metrics.sample.window.ms
partitioner.adaptive.partitioning.enable partitioner.availability.timeout.ms partitioner.class partitioner.ignore.keys
partition.assignment.strategy receive.buffer.bytes reconnect.backoff.max.ms reconnect.backoff.ms request.timeout.ms
retries retry.backoff.max.ms retry.backoff.ms security.protocol security.providers send.buffer.bytes session.timeout.ms
socket.connection.setup.timeout.max.ms socket.connection.setup.timeout.ms transactional.id transaction.timeout.ms
value.deserializer value.serializer`

// Every client property must be read by the tools or listed in docs/deviations.md.
func TestEveryClientPropertyIsReadOrListedAsADeviation(t *testing.T) {
	files, err := filepath.Glob("../*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var sources strings.Builder
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sources.Write(text)
	}
	deviations, err := os.ReadFile("../../docs/deviations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields(clientProperties) {
		read := strings.Contains(sources.String(), `"`+name+`"`) || strings.HasPrefix(name, "compression.")
		if !read && !strings.Contains(string(deviations), "`"+name) {
			t.Errorf("%s has no effect, and docs/deviations.md does not say so", name)
		}
	}
}

// Properties must set the corresponding options of the client.
func TestClientPropertiesTakeEffect(t *testing.T) {
	type properties = map[string]string
	producer := func(props properties) (Config, error) { return ProducerConfig(props) }
	consumer := func(props properties) (Config, error) {
		config, err := ConsumerConfig(props)
		if err != nil {
			return config, err
		}
		group, err := GroupOf(props)
		if group != nil {
			config.Options = append(append(config.Options, group.Options...), kgo.ConsumeTopics("t"))
		}
		return config, err
	}
	for _, c := range []struct {
		config func(properties) (Config, error)
		props  properties
		option any
		want   any
	}{
		{producer, properties{"metadata.max.age.ms": "7000"}, kgo.MetadataMaxAge, 7 * time.Second},
		{producer, properties{}, kgo.MetadataMaxAge, 5 * time.Minute},
		{producer, properties{"linger.ms": "9"}, kgo.ProducerLinger, 9 * time.Millisecond},
		{producer, properties{"buffer.memory": "1000"}, kgo.MaxBufferedBytes, int64(1000)},
		{producer, properties{"acks": "0", "max.in.flight.requests.per.connection": "2"}, kgo.MaxProduceRequestsInflightPerBroker, 2},
		{producer, properties{"connections.max.idle.ms": "5000"}, kgo.ConnIdleTimeout, 5 * time.Second},
		{producer, properties{"transaction.timeout.ms": "4000"}, kgo.TransactionTimeout, 4 * time.Second},
		{producer, properties{"delivery.timeout.ms": "45000"}, kgo.RecordDeliveryTimeout, 45 * time.Second},
		{producer, properties{"acks": "1"}, kgo.DisableIdempotentWrite, true},
		{producer, properties{"retries": "0"}, kgo.DisableIdempotentWrite, true},
		{producer, properties{"enable.idempotence": "false"}, kgo.DisableIdempotentWrite, true},
		{producer, properties{"acks": "all"}, kgo.DisableIdempotentWrite, false},
		{consumer, properties{"metadata.max.age.ms": "0"}, kgo.MetadataMaxAge, metadataPause},
		{consumer, properties{"client.rack": "r1"}, kgo.Rack, "r1"},
		{consumer, properties{"fetch.min.bytes": "17"}, kgo.FetchMinBytes, int32(17)},
		{consumer, properties{"check.crcs": "false"}, kgo.DisableFetchCRCValidation, true},
		{consumer, properties{"allow.auto.create.topics": "false"}, kgo.AllowAutoTopicCreation, false},
		{consumer, properties{}, kgo.AllowAutoTopicCreation, true},
		// Values outside franz-go's limits are adjusted to the limit.
		{consumer, properties{"metadata.max.age.ms": "86400000"}, kgo.MetadataMaxAge, time.Hour},
		{producer, properties{"metadata.max.age.ms": "9223372036854775807"}, kgo.MetadataMaxAge, time.Hour},
		{producer, properties{"connections.max.idle.ms": "3600000"}, kgo.ConnIdleTimeout, 15 * time.Minute},
		{consumer, properties{"connections.max.idle.ms": "10"}, kgo.ConnIdleTimeout, 100 * time.Millisecond},
		{producer, properties{"linger.ms": "90000"}, kgo.ProducerLinger, time.Minute},
		{consumer, properties{"group.id": "g", "session.timeout.ms": "8000"}, kgo.SessionTimeout, 8 * time.Second},
		{consumer, properties{"group.id": "g", "auto.commit.interval.ms": "1000"}, kgo.AutoCommitInterval, time.Second},
	} {
		config, err := c.config(c.props)
		if err != nil {
			t.Errorf("%v: %v", c.props, err)
			continue
		}
		client, err := kgo.NewClient(config.Options...)
		if err != nil {
			t.Errorf("%v: %v", c.props, err)
			continue
		}
		if got := client.OptValue(c.option); got != c.want {
			t.Errorf("%v: %v (%T), want %v (%T)", c.props, got, got, c.want, c.want)
		}
		client.Close()
	}
}

// Properties that contradict each other, or that a tool does not support, must be rejected.
func TestInvalidClientPropertiesAreRejectedLikeInJava(t *testing.T) {
	for _, c := range []struct {
		props map[string]string
		want  string
	}{
		{map[string]string{"enable.idempotence": "true", "acks": "1"}, "Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee idempotence."},
		{map[string]string{"enable.idempotence": "true", "retries": "0"}, "Must set retries to non-zero when using the idempotent producer."},
		{map[string]string{"enable.idempotence": "true", "max.in.flight.requests.per.connection": "6"}, "Must set max.in.flight.requests.per.connection to at most 5 to use the idempotent producer."},
		{map[string]string{"delivery.timeout.ms": "10"}, "delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms"},
		{map[string]string{"enable.idempotence": "maybe"}, "Invalid value maybe for configuration enable.idempotence: Expected value to be either true or false"},
		{map[string]string{"interceptor.classes": "a.B"}, "interceptor.classes=a.B is not supported by this tool: a Java class cannot be loaded"},
		{map[string]string{"partitioner.class": "a.B"}, "partitioner.class=a.B is not supported by this tool: a Java class cannot be loaded"},
		{map[string]string{"compression.type": "zip"}, "Invalid value zip for configuration compression.type: String must be one of: none, gzip, snappy, lz4, zstd"},
	} {
		if _, err := ProducerConfig(c.props); err == nil || err.Error() != c.want {
			t.Errorf("%v: %v, want %s", c.props, err, c.want)
		}
	}
	if _, err := ResetOffset("first"); err == nil || err.Error() != "Invalid value first for configuration auto.offset.reset: String must be one of: latest, earliest, none" {
		t.Errorf("%v", err)
	}
	if _, err := GroupOf(map[string]string{"group.id": "g", "partition.assignment.strategy": "a.B"}); err == nil {
		t.Error("a custom assignor was accepted")
	}
}

// Pauses double with each retry, up to the maximum.
func TestBackoffDoublesUpToItsMaximum(t *testing.T) {
	for n, want := range map[int]time.Duration{1: 100, 2: 200, 4: 800, 5: 1000, 60: 1000} {
		if got := backoff(100*time.Millisecond, time.Second, n); got != want*time.Millisecond {
			t.Errorf("try %d: %v, want %v", n, got, want*time.Millisecond)
		}
	}
}
