package topics

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// topicConfig holds what describe needs from a topic's configuration.
type topicConfig struct {
	overrides []string // key=value of what is not a default
	minISR    int
}

// describeTopics implements --describe through the admin client. topicsStore.describeTopics does the
// same from the znodes.
func (a *topicsAdmin) describeTopics(ctx context.Context) error {
	byName, meta, names, err := a.all(ctx)
	if err != nil {
		return err
	}
	if a.topicID.Given() && a.topicID.Or("") != javatext.UUID([16]byte{}) {
		names = nil
		for name, t := range byName {
			if javatext.UUID(t.TopicID) == a.topicID.Or("") {
				names = []string{name}
			}
		}
		if len(names) == 0 && !a.ifExists.Given() {
			return cli.NewJavaError("java.lang.IllegalArgumentException", fmt.Sprintf("TopicId '%s' does not exist as expected", a.topicID.Or("")))
		}
	} else if err := a.mustFind(names, notFound); err != nil {
		return err
	}
	if len(names) == 0 {
		if a.WantsDocument() {
			a.PrintDocument(topicsDocument[describedTopic]{[]describedTopic{}})
		}
		return nil
	}
	configs, err := a.configsOf(names)
	if err != nil {
		return err
	}
	moving, err := a.reassignments(byName, names)
	if err != nil {
		return err
	}
	live := map[metadata.BrokerID]bool{}
	for _, b := range meta.Brokers {
		live[metadata.BrokerID(b.NodeID)] = true
	}
	if a.WantsDocument() {
		a.PrintDocument(a.describeDocument(names, byName, configs, moving, live))
		return nil
	}
	for _, name := range javatext.HashMapCopyOrder(names, javatext.StringHash) {
		a.describeTopic(byName[name], configs[name], moving[name], live)
	}
	return nil
}

// describeDocument returns the document of the selected topics.
func (a *topicsAdmin) describeDocument(names []string, byName map[string]*kmsg.MetadataResponseTopic, configs map[string]topicConfig, moving map[string]map[int32]client.Reassignment, live map[metadata.BrokerID]bool) topicsDocument[describedTopic] {
	topics := []describedTopic{}
	for _, name := range slices.Sorted(slices.Values(names)) {
		partitions := a.selectPartitions(byName[name], configs[name], moving[name], live)
		if a.reporting() && len(partitions) == 0 || a.overrides.Given() && len(configs[name].overrides) == 0 {
			continue
		}
		topics = append(topics, described(byName[name], partitions, configs[name], moving[name]))
	}
	return topicsDocument[describedTopic]{topics}
}

// reporting reports whether only partitions in certain states are selected.
func (a *topicsAdmin) reporting() bool {
	return a.underReplicated.Given() || a.unavailable.Given() || a.underMinISR.Given() || a.atMinISR.Given()
}

// selectPartitions sorts the partitions of a topic and returns those that the options select.
func (a *topicsAdmin) selectPartitions(t *kmsg.MetadataResponseTopic, config topicConfig, moving map[int32]client.Reassignment, live map[metadata.BrokerID]bool) (selected []kmsg.MetadataResponseTopicPartition) {
	slices.SortFunc(t.Partitions, func(x, y kmsg.MetadataResponseTopicPartition) int { return cmp.Compare(x.Partition, y.Partition) })
	for _, p := range t.Partitions {
		if !a.reporting() || a.reported(p, config, moving[p.Partition], live) {
			selected = append(selected, p)
		}
	}
	return selected
}

func (a *topicsAdmin) describeTopic(t *kmsg.MetadataResponseTopic, config topicConfig, moving map[int32]client.Reassignment, live map[metadata.BrokerID]bool) {
	selected := a.selectPartitions(t, config, moving, live)
	partitions := t.Partitions
	if !a.reporting() && (!a.overrides.Given() || len(config.overrides) > 0) && len(partitions) > 0 {
		line := "Topic: " + *t.Topic
		if t.TopicID != ([16]byte{}) {
			line += "\tTopicId: " + javatext.UUID(t.TopicID)
		}
		first := partitions[0]
		a.Env.Printf("%s\tPartitionCount: %d\tReplicationFactor: %d\tConfigs: %s\n", line, len(partitions),
			replicationFactor(first, moving[first.Partition]), strings.Join(config.overrides, ","))
	}
	if a.overrides.Given() {
		return
	}
	for _, p := range selected {
		a.describePartition(*t.Topic, p, moving)
	}
}

// replicationFactor returns the number of replicas without those that a reassignment adds.
func replicationFactor(p kmsg.MetadataResponseTopicPartition, r client.Reassignment) int {
	changing := append(append([]metadata.BrokerID(nil), r.Adding...), r.Removing...)
	for _, id := range metadata.BrokerIDs(p.Replicas) {
		for _, c := range changing {
			if id == c {
				return len(r.Replicas) - len(r.Adding)
			}
		}
	}
	return len(p.Replicas)
}

// reported reports whether the options select the partition.
func (a *topicsAdmin) reported(p kmsg.MetadataResponseTopicPartition, config topicConfig, r client.Reassignment, live map[metadata.BrokerID]bool) bool {
	leaderless := p.Leader < 0
	return a.underReplicated.Given() && replicationFactor(p, r) > len(p.ISR) ||
		a.unavailable.Given() && (leaderless || !live[metadata.BrokerID(p.Leader)]) ||
		a.underMinISR.Given() && (leaderless || len(p.ISR) < config.minISR) ||
		a.atMinISR.Given() && len(p.ISR) == config.minISR
}

func (a *topicsAdmin) describePartition(topic string, p kmsg.MetadataResponseTopicPartition, moving map[int32]client.Reassignment) {
	leader := "none"
	if p.Leader >= 0 {
		leader = strconv.Itoa(int(p.Leader))
	}
	line := fmt.Sprintf("\tTopic: %s\tPartition: %d\tLeader: %s\tReplicas: %s\tIsr: %s", topic, p.Partition, leader, javatext.Join(p.Replicas, ","), javatext.Join(p.ISR, ","))
	if r, ok := moving[p.Partition]; ok {
		line += fmt.Sprintf("\tAdding Replicas: %s\tRemoving Replicas: %s", javatext.Join(r.Adding, ","), javatext.Join(r.Removing, ","))
	}
	a.Env.Println(line + "\tElr: N/A\tLastKnownElr: N/A")
}

func (a *topicsAdmin) configsOf(names []string) (map[string]topicConfig, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	for _, name := range names {
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, name
		req.Resources = append(req.Resources, r)
	}
	resp, err := a.Send("describeConfigs", client.AnyBroker, req, 4, nil)
	if err != nil {
		return nil, err
	}
	configs := map[string]topicConfig{}
	for _, r := range resp.(*kmsg.DescribeConfigsResponse).Resources {
		if r.ErrorCode != 0 {
			return nil, client.AnswerError(r.ErrorCode, r.ErrorMessage)
		}
		var c topicConfig
		entries := javatext.HashMapOrder(r.Configs, func(e kmsg.DescribeConfigsResponseResourceConfig) int32 { return javatext.StringHash(e.Name) })
		for _, entry := range entries {
			value := ""
			if entry.Value != nil {
				value = *entry.Value
			}
			if entry.Name == settings.TopicMinInsyncReplicas.Name {
				c.minISR, _ = strconv.Atoi(value)
			}
			if entry.Source != kmsg.ConfigSourceDefaultConfig {
				c.overrides = append(c.overrides, entry.Name+"="+value)
			}
		}
		configs[r.ResourceName] = c
	}
	return configs, nil
}

// reassignments returns the running reassignments of topics, or none if they may not be listed.
func (a *topicsAdmin) reassignments(byName map[string]*kmsg.MetadataResponseTopic, names []string) (map[string]map[int32]client.Reassignment, error) {
	partitions := []client.TopicPartition{}
	moving := map[string]map[int32]client.Reassignment{}
	for _, name := range names {
		moving[name] = map[int32]client.Reassignment{}
		for _, p := range byName[name].Partitions {
			partitions = append(partitions, client.TopicPartition{Topic: name, Partition: p.Partition})
		}
	}
	running, err := a.Reassignments(partitions)
	switch protocol.CodeOf(err) {
	case protocol.ClusterAuthorizationFailed, protocol.UnsupportedVersion:
		return moving, nil
	}
	for tp, r := range running {
		moving[tp.Topic][tp.Partition] = r
	}
	return moving, err
}
