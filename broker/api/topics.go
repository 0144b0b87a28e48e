package api

import (
	"context"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/admin"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// Parts that the handlers of CreateTopics, CreatePartitions and DeleteTopics share.

// TopicWriter writes new topics. It is implemented by *admin.Admin.
type TopicWriter interface {
	CreateTopic(ctx context.Context, t admin.NewTopic, change admin.Change) (*admin.CreatedTopic, error)
}

// logTopicFailure logs a failed request: errors of this broker at ERROR, errors of the client at
// INFO.
func logTopicFailure(log *logrus.Entry, what, topic string, err error) {
	if protocol.CodeOf(err) == protocol.UnknownServerError {
		log.WithError(err).Errorf("Error processing %s topic request of %s", what, topic)
		return
	}
	log.Infof("Error processing %s topic request of %s: %v", what, topic, err)
}

// haveLeaders returns a function that reports whether partitions 0 to n-1 of each topic have
// leaders, where n is the topic's value in topics. The function is called for each change of the
// metadata. It skips topics whose partitions had leaders in an earlier call.
func haveLeaders(topics map[string]int) func(*metadata.Snapshot) bool {
	left := sortedKeys(topics)
	return func(s *metadata.Snapshot) bool {
		for len(left) > 0 && hasLeaders(s, left[0], topics[left[0]]) {
			left = left[1:]
		}
		return len(left) == 0
	}
}

// hasLeaders reports whether the topic's first partitions all have a leader.
func hasLeaders(s *metadata.Snapshot, topic string, partitions int) bool {
	for p := range int32(partitions) {
		if state := s.Partition(topic, p); state == nil || state.Leader == -1 {
			return false
		}
	}
	return true
}
