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

var topicByName = func() map[string]*topicKey {
	byName := map[string]*topicKey{}
	for i := range topicKeys {
		byName[topicKeys[i].Name] = &topicKeys[i]
	}
	return byName
}()

// TopicKeys returns the names of a topic's keys, sorted.
func TopicKeys() []string { return slices.Sorted(maps.Keys(topicByName)) }

// TopicKey returns the row of a topic's key, or nil if it is unknown.
func TopicKey(name string) *Key {
	if k := topicByName[name]; k != nil {
		return &k.Key
	}
	return nil
}

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
		if topicByName[name] == nil {
			return nil, unconfigurable(name, "Unknown topic config name: "+name)
		}
	}
	return topicValues(defaults, overrides)
}

func compactionLag(values map[string]any) error {
	least, most := values["min.compaction.lag.ms"].(int64), values["max.compaction.lag.ms"].(int64)
	if least <= most {
		return nil
	}
	return unconfigurable("min.compaction.lag.ms",
		fmt.Sprintf("conflict topic config setting min.compaction.lag.ms (%d) > max.compaction.lag.ms (%d)", least, most))
}

// checkTiering refuses tiered storage with the text of a Kafka broker on which it is disabled.
func checkTiering(values map[string]any) error {
	switch {
	case values["remote.log.delete.on.disable"] == true || values["remote.log.copy.disable"] == true:
		return unconfigurable("remote.log.delete.on.disable",
			"It is invalid to set `remote.log.delete.on.disable` or `remote.log.copy.disable` under Zookeeper's mode.")
	case values["remote.storage.enable"] == true:
		return problem("remote.storage.enable",
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
		k := topicByName[name]
		if k == nil {
			continue
		}
		text := overrides[name]
		value, err := parseKey(&k.Key, &text)
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
	for i := range topicKeys {
		k := &topicKeys[i].Key
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
	for i := range topicKeys {
		if k := &topicKeys[i]; k.broker != "" {
			values[k.Name] = c.values[k.broker]
		}
	}
	values["retention.ms"] = c.RetentionMs()
	values["segment.ms"] = c.RollMs()
	values["segment.jitter.ms"] = c.RollJitterMs()
	values["flush.ms"] = c.FlushMs()
	values["message.format.version"] = c.messageFormat().String()
	values["message.timestamp.before.max.ms"] = timestampLimit(values, "message.timestamp.before.max.ms")
	values["message.timestamp.after.max.ms"] = timestampLimit(values, "message.timestamp.after.max.ms")
	return values
}

// timestampLimit returns the limit for one direction, or the old limit for both directions if the
// new one has its default value.
func timestampLimit(values map[string]any, key string) int64 {
	const unlimited = 1<<63 - 1
	if limit := values[key].(int64); limit != unlimited {
		return limit
	}
	return values["message.timestamp.difference.max.ms"].(int64)
}

func (c *Config) topicOf(v map[string]any, overrides map[string]string) *Topic {
	policy := v["cleanup.policy"].([]string)
	t := &Topic{
		CleanupCompact:         slices.Contains(policy, "compact"),
		CleanupDelete:          slices.Contains(policy, "delete"),
		CompressionType:        v["compression.type"].(string),
		GzipLevel:              int(v["compression.gzip.level"].(int32)),
		LZ4Level:               int(v["compression.lz4.level"].(int32)),
		ZstdLevel:              int(v["compression.zstd.level"].(int32)),
		DeleteRetentionMs:      v["delete.retention.ms"].(int64),
		FileDeleteDelayMs:      v["file.delete.delay.ms"].(int64),
		FlushMessages:          v["flush.messages"].(int64),
		FlushMs:                v["flush.ms"].(int64),
		IndexIntervalBytes:     v["index.interval.bytes"].(int32),
		MaxCompactionLagMs:     v["max.compaction.lag.ms"].(int64),
		MaxMessageBytes:        v["max.message.bytes"].(int32),
		DownConversionEnable:   v["message.downconversion.enable"].(bool),
		MessageFormatVersion:   v["message.format.version"].(string),
		Magic:                  2,
		TimestampAfterMaxMs:    timestampLimit(v, "message.timestamp.after.max.ms"),
		TimestampBeforeMaxMs:   timestampLimit(v, "message.timestamp.before.max.ms"),
		TimestampType:          v["message.timestamp.type"].(string),
		MinCleanableDirtyRatio: v["min.cleanable.dirty.ratio"].(float64),
		MinCompactionLagMs:     v["min.compaction.lag.ms"].(int64),
		MinInSyncReplicas:      v["min.insync.replicas"].(int32),
		Preallocate:            v["preallocate"].(bool),
		RetentionBytes:         v["retention.bytes"].(int64),
		RetentionMs:            v["retention.ms"].(int64),
		SegmentBytes:           v["segment.bytes"].(int32),
		SegmentIndexBytes:      v["segment.index.bytes"].(int32),
		SegmentJitterMs:        v["segment.jitter.ms"].(int64),
		SegmentMs:              v["segment.ms"].(int64),
		UncleanLeaderElection:  v["unclean.leader.election.enable"].(bool),
		LeaderThrottled:        throttledReplicasOf(v["leader.replication.throttled.replicas"].([]string)),
		FollowerThrottled:      throttledReplicasOf(v["follower.replication.throttled.replicas"].([]string)),
		Overrides:              maps.Clone(overrides),
	}
	if !c.ibp.AtLeast("3.0-IV0") {
		t.Magic = MustIBP(t.MessageFormatVersion).Magic()
	}
	return t
}
