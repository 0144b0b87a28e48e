package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/group"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// This file has what the requests of consumer groups have in common.

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

// committable collects the partitions of a request that may be committed or deleted, and the codes
// to answer for the others.
type committable struct {
	codes      []protocol.ErrorCode // of every partition of the request, in its order
	at         []int                // the index in codes of each element of partitions
	partitions []group.TopicPartition
}

// add appends a partition of the request with the code of checkCommitted, and reports whether it
// may be committed or deleted.
func (l *committable) add(p group.TopicPartition, refused protocol.ErrorCode) bool {
	l.codes = append(l.codes, refused)
	if refused != protocol.None {
		return false
	}
	l.at = append(l.at, len(l.codes)-1)
	l.partitions = append(l.partitions, p)
	return true
}

// settle sets the codes of the collected partitions.
func (l *committable) settle(codes []protocol.ErrorCode) {
	for i, code := range codes {
		l.codes[l.at[i]] = code
	}
}

// next returns the code of the request's next partition.
func (l *committable) next() int16 {
	code := l.codes[0]
	l.codes = l.codes[1:]
	return int16(code)
}
