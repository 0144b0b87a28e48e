package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
)

// Parts that the handlers of configurations share. ConfigChanger, which changes configurations, is
// in alterconfigs.go.

// Settings returns the broker's current configuration. It is implemented by *settings.Dynamic.
type Settings interface{ Current() *settings.Config }

// TopicDescriber describes a topic's configuration. It is implemented by *settings.Dynamic.
type TopicDescriber interface {
	DescribeTopic(overrides map[string]string) ([]settings.Entry, error)
}

// clientMetricsResource is a resource type that brokers with ZooKeeper do not support.
const clientMetricsResource = kmsg.ConfigResourceType(16)

const unknownResource = "UNKNOWN"

// resourceName returns Kafka's name of a resource type.
func resourceName(t kmsg.ConfigResourceType) string {
	switch t {
	case kmsg.ConfigResourceTypeTopic:
		return "TOPIC"
	case kmsg.ConfigResourceTypeBroker:
		return "BROKER"
	case kmsg.ConfigResourceTypeBrokerLogger:
		return "BROKER_LOGGER"
	case clientMetricsResource:
		return "CLIENT_METRICS"
	}
	return unknownResource
}

// configAuthorization returns None if the peer may do op on the configuration, else the code to
// answer.
func configAuthorization(c *Call, op kmsg.ACLOperation, t kmsg.ConfigResourceType, name string) protocol.ErrorCode {
	switch {
	case t == kmsg.ConfigResourceTypeTopic && !c.Allows(op, kmsg.ACLResourceTypeTopic, name):
		return protocol.TopicAuthorizationFailed
	case t != kmsg.ConfigResourceTypeTopic && !c.AllowsCluster(op):
		return protocol.ClusterAuthorizationFailed
	}
	return protocol.None
}
