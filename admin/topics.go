package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/zkstore"
)

// Default means num.partitions or default.replication.factor.
const Default = -1

// NewTopic describes a topic to create. It has either Partitions and Replicas, or Assignment with
// the replicas by partition.
type NewTopic struct {
	Name       string
	Partitions int32 // Default: num.partitions
	Replicas   int16 // Default: default.replication.factor
	Assignment map[int32][]metadata.BrokerID
	Configs    []Config
}

// Config is a key with its value. A nil value is null, which is refused.
type Config struct {
	Name  string
	Value *string
}

// Change holds the options of a change of topics or configurations.
type Change struct {
	// Known reports whether the topic is in the broker's metadata; nil: not checked
	Known func(topic string) bool
	// Brokers are the brokers that replicas may be placed on, in the order of placement.
	Brokers      []Broker
	ValidateOnly bool
	// Charge takes the number of created or deleted partitions from the client's quota (KIP-599).
	// An error refuses the change. nil: no quota
	Charge func(partitions int) error
	// Placed counts the partitions placed so far for the same request; at most placedMax are
	// allowed. nil: no limit
	Placed *int
}

// placedMax bounds the number of partitions placed for one request, because a small request can ask
// for many.
const placedMax = 1 << 20

// place checks that this many partitions and replicas can be placed, and counts them.
func (c Change) place(partitions, replicas int) error {
	if err := CheckCounts(len(c.Brokers), partitions, replicas); err != nil || c.Placed == nil {
		return err
	}
	if *c.Placed += partitions; *c.Placed > placedMax {
		return protocol.Errorf(protocol.InvalidPartitions, "The topics of one request have more than %d new partitions.", placedMax)
	}
	return nil
}

// checkStored checks that the topic's node fits into a ZooKeeper node.
func checkStored(node zkstore.TopicNode) error {
	if size := zkstore.TopicNodeBytes(node); size > zkstore.NodeBytesMax {
		return protocol.Errorf(protocol.InvalidPartitions, "Topic '%s' with %d partitions takes %d bytes in ZooKeeper; a node can have at most %d.",
			node.Name, len(node.Partitions), size, zkstore.NodeBytesMax)
	}
	return nil
}

func (c Change) charge(partitions int) error {
	if c.Charge == nil {
		return nil
	}
	return c.Charge(partitions)
}

// CreatedTopic describes a topic that was, or would be, created.
type CreatedTopic struct {
	ID         metadata.TopicID // zero if topics have no ids or nothing was written
	Assignment map[int32][]metadata.BrokerID
	Overrides  map[string]string
}

// CreateTopic validates a topic and writes its configuration and then its partitions, which the
// controller watches. The checks run in Kafka's order.
func (a *Admin) CreateTopic(ctx context.Context, t NewTopic, change Change) (*CreatedTopic, error) {
	if change.Known != nil && change.Known(t.Name) {
		return nil, topicExists(t.Name)
	}
	overrides, err := overridesOf(t.Configs)
	if err != nil {
		return nil, err
	}
	assignment, err := a.assignmentOf(t, change)
	if err != nil {
		return nil, err
	}
	if err := a.checkNewTopic(ctx, t.Name, assignment, overrides); err != nil {
		return nil, err
	}
	node := zkstore.TopicNode{Name: t.Name, Partitions: make(map[int32]zkstore.Assignment, len(assignment))}
	for p, replicas := range assignment {
		node.Partitions[p] = zkstore.Assignment{Replicas: replicas}
	}
	if a.TopicIDs {
		node.ID = newTopicID()
	}
	if err := checkStored(node); err != nil {
		return nil, err
	}
	created := &CreatedTopic{Assignment: assignment, Overrides: overrides}
	if change.ValidateOnly {
		return created, nil
	}
	if err := change.charge(len(assignment)); err != nil {
		return nil, err
	}
	created.ID = node.ID
	return created, a.writeNewTopic(ctx, node, created)
}

func (a *Admin) writeNewTopic(ctx context.Context, node zkstore.TopicNode, t *CreatedTopic) error {
	a.log.Infof("Creating topic %s with configuration %v and initial partition assignment %s",
		node.Name, t.Overrides, assignmentText(t.Assignment))
	if err := a.setConfig(ctx, zkstore.EntityTopics, node.Name, t.Overrides); err != nil {
		return err
	}
	err := a.Store.CreateTopic(ctx, node)
	if errors.Is(err, zkstore.ErrNodeExists) {
		return topicExists(node.Name)
	}
	return err
}

// newTopicID returns a random id. As in Kafka, its text does not begin with '-'.
func newTopicID() metadata.TopicID {
	for {
		id := metadata.TopicID(uuid.New())
		if id[0]>>2 != 62 { // the six bits that base64url encodes as '-'
			return id
		}
	}
}

func overridesOf(configs []Config) (map[string]string, error) {
	overrides, nulls := map[string]string{}, []string{}
	for _, c := range configs {
		if c.Value == nil {
			nulls = append(nulls, c.Name)
			continue
		}
		overrides[c.Name] = *c.Value
	}
	if len(nulls) > 0 {
		return nil, protocol.Errorf(protocol.InvalidConfig, "Null value not supported for topic configs: %s", strings.Join(nulls, ","))
	}
	return overrides, nil
}

// assignmentOf returns the requested assignment or computes one.
func (a *Admin) assignmentOf(t NewTopic, change Change) (map[int32][]metadata.BrokerID, error) {
	if len(t.Assignment) > 0 {
		if t.Partitions != Default || t.Replicas != Default {
			return nil, protocol.Errorf(protocol.InvalidRequest, "Both numPartitions or replicationFactor and replicasAssignments were set. "+
				"Both cannot be used at the same time.")
		}
		return t.Assignment, nil
	}
	partitions, replicas := int(t.Partitions), int(t.Replicas)
	if partitions == Default && a.Settings != nil {
		partitions = int(settings.NumPartitions.Of(a.Settings()))
	}
	if replicas == Default && a.Settings != nil {
		replicas = int(int16(settings.DefaultReplicationFactor.Of(a.Settings())))
	}
	if err := change.place(partitions, replicas); err != nil {
		return nil, err
	}
	lists, err := AssignReplicas(change.Brokers, partitions, replicas,
		Placement{Start: a.Random(len(change.Brokers)), Shift: a.Random(len(change.Brokers))})
	if err != nil {
		return nil, err
	}
	assignment := make(map[int32][]metadata.BrokerID, len(lists))
	for p, list := range lists {
		assignment[int32(p)] = list
	}
	return assignment, nil
}

// checkNewTopic checks name, existence, collisions, assignment and configuration, in this order.
func (a *Admin) checkNewTopic(ctx context.Context, name string, assignment map[int32][]metadata.BrokerID, overrides map[string]string) error {
	if err := ValidateTopicName(name); err != nil {
		return err
	}
	if marked, err := a.Store.TopicMarkedForDeletion(ctx, name); err != nil {
		return err
	} else if marked {
		return protocol.Errorf(protocol.TopicAlreadyExists, "Topic '%s' is marked for deletion.", name)
	}
	if exists, err := a.Store.TopicExists(ctx, name); err != nil {
		return err
	} else if exists {
		return topicExists(name)
	}
	if err := a.checkCollision(ctx, name); err != nil {
		return err
	}
	if err := CheckAssignment(assignment); err != nil {
		return err
	}
	return invalidConfig(a.validateTopic(overrides))
}

func (a *Admin) checkCollision(ctx context.Context, name string) error {
	if !MayCollide(name) {
		return nil
	}
	all, err := a.Store.TopicNames(ctx)
	if err != nil {
		return err
	}
	if slices.Contains(all, name) { // created in the meantime
		return topicExists(name)
	}
	colliding := slices.DeleteFunc(all, func(other string) bool { return !Collide(name, other) })
	if len(colliding) == 0 {
		return nil
	}
	return protocol.Errorf(protocol.InvalidTopicException, "Topic '%s' collides with existing topics: %s", name, strings.Join(colliding, ", "))
}

// CheckAssignment checks that the replicas of a new topic's partitions are consistent. As in Kafka,
// it does not check that the brokers exist.
func CheckAssignment(assignment map[int32][]metadata.BrokerID) error {
	sizes := map[int]bool{}
	for _, replicas := range assignment {
		sizes[len(replicas)] = true
	}
	if len(sizes) != 1 {
		return protocol.Errorf(protocol.InvalidReplicaAssignment, "All partitions should have the same number of replicas")
	}
	for _, replicas := range assignment {
		if hasDuplicates(replicas) {
			return protocol.Errorf(protocol.InvalidReplicaAssignment, "Duplicate replica assignment found: %s", assignmentText(assignment))
		}
	}
	for p := range int32(len(assignment)) {
		if _, ok := assignment[p]; !ok {
			return protocol.Errorf(protocol.InvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence")
		}
	}
	return nil
}

// DeleteTopic marks a topic for deletion. It succeeds if the topic is already marked.
func (a *Admin) DeleteTopic(ctx context.Context, name string) error {
	exists, err := a.Store.TopicExists(ctx, name)
	if err != nil {
		return err
	}
	if !exists {
		return protocol.Errorf(protocol.UnknownTopicOrPartition, "Topic `%s` to delete does not exist", name)
	}
	err = a.Store.CreateTopicDeletion(ctx, name)
	if errors.Is(err, zkstore.ErrNodeExists) {
		return nil
	}
	return err
}

func topicExists(name string) error {
	return protocol.Errorf(protocol.TopicAlreadyExists, "Topic '%s' already exists.", name)
}

func hasDuplicates(ids []metadata.BrokerID) bool {
	sorted := slices.Sorted(slices.Values(ids))
	return len(slices.Compact(sorted)) < len(ids)
}

// assignmentText formats an assignment like the mutable map of Kafka, because clients see the text.
func assignmentText(assignment map[int32][]metadata.BrokerID) string {
	var parts []string
	for _, p := range javatext.MutableOrder(slices.Sorted(maps.Keys(assignment)), javatext.IntHash) {
		parts = append(parts, fmt.Sprintf("%d -> %s", p, javatext.Collection("ArrayBuffer", assignment[p])))
	}
	return javatext.Collection("HashMap", parts)
}

// MarkedForDeletion reports whether the topic is about to be deleted.
func (a *Admin) MarkedForDeletion(ctx context.Context, topic string) (bool, error) {
	return a.Store.TopicMarkedForDeletion(ctx, topic)
}
