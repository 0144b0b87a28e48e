package topics

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// options is the command line of kafka-topics: that of 3.9, or with --zookeeper that of 2.8.
type options struct {
	*cli.Options
	bootstrap, zookeeper, commandConfig                      *cli.Option
	list, create, delete, alter, describe                    *cli.Option
	topic, topicID, config, deleteConfig                     *cli.Option
	partitions, replicationFactor, replicaAssignment         *cli.Option
	underReplicated, unavailable, underMinISR, atMinISR      *cli.Option
	overrides, ifExists, ifNotExists, excludeInternal, limit *cli.Option
	force, noRackAware                                       *cli.Option
}

const summary = "This tool helps to create, delete, describe, or change a topic."

func newOptions(env *cli.Env) *options {
	o := &options{Options: cli.NewOptions(env, "kafka-topics", summary)}
	o.bootstrap = o.Value("bootstrap-server", "String: server to connect to", "The brokers to connect to first, as host:port,host:port. Required unless --zookeeper is given.")
	o.zookeeper = o.Value("zookeeper", "String: hosts", "DEPRECATED. The ZooKeeper ensemble as host:port,host:port/chroot; the tool then reads and writes the znodes directly.")
	o.commandConfig = o.Value("command-config", "String: command config property file", "A properties file for the admin client.")
	o.list = o.Toggle("list", "List the names of topics.")
	o.create = o.Toggle("create", "Create a topic.")
	o.delete = o.Toggle("delete", "Delete topics.")
	o.alter = o.Toggle("alter", "Increase the number of partitions of topics.")
	o.describe = o.Toggle("describe", "Show the partitions of topics, with leaders and replicas.")
	o.topic = o.Value("topic", "String: topic", "The topic. All actions except --create also accept a comma-separated list or a regular expression.")
	o.topicID = o.Value("topic-id", "String: topic-id", "The id of the topic to describe.")
	o.config = o.Value("config", "String: name=value", "A configuration for the new topic, as name=value. May be repeated.")
	o.deleteConfig = o.Value("delete-config", "String: name", "A topic configuration to remove. Only with --alter and --zookeeper.")
	o.partitions = o.Value("partitions", "Integer: # of partitions", "The number of partitions of the topic. Increasing it changes the partition that a key belongs to.")
	o.replicationFactor = o.Value("replication-factor", "Integer: replication factor", "The number of replicas of each partition of the new topic.")
	o.replicaAssignment = o.Value("replica-assignment", "String: broker_id_for_part1_replica1 : broker_id_for_part1_replica2 , ...", "The brokers that hold each partition, as 0:1,1:2.")
	o.underReplicated = o.Toggle("under-replicated-partitions", "With --describe, show only partitions with replicas out of sync.")
	o.unavailable = o.Toggle("unavailable-partitions", "With --describe, show only partitions without a live leader.")
	o.underMinISR = o.Toggle("under-min-isr-partitions", "With --describe, show only partitions with fewer in-sync replicas than min.insync.replicas.")
	o.atMinISR = o.Toggle("at-min-isr-partitions", "With --describe, show only partitions with exactly min.insync.replicas in-sync replicas.")
	o.overrides = o.Toggle("topics-with-overrides", "With --describe, show only topics with configuration overrides.")
	o.ifExists = o.Toggle("if-exists", "Succeed without doing anything if the topic does not exist.")
	o.ifNotExists = o.Toggle("if-not-exists", "Succeed without doing anything if the topic already exists.")
	o.excludeInternal = o.Toggle("exclude-internal", "Exclude internal topics when listing or describing topics.")
	o.limit = o.Value("partition-size-limit-per-response", "Integer: maximum number of partitions in one response.", "Accepted, but has no effect: all partitions come in one response.")
	o.force = o.Toggle("force", "Accepted, but has no effect: there are no prompts to suppress.")
	o.noRackAware = o.Toggle("disable-rack-aware", "With --zookeeper, ignore racks when placing replicas.")
	o.Output(o.list, o.describe)
	return o
}

// check rejects invalid combinations of options.
func (o *options) check() error {
	actions := 0
	for _, action := range []*cli.Option{o.create, o.list, o.alter, o.describe, o.delete} {
		if action.Given() {
			actions++
		}
	}
	if actions != 1 {
		return cli.UsageError{Text: "Command must include exactly one action: --list, --describe, --create, --alter or --delete"}
	}
	switch {
	case o.bootstrap.Given() && o.zookeeper.Given():
		return errors.New("Only one of --bootstrap-server or --zookeeper must be specified")
	case !o.bootstrap.Given() && !o.zookeeper.Given():
		return errors.New("--bootstrap-server must be specified")
	}
	if o.describe.Given() && o.ifExists.Given() && !o.topic.Given() && !o.topicID.Given() {
		return cli.UsageError{Text: "--topic or --topic-id is required to describe a topic"}
	}
	if !o.list.Given() && !o.describe.Given() {
		if err := o.Require(o.topic); err != nil {
			return err
		}
	}
	if o.create.Given() && o.zookeeper.Given() && !o.replicaAssignment.Given() {
		if err := o.Require(o.partitions, o.replicationFactor); err != nil {
			return err
		}
	}
	if o.bootstrap.Given() && o.alter.Given() {
		if o.config.Given() {
			return cli.UsageError{Text: "Option combination \"[[bootstrap-server], [config]]\" can't be used with option \"[alter]\" (the kafka-configs CLI supports altering topic configs with a --bootstrap-server option)"}
		}
		if err := o.Require(o.partitions); err != nil {
			return err
		}
	}
	return o.checkExclusions()
}

// checkExclusions rejects options that the given action does not accept.
func (o *options) checkExclusions() error {
	actions := []*cli.Option{o.create, o.list, o.alter, o.describe, o.delete}
	only := func(opt *cli.Option, allowed ...*cli.Option) error {
		var others []*cli.Option
		for _, a := range actions {
			if !slices.Contains(allowed, a) {
				others = append(others, a)
			}
		}
		return o.Exclude(opt, others...)
	}
	for _, err := range []error{
		only(o.config, o.alter, o.create),
		only(o.deleteConfig, o.alter),
		only(o.partitions, o.alter, o.create),
		only(o.replicationFactor, o.create),
		only(o.replicaAssignment, o.alter, o.create),
		only(o.underReplicated, o.describe), only(o.underMinISR, o.describe),
		only(o.atMinISR, o.describe), only(o.unavailable, o.describe), only(o.overrides, o.describe),
		only(o.ifExists, o.alter, o.delete, o.describe),
		only(o.ifNotExists, o.create),
		only(o.excludeInternal, o.list, o.describe),
	} {
		if err != nil {
			return err
		}
	}
	if o.deleteConfig.Given() && o.bootstrap.Given() {
		return o.Exclude(o.deleteConfig, o.bootstrap)
	}
	if o.create.Given() {
		if err := o.Exclude(o.replicaAssignment, o.partitions, o.replicationFactor); err != nil {
			return err
		}
	}
	reports := []*cli.Option{o.underReplicated, o.underMinISR, o.atMinISR, o.unavailable}
	for i, report := range reports {
		others := append([]*cli.Option{o.overrides}, reports[:i]...)
		if err := o.Exclude(report, append(others, reports[i+1:]...)...); err != nil {
			return err
		}
	}
	return nil
}

// parseAssignment parses an assignment such as 0:1,1:2 into the replicas of each partition.
func parseAssignment(text string) ([][]metadata.BrokerID, error) {
	var all [][]metadata.BrokerID
	for i, list := range strings.Split(text, ",") {
		var replicas []metadata.BrokerID
		seen := map[metadata.BrokerID]bool{}
		for _, id := range strings.Split(list, ":") {
			n, err := strconv.ParseInt(strings.TrimSpace(id), 10, 32)
			if err != nil {
				return nil, cli.NewJavaError("java.lang.NumberFormatException", fmt.Sprintf("For input string: %q", strings.TrimSpace(id)))
			}
			if seen[metadata.BrokerID(n)] {
				return nil, cli.NewJavaError("org.apache.kafka.server.common.AdminCommandFailedException", fmt.Sprintf("Partition replica lists may not contain duplicate entries: %d", n))
			}
			seen[metadata.BrokerID(n)] = true
			replicas = append(replicas, metadata.BrokerID(n))
		}
		if len(all) > 0 && len(replicas) != len(all[0]) {
			return nil, cli.NewJavaError("org.apache.kafka.server.common.AdminOperationException", fmt.Sprintf("Partition %d has different replication factor: %s", i, javatext.List(replicas)))
		}
		all = append(all, replicas)
	}
	return all, nil
}

// topicConfigs reads the --config options and checks them like the broker does.
func (o *options) topicConfigs() (map[string]string, error) {
	configs := map[string]string{}
	for _, pair := range o.config.Values() {
		parts := strings.Split(pair, "=")
		if len(parts) == 2 && parts[1] == "" {
			parts = parts[:1] // like Java's split, which drops trailing empty strings
		}
		if len(parts) != 2 {
			return nil, cli.NewJavaError("java.lang.IllegalArgumentException", "requirement failed: Invalid topic config: all configs to be added must be in the format \"key=val\".")
		}
		configs[strings.TrimSpace(parts[0])] = strings.TrimSpace(parts[1])
	}
	if err := settings.ValidateTopic(configs); err != nil {
		return nil, cli.NewJavaError(configExceptionClass(err), configText(err))
	}
	return configs, nil
}

// configText returns Kafka's message, without the prefix that a broker adds to it at startup.
func configText(err error) string {
	var p *settings.Problem
	if errors.As(err, &p) {
		return p.Message()
	}
	return err.Error()
}

func configExceptionClass(err error) string {
	if strings.HasPrefix(err.Error(), "Unknown topic config name") {
		return "org.apache.kafka.common.errors.InvalidConfigurationException"
	}
	return "org.apache.kafka.common.config.ConfigException"
}

// selectTopics filters names by --topic (a list or an expression) and --exclude-internal.
func (o *options) selectTopics(all []string) ([]string, error) {
	sort.Strings(all)
	var include *regexp.Regexp
	if o.topic.Given() {
		var err error
		if include, err = client.IncludeList(o.topic.Or("")); err != nil {
			return nil, err
		}
	}
	var names []string
	for _, name := range all {
		if o.excludeInternal.Given() && metadata.IsInternal(name) || include != nil && !include.MatchString(name) {
			continue
		}
		names = append(names, name)
	}
	return names, nil
}

// mustFind returns an error if --topic was given and found is empty.
func (o *options) mustFind(found []string, format string) error {
	if o.topic.Given() && len(found) == 0 && !o.ifExists.Given() {
		return cli.NewJavaError("java.lang.IllegalArgumentException", fmt.Sprintf(format, o.topic.Or("")))
	}
	return nil
}
