package tools

import (
	"context"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// topicConfig holds what describe needs from a topic's configuration.
type topicConfig struct {
	overrides []string // key=value of what is not a default
	minISR    int
}

func (a *topicsAdmin) describeTopics(ctx context.Context) error {
	byName, meta, names, err := a.all(ctx)
	if err != nil {
		return err
	}
	if a.topicID.given() && a.topicID.or("") != topicIDText([16]byte{}) {
		names = nil
		for name, t := range byName {
			if topicIDText(t.TopicID) == a.topicID.or("") {
				names = []string{name}
			}
		}
		if len(names) == 0 && !a.ifExists.given() {
			return javaError{"java.lang.IllegalArgumentException", fmt.Sprintf("TopicId '%s' does not exist as expected", a.topicID.or(""))}
		}
	} else if err := a.mustFind(names, notFound); err != nil {
		return err
	}
	if len(names) == 0 {
		return nil
	}
	configs, err := a.configsOf(ctx, names)
	if err != nil {
		return err
	}
	moving, err := a.reassignments(ctx, byName, names)
	if err != nil {
		return err
	}
	live := map[int32]bool{}
	for _, b := range meta.Brokers {
		live[b.NodeID] = true
	}
	for _, name := range copyOrder(names, stringHash) {
		a.describeTopic(byName[name], configs[name], moving[name], live)
	}
	return nil
}

func (a *topicsAdmin) describeTopic(t *kmsg.MetadataResponseTopic, config topicConfig, moving map[int32]reassignment, live map[int32]bool) {
	partitions := t.Partitions
	sort.Slice(partitions, func(i, j int) bool { return partitions[i].Partition < partitions[j].Partition })
	reporting := a.underReplicated.given() || a.unavailable.given() || a.underMinISR.given() || a.atMinISR.given()
	if !reporting && (!a.overrides.given() || len(config.overrides) > 0) && len(partitions) > 0 {
		line := "Topic: " + *t.Topic
		if t.TopicID != ([16]byte{}) {
			line += "\tTopicId: " + topicIDText(t.TopicID)
		}
		first := partitions[0]
		a.env.printf("%s\tPartitionCount: %d\tReplicationFactor: %d\tConfigs: %s\n", line, len(partitions),
			replicationFactor(first, moving[first.Partition]), strings.Join(config.overrides, ","))
	}
	if a.overrides.given() {
		return
	}
	for _, p := range partitions {
		if !reporting || a.reported(p, config, moving[p.Partition], live) {
			a.describePartition(*t.Topic, p, moving)
		}
	}
}

// replicationFactor returns the number of replicas without those that a reassignment adds.
func replicationFactor(p kmsg.MetadataResponseTopicPartition, r reassignment) int {
	changing := append(append([]int32(nil), r.adding...), r.removing...)
	for _, id := range p.Replicas {
		for _, c := range changing {
			if id == c {
				return len(r.replicas) - len(r.adding)
			}
		}
	}
	return len(p.Replicas)
}

// reported reports whether the options select the partition.
func (a *topicsAdmin) reported(p kmsg.MetadataResponseTopicPartition, config topicConfig, r reassignment, live map[int32]bool) bool {
	leaderless := p.Leader < 0
	return a.underReplicated.given() && replicationFactor(p, r) > len(p.ISR) ||
		a.unavailable.given() && (leaderless || !live[p.Leader]) ||
		a.underMinISR.given() && (leaderless || len(p.ISR) < config.minISR) ||
		a.atMinISR.given() && len(p.ISR) == config.minISR
}

func (a *topicsAdmin) describePartition(topic string, p kmsg.MetadataResponseTopicPartition, moving map[int32]reassignment) {
	leader := "none"
	if p.Leader >= 0 {
		leader = strconv.Itoa(int(p.Leader))
	}
	line := fmt.Sprintf("\tTopic: %s\tPartition: %d\tLeader: %s\tReplicas: %s\tIsr: %s", topic, p.Partition, leader, joined(p.Replicas), joined(p.ISR))
	if r, ok := moving[p.Partition]; ok {
		line += fmt.Sprintf("\tAdding Replicas: %s\tRemoving Replicas: %s", joined(r.adding), joined(r.removing))
	}
	a.env.println(line + "\tElr: N/A\tLastKnownElr: N/A")
}

func (a *topicsAdmin) configsOf(ctx context.Context, names []string) (map[string]topicConfig, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	for _, name := range names {
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, name
		req.Resources = append(req.Resources, r)
	}
	resp, err := a.cluster.Any(ctx, req, 4)
	if err != nil {
		return nil, err
	}
	configs := map[string]topicConfig{}
	for _, r := range resp.(*kmsg.DescribeConfigsResponse).Resources {
		if r.ErrorCode != 0 {
			return nil, answered(r.ErrorCode, r.ErrorMessage)
		}
		var c topicConfig
		entries := hashOrder(r.Configs, func(e kmsg.DescribeConfigsResponseResourceConfig) uint32 { return stringHash(e.Name) })
		for _, entry := range entries {
			value := ""
			if entry.Value != nil {
				value = *entry.Value
			}
			if entry.Name == "min.insync.replicas" {
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

func (a *topicsAdmin) reassignments(ctx context.Context, byName map[string]*kmsg.MetadataResponseTopic, names []string) (map[string]map[int32]reassignment, error) {
	req := kmsg.NewPtrListPartitionReassignmentsRequest()
	req.TimeoutMillis = 30000
	for _, name := range names {
		t := kmsg.NewListPartitionReassignmentsRequestTopic()
		t.Topic = name
		for _, p := range byName[name].Partitions {
			t.Partitions = append(t.Partitions, p.Partition)
		}
		req.Topics = append(req.Topics, t)
	}
	link, err := a.cluster.Controller(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := link.Negotiated(ctx, req, 0)
	if err != nil {
		return nil, err
	}
	list := resp.(*kmsg.ListPartitionReassignmentsResponse)
	moving := map[string]map[int32]reassignment{}
	switch protocol.ErrorCode(list.ErrorCode) {
	case protocol.None:
	case protocol.ClusterAuthorizationFailed, protocol.UnsupportedVersion:
		return moving, nil
	default:
		return nil, answered(list.ErrorCode, list.ErrorMessage)
	}
	for _, t := range list.Topics {
		moving[t.Topic] = map[int32]reassignment{}
		for _, p := range t.Partitions {
			moving[t.Topic][p.Partition] = reassignment{p.Replicas, p.AddingReplicas, p.RemovingReplicas}
		}
	}
	return moving, nil
}
