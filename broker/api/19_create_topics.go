package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/admin"
	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// CreateTopics writes topics to ZooKeeper and waits until each partition has a leader. Only the
// controller does it.
//
// Versions 0 to 7. v1 adds validation without creation, v5 returns counts and configuration, v7
// the topic's id. A count of -1 means the broker's default in every version.
func CreateTopics(status ControllerStatus, writer TopicWriter, cache Metadata, describer TopicDescriber) Handler {
	h := &createTopics{status, writer, cache, describer}
	return Typed(Handler{Key: protocol.CreateTopics, Min: 0, Max: 7, PerEntry: true, Fail: completed(failCreateTopics)}, h.answer)
}

// failCreateTopics returns no configuration, which differs from an unknown (null) one.
func failCreateTopics(_ *kmsg.CreateTopicsRequest, resp *kmsg.CreateTopicsResponse, _ error) {
	for i := range resp.Topics {
		resp.Topics[i].Configs = []kmsg.CreateTopicsResponseTopicConfig{}
	}
}

type createTopics struct {
	status    ControllerStatus
	writer    TopicWriter
	cache     Metadata
	describer TopicDescriber
}

func (h *createTopics) answer(c *Call, req *kmsg.CreateTopicsRequest) (kmsg.Response, error) {
	resp := kmsg.NewPtrCreateTopicsResponse()
	resp.Topics = make([]kmsg.CreateTopicsResponseTopic, 0, len(req.Topics))
	waiting := map[string]int{} // the partition counts of the created topics
	placed := 0
	for i := range req.Topics {
		result := kmsg.NewCreateTopicsResponseTopic()
		result.Topic = req.Topics[i].Topic
		result.Configs = []kmsg.CreateTopicsResponseTopicConfig{}
		resp.Topics = append(resp.Topics, result)
	}
	names, places := creationOrder(req.Topics)
	for _, name := range names {
		for _, i := range places[name] {
			if !h.status.IsActive() || !h.cache.Snapshot().Heard {
				resp.Topics[i].ErrorCode = int16(protocol.NotController)
			} else {
				h.create(c, req, &req.Topics[i], len(places[name]) > 1, &resp.Topics[i], waiting, &placed)
			}
		}
	}
	if len(waiting) > 0 && !req.ValidateOnly && !h.awaitLeaders(c, req, waiting) {
		missing := h.cache.Snapshot()
		for i := range resp.Topics {
			partitions, created := waiting[resp.Topics[i].Topic]
			if created && (req.TimeoutMillis <= 0 || !hasLeaders(missing, resp.Topics[i].Topic, partitions)) {
				resetResult(&resp.Topics[i], protocol.RequestTimedOut)
			}
		}
	}
	return resp, nil
}

// creationOrder returns the topics' names in the order in which Kafka creates them, that of its
// mutable map, and the indexes of each name in the request. The order decides which of several
// names that collide is accepted: the first.
func creationOrder(topics []kmsg.CreateTopicsRequestTopic) (names []string, places map[string][]int) {
	places = make(map[string][]int, len(topics))
	for i := range topics {
		name := topics[i].Topic
		if places[name] == nil {
			names = append(names, name)
		}
		places[name] = append(places[name], i)
	}
	return javatext.MutableOrder(names, javatext.StringHash), places
}

// create creates one topic and fills in its result. A topic that was written is added to waiting.
func (h *createTopics) create(c *Call, req *kmsg.CreateTopicsRequest, t *kmsg.CreateTopicsRequestTopic, twice bool,
	result *kmsg.CreateTopicsResponseTopic, waiting map[string]int, placed *int) {
	describe := c.Allows(kmsg.ACLOperationDescribeConfigs, kmsg.ACLResourceTypeTopic, t.Topic)
	if !describe && t.Topic != admin.ClusterMetadataTopic {
		result.ConfigErrorCode = int16(protocol.TopicAuthorizationFailed)
	}
	if err := h.admit(c, t.Topic, twice); err != nil {
		result.ErrorCode, result.ErrorMessage = codeAndMessage(err)
		return
	}
	created, err := h.writer.CreateTopic(c.Context(), newTopicOf(t), admin.Change{
		Known: known(h.cache), Brokers: aliveBrokers(h.cache.Snapshot()), ValidateOnly: req.ValidateOnly, Placed: placed})
	if err != nil {
		logTopicFailure(kafkalog.For(c.log, "kafka.server.ZkAdminManager"), "create", t.Topic, err)
		resetResult(result, protocol.None)
		result.ErrorCode, result.ErrorMessage = codeAndMessage(err)
		return
	}
	if describe && c.Version >= 5 {
		h.describe(created, result)
	}
	if !req.ValidateOnly {
		waiting[t.Topic] = len(created.Assignment)
	}
}

// admit performs the checks that come before those of the topic itself.
func (h *createTopics) admit(c *Call, topic string, twice bool) error {
	switch {
	case topic == admin.ClusterMetadataTopic:
		return protocol.Errorf(protocol.InvalidRequest, "Creation of internal topic %s is prohibited.", topic)
	case twice:
		return protocol.Errorf(protocol.InvalidRequest, "Found multiple entries for this topic.")
	case !c.AllowsCluster(kmsg.ACLOperationCreate) && !c.Allows(kmsg.ACLOperationCreate, kmsg.ACLResourceTypeTopic, topic):
		return protocol.Errorf(protocol.TopicAuthorizationFailed, "Authorization failed.")
	}
	return nil
}

func newTopicOf(t *kmsg.CreateTopicsRequestTopic) admin.NewTopic {
	topic := admin.NewTopic{Name: t.Topic, Partitions: t.NumPartitions, Replicas: t.ReplicationFactor}
	if len(t.ReplicaAssignment) > 0 {
		topic.Assignment = map[int32][]metadata.BrokerID{}
		for _, a := range t.ReplicaAssignment {
			topic.Assignment[a.Partition] = metadata.BrokerIDs(a.Replicas)
		}
	}
	for _, config := range t.Configs {
		topic.Configs = append(topic.Configs, admin.Config{Name: config.Name, Value: config.Value})
	}
	return topic
}

// describe fills in the configuration, the id and the counts of the created topic.
func (h *createTopics) describe(created *admin.CreatedTopic, result *kmsg.CreateTopicsResponseTopic) {
	entries, err := h.describer.DescribeTopic(created.Overrides)
	if err != nil { // does not happen: the overrides were validated
		result.ConfigErrorCode = int16(protocol.CodeOf(err))
		return
	}
	for _, e := range entries {
		config := kmsg.NewCreateTopicsResponseTopicConfig()
		config.Name, config.Value, config.ReadOnly, config.IsSensitive = e.Name, e.Value, e.ReadOnly, e.Sensitive
		config.Source = int8(e.Source)
		result.Configs = append(result.Configs, config)
	}
	result.TopicID = created.ID
	result.NumPartitions = int32(len(created.Assignment))
	result.ReplicationFactor = int16(len(created.Assignment[0]))
}

// resetResult clears the result of a topic that was not created, or not in time, and sets code.
func resetResult(result *kmsg.CreateTopicsResponseTopic, code protocol.ErrorCode) {
	result.ErrorCode, result.ErrorMessage = int16(code), nil
	result.Configs = []kmsg.CreateTopicsResponseTopicConfig{}
	result.NumPartitions, result.ReplicationFactor = -1, -1
	result.ConfigErrorCode = 0
}

// awaitLeaders waits until all partitions of the created topics have leaders, and reports whether
// they do. Without a positive timeout in the request it returns false at once.
func (h *createTopics) awaitLeaders(c *Call, req *kmsg.CreateTopicsRequest, waiting map[string]int) bool {
	if req.TimeoutMillis <= 0 {
		return false
	}
	return c.await(forTopics, h.cache, millis(req.TimeoutMillis), haveLeaders(waiting))
}
