package broker

import (
	"github.com/monedula/monedula/admin"
	"github.com/monedula/monedula/broker/api"
	"github.com/monedula/monedula/metadata"
)

// handlers registers every request this broker answers; ApiVersions tells
// clients just these.
func (b *Broker) handlers() *api.Registry {
	r := api.NewRegistry(nil, b.logger)
	r.Register(
		api.Produce(b.replicas),
		api.Fetch(b.replicas),
		api.ListOffsets(b.replicas),
		api.OffsetForLeaderEpoch(b.replicas),
		api.DeleteRecords(b.replicas),
		api.DescribeLogDirs(b.replicas),
		api.DescribeProducers(b.replicas, admin.ValidateTopicName),
	)
	r.Register( // of the controller
		api.LeaderAndIsr(b.replicas),
		api.StopReplica(b.replicas),
		api.UpdateMetadata(b.replicas, func([]metadata.TopicPartition) {}),
	)
	return r
}
