package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/zkstore"
)

// TopicOverrides reads a topic's own configuration, which is empty if it has none.
func (a *Admin) TopicOverrides(ctx context.Context, topic string) (map[string]string, error) {
	return a.Store.Config(ctx, zkstore.EntityTopics, topic)
}

// SetTopicConfig validates a topic's whole configuration, writes it and announces it. change.Known
// reports whether the broker knows the topic.
func (a *Admin) SetTopicConfig(ctx context.Context, topic string, overrides map[string]string, change Change) error {
	if topic == "" {
		return protocol.Errorf(protocol.InvalidRequest, "Default topic resources are not allowed.")
	}
	if change.Known != nil && !change.Known(topic) {
		return protocol.Errorf(protocol.UnknownTopicOrPartition, "The topic '%s' does not exist.", topic)
	}
	if err := ValidateTopicName(topic); err != nil {
		return err
	}
	exists, err := a.Store.TopicExists(ctx, topic)
	if err != nil {
		return err
	}
	if !exists {
		return protocol.Errorf(protocol.UnknownTopicOrPartition, "Topic '%s' does not exist.", topic)
	}
	if err := a.validateTopic(overrides); err != nil {
		return alterError("TOPIC", topic, err)
	}
	if change.ValidateOnly {
		return nil
	}
	a.log.Infof("Updating topic %s with new configuration : %v", topic, overrides)
	return a.changeConfig(ctx, zkstore.EntityTopics, topic, overrides)
}

// alterError puts the name of the resource before the message, except where Kafka does not.
func alterError(kind, name string, err error) error {
	var p *settings.Problem
	switch {
	case !errors.As(err, &p):
		return err
	case p.IsWhole():
		return protocol.Errorf(protocol.InvalidConfig, "%s", p.Message())
	}
	return protocol.Errorf(protocol.InvalidConfig, "Invalid config value for resource ConfigResource(type=%s, name='%s'): %s", kind, name, p.Message())
}

// changeConfig writes an entity's configuration and then announces it.
func (a *Admin) changeConfig(ctx context.Context, t zkstore.EntityType, name string, config map[string]string) error {
	if err := a.setConfig(ctx, t, name, config); err != nil {
		return err
	}
	return a.Store.NotifyConfigChange(ctx, t, name)
}

// Operation is what IncrementalAlterConfigs does to a key.
type Operation int8

// Operations (KIP-339).
const (
	Set      Operation = 0
	Delete   Operation = 1
	Append   Operation = 2
	Subtract Operation = 3
)

// Alteration is a change of one key.
type Alteration struct {
	Name  string
	Op    Operation
	Value string // unused by Delete
}

// Alter applies the alterations to a copy of config, in order. key returns a known key, or nil.
// Only lists can be appended to and subtracted from.
func Alter(config map[string]string, alterations []Alteration, key func(name string) *settings.Key) (map[string]string, error) {
	altered := maps.Clone(config)
	if altered == nil {
		altered = map[string]string{}
	}
	for _, a := range alterations {
		switch a.Op {
		case Set:
			altered[a.Name] = a.Value
		case Delete:
			delete(altered, a.Name)
		case Append, Subtract:
			list, err := alterList(altered, a, key(a.Name))
			if err != nil {
				return nil, err
			}
			altered[a.Name] = list
		default:
			return nil, fmt.Errorf("unknown operation %d on %s", a.Op, a.Name)
		}
	}
	return altered, nil
}

func alterList(config map[string]string, a Alteration, key *settings.Key) (string, error) {
	if key == nil {
		return "", fmt.Errorf("key not found: %s", a.Name)
	}
	verb := map[Operation]string{Append: "append", Subtract: "subtract"}[a.Op]
	if key.Type != settings.List {
		return "", protocol.Errorf(protocol.InvalidConfig, "Config value %s is not allowed for config key: %s", verb, a.Name)
	}
	old, ok := config[a.Name]
	if !ok {
		old = key.DefaultList()
	}
	var list []string
	if old != "" {
		list = splitAsJava(old)
	}
	values := splitAsJava(a.Value)
	if a.Op == Append {
		have := countOf(list)
		added := slices.DeleteFunc(values, func(v string) bool { return have[v] > 0 })
		return strings.Join(append(list, added...), ","), nil
	}
	gone := countOf(values)
	list = slices.DeleteFunc(list, func(v string) bool { // removes one occurrence per named value
		gone[v]--
		return gone[v] >= 0
	})
	return strings.Join(list, ","), nil
}

// splitAsJava splits at commas and drops empty elements at the end, except that the empty text has
// one empty element.
func splitAsJava(text string) []string {
	if trimmed := strings.TrimRight(text, ","); trimmed != "" || text == "" {
		return strings.Split(trimmed, ",")
	}
	return nil
}

func countOf(list []string) map[string]int {
	count := map[string]int{}
	for _, v := range list {
		count[v]++
	}
	return count
}

// BrokerConfigs is the configuration that a broker can change while it runs. *settings.Dynamic
// implements it.
type BrokerConfigs interface {
	Validate(values map[string]string, perBroker bool) error
	FromStored(stored map[string]string, perBroker bool) (values map[string]string, ignored []string)
	ToStored(values map[string]string, perBroker bool) (map[string]string, error)
}

var _ BrokerConfigs = (*settings.Dynamic)(nil)

// BrokerEntity returns the name under which a broker's configuration is stored: the broker's id or,
// for "", the name for the default of all brokers.
func BrokerEntity(broker string) string {
	if broker == "" {
		return zkstore.DefaultEntity
	}
	return broker
}

// BrokerOverrides reads the configuration stored for a broker, or for all brokers if broker is "".
// Passwords are in clear text; keys that cannot be set dynamically are left out.
func (a *Admin) BrokerOverrides(ctx context.Context, broker string, configs BrokerConfigs) (map[string]string, error) {
	stored, err := a.Store.Config(ctx, zkstore.EntityBrokers, BrokerEntity(broker))
	if err != nil {
		return nil, err
	}
	values, ignored := configs.FromStored(stored, broker != "")
	for _, text := range ignored {
		a.log.Error(text)
	}
	return values, nil
}

// ValidateBrokerConfig checks that values can be set for a broker, or for all brokers if broker is
// "".
func ValidateBrokerConfig(broker string, values map[string]string, configs BrokerConfigs) error {
	err := configs.Validate(values, broker != "")
	var p *settings.Problem
	if errors.As(err, &p) {
		return protocol.Errorf(protocol.InvalidRequest, "%s", p.Message())
	}
	return err
}

// SetBrokerConfig writes a broker's whole dynamic configuration, or that of all brokers if broker
// is "", and announces it. The caller must have validated the values.
func (a *Admin) SetBrokerConfig(ctx context.Context, broker string, values map[string]string, configs BrokerConfigs) error {
	stored, err := configs.ToStored(values, broker != "")
	if err != nil {
		return alterError("BROKER", broker, err)
	}
	return a.changeConfig(ctx, zkstore.EntityBrokers, BrokerEntity(broker), stored)
}
