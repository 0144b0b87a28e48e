package api

import (
	"context"
	"errors"
	"strconv"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/admin"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
)

// AutoTopics creates missing topics that clients or coordinators ask for. It writes them to
// ZooKeeper even if this broker is not the controller.
type AutoTopics struct {
	writer   TopicWriter
	cache    Metadata
	settings Settings
	log      *logrus.Entry

	mu      sync.Mutex      // guards running
	running map[string]bool // topics being created
}

// NewAutoTopics returns an AutoTopics.
func NewAutoTopics(writer TopicWriter, cache Metadata, settings Settings, log *logrus.Logger) *AutoTopics {
	return &AutoTopics{writer: writer, cache: cache, settings: settings, running: map[string]bool{},
		log: kafkalog.For(log, "kafka.server.DefaultAutoTopicCreationManager")}
}

// Enabled returns auto.create.topics.enable.
func (a *AutoTopics) Enabled() bool { return settings.AutoCreateTopicsEnable.Of(a.settings.Current()) }

// Create creates the topics and returns the code to answer for each: LEADER_NOT_AVAILABLE if it
// exists now, UNKNOWN_TOPIC_OR_PARTITION if it is already being created, else the error's code.
func (a *AutoTopics) Create(ctx context.Context, topics []string) map[string]protocol.ErrorCode {
	codes := make(map[string]protocol.ErrorCode, len(topics))
	for _, topic := range topics {
		codes[topic] = a.create(ctx, topic)
	}
	return codes
}

func (a *AutoTopics) create(ctx context.Context, topic string) protocol.ErrorCode {
	if err := admin.ValidateTopicName(topic); err != nil {
		return protocol.CodeOf(err)
	}
	if !a.begin(topic) {
		return protocol.UnknownTopicOrPartition
	}
	defer a.end(topic)
	_, err := a.writer.CreateTopic(ctx, a.topicOf(topic), admin.Change{Known: known(a.cache), Brokers: aliveBrokers(a.cache.Snapshot())})
	if err == nil || errors.Is(err, protocol.TopicAlreadyExists) {
		return protocol.LeaderNotAvailable
	}
	logTopicFailure(a.log, "create", topic, err)
	return protocol.CodeOf(err)
}

func (a *AutoTopics) begin(topic string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.running[topic] {
		return false
	}
	a.running[topic] = true
	return true
}

func (a *AutoTopics) end(topic string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.running, topic)
}

// topicOf returns the counts and the configuration for a new topic. Each internal topic has its
// own.
func (a *AutoTopics) topicOf(topic string) admin.NewTopic {
	c := a.settings.Current()
	t := admin.NewTopic{Name: topic}
	set := func(k *settings.Key, value string) {
		t.Configs = append(t.Configs, admin.Config{Name: k.Name, Value: &value})
	}
	number := func(k settings.KeyOf[int32]) string { return strconv.Itoa(int(k.Of(c))) }
	switch topic {
	case metadata.GroupOffsetsTopic:
		t.Partitions, t.Replicas = settings.OffsetsTopicNumPartitions.Of(c), settings.OffsetsTopicReplicationFactor.Of(c)
		set(settings.TopicCleanupPolicy.Key, "compact")
		set(settings.TopicSegmentBytes.Key, number(settings.OffsetsTopicSegmentBytes))
		set(settings.TopicCompressionType.Key, "producer")
	case metadata.TransactionStateTopic:
		t.Partitions, t.Replicas = settings.TransactionStateLogNumPartitions.Of(c), settings.TransactionStateLogReplicationFactor.Of(c)
		set(settings.TopicUncleanLeaderElectionEnable.Key, "false")
		set(settings.TopicCompressionType.Key, "uncompressed")
		set(settings.TopicCleanupPolicy.Key, "compact")
		set(settings.TopicMinInsyncReplicas.Key, number(settings.TransactionStateLogMinISR))
		set(settings.TopicSegmentBytes.Key, number(settings.TransactionStateLogSegmentBytes))
	default:
		t.Partitions, t.Replicas = settings.NumPartitions.Of(c), int16(settings.DefaultReplicationFactor.Of(c))
	}
	return t
}
