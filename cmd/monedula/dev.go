package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/monedula/monedula/internal/gcpacer"
	"github.com/monedula/monedula/internal/process"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/server"
)

// devTool is the program for the first day: ZooKeeper and brokers in one process.
var devTool = cli.Tool{
	Name:    server.DevCommand,
	Summary: "Starts ZooKeeper and a broker, or several, for development; nothing else is needed.",
	Run:     runDev,
}

const devSummary = `Starts an embedded ZooKeeper server and brokers in one process, for development and tests.
Ctrl-C stops them. The data stays in a folder, and the next start continues with it.`

// devOptions is the command line of monedula dev.
type devOptions struct {
	*cli.Options
	brokers, dir, port, zooKeeperPort, host, config, override *cli.Option
}

func newDevOptions(env *cli.Env) *devOptions {
	o := &devOptions{Options: cli.NewOptions(env, "dev", devSummary)}
	o.brokers = o.Value("brokers", "Integer: number", "The number of brokers. (default: 1)")
	o.dir = o.Value("dir", "String: folder", "The folder of the data and the logs. (default: monedula-dev in the current folder)")
	o.port = o.Value("port", "Integer: port", "The port of the first broker. The others have the following ones. (default: 9092)")
	o.zooKeeperPort = o.Value("zookeeper-port", "Integer: port", "The port of ZooKeeper. (default: 2181)")
	o.host = o.Value("host", "String: host", "The name or address of this machine by which clients on other machines reach the brokers, which then listen on all addresses. (default: localhost, for clients on this machine)")
	o.config = o.Value("config", "String: file", "A properties file for the brokers, such as config/server.properties. Addresses, ids and folders in it are not used.")
	o.override = o.Value("override", "String: key=value", "A property for the brokers, in place of the one in the file. May be repeated.")
	return o
}

// plan reads the command line.
func (o *devOptions) plan(args []string) (*devPlan, error) {
	if err := o.Parse(args); err != nil {
		return nil, err
	}
	if rest := o.Args(); len(rest) > 0 {
		return nil, fmt.Errorf("there is no argument %q; monedula help dev lists the options", rest[0])
	}
	if err := o.CheckSingle(o.override); err != nil {
		return nil, err
	}
	p := &devPlan{host: o.host.Or("localhost"), properties: map[string]string{}}
	for _, n := range []struct {
		option      *cli.Option
		otherwise   int
		least, most int
		to          *int
	}{{o.brokers, 1, 1, 100, &p.brokers}, {o.port, 9092, 1, 65535, &p.port}, {o.zooKeeperPort, 2181, 1, 65535, &p.zooKeeperPort}} {
		var err error
		if *n.to, err = strconv.Atoi(n.option.Or(strconv.Itoa(n.otherwise))); err != nil || *n.to < n.least || *n.to > n.most {
			return nil, fmt.Errorf("--%s: %q is not a number from %d to %d", n.option.Name, n.option.Or(""), n.least, n.most)
		}
	}
	if last := p.port + p.brokers - 1; last > 65535 {
		return nil, fmt.Errorf("--port: the last broker would need port %d; choose a lower one", last)
	}
	if p.zooKeeperPort >= p.port && p.zooKeeperPort < p.port+p.brokers {
		return nil, fmt.Errorf("--zookeeper-port: port %d is already that of broker %d", p.zooKeeperPort, p.zooKeeperPort-p.port)
	}
	var err error
	if p.dir, err = filepath.Abs(o.dir.Or("monedula-dev")); err != nil {
		return nil, err
	}
	return p, o.readProperties(p)
}

// readProperties adds the properties that the user gives.
func (o *devOptions) readProperties(p *devPlan) error {
	if o.config.Given() {
		file, err := settings.ReadProperties(o.config.Or(""))
		if err != nil {
			return fmt.Errorf("--config: %w", err)
		}
		for _, key := range slices.Sorted(maps.Keys(file)) {
			value := file[key]
			if _, own := devKeys[key]; own {
				p.unused = append(p.unused, key)
			} else {
				p.properties[key] = value
			}
		}
	}
	for _, pair := range o.override.Values() {
		key, value, found := strings.Cut(pair, "=")
		if !found {
			return fmt.Errorf("--override: %q has no value; write key=value", pair)
		}
		if option, own := devKeys[key]; own {
			return fmt.Errorf("--override: monedula dev sets %s itself; use %s", key, option)
		}
		p.properties[key] = value
	}
	return nil
}

// runDev starts the servers and returns the exit code when they have ended.
func runDev(env *cli.Env, args []string) int {
	began := time.Now()
	o := newDevOptions(env)
	p, err := o.plan(args)
	if errors.Is(err, cli.ErrDone) {
		return 0
	}
	if err == nil {
		err = serveDev(env, p, began)
	}
	if err != nil {
		env.Complainf("monedula dev: %v", err)
		return 1
	}
	return 0
}

// serveDev starts the servers, and stops them after a signal. The error says what to do.
func serveDev(env *cli.Env, p *devPlan, began time.Time) error {
	// Registered before anything starts, so that a signal always stops what runs.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return fmt.Errorf("the folder cannot be created: %w; choose another one with --dir", err)
	}
	lock, err := vfs.OS().Lock(filepath.Join(p.dir, "dev.lock"))
	if err != nil {
		return p.folderRefused(err)
	}
	defer lock.Close()
	if err := p.checkPorts(); err != nil {
		return err
	}
	env.Printf("Data: %s\nLogs: %s\n", p.dir, p.logDir())
	p.printHints(env)
	if os.Getenv("GOGC") == "" {
		gcpacer.Start()
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	d := newDevServers(p, env)
	started := make(chan error, 1)
	go func() { started <- d.start(ctx) }()
	for {
		select {
		case err := <-started:
			if err != nil {
				d.stop()
				return err
			}
			p.printReady(env, time.Since(began))
		case err := <-d.failed:
			d.stop()
			return fmt.Errorf("%w; see %s", err, p.logDir())
		case <-signals:
			signal.Stop(signals) // another one ends the process at once
			env.Println("\nStopping")
			cancel()
			d.stop()
			return nil
		}
	}
}

// folderRefused returns the error of a folder that cannot be locked.
func (p *devPlan) folderRefused(err error) error {
	var held *vfs.LockedError
	if !errors.As(err, &held) {
		return fmt.Errorf("the folder cannot be used: %w; choose another one with --dir", err)
	}
	holder := "another process"
	stop := "Stop it with Ctrl-C"
	if held.PID != 0 {
		holder = process.Describe(held.PID)
		stop += fmt.Sprintf(" or: kill %d", held.PID)
	}
	return fmt.Errorf("%s is in use by %s.\n%s\nOr start a second one with another folder and other ports: monedula dev --dir OTHER --port %d --zookeeper-port %d",
		p.dir, holder, stop, p.port+100, p.zooKeeperPort+100)
}

// printHints prints what the user may not expect.
func (p *devPlan) printHints(env *cli.Env) {
	if len(p.unused) > 0 {
		env.Printf("Not used from the properties file, because monedula dev sets them: %s\n", strings.Join(p.unused, ", "))
	}
	if _, err := os.Stat(p.brokerDir(p.brokers)); err == nil {
		env.Printf("The folder also has the data of broker %d, which is not started; see --brokers\n", p.brokers)
	}
}

// printReady prints the addresses and the first commands.
func (p *devPlan) printReady(env *cli.Env, took time.Duration) {
	noun := "the broker"
	if p.brokers > 1 {
		noun = "the brokers"
	}
	env.Printf("Ready after %.2f s: bootstrap server %s, ZooKeeper localhost:%d\n\nIn another terminal:\n\n", took.Seconds(), p.bootstrap(), p.zooKeeperPort)
	command := devCommands()
	for _, line := range []string{
		command("kafka-topics") + " --create --topic quickstart --bootstrap-server " + p.address(0),
		command("kafka-console-producer") + " --topic quickstart --bootstrap-server " + p.address(0),
		command("kafka-console-consumer") + " --topic quickstart --from-beginning --bootstrap-server " + p.address(0),
		fmt.Sprintf("%s -server localhost:%d ls /brokers/ids", command("zkCli"), p.zooKeeperPort),
	} {
		env.Println("  " + line)
	}
	env.Printf("\nCtrl-C stops %s and ZooKeeper; the data stays.\n", noun)
}

// devCommands returns a function that returns how to call a program: by its script, if the binary is
// in a folder with bin, or by the binary.
func devCommands() func(program string) string {
	binary, err := os.Executable()
	if err != nil {
		binary = "monedula"
	}
	scripts := filepath.Join(filepath.Dir(binary), "bin")
	if here, err := os.Getwd(); err == nil {
		if short, err := filepath.Rel(here, scripts); err == nil && !strings.HasPrefix(short, "..") {
			scripts = short
		}
	}
	return func(program string) string {
		if script := filepath.Join(scripts, program+".sh"); isFile(script) {
			return script
		}
		return os.Args[0] + " " + program // as the user has called it
	}
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
