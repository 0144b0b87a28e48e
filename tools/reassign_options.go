package tools

import (
	"fmt"
	"slices"
)

// reassignOptions is the command line of kafka-reassign-partitions: that of 3.9, or with
// --zookeeper that of 2.8.
type reassignOptions struct {
	*options
	verify, generate, execute, cancel, list                  *option
	bootstrap, zookeeper, commandConfig                      *option
	reassignmentFile, topicsFile, brokerList, noRackAware    *option
	throttle, dirThrottle, timeout, additional, keepThrottle *option
}

const reassignSummary = "This tool helps to move topic partitions between replicas."

func newReassignOptions(env *Env) *reassignOptions {
	o := &reassignOptions{options: newOptions(env, "kafka-reassign-partitions", reassignSummary)}
	o.exact = true
	o.verify = o.toggle("verify", "Show the progress of the reassignment in --reassignment-json-file. Remove its throttles if it has completed.")
	o.generate = o.toggle("generate", "Propose a reassignment of topics to brokers, without changing anything.")
	o.execute = o.toggle("execute", "Start the reassignment in --reassignment-json-file.")
	o.cancel = o.toggle("cancel", "Cancel the running reassignments of the partitions in --reassignment-json-file.")
	o.list = o.toggle("list", "List the running reassignments.")
	o.bootstrap = o.value("bootstrap-server", "String: Server(s) to use for bootstrapping", "The brokers to connect to first, as host:port,host:port. Required unless --zookeeper is given.")
	o.zookeeper = o.value("zookeeper", "String: urls", "DEPRECATED. The ZooKeeper ensemble as host:port,host:port/chroot; the tool then reads and writes the znodes directly.")
	o.commandConfig = o.value("command-config", "String: Admin client property file", "A properties file for the admin client.")
	o.reassignmentFile = o.value("reassignment-json-file", "String: manual assignment json file path", "The JSON file with the reassignment: {\"version\":1,\"partitions\":[{\"topic\":\"foo\",\"partition\":1,\"replicas\":[1,2,3],\"log_dirs\":[\"dir1\",\"any\",\"any\"]}]}. log_dirs is optional; \"any\" lets the broker choose the directory of a replica.")
	o.topicsFile = o.value("topics-to-move-json-file", "String: topics to reassign json file path", "The JSON file with the topics to move: {\"version\":1,\"topics\":[{\"topic\":\"foo\"},{\"topic\":\"foo1\"}]}.")
	o.brokerList = o.value("broker-list", "String: brokerlist", "The brokers that --generate places replicas on, as 0,1,2.")
	o.noRackAware = o.toggle("disable-rack-aware", "Ignore racks when placing replicas.")
	o.throttle = o.value("throttle", "Long: throttle", "The limit for moves between brokers, in bytes per second, at least 1000. With --additional, it changes the throttle of a running reassignment. (default: no limit)")
	o.dirThrottle = o.value("replica-alter-log-dirs-throttle", "Long: replicaAlterLogDirsThrottle", "The limit for moves between the log directories of a broker, in bytes per second. (default: no limit)")
	o.timeout = o.value("timeout", "Long: timeout", "How long to wait for moves between log directories to start, in ms.")
	o.additional = o.toggle("additional", "Start this reassignment in addition to those that are running.")
	o.keepThrottle = o.toggle("preserve-throttles", "Do not change or remove throttles.")
	return o
}

// check rejects invalid combinations of options.
func (o *reassignOptions) check() error {
	action, err := o.action()
	if err != nil {
		return err
	}
	if !o.bootstrap.given() && !o.zookeeper.given() {
		return usageError{"Please specify --bootstrap-server"}
	}
	required := map[*option][]*option{
		o.verify: {o.reassignmentFile}, o.generate: {o.topicsFile, o.brokerList},
		o.execute: {o.reassignmentFile}, o.cancel: {o.reassignmentFile},
	}[action]
	if err := o.require(required...); err != nil {
		return err
	}
	permitted := append(required, map[*option][]*option{
		o.verify:   {o.bootstrap, o.zookeeper, o.commandConfig, o.keepThrottle},
		o.generate: {o.bootstrap, o.zookeeper, o.commandConfig, o.noRackAware},
		o.execute:  {o.bootstrap, o.zookeeper, o.commandConfig, o.additional, o.throttle, o.dirThrottle, o.timeout},
		o.cancel:   {o.bootstrap, o.commandConfig, o.keepThrottle, o.timeout},
		o.list:     {o.bootstrap, o.commandConfig},
	}[action]...)
	for _, opt := range o.given {
		if opt != action && !slices.Contains(permitted, opt) {
			return usageError{fmt.Sprintf("Option \"[%s]\" can't be used with action \"[%s]\"", opt.name, action.name)}
		}
	}
	if !o.bootstrap.given() {
		for _, opt := range []*option{o.additional, o.commandConfig, o.dirThrottle, o.timeout} {
			if opt.given() {
				return javaError{"java.lang.RuntimeException", fmt.Sprintf("You must specify --bootstrap-server when using \"[%s]\"", opt.name)}
			}
		}
	}
	return nil
}

func (o *reassignOptions) action() (*option, error) {
	var action *option
	for _, opt := range []*option{o.generate, o.execute, o.verify, o.cancel, o.list} {
		if !opt.given() {
			continue
		}
		if action != nil {
			action = nil
			break
		}
		action = opt
	}
	if action == nil {
		return nil, usageError{"Command must include exactly one action: --generate, --execute, --verify, --cancel, --list"}
	}
	return action, nil
}
