package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/group"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// This file is what the requests of consumer groups have in common.

// requireGroup returns GROUP_AUTHORIZATION_FAILED unless the peer may do op on
// the group.
func (c *Call) requireGroup(op kmsg.ACLOperation, name string) error {
	if c.Allows(op, kmsg.ACLResourceTypeGroup, name) {
		return nil
	}
	return protocol.GroupAuthorizationFailed
}

// checkInstance refuses static members while older brokers may take over the
// group: they would drop the instance id.
func checkInstance(instanceID *string, settings Settings) error {
	if instanceID != nil && !settings.Current().IBP().AtLeast("2.3-IV0") {
		return protocol.UnsupportedVersion
	}
	return nil
}

// checkCommitted says why no offset of the partition can be committed or
// deleted by the peer.
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

// committable collects the partitions of a request that may be dealt with, and
// remembers what the others are answered.
type committable struct {
	codes      []protocol.ErrorCode // of every partition of the request, in its order
	at         []int                // by partition below: its place in codes
	partitions []group.TopicPartition
}

func (l *committable) add(p group.TopicPartition, refused protocol.ErrorCode) bool {
	l.codes = append(l.codes, refused)
	if refused != protocol.None {
		return false
	}
	l.at = append(l.at, len(l.codes)-1)
	l.partitions = append(l.partitions, p)
	return true
}

// settle takes the codes of the partitions that were dealt with.
func (l *committable) settle(codes []protocol.ErrorCode) {
	for i, code := range codes {
		l.codes[l.at[i]] = code
	}
}

// next returns the answer of the request's next partition.
func (l *committable) next() int16 {
	code := l.codes[0]
	l.codes = l.codes[1:]
	return int16(code)
}
