package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/group"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// Parts that the handlers of consumer groups share.

// ConsumerOffsets keeps offsets in ZooKeeper, as consumers did before Kafka had groups. It is
// implemented by *zkstore.Store.
type ConsumerOffsets interface {
	ConsumerOffset(ctx context.Context, group string, p group.TopicPartition) (offset record.Offset, known bool, err error)
	SetConsumerOffset(ctx context.Context, group string, p group.TopicPartition, offset record.Offset) error
}

// requireGroup returns GROUP_AUTHORIZATION_FAILED unless the peer may do op on
// the group.
func (c *Call) requireGroup(op kmsg.ACLOperation, name string) error {
	if c.Allows(op, kmsg.ACLResourceTypeGroup, name) {
		return nil
	}
	return protocol.GroupAuthorizationFailed
}

// checkInstance refuses static members if older brokers may take over the group, since they would
// drop the instance id.
func checkInstance(instanceID *string, settings Settings) error {
	if instanceID != nil && !settings.Current().IBP().AtLeast("2.3-IV0") {
		return protocol.UnsupportedVersion
	}
	return nil
}

// checkCommitted returns None if the peer may commit and delete offsets of the partition, else the
// code to answer.
func (c *Call) checkCommitted(s *metadata.Snapshot, topic string, partition int32) protocol.ErrorCode {
	switch {
	case !c.Allows(kmsg.ACLOperationRead, kmsg.ACLResourceTypeTopic, topic):
		return protocol.TopicAuthorizationFailed
	case s.Partition(topic, partition) == nil:
		return missing(s, protocol.UnknownTopicOrPartition, protocol.CoordinatorLoadInProgress)
	}
	return protocol.None
}

func valueOrEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// pendingCodes are the places in an answer for the codes of the partitions that are committed or
// deleted, in their order.
type pendingCodes []*int16

// add sets the code in the answer if the partition is refused. Otherwise it keeps the place and
// reports true.
func (l *pendingCodes) add(refused protocol.ErrorCode, answer *int16) bool {
	if *answer = int16(refused); refused != protocol.None {
		return false
	}
	*l = append(*l, answer)
	return true
}

// settle sets the codes in the answer.
func (l pendingCodes) settle(codes []protocol.ErrorCode) {
	for i, code := range codes {
		*l[i] = int16(code)
	}
}
