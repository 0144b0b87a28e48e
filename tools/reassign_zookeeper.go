package tools

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/monedula/monedula/admin"
	"github.com/monedula/monedula/zkstore"
)

// reassignStore implements kafka-reassign-partitions with --zookeeper, as in 2.8. It writes
// /admin/reassign_partitions, which the controller watches.
type reassignStore struct {
	*reassignOptions
	store *zkstore.Store
	admin *admin.Admin
}

func (o *reassignOptions) runOverZooKeeper() error {
	o.env.println("Warning: --zookeeper is deprecated, and will be removed in a future version of Kafka.")
	ctx := context.Background()
	store, log, err := openStore(ctx, o.env, o.zookeeper.or(""))
	if err != nil {
		return err
	}
	defer store.Close()
	s := &reassignStore{o, store, admin.New(admin.Options{Store: store, Unchecked: true, Logger: log})}
	file, run := o.reassignmentFile, s.verifyPlan
	switch {
	case o.generate.given():
		file, run = o.topicsFile, s.propose
	case o.execute.given():
		run = s.start
	default:
		o.env.println("Warning: because you are using the deprecated --zookeeper option, the results may be incomplete.  Use --bootstrap-server instead for more accurate results.")
	}
	text, err := readInput(file.or(""))
	if err != nil {
		return err
	}
	return asIn28(run(ctx, text))
}

// assignment returns the replicas of every partition of those topics that exist.
func (s *reassignStore) assignment(ctx context.Context, topics []string) (map[topicPartition][]int32, error) {
	nodes, err := s.store.TopicNodes(ctx, topics)
	if err != nil {
		return nil, err
	}
	current := map[topicPartition][]int32{}
	for topic, node := range nodes {
		for partition, a := range node.Partitions {
			current[topicPartition{topic, partition}] = a.Replicas
		}
	}
	return current, nil
}

func (s *reassignStore) propose(ctx context.Context, text string) error {
	ids, topics, err := parseTopicsToMove(text, s.brokerList.or(""), func(s string) string { return strings.ReplaceAll(s, ", ", ",") })
	if err != nil {
		return err
	}
	current, err := s.assignment(ctx, topics)
	if err != nil {
		return err
	}
	brokers, err := s.admin.Brokers(ctx, s.noRackAware.given())
	if err != nil {
		return javaError{"kafka.admin.AdminOperationException", err.Error()}
	}
	brokers = slices.DeleteFunc(brokers, func(b admin.Broker) bool { return !slices.Contains(ids, b.ID) })
	proposed, err := propose(current, brokers)
	if err != nil {
		return err
	}
	s.env.printf("Current partition replica assignment\n%s\n\nProposed partition reassignment configuration\n%s\n", reassignmentJSON(current), reassignmentJSON(proposed))
	return nil
}

func (s *reassignStore) start(ctx context.Context, text string) error {
	p, err := parsePlan(text)
	if err != nil {
		return err
	}
	targets, err := p.executable()
	if err != nil {
		return err
	}
	if len(p.dirs) > 0 {
		return commandFailed("bootstrap-server needs to be provided when replica reassignments are present.")
	}
	all, err := s.assignment(ctx, p.topics())
	if err != nil {
		return err
	}
	if err := s.checkTargets(ctx, p, all); err != nil {
		return err
	}
	running, err := s.store.PartitionReassignments(ctx)
	if err != nil {
		return err
	}
	if len(running) > 0 {
		return plainFailure{existingReassignment}
	}
	current := map[topicPartition][]int32{}
	for tp := range targets {
		current[tp] = all[tp]
	}
	s.env.println(rollbackText(current))
	if rate, err := s.number(s.throttle, -1); err != nil {
		return err
	} else if rate >= 0 {
		s.env.println(verifyWarning)
		if err := s.throttleMoves(ctx, moves(nil, targets, current), rate); err != nil {
			return err
		}
		s.env.printf("The inter-broker throttle limit was set to %d B/s\n", rate)
	}
	wish := map[zkstore.TopicPartition][]int32{}
	for tp, replicas := range targets {
		wish[zkstore.TopicPartition{Topic: tp.topic, Partition: tp.partition}] = replicas
	}
	if err := s.store.CreatePartitionReassignments(ctx, wish); err != nil {
		if errors.Is(err, zkstore.ErrNodeExists) {
			return plainFailure{existingReassignment}
		}
		return err
	}
	s.env.printf("Successfully started partition reassignment%s for %s\n", plural(len(targets)), joinedPartitions(sortedPartitions(targets), ","))
	return nil
}

// checkTargets returns an error if partitions or brokers do not exist.
func (s *reassignStore) checkTargets(ctx context.Context, p plan, all map[topicPartition][]int32) error {
	var missing []topicPartition
	for _, t := range p.targets {
		if _, found := all[t.topicPartition]; !found {
			missing = append(missing, t.topicPartition)
		}
	}
	if len(missing) > 0 {
		return commandFailed("The proposed assignment contains non-existent partitions: List(%s)", joinedPartitions(missing, ", "))
	}
	live, err := s.store.BrokerIDs(ctx)
	if err != nil {
		return err
	}
	var absent []int32
	for _, t := range p.targets {
		absent = append(absent, without(t.replicas, live)...)
	}
	if len(absent) > 0 {
		return commandFailed("The proposed assignment contains non-existent brokerIDs: %s", joined(distinct(absent)))
	}
	return nil
}

// throttleMoves sets the throttled replicas and the rates.
func (s *reassignStore) throttleMoves(ctx context.Context, all map[topicPartition]move, rate int64) error {
	lists := throttles(all)
	for _, topic := range slices.Sorted(maps.Keys(lists)) {
		err := s.change(ctx, zkstore.EntityTopics, topic, func(config map[string]string) bool {
			config[leaderThrottled], config[followerThrottled] = lists[topic][0], lists[topic][1]
			return true
		})
		if err != nil {
			return err
		}
	}
	for _, id := range moving(all) {
		err := s.change(ctx, zkstore.EntityBrokers, strconv.Itoa(int(id)), func(config map[string]string) bool {
			config[leaderRate] = strconv.FormatInt(rate, 10)
			config[followerRate] = config[leaderRate]
			return true
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// change calls edit on the configuration of an entity and writes it if edit returns true.
func (s *reassignStore) change(ctx context.Context, kind zkstore.EntityType, name string, edit func(config map[string]string) bool) error {
	config, err := s.store.Config(ctx, kind, name)
	if err != nil || !edit(config) {
		return err
	}
	if kind == zkstore.EntityTopics {
		return javaConfigError(s.admin.SetTopicConfig(ctx, name, config, admin.Change{}))
	}
	if err := s.store.SetConfigUnchecked(ctx, kind, name, config); err != nil {
		return err
	}
	return s.store.NotifyConfigChange(ctx, kind, name)
}

func (s *reassignStore) verifyPlan(ctx context.Context, text string) error {
	p, err := parsePlan(text)
	if err != nil {
		return err
	}
	running, err := s.store.PartitionReassignments(ctx)
	if err != nil {
		return err
	}
	current, err := s.assignment(ctx, p.topics())
	if err != nil {
		return err
	}
	states := map[topicPartition]state{}
	for _, t := range p.targets {
		_, runs := running[zkstore.TopicPartition{Topic: t.topic, Partition: t.partition}]
		states[t.topicPartition] = state{current[t.topicPartition], t.replicas, !runs}
	}
	s.env.println(statesText(states, "complete"))
	if len(running) > 0 || s.keepThrottle.given() {
		return nil
	}
	return s.clearThrottles(ctx, p)
}

func (s *reassignStore) clearThrottles(ctx context.Context, p plan) error {
	ids, err := s.store.BrokerIDs(ctx)
	if err != nil {
		return err
	}
	topics := []string{}
	for _, t := range p.targets {
		ids, topics = append(ids, t.replicas...), append(topics, t.topic)
	}
	ids, topics = distinct(ids), distinct(topics)
	remove := func(keys ...string) func(config map[string]string) bool {
		return func(config map[string]string) bool {
			had := len(config)
			for _, key := range keys {
				delete(config, key)
			}
			return len(config) < had
		}
	}
	s.env.printf("Clearing broker-level throttles on broker%s %s\n", plural(len(ids)), joined(ids))
	for _, id := range ids {
		if err := s.change(ctx, zkstore.EntityBrokers, strconv.Itoa(int(id)), remove(leaderRate, followerRate, dirRate)); err != nil {
			return err
		}
	}
	s.env.printf("Clearing topic-level throttles on topic%s %s\n", plural(len(topics)), strings.Join(topics, ","))
	for _, topic := range topics {
		if err := s.change(ctx, zkstore.EntityTopics, topic, remove(leaderThrottled, followerThrottled)); err != nil {
			return err
		}
	}
	return nil
}
