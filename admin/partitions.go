package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

// Brokers reads the registered brokers, in the order of their ids. ignoreRacks leaves out their
// racks. Otherwise, if only some brokers have racks, Brokers fails with an error without a protocol
// code, because no replica can be placed.
func (a *Admin) Brokers(ctx context.Context, ignoreRacks bool) ([]Broker, error) {
	ids, err := a.Store.BrokerIDs(ctx)
	if err != nil {
		return nil, err
	}
	var brokers []Broker
	withRack := 0
	for _, id := range ids {
		info, _, err := a.Store.BrokerNode(ctx, id)
		if errors.Is(err, zkstore.ErrNoNode) {
			continue // unregistered in the meantime
		}
		if err != nil {
			return nil, err
		}
		b := Broker{ID: id}
		if info.Rack != nil && !ignoreRacks {
			b.Rack = info.Rack
			withRack++
		}
		brokers = append(brokers, b)
	}
	if withRack > 0 && withRack < len(brokers) {
		return nil, errors.New("Not all brokers have rack information. Add --disable-rack-aware in command line" +
			" to make replica assignment without rack information.")
	}
	return brokers, nil
}

// NewPartitions describes the partitions to add to a topic.
type NewPartitions struct {
	Topic string
	Count int32 // total number of partitions after the change
	// Assignment holds the replicas of each new partition; nil: replicas are placed automatically
	Assignment [][]metadata.BrokerID
}

// CreatePartitions validates and adds partitions to a topic and returns the new number of
// partitions. The checks run in Kafka's order.
func (a *Admin) CreatePartitions(ctx context.Context, n NewPartitions, change Change) (count int32, err error) {
	node, err := a.quietTopic(ctx, n.Topic)
	if err != nil {
		return 0, err
	}
	have := int32(len(node.Partitions))
	switch {
	case n.Count < have:
		return 0, protocol.Errorf(protocol.InvalidPartitions,
			"Topic currently has %d partitions, which is higher than the requested %d.", have, n.Count)
	case n.Count == have:
		return 0, protocol.Errorf(protocol.InvalidPartitions, "Topic already has %d partitions.", have)
	}
	added, err := newAssignments(node, n, change)
	if err != nil {
		return 0, err
	}
	for i, replicas := range added {
		node.Partitions[have+int32(i)] = zkstore.Assignment{Replicas: replicas}
	}
	if err := checkStored(node); err != nil {
		return 0, err
	}
	if change.ValidateOnly {
		return n.Count, nil
	}
	if err := change.charge(len(added)); err != nil {
		return 0, err
	}
	a.log.Infof("Creating %d partitions for '%s' with the following replica assignment: %v.", len(added), n.Topic, added)
	_, err = a.Store.SetTopic(ctx, zkstore.NoFence(), node)
	return n.Count, err
}

// quietTopic reads a topic and fails if one of its partitions is being reassigned: during a
// reassignment the controller rewrites the node, and the last writer would win.
func (a *Admin) quietTopic(ctx context.Context, topic string) (zkstore.TopicNode, error) {
	nodes, err := a.Store.TopicNodes(ctx, []string{topic})
	if err != nil {
		return zkstore.TopicNode{}, err
	}
	node := nodes[topic]
	for _, p := range node.Partitions {
		if len(p.Adding)+len(p.Removing) > 0 {
			return node, protocol.Errorf(protocol.ReassignmentInProgress, "A partition reassignment is in progress for the topic '%s'.", topic)
		}
	}
	if len(node.Partitions) == 0 {
		return node, protocol.Errorf(protocol.UnknownTopicOrPartition, "The topic '%s' does not exist.", topic)
	}
	return node, nil
}

func newAssignments(node zkstore.TopicNode, n NewPartitions, change Change) ([][]metadata.BrokerID, error) {
	brokers := change.Brokers
	have := len(node.Partitions)
	increment := int(n.Count) - have
	if n.Assignment != nil {
		if err := checkCountAndBrokers(n.Assignment, increment, brokers); err != nil {
			return nil, err
		}
	}
	first, ok := node.Partitions[0]
	if !ok {
		return nil, fmt.Errorf("Unexpected existing replica assignment for topic '%s', partition id 0 is missing. Assignment: %v", n.Topic, node.Partitions)
	}
	if n.Assignment != nil {
		return n.Assignment, checkNewAssignment(n.Assignment, have, len(first.Replicas))
	}
	if err := change.place(increment, len(first.Replicas)); err != nil {
		return nil, err
	}
	start := max(0, slices.IndexFunc(brokers, func(b Broker) bool { return b.ID >= first.Replicas[0] }))
	return AssignReplicas(brokers, increment, len(first.Replicas), Placement{FirstPartition: have, Start: start, Shift: start})
}

func checkCountAndBrokers(assignment [][]metadata.BrokerID, increment int, brokers []Broker) error {
	seen := make(map[metadata.BrokerID]bool, len(brokers))
	for _, b := range brokers {
		seen[b.ID] = true
	}
	var unknown []metadata.BrokerID
	for _, replicas := range assignment {
		for _, id := range replicas {
			if !seen[id] {
				seen[id] = true
				unknown = append(unknown, id)
			}
		}
	}
	if len(unknown) > 0 {
		return protocol.Errorf(protocol.InvalidReplicaAssignment, "Unknown broker(s) in replica assignment: %s.", javatext.Join(unknown, ", "))
	}
	if len(assignment) != increment {
		return protocol.Errorf(protocol.InvalidReplicaAssignment,
			"Increasing the number of partitions by %d but %d assignments provided.", increment, len(assignment))
	}
	return nil
}

func checkNewAssignment(assignment [][]metadata.BrokerID, have, replicas int) error {
	var partitions, sizes []string
	for i, list := range assignment {
		p := have + i
		if len(list) == 0 {
			return protocol.Errorf(protocol.InvalidReplicaAssignment, "Cannot have replication factor of 0 for partition id %d.", p)
		}
		if hasDuplicates(list) {
			return protocol.Errorf(protocol.InvalidReplicaAssignment,
				"Duplicate brokers not allowed in replica assignment: %s for partition id %d.", javatext.Join(list, ", "), p)
		}
		if len(list) != replicas {
			partitions = append(partitions, fmt.Sprint(p))
			sizes = append(sizes, fmt.Sprint(len(list)))
		}
	}
	if len(partitions) == 0 {
		return nil
	}
	return protocol.Errorf(protocol.InvalidReplicaAssignment, "Inconsistent replication factor between partitions, "+
		"partition 0 has %d while partitions [%s] have replication factors [%s], respectively.",
		replicas, strings.Join(partitions, ", "), strings.Join(sizes, ", "))
}
