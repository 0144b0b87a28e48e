package tools

import "errors"

var topicsTool = Tool{
	Name:    "kafka-topics",
	Summary: "Creates, lists, describes, alters and deletes topics.",
	Run:     runTopics,
}

func runTopics(env *Env, args []string) int {
	o := newTopicsOptions(env)
	if len(args) == 0 {
		env.complainf("Create, delete, describe, or change a topic.")
		o.printUsage(env.Stderr)
		return 1
	}
	if err := o.parse(args); err != nil {
		var bad badOption
		if errors.As(err, &bad) {
			env.complainf("%s\n%s\n", bad.text, exception("joptsimple."+bad.class, bad.text))
			return 1
		}
		return o.fail(err)
	}
	if err := o.check(); err != nil {
		var usage usageError
		if !errors.As(err, &usage) {
			env.complainf("%s\n%s\n", err, exception("java.lang.IllegalArgumentException", err.Error()))
			return 1
		}
		return o.fail(err)
	}
	log := env.logger("org.apache.kafka.tools.TopicCommand")
	var err error
	if o.zookeeper.given() {
		log = env.logger("kafka.admin.TopicCommand$")
		err = o.runOverZooKeeper()
	} else {
		err = o.runOverBootstrap()
	}
	if err != nil {
		env.printf("Error while executing topic command : %s\n", err)
		log.Errorf("%s\n", exception(javaClass(err), err.Error()))
		return 1
	}
	return 0
}
