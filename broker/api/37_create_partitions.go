package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/admin"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// PartitionWriter writes new partitions. It is implemented by *admin.Admin.
type PartitionWriter interface {
	Brokers(ctx context.Context, ignoreRacks bool) ([]admin.Broker, error)
	CreatePartitions(ctx context.Context, n admin.NewPartitions, change admin.Change) (count int32, err error)
	MarkedForDeletion(ctx context.Context, topic string) (bool, error)
}

// CreatePartitions adds partitions to topics and waits until each has a leader. Only the controller
// serves it.
//
// Versions 0 to 3.
func CreatePartitions(status ControllerStatus, writer PartitionWriter, cache Metadata) Handler {
	h := &createPartitions{status, writer, cache}
	return Typed(Handler{Key: protocol.CreatePartitions, Min: 0, Max: 3, PerEntry: true}, h.answer)
}

type createPartitions struct {
	status ControllerStatus
	writer PartitionWriter
	cache  Metadata
}

func (h *createPartitions) answer(c *Call, req *kmsg.CreatePartitionsRequest) (kmsg.Response, error) {
	resp := kmsg.NewPtrCreatePartitionsResponse()
	resp.Topics = []kmsg.CreatePartitionsResponseTopic{}
	var brokers []admin.Broker
	if h.status.IsActive() {
		var err error
		if brokers, err = h.writer.Brokers(c.Context(), false); err != nil {
			return nil, err
		}
	}
	count := map[string]int{}
	for _, t := range req.Topics {
		count[t.Topic]++
	}
	waiting := map[string]int{}
	change := admin.Change{Brokers: brokers, ValidateOnly: req.ValidateOnly, Placed: new(int)}
	for i := range req.Topics {
		t := &req.Topics[i]
		if i > 0 && count[t.Topic] == 0 {
			continue // a duplicate of a topic that is already answered
		}
		result := kmsg.NewCreatePartitionsResponseTopic()
		result.Topic = t.Topic
		total, err := h.create(c, t, count[t.Topic] > 1, change)
		count[t.Topic] = 0
		if result.ErrorCode, result.ErrorMessage = codeAndMessage(err); err == nil {
			waiting[t.Topic] = int(total)
		}
		resp.Topics = append(resp.Topics, result)
	}
	if !req.ValidateOnly && len(waiting) > 0 {
		h.await(c, req, resp, waiting)
	}
	return resp, nil
}

// create adds partitions to one topic and returns how many it then has.
func (h *createPartitions) create(c *Call, t *kmsg.CreatePartitionsRequestTopic, twice bool, change admin.Change) (int32, error) {
	switch {
	case !h.status.IsActive():
		return 0, protocol.NotController
	case twice:
		return 0, protocol.Errorf(protocol.InvalidRequest, "Duplicate topic in request.")
	case !c.Allows(kmsg.ACLOperationAlter, kmsg.ACLResourceTypeTopic, t.Topic):
		return 0, protocol.Errorf(protocol.TopicAuthorizationFailed, "The topic authorization is failed.")
	}
	if marked, err := h.writer.MarkedForDeletion(c.Context(), t.Topic); err != nil {
		return 0, err
	} else if marked {
		return 0, protocol.Errorf(protocol.InvalidTopicException, "The topic is queued for deletion.")
	}
	added := admin.NewPartitions{Topic: t.Topic, Count: t.Count}
	if t.Assignment != nil {
		added.Assignment = [][]metadata.BrokerID{}
		for _, a := range t.Assignment {
			added.Assignment = append(added.Assignment, metadata.BrokerIDs(a.Replicas))
		}
	}
	total, err := h.writer.CreatePartitions(c.Context(), added, change)
	if err != nil {
		logTopicFailure(kafkalog.For(c.log, "kafka.server.ZkAdminManager"), "create partitions of", t.Topic, err)
	}
	return total, err
}

// await waits for the leaders and sets REQUEST_TIMED_OUT for topics that do not have all in time.
func (h *createPartitions) await(c *Call, req *kmsg.CreatePartitionsRequest, resp *kmsg.CreatePartitionsResponse, waiting map[string]int) {
	if req.TimeoutMillis > 0 && c.await(forTopics, h.cache, millis(req.TimeoutMillis), haveLeaders(waiting)) {
		return
	}
	snapshot := h.cache.Snapshot()
	for i := range resp.Topics {
		r := &resp.Topics[i]
		partitions, ok := waiting[r.Topic]
		if ok && (req.TimeoutMillis <= 0 || !hasLeaders(snapshot, r.Topic, partitions)) {
			r.ErrorCode = int16(protocol.RequestTimedOut)
		}
	}
}
