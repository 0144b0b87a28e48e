package election

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
	"github.com/monedula/monedula/tools/jsoninput"
	"github.com/monedula/monedula/zkstore"
)

// PreferredTool is kafka-preferred-replica-election.
var PreferredTool = cli.Tool{
	Name:    "kafka-preferred-replica-election",
	Summary: "Elects preferred leaders. This is the tool of releases up to 2.8.",
	Run:     runPreferredElection,
}

// preferredOptions is the command line of kafka-preferred-replica-election, as in 2.8.
type preferredOptions struct {
	*cli.Options
	file, zookeeper, bootstrap, adminConfig *cli.Option
}

const preferredSummary = "This tool helps to causes leadership for each partition to be transferred back to the 'preferred replica'," +
	" it can be used to balance leadership among the servers."

func newPreferredOptions(env *cli.Env) *preferredOptions {
	o := &preferredOptions{Options: cli.NewOptions(env, "kafka-preferred-replica-election", preferredSummary)}
	o.Exact = true
	o.file = o.Value("path-to-json-file", "String: list of partitions for which preferred replica leader election needs to be triggered", "A JSON file of partitions: {\"partitions\":[{\"topic\":\"foo\",\"partition\":1}]}. (default: all partitions)")
	o.zookeeper = o.Value("zookeeper", "String: urls", "DEPRECATED. The ZooKeeper ensemble as host:port,host:port/chroot. Required unless --bootstrap-server is given.")
	o.bootstrap = o.Value("bootstrap-server", "String: host:port", "The brokers to connect to first, as host:port,host:port. Required unless --zookeeper is given.")
	o.adminConfig = o.Value("admin.config", "String: config file", "A properties file for the admin client. Requires --bootstrap-server.")
	return o
}

func (o *preferredOptions) check() error {
	switch {
	case o.adminConfig.Given() && !o.bootstrap.Given():
		return cli.BadOption{Text: "Option(s) [admin.config] are unavailable given other options on the command line", Class: "UnavailableOptionException"}
	case o.zookeeper.Given() == o.bootstrap.Given():
		return cli.UsageError{Text: "Exactly one of '[bootstrap-server]' or '[zookeeper]' must be provided"}
	}
	return o.CheckSingle()
}

func runPreferredElection(env *cli.Env, args []string) int {
	env.Println("This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405")
	o := newPreferredOptions(env)
	if len(args) == 0 {
		return o.Fail(cli.UsageError{Text: preferredSummary})
	}
	err := o.Parse(args)
	if err == nil {
		err = o.check()
	}
	if errors.As(err, new(cli.UsageError)) || errors.Is(err, cli.ErrDone) {
		return o.Fail(err)
	}
	if err == nil {
		err = o.run()
	}
	if err != nil {
		env.Uncaught(cli.AsIn28(err))
		return 1
	}
	return 0
}

func (o *preferredOptions) run() error {
	var partitions []client.TopicPartition
	if o.file.Given() {
		text, err := jsoninput.ReadFile(o.file.Or(""))
		if err != nil {
			return err
		}
		const what = "Preferred replica election data"
		if partitions, err = parseElections(text, fileWords{what: what, noPartitions: what + " is empty", listed: "%s"}); err != nil {
			return err
		}
	}
	if o.zookeeper.Given() {
		if err := o.runOverZooKeeper(partitions); err != nil {
			return cli.WithCause(cli.CommandFailed("Admin command failed"), err)
		}
		return nil
	}
	admin, err := client.NewAdmin(o.Env, "adminclient-1", o.bootstrap.Or(""), o.adminConfig.Or(""), 2*electionPatience)
	if err != nil {
		return err
	}
	defer admin.Close()
	admin.Timeout = 2 * electionPatience // overrides the file
	results, err := elect(admin, electionTypes["PREFERRED"], partitions)
	switch {
	case err == nil:
	case cli.IsTimeout(err):
		o.Env.Println("Timeout waiting for election results")
		return cli.WithCause(cli.CommandFailed("Timeout waiting for election results"), err)
	case protocol.CodeOf(err) == protocol.ClusterAuthorizationFailed:
		o.Env.Println("Not authorized to perform leader election")
		return cli.WithCause(cli.CommandFailed("Not authorized to perform leader election"), err)
	default:
		return client.Execution(err)
	}
	return o.printResults(results)
}

// printResults prints the results. As in 2.8, the line for partitions that need no election names
// those that had one.
func (o *preferredOptions) printResults(results map[client.TopicPartition]error) error {
	var done []client.TopicPartition
	for _, tp := range client.SortedPartitions(results) {
		if results[tp] == nil {
			done = append(done, tp)
		}
	}
	return printElections(o.Env, results, electionWords{
		done:   "Successfully completed preferred leader election for partitions %s",
		valid:  "Preferred replica already elected for partitions " + javatext.Join(done, ", ") + "%.0s",
		failed: "Error completing preferred leader election for partition: %s: %s", count: "%d preferred replica(s) could not be elected",
	})
}

// runOverZooKeeper writes /admin/preferred_replica_election, which the controller watches.
func (o *preferredOptions) runOverZooKeeper(partitions []client.TopicPartition) error {
	o.Env.Println("Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.")
	o.Env.Println("Use --bootstrap-server instead to specify a broker to connect to.")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	store, _, err := client.OpenStore(ctx, o.Env, o.zookeeper.Or(""))
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
	var known, valid, invalid []client.TopicPartition
	for _, name := range names {
		for partition := range nodes[name].Partitions {
			known = append(known, client.TopicPartition{Topic: name, Partition: partition})
		}
	}
	slices.SortFunc(known, client.ComparePartitions)
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
	if err := store.CreatePreferredElections(ctx, valid); errors.Is(err, zkstore.ErrNodeExists) {
		running, err := store.PreferredElections(ctx)
		if err != nil {
			return err
		}
		var texts []string
		for _, tp := range running {
			texts = append(texts, fmt.Sprintf("%s-%d", tp.Topic, tp.Partition))
		}
		return cli.AdminOperation("Preferred replica leader election currently in progress for %s. Aborting operation", strings.Join(texts, ","))
	} else if err != nil {
		return cli.AdminOperation("%s", err)
	}
	o.Env.Printf("Created preferred replica election path with %s\n", javatext.Join(valid, ","))
	o.Env.Printf("Successfully started preferred replica election for partitions %s\n", javatext.ImmutableSet(valid, client.PartitionHash))
	for _, tp := range invalid {
		o.Env.Printf("Skipping preferred replica leader election for partition %s since it doesn't exist.\n", tp)
	}
	return nil
}
