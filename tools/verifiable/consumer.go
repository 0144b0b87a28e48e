package verifiable

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// ConsumerTool is kafka-verifiable-consumer.
var ConsumerTool = cli.Tool{
	Name:    "kafka-verifiable-consumer",
	Summary: "Reads a topic in a consumer group and prints the events of the group member.",
	Run:     runVerifiableConsumer,
}

// verifiableConsumer is one run of the tool.
type verifiableConsumer struct {
	events
	group    *client.GroupConfig
	clientID string
	most     int64 // negative: no limit
	verbose  bool
	count    int64
	log      *logrus.Entry

	mu     sync.Mutex // guards failed
	failed error      // error from a client callback that ends the run
	stop   context.CancelFunc
}

func runVerifiableConsumer(env *cli.Env, args []string) int {
	a := cli.NewArguments(env, "verifiable-consumer", "This tool reads a topic in a group and prints what happens (rebalances, records, commits) as JSON to stdout.")
	topic := a.Add(cli.Argument{Name: "--topic", Metavar: "TOPIC", Required: true, Doc: "The topic to read."})
	protocol := a.Add(cli.Argument{Name: "--group-protocol", Metavar: "GROUP_PROTOCOL", Doc: "The group protocol: 'classic', or 'consumer', which requires KRaft. (default: classic)"})
	a.Add(cli.Argument{Name: "--group-remote-assignor", Metavar: "GROUP_REMOTE_ASSIGNOR", Doc: "Only for the group protocol 'consumer'."})
	group := a.Add(cli.Argument{Name: "--group-id", Metavar: "GROUP_ID", Required: true, Doc: "The consumer group to join."})
	instance := a.Add(cli.Argument{Name: "--group-instance-id", Metavar: "GROUP_INSTANCE_ID", Doc: "Join as a static member with this id."})
	most := a.Add(cli.Argument{Name: "--max-messages", Metavar: "MAX-MESSAGES", Kind: "Integer", Doc: "The number of records to read; -1 to read until the tool is stopped. (default: -1)"})
	session := a.Add(cli.Argument{Name: "--session-timeout", Metavar: "TIMEOUT_MS", Kind: "Integer", Doc: "The member's session timeout in ms. (default: 30000)"})
	verbose := a.Add(cli.Argument{Name: "--verbose", Doc: "Print every record."})
	auto := a.Add(cli.Argument{Name: "--enable-autocommit", Doc: "Commit periodically instead of after each fetch."})
	reset := a.Add(cli.Argument{Name: "--reset-policy", Metavar: "RESETPOLICY", Doc: "Where to start if there is no committed offset: earliest, latest or none. (default: earliest)"})
	strategy := a.Add(cli.Argument{Name: "--assignment-strategy", Metavar: "ASSIGNMENTSTRATEGY", Doc: "The Java class of the assignor. (default: org.apache.kafka.clients.consumer.RangeAssignor)"})
	config := a.Add(cli.Argument{Name: "--consumer.config", Metavar: "CONFIG_FILE", Doc: "A properties file for the consumer. Command-line options take precedence."})
	bootstrap := a.Add(cli.Argument{Name: "--bootstrap-server", Metavar: "HOST1:PORT1[,HOST2:PORT2[...]]", Doc: "REQUIRED: The brokers to connect to first."})
	brokers := a.Add(cli.Argument{Name: "--broker-list", Metavar: "HOST1:PORT1[,HOST2:PORT2[...]]", Doc: "DEPRECATED: use --bootstrap-server."})
	a.OneOf = []*cli.Argument{bootstrap, brokers}
	return a.Run(args, func() error {
		props := map[string]string{}
		if err := addProperties(props, config.Or("")); err != nil {
			return err
		}
		if strings.EqualFold(protocol.Or("classic"), "consumer") {
			return cli.NewJavaError("org.apache.kafka.common.errors.UnsupportedVersionException",
				"The cluster does not support the new consumer group protocol. Set group.protocol=classic on the consumer configs to revert to the classic protocol until the cluster is upgraded.")
		}
		props["partition.assignment.strategy"] = strategy.Or("org.apache.kafka.clients.consumer.RangeAssignor")
		props["group.id"], props["auto.offset.reset"] = group.Or(""), reset.Or("earliest")
		props["session.timeout.ms"] = session.Or("30000")
		props["enable.auto.commit"] = fmt.Sprint(auto.Given())
		if instance.Given() {
			props["group.instance.id"] = instance.Or("")
		}
		if props["client.id"] == "" {
			props["client.id"] = "consumer-" + group.Or("") + "-1"
		}
		c := &verifiableConsumer{events: events{env: env}, most: most.Number(-1), verbose: verbose.Given(), log: env.Logger("org.apache.kafka.tools.VerifiableConsumer")}
		return c.run(bootstrap.Or(brokers.Or("")), topic.Or(""), props)
	})
}

func (c *verifiableConsumer) run(bootstrap, topic string, props map[string]string) error {
	servers, err := client.ParseBootstrap(bootstrap)
	if err != nil {
		return cli.WithCause(cli.NewJavaError("org.apache.kafka.common.KafkaException", "Failed to construct kafka consumer"), client.ConfigError(err.Error()))
	}
	config, err := client.ConsumerConfig(props)
	if err != nil {
		return err
	}
	if c.group, err = client.GroupOf(props); err != nil {
		return err
	}
	ctx, stop := c.env.UntilUnread()
	defer stop()
	c.stop, c.clientID = stop, config.ClientID
	options := append(append(config.Options, c.group.Options...), kgo.SeedBrokers(servers...), client.Observed(c.env), kgo.ConsumeTopics(topic),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, p map[string][]int32) {
			c.print("partitions_assigned", eventField{"partitions", partitionList(p)})
		}),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { c.lost(p) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { c.lost(p) }))
	reset, err := client.ResetOffset(props["auto.offset.reset"])
	if err != nil {
		return err
	}
	options = append(options, kgo.ConsumeResetOffset(reset))
	if reset == kgo.NoResetOffset() {
		options = append(options, client.RefuseUnset(func(err error) {
			c.mu.Lock()
			c.failed = err
			c.mu.Unlock()
			c.stop()
		}))
	}
	consumer, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	c.print("startup_complete")
	err = c.consume(ctx, consumer)
	c.mu.Lock()
	if c.failed != nil {
		err = c.failed
	}
	c.mu.Unlock()
	if err != nil {
		c.log.WithError(cli.AsException(err)).Error("Error during processing, terminating consumer process: ")
	}
	if c.group.AutoCommit {
		_ = consumer.CommitMarkedOffsets(context.Background())
	}
	consumer.CloseAllowingRebalance()
	c.print("shutdown_complete")
	return nil
}

func (c *verifiableConsumer) lost(p map[string][]int32) {
	if list := partitionList(p); len(list) > 0 {
		c.print("partitions_revoked", eventField{"partitions", list})
	}
}

func partitionList(p map[string][]int32) []topicAndPartition {
	all := map[client.TopicPartition]bool{}
	for topic, partitions := range p {
		for _, n := range partitions {
			all[client.TopicPartition{Topic: topic, Partition: n}] = true
		}
	}
	list := make([]topicAndPartition, 0, len(all))
	for _, tp := range client.SortedPartitions(all) {
		list = append(list, topicAndPartition{tp.Topic, tp.Partition})
	}
	return list
}

func (c *verifiableConsumer) warnGone(topic string, partition int32) {
	client.WarnGone(c.env, c.reporter().Name, topic, partition)
}

func (c *verifiableConsumer) reporter() client.Reporter {
	return client.Reporter{Env: c.env, Name: "Consumer clientId=" + c.clientID + ", groupId=" + c.group.ID, Group: c.group.ID}
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

func (c *verifiableConsumer) consume(ctx context.Context, consumer *kgo.Client) error {
	for c.most < 0 || c.count < c.most {
		fetches := consumer.PollRecords(ctx, client.PollRecords)
		if ctx.Err() != nil {
			return nil
		}
		for _, gone := range client.GoneTopics(fetches, c.warnGone) {
			consumer.PurgeTopicsFromConsuming(gone)
			consumer.AddConsumeTopics(gone)
		}
		for _, e := range fetches.Errors() {
			if !client.GroupContinues(e.Err) {
				return c.reporter().Fetch(consumer, e)
			}
		}
		if fetches.NumRecords() == 0 {
			continue
		}
		offsets := c.take(consumer, fetches)
		if c.group.AutoCommit {
			continue
		}
		if err := c.commit(ctx, consumer, offsets); err != nil {
			return err
		}
	}
	return nil
}

// take prints the fetched records up to the limit and returns the last record of each partition.
func (c *verifiableConsumer) take(consumer *kgo.Client, fetches kgo.Fetches) map[client.TopicPartition]*kgo.Record {
	last := map[client.TopicPartition]*kgo.Record{}
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
		tp, end := client.TopicPartition{Topic: p.Topic, Partition: p.Partition}, records[len(records)-1]
		last[tp] = end
		ranges = append(ranges, consumedRange{topicAndPartition{p.Topic, p.Partition}, int64(len(records)), records[0].Offset, end.Offset})
		if c.group.AutoCommit {
			consumer.MarkCommitRecords(end)
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
	return javatext.Decode(b)
}

// commit commits the offsets after the given records and prints the commit. It retries if the group
// is about to rebalance.
func (c *verifiableConsumer) commit(ctx context.Context, consumer *kgo.Client, last map[client.TopicPartition]*kgo.Record) error {
	list, records := []committedOffset{}, []*kgo.Record{}
	for _, tp := range client.SortedPartitions(last) {
		list = append(list, committedOffset{topicAndPartition{tp.Topic, tp.Partition}, last[tp].Offset + 1})
		records = append(records, last[tp])
	}
	fields := []eventField{{"offsets", list}}
	err := consumer.CommitRecords(context.WithoutCancel(ctx), records...)
	if err != nil {
		fields = append(fields, eventField{"error", client.FromKgo(err).Error()})
	}
	c.print("offsets_committed", append(fields, eventField{"success", err == nil})...)
	return nil
}
