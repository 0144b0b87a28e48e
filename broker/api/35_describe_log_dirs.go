package api

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/replication"
)

// DescribeLogDirs returns the log directories of this broker and the sizes of the logs in them.
//
// Versions 0 to 4. A null topic list means all logs. v2 is flexible, v3 adds a code for the whole
// answer, v4 the sizes of the volumes. Before v3 an answer to a peer without permission only has no
// directories.
func DescribeLogDirs(replicas *replication.Manager) Handler {
	h := Handler{Key: protocol.DescribeLogDirs, Min: 0, Max: 4}
	return Typed(h, func(c *Call, req *kmsg.DescribeLogDirsRequest) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.DescribeLogDirsResponse)
		if !c.AllowsCluster(kmsg.ACLOperationDescribe) {
			resp.ErrorCode = int16(protocol.ClusterAuthorizationFailed)
			return resp, nil
		}
		for _, dir := range replicas.LogDirs(wantedLogs(req)) {
			resp.Dirs = append(resp.Dirs, describeLogDir(&dir))
		}
		return resp, nil
	})
}

func wantedLogs(req *kmsg.DescribeLogDirsRequest) func(replication.TopicPartition) bool {
	if req.Topics == nil {
		return func(replication.TopicPartition) bool { return true }
	}
	wanted := map[replication.TopicPartition]bool{}
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			wanted[replication.TopicPartition{Topic: t.Topic, Partition: p}] = true
		}
	}
	return func(id replication.TopicPartition) bool { return wanted[id] }
}

func describeLogDir(dir *replication.LogDir) kmsg.DescribeLogDirsResponseDir {
	d := kmsg.NewDescribeLogDirsResponseDir()
	d.Dir = dir.Path
	if !dir.Online {
		d.ErrorCode, d.TotalBytes, d.UsableBytes = int16(protocol.KafkaStorageError), -1, -1
		return d
	}
	d.TotalBytes, d.UsableBytes = dir.Total, dir.Usable
	slices.SortFunc(dir.Replicas, func(a, b replication.LogDirReplica) int {
		if c := strings.Compare(a.ID.Topic, b.ID.Topic); c != 0 {
			return c
		}
		return int(a.ID.Partition) - int(b.ID.Partition)
	})
	for _, r := range dir.Replicas {
		p := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
		p.Partition, p.Size, p.OffsetLag, p.IsFuture = r.ID.Partition, r.Size, r.Lag, r.Future
		if n := len(d.Topics); n > 0 && d.Topics[n-1].Topic == r.ID.Topic {
			d.Topics[n-1].Partitions = append(d.Topics[n-1].Partitions, p)
			continue
		}
		t := kmsg.NewDescribeLogDirsResponseDirTopic()
		t.Topic, t.Partitions = r.ID.Topic, []kmsg.DescribeLogDirsResponseDirTopicPartition{p}
		d.Topics = append(d.Topics, t)
	}
	return d
}
