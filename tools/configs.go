package tools

import (
	"errors"
	"strings"
)

var configsTool = Tool{
	Name:    "kafka-configs",
	Summary: "Shows and changes the configuration of topics, brokers, clients and users.",
	Run:     runConfigs,
}

func runConfigs(env *Env, args []string) int {
	o := newConfigsOptions(env, args)
	if len(args) == 0 {
		return o.fail(usageError{configsSummary})
	}
	err := o.parse(args)
	if err == nil {
		err = o.check()
	}
	if err == nil {
		if o.zookeeper.given() {
			err = o.runOverZooKeeper()
		} else {
			err = o.runOverBootstrap()
		}
	}
	if err == nil {
		return 0
	}
	var usage usageError
	var java javaError
	switch {
	case errors.As(err, &usage), errors.As(err, new(badOption)), errors.Is(err, errDone):
		return o.fail(err)
	case errors.As(err, &java) && (java.class == "java.lang.IllegalArgumentException" || java.class == invalidConfiguration):
		env.complainf("%s", err)
	default:
		env.complainf("Error while executing config command with args '%s'\n%s", strings.Join(args, " "), stack(err))
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
	return javaError{invalidConfiguration, "Invalid config(s): " + strings.Join(absent, ",")}
}
