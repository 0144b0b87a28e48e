package tools

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/admin"
	"github.com/monedula/monedula/protocol"
)

var reassignTool = Tool{
	Name:    "kafka-reassign-partitions",
	Summary: "Moves replicas between brokers and log directories.",
	Run:     runReassign,
}

func runReassign(env *Env, args []string) int {
	o := newReassignOptions(env)
	if len(args) == 0 {
		return o.fail(usageError{reassignSummary})
	}
	err := o.parse(args)
	if err == nil {
		err = o.check()
	}
	switch {
	case errors.As(err, new(badOption)), errors.As(err, new(javaError)):
		env.uncaught(err)
		return 1
	case err != nil:
		return o.fail(err)
	}
	if o.bootstrap.given() {
		err = o.runOverBootstrap()
	} else {
		err = o.runOverZooKeeper()
	}
	if err == nil {
		return 0
	}
	if errors.As(err, new(plainFailure)) {
		env.println(err.Error())
	} else {
		env.printf("Error: %s\n%s\n\n", err, stack(err))
	}
	return 1
}

// reassigner implements kafka-reassign-partitions with --bootstrap-server.
type reassigner struct {
	*reassignOptions
	*adminClient
	throttleRate, dirRate, patience int64
}

func (o *reassignOptions) runOverBootstrap() error {
	if o.zookeeper.given() {
		o.env.println("Warning: ignoring deprecated --zookeeper option because --bootstrap-server was specified.  The --zookeeper option will be removed in a future version of Kafka.")
	}
	client, err := newAdminClient(o.env, "reassign-partitions-tool", o.bootstrap.or(""), o.commandConfig.or(""), adminTimeout)
	if err != nil {
		return err
	}
	defer client.Close()
	r := &reassigner{reassignOptions: o, adminClient: client}
	if o.list.given() {
		return r.listAll()
	}
	file := o.reassignmentFile
	if o.generate.given() {
		file = o.topicsFile
	}
	text, err := readInput(file.or(""))
	if err != nil {
		return err
	}
	if err := o.checkSingle(); err != nil {
		return err
	}
	for _, number := range []struct {
		opt    *option
		def    int64
		target *int64
	}{{o.throttle, -1, &r.throttleRate}, {o.dirThrottle, -1, &r.dirRate}, {o.timeout, 10000, &r.patience}} {
		if *number.target, err = o.number(number.opt, number.def); err != nil {
			return err
		}
	}
	switch {
	case o.generate.given():
		return r.propose(text)
	case o.execute.given():
		return r.start(text)
	case o.verify.given():
		return r.verifyPlan(text)
	}
	return r.cancelPlan(text)
}

func (r *reassigner) say(format string, args ...any) { r.reassignOptions.env.printf(format, args...) }

func (r *reassigner) listAll() error {
	running, err := r.reassignments(nil)
	if err != nil {
		return execution(err)
	}
	if len(running) == 0 {
		r.say("No partition reassignments found.\n")
		return nil
	}
	r.say("Current partition reassignments:\n")
	for _, tp := range sortedPartitions(running) {
		line := fmt.Sprintf("%s: replicas: %s.", tp, joined(running[tp].replicas))
		if len(running[tp].adding) > 0 {
			line += fmt.Sprintf(" adding: %s.", joined(running[tp].adding))
		}
		if len(running[tp].removing) > 0 {
			line += fmt.Sprintf(" removing: %s.", joined(running[tp].removing))
		}
		r.say("%s\n", line)
	}
	return nil
}

// assignment returns the replicas of every partition of the topics.
func (r *reassigner) assignment(topics []string) (map[topicPartition][]int32, error) {
	found, err := r.topics(topics, func(name string) error {
		return protocol.Errorf(protocol.UnknownTopicOrPartition, "Topic %s not found.", name)
	})
	if err != nil {
		return nil, execution(err)
	}
	current := map[topicPartition][]int32{}
	for topic, partitions := range found {
		for _, p := range partitions {
			current[topicPartition{topic, p.Partition}] = p.Replicas
		}
	}
	return current, nil
}

// propose prints the current replicas of the topics and a proposed assignment.
func (r *reassigner) propose(text string) error {
	ids, topics, err := parseTopicsToMove(text, r.brokerList.or(""), func(s string) string { return "[" + s + "]" })
	if err != nil {
		return err
	}
	current, err := r.assignment(hashOrder(topics, stringHash))
	if err != nil {
		return err
	}
	nodes, err := r.nodes()
	if err != nil {
		return execution(err)
	}
	var brokers []admin.Broker
	racks := 0
	for _, node := range nodes {
		if !slices.Contains(ids, node.NodeID) {
			continue
		}
		b := admin.Broker{ID: node.NodeID}
		if node.Rack != nil && !r.noRackAware.given() {
			b.Rack = node.Rack
			racks++
		}
		brokers = append(brokers, b)
	}
	if racks > 0 && racks < len(brokers) {
		return adminOperation("Not all brokers have rack information. Add --disable-rack-aware in command line to make replica assignment without rack information.")
	}
	proposed, err := propose(current, brokers)
	if err != nil {
		return err
	}
	r.say("Current partition replica assignment\n%s\n\nProposed partition reassignment configuration\n%s\n", reassignmentJSON(current), reassignmentJSON(proposed))
	return nil
}

// start starts the reassignment in a file.
func (r *reassigner) start(text string) error {
	p, err := parsePlan(text)
	if err != nil {
		return err
	}
	targets, err := p.executable()
	if err != nil {
		return err
	}
	running, err := r.reassignments(nil)
	if err != nil {
		return execution(err)
	}
	if !r.additional.given() && len(running) > 0 {
		return plainFailure{existingReassignment}
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
		for _, tp := range sortedPartitions(failed) {
			lines = append(lines, fmt.Sprintf("%s: %s", tp, failed[tp]))
		}
		return plainFailure{strings.Join(lines, "\n")}
	}
	r.say("Successfully started partition reassignment%s for %s\n", plural(len(targets)), joinedPartitions(sortedPartitions(targets), ","))
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

func rollbackText(current map[topicPartition][]int32) string {
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
	nodes, err := r.nodes()
	if err != nil {
		return execution(err)
	}
	var ids []int32
	for _, t := range p.targets {
		ids = append(ids, t.replicas...)
	}
	for _, id := range hashOrder(distinct(ids), intHash) {
		if !slices.ContainsFunc(nodes, func(n kmsg.MetadataResponseBroker) bool { return n.NodeID == id }) {
			return commandFailed("Unknown broker id %d", id)
		}
	}
	return nil
}

// currentOf returns the current replicas of the plan's partitions.
func (r *reassigner) currentOf(p plan, targets map[topicPartition][]int32) (map[topicPartition][]int32, error) {
	all, err := r.assignment(p.topics())
	if err != nil {
		return nil, err
	}
	current := map[topicPartition][]int32{}
	var missing []topicPartition
	for _, tp := range sortedPartitions(targets) {
		if replicas, found := all[tp]; found {
			current[tp] = replicas
		} else {
			missing = append(missing, tp)
		}
	}
	if len(missing) > 0 {
		return nil, execution(protocol.Errorf(protocol.UnknownTopicOrPartition, "Unable to find partition: %s",
			joinedPartitions(hashOrder(missing, partitionHash), ", ")))
	}
	return current, nil
}

// alterReassignments requests the target replicas, or cancels reassignments if replicas are nil. It
// returns the error texts of the partitions that were refused.
func (r *reassigner) alterReassignments(targets map[topicPartition][]int32) (map[topicPartition]string, error) {
	failed := map[topicPartition]string{}
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	req.TimeoutMillis = 30000
	byName := map[string][]kmsg.AlterPartitionAssignmentsRequestTopicPartition{}
	for _, tp := range sortedPartitions(targets) {
		if tp.partition < 0 {
			failed[tp] = fmt.Sprintf("The given partition index %d is not valid.", tp.partition)
			continue
		}
		one := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
		one.Partition, one.Replicas = tp.partition, targets[tp]
		byName[tp.topic] = append(byName[tp.topic], one)
	}
	for _, topic := range slices.Sorted(maps.Keys(byName)) {
		one := kmsg.NewAlterPartitionAssignmentsRequestTopic()
		one.Topic, one.Partitions = topic, byName[topic]
		req.Topics = append(req.Topics, one)
	}
	resp, err := r.call("alterPartitionReassignments", controller, req, 0, func(resp kmsg.Response) protocol.ErrorCode {
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
				failed[topicPartition{t.Topic, p.Partition}] = refusal(p.ErrorCode, p.ErrorMessage).Error()
			}
		}
	}
	if answer.ErrorCode != 0 {
		for tp := range targets {
			failed[tp] = refusal(answer.ErrorCode, answer.ErrorMessage).Error()
		}
	}
	return failed, nil
}

// verifyPlan prints the progress of the reassignment in a file.
func (r *reassigner) verifyPlan(text string) error {
	p, err := parsePlan(text)
	if err != nil {
		return err
	}
	running, err := r.reassignments(nil)
	if err != nil {
		return execution(err)
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
	if len(running) == 0 && !movesRun && !r.keepThrottle.given() {
		return r.clearThrottles(p)
	}
	return nil
}

// state is the progress of the reassignment of a partition.
type state struct {
	current, target []int32
	done            bool
}

func (r *reassigner) states(p plan, running map[topicPartition]reassignment) (map[topicPartition]state, error) {
	states := map[topicPartition]state{}
	var names []string
	for _, t := range p.targets {
		if now, found := running[t.topicPartition]; found {
			states[t.topicPartition] = state{now.replicas, t.replicas, false}
		} else {
			names = append(names, t.topic)
		}
	}
	found, err := r.topics(distinct(names), func(string) error { return nil })
	if err != nil {
		return nil, execution(err)
	}
	for _, t := range p.targets {
		if _, runs := running[t.topicPartition]; runs {
			continue
		}
		partitions := found[t.topic]
		s := state{target: t.replicas, done: true}
		i := slices.IndexFunc(partitions, func(p kmsg.MetadataResponseTopicPartition) bool { return p.Partition == t.partition })
		switch {
		case i >= 0:
			s.current = partitions[i].Replicas
		case partitions != nil && int(t.partition) <= len(partitions):
			return nil, javaError{"java.lang.IndexOutOfBoundsException", fmt.Sprintf("Index %d out of bounds for length %d", t.partition, len(partitions))}
		}
		states[t.topicPartition] = s
	}
	return states, nil
}

// statesText formats the progress of each partition. done is the word for a completed reassignment.
func statesText(states map[topicPartition]state, done string) string {
	lines := []string{"Status of partition reassignment:"}
	for _, tp := range sortedPartitions(states) {
		s := states[tp]
		switch {
		case !s.done:
			lines = append(lines, fmt.Sprintf("Reassignment of partition %s is still in progress.", tp))
		case slices.Equal(s.current, s.target):
			lines = append(lines, fmt.Sprintf("Reassignment of partition %s is %s.", tp, done))
		default:
			lines = append(lines, fmt.Sprintf("There is no active reassignment of partition %s, but replica set is %s rather than %s.", tp, joined(s.current), joined(s.target)))
		}
	}
	return strings.Join(lines, "\n")
}

// cancelPlan cancels the running reassignments of the partitions in a file. As in 2.8, this
// includes reassignments that only add replicas; 3.9.1 ignores those.
func (r *reassigner) cancelPlan(text string) error {
	p, err := parsePlan(text)
	if err != nil {
		return err
	}
	of := []topicPartition{}
	for _, t := range p.targets {
		of = append(of, t.topicPartition)
	}
	running, err := r.reassignments(distinct(of))
	if err != nil {
		return execution(err)
	}
	wishes := map[topicPartition][]int32{}
	for tp, now := range running {
		if len(now.adding) > 0 || len(now.removing) > 0 {
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
			for _, tp := range sortedPartitions(failed) {
				lines = append(lines, fmt.Sprintf("%s: %s", tp, failed[tp]))
			}
			return plainFailure{strings.Join(lines, "\n")}
		}
		r.say("Successfully cancelled partition reassignment%s for: %s\n", plural(len(wishes)), joinedPartitions(sortedPartitions(wishes), ","))
	}
	if err := r.cancelDirs(p.dirs); err != nil {
		return err
	}
	if r.keepThrottle.given() {
		return nil
	}
	return r.clearThrottles(p)
}

// propose assigns topics to brokers from scratch. Each topic starts at a random broker.
func propose(current map[topicPartition][]int32, brokers []admin.Broker) (map[topicPartition][]int32, error) {
	counts, factors := map[string]int{}, map[string]int{}
	for tp, replicas := range current {
		counts[tp.topic]++
		factors[tp.topic] = len(replicas)
	}
	proposed := map[topicPartition][]int32{}
	for _, topic := range slices.Sorted(maps.Keys(counts)) {
		lists, err := admin.AssignReplicas(brokers, counts[topic], factors[topic], randomPlacement(len(brokers)))
		if err != nil {
			return nil, err
		}
		for i, replicas := range lists {
			proposed[topicPartition{topic, int32(i)}] = replicas
		}
	}
	return proposed, nil
}

// brokerResource is the dynamic configuration of a broker.
func brokerResource(id int32) resource {
	return resource{kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(id))}
}
