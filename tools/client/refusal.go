package client

import (
	"math"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
)

// OfTopic is like FromKgo for an error about a topic, which Kafka's producers and consumers name.
func OfTopic(err error, topic string) error {
	err = FromKgo(err)
	switch code := protocol.CodeOf(err); code {
	case protocol.TopicAuthorizationFailed:
		return protocol.Errorf(code, "Not authorized to access topics: [%s]", topic)
	case protocol.InvalidTopicException:
		return protocol.Errorf(code, "Invalid topics: [%s]", topic)
	}
	return err
}

// Reporter converts the errors of a client to those of Kafka's. It logs what Kafka's client logs if
// the brokers refuse to describe a topic.
type Reporter struct {
	Env   *cli.Env
	Name  string // the client's name in log lines, such as "Producer clientId=ID"
	Group string // the consumer's group; empty: none
}

// Convert converts an error. topic is that of the error; it may be empty.
func (r Reporter) Convert(c *kgo.Client, topic string, err error) error {
	err = OfTopic(err, topic)
	switch code := protocol.CodeOf(err); code {
	case protocol.GroupAuthorizationFailed:
		return protocol.Errorf(code, "Not authorized to access group: %s", r.Group)
	case protocol.TopicAuthorizationFailed, protocol.InvalidTopicException:
		if described(c, topic) == code {
			r.logMetadata(code, topic)
		}
	}
	return err
}

// Fetch converts the error of a fetch.
func (r Reporter) Fetch(c *kgo.Client, e kgo.FetchError) error {
	err := r.Convert(c, e.Topic, e.Err)
	if code := protocol.CodeOf(err); code == protocol.TopicAuthorizationFailed && described(c, e.Topic) != code {
		r.Env.Logger("org.apache.kafka.clients.consumer.internals.FetchCollector").
			Warnf("[%s] Not authorized to read from partition %s-%d.", r.Name, e.Topic, e.Partition)
	}
	return err
}

// logMetadata logs that a metadata response has an error for a topic.
func (r Reporter) logMetadata(code protocol.ErrorCode, topic string) {
	log := r.Env.Logger("org.apache.kafka.clients.Metadata")
	if code == protocol.InvalidTopicException {
		log.Errorf("[%s] Metadata response reported invalid topics [%s]", r.Name, topic)
	} else {
		log.Errorf("[%s] Topic authorization failed for topics [%s]", r.Name, topic)
	}
}

// described returns the error code of a topic in the metadata that a client has.
func described(c *kgo.Client, topic string) protocol.ErrorCode {
	_, _, err := c.PartitionLeader(topic, math.MaxInt32) // no partition: the error of the topic
	if err == nil {
		return protocol.None
	}
	return protocol.CodeOf(FromKgo(err))
}
