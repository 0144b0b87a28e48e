package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/broker"
	"github.com/monedula/monedula/internal/gcpacer"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/settings/check"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/server"
)

// serverTool is kafka-server-start.
var serverTool = cli.Tool{
	Name:    server.StartCommand,
	Summary: "Starts a broker.",
	Run:     startServer,
}

// startServer runs a broker until SIGTERM or SIGINT and returns the exit code.
func startServer(env *cli.Env, args []string) int {
	if env.Declare(cli.Declared{Name: "--override", Takes: true, Doc: "A property that replaces the one in the file, as key=value. May be repeated."}) {
		return 0
	}
	if len(args) > 0 && args[0] == "--version" {
		env.Println(cli.Version)
		return 0
	}
	if len(args) > 0 && (args[0] == "--help" || args[0] == "-h") {
		env.Println(serverUsage)
		return 0
	}
	file, overrides, err := serverArguments(args)
	if err != nil {
		env.Println(err)
		return 1
	}
	log, err := kafkalog.NewServer(env.Stdout, os.Getenv("LOG_DIR"))
	if err != nil {
		fmt.Fprintln(env.Stderr, err)
		return 1
	}
	main := kafkalog.For(log, "kafka.Kafka$")
	// Collect garbage more eagerly than by default: a broker's heap is small compared with the page
	// cache that it depends on. If GOGC is set in the environment, it applies instead. GOMEMLIMIT
	// applies in any case.
	if os.Getenv("GOGC") == "" {
		gcpacer.Start()
	}
	cfg, err := loadConfig(file, overrides, log)
	if err != nil {
		main.WithError(err).Error("Exiting Kafka due to fatal exception")
		return 1
	}
	return serve(cfg, log, main)
}

// loadConfig reads the properties file. What was probably not meant becomes warnings of the
// configuration, which the broker logs, or is logged at once if the broker cannot start.
func loadConfig(file string, overrides map[string]string, log *logrus.Logger) (*settings.Config, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	warnings := check.AtStart(check.File{Name: file, Data: data, Overrides: overrides})
	cfg, err := settings.LoadFrom(data, file, overrides)
	if err != nil {
		for _, warning := range warnings {
			kafkalog.For(log, "kafka.server.KafkaConfig").Warn(warning)
		}
		return nil, err
	}
	return cfg.WithWarnings(warnings), nil
}

func serve(cfg *settings.Config, log *logrus.Logger, main *logrus.Entry) int {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	kafkalog.For(log, "org.apache.kafka.common.utils.LoggingSignalHandler").Info("Registered signal handlers for TERM, INT, HUP")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b := broker.New(cfg, log)
	failed := make(chan error, 1)
	var up atomic.Bool
	go func() {
		if err := b.Start(ctx); err != nil {
			failed <- err
			return
		}
		up.Store(true)
	}()
	for {
		select {
		case err := <-failed:
			b.Stop()
			main.Error("Exiting Kafka due to fatal exception during startup.")
			_ = err // the broker has logged it
			return 1
		case err := <-b.Fatal():
			main.WithError(err).Error("Exiting Kafka due to a fatal error; its cause follows")
			b.Stop()
			return 1
		case s := <-signals:
			kafkalog.For(log, "org.apache.kafka.common.utils.LoggingSignalHandler").Infof("Terminating process due to signal %s", signalName(s))
			running := up.Load()
			cancel()
			b.Stop()
			if !running { // like Kafka, which halts if it is still starting
				return 1
			}
			return 0
		}
	}
}

func signalName(s os.Signal) string {
	switch s {
	case syscall.SIGTERM:
		return "SIGTERM"
	case syscall.SIGINT:
		return "SIGINT"
	default:
		return "SIGHUP"
	}
}

const serverUsage = "USAGE: " + server.StartCommand + ".sh [-daemon] server.properties [--override property=value]*"

// serverArguments reads the properties file and the --override options.
func serverArguments(args []string) (file string, overrides map[string]string, err error) {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return "", nil, errors.New(serverUsage)
	}
	overrides = map[string]string{}
	for rest := args[1:]; len(rest) > 0; {
		pair, joined := strings.CutPrefix(rest[0], "--override=")
		rest = rest[1:]
		if !joined {
			if args[len(args)-len(rest)-1] != "--override" {
				return "", nil, fmt.Errorf("Found non argument parameters: %s", args[len(args)-len(rest)-1])
			}
			if len(rest) == 0 {
				return "", nil, fmt.Errorf("Option override requires an argument")
			}
			pair, rest = rest[0], rest[1:]
		}
		key, value, found := strings.Cut(pair, "=")
		if !found {
			return "", nil, fmt.Errorf("Invalid command line properties: %s", pair)
		}
		overrides[key] = value
	}
	return args[0], overrides, nil
}
