package doctor

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/findings"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/tools/client"
)

// examineCluster asks for the configurations of topics, groups, reassignments and transactions.
func (e *examination) examineCluster(ctx context.Context) {
	if e.cluster.link == nil {
		return
	}
	e.readMinISR(ctx)
	e.countReassignments(ctx)
	e.watchActivity(ctx)
}

// readMinISR reads min.insync.replicas of all topics.
func (e *examination) readMinISR(ctx context.Context) {
	e.cluster.minISR = map[string]int{}
	req := kmsg.NewPtrDescribeConfigsRequest()
	for _, t := range e.cluster.topics {
		resource := kmsg.NewDescribeConfigsRequestResource()
		resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeTopic, *t.Topic
		resource.ConfigNames = []string{"min.insync.replicas"}
		req.Resources = append(req.Resources, resource)
	}
	if req.Resources == nil {
		return
	}
	resp, err := ask[*kmsg.DescribeConfigsResponse](ctx, e.cluster.link, req, 4)
	if err != nil {
		return
	}
	for _, r := range resp.Resources {
		for _, c := range r.Configs {
			if c.Name == "min.insync.replicas" && c.Value != nil {
				if n, err := strconv.Atoi(*c.Value); err == nil {
					e.cluster.minISR[r.ResourceName] = n
				}
			}
		}
	}
}

// countReassignments counts the partitions that are being reassigned. Only the controller knows
// them.
func (e *examination) countReassignments(ctx context.Context) {
	e.cluster.moving = -1
	for _, b := range e.brokers {
		if b.id != e.cluster.controller || !b.reach.isBroker() {
			continue
		}
		req := kmsg.NewPtrListPartitionReassignmentsRequest()
		req.TimeoutMillis, req.Topics = int32(e.timeout.Milliseconds()), nil
		resp, err := ask[*kmsg.ListPartitionReassignmentsResponse](ctx, b.reach.link, req, 0)
		if err != nil || resp.ErrorCode != 0 {
			return
		}
		e.cluster.moving = 0
		for _, t := range resp.Topics {
			e.cluster.moving += len(t.Partitions)
		}
	}
}

// partitionGroup collects partitions with the same fault, for one finding about all of them.
type partitionGroup struct {
	names   []string
	brokers map[int32]bool // that are missing
}

func (g *partitionGroup) add(topic string, partition int32, missing ...int32) {
	g.names = append(g.names, client.TopicPartition{Topic: topic, Partition: partition}.String())
	if g.brokers == nil {
		g.brokers = map[int32]bool{}
	}
	for _, id := range missing {
		g.brokers[id] = true
	}
}

// some returns up to five names, and how many more there are.
func (g *partitionGroup) some() string {
	const most = 5
	if len(g.names) <= most {
		return strings.Join(g.names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(g.names[:most], ", "), len(g.names)-most)
}

// missing returns the ids of the missing brokers, sorted.
func (g *partitionGroup) missing() string {
	var ids []int32
	for id := range g.brokers {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.Itoa(int(id))
	}
	return strings.Join(texts, ", ")
}

// diagnosePartitions finds partitions without a leader, with too few in-sync replicas, and leaders
// that are not preferred.
func (e *examination) diagnosePartitions() {
	var offline, below, under partitionGroup
	for _, t := range e.cluster.topics {
		least := e.cluster.minISR[*t.Topic]
		for _, p := range t.Partitions {
			missing := without(p.Replicas, p.ISR)
			switch {
			case p.Leader < 0:
				offline.add(*t.Topic, p.Partition, e.absent(p.Replicas)...)
			case len(p.ISR) < least:
				below.add(*t.Topic, p.Partition, missing...)
			case len(missing) > 0:
				under.add(*t.Topic, p.Partition, missing...)
			}
		}
	}
	if offline.names != nil {
		c := conclusion{"offline-partitions", "cluster", fmt.Sprintf("%d partition(s) without a leader, which cannot be read or written: %s", len(offline.names), offline.some()),
			"All in-sync replicas are down or on failed log directories.", "Start the brokers that have replicas."}
		if ids := offline.missing(); ids != "" {
			c.cause += " Not running: " + ids + "."
			c.remedy = "Start broker(s) " + ids + "."
		}
		c.remedy += " If their data is lost, elect a replica that is behind, which loses records: bin/kafka-leader-election.sh " + e.bootstrapOption() + " --election-type unclean --topic T --partition N"
		e.error(c)
	}
	if below.names != nil {
		e.error(conclusion{"under-min-isr", "cluster", fmt.Sprintf("%d partition(s) with fewer in-sync replicas than min.insync.replicas, which refuse records with acks=all: %s", len(below.names), below.some()),
			"Replicas on these brokers are down or too slow: " + below.missing() + ".", "Start these brokers, or find out why they lag in their server.log."})
	}
	if under.names != nil {
		e.warn(conclusion{"under-replicated", "cluster", fmt.Sprintf("%d partition(s) with replicas that are not in sync: %s", len(under.names), under.some()),
			"Replicas on these brokers are down or too slow: " + under.missing() + ".", "Start these brokers, or find out why they lag: load, disk or network; replica.lag.time.max.ms limits how long a replica may be behind."})
	}
	e.diagnoseLeaders()
}

// absent returns the ids among replicas that the metadata does not list as brokers.
func (e *examination) absent(replicas []int32) []int32 {
	return slices.DeleteFunc(slices.Clone(replicas), func(id int32) bool {
		return slices.ContainsFunc(e.brokers, func(b *brokerFacts) bool { return b.id == metadata.BrokerID(id) })
	})
}

func without(all, some []int32) []int32 {
	return slices.DeleteFunc(slices.Clone(all), func(id int32) bool { return slices.Contains(some, id) })
}

// diagnoseLeaders finds brokers whose preferred partitions are led by others, as the controller
// does for leader.imbalance.per.broker.percentage.
func (e *examination) diagnoseLeaders() {
	preferred, elsewhere := map[int32]int{}, map[int32]int{}
	for _, t := range e.cluster.topics {
		for _, p := range t.Partitions {
			if len(p.Replicas) == 0 || p.Leader < 0 || !slices.Contains(p.ISR, p.Replicas[0]) {
				continue
			}
			if preferred[p.Replicas[0]]++; p.Leader != p.Replicas[0] {
				elsewhere[p.Replicas[0]]++
			}
		}
	}
	for _, b := range e.brokers {
		id := int32(b.id)
		if elsewhere[id]*10 <= preferred[id] { // 10 %, the default of leader.imbalance.per.broker.percentage
			continue
		}
		c := conclusion{"leader-imbalance", b.subject(), fmt.Sprintf("it leads %d of the %d partitions of which it is the preferred leader", preferred[id]-elsewhere[id], preferred[id]),
			"It was restarted recently, or auto.leader.rebalance.enable is false.",
			"Wait for leader.imbalance.check.interval.seconds (300), or run: bin/kafka-leader-election.sh " + e.bootstrapOption() + " --election-type preferred --all-topic-partitions"}
		if e.config("auto.leader.rebalance.enable") == "false" {
			c.cause = "auto.leader.rebalance.enable is false."
			e.warn(c)
		} else {
			e.remark(c)
		}
	}
}

// internalTopics are the topics whose data a single broker must not be able to lose, with the key
// of their replication factor and what waits if they cannot be created.
var internalTopics = []struct{ name, key, waits string }{
	{metadata.GroupOffsetsTopic, "offsets.topic.replication.factor", "consumers with a group wait without an end"},
	{metadata.TransactionStateTopic, "transaction.state.log.replication.factor", "transactional producers wait without an end"},
}

func (e *examination) diagnoseInternalTopics() {
	for _, topic := range internalTopics {
		i := slices.IndexFunc(e.cluster.topics, func(t kmsg.MetadataResponseTopic) bool { return *t.Topic == topic.name })
		if i < 0 {
			e.diagnoseMissing(topic.name, topic.key, topic.waits)
			continue
		}
		least := 0
		for _, p := range e.cluster.topics[i].Partitions {
			if least == 0 || len(p.Replicas) < least {
				least = len(p.Replicas)
			}
		}
		if want := min(3, len(e.brokers)); least > 0 && least < want {
			e.warn(conclusion{"internal-replication", "topic " + topic.name, fmt.Sprintf("it has partitions with %d replica(s) in a cluster of %d brokers", least, len(e.brokers)),
				"It was created when the cluster was smaller, or with " + topic.key + "=" + strconv.Itoa(least) + ".",
				fmt.Sprintf("Give it %d replicas: bin/kafka-reassign-partitions.sh %s --reassignment-json-file FILE --execute, with %d brokers in the replicas of each partition.", want, e.bootstrapOption(), want)})
		}
	}
}

// diagnoseMissing finds internal topics that cannot be created when they are needed.
func (e *examination) diagnoseMissing(topic, key, waits string) {
	for _, b := range e.brokers {
		if n, known := b.number(key); known && n > len(e.brokers) {
			severity := findings.Error
			if topic == metadata.TransactionStateTopic { // most applications need no transactions
				severity = findings.Warning
			}
			e.conclude(severity, conclusion{"internal-topic", "topic " + topic, fmt.Sprintf("it does not exist and cannot be created: %s=%d, but the cluster has %d broker(s); %s", key, n, len(e.brokers), waits),
				"The default is made for clusters of three brokers.", fmt.Sprintf("Set %s=%d in server.properties and restart the brokers, or start more brokers.", key, len(e.brokers))})
			return
		}
	}
}

func (e *examination) diagnoseReassignments() {
	if e.cluster.moving > 0 {
		e.remark(conclusion{"reassignments", "cluster", fmt.Sprintf("%d partition(s) are being reassigned", e.cluster.moving),
			"A reassignment is running. It ends when the new replicas are in sync, which a throttle that is too low prevents.",
			"Look at its progress: bin/kafka-reassign-partitions.sh " + e.bootstrapOption() + " --list"})
	}
	if e.cluster.moving != 0 {
		return
	}
	for _, b := range e.brokers {
		for _, key := range []string{"leader.replication.throttled.rate", "follower.replication.throttled.rate"} {
			if rate := b.configs[key]; rate != "" && rate != "9223372036854775807" {
				e.warn(conclusion{"throttle-left", b.subject(), fmt.Sprintf("%s=%s is set, but no partition is being reassigned", key, rate),
					"The throttle of a reassignment is removed only by --verify. It slows replication down as long as it is set.",
					fmt.Sprintf("bin/kafka-configs.sh %s --entity-type brokers --entity-name %d --alter --delete-config %s", e.bootstrapOption(), b.id, key)})
				break
			}
		}
	}
}
