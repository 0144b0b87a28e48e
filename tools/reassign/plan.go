package reassign

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
	"github.com/monedula/monedula/tools/jsoninput"
)

// This file contains the part of kafka-reassign-partitions that does not need a cluster.

// anyDir lets the broker choose the log directory.
const anyDir = "any"

// replica is a partition on a broker.
type replica struct {
	client.TopicPartition
	broker metadata.BrokerID
}

func (r replica) String() string { return fmt.Sprintf("%s-%d", r.TopicPartition, r.broker) }

// sortedReplicas returns the keys of m, sorted by broker, topic and partition.
func sortedReplicas[V any](m map[replica]V) []replica {
	return slices.SortedFunc(maps.Keys(m), func(a, b replica) int {
		return cmp.Or(cmp.Compare(a.broker, b.broker), client.ComparePartitions(a.TopicPartition, b.TopicPartition))
	})
}

// target is the set of replicas that a partition is to have.
type target struct {
	client.TopicPartition
	replicas []metadata.BrokerID
}

// plan is a reassignment file: the partitions in file order, and the log directories that it
// requests.
type plan struct {
	targets []target
	dirs    map[replica]string
}

// parsePlan reads a reassignment file.
func parsePlan(text string) (plan, error) {
	p := plan{dirs: map[replica]string{}}
	node, err := jsoninput.Parse(text)
	if err != nil {
		return p, cli.WithCause(cli.AdminOperation("%s", err), err)
	}
	fields, err := jsoninput.Versioned(node)
	if err != nil {
		return p, err
	}
	list, found := fields["partitions"]
	if !found {
		return p, nil
	}
	entries, err := list.Array()
	if err != nil {
		return p, err
	}
	for _, entry := range entries {
		if err := p.add(entry); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (p *plan) add(entry jsoninput.Node) error {
	fields, err := entry.Object()
	if err != nil {
		return err
	}
	tp, err := jsoninput.PartitionFields(fields)
	if err != nil {
		return err
	}
	node, err := jsoninput.Field(fields, "replicas")
	if err != nil {
		return err
	}
	numbers, err := node.Integers()
	if err != nil {
		return err
	}
	replicas := metadata.BrokerIDs(numbers)
	p.targets = append(p.targets, target{tp, replicas})
	node, found := fields["log_dirs"]
	if !found {
		return nil
	}
	dirs, err := node.Texts()
	if err != nil {
		return err
	}
	if len(dirs) != len(replicas) {
		return cli.CommandFailed("Size of replicas list %s is different from size of log dirs list [%s] for partition %s",
			javatext.List(replicas), strings.Join(dirs, ", "), tp)
	}
	for i, dir := range dirs {
		if dir != anyDir {
			p.dirs[replica{tp, replicas[i]}] = dir
		}
	}
	return nil
}

// executable returns the targets, or an error if --execute cannot apply them.
func (p plan) executable() (map[client.TopicPartition][]metadata.BrokerID, error) {
	if len(p.targets) == 0 {
		return nil, cli.CommandFailed("Partition reassignment list cannot be empty")
	}
	targets := map[client.TopicPartition][]metadata.BrokerID{}
	var names []client.TopicPartition
	var mistakes []string
	for _, t := range p.targets {
		if len(t.replicas) == 0 {
			return nil, cli.CommandFailed("Partition replica list cannot be empty")
		}
		targets[t.TopicPartition] = t.replicas
		names = append(names, t.TopicPartition)
		if twice := client.Duplicates(t.replicas, javatext.IntHash); len(twice) > 0 {
			mistakes = append(mistakes, fmt.Sprintf("%s contains multiple entries for %s", t.TopicPartition, javatext.Join(twice, ",")))
		}
	}
	if twice := client.Duplicates(names, client.PartitionHash); len(twice) > 0 {
		return nil, cli.CommandFailed("Partition reassignment contains duplicate topic partitions: %s", javatext.Join(twice, ","))
	}
	if len(mistakes) > 0 {
		return nil, cli.CommandFailed("Partition replica lists may not contain duplicate entries: %s", strings.Join(mistakes, ". "))
	}
	return targets, nil
}

// topics returns the topics of the plan, in the order of a Java HashSet.
func (p plan) topics() []string {
	var topics []string
	for _, t := range p.targets {
		topics = append(topics, t.Topic)
	}
	return javatext.HashMapOrder(client.Distinct(topics), javatext.StringHash)
}

// parseTopicsToMove reads a JSON file of topics and a list of brokers. listed formats the
// duplicates in them.
func parseTopicsToMove(text, brokerList string, listed func(separated string) string) (brokers []metadata.BrokerID, topics []string, err error) {
	for _, id := range strings.Split(strings.TrimRight(brokerList, ","), ",") {
		n, err := strconv.ParseInt(id, 10, 32)
		if err != nil {
			return nil, nil, cli.NewJavaError("java.lang.NumberFormatException", fmt.Sprintf("For input string: %q", id))
		}
		brokers = append(brokers, metadata.BrokerID(n))
	}
	if twice := client.Duplicates(brokers, javatext.IntHash); len(twice) > 0 {
		return nil, nil, cli.CommandFailed("Broker list contains duplicate entries: %s", listed(javatext.Join(twice, ", ")))
	}
	node, err := jsoninput.Parse(text)
	if err != nil {
		return nil, nil, cli.AdminOperation("The input string is not a valid JSON")
	}
	fields, err := jsoninput.Versioned(node)
	if err != nil {
		return nil, nil, err
	}
	if list, found := fields["topics"]; found {
		entries, err := list.Array()
		if err != nil {
			return nil, nil, err
		}
		for _, entry := range entries {
			fields, err := entry.Object()
			if err != nil {
				return nil, nil, err
			}
			node, err := jsoninput.Field(fields, "topic")
			if err != nil {
				return nil, nil, err
			}
			topic, err := node.Text()
			if err != nil {
				return nil, nil, err
			}
			topics = append(topics, topic)
		}
	}
	if twice := client.Duplicates(topics, javatext.StringHash); len(twice) > 0 {
		return nil, nil, cli.CommandFailed("List of topics to reassign contains duplicate entries: %s", listed(strings.Join(twice, ", ")))
	}
	return brokers, topics, nil
}

// reassignmentJSON formats an assignment as a reassignment file.
func reassignmentJSON(assignment map[client.TopicPartition][]metadata.BrokerID) string {
	type entry struct {
		Topic     string              `json:"topic"`
		Partition int32               `json:"partition"`
		Replicas  []metadata.BrokerID `json:"replicas"`
		LogDirs   []string            `json:"log_dirs"`
	}
	file := struct {
		Version    int     `json:"version"`
		Partitions []entry `json:"partitions"`
	}{Version: 1, Partitions: []entry{}}
	for _, tp := range client.SortedPartitions(assignment) {
		e := entry{tp.Topic, tp.Partition, assignment[tp], []string{}}
		for range e.Replicas {
			e.LogDirs = append(e.LogDirs, anyDir)
		}
		file.Partitions = append(file.Partitions, e)
	}
	return cli.CompactJSON(file)
}

// move lists the brokers that the data of a partition moves between.
type move struct{ sources, destinations []metadata.BrokerID }

// moves returns the running moves and those that the targets add.
func moves(running map[client.TopicPartition]client.Reassignment, targets, current map[client.TopicPartition][]metadata.BrokerID) map[client.TopicPartition]move {
	all := map[client.TopicPartition]move{}
	for tp, r := range running {
		all[tp] = move{without(r.Replicas, r.Adding), r.Adding}
	}
	for tp, replicas := range targets {
		sources := current[tp]
		if m, found := all[tp]; found {
			sources = m.sources
		}
		all[tp] = move{sources, without(replicas, sources)}
	}
	return all
}

func without(ids, others []metadata.BrokerID) []metadata.BrokerID {
	return slices.DeleteFunc(slices.Clone(ids), func(id metadata.BrokerID) bool { return slices.Contains(others, id) })
}

// throttles returns, per topic, the throttle configurations that name its moving replicas: those
// that send and those that fetch.
func throttles(all map[client.TopicPartition]move) map[string][2]string {
	parts := map[string]*[2][]string{}
	for tp, m := range all {
		p := parts[tp.Topic]
		if p == nil {
			p = new([2][]string)
			parts[tp.Topic] = p
		}
		for i, ids := range [2][]metadata.BrokerID{m.sources, m.destinations} {
			for _, id := range ids {
				p[i] = append(p[i], fmt.Sprintf("%d:%d", tp.Partition, id))
			}
		}
	}
	lists := map[string][2]string{}
	for topic, p := range parts {
		var list [2]string
		for i := range p {
			slices.Sort(p[i])
			list[i] = strings.Join(slices.Compact(p[i]), ",")
		}
		lists[topic] = list
	}
	return lists
}

// moving returns the brokers that take part in the moves.
func moving(all map[client.TopicPartition]move) []metadata.BrokerID {
	var ids []metadata.BrokerID
	for _, m := range all {
		ids = append(append(ids, m.sources...), m.destinations...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
