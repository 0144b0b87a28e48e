package reassign

import (
	"fmt"
	"slices"

	"github.com/monedula/monedula/tools/cli"
)

// options is the command line of kafka-reassign-partitions: that of 3.9, or with
// --zookeeper that of 2.8.
type options struct {
	*cli.Options
	verify, generate, execute, cancel, list                  *cli.Option
	bootstrap, zookeeper, commandConfig                      *cli.Option
	reassignmentFile, topicsFile, brokerList, noRackAware    *cli.Option
	throttle, dirThrottle, timeout, additional, keepThrottle *cli.Option
	output                                                   *cli.Option
}

const summary = "This tool helps to move topic partitions between replicas."

func newOptions(env *cli.Env) *options {
	o := &options{Options: cli.NewOptions(env, "kafka-reassign-partitions", summary)}
	o.Exact = true
	o.verify = o.Toggle("verify", "Show the progress of the reassignment in --reassignment-json-file. Remove its throttles if it has completed.")
	o.generate = o.Toggle("generate", "Propose a reassignment of topics to brokers, without changing anything.")
	o.execute = o.Toggle("execute", "Start the reassignment in --reassignment-json-file.")
	o.cancel = o.Toggle("cancel", "Cancel the running reassignments of the partitions in --reassignment-json-file.")
	o.list = o.Toggle("list", "List the running reassignments.")
	o.bootstrap = o.Value("bootstrap-server", "String: Server(s) to use for bootstrapping", "The brokers to connect to first, as host:port,host:port. Required unless --zookeeper is given.")
	o.zookeeper = o.Value("zookeeper", "String: urls", "DEPRECATED. The ZooKeeper ensemble as host:port,host:port/chroot; the tool then reads and writes the znodes directly.")
	o.commandConfig = o.Value("command-config", "String: Admin client property file", "A properties file for the admin client.")
	o.reassignmentFile = o.Value("reassignment-json-file", "String: manual assignment json file path", "The JSON file with the reassignment: {\"version\":1,\"partitions\":[{\"topic\":\"foo\",\"partition\":1,\"replicas\":[1,2,3],\"log_dirs\":[\"dir1\",\"any\",\"any\"]}]}. log_dirs is optional; \"any\" lets the broker choose the directory of a replica.")
	o.topicsFile = o.Value("topics-to-move-json-file", "String: topics to reassign json file path", "The JSON file with the topics to move: {\"version\":1,\"topics\":[{\"topic\":\"foo\"},{\"topic\":\"foo1\"}]}.")
	o.brokerList = o.Value("broker-list", "String: brokerlist", "The brokers that --generate places replicas on, as 0,1,2.")
	o.noRackAware = o.Toggle("disable-rack-aware", "Ignore racks when placing replicas.")
	o.throttle = o.Value("throttle", "Long: throttle", "The limit for moves between brokers, in bytes per second, at least 1000. With --additional, it changes the throttle of a running reassignment. (default: no limit)")
	o.dirThrottle = o.Value("replica-alter-log-dirs-throttle", "Long: replicaAlterLogDirsThrottle", "The limit for moves between the log directories of a broker, in bytes per second. (default: no limit)")
	o.timeout = o.Value("timeout", "Long: timeout", "How long to wait for moves between log directories to start, in ms.")
	o.additional = o.Toggle("additional", "Start this reassignment in addition to those that are running.")
	o.keepThrottle = o.Toggle("preserve-throttles", "Do not change or remove throttles.")
	o.output = o.Output(o.list)
	return o
}

// check rejects invalid combinations of options.
func (o *options) check() error {
	action, err := o.action()
	if err != nil {
		return err
	}
	if !o.bootstrap.Given() && !o.zookeeper.Given() {
		return cli.UsageError{Text: "Please specify --bootstrap-server"}
	}
	required := map[*cli.Option][]*cli.Option{
		o.verify: {o.reassignmentFile}, o.generate: {o.topicsFile, o.brokerList},
		o.execute: {o.reassignmentFile}, o.cancel: {o.reassignmentFile},
	}[action]
	if err := o.Require(required...); err != nil {
		return err
	}
	permitted := append(required, map[*cli.Option][]*cli.Option{
		o.verify:   {o.bootstrap, o.zookeeper, o.commandConfig, o.keepThrottle},
		o.generate: {o.bootstrap, o.zookeeper, o.commandConfig, o.noRackAware},
		o.execute:  {o.bootstrap, o.zookeeper, o.commandConfig, o.additional, o.throttle, o.dirThrottle, o.timeout},
		o.cancel:   {o.bootstrap, o.commandConfig, o.keepThrottle, o.timeout},
		o.list:     {o.bootstrap, o.commandConfig, o.output},
	}[action]...)
	for _, opt := range o.InOrder {
		if opt != action && !slices.Contains(permitted, opt) {
			return cli.UsageError{Text: fmt.Sprintf("Option \"[%s]\" can't be used with action \"[%s]\"", opt.Name, action.Name)}
		}
	}
	if !o.bootstrap.Given() {
		for _, opt := range []*cli.Option{o.additional, o.commandConfig, o.dirThrottle, o.timeout} {
			if opt.Given() {
				return cli.NewJavaError("java.lang.RuntimeException", fmt.Sprintf("You must specify --bootstrap-server when using \"[%s]\"", opt.Name))
			}
		}
	}
	return nil
}

func (o *options) action() (*cli.Option, error) {
	var action *cli.Option
	for _, opt := range []*cli.Option{o.generate, o.execute, o.verify, o.cancel, o.list} {
		if !opt.Given() {
			continue
		}
		if action != nil {
			action = nil
			break
		}
		action = opt
	}
	if action == nil {
		return nil, cli.UsageError{Text: "Command must include exactly one action: --generate, --execute, --verify, --cancel, --list"}
	}
	return action, nil
}
