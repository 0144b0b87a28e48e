package configs

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/admin"
	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// configsAdmin implements kafka-configs with --bootstrap-server.
type configsAdmin struct {
	*options
	*client.Admin
}

// patience is how long the tool waits for the description of a configuration.
const patience = 30 * time.Second

func (o *options) runOverBootstrap() error {
	client, err := client.NewAdmin(o.Env, "adminclient-1", o.bootstrap.Or(""), o.commandConfig.Or(""), client.AdminTimeout)
	if err != nil {
		return err
	}
	defer client.Close()
	a := &configsAdmin{o, client}
	if o.describe.Given() {
		return a.describeEntities()
	}
	if len(o.types()) != len(o.names()) {
		return cli.IllegalArgument("An entity name must be specified for every entity type")
	}
	added, err := o.added()
	if err != nil {
		return err
	}
	entityType, name := o.types()[0], o.names()[0]
	switch entityType {
	case typeUsers, typeClients:
		err = a.alterUserOrClient(added, o.deleted())
	case typeIPs:
		err = a.alterIP(added, o.deleted())
	case typeBrokers:
		err = a.alterBroker(name, added, o.deleted())
	default:
		err = a.alterResource(entityType, name, added, o.deleted())
	}
	if err != nil {
		return err
	}
	kind := strings.TrimSuffix(entityType, "s")
	if entityType == typeClientMetrics {
		kind = "client-metric"
	}
	if name != "" {
		o.Env.Printf("Completed updating config for %s %s.\n", kind, name)
	} else {
		o.Env.Printf("Completed updating default config for %s in the cluster.\n", entityType)
	}
	return nil
}

// alterResource sets and deletes keys of a topic, of the loggers of a broker, or of client metrics.
func (a *configsAdmin) alterResource(entityType, name string, added map[string]string, deleted []string) error {
	entries, err := a.resourceConfig(entityType, name, false)
	if err != nil {
		return err
	}
	isSet := func(key string) bool {
		return slices.ContainsFunc(entries, func(e configEntry) bool { return e.Name == key })
	}
	if entityType == typeBrokerLoggers {
		var unknown []string
		for _, logger := range append(slices.Clone(deleted), slices.Sorted(maps.Keys(added))...) {
			if !isSet(logger) {
				unknown = append(unknown, logger)
			}
		}
		if len(unknown) > 0 {
			return cli.NewJavaError(client.InvalidConfiguration, "Invalid broker logger(s): "+strings.Join(unknown, ","))
		}
	} else if err := requireSet(deleted, isSet); err != nil {
		return err
	}
	empty := "" // Kafka's tool sends an empty value for a key to delete
	var changes []client.ConfigChange
	for _, key := range slices.Sorted(maps.Keys(added)) {
		changes = append(changes, client.Setting(key, added[key]))
	}
	for _, key := range deleted {
		changes = append(changes, client.ConfigChange{Name: key, Value: &empty, Delete: true})
	}
	return client.Execution(a.ChangeConfigs([]client.Resource{{Kind: resourceKinds[entityType], Name: name}}, func(client.Resource) []client.ConfigChange { return changes }))
}

// alterBroker replaces the dynamic configuration of a broker, or the default of all brokers.
func (a *configsAdmin) alterBroker(name string, added map[string]string, deleted []string) error {
	entries, err := a.resourceConfig(typeBrokers, name, false)
	if err != nil {
		return err
	}
	values := map[string]*string{}
	for _, e := range entries {
		values[e.Name] = e.Value
	}
	if err := requireSet(deleted, func(key string) bool { _, found := values[key]; return found }); err != nil {
		return err
	}
	for key, value := range added {
		values[key] = &value
	}
	for _, key := range deleted {
		delete(values, key)
	}
	var hidden []string
	req := kmsg.NewPtrAlterConfigsRequest()
	one := kmsg.NewAlterConfigsRequestResource()
	r := client.Resource{Kind: kmsg.ConfigResourceTypeBroker, Name: name}
	one.ResourceType, one.ResourceName = r.Kind, r.Name
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if values[key] == nil {
			hidden = append(hidden, key)
		}
		entry := kmsg.NewAlterConfigsRequestResourceConfig()
		entry.Name, entry.Value = key, values[key]
		one.Configs = append(one.Configs, entry)
	}
	if len(hidden) > 0 {
		return cli.NewJavaError(client.InvalidConfiguration, fmt.Sprintf("All sensitive broker config entries must be specified for --alter, missing entries: %s", javatext.Collection("Set", hidden)))
	}
	req.Resources = append(req.Resources, one)
	resp, err := a.Send("alterConfigs", r.Place(), req, 2, nil)
	if err != nil {
		return client.Execution(err)
	}
	for _, answer := range resp.(*kmsg.AlterConfigsResponse).Resources {
		if answer.ErrorCode != 0 {
			return client.Execution(client.Refusal(answer.ErrorCode, answer.ErrorMessage))
		}
	}
	return nil
}

type configEntry = kmsg.DescribeConfigsResponseResourceConfig

var resourceKinds = map[string]kmsg.ConfigResourceType{
	typeTopics: kmsg.ConfigResourceTypeTopic, typeBrokers: kmsg.ConfigResourceTypeBroker,
	typeBrokerLoggers: kmsg.ConfigResourceTypeBrokerLogger, typeClientMetrics: kmsg.ConfigResourceTypeClientMetrics,
}

// dynamicSource returns the source of values that were set for the entity itself. filter is false
// if entities of this type have no such source.
func dynamicSource(entityType, name string) (source kmsg.ConfigSource, filter bool) {
	switch {
	case entityType == typeTopics:
		return kmsg.ConfigSourceDynamicTopicConfig, true
	case entityType == typeBrokers && name == "":
		return kmsg.ConfigSourceDynamicDefaultBrokerConfig, true
	case entityType == typeBrokers:
		return kmsg.ConfigSourceDynamicBrokerConfig, true
	case entityType == typeClientMetrics:
		return kmsg.ConfigSourceClientMetricsConfig, true
	}
	return 0, false
}

// resourceConfig returns the configuration entries of an entity: all of them, or only those that
// were set for it.
func (a *configsAdmin) resourceConfig(entityType, name string, all bool) ([]configEntry, error) {
	if entityType == typeTopics && name != "" {
		if err := admin.ValidateTopicName(name); err != nil {
			return nil, err
		}
	}
	timeout := a.Timeout
	a.Timeout = min(timeout, patience)
	entries, err := a.DescribeConfig(client.Resource{Kind: resourceKinds[entityType], Name: name}, true)
	a.Timeout = timeout
	if timeout > patience && cli.IsTimeout(err) {
		return nil, cli.NewJavaError("java.util.concurrent.TimeoutException", "")
	}
	if err != nil {
		return nil, client.Execution(err)
	}
	source, filter := dynamicSource(entityType, name)
	if filter && !all {
		entries = slices.DeleteFunc(entries, func(e configEntry) bool { return e.Source != source })
	}
	slices.SortFunc(entries, func(x, y configEntry) int { return strings.Compare(x.Name, y.Name) })
	return entries, nil
}

func (a *configsAdmin) describeEntities() error {
	types, names := a.types(), a.names()
	switch types[0] {
	case typeUsers, typeClients, typeIPs:
		return a.describeQuotasAndCredentials(types, names)
	}
	entityType := types[0]
	if len(names) > 0 {
		return a.describeEntity(entityType, names[0])
	}
	names, err := a.entities(entityType)
	if err != nil {
		return client.Execution(err)
	}
	for _, name := range names {
		if err := a.describeEntity(entityType, name); err != nil {
			return err
		}
	}
	return nil
}

// entities returns the names of all entities of a type, in the order of Kafka's client.
func (a *configsAdmin) entities(entityType string) (names []string, err error) {
	switch entityType {
	case typeTopics:
		meta, err := a.Metadata("listTopics", nil)
		if err != nil {
			return nil, err
		}
		for _, t := range meta.Topics {
			if t.Topic != nil {
				names = append(names, *t.Topic)
			}
		}
		return javatext.HashMapOrder(names, javatext.StringHash), nil
	case typeClientMetrics:
		resp, err := a.Send("listClientMetricsResources", client.AnyBroker, kmsg.NewPtrListConfigResourcesRequest(), 0, nil)
		if err != nil {
			return nil, err
		}
		for _, r := range resp.(*kmsg.ListConfigResourcesResponse).ConfigResources {
			names = append(names, r.Name)
		}
		return names, nil
	}
	nodes, err := a.Nodes()
	for _, node := range nodes {
		names = append(names, strconv.Itoa(int(node.NodeID)))
	}
	return append(names, ""), err
}

func (a *configsAdmin) describeEntity(entityType, name string) error {
	heading := fmt.Sprintf("Dynamic configs for %s %s are:\n", entityType[:len(entityType)-1], name)
	switch {
	case name == "":
		heading = fmt.Sprintf("Default configs for %s in the cluster are:\n", entityType)
	case a.all.Given():
		heading = fmt.Sprintf("All configs for %s %s are:\n", entityType[:len(entityType)-1], name)
	}
	if !a.WantsDocument() {
		a.say("%s", heading)
	}
	entries, err := a.resourceConfig(entityType, name, a.all.Given())
	if err != nil {
		return err
	}
	if a.WantsDocument() {
		a.addDescribed([]entityName{nameOf(entityType, name)}, describedEntries(entries))
		return nil
	}
	for _, e := range entries {
		var synonyms []string
		for _, s := range e.ConfigSynonyms {
			synonyms = append(synonyms, fmt.Sprintf("%s:%s=%s", configSource(s.Source), s.Name, orNull(s.Value)))
		}
		a.say("  %s=%s sensitive=%t synonyms={%s}\n", e.Name, orNull(e.Value), e.IsSensitive, strings.Join(synonyms, ", "))
	}
	return nil
}

// configSource returns the name of a source in Kafka's client.
func configSource(s kmsg.ConfigSource) string {
	if s == kmsg.ConfigSourceClientMetricsConfig {
		return "DYNAMIC_CLIENT_METRICS_CONFIG"
	}
	return s.String()
}

func orNull(value *string) string {
	if value == nil {
		return "null"
	}
	return *value
}

func (a *configsAdmin) say(format string, args ...any) { a.options.Env.Printf(format, args...) }
