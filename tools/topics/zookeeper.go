package topics

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/monedula/monedula/admin"
	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
	"github.com/monedula/monedula/zkstore"
)

// topicsStore implements kafka-topics with --zookeeper, as in 2.8. It reads and writes the znodes
// directly; the controller notices the changes by its watches.
type topicsStore struct {
	*options
	store *zkstore.Store
	admin *admin.Admin
}

func (o *options) runOverZooKeeper() error {
	if o.create.Given() && strings.ContainsAny(o.topic.Or(""), "._") {
		o.Env.Println("WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. To avoid issues it is best to use either, but not both.")
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	store, log, err := client.OpenStore(ctx, o.Env, o.zookeeper.Or(""))
	if err != nil {
		return err
	}
	defer store.Close()
	s := &topicsStore{options: o, store: store, admin: admin.New(admin.Options{Store: store, Unchecked: true, Logger: log})}
	switch {
	case o.create.Given():
		err = s.createTopic(ctx)
	case o.list.Given():
		err = s.listTopics(ctx)
	case o.describe.Given():
		err = s.describeTopics(ctx)
	case o.alter.Given():
		err = s.alterTopics(ctx)
	case o.delete.Given():
		err = s.deleteTopics(ctx)
	}
	return err
}

func (s *topicsStore) createTopic(ctx context.Context) error {
	configs, err := s.topicConfigs()
	if err != nil {
		return err
	}
	topic := admin.NewTopic{Name: s.topic.Or(""), Partitions: admin.Default, Replicas: admin.Default}
	for _, name := range slices.Sorted(maps.Keys(configs)) {
		value := configs[name]
		topic.Configs = append(topic.Configs, admin.Config{Name: name, Value: &value})
	}
	if s.replicaAssignment.Or("") != "" {
		lists, err := parseAssignment(s.replicaAssignment.Or(""))
		if err != nil {
			return err
		}
		topic.Assignment = map[int32][]metadata.BrokerID{}
		for i, replicas := range lists {
			topic.Assignment[int32(i)] = replicas
		}
	} else {
		partitions, err := s.Number(s.partitions, 0)
		if err != nil {
			return err
		}
		factor, err := s.Number(s.replicationFactor, 0)
		if err != nil {
			return err
		}
		topic.Partitions, topic.Replicas = int32(partitions), int16(factor)
	}
	brokers, err := s.brokers(ctx)
	if err != nil {
		return err
	}
	_, err = s.admin.CreateTopic(ctx, topic, admin.Change{Brokers: brokers})
	if errors.Is(err, protocol.TopicAlreadyExists) && s.ifNotExists.Given() {
		return nil
	}
	if err != nil {
		return err
	}
	s.Env.Printf("Created topic %s.\n", topic.Name)
	return nil
}

func (s *topicsStore) brokers(ctx context.Context) ([]admin.Broker, error) {
	brokers, err := s.admin.Brokers(ctx, s.noRackAware.Given())
	if err != nil && protocol.CodeOf(err) == protocol.UnknownServerError {
		return nil, cli.NewJavaError("kafka.admin.AdminOperationException", err.Error())
	}
	return brokers, err
}

// selected returns the topics that the options select. It returns an error if there is none and a
// topic must exist.
func (s *topicsStore) selected(ctx context.Context) ([]string, error) {
	all, err := s.store.TopicNames(ctx)
	if err != nil {
		return nil, err
	}
	names, err := s.selectTopics(all)
	if err != nil || s.list.Given() {
		return names, err
	}
	return names, s.mustFind(names, "Topic '%s' does not exist as expected")
}

func (s *topicsStore) listTopics(ctx context.Context) error {
	names, err := s.selected(ctx)
	if err != nil {
		return err
	}
	topics := []listedTopic{}
	for _, name := range names {
		marked, err := s.store.TopicMarkedForDeletion(ctx, name)
		if err != nil {
			return err
		}
		topics = append(topics, listed(name, marked))
	}
	if s.WantsDocument() {
		s.PrintDocument(topicsDocument[listedTopic]{topics})
		return nil
	}
	for _, t := range topics {
		if t.MarkedForDeletion {
			t.Name += " - marked for deletion"
		}
		s.Env.Println(t.Name)
	}
	return nil
}

func (s *topicsStore) alterTopics(ctx context.Context) error {
	added, err := s.topicConfigs()
	if err != nil {
		return err
	}
	names, err := s.selected(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if s.config.Given() || s.deleteConfig.Given() {
			if err := s.alterConfig(ctx, name, added); err != nil {
				return err
			}
		}
		if s.partitions.Given() {
			if err := s.addPartitions(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *topicsStore) alterConfig(ctx context.Context, name string, added map[string]string) error {
	s.Env.Println("WARNING: Altering topic configuration from this script has been deprecated and may be removed in future releases.")
	s.Env.Println("         Going forward, please use kafka-configs.sh for this functionality")
	config, err := s.admin.TopicOverrides(ctx, name)
	if err != nil {
		return err
	}
	for key, value := range added {
		config[key] = value
	}
	for _, key := range s.deleteConfig.Values() {
		delete(config, strings.TrimSpace(key))
	}
	if err := s.admin.SetTopicConfig(ctx, name, config, admin.Change{}); err != nil {
		return err
	}
	s.Env.Printf("Updated config for topic %s.\n", name)
	return nil
}

func (s *topicsStore) addPartitions(ctx context.Context, name string) error {
	if metadata.IsInternal(name) {
		return cli.NewJavaError("java.lang.IllegalArgumentException", fmt.Sprintf("The number of partitions for the internal topic %s cannot be changed.", name))
	}
	s.Env.Println("WARNING: If partitions are increased for a topic that has a key, the partition logic or ordering of the messages will be affected")
	count, err := s.Number(s.partitions, 0)
	if err != nil {
		return err
	}
	brokers, err := s.brokers(ctx)
	if err != nil {
		return err
	}
	wish := admin.NewPartitions{Topic: name, Count: int32(count)}
	if s.replicaAssignment.Or("") != "" {
		lists, err := parseAssignment(s.replicaAssignment.Or(""))
		if err != nil {
			return err
		}
		node, err := s.store.TopicNode(ctx, name)
		if err != nil {
			return err
		}
		wish.Assignment = lists[min(len(node.Partitions), len(lists)):]
	}
	if _, err := s.admin.CreatePartitions(ctx, wish, admin.Change{Brokers: brokers}); err != nil {
		return err
	}
	s.Env.Println("Adding partitions succeeded!")
	return nil
}

func (s *topicsStore) deleteTopics(ctx context.Context) error {
	names, err := s.selected(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if metadata.IsInternal(name) {
			return cli.NewJavaError("kafka.admin.AdminOperationException", fmt.Sprintf("Topic %s is a kafka internal topic and is not allowed to be marked for deletion.", name))
		}
		switch err := s.store.CreateTopicDeletion(ctx, name); {
		case errors.Is(err, zkstore.ErrNodeExists):
			s.Env.Printf("Topic %s is already marked for deletion.\n", name)
		case err != nil:
			return cli.NewJavaError("kafka.admin.AdminOperationException", fmt.Sprintf("Error while deleting topic %s", name))
		default:
			s.Env.Printf("Topic %s is marked for deletion.\n", name)
			s.Env.Println("Note: This will have no impact if delete.topic.enable is not set to true.")
		}
	}
	return nil
}

func (s *topicsStore) describeTopics(ctx context.Context) error {
	names, err := s.selected(ctx)
	if err != nil {
		return err
	}
	ids, err := s.store.BrokerIDs(ctx)
	if err != nil {
		return err
	}
	nodes, err := s.store.TopicNodes(ctx, names)
	if err != nil {
		return err
	}
	topics := []describedTopic{}
	for _, name := range names {
		node, exists := nodes[name]
		if !exists {
			s.Env.Printf("Topic %s doesn't exist!\n", name)
			continue
		}
		switch d, err := s.describeTopic(ctx, node, ids); {
		case err != nil:
			return err
		case d == nil:
		case s.WantsDocument():
			topics = append(topics, *d)
		default:
			s.printTopic(d)
		}
	}
	if s.WantsDocument() {
		s.PrintDocument(topicsDocument[describedTopic]{topics})
	}
	return nil
}

// reporting reports whether only partitions in certain states are selected.
func (s *topicsStore) reporting() bool { return s.underReplicated.Given() || s.unavailable.Given() }

// describeTopic returns the topic with the selected partitions, or nil if it is not selected.
func (s *topicsStore) describeTopic(ctx context.Context, node zkstore.TopicNode, live []metadata.BrokerID) (*describedTopic, error) {
	marked, err := s.store.TopicMarkedForDeletion(ctx, node.Name)
	if err != nil {
		return nil, err
	}
	config, err := s.admin.TopicOverrides(ctx, node.Name)
	if err != nil {
		return nil, err
	}
	if s.overrides.Given() && len(config) == 0 {
		return nil, nil
	}
	if config == nil {
		config = map[string]string{}
	}
	d := &describedTopic{listedTopic: listed(node.Name, marked), TopicID: topicIDText(node.ID), PartitionCount: len(node.Partitions), Configs: config}
	var tps []zkstore.TopicPartition
	for _, p := range slices.Sorted(maps.Keys(node.Partitions)) {
		if tps == nil {
			d.ReplicationFactor = len(node.Partitions[p].Replicas)
		}
		tps = append(tps, zkstore.TopicPartition{Topic: node.Name, Partition: p})
	}
	states, err := s.store.PartitionStates(ctx, tps)
	if err != nil {
		return nil, err
	}
	d.Partitions = []describedPartition{}
	for _, tp := range tps {
		state, known := states[tp]
		if !known {
			state.Leader = -1
		}
		p := node.Partitions[tp.Partition]
		if !s.reporting() || s.underReplicated.Given() && len(state.ISR) < len(p.Replicas) ||
			s.unavailable.Given() && (state.Leader < 0 || !slices.Contains(live, state.Leader)) {
			d.Partitions = append(d.Partitions, describedPartition{tp.Partition, leaderOrNil(state.Leader), ids(p.Replicas), ids(state.ISR), ids(p.Adding), ids(p.Removing)})
		}
	}
	if s.reporting() && len(d.Partitions) == 0 {
		return nil, nil
	}
	return d, nil
}

// printTopic prints a topic as text.
func (s *topicsStore) printTopic(d *describedTopic) {
	deleted := ""
	if d.MarkedForDeletion {
		deleted = "\tMarkedForDeletion: true"
	}
	if !s.reporting() && (!s.overrides.Given() || len(d.Configs) > 0) && d.PartitionCount > 0 {
		line := "Topic: " + d.Name
		if d.TopicID != nil {
			line += "\tTopicId: " + *d.TopicID
		}
		var pairs []string
		for _, key := range javatext.PropertiesOrder(slices.Sorted(maps.Keys(d.Configs))) {
			pairs = append(pairs, key+"="+d.Configs[key])
		}
		s.Env.Printf("%s\tPartitionCount: %d\tReplicationFactor: %d\tConfigs: %s%s\n", line, d.PartitionCount, d.ReplicationFactor, strings.Join(pairs, ","), deleted)
	}
	if s.overrides.Given() {
		return
	}
	for _, p := range d.Partitions {
		leader := "none"
		if p.Leader != nil {
			leader = strconv.Itoa(int(*p.Leader))
		}
		s.Env.Printf("\tTopic: %s\tPartition: %d\tLeader: %s\tReplicas: %s\tIsr: %s%s\n", d.Name, p.Partition, leader, javatext.Join(p.Replicas, ","), javatext.Join(p.ISR, ","), deleted)
	}
}
