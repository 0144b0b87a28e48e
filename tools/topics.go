package tools

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	kafka "github.com/segmentio/kafka-go"
	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
)

var topicsTool = Tool{
	Name:    "kafka-topics",
	Summary: "Creates, lists, describes, alters and deletes topics.",
	Run:     runTopics,
}

// topicsOptions is kafka-topics' command line: that of 3.9, and with
// --zookeeper that of 2.8.
type topicsOptions struct {
	*options
	bootstrap, zookeeper, commandConfig                      *option
	list, create, delete, alter, describe                    *option
	topic, topicID, config, deleteConfig                     *option
	partitions, replicationFactor, replicaAssignment         *option
	underReplicated, unavailable, underMinISR, atMinISR      *option
	overrides, ifExists, ifNotExists, excludeInternal, limit *option
	force, noRackAware                                       *option
}

const topicsSummary = "This tool helps to create, delete, describe, or change a topic."

func newTopicsOptions(env *Env) *topicsOptions {
	o := &topicsOptions{options: newOptions(env, "kafka-topics", topicsSummary)}
	o.bootstrap = o.value("bootstrap-server", "String: server to connect to", "The brokers to connect to first, as host:port,host:port. Required unless --zookeeper is given.")
	o.zookeeper = o.value("zookeeper", "String: hosts", "DEPRECATED. The ZooKeeper ensemble as host:port,host:port/chroot; the tool then reads and writes the znodes itself.")
	o.commandConfig = o.value("command-config", "String: command config property file", "A properties file for the admin client.")
	o.list = o.toggle("list", "List the names of topics.")
	o.create = o.toggle("create", "Create a topic.")
	o.delete = o.toggle("delete", "Delete topics.")
	o.alter = o.toggle("alter", "Raise the number of partitions of topics.")
	o.describe = o.toggle("describe", "Show the partitions of topics, with leaders and replicas.")
	o.topic = o.value("topic", "String: topic", "The topic; for all actions but --create a comma-separated list or a regular expression.")
	o.topicID = o.value("topic-id", "String: topic-id", "The id of the topic to describe.")
	o.config = o.value("config", "String: name=value", "A topic configuration for the topic being created; may be given several times.")
	o.deleteConfig = o.value("delete-config", "String: name", "A topic configuration to remove, with --alter and --zookeeper only.")
	o.partitions = o.value("partitions", "Integer: # of partitions", "How many partitions the topic gets. Raising it changes which partition a key belongs to.")
	o.replicationFactor = o.value("replication-factor", "Integer: replication factor", "How many replicas each partition of the new topic gets.")
	o.replicaAssignment = o.value("replica-assignment", "String: broker_id_for_part1_replica1 : broker_id_for_part1_replica2 , ...", "Which brokers hold each partition, as 0:1,1:2.")
	o.underReplicated = o.toggle("under-replicated-partitions", "With --describe, only partitions with replicas out of sync.")
	o.unavailable = o.toggle("unavailable-partitions", "With --describe, only partitions without a live leader.")
	o.underMinISR = o.toggle("under-min-isr-partitions", "With --describe, only partitions with fewer replicas in sync than min.insync.replicas.")
	o.atMinISR = o.toggle("at-min-isr-partitions", "With --describe, only partitions with just as many replicas in sync as min.insync.replicas.")
	o.overrides = o.toggle("topics-with-overrides", "With --describe, only topics with a configuration of their own.")
	o.ifExists = o.toggle("if-exists", "Do nothing, successfully, where the topic does not exist.")
	o.ifNotExists = o.toggle("if-not-exists", "Do nothing, successfully, where the topic exists.")
	o.excludeInternal = o.toggle("exclude-internal", "Leave the internal topics out of lists.")
	o.limit = o.value("partition-size-limit-per-response", "Integer: maximum number of partitions in one response.", "Accepted; all partitions come in one response.")
	o.force = o.toggle("force", "Accepted; there are no questions to suppress.")
	o.noRackAware = o.toggle("disable-rack-aware", "With --zookeeper, place replicas without looking at racks.")
	return o
}

func runTopics(env *Env, args []string) int {
	o := newTopicsOptions(env)
	if len(args) == 0 {
		env.complainf("Create, delete, describe, or change a topic.")
		o.printUsage(env.Stderr)
		return 1
	}
	if err := o.parse(args); err != nil {
		var bad badOption
		if errors.As(err, &bad) {
			env.complainf("%s\n%s\n", bad.text, exception("joptsimple."+bad.class, bad.text))
			return 1
		}
		return o.fail(err)
	}
	if err := o.check(); err != nil {
		var usage usageError
		if !errors.As(err, &usage) {
			env.complainf("%s\n%s\n", err, exception("java.lang.IllegalArgumentException", err.Error()))
			return 1
		}
		return o.fail(err)
	}
	log := env.logger("org.apache.kafka.tools.TopicCommand")
	var err error
	if o.zookeeper.given() {
		log = env.logger("kafka.admin.TopicCommand$")
		err = o.runOverZooKeeper()
	} else {
		err = o.runOverBootstrap()
	}
	if err != nil {
		env.printf("Error while executing topic command : %s\n", err)
		log.Errorf("%s\n", exception(javaClass(err), err.Error()))
		return 1
	}
	return 0
}

// check is what must hold of the options together.
func (o *topicsOptions) check() error {
	actions := 0
	for _, action := range []*option{o.create, o.list, o.alter, o.describe, o.delete} {
		if action.given() {
			actions++
		}
	}
	if actions != 1 {
		return usageError{"Command must include exactly one action: --list, --describe, --create, --alter or --delete"}
	}
	switch {
	case o.bootstrap.given() && o.zookeeper.given():
		return errors.New("Only one of --bootstrap-server or --zookeeper must be specified")
	case !o.bootstrap.given() && !o.zookeeper.given():
		return errors.New("--bootstrap-server must be specified")
	}
	if o.describe.given() && o.ifExists.given() && !o.topic.given() && !o.topicID.given() {
		return usageError{"--topic or --topic-id is required to describe a topic"}
	}
	if !o.list.given() && !o.describe.given() {
		if err := o.require(o.topic); err != nil {
			return err
		}
	}
	if o.create.given() && o.zookeeper.given() && !o.replicaAssignment.given() {
		if err := o.require(o.partitions, o.replicationFactor); err != nil {
			return err
		}
	}
	if o.bootstrap.given() && o.alter.given() {
		if o.config.given() {
			return usageError{"Option combination \"[[bootstrap-server], [config]]\" can't be used with option \"[alter]\" (the kafka-configs CLI supports altering topic configs with a --bootstrap-server option)"}
		}
		if err := o.require(o.partitions); err != nil {
			return err
		}
	}
	return o.checkExclusions()
}

// checkExclusions refuses options that an action does not take.
func (o *topicsOptions) checkExclusions() error {
	actions := []*option{o.create, o.list, o.alter, o.describe, o.delete}
	only := func(opt *option, allowed ...*option) error {
		var others []*option
		for _, a := range actions {
			if !contains(allowed, a) {
				others = append(others, a)
			}
		}
		return o.exclude(opt, others...)
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
	if o.deleteConfig.given() && o.bootstrap.given() {
		return o.exclude(o.deleteConfig, o.bootstrap)
	}
	if o.create.given() {
		if err := o.exclude(o.replicaAssignment, o.partitions, o.replicationFactor); err != nil {
			return err
		}
	}
	reports := []*option{o.underReplicated, o.underMinISR, o.atMinISR, o.unavailable}
	for i, report := range reports {
		others := append([]*option{o.overrides}, reports[:i]...)
		if err := o.exclude(report, append(others, reports[i+1:]...)...); err != nil {
			return err
		}
	}
	return nil
}

func contains(options []*option, one *option) bool {
	for _, opt := range options {
		if opt == one {
			return true
		}
	}
	return false
}

// parseAssignment reads 0:1,1:2 as the replicas of each partition.
func parseAssignment(text string) ([][]int32, error) {
	var all [][]int32
	for i, list := range strings.Split(text, ",") {
		var replicas []int32
		seen := map[int32]bool{}
		for _, id := range strings.Split(list, ":") {
			n, err := strconv.ParseInt(strings.TrimSpace(id), 10, 32)
			if err != nil {
				return nil, javaError{"java.lang.NumberFormatException", fmt.Sprintf("For input string: %q", strings.TrimSpace(id))}
			}
			if seen[int32(n)] {
				return nil, javaError{"org.apache.kafka.server.common.AdminCommandFailedException", fmt.Sprintf("Partition replica lists may not contain duplicate entries: %d", n)}
			}
			seen[int32(n)] = true
			replicas = append(replicas, int32(n))
		}
		if len(all) > 0 && len(replicas) != len(all[0]) {
			return nil, javaError{"org.apache.kafka.server.common.AdminOperationException", fmt.Sprintf("Partition %d has different replication factor: %s", i, bracketed(replicas))}
		}
		all = append(all, replicas)
	}
	return all, nil
}

// topicConfigs reads the --config options and checks them as the broker would.
func (o *topicsOptions) topicConfigs() (map[string]string, error) {
	configs := map[string]string{}
	for _, pair := range o.config.values() {
		parts := strings.Split(pair, "=")
		if len(parts) == 2 && parts[1] == "" {
			parts = parts[:1] // as Java's split drops empty ends
		}
		if len(parts) != 2 {
			return nil, javaError{"java.lang.IllegalArgumentException", "requirement failed: Invalid topic config: all configs to be added must be in the format \"key=val\"."}
		}
		configs[strings.TrimSpace(parts[0])] = strings.TrimSpace(parts[1])
	}
	if err := settings.ValidateTopic(configs); err != nil {
		return nil, javaError{configExceptionClass(err), configText(err)}
	}
	return configs, nil
}

// configText is Kafka's message without what only a broker's start adds.
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
func (o *topicsOptions) selectTopics(all []string) ([]string, error) {
	sort.Strings(all)
	var include *regexp.Regexp
	if o.topic.given() {
		var err error
		if include, err = includeList(o.topic.or("")); err != nil {
			return nil, err
		}
	}
	var names []string
	for _, name := range all {
		if o.excludeInternal.given() && isInternal(name) || include != nil && !include.MatchString(name) {
			continue
		}
		names = append(names, name)
	}
	return names, nil
}

// includeList compiles a topic list as Kafka's tools read it: commas separate
// alternatives, quotes and blanks are dropped.
func includeList(text string) (*regexp.Regexp, error) {
	text = strings.NewReplacer(",", "|", " ", "").Replace(strings.Trim(strings.TrimSpace(text), `"'`))
	re, err := regexp.Compile("^(?:" + text + ")$")
	if err != nil {
		return nil, javaError{"java.lang.RuntimeException", text + " is an invalid regex."}
	}
	return re, nil
}

func isInternal(topic string) bool {
	return topic == "__consumer_offsets" || topic == "__transaction_state"
}

// mustFind complains when a topic was named and none was found.
func (o *topicsOptions) mustFind(found []string, format string) error {
	if o.topic.given() && len(found) == 0 && !o.ifExists.given() {
		return javaError{"java.lang.IllegalArgumentException", fmt.Sprintf(format, o.topic.or(""))}
	}
	return nil
}

// javaError is an error with the Java class that tools name.
type javaError struct{ class, text string }

func (e javaError) Error() string { return e.text }

// javaClass names the Java exception of an error.
func javaClass(err error) string {
	var java javaError
	if errors.As(err, &java) {
		return java.class
	}
	var none errNoNode
	if errors.As(err, &none) {
		return "org.apache.kafka.common.errors.TimeoutException"
	}
	if name := protocol.CodeOf(err).Exception(); name != "" {
		return "org.apache.kafka.common.errors." + name
	}
	return "java.lang.RuntimeException"
}

// ---- over the brokers

const adminClientID = "AdminClient clientId=adminclient-1"

// topicsAdmin is the tool's connection: kafka-go for what it can do, the link
// of package peerlink for the rest.
type topicsAdmin struct {
	*topicsOptions
	cluster *peerlink.Cluster
	client  *kafka.Client
	log     *logrus.Entry
}

var callNames = map[string]string{"create": "createTopics", "delete": "listTopics", "alter": "listTopics", "describe": "listTopics", "list": "listTopics"}

func (o *topicsOptions) runOverBootstrap() error {
	if _, err := loadProperties(o.commandConfig.or("")); err != nil {
		return err
	}
	servers, err := parseBootstrap(o.bootstrap.or(""))
	if err != nil {
		return javaError{"org.apache.kafka.common.KafkaException", "Failed to create new KafkaAdminClient"}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-o.env.Signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	// What needs no broker is checked first, as the original does.
	if o.create.given() {
		if err := o.checkCreate(); err != nil {
			return err
		}
	}
	action := map[*option]func(*topicsAdmin, context.Context) error{
		o.create: (*topicsAdmin).createTopic, o.delete: (*topicsAdmin).deleteTopics, o.alter: (*topicsAdmin).alterTopics,
		o.describe: (*topicsAdmin).describeTopics, o.list: (*topicsAdmin).listTopics,
	}
	for opt, run := range action {
		if !opt.given() {
			continue
		}
		cluster, err := connect(ctx, o.env.logger("org.apache.kafka.clients.NetworkClient"), adminClientID, servers, callNames[opt.name])
		if err != nil {
			return err
		}
		defer cluster.Close()
		if err := awaitController(ctx, cluster); err != nil {
			return err
		}
		transport := &kafka.Transport{ClientID: "adminclient-1"}
		defer transport.CloseIdleConnections()
		a := &topicsAdmin{topicsOptions: o, cluster: cluster, client: &kafka.Client{Addr: kafka.TCP(servers...), Timeout: 30 * time.Second, Transport: transport}}
		return run(a, ctx)
	}
	return nil
}

// awaitController waits until the brokers know a controller, which takes a
// moment after the start of a cluster.
func awaitController(ctx context.Context, cluster *peerlink.Cluster) error {
	deadline := time.Now().Add(adminTimeout)
	for {
		meta, err := cluster.Metadata(ctx, []string{})
		if err != nil || meta.ControllerID >= 0 && len(meta.Brokers) > 0 {
			return err
		}
		if time.Now().After(deadline) {
			return errNoNode{"listTopics"}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// retry repeats a call while it says that the controller is elsewhere or not there yet.
func retry(ctx context.Context, call func() error) error {
	deadline := time.Now().Add(adminTimeout)
	for {
		err := call()
		if !errors.Is(err, kafka.NotController) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// fromKafkaGo turns an error of kafka-go into one with Kafka's code and text.
func fromKafkaGo(err error) error {
	var code kafka.Error
	if !errors.As(err, &code) {
		return err
	}
	ours := protocol.ErrorCode(code)
	if text, found := strings.CutPrefix(err.Error(), code.Error()+": "); found {
		return protocol.Errorf(ours, "%s", text)
	}
	return ours
}

func (o *topicsOptions) checkCreate() error {
	if _, err := o.topicConfigs(); err != nil {
		return err
	}
	if strings.ContainsAny(o.topic.or(""), "._") {
		o.env.println("WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. To avoid issues it is best to use either, but not both.")
	}
	factor, err := o.number(o.replicationFactor, 1)
	if err != nil {
		return javaError{"joptsimple.OptionArgumentConversionException", err.Error()}
	}
	if factor < 1 || factor > 32767 {
		return javaError{"java.lang.IllegalArgumentException", "The replication factor must be between 1 and 32767 inclusive"}
	}
	partitions, err := o.number(o.partitions, 1)
	if err != nil {
		return javaError{"joptsimple.OptionArgumentConversionException", err.Error()}
	}
	if partitions < 1 {
		return javaError{"java.lang.IllegalArgumentException", "The partitions must be greater than 0"}
	}
	return nil
}

func (a *topicsAdmin) createTopic(ctx context.Context) error {
	configs, err := a.topicConfigs()
	if err != nil {
		return err
	}
	partitions, _ := a.number(a.partitions, -1)
	factor, _ := a.number(a.replicationFactor, -1)
	topic := kafka.TopicConfig{Topic: a.topic.or(""), NumPartitions: int(partitions), ReplicationFactor: int(factor)}
	if a.replicaAssignment.or("") != "" {
		assignment, err := parseAssignment(a.replicaAssignment.or(""))
		if err != nil {
			return err
		}
		for i, replicas := range assignment {
			topic.ReplicaAssignments = append(topic.ReplicaAssignments, kafka.ReplicaAssignment{Partition: i, Replicas: ints(replicas)})
		}
	}
	for _, name := range sortedKeys(configs) {
		topic.ConfigEntries = append(topic.ConfigEntries, kafka.ConfigEntry{ConfigName: name, ConfigValue: configs[name]})
	}
	err = retry(ctx, func() error {
		resp, err := a.client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{topic}})
		if err != nil {
			return err
		}
		return resp.Errors[topic.Topic]
	})
	if errors.Is(err, kafka.TopicAlreadyExists) && a.ifNotExists.given() {
		return nil
	}
	if err != nil {
		return fromKafkaGo(err)
	}
	a.env.printf("Created topic %s.\n", topic.Topic)
	return nil
}

// all returns the metadata of every topic that the options select, by name.
func (a *topicsAdmin) all(ctx context.Context) (map[string]*kmsg.MetadataResponseTopic, *kmsg.MetadataResponse, []string, error) {
	meta, err := a.cluster.Metadata(ctx, nil)
	if err != nil {
		return nil, nil, nil, err
	}
	byName := map[string]*kmsg.MetadataResponseTopic{}
	var names []string
	for i := range meta.Topics {
		t := &meta.Topics[i]
		if t.Topic != nil && t.ErrorCode != int16(protocol.UnknownTopicOrPartition) {
			byName[*t.Topic] = t
			names = append(names, *t.Topic)
		}
	}
	selected, err := a.selectTopics(names)
	return byName, meta, selected, err
}

func (a *topicsAdmin) listTopics(ctx context.Context) error {
	_, _, names, err := a.all(ctx)
	if err != nil {
		return err
	}
	a.env.println(strings.Join(names, "\n"))
	return nil
}

const notFound = "Topic 'Optional[%s]' does not exist as expected"

func (a *topicsAdmin) deleteTopics(ctx context.Context) error {
	_, _, names, err := a.all(ctx)
	if err != nil {
		return err
	}
	if err := a.mustFind(names, notFound); err != nil || len(names) == 0 {
		return err
	}
	return retry(ctx, func() error {
		resp, err := a.client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: names})
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := resp.Errors[name]; err != nil {
				if errors.Is(err, kafka.NotController) {
					return err
				}
				return fromKafkaGo(err)
			}
		}
		return nil
	})
}

func (a *topicsAdmin) alterTopics(ctx context.Context) error {
	byName, _, names, err := a.all(ctx)
	if err != nil {
		return err
	}
	if err := a.mustFind(names, notFound); err != nil || len(names) == 0 {
		return err
	}
	count, err := a.number(a.partitions, 0)
	if err != nil {
		return err
	}
	var configs []kafka.TopicPartitionsConfig
	for _, name := range names {
		config := kafka.TopicPartitionsConfig{Name: name, Count: int32(count)}
		if a.replicaAssignment.or("") != "" {
			assignment, err := parseAssignment(a.replicaAssignment.or(""))
			if err != nil {
				return err
			}
			for _, replicas := range assignment[min(len(byName[name].Partitions), len(assignment)):] {
				config.TopicPartitionAssignments = append(config.TopicPartitionAssignments, kafka.TopicPartitionAssignment{BrokerIDs: replicas})
			}
		}
		configs = append(configs, config)
	}
	return retry(ctx, func() error {
		resp, err := a.client.CreatePartitions(ctx, &kafka.CreatePartitionsRequest{Topics: configs})
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := resp.Errors[name]; err != nil {
				if errors.Is(err, kafka.NotController) {
					return err
				}
				return fromKafkaGo(err)
			}
		}
		return nil
	})
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func ints(ids []int32) []int {
	out := make([]int, len(ids))
	for i, id := range ids {
		out[i] = int(id)
	}
	return out
}

// joined prints ids as 0,1,2 and bracketed as Java prints a list, [0, 1, 2].
func joined(ids []int32) string { return joinIDs(ids, ",") }

func bracketed(ids []int32) string { return "[" + joinIDs(ids, ", ") + "]" }

func joinIDs(ids []int32, separator string) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.Itoa(int(id))
	}
	return strings.Join(texts, separator)
}

func topicIDText(id [16]byte) string { return base64.RawURLEncoding.EncodeToString(id[:]) }
