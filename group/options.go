package group

import (
	"math"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

// Options are the settings of the coordinator. Each names the key under which Kafka documents it.
type Options struct {
	BrokerID metadata.BrokerID // broker.id
	// Partitions is the number of partitions of the offsets topic: that of the existing topic
	// when the broker starts, else offsets.topic.num.partitions. It does not change while the
	// broker runs.
	Partitions int32
	Rules      Rules

	MinSessionMs   int32         // group.min.session.timeout.ms
	MaxSessionMs   int32         // group.max.session.timeout.ms
	MaxMetadata    int           // offset.metadata.max.bytes, in UTF-16 units as in Kafka
	LoadBuffer     int           // offsets.load.buffer.size
	Retention      time.Duration // offsets.retention.minutes
	RetentionCheck time.Duration // offsets.retention.check.interval.ms
	CommitTimeout  time.Duration // offsets.commit.timeout.ms
	CommitAcks     int16         // offsets.commit.required.acks
	Codec          record.Codec  // offsets.topic.compression.codec
	IBP            settings.IBP  // inter.broker.protocol.version
	ParallelLoads  int           // partitions of the offsets topic loaded at the same time
}

// OptionsOf returns the options of a broker's configuration. Partitions is the configured number.
func OptionsOf(c *settings.Config) Options {
	const mostMs = math.MaxInt64 / int64(time.Millisecond)
	return Options{
		BrokerID:   c.BrokerID(),
		Partitions: c.Int("offsets.topic.num.partitions"),
		Rules: Rules{
			InitialDelay: millis(c.Int("group.initial.rebalance.delay.ms")),
			MaxSize:      int(c.Int("group.max.size")),
		},
		MinSessionMs:   c.Int("group.min.session.timeout.ms"),
		MaxSessionMs:   c.Int("group.max.session.timeout.ms"),
		MaxMetadata:    int(c.Int("offset.metadata.max.bytes")),
		LoadBuffer:     int(c.Int("offsets.load.buffer.size")),
		Retention:      time.Duration(c.Int("offsets.retention.minutes")) * time.Minute,
		RetentionCheck: time.Duration(min(c.Long("offsets.retention.check.interval.ms"), mostMs)) * time.Millisecond,
		CommitTimeout:  millis(c.Int("offsets.commit.timeout.ms")),
		CommitAcks:     int16(c.Int("offsets.commit.required.acks")),
		Codec:          record.Codec(c.Int("offsets.topic.compression.codec")),
		IBP:            c.IBP(),
		ParallelLoads:  4,
	}
}
