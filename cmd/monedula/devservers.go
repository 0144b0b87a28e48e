package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/broker"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/process"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/zkserver"
)

// devPlan is what monedula dev runs. In its folder are the data of ZooKeeper (zookeeper), the data of
// each broker (broker-0) and the logs (logs).
type devPlan struct {
	dir           string // absolute
	brokers       int
	port          int // of broker 0
	zooKeeperPort int
	host          string            // in the advertised addresses
	properties    map[string]string // for all brokers
	unused        []string          // keys of the user's file that are not used
}

func (p *devPlan) logDir() string          { return filepath.Join(p.dir, "logs") }
func (p *devPlan) brokerDir(id int) string { return filepath.Join(p.dir, fmt.Sprintf("broker-%d", id)) }
func (p *devPlan) address(id int) string   { return net.JoinHostPort(p.host, strconv.Itoa(p.port+id)) }
func (p *devPlan) local() bool             { return p.host == "localhost" }

// bootstrap returns the addresses of all brokers.
func (p *devPlan) bootstrap() string {
	addresses := make([]string, p.brokers)
	for id := range addresses {
		addresses[id] = p.address(id)
	}
	return strings.Join(addresses, ",")
}

// devKeys are the properties that monedula dev sets for each broker, with the option to use instead.
var devKeys = map[string]string{
	"broker.id": "--brokers", "node.id": "--brokers", "log.dirs": "--dir", "log.dir": "--dir", "zookeeper.connect": "--zookeeper-port",
	"listeners": "--host and --port", "advertised.listeners": "--host and --port", "port": "--port", "host.name": "--host",
	"advertised.port": "--port", "advertised.host.name": "--host",
}

// config returns the configuration of a broker.
func (p *devPlan) config(id int) (*settings.Config, error) {
	replicas := min(3, p.brokers)
	all := map[string]string{
		"offsets.topic.replication.factor":         strconv.Itoa(replicas),
		"transaction.state.log.replication.factor": strconv.Itoa(replicas),
		"transaction.state.log.min.isr":            strconv.Itoa(max(1, replicas-1)),
		"group.initial.rebalance.delay.ms":         "0",
	}
	for key, value := range p.properties {
		all[key] = value
	}
	host := p.host
	if !p.local() {
		host = ""
	}
	all["broker.id"] = strconv.Itoa(id)
	all["log.dirs"] = p.brokerDir(id)
	all["zookeeper.connect"] = fmt.Sprintf("localhost:%d", p.zooKeeperPort)
	all["listeners"] = "PLAINTEXT://" + net.JoinHostPort(host, strconv.Itoa(p.port+id))
	all["advertised.listeners"] = "PLAINTEXT://" + p.address(id)
	return settings.FromMap(all)
}

// checkPorts returns an error if a port is in use.
func (p *devPlan) checkPorts() error {
	type use struct {
		host string
		port int
		by   string
		flag string
	}
	uses := []use{{"localhost", p.zooKeeperPort, "ZooKeeper", "--zookeeper-port"}}
	for id := range p.brokers {
		host := ""
		if p.local() {
			host = "localhost"
		}
		uses = append(uses, use{host, p.port + id, fmt.Sprintf("broker %d", id), "--port"})
	}
	for _, u := range uses {
		l, err := net.Listen("tcp", net.JoinHostPort(u.host, strconv.Itoa(u.port)))
		if err == nil {
			_ = l.Close()
			continue
		}
		if holder := process.Listener(u.port); holder != "" {
			return fmt.Errorf("port %d, of %s, is in use by %s.\nStop that one, or choose another port with %s", u.port, u.by, holder, u.flag)
		}
		return fmt.Errorf("port %d, of %s, cannot be used: %w.\nChoose another port with %s", u.port, u.by, err, u.flag)
	}
	return nil
}

// devServers are the running servers. start and stop may be called by different goroutines.
type devServers struct {
	plan   *devPlan
	env    *cli.Env
	errors io.Writer  // the user's terminal
	failed chan error // gets an error if a server ends by itself

	mu        sync.Mutex // held by start and stop, so that stop waits for start
	zooKeeper *zkserver.Server
	brokers   []*broker.Broker
	files     []*os.File
}

func newDevServers(p *devPlan, env *cli.Env) *devServers {
	return &devServers{plan: p, env: env, errors: &lockedWriter{to: env.Stderr}, failed: make(chan error, p.brokers+1)}
}

// start returns when all servers serve, or with the first error.
func (d *devServers) start(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.startZooKeeper(); err != nil {
		return fmt.Errorf("ZooKeeper cannot start: %w", err)
	}
	for id := range d.plan.brokers {
		if err := d.startBroker(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (d *devServers) startZooKeeper() error {
	if err := os.MkdirAll(d.plan.logDir(), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(d.plan.logDir(), "zookeeper.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	d.files = append(d.files, file)
	logger := kafkalog.New(file)
	logger.AddHook(errorHook{d.errors, "ZooKeeper"})
	log := zooKeeperLog(logger)
	config := zkserver.DefaultConfig()
	config.DataDir, config.Host, config.Port = filepath.Join(d.plan.dir, "zookeeper"), "localhost", d.plan.zooKeeperPort
	config.MaxClientCnxns, config.Words = 0, map[string]bool{"*": true}
	config.EndSessions = true // those of brokers that were killed
	config.Log = zooKeeperLevels(log)
	log.Warn(whatItIs)
	s, err := zkserver.Start(config)
	if err != nil {
		return err
	}
	d.zooKeeper = s
	go func() {
		<-s.Ended()
		d.failed <- fmt.Errorf("ZooKeeper has ended")
	}()
	return nil
}

func (d *devServers) startBroker(ctx context.Context, id int) error {
	config, err := d.plan.config(id)
	if err != nil {
		return err
	}
	dir := filepath.Join(d.plan.logDir(), fmt.Sprintf("broker-%d", id))
	logger, err := kafkalog.NewServer(io.Discard, dir)
	if err != nil {
		return err
	}
	logger.AddHook(errorHook{d.errors, fmt.Sprintf("broker %d", id)})
	b := broker.New(config, logger)
	d.brokers = append(d.brokers, b)
	loaded := d.showLoading(id, b)
	err = b.Start(ctx)
	loaded()
	if err != nil {
		return fmt.Errorf("broker %d cannot start; see %s", id, filepath.Join(dir, "server.log"))
	}
	go func() {
		if err := <-b.Fatal(); err != nil {
			d.failed <- fmt.Errorf("broker %d cannot continue: %w", id, err)
		}
	}()
	return nil
}

// showLoading shows how many logs a broker has loaded, until the function that it returns is called.
func (d *devServers) showLoading(id int, b *broker.Broker) (end func()) {
	done, shown := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(shown)
		progress := cli.Progress{Env: d.env, What: fmt.Sprintf("Broker %d loads its logs", id), Late: true}
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				progress.Clear()
				return
			case <-tick.C:
				left := int64(b.LogsToLoad())
				progress.Total = max(progress.Total, left)
				progress.Show(progress.Total - left)
			}
		}
	}()
	return func() {
		close(done)
		<-shown
	}
}

// stop stops the brokers, in the reverse order of their start, and then ZooKeeper.
func (d *devServers) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := len(d.brokers) - 1; i > 0; i-- {
		d.brokers[i].Stop()
	}
	if len(d.brokers) > 0 {
		d.brokers[0].StopLast()
	}
	if d.zooKeeper != nil {
		_ = d.zooKeeper.Stop() // it has logged its error
	}
	for _, f := range d.files {
		_ = f.Close()
	}
}

// errorHook also writes errors to the terminal. The log files have them too.
type errorHook struct {
	to     io.Writer
	server string
}

func (h errorHook) Levels() []logrus.Level {
	return []logrus.Level{logrus.PanicLevel, logrus.FatalLevel, logrus.ErrorLevel}
}

func (h errorHook) Fire(e *logrus.Entry) error {
	text := h.server + ": " + strings.TrimSpace(e.Message)
	if err, ok := e.Data[logrus.ErrorKey].(error); ok && err != nil {
		text += "\n" + err.Error()
	}
	_, err := fmt.Fprintln(h.to, text)
	return err
}

// lockedWriter is a writer for several goroutines.
type lockedWriter struct {
	mu sync.Mutex
	to io.Writer
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}
