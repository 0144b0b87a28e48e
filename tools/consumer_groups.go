package tools

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/monedula/monedula/protocol"
)

var consumerGroupsTool = Tool{
	Name:    "kafka-consumer-groups",
	Summary: "Lists, describes and deletes consumer groups, and resets their offsets.",
	Run:     runConsumerGroups,
}

const consumerGroupClass = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"

type groupsOptions struct {
	*options
	bootstrap, group, topic, timeout, config     *option
	allTopics, allGroups                         *option
	list, describe, delete, reset, deleteOffsets *option
	dryRun, execute, export                      *option
	toOffset, fromFile, toDatetime, byDuration   *option
	toEarliest, toLatest, toCurrent, shiftBy     *option
	members, verbose, offsets, state, kind       *option
}

func newGroupsOptions(env *Env) *groupsOptions {
	o := &groupsOptions{options: newOptions(env, "kafka-consumer-groups", "This tool helps to list all consumer groups, describe a consumer group, delete consumer group info, or reset consumer group offsets.")}
	o.bootstrap = o.value("bootstrap-server", "String: server to connect to", "REQUIRED: The brokers to connect to first, as HOST1:PORT1,HOST2:PORT2.")
	o.group = o.value("group", "String: consumer group", "The consumer group. May be repeated.")
	o.topic = o.value("topic", "String: topic", "The topic whose offsets are reset or deleted, or some of its partitions, as topic:0,1,2. May be repeated.")
	o.allTopics = o.toggle("all-topics", "Reset the offsets of all topics for which the group has committed offsets.")
	o.list = o.toggle("list", "List the groups.")
	o.describe = o.toggle("describe", "Describe groups, with the lag of each partition.")
	o.allGroups = o.toggle("all-groups", "Apply the action to all groups.")
	o.delete = o.toggle("delete", "Delete groups and all their offsets.")
	o.timeout = o.value("timeout", "Long: timeout (ms)", "The time limit for each call, in ms. (default: 5000)")
	o.config = o.value("command-config", "String: command config property file", "A properties file for the admin client.")
	o.reset = o.toggle("reset-offsets", "Reset the offsets of groups without members. Only shows the new offsets unless --execute is given. "+
		"Select the new offsets with one of --to-datetime, --by-duration, --to-earliest, --to-latest, --shift-by, --from-file, --to-current, --to-offset. Select the partitions with --all-topics or --topic, except with --from-file.")
	o.deleteOffsets = o.toggle("delete-offsets", "Delete the offsets of a group for the given topics.")
	o.dryRun = o.toggle("dry-run", "Show what --reset-offsets would do.")
	o.execute = o.toggle("execute", "Apply the reset of --reset-offsets.")
	o.export = o.toggle("export", "Print the new offsets of --reset-offsets as CSV, for use with --from-file.")
	o.toOffset = o.value("to-offset", "Long: offset", "Reset to this offset.")
	o.fromFile = o.value("from-file", "String: path to CSV file", "Reset to the offsets in a CSV file, with lines topic,partition,offset for one group or group,topic,partition,offset for several groups.")
	o.toDatetime = o.value("to-datetime", "String: datetime", "Reset to the first records at or after a time, as 'YYYY-MM-DDTHH:mm:SS.sss'. The time is in UTC unless an offset such as +02:00 follows.")
	o.byDuration = o.value("by-duration", "String: duration", "Reset to the first records of the given duration before now, as 'PnDTnHnMnS'.")
	o.toEarliest = o.toggle("to-earliest", "Reset to the earliest offset.")
	o.toLatest = o.toggle("to-latest", "Reset to the latest offset.")
	o.toCurrent = o.toggle("to-current", "Reset to the committed offset.")
	o.shiftBy = o.value("shift-by", "Long: number-of-offsets", "Move the committed offset forward by N, or back if N is negative.")
	o.members = o.toggle("members", "Describe the members.").onlyWith(o.describe)
	o.verbose = o.toggle("verbose", "Describe the members with their partitions.").onlyWith(o.describe)
	o.offsets = o.toggle("offsets", "Describe the offsets. This is the default of --describe.").onlyWith(o.describe)
	o.state = o.maybeValue("state", "String", "With --describe, show the state of groups. With --list, show the states, and list only groups in the given states, separated by commas.").onlyWith(o.describe, o.list)
	o.kind = o.maybeValue("type", "String", "List groups with their types, and only those of the given types, separated by commas.").onlyWith(o.list)
	return o
}

func runConsumerGroups(env *Env, args []string) int {
	o := newGroupsOptions(env)
	if len(args) == 0 {
		return o.fail(usageError{o.summary})
	}
	if err := o.parse(args); err != nil {
		return o.failUncaught(err)
	}
	if err := o.check(); err != nil {
		return o.fail(err)
	}
	err := o.run()
	var usage usageError
	if errors.As(err, &usage) {
		return o.fail(err)
	}
	if err != nil {
		// Kafka's tool also exits with 0 here.
		o.printError("Executing consumer group command failed due to " + err.Error())
		env.complainf("%s", stack(err))
	}
	return 0
}

func (o *groupsOptions) printError(text string) { o.env.printf("\nError: %s\n", text) }

// check rejects invalid combinations of options with the texts of Kafka's tool.
func (o *groupsOptions) check() error {
	if err := o.require(o.bootstrap); err != nil {
		return err
	}
	someGroup := o.group.given() || o.allGroups.given()
	switch {
	case o.describe.given() && !someGroup:
		return usageError{"Option [describe] takes one of these options: [reset-offsets], [describe], [delete], [list]"}
	case o.describe.given() && countGiven(o.members, o.offsets, o.state) > 1:
		return usageError{"Option [describe] takes at most one of these options: [members], [offsets], [state]"}
	case o.describe.given() && o.state.or("") != "":
		return usageError{"Option [describe] does not take a value for [state]"}
	case o.delete.given() && !someGroup:
		return usageError{"Option [delete] takes one of these options: [all-groups], [group]"}
	case o.delete.given() && o.topic.given():
		return usageError{"The consumer does not support topic-specific offset deletion from a consumer group."}
	case o.deleteOffsets.given() && !(o.group.given() && o.topic.given()):
		return usageError{"Option [delete-offsets] takes the following options: [all-groups], [group]"}
	}
	if o.reset.given() {
		if err := o.checkReset(someGroup); err != nil {
			return err
		}
	}
	if err := o.exclude(o.group, o.allGroups, o.list); err != nil {
		return err
	}
	if err := o.exclude(o.topic, o.describe, o.list); err != nil {
		return err
	}
	if countGiven(o.list, o.describe, o.delete, o.reset, o.deleteOffsets) != 1 {
		return usageError{"Command must include exactly one action: --list, --describe, --delete, --reset-offsets, --delete-offsets"}
	}
	return nil
}

func (o *groupsOptions) checkReset(someGroup bool) error {
	if o.dryRun.given() && o.execute.given() {
		return usageError{"Option [reset-offsets] only accepts one of [execute] and [dry-run]"}
	}
	if !o.dryRun.given() && !o.execute.given() {
		o.env.complainf("WARN: No action will be performed as the --execute option is missing." +
			"In a future major release, the default behavior of this command will be to prompt the user before " +
			"executing the reset rather than doing a dry run. You should add the --dry-run option explicitly " +
			"if you are scripting this command and want to keep the current default behavior without prompting.")
	}
	if !someGroup {
		return usageError{"Option [reset-offsets] takes one of these options: [all-groups], [group]"}
	}
	// In the order in which Kafka's tool checks them.
	all := []*option{o.toOffset, o.toCurrent, o.toDatetime, o.fromFile, o.byDuration, o.toEarliest, o.toLatest, o.shiftBy}
	for _, one := range []*option{o.toOffset, o.toDatetime, o.byDuration, o.toEarliest, o.toLatest, o.toCurrent, o.shiftBy, o.fromFile} {
		others := slices.DeleteFunc(slices.Clone(all), func(other *option) bool { return other == one })
		if err := o.exclude(one, others...); err != nil {
			return err
		}
	}
	return nil
}

func countGiven(opts ...*option) int {
	n := 0
	for _, opt := range opts {
		if opt.given() {
			n++
		}
	}
	return n
}

func (o *groupsOptions) run() error {
	props, err := loadProperties(o.config.or(""))
	if err != nil {
		return runtimeError(err)
	}
	if err := plainOnly(props); err != nil {
		return err
	}
	servers, err := parseBootstrap(o.bootstrap.or(""))
	if err != nil {
		return caused{javaError{"org.apache.kafka.common.KafkaException", "Failed to create new KafkaAdminClient"}, configError(err.Error())}
	}
	states, kinds, err := o.filters()
	if err != nil {
		return err
	}
	timeout, err := o.number(o.timeout, 5000)
	if err != nil {
		return err
	}
	admin := &groupAdmin{&adminClient{env: o.env, id: "adminclient-1", servers: servers, timeout: millis(timeout)}}
	defer admin.Close()
	switch {
	case o.list.given():
		return o.printGroups(admin, states, kinds)
	case o.delete.given():
		return o.deleteGroups(admin)
	case o.deleteOffsets.given():
		return o.deleteGroupOffsets(admin)
	case o.reset.given():
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
	if !o.list.given() {
		return nil, nil, nil
	}
	if kinds, err = oneOf(o.kind.or(""), groupKinds, "Invalid types list '%s'. Valid types are: %s", strings.ToLower); err != nil {
		return nil, nil, err
	}
	states, err = oneOf(o.state.or(""), groupStates, "Invalid state list '%s'. Valid states are: %s", func(s string) string { return s })
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
			return nil, usageError{fmt.Sprintf(complaint, shown(text), strings.Join(names, ", "))}
		}
		found = append(found, names[i])
	}
	return found, nil
}

func (o *groupsOptions) printGroups(admin *groupAdmin, states, kinds []string) error {
	groups, err := admin.list(states, kinds)
	plain := !o.state.given() && !o.kind.given()
	switch {
	case err != nil && plain:
		return runtimeError(execution(err))
	case err != nil:
		return execution(err)
	}
	width := 15
	for _, g := range groups {
		width = max(width, len(g.id))
	}
	row := func(id, kind, state string) {
		if plain {
			o.env.println(id)
			return
		}
		o.env.printf("%-*s", width+10, id)
		if o.kind.given() {
			o.env.printf(" %-20s", kind)
		}
		if o.state.given() {
			o.env.printf(" %-20s", state)
		}
		o.env.println()
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
	if !o.allGroups.given() {
		return slices.Compact(slices.Sorted(slices.Values(o.group.values()))), nil
	}
	groups, err := admin.list(nil, nil)
	if err != nil {
		return nil, runtimeError(execution(err))
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
		o.env.printf("Deletion of requested consumer groups ('%s') was successful.\n", strings.Join(gone, ", "))
		return nil
	}
	o.printError("Deletion of some consumer groups failed:")
	for _, g := range slices.Sorted(maps.Keys(failed)) {
		err := execution(failed[g])
		o.env.printf("* Group '%s' could not be deleted due to: %s\n", g, exception(javaClass(err), err.Error()))
	}
	if len(gone) > 0 {
		o.env.printf("\nThese consumer groups were deleted successfully: '%s'\n", strings.Join(gone, "', '"))
	}
	return nil
}

func (o *groupsOptions) deleteGroupOffsets(admin *groupAdmin) error {
	group := o.group.or("")
	wanted, whole, err := topicArguments(o.topic.values())
	if err != nil {
		return err
	}
	results := map[topicPartition]error{}
	found, failed := admin.partitionsOf(whole)
	for topic, err := range failed {
		results[topicPartition{topic, -1}] = err
	}
	for _, partitions := range found {
		wanted = append(wanted, partitions...)
	}
	slices.SortFunc(wanted, comparePartitions)
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
		o.env.printf("Request succeed for deleting offsets with topic %s group %s\n", strings.Join(o.topic.values(), ", "), group)
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
	o.env.printf("\n"+format, "TOPIC", "PARTITION", "STATUS")
	for _, tp := range sortedPartitions(results) {
		partition, status := fmt.Sprint(tp.partition), "Successful"
		if tp.partition < 0 {
			partition = "Not Provided"
		}
		if err := results[tp]; err != nil {
			status = "Error: :" + exception(javaClass(err), err.Error())
		}
		o.env.printf(format, tp.topic, partition, status)
	}
	return nil
}

// deletionCode returns the error code for a failure of the whole call.
func deletionCode(err error) protocol.ErrorCode {
	if err != nil && javaClass(err) == "org.apache.kafka.common.errors.TimeoutException" {
		return protocol.RequestTimedOut
	}
	return protocol.CodeOf(err)
}
