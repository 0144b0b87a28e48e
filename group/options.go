package group

import (
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
	return Options{
		BrokerID:   c.BrokerID(),
		Partitions: settings.OffsetsTopicNumPartitions.Of(c),
		Rules: Rules{
			InitialDelay: millis(settings.GroupInitialRebalanceDelayMs.Of(c)),
			MaxSize:      int(settings.GroupMaxSize.Of(c)),
		},
		MinSessionMs:   settings.GroupMinSessionTimeoutMs.Of(c),
		MaxSessionMs:   settings.GroupMaxSessionTimeoutMs.Of(c),
		MaxMetadata:    int(settings.OffsetMetadataMaxBytes.Of(c)),
		LoadBuffer:     int(settings.OffsetsLoadBufferSize.Of(c)),
		Retention:      time.Duration(settings.OffsetsRetentionMinutes.Of(c)) * time.Minute,
		RetentionCheck: settings.Milliseconds(settings.OffsetsRetentionCheckIntervalMs.Of(c)),
		CommitTimeout:  millis(settings.OffsetsCommitTimeoutMs.Of(c)),
		CommitAcks:     settings.OffsetsCommitRequiredAcks.Of(c),
		Codec:          record.Codec(settings.OffsetsTopicCompressionCodec.Of(c)),
		IBP:            c.IBP(),
		ParallelLoads:  4,
	}
}
