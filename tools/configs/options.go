package configs

import (
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// Entity types of kafka-configs.
const (
	typeTopics        = "topics"
	typeClients       = "clients"
	typeUsers         = "users"
	typeBrokers       = "brokers"
	typeIPs           = "ips"
	typeBrokerLoggers = "broker-loggers"
	typeClientMetrics = "client-metrics"
)

// options is the command line of kafka-configs: that of 3.9, or with --zookeeper that of
// 2.8.
type options struct {
	*cli.Options
	zookeeper, bootstrap, bootstrapController, commandConfig *cli.Option
	alter, describe, all                                     *cli.Option
	entityType, entityName, entityDefault                    *cli.Option
	addConfig, addConfigFile, deleteConfig, force, zkTLS     *cli.Option
	named, defaults                                          []shorthand
	commandLine                                              []string
	described                                                []describedEntity // for --output json
}

// shorthand is an option that stands for an entity type and a name.
type shorthand struct {
	*cli.Option
	entityType string
}

const summary = "This tool helps to manipulate and describe entity config for a topic, client, user, broker, ip or client-metrics"

func newOptions(env *cli.Env, args []string) *options {
	o := &options{Options: cli.NewOptions(env, "kafka-configs", summary), commandLine: args, described: []describedEntity{}}
	o.Exact = true
	o.zookeeper = o.Value("zookeeper", "String: urls", "DEPRECATED. The ZooKeeper ensemble as host:port,host:port/chroot; the tool then reads and writes the znodes directly.")
	o.bootstrap = o.Value("bootstrap-server", "String: server to connect to", "The brokers to connect to first, as host:port,host:port.")
	o.bootstrapController = o.Value("bootstrap-controller", "String: controller to connect to", "Not supported: a cluster coordinated by ZooKeeper has no KRaft controllers.")
	o.commandConfig = o.Value("command-config", "String: command config property file", "A properties file for the admin client.")
	o.alter = o.Toggle("alter", "Change the configuration of an entity.")
	o.describe = o.Toggle("describe", "Show the configuration of entities.")
	o.all = o.Toggle("all", "With --describe, also show defaults and static values from properties files.")
	o.entityType = o.Value("entity-type", "String", "The type of entity: topics, clients, users, brokers, broker-loggers, ips or client-metrics.")
	o.entityName = o.Value("entity-name", "String", "The entity: a topic name, client id, user principal, broker id or IP address.")
	o.entityDefault = o.Toggle("entity-default", "The default entity of the entity type before it on the command line: clients, users, brokers or ips.")
	o.addConfig = o.Value("add-config", "String", "The configurations to set, as k1=v1,k2=[v1,v2],k3=v3. Put values that contain commas in brackets.")
	o.addConfigFile = o.Value("add-config-file", "String", "A properties file with the configurations to set.")
	o.deleteConfig = o.Value("delete-config", "String", "The configurations to remove, as k1,k2.")
	o.force = o.Toggle("force", "Accepted, but has no effect: there are no prompts to suppress.")
	o.Output(o.describe)
	for _, s := range []struct{ name, entityType, doc string }{
		{"topic", typeTopics, "The topic's name."}, {"client", typeClients, "The client id."}, {"user", typeUsers, "The user's principal."},
		{"broker", typeBrokers, "The broker's id."}, {"broker-logger", typeBrokerLoggers, "The id of the broker whose loggers are shown or changed."},
		{"ip", typeIPs, "The IP address."},
	} {
		o.named = append(o.named, shorthand{o.Value(s.name, "String", s.doc), s.entityType})
	}
	for _, s := range []struct{ name, entityType, doc string }{
		{"client-defaults", typeClients, "The default for all clients."}, {"user-defaults", typeUsers, "The default for all users."},
		{"broker-defaults", typeBrokers, "The default for all brokers."}, {"ip-defaults", typeIPs, "The default for all IP addresses."},
	} {
		o.defaults = append(o.defaults, shorthand{o.Toggle(s.name, s.doc), s.entityType})
	}
	o.zkTLS = o.Value("zk-tls-config-file", "String: ZooKeeper TLS configuration", "A properties file for TLS connections to ZooKeeper. Not supported.")
	return o
}

func (o *options) shorthands() []shorthand {
	return append(slices.Clone(o.named), o.defaults...)
}

// types returns the entity types that were given, in order.
func (o *options) types() []string {
	types := slices.Clone(o.entityType.Values())
	for _, s := range o.shorthands() {
		if s.Option.Given() {
			types = append(types, s.entityType)
		}
	}
	return types
}

// names returns the names of the entities that were given, in order. The default entity is "".
func (o *options) names() []string {
	var names []string
	given := o.entityName.Values()
	for _, opt := range o.InOrder {
		switch opt {
		case o.entityName:
			names, given = append(names, given[0]), given[1:]
		case o.entityDefault:
			names = append(names, "")
		}
	}
	for _, s := range o.named {
		if s.Option.Given() {
			names = append(names, s.Or(""))
		}
	}
	for _, s := range o.defaults {
		if s.Option.Given() {
			names = append(names, "")
		}
	}
	return names
}

// check rejects invalid combinations of options.
func (o *options) check() error {
	if o.alter.Given() == o.describe.Given() {
		return cli.UsageError{Text: "Command must include exactly one action: --describe, --alter"}
	}
	if err := o.Exclude(o.describe, o.addConfig, o.deleteConfig); err != nil {
		return err
	}
	if err := o.CheckSingle(o.entityType, o.entityName, o.deleteConfig); err != nil {
		return err
	}
	if err := o.checkTypes(); err != nil {
		return err
	}
	if err := o.checkServers(); err != nil {
		return err
	}
	if err := o.checkNames(); err != nil {
		return err
	}
	if o.alter.Given() {
		return o.checkAlter()
	}
	return nil
}

func (o *options) checkTypes() error {
	types := o.types()
	if once := client.Distinct(types); len(once) != len(types) {
		rest := slices.Clone(types)
		for _, t := range once {
			i := slices.Index(rest, t)
			rest = slices.Delete(rest, i, i+1)
		}
		return cli.IllegalArgument("Duplicate entity type(s) specified: " + strings.Join(rest, ","))
	}
	for _, t := range types {
		if problem := o.typeProblem(t); problem != "" {
			return cli.IllegalArgument(fmt.Sprintf("Invalid entity type %s, the entity type must be one of %s", t, problem))
		}
	}
	switch {
	case len(types) == 0:
		return cli.IllegalArgument("At least one entity type must be specified")
	case len(types) > 1 && !(slices.Contains(types, typeUsers) && slices.Contains(types, typeClients)):
		return cli.IllegalArgument("Only 'users' and 'clients' entity types may be specified together")
	}
	if o.entityName.Given() || o.entityType.Given() || o.entityDefault.Given() {
		for _, s := range o.shorthands() {
			if s.Option.Given() {
				return cli.IllegalArgument("--entity-{type,name,default} should not be used in conjunction with specific entity flags")
			}
		}
	}
	return nil
}

// typeProblem returns the list of accepted entity types if t is not one of them, and "" otherwise.
func (o *options) typeProblem(t string) string {
	byZooKeeper := []string{typeTopics, typeClients, typeUsers, typeBrokers, typeIPs}
	byBroker := append(slices.Clone(byZooKeeper), typeBrokerLoggers, typeClientMetrics)
	switch {
	case o.bootstrap.Given() || o.bootstrapController.Given():
		if !slices.Contains(byBroker, t) {
			return strings.Join(byBroker, ", ") + " with a --bootstrap-server or --bootstrap-controller argument"
		}
	case o.zookeeper.Given():
		if !slices.Contains(byZooKeeper, t) {
			return strings.Join(byZooKeeper, ",") + " with the --zookeeper argument"
		}
	case t != typeUsers && t != typeBrokers:
		return "users, brokers with a --zookeeper argument"
	}
	return ""
}

func (o *options) checkServers() error {
	connections := 0
	for _, opt := range []*cli.Option{o.bootstrap, o.bootstrapController, o.zookeeper} {
		if opt.Given() {
			connections++
		}
	}
	switch {
	case connections == 0: // the misspelling is Kafka's
		return cli.IllegalArgument("One of the required --bootstrap-server, --boostrap-controller, or --zookeeper arguments must be specified")
	case connections > 1:
		return cli.IllegalArgument("Only one of --bootstrap-server, --boostrap-controller, and --zookeeper can be specified")
	case o.all.Given() && o.zookeeper.Given():
		return cli.IllegalArgument("--bootstrap-server must be specified for --all")
	case o.zkTLS.Given() && !o.zookeeper.Given():
		return cli.IllegalArgument("Only the --zookeeper option can be used with the --zk-tls-config-file option.")
	case o.zkTLS.Given():
		return cli.IllegalArgument("TLS connections to ZooKeeper are not supported: remove --zk-tls-config-file")
	case o.bootstrapController.Given():
		return cli.IllegalArgument("--bootstrap-controller requires KRaft controllers, but this cluster is coordinated by ZooKeeper: use --bootstrap-server")
	}
	return nil
}

func (o *options) checkNames() error {
	types, first := o.types(), o.types()[0]
	for _, name := range o.names() {
		if name == "" {
			continue
		}
		if slices.Contains(types, typeBrokers) || slices.Contains(types, typeBrokerLoggers) {
			if _, err := strconv.ParseInt(name, 10, 32); err != nil {
				return cli.IllegalArgument(fmt.Sprintf("The entity name for %s must be a valid integer broker id, but it is: %s", first, name))
			}
		}
		if slices.Contains(types, typeIPs) {
			if _, err := net.LookupHost(name); err != nil {
				return cli.IllegalArgument(fmt.Sprintf("The entity name for %s must be a valid IP or resolvable host, but it is: %s", first, name))
			}
		}
	}
	if o.describe.Given() && slices.Contains(types, typeBrokerLoggers) && !o.hasName() {
		return cli.IllegalArgument("an entity name must be specified with --describe of " + strings.Join(types, ","))
	}
	return nil
}

func (o *options) hasName() bool {
	return slices.ContainsFunc(o.names(), func(name string) bool { return name != "" })
}

func (o *options) checkAlter() error {
	types, withDefault := o.types(), false
	for _, t := range []string{typeUsers, typeClients, typeBrokers, typeIPs} {
		withDefault = withDefault || slices.Contains(types, t)
	}
	switch {
	case withDefault && len(o.names()) == 0:
		return cli.IllegalArgument("an entity-name or default entity must be specified with --alter of users, clients, brokers or ips")
	case !withDefault && !o.hasName():
		return cli.IllegalArgument("an entity name must be specified with --alter of " + strings.Join(types, ","))
	case o.addConfig.Given() && o.addConfigFile.Given():
		return cli.IllegalArgument("Only one of --add-config or --add-config-file must be specified")
	case !o.addConfig.Given() && !o.addConfigFile.Given() && !o.deleteConfig.Given():
		return cli.IllegalArgument("At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter")
	}
	return nil
}

var (
	keyForm  = regexp.MustCompile(`^[a-zA-Z0-9._-]*$`)
	brackets = strings.NewReplacer("[", "", "]", "")
)

// added returns the configurations from --add-config and --add-config-file.
func (o *options) added() (map[string]string, error) {
	configs := map[string]string{}
	if o.addConfigFile.Given() {
		file := o.addConfigFile.Or("")
		fromFile, err := client.LoadProperties(file)
		if err != nil {
			return nil, err
		}
		configs = fromFile
	}
	if o.addConfig.Given() {
		for _, pair := range splitOutsideBrackets(o.addConfig.Or(""), ',') {
			parts := splitOutsideBrackets(pair, '=')
			if len(parts) != 2 {
				return nil, cli.IllegalArgument("requirement failed: Invalid entity config: all configs to be added must be in the format \"key=val\".")
			}
			configs[strings.TrimSpace(parts[0])] = strings.TrimSpace(brackets.Replace(parts[1]))
		}
	}
	if version, given := configs[settings.TopicMessageFormatVersion.Name]; given {
		o.Env.Printf("WARNING: The configuration message.format.version=%s is specified. "+
			"This configuration will be ignored if the version is newer than the inter.broker.protocol.version specified in the broker or "+
			"if the inter.broker.protocol.version is 3.0 or newer. This configuration is deprecated and it will be removed in Apache Kafka 4.0.\n", version)
	}
	for _, key := range slices.Sorted(maps.Keys(configs)) {
		if !keyForm.MatchString(key) {
			return nil, cli.IllegalArgument("Invalid character found for config key: " + key)
		}
	}
	return configs, nil
}

// splitOutsideBrackets splits text at each separator, unless a closing bracket follows before the
// next opening one.
func splitOutsideBrackets(text string, separator byte) []string {
	var parts []string
	from := 0
	for i := 0; i < len(text); i++ {
		next := strings.IndexAny(text[i:], "[]")
		if text[i] == separator && (next < 0 || text[i+next] == '[') {
			parts, from = append(parts, text[from:i]), i+1
		}
	}
	return append(parts, text[from:])
}

// deleted returns the keys from --delete-config.
func (o *options) deleted() []string {
	var keys []string
	for _, list := range o.deleteConfig.Values() {
		for _, key := range strings.Split(list, ",") {
			keys = append(keys, strings.TrimSpace(key))
		}
	}
	return keys
}
