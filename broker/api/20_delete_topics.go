package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
)

// TopicDeleter marks topics for deletion. It is implemented by *admin.Admin.
type TopicDeleter interface {
	DeleteTopic(ctx context.Context, name string) error
}

// DeleteTopics marks topics for deletion and waits until the controller has removed them. Only the
// controller serves it.
//
// Versions 0 to 6. v6 may name topics by id.
func DeleteTopics(status ControllerStatus, deleter TopicDeleter, cache Metadata, settings Settings) Handler {
	h := &deleteTopics{status, deleter, cache, settings}
	return Typed(Handler{Key: protocol.DeleteTopics, Min: 0, Max: 6, PerEntry: true, Fail: completed(failDeleteTopics)}, h.answer)
}

// failDeleteTopics answers the names of versions before v6, too. No topic has a message.
func failDeleteTopics(req *kmsg.DeleteTopicsRequest, resp *kmsg.DeleteTopicsResponse, err error) {
	for i := range resp.Topics {
		resp.Topics[i].ErrorMessage = nil
	}
	for i := range req.TopicNames {
		t := kmsg.NewDeleteTopicsResponseTopic()
		t.Topic, t.ErrorCode = &req.TopicNames[i], int16(protocol.CodeOf(err))
		resp.Topics = append(resp.Topics, t)
	}
}

type deleteTopics struct {
	status   ControllerStatus
	deleter  TopicDeleter
	cache    Metadata
	settings Settings
}

func (h *deleteTopics) answer(c *Call, req *kmsg.DeleteTopicsRequest) (kmsg.Response, error) {
	resp := kmsg.NewPtrDeleteTopicsResponse()
	resp.Topics = []kmsg.DeleteTopicsResponseTopic{}
	add := func(topic *string, id metadata.TopicID) {
		result := kmsg.NewDeleteTopicsResponseTopic()
		result.Topic, result.TopicID = topic, id
		resp.Topics = append(resp.Topics, result)
	}
	for i := range req.TopicNames {
		add(&req.TopicNames[i], metadata.TopicID{})
	}
	for _, t := range req.Topics {
		add(t.Topic, t.TopicID)
	}
	if code := h.refusal(c); code != protocol.None {
		for i := range resp.Topics {
			resp.Topics[i].ErrorCode = int16(code)
		}
		return resp, nil
	}
	if err := h.resolve(resp.Topics); err != nil {
		return nil, err
	}
	waiting := map[string]*kmsg.DeleteTopicsResponseTopic{} // the first result of each topic
	for i := range resp.Topics {
		h.check(c, &resp.Topics[i], waiting)
	}
	h.deleteAll(c, req, waiting)
	return resp, nil
}

// refusal returns the code for all topics if this broker cannot delete any.
func (h *deleteTopics) refusal(c *Call) protocol.ErrorCode {
	switch {
	case !h.status.IsActive() || !h.cache.Snapshot().Heard:
		return protocol.NotController
	case settings.DeleteTopicEnable.Of(h.settings.Current()):
		return protocol.None
	case c.Version < 3:
		return protocol.InvalidRequest
	}
	return protocol.TopicDeletionDisabled
}

// resolve fills in the names of topics that the request names by id.
func (h *deleteTopics) resolve(results []kmsg.DeleteTopicsResponseTopic) error {
	names := h.cache.Snapshot().Names
	for i := range results {
		r := &results[i]
		if r.TopicID == (metadata.TopicID{}) {
			continue
		}
		if r.Topic != nil {
			return protocol.Errorf(protocol.InvalidRequest, "Topic name and topic ID can not both be specified.")
		}
		if name, ok := names[r.TopicID]; ok {
			r.Topic = &name
		}
	}
	return nil
}

// check refuses one topic or adds it to toDelete.
func (h *deleteTopics) check(c *Call, r *kmsg.DeleteTopicsResponseTopic, toDelete map[string]*kmsg.DeleteTopicsResponseTopic) {
	byID := r.TopicID != (metadata.TopicID{})
	switch {
	case byID && r.Topic == nil:
		r.ErrorCode = int16(missing(h.cache.Snapshot(), protocol.UnknownTopicID, protocol.NotController))
	case r.Topic == nil:
		r.ErrorCode = int16(protocol.TopicAuthorizationFailed) // as Kafka answers a null name
	case byID && !c.Allows(kmsg.ACLOperationDescribe, kmsg.ACLResourceTypeTopic, *r.Topic):
		r.Topic = nil
		r.ErrorCode = int16(protocol.TopicAuthorizationFailed)
	case !c.Allows(kmsg.ACLOperationDelete, kmsg.ACLResourceTypeTopic, *r.Topic):
		r.ErrorCode = int16(protocol.TopicAuthorizationFailed)
	case h.cache.Snapshot().Topics[*r.Topic] == nil:
		r.ErrorCode = int16(missing(h.cache.Snapshot(), protocol.UnknownTopicOrPartition, protocol.NotController))
	case toDelete[*r.Topic] == nil:
		toDelete[*r.Topic] = r
	}
}

// deleteAll marks the topics for deletion and waits until they are deleted.
func (h *deleteTopics) deleteAll(c *Call, req *kmsg.DeleteTopicsRequest, waiting map[string]*kmsg.DeleteTopicsResponseTopic) {
	for topic, result := range waiting {
		if err := h.deleter.DeleteTopic(c.Context(), topic); err != nil {
			logTopicFailure(kafkalog.For(c.log, "kafka.server.ZkAdminManager"), "delete", topic, err)
			result.ErrorCode = int16(protocol.CodeOf(err))
			delete(waiting, topic)
		}
	}
	if len(waiting) == 0 {
		return
	}
	present := sortedKeys(waiting)
	if req.TimeoutMillis > 0 && c.await(forTopics, h.cache, millis(req.TimeoutMillis), func(s *metadata.Snapshot) bool {
		for len(present) > 0 && s.Topics[present[0]] == nil {
			present = present[1:]
		}
		return len(present) == 0
	}) {
		return
	}
	left := h.cache.Snapshot().Topics
	for topic, result := range waiting {
		if req.TimeoutMillis <= 0 || left[topic] != nil {
			result.ErrorCode = int16(protocol.RequestTimedOut)
		}
	}
}
