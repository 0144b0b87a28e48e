package api

import (
	"context"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/admin"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
)

// ConfigWriter writes configurations. It is implemented by *admin.Admin.
type ConfigWriter interface {
	TopicOverrides
	SetTopicConfig(ctx context.Context, topic string, overrides map[string]string, change admin.Change) error
	BrokerOverrides(ctx context.Context, broker string, configs admin.BrokerConfigs) (map[string]string, error)
	SetBrokerConfig(ctx context.Context, broker string, values map[string]string, configs admin.BrokerConfigs) error
}

// ConfigChanger changes configurations for AlterConfigs and IncrementalAlterConfigs. Any broker
// changes topics and the brokers' common defaults, but the configuration of a single broker is
// changed by that broker only.
type ConfigChanger struct {
	brokerID metadata.BrokerID
	writer   ConfigWriter
	dynamic  admin.BrokerConfigs
	cache    Metadata
	levels   *LogLevels
}

// NewConfigChanger returns a ConfigChanger for this broker.
func NewConfigChanger(brokerID metadata.BrokerID, writer ConfigWriter, dynamic admin.BrokerConfigs, cache Metadata, levels *LogLevels) *ConfigChanger {
	return &ConfigChanger{brokerID, writer, dynamic, cache, levels}
}

// resourceChange is a requested change of one resource.
type resourceChange struct {
	typ  kmsg.ConfigResourceType
	name string
	// whole is set if alterations replace the whole configuration (AlterConfigs).
	whole       bool
	alterations []admin.Alteration
	nulls       []string // names of alterations with a null value, which their operation forbids
}

// resourceKey identifies a resource.
type resourceKey struct {
	typ  kmsg.ConfigResourceType
	name string
}

// changeAll makes all changes and returns the error of each.
func (h *ConfigChanger) changeAll(c *Call, changes []resourceChange, validateOnly bool) []error {
	seen := map[resourceKey]int{}
	for _, change := range changes {
		seen[resourceKey{change.typ, change.name}]++
	}
	results := make([]error, len(changes))
	for i := range changes {
		change := &changes[i]
		if seen[resourceKey{change.typ, change.name}] > 1 {
			results[i] = protocol.Errorf(protocol.InvalidRequest, "Each resource must appear at most once.")
			continue
		}
		if results[i] = h.change(c, change, validateOnly); results[i] != nil {
			h.logFailure(c, change, results[i])
		}
	}
	return results
}

func (h *ConfigChanger) logFailure(c *Call, change *resourceChange, err error) {
	entry := kafkalog.For(c.log, "kafka.server.ConfigAdminManager")
	if protocol.CodeOf(err) == protocol.UnknownServerError {
		entry.WithError(err).Errorf("Error processing %s request on %s '%s'", c.Key, resourceName(change.typ), change.name)
		return
	}
	entry.Infof("Error processing %s request on %s '%s': %v", c.Key, resourceName(change.typ), change.name, err)
}

// change makes one change. As in Kafka, errors in the change take precedence over a missing
// permission.
func (h *ConfigChanger) change(c *Call, change *resourceChange, validateOnly bool) error {
	if err := change.check(); err != nil {
		return err
	}
	switch {
	case change.typ == kmsg.ConfigResourceTypeBroker:
		return h.changeBroker(c, change, validateOnly)
	case change.typ == kmsg.ConfigResourceTypeBrokerLogger && !change.whole:
		return h.changeLogger(c, change, validateOnly)
	case change.typ == kmsg.ConfigResourceTypeTopic:
		return h.changeTopic(c, change, validateOnly)
	case change.typ == clientMetricsResource:
		if code := configAuthorization(c, kmsg.ACLOperationAlterConfigs, change.typ, change.name); code != protocol.None {
			return code
		}
		return protocol.Errorf(protocol.InvalidRequest,
			"AlterConfigs is only supported for topics and brokers, but resource type is %s", resourceName(change.typ))
	}
	return protocol.Errorf(protocol.InvalidRequest, "Unknown resource type %d", change.typ)
}

func (r *resourceChange) check() error {
	seen := map[string]bool{}
	for _, a := range r.alterations {
		if seen[a.Name] {
			return protocol.Errorf(protocol.InvalidRequest, "Error due to duplicate config keys")
		}
		seen[a.Name] = true
	}
	if len(r.nulls) > 0 {
		return protocol.Errorf(protocol.InvalidRequest, "Null value not supported for : %s", strings.Join(r.nulls, ", "))
	}
	return nil
}

func (h *ConfigChanger) changeTopic(c *Call, change *resourceChange, validateOnly bool) error {
	if code := configAuthorization(c, kmsg.ACLOperationAlterConfigs, change.typ, change.name); code != protocol.None {
		return code
	}
	if s := h.cache.Snapshot(); !s.Complete && s.Topics[change.name] == nil {
		return protocol.LeaderNotAvailable
	}
	before := map[string]string{}
	if !change.whole && known(h.cache)(change.name) { // SetTopicConfig refuses unknown topics
		var err error
		if before, err = h.writer.TopicOverrides(c.Context(), change.name); err != nil {
			return err
		}
	}
	overrides, err := admin.Alter(before, change.alterations, settings.TopicKey)
	if err != nil {
		return err
	}
	return h.writer.SetTopicConfig(c.Context(), change.name, overrides, admin.Change{Known: known(h.cache), ValidateOnly: validateOnly})
}

func (h *ConfigChanger) changeBroker(c *Call, change *resourceChange, validateOnly bool) error {
	if change.name != "" {
		id, err := nodeID(change.name)
		if err != nil {
			return err
		}
		if id != h.brokerID {
			return protocol.Errorf(protocol.InvalidRequest, "Unexpected broker id, expected %d, but received %s", h.brokerID, change.name)
		}
	}
	before := map[string]string{}
	if !change.whole {
		for _, a := range change.alterations {
			if a.Op < admin.Set || a.Op > admin.Subtract {
				return protocol.Errorf(protocol.InvalidRequest, "Unknown operations type %d", a.Op)
			}
		}
		var err error
		if before, err = h.writer.BrokerOverrides(c.Context(), change.name, h.dynamic); err != nil {
			return err
		}
	}
	values, err := admin.Alter(before, change.alterations, settings.Lookup)
	if err != nil {
		return err
	}
	if err := admin.ValidateBrokerConfig(change.name, values, h.dynamic); err != nil {
		return err
	}
	if code := configAuthorization(c, kmsg.ACLOperationAlterConfigs, change.typ, change.name); code != protocol.None {
		return code
	}
	if validateOnly {
		return nil
	}
	kafkalog.For(c.log, "kafka.server.ZkAdminManager").Infof("Updating %s with new configuration : %s",
		brokerText(change.name), settings.Loggable(values))
	return h.writer.SetBrokerConfig(c.Context(), change.name, values, h.dynamic)
}

func brokerText(name string) string {
	if name == "" {
		return "brokers"
	}
	return "broker " + name
}

func (h *ConfigChanger) changeLogger(c *Call, change *resourceChange, validateOnly bool) error {
	if !c.AllowsCluster(kmsg.ACLOperationAlterConfigs) {
		return protocol.ClusterAuthorizationFailed
	}
	id, err := nodeID(change.name)
	if err != nil {
		return err
	}
	if id != h.brokerID { // Kafka's message has the broker's own id twice
		return protocol.Errorf(protocol.InvalidRequest, "Unexpected node id. Expected %d, but received %d", h.brokerID, h.brokerID)
	}
	return h.levels.alter(change.alterations, validateOnly)
}

func nodeID(name string) (metadata.BrokerID, error) {
	id, err := strconv.ParseInt(name, 10, 32)
	if err != nil {
		return 0, protocol.Errorf(protocol.InvalidRequest, "Node id must be an integer, but it is: %s", name)
	}
	return metadata.BrokerID(id), nil
}
