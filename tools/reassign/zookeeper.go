package reassign

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/monedula/monedula/admin"
	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
	"github.com/monedula/monedula/tools/jsoninput"
	"github.com/monedula/monedula/zkstore"
)

// reassignStore implements kafka-reassign-partitions with --zookeeper, as in 2.8. It writes
// /admin/reassign_partitions, which the controller watches.
type reassignStore struct {
	*options
	store *zkstore.Store
	admin *admin.Admin
}

func (o *options) runOverZooKeeper() error {
	o.Env.Println("Warning: --zookeeper is deprecated, and will be removed in a future version of Kafka.")
	ctx := context.Background()
	store, log, err := client.OpenStore(ctx, o.Env, o.zookeeper.Or(""))
	if err != nil {
		return err
	}
	defer store.Close()
	s := &reassignStore{o, store, admin.New(admin.Options{Store: store, Unchecked: true, Logger: log})}
	file, run := o.reassignmentFile, s.verifyPlan
	switch {
	case o.generate.Given():
		file, run = o.topicsFile, s.propose
	case o.execute.Given():
		run = s.start
	default:
		o.Env.Println("Warning: because you are using the deprecated --zookeeper option, the results may be incomplete.  Use --bootstrap-server instead for more accurate results.")
	}
	text, err := jsoninput.ReadFile(file.Or(""))
	if err != nil {
		return err
	}
	return cli.AsIn28(run(ctx, text))
}

// assignment returns the replicas of every partition of those topics that exist.
func (s *reassignStore) assignment(ctx context.Context, topics []string) (map[client.TopicPartition][]metadata.BrokerID, error) {
	nodes, err := s.store.TopicNodes(ctx, topics)
	if err != nil {
		return nil, err
	}
	current := map[client.TopicPartition][]metadata.BrokerID{}
	for topic, node := range nodes {
		for partition, a := range node.Partitions {
			current[client.TopicPartition{Topic: topic, Partition: partition}] = a.Replicas
		}
	}
	return current, nil
}

func (s *reassignStore) propose(ctx context.Context, text string) error {
	ids, topics, err := parseTopicsToMove(text, s.brokerList.Or(""), func(s string) string { return strings.ReplaceAll(s, ", ", ",") })
	if err != nil {
		return err
	}
	current, err := s.assignment(ctx, topics)
	if err != nil {
		return err
	}
	brokers, err := s.admin.Brokers(ctx, s.noRackAware.Given())
	if err != nil {
		return cli.NewJavaError("kafka.admin.AdminOperationException", err.Error())
	}
	brokers = slices.DeleteFunc(brokers, func(b admin.Broker) bool { return !slices.Contains(ids, b.ID) })
	proposed, err := propose(current, brokers)
	if err != nil {
		return err
	}
	s.Env.Printf("Current partition replica assignment\n%s\n\nProposed partition reassignment configuration\n%s\n", reassignmentJSON(current), reassignmentJSON(proposed))
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
		return cli.CommandFailed("bootstrap-server needs to be provided when replica reassignments are present.")
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
		return cli.PlainFailure{Text: existingReassignment}
	}
	current := map[client.TopicPartition][]metadata.BrokerID{}
	for tp := range targets {
		current[tp] = all[tp]
	}
	s.Env.Println(rollbackText(current))
	if rate, err := s.Number(s.throttle, -1); err != nil {
		return err
	} else if rate >= 0 {
		s.Env.Println(verifyWarning)
		if err := s.throttleMoves(ctx, moves(nil, targets, current), rate); err != nil {
			return err
		}
		s.Env.Printf("The inter-broker throttle limit was set to %d B/s\n", rate)
	}
	wish := map[zkstore.TopicPartition][]metadata.BrokerID{}
	for tp, replicas := range targets {
		wish[tp] = replicas
	}
	if err := s.store.CreatePartitionReassignments(ctx, wish); err != nil {
		if errors.Is(err, zkstore.ErrNodeExists) {
			return cli.PlainFailure{Text: existingReassignment}
		}
		return err
	}
	s.Env.Printf("Successfully started partition reassignment%s for %s\n", plural(len(targets)), javatext.Join(client.SortedPartitions(targets), ","))
	return nil
}

// checkTargets returns an error if partitions or brokers do not exist.
func (s *reassignStore) checkTargets(ctx context.Context, p plan, all map[client.TopicPartition][]metadata.BrokerID) error {
	var missing []client.TopicPartition
	for _, t := range p.targets {
		if _, found := all[t.TopicPartition]; !found {
			missing = append(missing, t.TopicPartition)
		}
	}
	if len(missing) > 0 {
		return cli.CommandFailed("The proposed assignment contains non-existent partitions: %s", javatext.Collection("List", missing))
	}
	live, err := s.store.BrokerIDs(ctx)
	if err != nil {
		return err
	}
	var absent []metadata.BrokerID
	for _, t := range p.targets {
		absent = append(absent, without(t.replicas, live)...)
	}
	if len(absent) > 0 {
		return cli.CommandFailed("The proposed assignment contains non-existent brokerIDs: %s", javatext.Join(client.Distinct(absent), ","))
	}
	return nil
}

// throttleMoves sets the throttled replicas and the rates.
func (s *reassignStore) throttleMoves(ctx context.Context, all map[client.TopicPartition]move, rate int64) error {
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
		return client.JavaConfigError(s.admin.SetTopicConfig(ctx, name, config, admin.Change{}))
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
	states := map[client.TopicPartition]state{}
	for _, t := range p.targets {
		_, runs := running[zkstore.TopicPartition{Topic: t.Topic, Partition: t.Partition}]
		states[t.TopicPartition] = state{current[t.TopicPartition], t.replicas, !runs}
	}
	s.Env.Println(statesText(states, "complete"))
	if len(running) > 0 || s.keepThrottle.Given() {
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
		ids, topics = append(ids, t.replicas...), append(topics, t.Topic)
	}
	ids, topics = client.Distinct(ids), client.Distinct(topics)
	remove := func(keys ...string) func(config map[string]string) bool {
		return func(config map[string]string) bool {
			had := len(config)
			for _, key := range keys {
				delete(config, key)
			}
			return len(config) < had
		}
	}
	s.Env.Printf("Clearing broker-level throttles on broker%s %s\n", plural(len(ids)), javatext.Join(ids, ","))
	for _, id := range ids {
		if err := s.change(ctx, zkstore.EntityBrokers, strconv.Itoa(int(id)), remove(leaderRate, followerRate, dirRate)); err != nil {
			return err
		}
	}
	s.Env.Printf("Clearing topic-level throttles on topic%s %s\n", plural(len(topics)), strings.Join(topics, ","))
	for _, topic := range topics {
		if err := s.change(ctx, zkstore.EntityTopics, topic, remove(leaderThrottled, followerThrottled)); err != nil {
			return err
		}
	}
	return nil
}
