package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/replication"
)

// AlterReplicaLogDirs moves replicas of this broker to other log directories (KIP-113). The answer
// is sent when the moves have begun; DescribeLogDirs reports their progress.
//
// Versions 0 to 2; v2 flexible.
func AlterReplicaLogDirs(replicas *replication.Manager) Handler {
	h := Handler{Key: protocol.AlterReplicaLogDirs, Min: 0, Max: 2, PerEntry: true, Fail: completed(failAlterReplicaLogDirs)}
	return Typed(h, func(c *Call, req *kmsg.AlterReplicaLogDirsRequest) (kmsg.Response, error) {
		if !c.AllowsCluster(kmsg.ACLOperationAlter) {
			return nil, protocol.ClusterAuthorizationFailed
		}
		resp := req.ResponseKind().(*kmsg.AlterReplicaLogDirsResponse)
		ids, dirs := wantedDirs(req)
		topics := map[string]int{}
		for _, id := range ids {
			at, known := topics[id.Topic]
			if !known {
				at = len(resp.Topics)
				topics[id.Topic] = at
				t := kmsg.NewAlterReplicaLogDirsResponseTopic()
				t.Topic = id.Topic
				resp.Topics = append(resp.Topics, t)
			}
			p := kmsg.NewAlterReplicaLogDirsResponseTopicPartition()
			p.Partition, p.ErrorCode = id.Partition, int16(protocol.CodeOf(replicas.AlterLogDir(id, dirs[id])))
			resp.Topics[at].Partitions = append(resp.Topics[at].Partitions, p)
		}
		return resp, nil
	})
}

// wantedDirs returns the request's partitions without duplicates and the directory for each: the
// last one if the request names several.
func wantedDirs(req *kmsg.AlterReplicaLogDirsRequest) (ids []replication.TopicPartition, dirs map[replication.TopicPartition]string) {
	dirs = map[replication.TopicPartition]string{}
	for _, d := range req.Dirs {
		for _, t := range d.Topics {
			for _, partition := range t.Partitions {
				id := replication.TopicPartition{Topic: t.Topic, Partition: partition}
				if _, named := dirs[id]; !named {
					ids = append(ids, id)
				}
				dirs[id] = d.Dir
			}
		}
	}
	return ids, dirs
}

// failAlterReplicaLogDirs repeats the topics of all directories.
func failAlterReplicaLogDirs(req *kmsg.AlterReplicaLogDirsRequest, resp *kmsg.AlterReplicaLogDirsResponse, err error) {
	for _, d := range req.Dirs {
		for _, asked := range d.Topics {
			t := kmsg.NewAlterReplicaLogDirsResponseTopic()
			t.Topic = asked.Topic
			for _, partition := range asked.Partitions {
				p := kmsg.NewAlterReplicaLogDirsResponseTopicPartition()
				p.Partition, p.ErrorCode = partition, int16(protocol.CodeOf(err))
				t.Partitions = append(t.Partitions, p)
			}
			resp.Topics = append(resp.Topics, t)
		}
	}
}
