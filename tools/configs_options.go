package tools

import (
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
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

// configsOptions is the command line of kafka-configs: that of 3.9, or with --zookeeper that of
// 2.8.
type configsOptions struct {
	*options
	zookeeper, bootstrap, bootstrapController, commandConfig *option
	alter, describe, all                                     *option
	entityType, entityName, entityDefault                    *option
	addConfig, addConfigFile, deleteConfig, force, zkTLS     *option
	named, defaults                                          []shorthand
	commandLine                                              []string
}

// shorthand is an option that stands for an entity type and a name.
type shorthand struct {
	*option
	entityType string
}

const configsSummary = "This tool helps to manipulate and describe entity config for a topic, client, user, broker, ip or client-metrics"

func newConfigsOptions(env *Env, args []string) *configsOptions {
	o := &configsOptions{options: newOptions(env, "kafka-configs", configsSummary), commandLine: args}
	o.exact = true
	o.zookeeper = o.value("zookeeper", "String: urls", "DEPRECATED. The ZooKeeper ensemble as host:port,host:port/chroot; the tool then reads and writes the znodes directly.")
	o.bootstrap = o.value("bootstrap-server", "String: server to connect to", "The brokers to connect to first, as host:port,host:port.")
	o.bootstrapController = o.value("bootstrap-controller", "String: controller to connect to", "Not supported: a cluster coordinated by ZooKeeper has no KRaft controllers.")
	o.commandConfig = o.value("command-config", "String: command config property file", "A properties file for the admin client.")
	o.alter = o.toggle("alter", "Change the configuration of an entity.")
	o.describe = o.toggle("describe", "Show the configuration of entities.")
	o.all = o.toggle("all", "With --describe, also show defaults and static values from properties files.")
	o.entityType = o.value("entity-type", "String", "The type of entity: topics, clients, users, brokers, broker-loggers, ips or client-metrics.")
	o.entityName = o.value("entity-name", "String", "The entity: a topic name, client id, user principal, broker id or IP address.")
	o.entityDefault = o.toggle("entity-default", "The default entity of the entity type before it on the command line: clients, users, brokers or ips.")
	o.addConfig = o.value("add-config", "String", "The configurations to set, as k1=v1,k2=[v1,v2],k3=v3. Put values that contain commas in brackets.")
	o.addConfigFile = o.value("add-config-file", "String", "A properties file with the configurations to set.")
	o.deleteConfig = o.value("delete-config", "String", "The configurations to remove, as k1,k2.")
	o.force = o.toggle("force", "Accepted, but has no effect: there are no prompts to suppress.")
	for _, s := range []struct{ name, entityType, doc string }{
		{"topic", typeTopics, "The topic's name."}, {"client", typeClients, "The client id."}, {"user", typeUsers, "The user's principal."},
		{"broker", typeBrokers, "The broker's id."}, {"broker-logger", typeBrokerLoggers, "The id of the broker whose loggers are shown or changed."},
		{"ip", typeIPs, "The IP address."},
	} {
		o.named = append(o.named, shorthand{o.value(s.name, "String", s.doc), s.entityType})
	}
	for _, s := range []struct{ name, entityType, doc string }{
		{"client-defaults", typeClients, "The default for all clients."}, {"user-defaults", typeUsers, "The default for all users."},
		{"broker-defaults", typeBrokers, "The default for all brokers."}, {"ip-defaults", typeIPs, "The default for all IP addresses."},
	} {
		o.defaults = append(o.defaults, shorthand{o.toggle(s.name, s.doc), s.entityType})
	}
	o.zkTLS = o.value("zk-tls-config-file", "String: ZooKeeper TLS configuration", "A properties file for TLS connections to ZooKeeper. Not supported.")
	return o
}

func (o *configsOptions) shorthands() []shorthand {
	return append(slices.Clone(o.named), o.defaults...)
}

// types returns the entity types that were given, in order.
func (o *configsOptions) types() []string {
	types := slices.Clone(o.entityType.values())
	for _, s := range o.shorthands() {
		if s.option.given() {
			types = append(types, s.entityType)
		}
	}
	return types
}

// names returns the names of the entities that were given, in order. The default entity is "".
func (o *configsOptions) names() []string {
	var names []string
	given := o.entityName.values()
	for _, opt := range o.given {
		switch opt {
		case o.entityName:
			names, given = append(names, given[0]), given[1:]
		case o.entityDefault:
			names = append(names, "")
		}
	}
	for _, s := range o.named {
		if s.option.given() {
			names = append(names, s.or(""))
		}
	}
	for _, s := range o.defaults {
		if s.option.given() {
			names = append(names, "")
		}
	}
	return names
}

// check rejects invalid combinations of options.
func (o *configsOptions) check() error {
	if o.alter.given() == o.describe.given() {
		return usageError{"Command must include exactly one action: --describe, --alter"}
	}
	if err := o.exclude(o.describe, o.addConfig, o.deleteConfig); err != nil {
		return err
	}
	if err := o.checkSingle(o.entityType, o.entityName, o.deleteConfig); err != nil {
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
	if o.alter.given() {
		return o.checkAlter()
	}
	return nil
}

func (o *configsOptions) checkTypes() error {
	types := o.types()
	if once := distinct(types); len(once) != len(types) {
		rest := slices.Clone(types)
		for _, t := range once {
			i := slices.Index(rest, t)
			rest = slices.Delete(rest, i, i+1)
		}
		return illegalArgument("Duplicate entity type(s) specified: " + strings.Join(rest, ","))
	}
	for _, t := range types {
		if problem := o.typeProblem(t); problem != "" {
			return illegalArgument(fmt.Sprintf("Invalid entity type %s, the entity type must be one of %s", t, problem))
		}
	}
	switch {
	case len(types) == 0:
		return illegalArgument("At least one entity type must be specified")
	case len(types) > 1 && !(slices.Contains(types, typeUsers) && slices.Contains(types, typeClients)):
		return illegalArgument("Only 'users' and 'clients' entity types may be specified together")
	}
	if o.entityName.given() || o.entityType.given() || o.entityDefault.given() {
		for _, s := range o.shorthands() {
			if s.option.given() {
				return illegalArgument("--entity-{type,name,default} should not be used in conjunction with specific entity flags")
			}
		}
	}
	return nil
}

// typeProblem returns the list of accepted entity types if t is not one of them, and "" otherwise.
func (o *configsOptions) typeProblem(t string) string {
	byZooKeeper := []string{typeTopics, typeClients, typeUsers, typeBrokers, typeIPs}
	byBroker := append(slices.Clone(byZooKeeper), typeBrokerLoggers, typeClientMetrics)
	switch {
	case o.bootstrap.given() || o.bootstrapController.given():
		if !slices.Contains(byBroker, t) {
			return strings.Join(byBroker, ", ") + " with a --bootstrap-server or --bootstrap-controller argument"
		}
	case o.zookeeper.given():
		if !slices.Contains(byZooKeeper, t) {
			return strings.Join(byZooKeeper, ",") + " with the --zookeeper argument"
		}
	case t != typeUsers && t != typeBrokers:
		return "users, brokers with a --zookeeper argument"
	}
	return ""
}

func (o *configsOptions) checkServers() error {
	connections := 0
	for _, opt := range []*option{o.bootstrap, o.bootstrapController, o.zookeeper} {
		if opt.given() {
			connections++
		}
	}
	switch {
	case connections == 0: // the misspelling is Kafka's
		return illegalArgument("One of the required --bootstrap-server, --boostrap-controller, or --zookeeper arguments must be specified")
	case connections > 1:
		return illegalArgument("Only one of --bootstrap-server, --boostrap-controller, and --zookeeper can be specified")
	case o.all.given() && o.zookeeper.given():
		return illegalArgument("--bootstrap-server must be specified for --all")
	case o.zkTLS.given() && !o.zookeeper.given():
		return illegalArgument("Only the --zookeeper option can be used with the --zk-tls-config-file option.")
	case o.zkTLS.given():
		return illegalArgument("TLS connections to ZooKeeper are not supported: remove --zk-tls-config-file")
	case o.bootstrapController.given():
		return illegalArgument("--bootstrap-controller requires KRaft controllers, but this cluster is coordinated by ZooKeeper: use --bootstrap-server")
	}
	return nil
}

func (o *configsOptions) checkNames() error {
	types, first := o.types(), o.types()[0]
	for _, name := range o.names() {
		if name == "" {
			continue
		}
		if slices.Contains(types, typeBrokers) || slices.Contains(types, typeBrokerLoggers) {
			if _, err := strconv.ParseInt(name, 10, 32); err != nil {
				return illegalArgument(fmt.Sprintf("The entity name for %s must be a valid integer broker id, but it is: %s", first, name))
			}
		}
		if slices.Contains(types, typeIPs) {
			if _, err := net.LookupHost(name); err != nil {
				return illegalArgument(fmt.Sprintf("The entity name for %s must be a valid IP or resolvable host, but it is: %s", first, name))
			}
		}
	}
	if o.describe.given() && slices.Contains(types, typeBrokerLoggers) && !o.hasName() {
		return illegalArgument("an entity name must be specified with --describe of " + strings.Join(types, ","))
	}
	return nil
}

func (o *configsOptions) hasName() bool {
	return slices.ContainsFunc(o.names(), func(name string) bool { return name != "" })
}

func (o *configsOptions) checkAlter() error {
	types, withDefault := o.types(), false
	for _, t := range []string{typeUsers, typeClients, typeBrokers, typeIPs} {
		withDefault = withDefault || slices.Contains(types, t)
	}
	switch {
	case withDefault && len(o.names()) == 0:
		return illegalArgument("an entity-name or default entity must be specified with --alter of users, clients, brokers or ips")
	case !withDefault && !o.hasName():
		return illegalArgument("an entity name must be specified with --alter of " + strings.Join(types, ","))
	case o.addConfig.given() && o.addConfigFile.given():
		return illegalArgument("Only one of --add-config or --add-config-file must be specified")
	case !o.addConfig.given() && !o.addConfigFile.given() && !o.deleteConfig.given():
		return illegalArgument("At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter")
	}
	return nil
}

var (
	keyForm  = regexp.MustCompile(`^[a-zA-Z0-9._-]*$`)
	brackets = strings.NewReplacer("[", "", "]", "")
)

// added returns the configurations from --add-config and --add-config-file.
func (o *configsOptions) added() (map[string]string, error) {
	configs := map[string]string{}
	if o.addConfigFile.given() {
		file := o.addConfigFile.or("")
		fromFile, err := loadProperties(file)
		if err != nil {
			return nil, err
		}
		configs = fromFile
	}
	if o.addConfig.given() {
		for _, pair := range splitOutsideBrackets(o.addConfig.or(""), ',') {
			parts := splitOutsideBrackets(pair, '=')
			if len(parts) != 2 {
				return nil, illegalArgument("requirement failed: Invalid entity config: all configs to be added must be in the format \"key=val\".")
			}
			configs[strings.TrimSpace(parts[0])] = strings.TrimSpace(brackets.Replace(parts[1]))
		}
	}
	if version, given := configs["message.format.version"]; given {
		o.env.printf("WARNING: The configuration message.format.version=%s is specified. "+
			"This configuration will be ignored if the version is newer than the inter.broker.protocol.version specified in the broker or "+
			"if the inter.broker.protocol.version is 3.0 or newer. This configuration is deprecated and it will be removed in Apache Kafka 4.0.\n", version)
	}
	for _, key := range slices.Sorted(maps.Keys(configs)) {
		if !keyForm.MatchString(key) {
			return nil, illegalArgument("Invalid character found for config key: " + key)
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
func (o *configsOptions) deleted() []string {
	var keys []string
	for _, list := range o.deleteConfig.values() {
		for _, key := range strings.Split(list, ",") {
			keys = append(keys, strings.TrimSpace(key))
		}
	}
	return keys
}
