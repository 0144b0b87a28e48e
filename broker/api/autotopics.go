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

// Settings is the broker's configuration now; *settings.Dynamic has it.
type Settings interface{ Current() *settings.Config }

// TopicWriter writes new topics; *admin.Admin does.
type TopicWriter interface {
	CreateTopic(ctx context.Context, t admin.NewTopic, change admin.Change) (*admin.CreatedTopic, error)
}

// AutoTopics creates topics that clients or coordinators ask for and that do
// not exist: this broker writes them to ZooKeeper itself, whoever the controller is.
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

// Enabled is auto.create.topics.enable.
func (a *AutoTopics) Enabled() bool { return a.settings.Current().Bool("auto.create.topics.enable") }

// Create creates the topics and returns what each is answered with:
// LEADER_NOT_AVAILABLE for one that exists now, UNKNOWN_TOPIC_OR_PARTITION for
// one that is being created already, else the error.
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

// topicOf returns what a topic is created as: the internal ones have counts and
// configurations of their own.
func (a *AutoTopics) topicOf(topic string) admin.NewTopic {
	c := a.settings.Current()
	t := admin.NewTopic{Name: topic}
	set := func(name, value string) { t.Configs = append(t.Configs, admin.Config{Name: name, Value: &value}) }
	number := func(key string) string { return strconv.FormatInt(c.Long(key), 10) }
	switch topic {
	case admin.GroupOffsetsTopic:
		t.Partitions, t.Replicas = c.Int("offsets.topic.num.partitions"), int16(c.Int("offsets.topic.replication.factor"))
		set("cleanup.policy", "compact")
		set("segment.bytes", number("offsets.topic.segment.bytes"))
		set("compression.type", "producer")
	case admin.TransactionStateTopic:
		t.Partitions, t.Replicas = c.Int("transaction.state.log.num.partitions"), int16(c.Int("transaction.state.log.replication.factor"))
		set("unclean.leader.election.enable", "false")
		set("compression.type", "uncompressed")
		set("cleanup.policy", "compact")
		set("min.insync.replicas", number("transaction.state.log.min.isr"))
		set("segment.bytes", number("transaction.state.log.segment.bytes"))
	default:
		t.Partitions, t.Replicas = c.Int("num.partitions"), int16(c.Int("default.replication.factor"))
	}
	return t
}

// aliveBrokers returns the brokers that replicas may be placed on, by id.
func aliveBrokers(s *metadata.Snapshot) []admin.Broker {
	brokers := make([]admin.Broker, 0, len(s.Brokers))
	for _, id := range sortedKeys(s.Brokers) {
		brokers = append(brokers, admin.Broker{ID: id, Rack: s.Brokers[id].Rack})
	}
	return brokers
}

// logTopicFailure logs what clients got wrong at INFO and what went wrong here at ERROR.
func logTopicFailure(log *logrus.Entry, what, topic string, err error) {
	if protocol.CodeOf(err) == protocol.UnknownServerError {
		log.WithError(err).Errorf("Error processing %s topic request of %s", what, topic)
		return
	}
	log.Infof("Error processing %s topic request of %s: %v", what, topic, err)
}
