// Package topics implements kafka-topics.
package topics

import (
	"errors"

	"github.com/monedula/monedula/tools/cli"
)

// Tool is kafka-topics.
var Tool = cli.Tool{
	Name:    "kafka-topics",
	Summary: "Creates, lists, describes, alters and deletes topics.",
	Run:     run,
}

func run(env *cli.Env, args []string) int {
	o := newOptions(env)
	if len(args) == 0 {
		env.Complainf("Create, delete, describe, or change a topic.")
		o.PrintUsage(env.Stderr)
		return 1
	}
	if err := o.Parse(args); err != nil {
		var bad cli.BadOption
		if errors.As(err, &bad) {
			env.Complainf("%s\n%s\n", bad.Text, cli.ExceptionText("joptsimple."+bad.Class, bad.Text))
			return 1
		}
		return o.Fail(err)
	}
	if err := o.check(); err != nil {
		var usage cli.UsageError
		if !errors.As(err, &usage) {
			env.Complainf("%s\n%s\n", err, cli.ExceptionText("java.lang.IllegalArgumentException", err.Error()))
			return 1
		}
		return o.Fail(err)
	}
	log := env.Logger("org.apache.kafka.tools.TopicCommand")
	var err error
	if o.zookeeper.Given() {
		log = env.Logger("kafka.admin.TopicCommand$")
		err = o.runOverZooKeeper()
	} else {
		err = o.runOverBootstrap()
	}
	var none noClient
	if errors.As(err, &none) {
		env.ComplainWithStack(none.error)
		return 1
	}
	if err != nil {
		env.Printf("Error while executing topic command : %s\n", err)
		log.Errorf("%s\n", cli.ExceptionText(cli.JavaClass(err), err.Error()))
		return 1
	}
	return 0
}
