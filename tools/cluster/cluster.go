// Package cluster implements kafka-cluster and kafka-broker-api-versions.
package cluster

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// Tool is kafka-cluster.
var Tool = cli.Tool{
	Name:    "kafka-cluster",
	Summary: "Prints the id of a cluster.",
	Run:     runCluster,
}

const (
	clusterUsage = "usage: kafka-cluster [-h] {cluster-id,unregister} ..."
	clusterHelp  = clusterUsage + `

The Kafka cluster tool.

positional arguments:
  {cluster-id,unregister}
    cluster-id           Print the id of a cluster.
    unregister           Unregister a broker.

optional arguments:
  -h, --help             show this help message and exit`
	clusterIDUsage = `usage: kafka-cluster cluster-id [-h] [--config CONFIG]
                     (--bootstrap-server BOOTSTRAP_SERVER |
                     --bootstrap-controller BOOTSTRAP_CONTROLLER)`
	unregisterUsage = `usage: kafka-cluster unregister [-h] [--config CONFIG] --id ID
                     (--bootstrap-server BOOTSTRAP_SERVER |
                     --bootstrap-controller BOOTSTRAP_CONTROLLER)`
	connectionHelp = `

optional arguments:
  -h, --help             show this help message and exit
  --bootstrap-server BOOTSTRAP_SERVER, -b BOOTSTRAP_SERVER
                         Brokers to connect to first, as host:port,host:port.
  --bootstrap-controller BOOTSTRAP_CONTROLLER, -C BOOTSTRAP_CONTROLLER
                         KRaft controllers; there are none with ZooKeeper.
  --config CONFIG, -c CONFIG
                         A properties file for the admin client.`
)

// clusterArgs are the arguments of a subcommand.
type clusterArgs struct{ bootstrap, controller, config, id string }

// clusterOption is an option with its names as errors have them.
type clusterOption struct {
	names string
	value *string
}

// declared returns the commands and their options.
func declared() (all []cli.Declared) {
	for _, command := range []cli.Declared{{Command: "cluster-id", Doc: "Print the id of a cluster."}, {Command: "unregister", Doc: "Unregister a broker."}} {
		all = append(all, command,
			cli.Declared{Command: command.Command, Name: "--bootstrap-server", Takes: true, Doc: "Brokers to connect to first, as host:port,host:port."},
			cli.Declared{Command: command.Command, Name: "--config", Takes: true, Doc: "A properties file for the admin client."})
	}
	return append(all, cli.Declared{Command: "unregister", Name: "--id", Takes: true, Doc: "The id of the broker."})
}

func runCluster(env *cli.Env, args []string) int {
	if env.Declare(declared()...) {
		return 0
	}
	fail := func(usage, format string, a ...any) int {
		env.Complainf("%s\nkafka-cluster: error: %s", usage, fmt.Sprintf(format, a...))
		return 1
	}
	if len(args) == 0 {
		return fail(clusterUsage, "too few arguments")
	}
	command, usage := args[0], clusterIDUsage
	switch command {
	case "-h", "--help":
		env.Println(clusterHelp)
		return 0
	case "--version":
		env.Println(cli.Version)
		return 0
	case "cluster-id":
	case "unregister":
		usage = unregisterUsage
	default:
		return fail(clusterUsage, "invalid choice: '%s' (choose from 'cluster-id', 'unregister')", command)
	}
	var given clusterArgs
	options := map[string]clusterOption{}
	add := func(long, short string, value *string) {
		o := clusterOption{long + "/" + short, value}
		options[long], options[short] = o, o
	}
	add("--bootstrap-server", "-b", &given.bootstrap)
	add("--bootstrap-controller", "-C", &given.controller)
	add("--config", "-c", &given.config)
	if command == "unregister" {
		add("--id", "-i", &given.id)
	}
	for rest := args[1:]; len(rest) > 0; rest = rest[1:] {
		name, value, joined := strings.Cut(rest[0], "=")
		if name == "-h" || name == "--help" {
			env.Println(usage + connectionHelp)
			return 0
		}
		option, known := options[name]
		if !known {
			return fail(usage, "unrecognized arguments: '%s'", rest[0])
		}
		if !joined {
			if len(rest) < 2 {
				return fail(usage, "argument %s: expected one argument", option.names)
			}
			rest = rest[1:]
			value = rest[0]
		}
		*option.value = value
	}
	if given.bootstrap == "" && given.controller == "" {
		return fail(usage, "one of the arguments --bootstrap-server/-b --bootstrap-controller/-C is required")
	}
	if given.controller != "" && given.bootstrap != "" {
		return fail(usage, "argument --bootstrap-controller/-C: not allowed with argument --bootstrap-server/-b")
	}
	if given.controller != "" {
		return fail(usage, "argument --bootstrap-controller/-C: this cluster is coordinated by ZooKeeper and has no KRaft controllers")
	}
	if command == "unregister" {
		if given.id == "" {
			return fail(usage, "argument --id/-i is required")
		}
		if _, err := strconv.ParseInt(given.id, 10, 32); err != nil {
			return fail(usage, "argument --id/-i: could not convert '%s' to Integer (For input string: \"%[1]s\")", given.id)
		}
	}
	if err := clusterCommand(env, command, given); err != nil {
		env.ComplainWithStack(err)
		return 1
	}
	return 0
}

func clusterCommand(env *cli.Env, command string, given clusterArgs) error {
	if _, err := client.LoadProperties(given.config); err != nil {
		return err
	}
	servers, err := client.ParseBootstrap(given.bootstrap)
	if err != nil {
		return cli.NewJavaError("org.apache.kafka.common.KafkaException", "Failed to create new KafkaAdminClient")
	}
	ctx := context.Background()
	cluster, err := client.Connect(ctx, env, client.AdminClientID, servers, "listNodes")
	if err != nil {
		return err
	}
	defer cluster.Close()
	if command == "unregister" {
		// Only KRaft clusters support the request.
		if _, err := cluster.Metadata(ctx, []string{}); err != nil {
			return err
		}
		env.Println("The target cluster does not support the broker unregistration API.")
		return nil
	}
	resp, err := cluster.Any(ctx, kmsg.NewPtrDescribeClusterRequest(), 1)
	if err != nil {
		return err
	}
	described := resp.(*kmsg.DescribeClusterResponse)
	if described.ErrorCode != 0 {
		return client.AnswerError(described.ErrorCode, described.ErrorMessage)
	}
	env.Println("Cluster ID: " + described.ClusterID)
	return nil
}
