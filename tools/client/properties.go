package client

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/tools/cli"
)

// yes reads a boolean property.
func (r *propertyReader) yes(key string, def bool) bool {
	switch text := strings.TrimSpace(r.props[key]); {
	case text == "":
		return def
	case strings.EqualFold(text, "true"):
		return true
	case !strings.EqualFold(text, "false"):
		r.fail(fmt.Sprintf("Invalid value %s for configuration %s: Expected value to be either true or false", text, key))
	}
	return false
}

// noClasses rejects properties that name custom Java classes.
func (r *propertyReader) noClasses(keys ...string) {
	for _, key := range keys {
		if text := r.props[key]; text != "" {
			r.fail(fmt.Sprintf("%s=%s is not supported by this tool: a Java class cannot be loaded", key, text))
		}
	}
}

// connection returns the options that producers and consumers share.
func (r *propertyReader) connection() []kgo.Opt {
	r.noClasses("interceptor.classes")
	pause, most := cli.Millis(r.number("retry.backoff.ms", 100, 0)), cli.Millis(r.number("retry.backoff.max.ms", 1000, 0))
	options := []kgo.Opt{
		kgo.ClientID(r.props["client.id"]),
		kgo.MetadataMaxAge(r.metadataAge()),
		kgo.MetadataMinAge(metadataPause),
		kgo.RetryBackoffFn(func(tries int) time.Duration { return backoff(pause, most, tries) }),
		kgo.Dialer(dialer(cli.Millis(r.number("socket.connection.setup.timeout.ms", 10000, 0)),
			int(r.number("send.buffer.bytes", -1, -1)), int(r.number("receive.buffer.bytes", -1, -1)))),
	}
	if idle := r.number("connections.max.idle.ms", 540000, -1); idle > 0 {
		options = append(options, kgo.ConnIdleTimeout(min(max(cli.Millis(idle), idleLeast), idleMost)))
	}
	return options
}

// backoff returns the pause before the n-th retry (from 1). It doubles with each retry, up to most.
func backoff(pause, most time.Duration, n int) time.Duration {
	for ; n > 1 && pause < most; n-- {
		pause *= 2
	}
	return min(pause, max(most, 0))
}

// dialer returns a function that connects within the timeout, with socket buffers of the given
// sizes. -1 leaves the sizes to the kernel.
func dialer(timeout time.Duration, send, receive int) func(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: timeout}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, address)
		if tcp, ok := conn.(*net.TCPConn); ok && err == nil {
			if send > 0 {
				_ = tcp.SetWriteBuffer(send)
			}
			if receive > 0 {
				_ = tcp.SetReadBuffer(receive)
			}
		}
		return conn, err
	}
}

// codec reads compression.type and its level.
func (r *propertyReader) codec() kgo.CompressionCodec {
	kind := cmp.Or(r.props["compression.type"], "none")
	codec, known := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}[kind]
	if !known {
		r.fail(fmt.Sprintf("Invalid value %s for configuration compression.type: String must be one of: none, gzip, snappy, lz4, zstd", kind))
	}
	if key := "compression." + kind + ".level"; r.props[key] != "" {
		return codec.WithLevel(int(r.number(key, 0, -1<<17)))
	}
	return codec
}

// partitioner returns the default partitioner, which hashes keys and is sticky for records without
// a key, or the one that partitioner.class and partitioner.ignore.keys select.
func (r *propertyReader) partitioner() kgo.Partitioner {
	switch class := r.props["partitioner.class"]; class {
	case "", "org.apache.kafka.clients.producer.internals.DefaultPartitioner":
		if r.yes("partitioner.ignore.keys", false) {
			return kgo.StickyPartitioner()
		}
	case "org.apache.kafka.clients.producer.RoundRobinPartitioner":
		return kgo.RoundRobinPartitioner()
	case "org.apache.kafka.clients.producer.UniformStickyPartitioner":
		return kgo.StickyPartitioner()
	default:
		r.noClasses("partitioner.class")
	}
	return kgo.StickyKeyPartitioner(nil)
}

// idempotent reports whether the producer is idempotent. It is by default, unless the properties
// disable it or conflict with it.
func (r *propertyReader) idempotent(acksAll bool, retries, inFlight int64) bool {
	asked := r.props["enable.idempotence"] != ""
	if !r.yes("enable.idempotence", true) {
		return false
	}
	var conflict string
	switch {
	case retries == 0:
		conflict = "Must set retries to non-zero when using the idempotent producer."
	case !acksAll:
		conflict = "Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee idempotence."
	case inFlight > 5:
		conflict = "Must set max.in.flight.requests.per.connection to at most 5 to use the idempotent producer."
	}
	if conflict != "" && asked {
		r.fail(conflict)
	}
	return conflict == ""
}

var assignors = map[string]func() kgo.GroupBalancer{
	"org.apache.kafka.clients.consumer.RangeAssignor":             kgo.RangeBalancer,
	"org.apache.kafka.clients.consumer.RoundRobinAssignor":        kgo.RoundRobinBalancer,
	"org.apache.kafka.clients.consumer.StickyAssignor":            kgo.StickyBalancer,
	"org.apache.kafka.clients.consumer.CooperativeStickyAssignor": kgo.CooperativeStickyBalancer,
}

// balancers returns the assignors of partition.assignment.strategy, in its order. The default is
// what Java consumers offer, so that groups of both kinds agree on an assignor.
func (r *propertyReader) balancers() []kgo.GroupBalancer {
	text := r.props["partition.assignment.strategy"]
	if text == "" {
		return []kgo.GroupBalancer{kgo.RangeBalancer(), kgo.CooperativeStickyBalancer()}
	}
	var found []kgo.GroupBalancer
	for _, class := range strings.Split(text, ",") {
		balancer, known := assignors[strings.TrimSpace(class)]
		if !known {
			r.fail(fmt.Sprintf("partition.assignment.strategy=%s is not supported by this tool; supported are RangeAssignor, RoundRobinAssignor, StickyAssignor and CooperativeStickyAssignor", text))
			return nil
		}
		found = append(found, balancer())
	}
	return slices.Clip(found)
}
