// Package reassign implements kafka-reassign-partitions.
package reassign

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/admin"
	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
	"github.com/monedula/monedula/tools/jsoninput"
)

// Tool is kafka-reassign-partitions.
var Tool = cli.Tool{
	Name:    "kafka-reassign-partitions",
	Summary: "Moves replicas between brokers and log directories.",
	Run:     run,
}

func run(env *cli.Env, args []string) int {
	o := newOptions(env)
	if len(args) == 0 {
		return o.Fail(cli.UsageError{Text: summary})
	}
	err := o.Parse(args)
	if err == nil {
		err = o.check()
	}
	switch {
	case errors.As(err, new(cli.BadOption)), errors.As(err, new(cli.JavaError)):
		env.Uncaught(err)
		return 1
	case err != nil:
		return o.Fail(err)
	}
	if o.bootstrap.Given() {
		err = o.runOverBootstrap()
	} else {
		err = o.runOverZooKeeper()
	}
	if err == nil {
		return 0
	}
	if errors.As(err, new(cli.PlainFailure)) {
		env.Println(err.Error())
	} else {
		env.Printf("Error: %s\n%s\n\n", err, cli.Stack(err))
	}
	return 1
}

// reassigner implements kafka-reassign-partitions with --bootstrap-server.
type reassigner struct {
	*options
	*client.Admin
	throttleRate int64 // bytes per second between brokers; negative: no throttle
	dirRate      int64 // bytes per second between log directories; negative: no throttle
	patience     int64 // in ms: how long to wait until moves between log directories have started
}

func (o *options) runOverBootstrap() error {
	if o.zookeeper.Given() {
		o.Env.Println("Warning: ignoring deprecated --zookeeper option because --bootstrap-server was specified.  The --zookeeper option will be removed in a future version of Kafka.")
	}
	client, err := client.NewAdmin(o.Env, "reassign-partitions-tool", o.bootstrap.Or(""), o.commandConfig.Or(""), client.AdminTimeout)
	if err != nil {
		return err
	}
	defer client.Close()
	r := &reassigner{options: o, Admin: client}
	if o.list.Given() {
		return r.listAll()
	}
	file := o.reassignmentFile
	if o.generate.Given() {
		file = o.topicsFile
	}
	text, err := jsoninput.ReadFile(file.Or(""))
	if err != nil {
		return err
	}
	if err := o.CheckSingle(); err != nil {
		return err
	}
	for _, number := range []struct {
		opt    *cli.Option
		def    int64
		target *int64
	}{{o.throttle, -1, &r.throttleRate}, {o.dirThrottle, -1, &r.dirRate}, {o.timeout, 10000, &r.patience}} {
		if *number.target, err = o.Number(number.opt, number.def); err != nil {
			return err
		}
	}
	switch {
	case o.generate.Given():
		return r.propose(text)
	case o.execute.Given():
		return r.start(text)
	case o.verify.Given():
		return r.verifyPlan(text)
	}
	return r.cancelPlan(text)
}

func (r *reassigner) say(format string, args ...any) { r.options.Env.Printf(format, args...) }

func (r *reassigner) listAll() error {
	running, err := r.Reassignments(nil)
	if err != nil {
		return client.Execution(err)
	}
	if r.WantsDocument() {
		r.PrintDocument(listDocument(running))
		return nil
	}
	if len(running) == 0 {
		r.say("No partition reassignments found.\n")
		return nil
	}
	r.say("Current partition reassignments:\n")
	for _, tp := range client.SortedPartitions(running) {
		line := fmt.Sprintf("%s: replicas: %s.", tp, javatext.Join(running[tp].Replicas, ","))
		if len(running[tp].Adding) > 0 {
			line += fmt.Sprintf(" adding: %s.", javatext.Join(running[tp].Adding, ","))
		}
		if len(running[tp].Removing) > 0 {
			line += fmt.Sprintf(" removing: %s.", javatext.Join(running[tp].Removing, ","))
		}
		r.say("%s\n", line)
	}
	return nil
}

// assignment returns the replicas of every partition of the topics.
func (r *reassigner) assignment(topics []string) (map[client.TopicPartition][]metadata.BrokerID, error) {
	found, err := r.Topics(topics, func(name string) error {
		return protocol.Errorf(protocol.UnknownTopicOrPartition, "Topic %s not found.", name)
	})
	if err != nil {
		return nil, client.Execution(err)
	}
	current := map[client.TopicPartition][]metadata.BrokerID{}
	for topic, partitions := range found {
		for _, p := range partitions {
			current[client.TopicPartition{Topic: topic, Partition: p.Partition}] = metadata.BrokerIDs(p.Replicas)
		}
	}
	return current, nil
}

// propose prints the current replicas of the topics in text, the content of a topics file, and a
// proposed assignment.
func (r *reassigner) propose(text string) error {
	ids, topics, err := parseTopicsToMove(text, r.brokerList.Or(""), func(s string) string { return "[" + s + "]" })
	if err != nil {
		return err
	}
	current, err := r.assignment(javatext.HashMapOrder(topics, javatext.StringHash))
	if err != nil {
		return err
	}
	nodes, err := r.Nodes()
	if err != nil {
		return client.Execution(err)
	}
	var brokers []admin.Broker
	racks := 0
	for _, node := range nodes {
		b := admin.Broker{ID: metadata.BrokerID(node.NodeID)}
		if !slices.Contains(ids, b.ID) {
			continue
		}
		if node.Rack != nil && !r.noRackAware.Given() {
			b.Rack = node.Rack
			racks++
		}
		brokers = append(brokers, b)
	}
	if racks > 0 && racks < len(brokers) {
		return cli.AdminOperation("Not all brokers have rack information. Add --disable-rack-aware in command line to make replica assignment without rack information.")
	}
	proposed, err := propose(current, brokers)
	if err != nil {
		return err
	}
	r.say("Current partition replica assignment\n%s\n\nProposed partition reassignment configuration\n%s\n", reassignmentJSON(current), reassignmentJSON(proposed))
	return nil
}

// start starts the reassignment that text, the content of a plan file, describes.
func (r *reassigner) start(text string) error {
	p, err := parsePlan(text)
	if err != nil {
		return err
	}
	targets, err := p.executable()
	if err != nil {
		return err
	}
	running, err := r.Reassignments(nil)
	if err != nil {
		return client.Execution(err)
	}
	if !r.additional.Given() && len(running) > 0 {
		return cli.PlainFailure{Text: existingReassignment}
	}
	if err := r.checkBrokers(p); err != nil {
		return err
	}
	current, err := r.currentOf(p, targets)
	if err != nil {
		return err
	}
	r.say("%s\n", rollbackText(current))
	if r.throttleRate >= 0 || r.dirRate >= 0 {
		r.say("%s\n", verifyWarning)
		if err := r.throttleMoves(p, moves(running, targets, current)); err != nil {
			return err
		}
	}
	failed, err := r.alterReassignments(targets)
	if err != nil {
		return err
	}
	if len(failed) > 0 {
		lines := []string{"Error reassigning partition(s):"}
		for _, tp := range client.SortedPartitions(failed) {
			lines = append(lines, fmt.Sprintf("%s: %s", tp, failed[tp]))
		}
		return cli.PlainFailure{Text: strings.Join(lines, "\n")}
	}
	r.say("Successfully started partition reassignment%s for %s\n", plural(len(targets)), javatext.Join(client.SortedPartitions(targets), ","))
	if len(p.dirs) > 0 {
		return r.moveDirs(p.dirs)
	}
	return nil
}

const (
	existingReassignment = "Cannot execute because there is an existing partition assignment.  Use --additional to override this and " +
		"create a new partition assignment in addition to the existing one. The --additional flag can also be used to change " +
		"the throttle by resubmitting the current reassignment."
	verifyWarning = "Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle is removed."
)

func rollbackText(current map[client.TopicPartition][]metadata.BrokerID) string {
	return "Current partition replica assignment\n\n" + reassignmentJSON(current) + "\n\nSave this to use as the --reassignment-json-file option during rollback"
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// checkBrokers returns an error if a broker of the plan does not exist.
func (r *reassigner) checkBrokers(p plan) error {
	nodes, err := r.Nodes()
	if err != nil {
		return client.Execution(err)
	}
	var ids []metadata.BrokerID
	for _, t := range p.targets {
		ids = append(ids, t.replicas...)
	}
	for _, id := range javatext.HashMapOrder(client.Distinct(ids), javatext.IntHash) {
		if !slices.ContainsFunc(nodes, func(n kmsg.MetadataResponseBroker) bool { return metadata.BrokerID(n.NodeID) == id }) {
			return cli.CommandFailed("Unknown broker id %d", id)
		}
	}
	return nil
}

// currentOf returns the current replicas of the plan's partitions.
func (r *reassigner) currentOf(p plan, targets map[client.TopicPartition][]metadata.BrokerID) (map[client.TopicPartition][]metadata.BrokerID, error) {
	all, err := r.assignment(p.topics())
	if err != nil {
		return nil, err
	}
	current := map[client.TopicPartition][]metadata.BrokerID{}
	var missing []client.TopicPartition
	for _, tp := range client.SortedPartitions(targets) {
		if replicas, found := all[tp]; found {
			current[tp] = replicas
		} else {
			missing = append(missing, tp)
		}
	}
	if len(missing) > 0 {
		return nil, client.Execution(protocol.Errorf(protocol.UnknownTopicOrPartition, "Unable to find partition: %s",
			javatext.Join(javatext.HashMapOrder(missing, client.PartitionHash), ", ")))
	}
	return current, nil
}

// alterReassignments sends targets to the controller. A nil list cancels the partition's
// reassignment. The result has the error text of each partition that was refused.
func (r *reassigner) alterReassignments(targets map[client.TopicPartition][]metadata.BrokerID) (map[client.TopicPartition]string, error) {
	failed := map[client.TopicPartition]string{}
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	req.TimeoutMillis = 30000
	byName := map[string][]kmsg.AlterPartitionAssignmentsRequestTopicPartition{}
	for _, tp := range client.SortedPartitions(targets) {
		if tp.Partition < 0 {
			failed[tp] = fmt.Sprintf("The given partition index %d is not valid.", tp.Partition)
			continue
		}
		one := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
		one.Partition, one.Replicas = tp.Partition, metadata.Int32s(targets[tp])
		byName[tp.Topic] = append(byName[tp.Topic], one)
	}
	for _, topic := range slices.Sorted(maps.Keys(byName)) {
		one := kmsg.NewAlterPartitionAssignmentsRequestTopic()
		one.Topic, one.Partitions = topic, byName[topic]
		req.Topics = append(req.Topics, one)
	}
	resp, err := r.Send("alterPartitionReassignments", client.Controller, req, 0, func(resp kmsg.Response) protocol.ErrorCode {
		return protocol.ErrorCode(resp.(*kmsg.AlterPartitionAssignmentsResponse).ErrorCode)
	})
	if err != nil {
		// In Kafka's client, the future of every partition fails with this error.
		for tp := range targets {
			failed[tp] = err.Error()
		}
		return failed, nil
	}
	answer := resp.(*kmsg.AlterPartitionAssignmentsResponse)
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				failed[client.TopicPartition{Topic: t.Topic, Partition: p.Partition}] = client.Refusal(p.ErrorCode, p.ErrorMessage).Error()
			}
		}
	}
	if answer.ErrorCode != 0 {
		for tp := range targets {
			failed[tp] = client.Refusal(answer.ErrorCode, answer.ErrorMessage).Error()
		}
	}
	return failed, nil
}

// verifyPlan prints the progress of the reassignment that text, the content of a plan file,
// describes. If no reassignment and no move is running, it removes the throttles, unless
// --preserve-throttles is given.
func (r *reassigner) verifyPlan(text string) error {
	p, err := parsePlan(text)
	if err != nil {
		return err
	}
	running, err := r.Reassignments(nil)
	if err != nil {
		return client.Execution(err)
	}
	states, err := r.states(p, running)
	if err != nil {
		return err
	}
	r.say("%s\n", statesText(states, "completed"))
	movesRun, err := r.verifyDirs(p.dirs)
	if err != nil {
		return err
	}
	if len(running) == 0 && !movesRun && !r.keepThrottle.Given() {
		return r.clearThrottles(p)
	}
	return nil
}

// state is the progress of the reassignment of a partition.
type state struct {
	current, target []metadata.BrokerID
	done            bool
}

func (r *reassigner) states(p plan, running map[client.TopicPartition]client.Reassignment) (map[client.TopicPartition]state, error) {
	states := map[client.TopicPartition]state{}
	var names []string
	for _, t := range p.targets {
		if now, found := running[t.TopicPartition]; found {
			states[t.TopicPartition] = state{now.Replicas, t.replicas, false}
		} else {
			names = append(names, t.Topic)
		}
	}
	found, err := r.Topics(client.Distinct(names), func(string) error { return nil })
	if err != nil {
		return nil, client.Execution(err)
	}
	for _, t := range p.targets {
		if _, runs := running[t.TopicPartition]; runs {
			continue
		}
		partitions := found[t.Topic]
		s := state{target: t.replicas, done: true}
		i := slices.IndexFunc(partitions, func(p kmsg.MetadataResponseTopicPartition) bool { return p.Partition == t.Partition })
		switch {
		case i >= 0:
			s.current = metadata.BrokerIDs(partitions[i].Replicas)
		case partitions != nil && int(t.Partition) <= len(partitions):
			return nil, cli.NewJavaError("java.lang.IndexOutOfBoundsException", fmt.Sprintf("Index %d out of bounds for length %d", t.Partition, len(partitions)))
		}
		states[t.TopicPartition] = s
	}
	return states, nil
}

// statesText formats the progress of each partition. done is the word for a completed reassignment.
func statesText(states map[client.TopicPartition]state, done string) string {
	lines := []string{"Status of partition reassignment:"}
	for _, tp := range client.SortedPartitions(states) {
		s := states[tp]
		switch {
		case !s.done:
			lines = append(lines, fmt.Sprintf("Reassignment of partition %s is still in progress.", tp))
		case slices.Equal(s.current, s.target):
			lines = append(lines, fmt.Sprintf("Reassignment of partition %s is %s.", tp, done))
		default:
			lines = append(lines, fmt.Sprintf("There is no active reassignment of partition %s, but replica set is %s rather than %s.", tp, javatext.Join(s.current, ","), javatext.Join(s.target, ",")))
		}
	}
	return strings.Join(lines, "\n")
}

// cancelPlan cancels the running reassignments of the partitions in text, the content of a plan
// file. As in 2.8, this includes reassignments that only add replicas; 3.9.1 ignores those.
func (r *reassigner) cancelPlan(text string) error {
	p, err := parsePlan(text)
	if err != nil {
		return err
	}
	of := []client.TopicPartition{}
	for _, t := range p.targets {
		of = append(of, t.TopicPartition)
	}
	running, err := r.Reassignments(client.Distinct(of))
	if err != nil {
		return client.Execution(err)
	}
	wishes := map[client.TopicPartition][]metadata.BrokerID{}
	for tp, now := range running {
		if len(now.Adding) > 0 || len(now.Removing) > 0 {
			wishes[tp] = nil
		}
	}
	if len(wishes) == 0 {
		r.say("None of the specified partition reassignments are active.\n")
	} else {
		failed, err := r.alterReassignments(wishes)
		if err != nil {
			return err
		}
		if len(failed) > 0 {
			lines := []string{fmt.Sprintf("Error cancelling partition reassignment%s for:", plural(len(failed)))}
			for _, tp := range client.SortedPartitions(failed) {
				lines = append(lines, fmt.Sprintf("%s: %s", tp, failed[tp]))
			}
			return cli.PlainFailure{Text: strings.Join(lines, "\n")}
		}
		r.say("Successfully cancelled partition reassignment%s for: %s\n", plural(len(wishes)), javatext.Join(client.SortedPartitions(wishes), ","))
	}
	if err := r.cancelDirs(p.dirs); err != nil {
		return err
	}
	if r.keepThrottle.Given() {
		return nil
	}
	return r.clearThrottles(p)
}

// propose assigns topics to brokers from scratch. Each topic starts at a random broker.
func propose(current map[client.TopicPartition][]metadata.BrokerID, brokers []admin.Broker) (map[client.TopicPartition][]metadata.BrokerID, error) {
	counts, factors := map[string]int{}, map[string]int{}
	for tp, replicas := range current {
		counts[tp.Topic]++
		factors[tp.Topic] = len(replicas)
	}
	proposed := map[client.TopicPartition][]metadata.BrokerID{}
	for _, topic := range slices.Sorted(maps.Keys(counts)) {
		lists, err := admin.AssignReplicas(brokers, counts[topic], factors[topic], randomPlacement(len(brokers)))
		if err != nil {
			return nil, err
		}
		for i, replicas := range lists {
			proposed[client.TopicPartition{Topic: topic, Partition: int32(i)}] = replicas
		}
	}
	return proposed, nil
}

// brokerResource returns the resource of a broker's dynamic configuration.
func brokerResource(id metadata.BrokerID) client.Resource {
	return client.Resource{Kind: kmsg.ConfigResourceTypeBroker, Name: strconv.Itoa(int(id))}
}
