// Package configs implements kafka-configs.
package configs

import (
	"errors"
	"strings"

	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// Tool is kafka-configs.
var Tool = cli.Tool{
	Name:    "kafka-configs",
	Summary: "Shows and changes the configuration of topics, brokers, clients and users.",
	Run:     run,
}

func run(env *cli.Env, args []string) int {
	o := newOptions(env, args)
	if len(args) == 0 {
		return o.Fail(cli.UsageError{Text: summary})
	}
	err := o.Parse(args)
	if err == nil {
		err = o.check()
	}
	if err == nil {
		if o.zookeeper.Given() {
			err = o.runOverZooKeeper()
		} else {
			err = o.runOverBootstrap()
		}
	}
	if err == nil {
		if o.WantsDocument() {
			o.PrintDocument(configsDocument{o.described})
		}
		return 0
	}
	var usage cli.UsageError
	var java cli.JavaError
	switch {
	case errors.As(err, &usage), errors.As(err, new(cli.BadOption)), errors.Is(err, cli.ErrDone):
		return o.Fail(err)
	case errors.As(err, &java) && (java.Class == "java.lang.IllegalArgumentException" || java.Class == client.InvalidConfiguration):
		env.Complainf("%s", err)
	default:
		env.Complainf("Error while executing config command with args '%s'\n%s", strings.Join(args, " "), cli.Stack(err))
	}
	return 1
}

// requireSet returns an error if keys to delete are not set.
func requireSet(keys []string, isSet func(key string) bool) error {
	var absent []string
	for _, key := range keys {
		if !isSet(key) {
			absent = append(absent, key)
		}
	}
	if len(absent) == 0 {
		return nil
	}
	return cli.NewJavaError(client.InvalidConfiguration, "Invalid config(s): "+strings.Join(absent, ","))
}
