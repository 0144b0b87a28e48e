package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// The coordinator types of FindCoordinator.
const (
	groupCoordinator       = 0
	transactionCoordinator = 1
	shareCoordinator       = 2
)

// FindCoordinator returns the broker that coordinates a group or a transaction: the leader of the
// partition of the internal topic that stores it. The topic is created if it is missing.
//
// Versions 0 to 6. v1 adds transactions, v3 is flexible, v4 finds several at once, v6 adds share
// groups, which are not supported.
func FindCoordinator(groupPartition, transactionPartition func(key string) int32, topics *AutoTopics, cache Metadata) Handler {
	finder := &findCoordinator{topics: topics, cache: cache, partitionFor: [...]func(string) int32{groupPartition, transactionPartition}}
	h := Handler{Key: protocol.FindCoordinator, Min: 0, Max: 6, PerEntry: true, Unthrottled: true, Fail: completed(failFindCoordinator)}
	return Typed(h, func(c *Call, req *kmsg.FindCoordinatorRequest) (kmsg.Response, error) {
		resp := kmsg.NewPtrFindCoordinatorResponse()
		if req.Version < 4 {
			node, err := finder.find(c, req.CoordinatorType, req.CoordinatorKey, new(bool))
			if err != nil {
				return nil, err
			}
			none := protocol.None.Name()
			resp.NodeID, resp.Host, resp.Port, resp.ErrorMessage = int32(node.id), node.host, node.port, &none
			return resp, nil
		}
		created := false
		for _, key := range req.CoordinatorKeys {
			node, err := finder.find(c, req.CoordinatorType, key, &created)
			code := protocol.CodeOf(err)
			if code == protocol.InvalidRequest && req.CoordinatorType != shareCoordinator {
				return nil, err
			}
			answer := kmsg.NewFindCoordinatorResponseCoordinator()
			answer.Key, answer.NodeID, answer.Host, answer.Port = key, int32(node.id), node.host, node.port
			answer.ErrorCode, answer.ErrorMessage = int16(code), new(string)
			resp.Coordinators = append(resp.Coordinators, answer)
		}
		return resp, nil
	})
}

// failFindCoordinator sets the code of the whole answer and, from v4 on, of every key. The message is
// always the code's own text.
func failFindCoordinator(req *kmsg.FindCoordinatorRequest, resp *kmsg.FindCoordinatorResponse, err error) {
	code := protocol.CodeOf(err)
	text := code.Message()
	resp.ErrorMessage, resp.NodeID, resp.Port = &text, -1, -1
	for _, key := range req.CoordinatorKeys {
		c := kmsg.NewFindCoordinatorResponseCoordinator()
		c.Key, c.ErrorCode, c.ErrorMessage, c.NodeID, c.Port = key, int16(code), &text, -1, -1
		resp.Coordinators = append(resp.Coordinators, c)
	}
}

type findCoordinator struct {
	topics       *AutoTopics
	cache        Metadata
	partitionFor [2]func(key string) int32 // by kind
}

// find returns the coordinator of a key. If the internal topic is missing it is created, once for
// each request (created), since a request may have millions of keys.
func (h *findCoordinator) find(c *Call, kind int8, key string, created *bool) (brokerNode, error) {
	if err := h.authorize(c, kind, key); err != nil {
		return noNode(), err
	}
	if kind == shareCoordinator {
		return noNode(), protocol.CoordinatorNotAvailable
	}
	topic := metadata.GroupOffsetsTopic
	if kind == transactionCoordinator {
		topic = metadata.TransactionStateTopic
	}
	cluster := h.cache.Snapshot()
	if cluster.Topics[topic] == nil && cluster.Complete {
		if !*created {
			*created = true
			h.topics.Create(c.Context(), []string{topic})
		}
		return noNode(), protocol.CoordinatorNotAvailable
	}
	if p := cluster.Partition(topic, h.partitionFor[kind](key)); p != nil {
		if node, alive := reachable(cluster, p.Leader, c.Peer.Listener); alive {
			return node, nil
		}
	}
	return noNode(), protocol.CoordinatorNotAvailable
}

func (h *findCoordinator) authorize(c *Call, kind int8, key string) error {
	switch kind {
	case groupCoordinator:
		return c.requireGroup(kmsg.ACLOperationDescribe, key)
	case transactionCoordinator:
		return c.requireTransactionalID(kmsg.ACLOperationDescribe, key)
	case shareCoordinator:
		if c.Version < 6 {
			return protocol.InvalidRequest
		}
		return c.requireCluster(kmsg.ACLOperationClusterAction)
	}
	return protocol.Errorf(protocol.InvalidRequest, "Unknown coordinator type received: %d", kind)
}
