package settings

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Topic is the immutable effective configuration of a topic. A Log holds it in an atomic pointer.
// Times are in ms and sizes in bytes; -1 means unlimited for the keys for which Kafka defines it
// so.
type Topic struct {
	CleanupCompact, CleanupDelete  bool
	CompressionType                string // producer, uncompressed, gzip, snappy, lz4, zstd
	GzipLevel, LZ4Level, ZstdLevel int
	DeleteRetentionMs              int64
	FileDeleteDelayMs              int64
	FlushMessages                  int64
	FlushMs                        int64
	IndexIntervalBytes             int32
	MaxCompactionLagMs             int64
	MaxMessageBytes                int32
	DownConversionEnable           bool
	MessageFormatVersion           string
	Magic                          int8 // 2 with IBP 3.0 and newer, otherwise as in message.format.version
	TimestampAfterMaxMs            int64
	TimestampBeforeMaxMs           int64
	TimestampType                  string // CreateTime or LogAppendTime
	MinCleanableDirtyRatio         float64
	MinCompactionLagMs             int64
	MinInSyncReplicas              int32
	Preallocate                    bool
	RetentionBytes                 int64
	RetentionMs                    int64
	SegmentBytes                   int32
	SegmentIndexBytes              int32
	SegmentJitterMs                int64
	SegmentMs                      int64
	UncleanLeaderElection          bool
	LeaderThrottled                ThrottledReplicas // leader.replication.throttled.replicas
	FollowerThrottled              ThrottledReplicas // follower.replication.throttled.replicas
	// Overrides are the topic's own values as stored in /config/topics/T.
	Overrides map[string]string
}

// TopicKeys returns the names of a topic's keys, sorted.
func TopicKeys() []string { return slices.Sorted(maps.Keys(topic.byName)) }

// TopicKey returns the row of a topic's key, or nil if it is unknown.
func TopicKey(name string) *Key { return topic.byName[name] }

// Topic returns the effective configuration of a topic with the given overrides, as stored in
// /config/topics/T. Unknown keys have no effect.
func (c *Config) Topic(overrides map[string]string) (*Topic, error) {
	values, err := topicValues(c.topicDefaults, overrides)
	if err != nil {
		return nil, err
	}
	return c.topicOf(values, overrides), nil
}

// ValidateTopic checks overrides like a client or tool that does not have the configuration of a
// broker. The text of the error is Kafka's.
func ValidateTopic(overrides map[string]string) error {
	values, err := checkedTopicValues(topicBuiltin(), overrides)
	if err != nil {
		return err
	}
	return compactionLag(values)
}

// ValidateTopic checks overrides against this broker's defaults, as a broker does before it stores
// them.
func (c *Config) ValidateTopic(overrides map[string]string) error {
	values, err := checkedTopicValues(c.topicDefaults, overrides)
	if err != nil {
		return err
	}
	if err := compactionLag(values); err != nil {
		return err
	}
	return checkTiering(values)
}

func checkedTopicValues(defaults map[string]any, overrides map[string]string) (map[string]any, error) {
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		if topic.byName[name] == nil {
			return nil, unconfigurable(name, "Unknown topic config name: "+name)
		}
	}
	return topicValues(defaults, overrides)
}

func compactionLag(values map[string]any) error {
	least, most := topicMinCompactionLagMs.in(values), topicMaxCompactionLagMs.in(values)
	if least <= most {
		return nil
	}
	return unconfigurable(topicMinCompactionLagMs.Name,
		fmt.Sprintf("conflict topic config setting min.compaction.lag.ms (%d) > max.compaction.lag.ms (%d)", least, most))
}

// checkTiering refuses tiered storage with the text of a Kafka broker on which it is disabled.
func checkTiering(values map[string]any) error {
	switch {
	case topicRemoteLogDeleteOnDisable.in(values) || topicRemoteLogCopyDisable.in(values):
		return unconfigurable(topicRemoteLogDeleteOnDisable.Name,
			"It is invalid to set `remote.log.delete.on.disable` or `remote.log.copy.disable` under Zookeeper's mode.")
	case topicRemoteStorageEnable.in(values):
		return problem(topicRemoteStorageEnable.Name,
			errors.New("Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."))
	}
	return nil
}

// unconfigurable returns a Problem for which Kafka throws an InvalidConfigurationException.
func unconfigurable(key, text string) *Problem { return &Problem{Key: key, Text: text, whole: true} }

// topicValues applies overrides to the defaults.
func topicValues(defaults map[string]any, overrides map[string]string) (map[string]any, error) {
	values := maps.Clone(defaults)
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		k := topic.byName[name]
		if k == nil {
			continue
		}
		text := overrides[name]
		value, err := parseKey(k, &text)
		if err != nil {
			return nil, err
		}
		values[name] = value
	}
	return values, nil
}

// topicBuiltin returns the values of a topic on a broker that does not set any defaults.
func topicBuiltin() map[string]any {
	values := map[string]any{}
	for _, k := range topic.keys {
		value, err := parseKey(k, &k.Default)
		if err != nil {
			panic("settings: " + err.Error())
		}
		values[k.Name] = value
	}
	return values
}

// brokerTopicValues returns the values of a topic without overrides on this broker.
func (c *Config) brokerTopicValues() map[string]any {
	values := topicBuiltin()
	for _, k := range topic.keys {
		if k.broker != nil {
			values[k.Name] = c.values[k.broker.Name]
		}
	}
	topicRetentionMs.set(values, c.RetentionMs())
	topicSegmentMs.set(values, c.RollMs())
	topicSegmentJitterMs.set(values, c.RollJitterMs())
	topicFlushMs.set(values, c.FlushMs())
	TopicMessageFormatVersion.set(values, c.messageFormat().String())
	topicMessageTimestampBeforeMaxMs.set(values, timestampLimit(values, topicMessageTimestampBeforeMaxMs))
	topicMessageTimestampAfterMaxMs.set(values, timestampLimit(values, topicMessageTimestampAfterMaxMs))
	return values
}

// timestampLimit returns the limit for one direction, or the old limit for both directions if the
// new one has its default value.
func timestampLimit(values map[string]any, key TopicKeyOf[int64]) int64 {
	const unlimited = 1<<63 - 1
	if limit := key.in(values); limit != unlimited {
		return limit
	}
	return topicMessageTimestampDifferenceMaxMs.in(values)
}

func (c *Config) topicOf(v map[string]any, overrides map[string]string) *Topic {
	policy := TopicCleanupPolicy.in(v)
	t := &Topic{
		CleanupCompact:         slices.Contains(policy, "compact"),
		CleanupDelete:          slices.Contains(policy, "delete"),
		CompressionType:        TopicCompressionType.in(v),
		GzipLevel:              int(topicCompressionGzipLevel.in(v)),
		LZ4Level:               int(topicCompressionLZ4Level.in(v)),
		ZstdLevel:              int(topicCompressionZstdLevel.in(v)),
		DeleteRetentionMs:      topicDeleteRetentionMs.in(v),
		FileDeleteDelayMs:      topicFileDeleteDelayMs.in(v),
		FlushMessages:          topicFlushMessages.in(v),
		FlushMs:                topicFlushMs.in(v),
		IndexIntervalBytes:     topicIndexIntervalBytes.in(v),
		MaxCompactionLagMs:     topicMaxCompactionLagMs.in(v),
		MaxMessageBytes:        topicMaxMessageBytes.in(v),
		DownConversionEnable:   topicMessageDownconversionEnable.in(v),
		MessageFormatVersion:   TopicMessageFormatVersion.in(v),
		Magic:                  2,
		TimestampAfterMaxMs:    timestampLimit(v, topicMessageTimestampAfterMaxMs),
		TimestampBeforeMaxMs:   timestampLimit(v, topicMessageTimestampBeforeMaxMs),
		TimestampType:          TopicMessageTimestampType.in(v),
		MinCleanableDirtyRatio: topicMinCleanableDirtyRatio.in(v),
		MinCompactionLagMs:     topicMinCompactionLagMs.in(v),
		MinInSyncReplicas:      TopicMinInsyncReplicas.in(v),
		Preallocate:            topicPreallocate.in(v),
		RetentionBytes:         topicRetentionBytes.in(v),
		RetentionMs:            topicRetentionMs.in(v),
		SegmentBytes:           TopicSegmentBytes.in(v),
		SegmentIndexBytes:      topicSegmentIndexBytes.in(v),
		SegmentJitterMs:        topicSegmentJitterMs.in(v),
		SegmentMs:              topicSegmentMs.in(v),
		UncleanLeaderElection:  TopicUncleanLeaderElectionEnable.in(v),
		LeaderThrottled:        throttledReplicasOf(TopicLeaderReplicationThrottledReplicas.in(v)),
		FollowerThrottled:      throttledReplicasOf(TopicFollowerReplicationThrottledReplicas.in(v)),
		Overrides:              maps.Clone(overrides),
	}
	if !c.ibp.AtLeast("3.0-IV0") {
		t.Magic = MustIBP(t.MessageFormatVersion).Magic()
	}
	return t
}
