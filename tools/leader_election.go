package tools

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

var leaderElectionTool = Tool{
	Name:    "kafka-leader-election",
	Summary: "Elects preferred or unclean leaders.",
	Run:     runLeaderElection,
}

// electionOptions is the command line of kafka-leader-election.
type electionOptions struct {
	*options
	bootstrap, adminConfig, file, topic, partition, all, electionType *option
}

const electionSummary = "This tool attempts to elect a new leader for a set of topic partitions. The type of elections supported are preferred replicas and unclean replicas."

func newElectionOptions(env *Env) *electionOptions {
	o := &electionOptions{options: newOptions(env, "kafka-leader-election", electionSummary)}
	o.exact = true
	o.bootstrap = o.value("bootstrap-server", "String: host:port", "REQUIRED: The brokers to connect to first, as host:port,host:port.")
	o.adminConfig = o.value("admin.config", "String: config file", "A properties file for the admin client.")
	o.file = o.value("path-to-json-file", "String: Path to JSON file", "A JSON file of partitions: {\"partitions\":[{\"topic\":\"foo\",\"partition\":1}]}. Not allowed with --topic or --all-topic-partitions.")
	o.topic = o.value("topic", "String: topic name", "The topic of the partition. Not allowed with --path-to-json-file or --all-topic-partitions.")
	o.partition = o.value("partition", "Integer: partition id", "The partition. Requires --topic.")
	o.all = o.toggle("all-topic-partitions", "Run the election for every partition that is eligible for this type of election.")
	o.electionType = o.value("election-type", "[PREFERRED|UNCLEAN]: election type", "REQUIRED: 'preferred' elects the first replica of the assignment; 'unclean' elects any live replica if there is no leader.")
	return o
}

func (o *electionOptions) check() error {
	var missing []string
	for _, opt := range []*option{o.bootstrap, o.electionType} {
		if !opt.given() {
			missing = append(missing, opt.name)
		}
	}
	if len(missing) > 0 {
		return commandFailed("Missing required option(s): %s", strings.Join(missing, ", "))
	}
	choices := 0
	for _, opt := range []*option{o.topic, o.all, o.file} {
		if opt.given() {
			choices++
		}
	}
	switch {
	case choices != 1:
		return commandFailed("One and only one of the following options is required: topic, all-topic-partitions, path-to-json-file")
	case o.topic.given() && !o.partition.given():
		return commandFailed("Missing required option(s): partition")
	case !o.topic.given() && o.partition.given():
		return commandFailed("Option partition is only allowed if topic is used")
	}
	return o.checkSingle()
}

// electionTypes maps the names of election types, in upper case, to their numbers in requests.
var electionTypes = map[string]int8{"PREFERRED": 0, "UNCLEAN": 1}

func runLeaderElection(env *Env, args []string) int {
	o := newElectionOptions(env)
	if len(args) == 0 {
		return o.fail(usageError{electionSummary})
	}
	err := o.parse(args)
	if errors.As(err, new(usageError)) || errors.Is(err, errDone) {
		return o.fail(err)
	}
	if err == nil {
		err = o.check()
	}
	if err == nil {
		err = o.run()
	}
	if err != nil {
		env.complainWithStack(err)
		return 1
	}
	return 0
}

// electionPatience is the default timeout of the tool.
const electionPatience = 30 * time.Second

func (o *electionOptions) run() error {
	name := strings.ToUpper(o.electionType.or(""))
	kind, known := electionTypes[name]
	if !known {
		return badOption{fmt.Sprintf("Cannot parse argument '%s' of option election-type", o.electionType.or("")), "OptionArgumentConversionException"}
	}
	var partitions []topicPartition
	switch {
	case o.file.given():
		text, err := readInput(o.file.or(""))
		if err != nil {
			return javaError{"java.lang.RuntimeException", exception(javaClass(err), err.Error())}
		}
		if partitions, err = parseElections(text, "Replica election data", "Replica election data is missing \"partitions\" field", "[%s]"); err != nil {
			return err
		}
	case o.topic.given():
		number, err := o.number(o.partition, 0)
		if err != nil {
			return err
		}
		partitions = []topicPartition{{o.topic.or(""), int32(number)}}
	}
	client, err := newAdminClient(o.env, "adminclient-1", o.bootstrap.or(""), o.adminConfig.or(""), electionPatience)
	if err != nil {
		return err
	}
	defer client.Close()
	results, err := elect(client, kind, partitions)
	if err != nil {
		return o.printFailure(err)
	}
	return printElections(o.env, results, electionWords{
		done: "Successfully completed leader election (" + name + ") for partitions %s", valid: "Valid replica already elected for partitions %s",
		failed: "Error completing leader election (" + name + ") for partition: %s: %s", count: "%d replica(s) could not be elected",
	})
}

// printFailure prints the failure of the whole request and returns the error for it.
func (o *electionOptions) printFailure(err error) error {
	text := "Not authorized to perform leader election"
	switch {
	case isTimeout(err):
		text = "Timeout waiting for election results"
	case protocol.CodeOf(err) != protocol.ClusterAuthorizationFailed:
		wrapped := execution(err)
		return caused{javaError{"java.lang.RuntimeException", exception(javaClass(wrapped), wrapped.Error())}, wrapped}
	}
	o.env.println(text)
	return caused{commandFailed("%s", text), err}
}

// parseElections reads a JSON file of partitions. what names the file in error texts, and listed is
// the format of the partitions that it contains twice.
func parseElections(text, what, noPartitions, listed string) ([]topicPartition, error) {
	node, err := parseJSON(text)
	if err != nil {
		return nil, adminOperation("%s is empty", what)
	}
	wrapped := func(err error) error {
		return javaError{"java.lang.RuntimeException", exception(javaClass(err), err.Error())}
	}
	fields, err := node.object()
	if err != nil {
		return nil, wrapped(err)
	}
	list, found := fields["partitions"]
	if !found {
		return nil, adminOperation("%s", noPartitions)
	}
	entries, err := list.array()
	if err != nil {
		return nil, wrapped(err)
	}
	partitions := []topicPartition{}
	for _, entry := range entries {
		fields, err := entry.object()
		if err != nil {
			return nil, wrapped(err)
		}
		tp, err := partitionFields(fields)
		if err != nil {
			return nil, wrapped(err)
		}
		partitions = append(partitions, tp)
	}
	if twice := duplicates(partitions, partitionHash); len(twice) > 0 {
		return nil, adminOperation("%s contains duplicate partitions: "+listed, what, joinedPartitions(twice, ", "))
	}
	return partitions, nil
}

// elect asks the controller to run elections, for all partitions if partitions is nil. The results
// are keyed by partition and are nil for those that got a new leader.
func elect(c *adminClient, kind int8, partitions []topicPartition) (map[topicPartition]error, error) {
	req := kmsg.NewPtrElectLeadersRequest()
	req.ElectionType, req.TimeoutMillis = kind, int32(c.timeout.Milliseconds())
	req.Topics = nil
	if partitions != nil {
		req.Topics = []kmsg.ElectLeadersRequestTopic{}
		topics := byTopic(partitions)
		for _, topic := range slices.Sorted(maps.Keys(topics)) {
			t := kmsg.NewElectLeadersRequestTopic()
			t.Topic, t.Partitions = topic, topics[topic]
			req.Topics = append(req.Topics, t)
		}
	}
	resp, err := c.call("electLeaders", controller, req, 2, func(r kmsg.Response) protocol.ErrorCode {
		answer := r.(*kmsg.ElectLeadersResponse)
		for _, t := range answer.Topics {
			for _, p := range t.Partitions {
				if again(protocol.ErrorCode(p.ErrorCode)) {
					return protocol.ErrorCode(p.ErrorCode)
				}
			}
		}
		return protocol.ErrorCode(answer.ErrorCode)
	})
	if err != nil {
		return nil, err
	}
	answer := resp.(*kmsg.ElectLeadersResponse)
	if answer.ErrorCode != 0 {
		return nil, protocol.ErrorCode(answer.ErrorCode)
	}
	results := map[topicPartition]error{}
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			tp := topicPartition{t.Topic, p.Partition}
			results[tp] = nil
			if p.ErrorCode != 0 {
				results[tp] = refusal(p.ErrorCode, p.ErrorMessage)
			}
		}
	}
	return results, nil
}

// electionWords are the formats of the lines that report results.
type electionWords struct{ done, valid, failed, count string }

// printElections prints the results. It returns an error if some of them failed.
func printElections(env *Env, results map[topicPartition]error, words electionWords) error {
	var done, valid, failed []topicPartition
	for _, tp := range hashOrder(sortedPartitions(results), partitionHash) {
		switch err := results[tp]; {
		case err == nil:
			done = append(done, tp)
		case protocol.CodeOf(err) == protocol.ElectionNotNeeded:
			valid = append(valid, tp)
		default:
			failed = append(failed, tp)
		}
	}
	if len(done) > 0 {
		env.printf(words.done+"\n", joinedPartitions(done, ", "))
	}
	if len(valid) > 0 {
		env.printf(words.valid+"\n", joinedPartitions(valid, ", "))
	}
	for _, tp := range failed {
		env.printf(words.failed+"\n", tp, exception(javaClass(results[tp]), results[tp].Error()))
	}
	if len(failed) == 0 {
		return nil
	}
	var causes []error
	for _, tp := range failed {
		causes = append(causes, results[tp])
	}
	return withSuppressed(commandFailed(words.count, len(failed)), causes)
}
