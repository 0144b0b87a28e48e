package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/monedula/monedula/internal/findings"
	"github.com/monedula/monedula/settings"
)

// checkKeys checks the keys: unknown, deprecated, without effect, and given twice.
func (d *document) checkKeys() {
	d.checkTwice()
	for _, key := range d.keys() {
		k := settings.Lookup(key)
		switch old, isOld := deprecated[key]; {
		case isOld && strings.Contains(d.values[key], "://"):
			d.error(key, note{"kubernetes-variable", fmt.Sprintf("%s=%s is not a number, but an address that Kubernetes put into an environment variable", key, d.values[key]), noServiceLinks})
		case isOld:
			d.warn(key, note{"deprecated-key", fmt.Sprintf("the configuration %s is deprecated", key), old})
		case !settings.Known(key):
			d.addUnknown(key)
		case key == "node.id":
			d.remark(key, note{"kraft-key", "node.id is the name of broker.id in KRaft mode", "Write broker.id."})
		case k != nil && k.OnlyKRaft():
			d.warn(key, note{"kraft-key", fmt.Sprintf("%s has an effect in KRaft mode only; here brokers are coordinated by ZooKeeper", key), "Remove the line."})
		case key == "metric.reporters" || key == "kafka.metrics.reporters":
			if d.text(key) != "" {
				d.warn(key, note{"java-class", fmt.Sprintf("%s=%s has no effect: reporters are Java classes, which cannot be loaded", key, d.text(key)),
					"Remove the line; monedula.metrics.listener serves metrics to Prometheus."})
			}
		}
	}
}

// noServiceLinks is how the variables of Kubernetes are avoided.
const noServiceLinks = "Kubernetes sets KAFKA_PORT in every pod if there is a Service called kafka, and a script turned it into a key. " +
	"Give the Service another name, or set enableServiceLinks: false in the pod."

// keys returns the given keys, sorted.
func (d *document) keys() []string {
	var keys []string
	for key := range d.given {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// isKRaft reports whether the file is that of a broker or controller in KRaft mode.
func (d *document) isKRaft() bool {
	return d.isGiven("process.roles") || d.isGiven("controller.quorum.voters") || d.isGiven("controller.quorum.bootstrap.servers")
}

// checkTwice finds keys that have several entries.
func (d *document) checkTwice() {
	before := map[string]settings.Property{}
	for _, p := range d.listed {
		earlier, twice := before[p.Key]
		before[p.Key] = p
		if !twice {
			continue
		}
		f := findings.Finding{Severity: findings.Warning, Code: "duplicate-key", File: d.Name, Line: p.Line,
			Text:   fmt.Sprintf("%s was already set in line %d to another value; the last one applies", p.Key, earlier.Line),
			Remedy: "Remove one of the lines."}
		if strings.TrimSpace(earlier.Value) == strings.TrimSpace(p.Value) {
			f.Severity, f.Text = findings.Remark, fmt.Sprintf("%s was already set in line %d, to the same value", p.Key, earlier.Line)
		}
		d.add(f)
	}
}

// checkOtherProgram reports whether the file is that of another program.
func (d *document) checkOtherProgram() bool {
	for _, other := range []struct{ key, program string }{
		{"dataDir", "a ZooKeeper server; a broker is started with server.properties"},
		{"key.converter", "Kafka Connect; a broker is started with server.properties"},
		{"bootstrap.servers", "a client; a broker is started with server.properties"},
	} {
		_, given := d.given[other.key]
		if given && !d.isGiven("zookeeper.connect") && !d.isGiven("broker.id") && !d.isGiven("log.dirs") && !d.isKRaft() {
			text := "this is the configuration of " + other.program
			d.error(other.key, note{"other-program", text, ""})
			d.refused[text] = true
			return true
		}
	}
	return false
}

// addUnknown adds a finding about an unknown key that names the one that was probably meant.
func (d *document) addUnknown(key string) {
	if strings.HasPrefix(key, "//") || strings.HasPrefix(key, ";") || strings.HasPrefix(key, "[") || strings.HasPrefix(key, byteOrderMark) {
		return // another finding is about the line
	}
	if remedy, old := retired[key]; old {
		d.warn(key, note{"retired-key", fmt.Sprintf("the configuration %s belongs to older releases of Kafka and has no effect", key), remedy})
		return
	}
	if of := ofTopic(key); of != "" {
		d.warn(key, note{"topic-key", fmt.Sprintf("the configuration %s belongs to topics and has no effect here", key),
			fmt.Sprintf("Write %s for the default of all topics, or set %s for a topic with bin/kafka-configs.sh.", of, key)})
		return
	}
	if program := otherProgram(key); program != "" {
		d.warn(key, note{"foreign-key", fmt.Sprintf("the configuration %s belongs to %s and has no effect here", key, program), "Move it there."})
		return
	}
	meant := spelled(key)
	if meant != "" && strings.HasPrefix(key, "KAFKA_") {
		d.warn(key, note{"environment-key", fmt.Sprintf("%s is the name of an environment variable of container images and has no effect here", key),
			fmt.Sprintf("Write %s=%s.", meant, shown(d.given[key].Value, meant))})
		return
	}
	if meant == "" {
		meant = settings.Nearest(key)
	}
	n := note{code: "unknown-key", text: settings.UnknownKeyWarning(key, meant)}
	if meant != "" {
		n.remedy = fmt.Sprintf("Write %s=%s, or remove the line.", meant, shown(d.given[key].Value, meant))
	}
	d.warn(key, n)
}

// shown returns a value for an output, in which it may be that of the key meant.
func shown(value, meant string) string {
	if k := settings.Lookup(meant); k != nil && k.Sensitive() {
		return "..."
	}
	return strings.TrimSpace(value)
}

// spelled returns the known key that has the same words as key in another spelling, such as
// broker_id, KAFKA_BROKER_ID or brokerId, or "".
func spelled(key string) string {
	var b strings.Builder
	for i, r := range key {
		switch {
		case r == '_' || r == '-' || r == ' ':
			r = '.'
		case r >= 'A' && r <= 'Z' && i > 0 && key[i-1] >= 'a' && key[i-1] <= 'z':
			b.WriteByte('.')
		}
		b.WriteRune(r)
	}
	name := strings.ToLower(b.String())
	for _, prefix := range []string{"", "kafka.cfg.", "kafka.", "cfg.", "server.", "broker."} {
		if rest, ok := strings.CutPrefix(name, prefix); ok && rest != key && settings.Known(rest) {
			return rest
		}
	}
	return ""
}

// ofTopic returns the broker's key for the default of a topic's key, or "".
func ofTopic(key string) string {
	k := settings.TopicKey(key)
	if k == nil || k.OfBroker() == nil {
		return ""
	}
	return k.OfBroker().Name
}

// deprecated are known keys that have a successor.
var deprecated = map[string]string{
	"port":                       "Write listeners=PLAINTEXT://HOST:PORT.",
	"host.name":                  "Write listeners=PLAINTEXT://HOST:PORT.",
	"advertised.port":            "Write advertised.listeners=PLAINTEXT://HOST:PORT.",
	"advertised.host.name":       "Write advertised.listeners=PLAINTEXT://HOST:PORT.",
	"log.message.format.version": "Remove the line: with inter.broker.protocol.version 3.0 or newer it has no effect (KIP-724).",
	"log.message.timestamp.difference.max.ms": "Write log.message.timestamp.before.max.ms and log.message.timestamp.after.max.ms (KIP-937).",
	"delegation.token.master.key":             "Write delegation.token.secret.key (KIP-681).",
	"auto.include.jmx.reporter":               "Remove the line (KIP-830).",
}

// retired are keys of older releases that no longer exist.
var retired = map[string]string{
	"brokerid":                                "Write broker.id.",
	"hostname":                                "Write listeners=PLAINTEXT://HOST:PORT.",
	"zk.connect":                              "Write zookeeper.connect.",
	"zk.sessiontimeout.ms":                    "Write zookeeper.session.timeout.ms.",
	"zk.connectiontimeout.ms":                 "Write zookeeper.connection.timeout.ms.",
	"zk.synctime.ms":                          "Remove the line.",
	"zookeeper.sync.time.ms":                  "Remove the line.",
	"enable.zookeeper":                        "Remove the line.",
	"log.file.size":                           "Write log.segment.bytes.",
	"log.retention.size":                      "Write log.retention.bytes.",
	"log.cleanup.interval.mins":               "Write log.retention.check.interval.ms.",
	"log.default.flush.interval.ms":           "Write log.flush.interval.ms.",
	"log.default.flush.scheduler.interval.ms": "Write log.flush.scheduler.interval.ms.",
	"log.flush.interval":                      "Write log.flush.interval.messages.",
	"log.delete.delay.ms":                     "Write log.segment.delete.delay.ms.",
	"max.socket.request.bytes":                "Write socket.request.max.bytes.",
	"socket.send.buffer":                      "Write socket.send.buffer.bytes.",
	"socket.receive.buffer":                   "Write socket.receive.buffer.bytes.",
	"num.threads":                             "Write num.io.threads.",
	"max.message.size":                        "Write message.max.bytes.",
	"topic.partition.count.map":               "Create the topics with bin/kafka-topics.sh.",
	"topic.log.retention.hours":               "Set retention.ms for the topics with bin/kafka-configs.sh.",
	"log.retention.hours.per.topic":           "Set retention.ms for the topics with bin/kafka-configs.sh.",
	"log.retention.bytes.per.topic":           "Set retention.bytes for the topics with bin/kafka-configs.sh.",
	"log.segment.bytes.per.topic":             "Set segment.bytes for the topics with bin/kafka-configs.sh.",
	"log.roll.hours.per.topic":                "Set segment.ms for the topics with bin/kafka-configs.sh.",
	"log.flush.interval.ms.per.topic":         "Set flush.ms for the topics with bin/kafka-configs.sh.",
	"replica.lag.max.messages":                "Remove the line; replica.lag.time.max.ms alone decides which replicas are in sync (KIP-16).",
	"quota.producer.default":                  "Set the quota of default clients with bin/kafka-configs.sh.",
	"quota.consumer.default":                  "Set the quota of default clients with bin/kafka-configs.sh.",
	"controller.message.queue.size":           "Remove the line.",
}

// programs are keys of other programs whose files people copy from.
var programs = []struct {
	program string
	keys    []string // a key that ends with a dot is a prefix
}{
	{"producers", []string{"acks", "key.serializer", "value.serializer", "linger.ms", "batch.size", "buffer.memory", "retries", "max.block.ms",
		"enable.idempotence", "transactional.id", "delivery.timeout.ms", "max.request.size", "metadata.broker.list", "request.required.acks", "producer."}},
	{"consumers", []string{"group.id", "auto.offset.reset", "enable.auto.commit", "auto.commit.interval.ms", "key.deserializer", "value.deserializer",
		"max.poll.records", "max.poll.interval.ms", "session.timeout.ms", "heartbeat.interval.ms", "isolation.level", "fetch.min.bytes", "fetch.max.wait.ms", "consumer."}},
	{"clients", []string{"bootstrap.servers", "client.id", "security.protocol", "sasl.mechanism"}},
	{"a ZooKeeper server", []string{"dataDir", "dataLogDir", "clientPort", "tickTime", "initLimit", "syncLimit", "maxClientCnxns", "admin.enableServer",
		"autopurge.snapRetainCount", "autopurge.purgeInterval", "server.1", "server.2", "server.3"}},
	{"Kafka Connect", []string{"key.converter", "value.converter", "offset.storage.", "config.storage.", "status.storage.", "plugin.path"}},
	{"the start scripts, as an environment variable,", []string{"KAFKA_HEAP_OPTS", "KAFKA_OPTS", "KAFKA_JMX_OPTS", "JMX_PORT", "LOG_DIR", "KAFKA_LOG4J_OPTS",
		"KAFKA_JVM_PERFORMANCE_OPTS", "JAVA_HOME"}},
	{"Log4j", []string{"log4j."}},
	{"Confluent Server", []string{"confluent."}},
}

// otherProgram returns the program that a key belongs to, or "".
func otherProgram(key string) string {
	for _, p := range programs {
		for _, name := range p.keys {
			if key == name || strings.HasSuffix(name, ".") && strings.HasPrefix(key, name) {
				return p.program
			}
		}
	}
	return ""
}
