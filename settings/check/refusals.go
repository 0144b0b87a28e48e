package check

import (
	"errors"
	"fmt"
	"strings"

	"github.com/monedula/monedula/settings"
)

// addRefusal adds an error with which a broker does not start. The text is that of the broker.
func (d *document) addRefusal(err error) {
	var unsupported *settings.UnsupportedError
	var problem *settings.Problem
	switch {
	case errors.As(err, &unsupported):
		d.error(unsupported.Key, note{"unsupported", unsupported.Text, "Remove the setting, or run Apache Kafka where clients must authenticate or encrypt."})
	case errors.As(err, &problem) && problem.Key == "node.id" && !d.isGiven("node.id"):
		return // broker.id has the same value and the same problem
	case errors.As(err, &problem):
		text := problem.Text
		if problem.Allowed != "" && len(problem.Allowed) < 200 {
			text += " (accepted: " + problem.Allowed + ")"
		}
		key := problem.Key
		if !d.isGiven(key) && (key == "inter.broker.listener.name" || key == "advertised.listeners") {
			key = d.advertisedKey()
		}
		code, remedy := d.explain(problem)
		d.error(key, note{code, text, remedy})
	default:
		d.error("", note{"refused", err.Error(), ""})
	}
	d.refused[d.found[len(d.found)-1].Text] = true
}

// explanations are the codes and remedies of Kafka's messages. The first entry applies whose text
// is part of the message. A function gets the document and the problem.
var explanations = []struct {
	part   string
	code   string
	remedy func(d *document, p *settings.Problem) string
}{
	{"nonroutable meta-address 0.0.0.0", "advertised-wildcard", func(d *document, _ *settings.Problem) string {
		return "Set advertised.listeners to a name or address by which clients and the other brokers reach this machine, such as advertised.listeners=" +
			advertisedExample(d) + ". 0.0.0.0 may only be in listeners."
	}},
	{"No security protocol defined for listener", "listener-without-protocol", func(_ *document, p *settings.Problem) string {
		_, name, _ := strings.Cut(p.Text, "defined for listener ")
		if name == "HTTP" || name == "HTTPS" || strings.Contains(name, "/") {
			return listenerForm
		}
		return fmt.Sprintf("Add the listener to the map: listener.security.protocol.map=%s:PLAINTEXT,... "+
			"The map replaces the default one, so it must name every listener.", name)
	}},
	{"inter.broker.listener.name must be a listener name defined in advertised.listeners", "inter-broker-listener", func(d *document, _ *settings.Problem) string {
		if d.isGiven("inter.broker.listener.name") {
			return "Write the name of one of the advertised listeners: " + strings.Join(d.listenerNames(), ", ") + "."
		}
		return "Without inter.broker.listener.name brokers connect to a listener called PLAINTEXT, which is not among the listeners. Add inter.broker.listener.name=" +
			first(d.listenerNames(), "NAME") + ", or the listener that brokers are to use."
	}},
	{"advertised.listeners listener names must be equal to or a subset", "advertised-names", func(d *document, _ *settings.Problem) string {
		return "Each name in advertised.listeners must also be in listeners, with the same spelling. Add the missing one to listeners: its address is what the broker binds, " +
			"and the one in advertised.listeners is what clients connect to."
	}},
	{"There must be at least one broker advertised listener", "no-listener", always(
		"Remove the empty key, or give it a value such as PLAINTEXT://host:9092.")},
	{"to a broker endpoint", "listener-syntax", always(listenerForm)},
	{"Each listener must have a different", "listener-twice", always("Give each listener a name and a port of its own.")},
	{"If you have two listeners on the same port", "listener-twice", always("Give each listener a port of its own.")},
	{"Invalid security protocol", "security-protocol", always("A security protocol is one of PLAINTEXT, SSL, SASL_PLAINTEXT and SASL_SSL.")},
	{"Only one of inter.broker.listener.name and security.inter.broker.protocol", "inter-broker-twice", always("Remove security.inter.broker.protocol.")},
	{"not found in listener.security.protocol.map", "listener-without-protocol", always(
		"Add the listener to listener.security.protocol.map, which must name every listener.")},
	{"`zookeeper.connect` which has no default", "no-zookeeper", func(d *document, _ *settings.Problem) string {
		return "Set zookeeper.connect to the ensemble, such as zookeeper.connect=zookeeper1:2181,zookeeper2:2181,zookeeper3:2181/kafka. " +
			"Every broker of a cluster has the same value."
	}},
	{"controller.listener.names must be empty", "kraft", always(toZooKeeper)},
	{"cannot be true", "unsupported", nil},
	{"not greater than reserved.broker.max.id", "broker-id-range", always(
		"Choose a smaller broker.id, or set reserved.broker.max.id at least as high, on all brokers. A broker that has data must keep its id.")},
	{"broker.id must be greater than or equal to 0", "broker-id-range", always("Set broker.id to a number of its own for each broker, or remove broker.id.generation.enable=false.")},
	{"same value as `broker.id`", "kraft", always("Remove node.id, which is a key of KRaft.")},
	{"log.retention.ms must be unlimited", "retention-zero", always(
		"Write -1 to keep records without a limit of time. A retention of 0 would delete everything; to empty a topic use bin/kafka-delete-records.sh.")},
	{"log.cleaner.dedupe.buffer.size must be at least", "cleaner-buffer", always("Set log.cleaner.dedupe.buffer.size to more than 1048576 times log.cleaner.threads.")},
	{"to prevent frequent changes in ISR", "replica-wait", always("Lower replica.fetch.wait.max.ms, or raise replica.lag.time.max.ms (default 30000).")},
	{"to prevent unnecessary socket timeouts", "replica-wait", always("Lower replica.fetch.wait.max.ms, or raise replica.socket.timeout.ms (default 30000).")},
	{"> max.compaction.lag.ms", "compaction-lag", always("Lower log.cleaner.min.compaction.lag.ms, or raise log.cleaner.max.compaction.lag.ms.")},
	{"could not be found", "java-class", always("Java classes cannot be loaded here. Remove the setting.")},
	{"Not a number of type", "not-a-number", func(d *document, p *settings.Problem) string { return numberRemedy(p) }},
	{"Expected value to be either true or false", "not-a-boolean", always("Write true or false.")},
	{"is not a valid version", "protocol-version", always("Write a release of Kafka up to 3.9, such as 3.9 or 2.8.")},
}

// listenerForm is how a listener is written.
const listenerForm = "Write NAME://host:port, separated by commas, such as PLAINTEXT://kafka1.example.com:9092, or PLAINTEXT://:9092 for all addresses. " +
	"A port is required; http:// and quotes are not part of the form, and an IPv6 address is written in brackets."

// toZooKeeper is how a configuration for KRaft becomes one for ZooKeeper.
const toZooKeeper = "Remove process.roles, node.id, controller.quorum.voters, controller.quorum.bootstrap.servers, controller.listener.names " +
	"and the CONTROLLER listener, and set broker.id and zookeeper.connect. A new folder is needed if log.dirs holds data of a KRaft broker."

// replaceByKRaft replaces all findings of the configuration of a KRaft broker by one.
func (d *document) replaceByKRaft() {
	text := "this is the configuration of a broker in KRaft mode; here brokers are coordinated by ZooKeeper"
	d.found, d.refused = nil, map[string]bool{text: true}
	d.error("process.roles", note{"kraft", text, toZooKeeper})
}

func always(remedy string) func(*document, *settings.Problem) string {
	return func(*document, *settings.Problem) string { return remedy }
}

// explain returns the code and the remedy of a refusal.
func (d *document) explain(p *settings.Problem) (code, remedy string) {
	for _, e := range explanations {
		if strings.Contains(p.Text, e.part) {
			if e.remedy != nil {
				remedy = e.remedy(d, p)
			}
			return e.code, remedy
		}
	}
	if p.Key == "" {
		return "refused", ""
	}
	if k := settings.LookupAny(p.Key); k != nil { // a config provider can fail for any key
		if text, ok := k.DefaultText(); ok && text != "" {
			remedy = "Write an accepted value, or remove the line for the default " + text + "."
		}
	}
	return "bad-value", remedy
}

// numberRemedy returns how a number is written that was written in another way.
func numberRemedy(p *settings.Problem) string {
	text := strings.TrimSpace(p.Value)
	k := known(p.Key) // only values of keys of the tables are parsed as numbers
	switch n, unit, is := quantity(text); {
	case strings.ContainsAny(text, `"'#$}`):
		return "" // another finding is about the quotes, the comment or the placeholder
	case text == "":
		fallback, ok := k.DefaultText()
		if !ok {
			return "Write a number, or remove the line."
		}
		return "Write a number, or remove the line for the default " + fallback + "."
	case strings.HasPrefix(text, "tcp://"):
		return noServiceLinks
	case is && unit == "" && k.Type != settings.Double:
		return fmt.Sprintf("Write the number without exponent, separators or decimals: %s=%d.", p.Key, n)
	case is:
		return fmt.Sprintf("Write the number without a unit: %s=%d.", p.Key, n)
	case k.Type == settings.Int || k.Type == settings.Short:
		if _, err := k.Parse(text); err != nil && isInteger(text) {
			return map[settings.Type]string{settings.Int: "The largest possible value is 2147483647.", settings.Short: "The largest possible value is 32767."}[k.Type]
		}
	}
	return "Write a number, without a unit, quotes or a comment after it."
}

func first(list []string, otherwise string) string {
	if len(list) > 0 {
		return list[0]
	}
	return otherwise
}
