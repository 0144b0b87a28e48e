package topics

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/tools/client"
)

// The documents of --output json. docs/json.md describes their fields.
type (
	topicsDocument[T listedTopic | describedTopic] struct {
		Topics []T `json:"topics"`
	}
	listedTopic struct {
		Name              string `json:"name"`
		Internal          bool   `json:"internal"`
		MarkedForDeletion bool   `json:"markedForDeletion"`
	}
	describedTopic struct {
		listedTopic
		TopicID           *string              `json:"topicId"`
		PartitionCount    int                  `json:"partitionCount"`
		ReplicationFactor int                  `json:"replicationFactor"`
		Configs           map[string]string    `json:"configs"`
		Partitions        []describedPartition `json:"partitions"`
	}
	describedPartition struct {
		Partition        int32               `json:"partition"`
		Leader           *metadata.BrokerID  `json:"leader"`
		Replicas         []metadata.BrokerID `json:"replicas"`
		ISR              []metadata.BrokerID `json:"isr"`
		AddingReplicas   []metadata.BrokerID `json:"addingReplicas"`
		RemovingReplicas []metadata.BrokerID `json:"removingReplicas"`
	}
)

func listed(name string, marked bool) listedTopic {
	return listedTopic{Name: name, Internal: metadata.IsInternal(name), MarkedForDeletion: marked}
}

// listDocument returns the document of topics that are not marked for deletion.
func listDocument(names []string) topicsDocument[listedTopic] {
	topics := []listedTopic{}
	for _, name := range names {
		topics = append(topics, listed(name, false))
	}
	return topicsDocument[listedTopic]{topics}
}

// topicIDText returns the id of a topic, or nil if it has none.
func topicIDText(id [16]byte) *string {
	if id == [16]byte{} {
		return nil
	}
	text := javatext.UUID(id)
	return &text
}

// leaderOrNil returns the leader, or nil if there is none.
func leaderOrNil(leader metadata.BrokerID) *metadata.BrokerID {
	if leader < 0 {
		return nil
	}
	return &leader
}

// ids returns a list that is not nil.
func ids(list []metadata.BrokerID) []metadata.BrokerID {
	return append([]metadata.BrokerID{}, list...)
}

// described returns the topic with the given partitions of it.
func described(t *kmsg.MetadataResponseTopic, partitions []kmsg.MetadataResponseTopicPartition, config topicConfig, moving map[int32]client.Reassignment) describedTopic {
	d := describedTopic{listedTopic: listed(*t.Topic, false), TopicID: topicIDText(t.TopicID), PartitionCount: len(t.Partitions),
		Configs: map[string]string{}, Partitions: []describedPartition{}}
	for _, pair := range config.overrides {
		key, value, _ := strings.Cut(pair, "=")
		d.Configs[key] = value
	}
	if len(t.Partitions) > 0 {
		d.ReplicationFactor = replicationFactor(t.Partitions[0], moving[t.Partitions[0].Partition])
	}
	for _, p := range partitions {
		r := moving[p.Partition]
		d.Partitions = append(d.Partitions, describedPartition{p.Partition, leaderOrNil(metadata.BrokerID(p.Leader)), ids(metadata.BrokerIDs(p.Replicas)),
			ids(metadata.BrokerIDs(p.ISR)), ids(r.Adding), ids(r.Removing)})
	}
	return d
}
