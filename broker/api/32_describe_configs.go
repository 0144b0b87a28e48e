package api

import (
	"context"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/admin"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
)

// ConfigDescriber describes configurations. It is implemented by *settings.Dynamic.
type ConfigDescriber interface {
	TopicDescriber
	DescribeBroker() []settings.Entry
	DescribeDefaults() []settings.Entry
}

// TopicOverrides reads the configuration that is set for a topic. It is implemented by
// *admin.Admin.
type TopicOverrides interface {
	TopicOverrides(ctx context.Context, topic string) (map[string]string, error)
}

// DescribeConfigs returns the configurations of topics and of this broker, what is set for all
// brokers (an empty broker name), and this broker's log levels.
//
// Versions 0 to 4. v1 adds the source of each value and its synonyms, v3 types and documentation.
func DescribeConfigs(brokerID metadata.BrokerID, describer ConfigDescriber, topics TopicOverrides, cache Metadata, levels *LogLevels) Handler {
	h := &describeConfigs{brokerID, describer, topics, cache, levels}
	return Typed(Handler{Key: protocol.DescribeConfigs, Min: 0, Max: 4, PerEntry: true, Fail: completed(failDescribeConfigs)}, h.answer)
}

// failDescribeConfigs always has the code's own text as the message.
func failDescribeConfigs(_ *kmsg.DescribeConfigsRequest, resp *kmsg.DescribeConfigsResponse, err error) {
	text := protocol.CodeOf(err).Message()
	for i := range resp.Resources {
		resp.Resources[i].ErrorMessage = &text
	}
}

type describeConfigs struct {
	brokerID  metadata.BrokerID
	describer ConfigDescriber
	topics    TopicOverrides
	cache     Metadata
	levels    *LogLevels
}

func (h *describeConfigs) answer(c *Call, req *kmsg.DescribeConfigsRequest) (kmsg.Response, error) {
	for _, r := range req.Resources {
		if resourceName(r.ResourceType) == unknownResource {
			return nil, protocol.Errorf(protocol.InvalidRequest, "Unexpected resource type %s for resource %s", unknownResource, r.ResourceName)
		}
	}
	resp := kmsg.NewPtrDescribeConfigsResponse()
	resp.Resources = []kmsg.DescribeConfigsResponseResource{}
	described := map[resourceKey]bool{}
	for i := range req.Resources {
		r := &req.Resources[i]
		key := resourceKey{r.ResourceType, r.ResourceName}
		if described[key] {
			continue // duplicates would multiply an answer that is much larger than the request
		}
		described[key] = true
		result := kmsg.NewDescribeConfigsResponseResource()
		result.ResourceType, result.ResourceName = r.ResourceType, r.ResourceName
		result.Configs = []kmsg.DescribeConfigsResponseResourceConfig{}
		result.ErrorMessage = new(string) // Kafka sends null only for an error without a message
		if code := configAuthorization(c, kmsg.ACLOperationDescribeConfigs, r.ResourceType, r.ResourceName); code != protocol.None {
			result.ErrorCode, result.ErrorMessage = codeAndText(code)
		} else if entries, err := h.describe(c, r); err == protocol.UnknownTopicOrPartition {
			result.ErrorCode = int16(protocol.UnknownTopicOrPartition)
		} else if err != nil {
			if result.ErrorCode, result.ErrorMessage = codeAndMessage(err); result.ErrorCode == int16(protocol.UnknownServerError) {
				kafkalog.For(c.log, "kafka.server.ConfigHelper").WithError(err).
					Errorf("Error processing describe configs request for resource %s %s", resourceName(r.ResourceType), r.ResourceName)
			}
		} else {
			wanted := make(map[string]bool, len(r.ConfigNames))
			for _, name := range r.ConfigNames {
				wanted[name] = true
			}
			for _, e := range entries {
				if len(wanted) == 0 || wanted[e.Name] {
					result.Configs = append(result.Configs, configEntry(e, req))
				}
			}
		}
		resp.Resources = append(resp.Resources, result)
	}
	return resp, nil
}

func (h *describeConfigs) describe(c *Call, r *kmsg.DescribeConfigsRequestResource) ([]settings.Entry, error) {
	switch r.ResourceType {
	case kmsg.ConfigResourceTypeTopic:
		if err := admin.ValidateTopicName(r.ResourceName); err != nil {
			return nil, err
		}
		if s := h.cache.Snapshot(); s.Topics[r.ResourceName] == nil {
			return nil, missing(s, protocol.UnknownTopicOrPartition, protocol.LeaderNotAvailable)
		}
		overrides, err := h.topics.TopicOverrides(c.Context(), r.ResourceName)
		if err != nil {
			return nil, err
		}
		return h.describer.DescribeTopic(overrides)
	case kmsg.ConfigResourceTypeBroker:
		if r.ResourceName == "" {
			return h.describer.DescribeDefaults(), nil
		}
		if err := h.checkBroker(r.ResourceName, "Unexpected broker id, expected %d or empty string, but received %s"); err != nil {
			return nil, err
		}
		return h.describer.DescribeBroker(), nil
	case kmsg.ConfigResourceTypeBrokerLogger:
		if r.ResourceName == "" {
			return nil, protocol.Errorf(protocol.InvalidRequest, "Broker id must not be empty")
		}
		if err := h.checkBroker(r.ResourceName, "Unexpected broker id, expected %d but received %s"); err != nil {
			return nil, err
		}
		return h.levels.describe(), nil
	}
	if r.ResourceName == "" {
		return nil, protocol.Errorf(protocol.InvalidRequest, "Client metrics subscription name must not be empty")
	}
	return nil, protocol.Errorf(protocol.InvalidRequest, "Config type client-metrics is only supported on KRaft clusters")
}

func (h *describeConfigs) checkBroker(name, unexpected string) error {
	id, err := strconv.ParseInt(name, 10, 32)
	if err != nil {
		return protocol.Errorf(protocol.InvalidRequest, "Broker id must be an integer, but it is: %s", name)
	}
	if metadata.BrokerID(id) != h.brokerID {
		return protocol.Errorf(protocol.InvalidRequest, unexpected, h.brokerID, name)
	}
	return nil
}

func configEntry(e settings.Entry, req *kmsg.DescribeConfigsRequest) kmsg.DescribeConfigsResponseResourceConfig {
	entry := kmsg.NewDescribeConfigsResponseResourceConfig()
	entry.Name, entry.Value = e.Name, e.Value
	entry.ReadOnly, entry.IsSensitive = e.ReadOnly, e.Sensitive
	entry.Source, entry.ConfigType = kmsg.ConfigSource(e.Source), kmsg.ConfigType(e.Type)
	entry.ConfigSynonyms = []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{}
	if req.IncludeSynonyms {
		for _, s := range e.Synonyms {
			synonym := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
			synonym.Name, synonym.Value, synonym.Source = s.Name, s.Value, kmsg.ConfigSource(s.Source)
			entry.ConfigSynonyms = append(entry.ConfigSynonyms, synonym)
		}
	}
	switch {
	case e.Source == settings.SourceDynamicBrokerLogger:
		entry.Documentation = new(string) // loggers have no documentation: Kafka sends ""
	case req.IncludeDocumentation:
		entry.Documentation = e.Doc
	}
	return entry
}
