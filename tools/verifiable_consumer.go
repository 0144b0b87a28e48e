package tools

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kgo"
)

var verifiableConsumerTool = Tool{
	Name:    "kafka-verifiable-consumer",
	Summary: "Reads a topic in a consumer group and prints the events of the group member.",
	Run:     runVerifiableConsumer,
}

// verifiableConsumer is one run of the tool.
type verifiableConsumer struct {
	events
	group    *groupConfig
	clientID string
	most     int64 // negative: no limit
	verbose  bool
	count    int64
	log      *logrus.Entry

	mu     sync.Mutex // guards failed
	failed error      // error from a client callback that ends the run
	stop   context.CancelFunc
}

func runVerifiableConsumer(env *Env, args []string) int {
	a := newArguments(env, "verifiable-consumer", "This tool reads a topic in a group and prints what happens (rebalances, records, commits) as JSON to stdout.")
	topic := a.add(argument{name: "--topic", metavar: "TOPIC", required: true, doc: "The topic to read."})
	protocol := a.add(argument{name: "--group-protocol", metavar: "GROUP_PROTOCOL", doc: "The group protocol: 'classic', or 'consumer', which requires KRaft. (default: classic)"})
	a.add(argument{name: "--group-remote-assignor", metavar: "GROUP_REMOTE_ASSIGNOR", doc: "Only for the group protocol 'consumer'."})
	group := a.add(argument{name: "--group-id", metavar: "GROUP_ID", required: true, doc: "The consumer group to join."})
	instance := a.add(argument{name: "--group-instance-id", metavar: "GROUP_INSTANCE_ID", doc: "Join as a static member with this id."})
	most := a.add(argument{name: "--max-messages", metavar: "MAX-MESSAGES", kind: "Integer", doc: "The number of records to read; -1 to read until the tool is stopped. (default: -1)"})
	session := a.add(argument{name: "--session-timeout", metavar: "TIMEOUT_MS", kind: "Integer", doc: "The member's session timeout in ms. (default: 30000)"})
	verbose := a.add(argument{name: "--verbose", doc: "Print every record."})
	auto := a.add(argument{name: "--enable-autocommit", doc: "Commit periodically instead of after each fetch."})
	reset := a.add(argument{name: "--reset-policy", metavar: "RESETPOLICY", doc: "Where to start if there is no committed offset: earliest, latest or none. (default: earliest)"})
	strategy := a.add(argument{name: "--assignment-strategy", metavar: "ASSIGNMENTSTRATEGY", doc: "The Java class of the assignor. (default: org.apache.kafka.clients.consumer.RangeAssignor)"})
	config := a.add(argument{name: "--consumer.config", metavar: "CONFIG_FILE", doc: "A properties file for the consumer. Command-line options take precedence."})
	bootstrap := a.add(argument{name: "--bootstrap-server", metavar: "HOST1:PORT1[,HOST2:PORT2[...]]", doc: "REQUIRED: The brokers to connect to first."})
	brokers := a.add(argument{name: "--broker-list", metavar: "HOST1:PORT1[,HOST2:PORT2[...]]", doc: "DEPRECATED: use --bootstrap-server."})
	a.oneOf = []*argument{bootstrap, brokers}
	return a.run(args, func() error {
		props := map[string]string{}
		if err := addProperties(props, config.or("")); err != nil {
			return err
		}
		if strings.EqualFold(protocol.or("classic"), "consumer") {
			return javaError{"org.apache.kafka.common.errors.UnsupportedVersionException",
				"The cluster does not support the new consumer group protocol. Set group.protocol=classic on the consumer configs to revert to the classic protocol until the cluster is upgraded."}
		}
		props["partition.assignment.strategy"] = strategy.or("org.apache.kafka.clients.consumer.RangeAssignor")
		props["group.id"], props["auto.offset.reset"] = group.or(""), reset.or("earliest")
		props["session.timeout.ms"] = session.or("30000")
		props["enable.auto.commit"] = fmt.Sprint(auto.given())
		if instance.given() {
			props["group.instance.id"] = instance.or("")
		}
		if props["client.id"] == "" {
			props["client.id"] = "consumer-" + group.or("") + "-1"
		}
		c := &verifiableConsumer{events: events{env: env}, most: most.number(-1), verbose: verbose.given(), log: env.logger("org.apache.kafka.tools.VerifiableConsumer")}
		return c.run(bootstrap.or(brokers.or("")), topic.or(""), props)
	})
}

func (c *verifiableConsumer) run(bootstrap, topic string, props map[string]string) error {
	servers, err := parseBootstrap(bootstrap)
	if err != nil {
		return caused{javaError{"org.apache.kafka.common.KafkaException", "Failed to construct kafka consumer"}, configError(err.Error())}
	}
	config, err := consumerConfig(props)
	if err != nil {
		return err
	}
	if c.group, err = groupOf(props); err != nil {
		return err
	}
	ctx, stop := c.env.untilUnread()
	defer stop()
	c.stop, c.clientID = stop, config.clientID
	options := append(append(config.options, c.group.options...), kgo.SeedBrokers(servers...), kgo.ConsumeTopics(topic),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, p map[string][]int32) {
			c.print("partitions_assigned", eventField{"partitions", partitionList(p)})
		}),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { c.lost(p) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { c.lost(p) }))
	reset, err := resetOffset(props["auto.offset.reset"])
	if err != nil {
		return err
	}
	options = append(options, kgo.ConsumeResetOffset(reset))
	if reset == kgo.NoResetOffset() {
		options = append(options, refuseUnset(func(err error) {
			c.mu.Lock()
			c.failed = err
			c.mu.Unlock()
			c.stop()
		}))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	c.print("startup_complete")
	err = c.consume(ctx, client)
	c.mu.Lock()
	if c.failed != nil {
		err = c.failed
	}
	c.mu.Unlock()
	if err != nil {
		c.log.WithError(asException(err)).Error("Error during processing, terminating consumer process: ")
	}
	if c.group.autoCommit {
		_ = client.CommitMarkedOffsets(context.Background())
	}
	client.CloseAllowingRebalance()
	c.print("shutdown_complete")
	return nil
}

func (c *verifiableConsumer) lost(p map[string][]int32) {
	if list := partitionList(p); len(list) > 0 {
		c.print("partitions_revoked", eventField{"partitions", list})
	}
}

func partitionList(p map[string][]int32) []topicAndPartition {
	all := map[topicPartition]bool{}
	for topic, partitions := range p {
		for _, n := range partitions {
			all[topicPartition{topic, n}] = true
		}
	}
	list := make([]topicAndPartition, 0, len(all))
	for _, tp := range sortedPartitions(all) {
		list = append(list, topicAndPartition{tp.topic, tp.partition})
	}
	return list
}

func (c *verifiableConsumer) warnGone(topic string, partition int32) {
	warnGone(c.env, "Consumer clientId="+c.clientID+", groupId="+c.group.id, topic, partition)
}

// consumedRange is the range of records that a poll returned for one partition.
type consumedRange struct {
	topicAndPartition
	Count int64 `json:"count"`
	Min   int64 `json:"minOffset"`
	Max   int64 `json:"maxOffset"`
}

// committedOffset is a commit of one partition.
type committedOffset struct {
	topicAndPartition
	Offset int64 `json:"offset"`
}

func (c *verifiableConsumer) consume(ctx context.Context, client *kgo.Client) error {
	for c.most < 0 || c.count < c.most {
		fetches := client.PollRecords(ctx, pollRecords)
		if ctx.Err() != nil {
			return nil
		}
		for _, gone := range goneTopics(fetches, c.warnGone) {
			client.PurgeTopicsFromConsuming(gone)
			client.AddConsumeTopics(gone)
		}
		for _, e := range fetches.Errors() {
			if !groupContinues(e.Err) {
				return fromKgo(e.Err)
			}
		}
		if fetches.NumRecords() == 0 {
			continue
		}
		offsets := c.take(client, fetches)
		if c.group.autoCommit {
			continue
		}
		if err := c.commit(ctx, client, offsets); err != nil {
			return err
		}
	}
	return nil
}

// take prints the fetched records up to the limit and returns the last record of each partition.
func (c *verifiableConsumer) take(client *kgo.Client, fetches kgo.Fetches) map[topicPartition]*kgo.Record {
	last := map[topicPartition]*kgo.Record{}
	ranges := []consumedRange{}
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		records := p.Records
		if c.most >= 0 {
			records = records[:min(int64(len(records)), c.most-c.count)]
		}
		if len(records) == 0 {
			return
		}
		c.count += int64(len(records))
		tp, end := topicPartition{p.Topic, p.Partition}, records[len(records)-1]
		last[tp] = end
		ranges = append(ranges, consumedRange{topicAndPartition{p.Topic, p.Partition}, int64(len(records)), records[0].Offset, end.Offset})
		if c.group.autoCommit {
			client.MarkCommitRecords(end)
		}
		if !c.verbose {
			return
		}
		for _, r := range records {
			c.print("record_data", eventField{"key", textOrNull(r.Key)}, eventField{"value", textOrNull(r.Value)}, eventField{"topic", r.Topic}, eventField{"partition", r.Partition}, eventField{"offset", r.Offset})
		}
	})
	c.print("records_consumed", eventField{"count", fetches.NumRecords()}, eventField{"partitions", ranges})
	return last
}

func textOrNull(b []byte) any {
	if b == nil {
		return nil
	}
	return javaString(b)
}

// commit commits the offsets after the given records and prints the commit. It retries if the group
// is about to rebalance.
func (c *verifiableConsumer) commit(ctx context.Context, client *kgo.Client, last map[topicPartition]*kgo.Record) error {
	list, records := []committedOffset{}, []*kgo.Record{}
	for _, tp := range sortedPartitions(last) {
		list = append(list, committedOffset{topicAndPartition{tp.topic, tp.partition}, last[tp].Offset + 1})
		records = append(records, last[tp])
	}
	fields := []eventField{{"offsets", list}}
	err := client.CommitRecords(context.WithoutCancel(ctx), records...)
	if err != nil {
		fields = append(fields, eventField{"error", fromKgo(err).Error()})
	}
	c.print("offsets_committed", append(fields, eventField{"success", err == nil})...)
	return nil
}
