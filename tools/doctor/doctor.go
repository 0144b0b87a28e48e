// Package doctor is the program that looks for the cause of problems with a cluster: it connects as
// a client would, and explains what it finds.
package doctor

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/monedula/monedula/internal/findings"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// Tool looks for the cause of problems with a cluster. Kafka has no such program.
var Tool = cli.Tool{
	Name:    "doctor",
	Summary: "Examines a cluster as a client sees it and explains what is wrong.",
	Run:     func(env *cli.Env, args []string) int { return run(env, args, realNetwork) },
}

const about = `USAGE: monedula doctor --bootstrap-server HOST:PORT [OPTIONS]
Connects as a client would and explains what it finds: names, addresses, protocols, advertised
listeners, versions, the controller, partitions, disks, groups, reassignments, transactions. It changes
nothing. With --zookeeper it also examines ZooKeeper and the clocks of the brokers, with --config the
configuration, the disks and the limits of the broker on this machine.
The exit code is 1 if there are errors; warnings and remarks leave it at 0.`

type options struct {
	*cli.Options
	bootstrap, command, zooKeeper, config, output, timeout, watch *cli.Option
}

func newOptions(env *cli.Env) *options {
	o := &options{Options: cli.NewOptions(env, "doctor", about)}
	o.bootstrap = o.Value("bootstrap-server", "server to connect to", "The brokers to connect to first, as host:port, separated by commas.")
	o.command = o.Value("command-config", "command config property file", "Properties of the client, as of Kafka's tools.")
	o.zooKeeper = o.Value("zookeeper", "connect", "The ZooKeeper servers and the chroot, as in zookeeper.connect. With --config the default is that of the file.")
	o.config = o.Value("config", "server.properties", "The configuration of the broker on this machine.")
	o.output = o.Value("output", "format", "text (the default) or json.")
	o.timeout = o.Value("timeout", "Long: ms", "How long to wait for an answer, in ms. The default is 5000.")
	o.watch = o.Value("watch", "Long: ms", "How long to watch groups and transactions, in ms. The default is 3000; 0 looks once.")
	return o
}

func (o *options) parse(args []string) error {
	if err := o.Parse(args); err != nil {
		return err
	}
	if err := o.CheckNumbers(); err != nil {
		return err
	}
	if len(o.Args()) > 0 {
		return cli.UsageError{Text: fmt.Sprintf("%q is not an option.", o.Args()[0])}
	}
	if format := o.output.Or("text"); format != "text" && format != "json" {
		return cli.UsageError{Text: fmt.Sprintf("%q is not a format of --output; write text or json.", format)}
	}
	return o.Require(o.bootstrap)
}

// network is how the program reaches other machines. Tests have their own.
type network struct {
	resolve func(ctx context.Context, host string) ([]string, error)
	dial    func(ctx context.Context, address string) (net.Conn, error)
}

var realNetwork = network{
	resolve: net.DefaultResolver.LookupHost,
	dial: func(ctx context.Context, address string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	},
}

func run(env *cli.Env, args []string, n network) int {
	o := newOptions(env)
	if err := o.parse(args); err != nil {
		return o.FailParsing(err)
	}
	servers, err := client.ParseBootstrap(o.bootstrap.Or(""))
	if err != nil {
		return o.Fail(err)
	}
	props, err := client.LoadProperties(o.command.Or(""))
	if err == nil {
		err = client.PlainOnly(props)
	}
	if err != nil {
		env.Uncaught(err)
		return 1
	}
	timeout, _ := o.Number(o.timeout, 5000) // parse has checked the numbers
	watch, _ := o.Number(o.watch, 3000)
	ctx, stop := env.UntilSignal()
	defer stop()
	e := &examination{network: n, timeout: cli.Millis(timeout), watch: cli.Millis(watch), bootstrap: servers}
	defer e.close()
	if o.config.Given() {
		e.examineLocal(o.config.Or(""))
	}
	e.connect(ctx)
	e.examineBrokers(ctx)
	e.examineCluster(ctx)
	e.examineZooKeeper(ctx, o.zooKeeper.Or(e.local.zooKeeper))
	e.diagnose()
	if o.output.Or("") == "json" {
		err = e.printJSON(env.Stdout)
	} else {
		e.print(env.Stdout)
	}
	if err != nil || findings.NewReport(e.found).Errors > 0 {
		return 1
	}
	return 0
}

// examination is one run of the program: what it has seen, and what it concludes.
type examination struct {
	network
	timeout, watch time.Duration
	bootstrap      []string

	seeds   []*reach // of the bootstrap servers
	cluster clusterFacts
	brokers []*brokerFacts // by id
	zk      zooKeeperFacts
	local   localFacts

	found []findings.Finding
}

func (e *examination) close() {
	for _, r := range e.seeds {
		r.close()
	}
	for _, b := range e.brokers {
		b.reach.close()
	}
}

// within returns a context for one request.
func (e *examination) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, e.timeout)
}

// conclusion is a finding of this program: what is wrong with what, why, and what to do.
type conclusion struct{ code, subject, text, cause, remedy string }

func (e *examination) error(c conclusion)  { e.conclude(findings.Error, c) }
func (e *examination) warn(c conclusion)   { e.conclude(findings.Warning, c) }
func (e *examination) remark(c conclusion) { e.conclude(findings.Remark, c) }

func (e *examination) conclude(severity findings.Severity, c conclusion) {
	e.found = append(e.found, findings.Finding{Severity: severity, Code: c.code, Subject: c.subject, Text: c.text, Cause: c.cause, Remedy: c.remedy})
}

// diagnose draws the conclusions from everything that was seen.
func (e *examination) diagnose() {
	e.found = append(e.found, e.local.found...)
	e.diagnoseSeeds()
	e.diagnoseBrokers()
	e.diagnoseController()
	e.diagnoseVersions()
	e.diagnoseDisks()
	e.diagnosePartitions()
	e.diagnoseInternalTopics()
	e.diagnoseGroups()
	e.diagnoseReassignments()
	e.diagnoseTransactions()
	e.diagnoseZooKeeper()
	findings.BySeverity(e.found)
}

// bootstrapOption returns the option that commands in remedies need.
func (e *examination) bootstrapOption() string {
	for _, r := range e.seeds {
		if r.isBroker() {
			return "--bootstrap-server " + r.address
		}
	}
	return "--bootstrap-server " + strings.Join(e.bootstrap, ",")
}
