// Package partitions implements the tools that read or change single partitions: kafka-get-offsets,
// kafka-delete-records, kafka-log-dirs and kafka-replica-verification.
package partitions

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// GetOffsetsTool is kafka-get-offsets.
var GetOffsetsTool = cli.Tool{
	Name:    "kafka-get-offsets",
	Summary: "Prints the offsets of partitions.",
	Run:     runGetOffsets,
}

type offsetsOptions struct {
	*cli.Options
	brokerList, bootstrap, topicPartitions, topic, partitions, time, config, excludeInternal *cli.Option
}

func newOffsetsOptions(env *cli.Env) *offsetsOptions {
	o := &offsetsOptions{Options: cli.NewOptions(env, "kafka-get-offsets", "An interactive shell for getting topic-partition offsets.")}
	o.brokerList = o.Value("broker-list", "String: HOST1:PORT1,...,HOST3:PORT3", "DEPRECATED: use --bootstrap-server. Ignored if --bootstrap-server is given.")
	o.bootstrap = o.Value("bootstrap-server", "String: HOST1:PORT1,...,HOST3:PORT3", "REQUIRED: The brokers to connect to first.")
	o.topicPartitions = o.Value("topic-partitions", "String: topic1:1,topic2:0-3,topic3,topic4:5-,topic5:-3", "Patterns for topics and their partitions, separated by commas. A pattern is a regular expression for the topic (all topics if empty), optionally followed by ':' and a partition NUMBER or a range NUMBER-NUMBER (upper end excluded), NUMBER- or -NUMBER.")
	o.topic = o.Value("topic", "String: topic", "The topic, or a regular expression. (default: all topics) Not allowed with --topic-partitions.")
	o.partitions = o.Value("partitions", "String: partition ids", "The partitions, separated by commas. (default: all partitions) Not allowed with --topic-partitions.")
	o.time = o.Value("time", "String: <timestamp> / -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local / -5 or latest-tiered", "The offset to print: that of the first record at or after a time in ms since 1970, or one of the special values. (default: latest)")
	o.config = o.Value("command-config", "String: config file", "A properties file for the admin client.")
	o.excludeInternal = o.Toggle("exclude-internal-topics", "Exclude internal topics.")
	o.Output()
	return o
}

func runGetOffsets(env *cli.Env, args []string) int {
	o := newOffsetsOptions(env)
	if len(args) == 0 {
		env.Complainf("%s", o.Summary)
		o.PrintUsage(env.Stderr)
		return 1
	}
	if err := o.Parse(args); err != nil {
		var bad cli.BadOption
		if !errors.As(err, &bad) {
			return o.Fail(err)
		}
		env.Complainf("Error occurred: %s", bad)
		return 1
	}
	if !o.bootstrap.Given() && !o.brokerList.Given() {
		env.Complainf("Error occurred: Missing required option(s) [bootstrap-server]")
		return 1
	}
	servers, err := client.ParseBootstrap(o.bootstrap.Or(o.brokerList.Or("")))
	if err != nil {
		return o.Fail(cli.UsageError{Text: "Please provide valid host:port like host1:9091,host2:9092\n"})
	}
	if err := o.print(servers); err != nil {
		env.Complainf("Error occurred: %s", err)
		if errors.As(err, new(cli.JavaError)) {
			env.Complainf("%s\n", cli.Stack(err))
		}
		return 1
	}
	return 0
}

var specialTimes = map[string]int64{"latest": -1, "earliest": -2, "max-timestamp": -3, "earliest-local": -4, "latest-tiered": -5}

func (o *offsetsOptions) print(servers []string) error {
	text := o.time.Or("latest")
	when, special := specialTimes[text]
	if !special {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("Malformed time argument %s. Please use -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local / -5 or latest-tiered, or a specified long format timestamp", text)
		}
		when = n
	}
	selected, err := o.filter()
	if err != nil {
		return err
	}
	if _, err := client.LoadProperties(o.config.Or("")); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cluster, err := client.Connect(ctx, o.Env, "AdminClient clientId=GetOffsetShell", servers, "listTopics")
	if err != nil {
		return err
	}
	defer cluster.Close()
	meta, err := cluster.Metadata(ctx, nil)
	if err != nil {
		return err
	}
	byLeader, found := map[metadata.BrokerID][]client.TopicPartition{}, 0
	for _, t := range meta.Topics {
		if t.Topic == nil || o.excludeInternal.Given() && metadata.IsInternal(*t.Topic) {
			continue
		}
		for _, p := range t.Partitions {
			if !selected(*t.Topic, p.Partition) {
				continue
			}
			found++
			if p.Leader < 0 {
				o.Env.Complainf("Skip getting offsets for topic-partition %s-%d due to error: %s", *t.Topic, p.Partition, protocol.LeaderNotAvailable.Message())
				continue
			}
			leader := metadata.BrokerID(p.Leader)
			byLeader[leader] = append(byLeader[leader], client.TopicPartition{Topic: *t.Topic, Partition: p.Partition})
		}
	}
	if found == 0 {
		return fmt.Errorf("Could not match any topic-partitions with the specified filters")
	}
	lines, err := o.ask(ctx, cluster, byLeader, when)
	if err != nil {
		return err
	}
	sort.Slice(lines, func(i, j int) bool {
		if lines[i].Topic != lines[j].Topic {
			return lines[i].Topic < lines[j].Topic
		}
		return lines[i].Partition < lines[j].Partition
	})
	if o.WantsDocument() {
		o.PrintDocument(offsetsDocument{lines})
		return nil
	}
	for _, l := range lines {
		o.Env.Printf("%s:%d:%d\n", l.Topic, l.Partition, l.Offset)
	}
	return nil
}

// The document of --output json. docs/json.md describes its fields.
type (
	offsetsDocument struct {
		Offsets []offsetLine `json:"offsets"`
	}
	offsetLine struct {
		Topic     string `json:"topic"`
		Partition int32  `json:"partition"`
		Offset    int64  `json:"offset"`
	}
)

// ask sends ListOffsets to every leader. A partition without a matching offset gets no line.
func (o *offsetsOptions) ask(ctx context.Context, cluster *peerlink.Cluster, byLeader map[metadata.BrokerID][]client.TopicPartition, when int64) ([]offsetLine, error) {
	lines := []offsetLine{}
	for leader, partitions := range byLeader {
		link, err := cluster.Broker(ctx, leader)
		if err != nil {
			return nil, err
		}
		resp, err := link.Negotiated(ctx, client.ListOffsetsRequest(partitions, when), 9)
		if err != nil {
			return nil, err
		}
		for _, t := range resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode != 0 {
					o.Env.Complainf("Skip getting offsets for topic-partition %s-%d due to error: %s", t.Topic, p.Partition, protocol.ErrorCode(p.ErrorCode).Message())
				} else if p.Offset >= 0 {
					lines = append(lines, offsetLine{t.Topic, p.Partition, p.Offset})
				}
			}
		}
	}
	return lines, nil
}

// filter returns a function that reports whether the options select a partition.
func (o *offsetsOptions) filter() (func(topic string, partition int32) bool, error) {
	if o.topicPartitions.Given() {
		if o.topic.Given() || o.partitions.Given() {
			return nil, fmt.Errorf("--topic-partitions cannot be used with --topic or --partitions")
		}
		return topicPartitionPatterns(o.topicPartitions.Or(""))
	}
	var include *regexp.Regexp
	if o.topic.Given() {
		var err error
		if include, err = client.IncludeList(o.topic.Or("")); err != nil {
			return nil, err
		}
	}
	wanted := map[int32]bool{}
	if o.partitions.Or("") != "" {
		for _, text := range strings.Split(o.partitions.Or(""), ",") {
			n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
			if err != nil {
				return nil, fmt.Errorf("--partitions expects a comma separated list of numeric partition ids, but received: %s", o.partitions.Or(""))
			}
			wanted[int32(n)] = true
		}
	}
	return func(topic string, partition int32) bool {
		return (include == nil || include.MatchString(topic)) && (len(wanted) == 0 || wanted[partition])
	}, nil
}

var patternForm = regexp.MustCompile(`^([^:,]*)(?::(?:([0-9]*)|(?:([0-9]*)-([0-9]*))))?$`)

// topicPartitionPatterns reads topic1:1,topic2:0-3,topic3,...
func topicPartitionPatterns(text string) (func(string, int32) bool, error) {
	var rules []func(string, int32) bool
	for _, pattern := range strings.Split(text, ",") {
		m := patternForm.FindStringSubmatch(pattern)
		if m == nil {
			return nil, invalidRule(pattern)
		}
		name := m[1]
		if name == "" {
			name = ".*"
		}
		topic, err := regexp.Compile("^(?:" + name + ")$")
		if err != nil {
			return nil, invalidRule(pattern)
		}
		from, to := int64(0), int64(1)<<31
		if m[2] != "" {
			from, _ = strconv.ParseInt(m[2], 10, 64)
			to = from + 1
		}
		if m[3] != "" {
			from, _ = strconv.ParseInt(m[3], 10, 64)
		}
		if m[4] != "" {
			to, _ = strconv.ParseInt(m[4], 10, 64)
		}
		rules = append(rules, func(t string, p int32) bool {
			return topic.MatchString(t) && int64(p) >= from && int64(p) < to
		})
	}
	return func(topic string, partition int32) bool {
		for _, rule := range rules {
			if rule(topic, partition) {
				return true
			}
		}
		return false
	}, nil
}

// invalidRule returns the error that Kafka's tool prints, including its wrapping.
func invalidRule(pattern string) error {
	text := "org.apache.kafka.tools.TerseException: Invalid rule specification: " + pattern
	return errors.New(text + "\njava.lang.RuntimeException: " + text + "\n")
}
