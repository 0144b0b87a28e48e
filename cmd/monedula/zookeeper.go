package main

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/server"
	"github.com/monedula/monedula/zkserver"
)

const zooKeeperUsage = "USAGE: " + server.ZooKeeperStartCommand + ".sh [-daemon] [--embedded] zookeeper.properties"

// whatItIs is the first line of the embedded server.
const whatItIs = "This is Monedula's embedded ZooKeeper server: a single node, for development and tests. For production use an ensemble of Apache ZooKeeper; brokers and tools run on it unchanged, and it can continue with the files of this server"

// zooKeeperTool is zookeeper-server-start with the embedded server.
var zooKeeperTool = cli.Tool{
	Name:    server.ZooKeeperStartCommand,
	Summary: "Starts an embedded ZooKeeper server of one node.",
	Run:     startZooKeeper,
}

// startZooKeeper runs the embedded ZooKeeper server until SIGTERM or SIGINT and returns the exit
// code.
func startZooKeeper(env *cli.Env, args []string) int {
	if env.Declare() {
		return 0
	}
	switch {
	case len(args) == 1 && args[0] == "--version":
		env.Println(cli.Version)
		return 0
	case len(args) == 1 && (args[0] == "--help" || args[0] == "-h"):
		env.Println(zooKeeperUsage)
		return 0
	case len(args) != 1 || strings.HasPrefix(args[0], "-"):
		fmt.Fprintln(env.Stderr, zooKeeperUsage)
		return 1
	}
	log := zooKeeperLog(kafkalog.New(env.Stdout))
	text, err := os.ReadFile(args[0])
	if err != nil {
		log.Errorf("the properties file cannot be read: %v", err)
		return 1
	}
	config := zkserver.DefaultConfig()
	config.Log = zooKeeperLevels(log)
	if err := zkserver.ParseConfig(text, config); err != nil {
		log.Errorf("%s: %v", args[0], err)
		return 1
	}
	log.Warn(whatItIs)
	return serveZooKeeper(config, log)
}

// zooKeeperLog returns the logger of an embedded server.
func zooKeeperLog(l *logrus.Logger) *logrus.Entry {
	return kafkalog.For(l, "org.apache.zookeeper.server.ZooKeeperServer")
}

// zooKeeperLevels returns a server's Log function that writes to the logger.
func zooKeeperLevels(log *logrus.Entry) func(zkserver.Level, string, ...any) {
	levels := map[zkserver.Level]logrus.Level{zkserver.Info: logrus.InfoLevel, zkserver.Warning: logrus.WarnLevel, zkserver.Failure: logrus.ErrorLevel}
	return func(level zkserver.Level, format string, args ...any) { log.Logf(levels[level], format, args...) }
}

func serveZooKeeper(config *zkserver.Config, log *logrus.Entry) int {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	s, err := zkserver.Start(config)
	if err != nil {
		log.Errorf("the server cannot start: %v", err)
		return 1
	}
	log.Infof("binding to port %s: %v", s.Address(), s)
	select {
	case received := <-signals:
		log.Infof("Terminating process due to signal %s", signalName(received))
	case <-s.Ended():
	}
	if err := s.Stop(); err != nil {
		log.Errorf("the server ended: %v", err)
		return 1
	}
	return 0
}
