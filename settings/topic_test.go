package settings

import (
	"strings"
	"testing"
)

func TestATopicUsesTheBrokersDefaultsForKeysItDoesNotOverride(t *testing.T) {
	c := mustLoad(t, "log.retention.hours=1\nlog.segment.bytes=1000\nmin.insync.replicas=2\nlog.cleanup.policy=compact\nlog.flush.scheduler.interval.ms=77\n")
	topic, err := c.Topic(map[string]string{"segment.bytes": "2000", "cleanup.policy": "compact, delete", "not.known": "x"})
	if err != nil {
		t.Fatal(err)
	}
	if topic.RetentionMs != 3600_000 || topic.SegmentBytes != 2000 || topic.MinInSyncReplicas != 2 || !topic.CleanupCompact ||
		!topic.CleanupDelete || topic.FlushMs != 77 || topic.Magic != 2 || topic.Overrides["not.known"] != "x" || topic.CompressionType != "producer" {
		t.Errorf("%+v", topic)
	}
}

func TestTheOldTimestampLimitAppliesIfTheNewOnesAreNotSet(t *testing.T) {
	c := mustLoad(t, "log.message.timestamp.difference.max.ms=50\nlog.message.timestamp.after.max.ms=60\n")
	topic, err := c.Topic(nil)
	if err != nil || topic.TimestampBeforeMaxMs != 50 || topic.TimestampAfterMaxMs != 60 {
		t.Errorf("%+v %v", topic, err)
	}
	topic, err = c.Topic(map[string]string{"message.timestamp.before.max.ms": "5"})
	if err != nil || topic.TimestampBeforeMaxMs != 5 || topic.TimestampAfterMaxMs != 60 {
		t.Errorf("%+v %v", topic, err)
	}
}

func TestTheMessageFormatHasAnEffectOnlyBelowIBP30(t *testing.T) {
	for _, tc := range []struct {
		ibp, format string
		magic       int8
		described   string
	}{{"2.8", "0.10.2", 1, "0.10.2-IV0"}, {"2.8", "0.9.0", 0, "0.9.0"}, {"2.8", "2.8", 2, "2.8-IV1"}, {"3.0", "0.9.0", 2, "3.0-IV1"}} {
		c := mustLoad(t, "inter.broker.protocol.version="+tc.ibp+"\nlog.message.format.version="+tc.format+"\n")
		topic, err := c.Topic(nil)
		if err != nil || topic.Magic != tc.magic {
			t.Errorf("%v: %d %v", tc, topic.Magic, err)
		}
		entries, err := NewDynamic(c).DescribeTopic(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := *find(t, entries, "message.format.version").Value; got != tc.described {
			t.Errorf("%v: described as %s", tc, got)
		}
	}
	if _, err := load(t, "zookeeper.connect=z:1\ninter.broker.protocol.version=0.10.2\nlog.message.format.version=2.8\n", nil); err == nil ||
		!strings.Contains(err.Error(), "log.message.format.version 2.8 can only be used when inter.broker.protocol.version is set to version 0.11.0 or higher") {
		t.Errorf("%v", err)
	}
}

func TestTopicOverridesAreCheckedAsKafkaDoes(t *testing.T) {
	c := mustLoad(t, "")
	for _, tc := range []struct{ key, value, want string }{
		{"no.such", "1", "Unknown topic config name: no.such"},
		{"segment.bytes", "13", "Invalid value 13 for configuration segment.bytes: Value must be at least 14"},
		{"segment.bytes", "x", "Invalid value x for configuration segment.bytes: Not a number of type INT"},
		{"cleanup.policy", "compact,burn", "Invalid value burn for configuration cleanup.policy: String must be one of: compact, delete"},
		{"min.cleanable.dirty.ratio", "1.5", "Invalid value 1.5 for configuration min.cleanable.dirty.ratio: Value must be no more than 1"},
		{"retention.ms", "-2", "Invalid value -2 for configuration retention.ms: Value must be at least -1"},
		{"max.compaction.lag.ms", "0", "Invalid value 0 for configuration max.compaction.lag.ms: Value must be at least 1"},
		{"leader.replication.throttled.replicas", "a:b", "Invalid value [a:b] for configuration leader.replication.throttled.replicas: " +
			"leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."},
		{"remote.storage.enable", "true", "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."},
		{"remote.log.copy.disable", "true", "It is invalid to set `remote.log.delete.on.disable` or `remote.log.copy.disable` under Zookeeper's mode."},
		{"message.format.version", "4.0", "Invalid value 4.0 for configuration message.format.version: Version 4.0 is not a valid version"},
		{"message.format.version", "9.9", "Invalid value 9.9 for configuration message.format.version: Version 9.9 is not a valid version"},
	} {
		err := c.ValidateTopic(map[string]string{tc.key: tc.value})
		if p, ok := err.(*Problem); !ok || p.Message() != tc.want {
			t.Errorf("%s=%s:\n got %v\nwant %s", tc.key, tc.value, err, tc.want)
		}
	}
	for _, value := range []string{"*", "0:1,1:2", ""} {
		if err := c.ValidateTopic(map[string]string{"leader.replication.throttled.replicas": value}); err != nil {
			t.Errorf("%q: %v", value, err)
		}
	}
	if err := ValidateTopic(map[string]string{"remote.storage.enable": "true", "retention.ms": "-1"}); err != nil {
		t.Errorf("a tool cannot know whether brokers have tiered storage: %v", err)
	}
	lag := map[string]string{"min.compaction.lag.ms": "9", "max.compaction.lag.ms": "8"}
	if err := ValidateTopic(lag); err == nil || err.Error() != "conflict topic config setting min.compaction.lag.ms (9) > max.compaction.lag.ms (8)" {
		t.Errorf("%v", err)
	}
}
