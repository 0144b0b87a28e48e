// Package election implements kafka-leader-election, and kafka-preferred-replica-election of older
// releases.
package election

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
	"github.com/monedula/monedula/tools/jsoninput"
)

// LeaderTool is kafka-leader-election.
var LeaderTool = cli.Tool{
	Name:    "kafka-leader-election",
	Summary: "Elects preferred or unclean leaders.",
	Run:     runLeaderElection,
}

// electionOptions is the command line of kafka-leader-election.
type electionOptions struct {
	*cli.Options
	bootstrap, adminConfig, file, topic, partition, all, electionType *cli.Option
}

const electionSummary = "This tool attempts to elect a new leader for a set of topic partitions. The type of elections supported are preferred replicas and unclean replicas."

func newElectionOptions(env *cli.Env) *electionOptions {
	o := &electionOptions{Options: cli.NewOptions(env, "kafka-leader-election", electionSummary)}
	o.Exact = true
	o.bootstrap = o.Value("bootstrap-server", "String: host:port", "REQUIRED: The brokers to connect to first, as host:port,host:port.")
	o.adminConfig = o.Value("admin.config", "String: config file", "A properties file for the admin client.")
	o.file = o.Value("path-to-json-file", "String: Path to JSON file", "A JSON file of partitions: {\"partitions\":[{\"topic\":\"foo\",\"partition\":1}]}. Not allowed with --topic or --all-topic-partitions.")
	o.topic = o.Value("topic", "String: topic name", "The topic of the partition. Not allowed with --path-to-json-file or --all-topic-partitions.")
	o.partition = o.Value("partition", "Integer: partition id", "The partition. Requires --topic.")
	o.all = o.Toggle("all-topic-partitions", "Run the election for every partition that is eligible for this type of election.")
	o.electionType = o.Value("election-type", "[PREFERRED|UNCLEAN]: election type", "REQUIRED: 'preferred' elects the first replica of the assignment; 'unclean' elects any live replica if there is no leader.")
	return o
}

func (o *electionOptions) check() error {
	var missing []string
	for _, opt := range []*cli.Option{o.bootstrap, o.electionType} {
		if !opt.Given() {
			missing = append(missing, opt.Name)
		}
	}
	if len(missing) > 0 {
		return cli.CommandFailed("Missing required option(s): %s", strings.Join(missing, ", "))
	}
	choices := 0
	for _, opt := range []*cli.Option{o.topic, o.all, o.file} {
		if opt.Given() {
			choices++
		}
	}
	switch {
	case choices != 1:
		return cli.CommandFailed("One and only one of the following options is required: topic, all-topic-partitions, path-to-json-file")
	case o.topic.Given() && !o.partition.Given():
		return cli.CommandFailed("Missing required option(s): partition")
	case !o.topic.Given() && o.partition.Given():
		return cli.CommandFailed("Option partition is only allowed if topic is used")
	}
	return o.CheckSingle()
}

// electionTypes maps the names of election types, in upper case, to their numbers in requests.
var electionTypes = map[string]int8{"PREFERRED": 0, "UNCLEAN": 1}

func runLeaderElection(env *cli.Env, args []string) int {
	o := newElectionOptions(env)
	if len(args) == 0 {
		return o.Fail(cli.UsageError{Text: electionSummary})
	}
	err := o.Parse(args)
	if errors.As(err, new(cli.UsageError)) || errors.Is(err, cli.ErrDone) {
		return o.Fail(err)
	}
	if err == nil {
		err = o.check()
	}
	if err == nil {
		err = o.run()
	}
	if err != nil {
		env.ComplainWithStack(err)
		return 1
	}
	return 0
}

// electionPatience is the default timeout of the tool.
const electionPatience = 30 * time.Second

func (o *electionOptions) run() error {
	name := strings.ToUpper(o.electionType.Or(""))
	kind, known := electionTypes[name]
	if !known {
		return cli.BadOption{Text: fmt.Sprintf("Cannot parse argument '%s' of option election-type", o.electionType.Or("")), Class: "OptionArgumentConversionException"}
	}
	var partitions []client.TopicPartition
	switch {
	case o.file.Given():
		text, err := jsoninput.ReadFile(o.file.Or(""))
		if err != nil {
			return cli.NewJavaError("java.lang.RuntimeException", cli.ExceptionText(cli.JavaClass(err), err.Error()))
		}
		if partitions, err = parseElections(text, fileWords{what: "Replica election data", noPartitions: "Replica election data is missing \"partitions\" field", listed: "[%s]"}); err != nil {
			return err
		}
	case o.topic.Given():
		number, err := o.Number(o.partition, 0)
		if err != nil {
			return err
		}
		partitions = []client.TopicPartition{{Topic: o.topic.Or(""), Partition: int32(number)}}
	}
	admin, err := client.NewAdmin(o.Env, "adminclient-1", o.bootstrap.Or(""), o.adminConfig.Or(""), electionPatience)
	if err != nil {
		return err
	}
	defer admin.Close()
	results, err := elect(admin, kind, partitions)
	if err != nil {
		return o.printFailure(err)
	}
	return printElections(o.Env, results, electionWords{
		done: "Successfully completed leader election (" + name + ") for partitions %s", valid: "Valid replica already elected for partitions %s",
		failed: "Error completing leader election (" + name + ") for partition: %s: %s", count: "%d replica(s) could not be elected",
	})
}

// printFailure prints the failure of the whole request and returns the error for it.
func (o *electionOptions) printFailure(err error) error {
	text := "Not authorized to perform leader election"
	switch {
	case cli.IsTimeout(err):
		text = "Timeout waiting for election results"
	case protocol.CodeOf(err) != protocol.ClusterAuthorizationFailed:
		wrapped := client.Execution(err)
		return cli.WithCause(cli.NewJavaError("java.lang.RuntimeException", cli.ExceptionText(cli.JavaClass(wrapped), wrapped.Error())), wrapped)
	}
	o.Env.Println(text)
	return cli.WithCause(cli.CommandFailed("%s", text), err)
}

// fileWords are the words of the errors about a JSON file of partitions.
type fileWords struct {
	what         string // name of the file
	noPartitions string // the error if the list of partitions is missing
	listed       string // format of the list of partitions that are contained twice
}

// parseElections reads a JSON file of partitions.
func parseElections(text string, words fileWords) ([]client.TopicPartition, error) {
	node, err := jsoninput.Parse(text)
	if err != nil {
		return nil, cli.AdminOperation("%s is empty", words.what)
	}
	wrapped := func(err error) error {
		return cli.NewJavaError("java.lang.RuntimeException", cli.ExceptionText(cli.JavaClass(err), err.Error()))
	}
	fields, err := node.Object()
	if err != nil {
		return nil, wrapped(err)
	}
	list, found := fields["partitions"]
	if !found {
		return nil, cli.AdminOperation("%s", words.noPartitions)
	}
	entries, err := list.Array()
	if err != nil {
		return nil, wrapped(err)
	}
	partitions := []client.TopicPartition{}
	for _, entry := range entries {
		fields, err := entry.Object()
		if err != nil {
			return nil, wrapped(err)
		}
		tp, err := jsoninput.PartitionFields(fields)
		if err != nil {
			return nil, wrapped(err)
		}
		partitions = append(partitions, tp)
	}
	if twice := client.Duplicates(partitions, client.PartitionHash); len(twice) > 0 {
		return nil, cli.AdminOperation("%s contains duplicate partitions: "+words.listed, words.what, javatext.Join(twice, ", "))
	}
	return partitions, nil
}

// elect asks the controller to run elections, for all partitions if partitions is nil. The results
// are keyed by partition and are nil for those that got a new leader.
func elect(c *client.Admin, kind int8, partitions []client.TopicPartition) (map[client.TopicPartition]error, error) {
	req := kmsg.NewPtrElectLeadersRequest()
	req.ElectionType, req.TimeoutMillis = kind, int32(c.Timeout.Milliseconds())
	req.Topics = nil
	if partitions != nil {
		req.Topics = []kmsg.ElectLeadersRequestTopic{}
		topics := client.ByTopic(partitions)
		for _, topic := range slices.Sorted(maps.Keys(topics)) {
			t := kmsg.NewElectLeadersRequestTopic()
			t.Topic, t.Partitions = topic, topics[topic]
			req.Topics = append(req.Topics, t)
		}
	}
	resp, err := c.Send("electLeaders", client.Controller, req, 2, func(r kmsg.Response) protocol.ErrorCode {
		answer := r.(*kmsg.ElectLeadersResponse)
		for _, t := range answer.Topics {
			for _, p := range t.Partitions {
				if client.WrongCoordinator(protocol.ErrorCode(p.ErrorCode)) {
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
	results := map[client.TopicPartition]error{}
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			tp := client.TopicPartition{Topic: t.Topic, Partition: p.Partition}
			results[tp] = nil
			if p.ErrorCode != 0 {
				results[tp] = client.Refusal(p.ErrorCode, p.ErrorMessage)
			}
		}
	}
	return results, nil
}

// electionWords are the formats of the lines that report results.
type electionWords struct{ done, valid, failed, count string }

// printElections prints the results. It returns an error if some of them failed.
func printElections(env *cli.Env, results map[client.TopicPartition]error, words electionWords) error {
	var done, valid, failed []client.TopicPartition
	for _, tp := range javatext.HashMapOrder(client.SortedPartitions(results), client.PartitionHash) {
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
		env.Printf(words.done+"\n", javatext.Join(done, ", "))
	}
	if len(valid) > 0 {
		env.Printf(words.valid+"\n", javatext.Join(valid, ", "))
	}
	for _, tp := range failed {
		env.Printf(words.failed+"\n", tp, cli.ExceptionText(cli.JavaClass(results[tp]), results[tp].Error()))
	}
	if len(failed) == 0 {
		return nil
	}
	var causes []error
	for _, tp := range failed {
		causes = append(causes, results[tp])
	}
	return cli.WithSuppressed(cli.CommandFailed(words.count, len(failed)), causes)
}
