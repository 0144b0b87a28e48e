// Package groups implements kafka-consumer-groups.
package groups

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// Tool is kafka-consumer-groups.
var Tool = cli.Tool{
	Name:    "kafka-consumer-groups",
	Summary: "Lists, describes and deletes consumer groups, and resets their offsets.",
	Run:     runConsumerGroups,
}

const consumerGroupClass = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"

type groupsOptions struct {
	*cli.Options
	bootstrap, group, topic, timeout, config     *cli.Option
	allTopics, allGroups                         *cli.Option
	list, describe, delete, reset, deleteOffsets *cli.Option
	dryRun, execute, export                      *cli.Option
	toOffset, fromFile, toDatetime, byDuration   *cli.Option
	toEarliest, toLatest, toCurrent, shiftBy     *cli.Option
	members, verbose, offsets, state, kind       *cli.Option
}

func newGroupsOptions(env *cli.Env) *groupsOptions {
	o := &groupsOptions{Options: cli.NewOptions(env, "kafka-consumer-groups", "This tool helps to list all consumer groups, describe a consumer group, delete consumer group info, or reset consumer group offsets.")}
	o.bootstrap = o.Value("bootstrap-server", "String: server to connect to", "REQUIRED: The brokers to connect to first, as HOST1:PORT1,HOST2:PORT2.")
	o.group = o.Value("group", "String: consumer group", "The consumer group. May be repeated.")
	o.topic = o.Value("topic", "String: topic", "The topic whose offsets are reset or deleted, or some of its partitions, as topic:0,1,2. May be repeated.")
	o.allTopics = o.Toggle("all-topics", "Reset the offsets of all topics for which the group has committed offsets.")
	o.list = o.Toggle("list", "List the groups.")
	o.describe = o.Toggle("describe", "Describe groups, with the lag of each partition.")
	o.allGroups = o.Toggle("all-groups", "Apply the action to all groups.")
	o.delete = o.Toggle("delete", "Delete groups and all their offsets.")
	o.timeout = o.Value("timeout", "Long: timeout (ms)", "The time limit for each call, in ms. (default: 5000)")
	o.config = o.Value("command-config", "String: command config property file", "A properties file for the admin client.")
	o.reset = o.Toggle("reset-offsets", "Reset the offsets of groups without members. Only shows the new offsets unless --execute is given. "+
		"Select the new offsets with one of --to-datetime, --by-duration, --to-earliest, --to-latest, --shift-by, --from-file, --to-current, --to-offset. Select the partitions with --all-topics or --topic, except with --from-file.")
	o.deleteOffsets = o.Toggle("delete-offsets", "Delete the offsets of a group for the given topics.")
	o.dryRun = o.Toggle("dry-run", "Show what --reset-offsets would do.")
	o.execute = o.Toggle("execute", "Apply the reset of --reset-offsets.")
	o.export = o.Toggle("export", "Print the new offsets of --reset-offsets as CSV, for use with --from-file.")
	o.toOffset = o.Value("to-offset", "Long: offset", "Reset to this offset.")
	o.fromFile = o.Value("from-file", "String: path to CSV file", "Reset to the offsets in a CSV file, with lines topic,partition,offset for one group or group,topic,partition,offset for several groups.")
	o.toDatetime = o.Value("to-datetime", "String: datetime", "Reset to the first records at or after a time, as 'YYYY-MM-DDTHH:mm:SS.sss'. The time is in UTC unless an offset such as +02:00 follows.")
	o.byDuration = o.Value("by-duration", "String: duration", "Reset to the first records of the given duration before now, as 'PnDTnHnMnS'.")
	o.toEarliest = o.Toggle("to-earliest", "Reset to the earliest offset.")
	o.toLatest = o.Toggle("to-latest", "Reset to the latest offset.")
	o.toCurrent = o.Toggle("to-current", "Reset to the committed offset.")
	o.shiftBy = o.Value("shift-by", "Long: number-of-offsets", "Move the committed offset forward by N, or back if N is negative.")
	o.members = o.Toggle("members", "Describe the members.").OnlyWith(o.describe)
	o.verbose = o.Toggle("verbose", "Describe the members with their partitions.").OnlyWith(o.describe)
	o.offsets = o.Toggle("offsets", "Describe the offsets. This is the default of --describe.").OnlyWith(o.describe)
	o.state = o.MaybeValue("state", "String", "With --describe, show the state of groups. With --list, show the states, and list only groups in the given states, separated by commas.").OnlyWith(o.describe, o.list)
	o.kind = o.MaybeValue("type", "String", "List groups with their types, and only those of the given types, separated by commas.").OnlyWith(o.list)
	o.Output(o.list, o.describe)
	return o
}

func runConsumerGroups(env *cli.Env, args []string) int {
	o := newGroupsOptions(env)
	if len(args) == 0 {
		return o.Fail(cli.UsageError{Text: o.Summary})
	}
	if err := o.Parse(args); err != nil {
		return o.FailUncaught(err)
	}
	if err := o.check(); err != nil {
		return o.Fail(err)
	}
	err := o.run()
	var usage cli.UsageError
	if errors.As(err, &usage) {
		return o.Fail(err)
	}
	if err != nil {
		o.printError("Executing consumer group command failed due to " + err.Error())
		env.Complainf("%s", cli.Stack(err))
		if o.WantsDocument() {
			return 1
		}
	}
	return 0 // as Kafka's tool, also after an error
}

func (o *groupsOptions) printError(text string) { o.Env.Printf("\nError: %s\n", text) }

// check rejects invalid combinations of options with the messages of Kafka's tool.
func (o *groupsOptions) check() error {
	if err := o.Require(o.bootstrap); err != nil {
		return err
	}
	someGroup := o.group.Given() || o.allGroups.Given()
	switch {
	case o.describe.Given() && !someGroup:
		return cli.UsageError{Text: "Option [describe] takes one of these options: [reset-offsets], [describe], [delete], [list]"}
	case o.describe.Given() && countGiven(o.members, o.offsets, o.state) > 1:
		return cli.UsageError{Text: "Option [describe] takes at most one of these options: [members], [offsets], [state]"}
	case o.describe.Given() && o.state.Or("") != "":
		return cli.UsageError{Text: "Option [describe] does not take a value for [state]"}
	case o.delete.Given() && !someGroup:
		return cli.UsageError{Text: "Option [delete] takes one of these options: [all-groups], [group]"}
	case o.delete.Given() && o.topic.Given():
		return cli.UsageError{Text: "The consumer does not support topic-specific offset deletion from a consumer group."}
	case o.deleteOffsets.Given() && !(o.group.Given() && o.topic.Given()):
		return cli.UsageError{Text: "Option [delete-offsets] takes the following options: [all-groups], [group]"}
	}
	if o.reset.Given() {
		if err := o.checkReset(someGroup); err != nil {
			return err
		}
	}
	if err := o.Exclude(o.group, o.allGroups, o.list); err != nil {
		return err
	}
	if err := o.Exclude(o.topic, o.describe, o.list); err != nil {
		return err
	}
	if countGiven(o.list, o.describe, o.delete, o.reset, o.deleteOffsets) != 1 {
		return cli.UsageError{Text: "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, --delete-offsets"}
	}
	return nil
}

func (o *groupsOptions) checkReset(someGroup bool) error {
	if o.dryRun.Given() && o.execute.Given() {
		return cli.UsageError{Text: "Option [reset-offsets] only accepts one of [execute] and [dry-run]"}
	}
	if !o.dryRun.Given() && !o.execute.Given() {
		o.Env.Complainf("WARN: No action will be performed as the --execute option is missing." +
			"In a future major release, the default behavior of this command will be to prompt the user before " +
			"executing the reset rather than doing a dry run. You should add the --dry-run option explicitly " +
			"if you are scripting this command and want to keep the current default behavior without prompting.")
	}
	if !someGroup {
		return cli.UsageError{Text: "Option [reset-offsets] takes one of these options: [all-groups], [group]"}
	}
	// In the order in which Kafka's tool checks them.
	all := []*cli.Option{o.toOffset, o.toCurrent, o.toDatetime, o.fromFile, o.byDuration, o.toEarliest, o.toLatest, o.shiftBy}
	for _, one := range []*cli.Option{o.toOffset, o.toDatetime, o.byDuration, o.toEarliest, o.toLatest, o.toCurrent, o.shiftBy, o.fromFile} {
		others := slices.DeleteFunc(slices.Clone(all), func(other *cli.Option) bool { return other == one })
		if err := o.Exclude(one, others...); err != nil {
			return err
		}
	}
	return nil
}

func countGiven(opts ...*cli.Option) int {
	n := 0
	for _, opt := range opts {
		if opt.Given() {
			n++
		}
	}
	return n
}

func (o *groupsOptions) run() error {
	props, err := client.LoadProperties(o.config.Or(""))
	if err != nil {
		return cli.RuntimeError(err)
	}
	if err := client.PlainOnly(props); err != nil {
		return err
	}
	servers, err := client.ParseBootstrap(o.bootstrap.Or(""))
	if err != nil {
		return cli.WithCause(cli.NewJavaError("org.apache.kafka.common.KafkaException", "Failed to create new KafkaAdminClient"), client.ConfigError(err.Error()))
	}
	states, kinds, err := o.filters()
	if err != nil {
		return err
	}
	timeout, err := o.Number(o.timeout, 5000)
	if err != nil {
		return err
	}
	admin := &groupAdmin{&client.Admin{Env: o.Env, ID: "adminclient-1", Servers: servers, Timeout: cli.Millis(timeout)}}
	defer admin.Close()
	switch {
	case o.list.Given():
		return o.printGroups(admin, states, kinds)
	case o.delete.Given():
		return o.deleteGroups(admin)
	case o.deleteOffsets.Given():
		return o.deleteGroupOffsets(admin)
	case o.reset.Given():
		return o.resetOffsets(admin)
	default:
		return o.describeGroups(admin)
	}
}

var (
	groupStates = []string{"PreparingRebalance", "CompletingRebalance", "Stable", "Dead", "Empty", "Assigning", "Reconciling"}
	groupKinds  = []string{"Consumer", "Classic"}
)

// filters returns the states and types that --list selects.
func (o *groupsOptions) filters() (states, kinds []string, err error) {
	if !o.list.Given() {
		return nil, nil, nil
	}
	if kinds, err = oneOf(o.kind.Or(""), groupKinds, "Invalid types list '%s'. Valid types are: %s", strings.ToLower); err != nil {
		return nil, nil, err
	}
	states, err = oneOf(o.state.Or(""), groupStates, "Invalid state list '%s'. Valid states are: %s", func(s string) string { return s })
	return states, kinds, err
}

// oneOf reads a comma-separated list of names and ignores their case.
func oneOf(text string, names []string, complaint string, shown func(string) string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	var found []string
	for _, one := range strings.Split(text, ",") {
		i := slices.IndexFunc(names, func(name string) bool { return strings.EqualFold(name, strings.TrimSpace(one)) })
		if i < 0 {
			return nil, cli.UsageError{Text: fmt.Sprintf(complaint, shown(text), strings.Join(names, ", "))}
		}
		found = append(found, names[i])
	}
	return found, nil
}

func (o *groupsOptions) printGroups(admin *groupAdmin, states, kinds []string) error {
	groups, err := admin.list(states, kinds)
	plain := !o.state.Given() && !o.kind.Given()
	switch {
	case err != nil && plain:
		return cli.RuntimeError(client.Execution(err))
	case err != nil:
		return client.Execution(err)
	}
	if o.WantsDocument() {
		o.PrintDocument(listDocument(groups))
		return nil
	}
	width := 15
	for _, g := range groups {
		width = max(width, len(g.id))
	}
	row := func(id, kind, state string) {
		if plain {
			o.Env.Println(id)
			return
		}
		o.Env.Printf("%-*s", width+10, id)
		if o.kind.Given() {
			o.Env.Printf(" %-20s", kind)
		}
		if o.state.Given() {
			o.Env.Printf(" %-20s", state)
		}
		o.Env.Println()
	}
	if !plain {
		row("GROUP", "TYPE", "STATE")
	}
	for _, g := range groups {
		row(g.id, g.kind, g.state)
	}
	return nil
}

// selected returns the groups that the options select.
func (o *groupsOptions) selected(admin *groupAdmin) ([]string, error) {
	if !o.allGroups.Given() {
		return slices.Compact(slices.Sorted(slices.Values(o.group.Values()))), nil
	}
	groups, err := admin.list(nil, nil)
	if err != nil {
		return nil, cli.RuntimeError(client.Execution(err))
	}
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = g.id
	}
	return names, nil
}

func (o *groupsOptions) deleteGroups(admin *groupAdmin) error {
	groups, err := o.selected(admin)
	if err != nil {
		return err
	}
	failed := admin.delete(groups)
	gone := slices.DeleteFunc(slices.Clone(groups), func(g string) bool { return failed[g] != nil })
	if len(failed) == 0 {
		o.Env.Printf("Deletion of requested consumer groups ('%s') was successful.\n", strings.Join(gone, ", "))
		return nil
	}
	o.printError("Deletion of some consumer groups failed:")
	for _, g := range slices.Sorted(maps.Keys(failed)) {
		err := client.Execution(failed[g])
		o.Env.Printf("* Group '%s' could not be deleted due to: %s\n", g, cli.ExceptionText(cli.JavaClass(err), err.Error()))
	}
	if len(gone) > 0 {
		o.Env.Printf("\nThese consumer groups were deleted successfully: '%s'\n", strings.Join(gone, "', '"))
	}
	return nil
}

func (o *groupsOptions) deleteGroupOffsets(admin *groupAdmin) error {
	group := o.group.Or("")
	wanted, whole, err := topicArguments(o.topic.Values())
	if err != nil {
		return err
	}
	results := map[client.TopicPartition]error{}
	found, failed := admin.PartitionsOf(whole)
	for topic, err := range failed {
		results[client.TopicPartition{Topic: topic, Partition: -1}] = err
	}
	for _, partitions := range found {
		wanted = append(wanted, partitions...)
	}
	slices.SortFunc(wanted, client.ComparePartitions)
	wanted = slices.Compact(wanted)
	errs, groupErr := admin.deleteOffsets(group, wanted)
	var first error
	for _, tp := range wanted {
		err := groupErr
		if err == nil {
			err = errs[tp]
		}
		if results[tp] = err; first == nil {
			first = err
		}
	}
	if first == nil {
		first = groupErr
	}
	switch code := deletionCode(first); code {
	case protocol.None:
		o.Env.Printf("Request succeed for deleting offsets with topic %s group %s\n", strings.Join(o.topic.Values(), ", "), group)
	case protocol.InvalidGroupID:
		o.printError("'" + group + "' is not valid.")
	case protocol.GroupIDNotFound:
		o.printError("'" + group + "' does not exist.")
	case protocol.GroupAuthorizationFailed:
		o.printError("Access to '" + group + "' is not authorized.")
	case protocol.NonEmptyGroup:
		o.printError("Deleting offsets of a consumer group '" + group + "' is forbidden if the group is not empty.")
	case protocol.GroupSubscribedToTopic, protocol.TopicAuthorizationFailed, protocol.UnknownTopicOrPartition:
		o.printError("Encounter some partition level error, see the follow-up details:")
	default:
		o.printError("Encounter some unknown error: " + code.Name())
	}
	const format = "%-30s %-15s %-15s\n"
	o.Env.Printf("\n"+format, "TOPIC", "PARTITION", "STATUS")
	for _, tp := range client.SortedPartitions(results) {
		partition, status := fmt.Sprint(tp.Partition), "Successful"
		if tp.Partition < 0 {
			partition = "Not Provided"
		}
		if err := results[tp]; err != nil {
			status = "Error: :" + cli.ExceptionText(cli.JavaClass(err), err.Error())
		}
		o.Env.Printf(format, tp.Topic, partition, status)
	}
	return nil
}

// deletionCode returns the error code for a failure of the whole call.
func deletionCode(err error) protocol.ErrorCode {
	if err != nil && cli.JavaClass(err) == "org.apache.kafka.common.errors.TimeoutException" {
		return protocol.RequestTimedOut
	}
	return protocol.CodeOf(err)
}
