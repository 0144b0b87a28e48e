package tools

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

var preferredElectionTool = Tool{
	Name:    "kafka-preferred-replica-election",
	Summary: "Elects preferred leaders. This is the tool of releases up to 2.8.",
	Run:     runPreferredElection,
}

// preferredOptions is the command line of kafka-preferred-replica-election, as in 2.8.
type preferredOptions struct {
	*options
	file, zookeeper, bootstrap, adminConfig *option
}

const preferredSummary = "This tool helps to causes leadership for each partition to be transferred back to the 'preferred replica'," +
	" it can be used to balance leadership among the servers."

func newPreferredOptions(env *Env) *preferredOptions {
	o := &preferredOptions{options: newOptions(env, "kafka-preferred-replica-election", preferredSummary)}
	o.exact = true
	o.file = o.value("path-to-json-file", "String: list of partitions for which preferred replica leader election needs to be triggered", "A JSON file of partitions: {\"partitions\":[{\"topic\":\"foo\",\"partition\":1}]}. (default: all partitions)")
	o.zookeeper = o.value("zookeeper", "String: urls", "DEPRECATED. The ZooKeeper ensemble as host:port,host:port/chroot. Required unless --bootstrap-server is given.")
	o.bootstrap = o.value("bootstrap-server", "String: host:port", "The brokers to connect to first, as host:port,host:port. Required unless --zookeeper is given.")
	o.adminConfig = o.value("admin.config", "String: config file", "A properties file for the admin client. Requires --bootstrap-server.")
	return o
}

func (o *preferredOptions) check() error {
	switch {
	case o.adminConfig.given() && !o.bootstrap.given():
		return badOption{"Option(s) [admin.config] are unavailable given other options on the command line", "UnavailableOptionException"}
	case o.zookeeper.given() == o.bootstrap.given():
		return usageError{"Exactly one of '[bootstrap-server]' or '[zookeeper]' must be provided"}
	}
	return o.checkSingle()
}

func runPreferredElection(env *Env, args []string) int {
	env.println("This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405")
	o := newPreferredOptions(env)
	if len(args) == 0 {
		return o.fail(usageError{preferredSummary})
	}
	err := o.parse(args)
	if err == nil {
		err = o.check()
	}
	if errors.As(err, new(usageError)) || errors.Is(err, errDone) {
		return o.fail(err)
	}
	if err == nil {
		err = o.run()
	}
	if err != nil {
		env.uncaught(asIn28(err))
		return 1
	}
	return 0
}

func (o *preferredOptions) run() error {
	var partitions []topicPartition
	if o.file.given() {
		text, err := readInput(o.file.or(""))
		if err != nil {
			return err
		}
		const what = "Preferred replica election data"
		if partitions, err = parseElections(text, what, what+" is empty", "%s"); err != nil {
			return err
		}
	}
	if o.zookeeper.given() {
		if err := o.runOverZooKeeper(partitions); err != nil {
			return caused{commandFailed("Admin command failed"), err}
		}
		return nil
	}
	client, err := newAdminClient(o.env, "adminclient-1", o.bootstrap.or(""), o.adminConfig.or(""), 2*electionPatience)
	if err != nil {
		return err
	}
	defer client.Close()
	client.timeout = 2 * electionPatience // overrides the file
	results, err := elect(client, electionTypes["PREFERRED"], partitions)
	switch {
	case err == nil:
	case isTimeout(err):
		o.env.println("Timeout waiting for election results")
		return caused{commandFailed("Timeout waiting for election results"), err}
	case protocol.CodeOf(err) == protocol.ClusterAuthorizationFailed:
		o.env.println("Not authorized to perform leader election")
		return caused{commandFailed("Not authorized to perform leader election"), err}
	default:
		return execution(err)
	}
	return o.printResults(results)
}

// printResults prints the results. As in 2.8, the line for partitions that need no election names
// those that had one.
func (o *preferredOptions) printResults(results map[topicPartition]error) error {
	var done []topicPartition
	for _, tp := range sortedPartitions(results) {
		if results[tp] == nil {
			done = append(done, tp)
		}
	}
	return printElections(o.env, results, electionWords{
		done:   "Successfully completed preferred leader election for partitions %s",
		valid:  "Preferred replica already elected for partitions " + joinedPartitions(done, ", ") + "%.0s",
		failed: "Error completing preferred leader election for partition: %s: %s", count: "%d preferred replica(s) could not be elected",
	})
}

// runOverZooKeeper writes /admin/preferred_replica_election, which the controller watches.
func (o *preferredOptions) runOverZooKeeper(partitions []topicPartition) error {
	o.env.println("Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.")
	o.env.println("Use --bootstrap-server instead to specify a broker to connect to.")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	store, _, err := openStore(ctx, o.env, o.zookeeper.or(""))
	if err != nil {
		return err
	}
	defer store.Close()
	names, err := store.TopicNames(ctx)
	if err != nil {
		return err
	}
	nodes, err := store.TopicNodes(ctx, names)
	if err != nil {
		return err
	}
	var known, valid, invalid []topicPartition
	for _, name := range names {
		for partition := range nodes[name].Partitions {
			known = append(known, topicPartition{name, partition})
		}
	}
	slices.SortFunc(known, comparePartitions)
	valid = known
	if partitions != nil {
		valid = nil
		for _, tp := range partitions {
			if slices.Contains(known, tp) {
				valid = append(valid, tp)
			} else {
				invalid = append(invalid, tp)
			}
		}
	}
	wish := make([]zkstore.TopicPartition, len(valid))
	for i, tp := range valid {
		wish[i] = zkstore.TopicPartition{Topic: tp.topic, Partition: tp.partition}
	}
	if err := store.CreatePreferredElections(ctx, wish); errors.Is(err, zkstore.ErrNodeExists) {
		running, err := store.PreferredElections(ctx)
		if err != nil {
			return err
		}
		var texts []string
		for _, tp := range running {
			texts = append(texts, fmt.Sprintf("%s-%d", tp.Topic, tp.Partition))
		}
		return adminOperation("Preferred replica leader election currently in progress for %s. Aborting operation", strings.Join(texts, ","))
	} else if err != nil {
		return adminOperation("%s", err)
	}
	o.env.printf("Created preferred replica election path with %s\n", joinedPartitions(valid, ","))
	o.env.printf("Successfully started preferred replica election for partitions %s\n", partitionSet(valid))
	for _, tp := range invalid {
		o.env.printf("Skipping preferred replica leader election for partition %s since it doesn't exist.\n", tp)
	}
	return nil
}

// partitionSet formats partitions like a Scala set.
func partitionSet(partitions []topicPartition) string {
	kind := "Set"
	if len(partitions) > 4 {
		kind = "HashSet"
	}
	return kind + "(" + joinedPartitions(partitions, ", ") + ")"
}
