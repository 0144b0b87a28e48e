package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/replication"
)

// StopReplica stops replicas of this broker and may delete them, as the controller decides.
//
// Versions 0 to 4. v1 adds the broker epoch, v2 is flexible, v3 adds leader epochs and decides
// about deletion for each partition. A peer without permission gets an answer that has only the
// code.
func StopReplica(replicas *replication.Manager) Handler {
	h := Handler{Key: protocol.StopReplica, Min: 0, Max: 4, Sender: Controller, Weight: stopsAllowed, PerEntry: true, Fail: completed(failStopReplica)}
	return Typed(h, func(c *Call, req *kmsg.StopReplicaRequest) (kmsg.Response, error) {
		if !c.AllowsCluster(kmsg.ACLOperationClusterAction) {
			return nil, protocol.ClusterAuthorizationFailed
		}
		return replicas.StopReplica(req, c.CorrelationID), nil
	})
}

// stopsAllowed is weightAllowed for StopReplica. Before v3 each entry is one replica, of about ten
// bytes that take about a hundred when decoded. It is enough for some 130,000 replicas in one
// request.
const stopsAllowed = 16 << 20

// failStopReplica sets the code of each partition, whatever form the version gives to the request.
func failStopReplica(req *kmsg.StopReplicaRequest, resp *kmsg.StopReplicaResponse, err error) {
	add := func(topic string, index int32) {
		p := kmsg.NewStopReplicaResponsePartition()
		p.Topic, p.Partition, p.ErrorCode = topic, index, int16(protocol.CodeOf(err))
		resp.Partitions = append(resp.Partitions, p)
	}
	for _, t := range req.Topics {
		if req.Version == 0 {
			add(t.Topic, t.Partition)
		}
		for _, p := range t.Partitions {
			add(t.Topic, p)
		}
		for _, p := range t.PartitionStates {
			add(t.Topic, p.Partition)
		}
	}
}
