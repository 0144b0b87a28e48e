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
	topics := b.administration()
	auto := api.NewAutoTopics(topics, b.cache, b.dynamic, b.logger)
	r.Register(
		api.ApiVersions(r, b.featuresEpoch),
		api.MetadataOf(b.cache, auto, b.id.clusterID),
		api.CreateTopics(b.controller, topics, b.cache, b.dynamic),
		api.DeleteTopics(b.controller, topics, b.cache, b.dynamic),
		api.CreatePartitions(b.controller, topics, b.cache),
	)
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

// administration writes topics and configurations on behalf of clients.
func (b *Broker) administration() *admin.Admin {
	return admin.New(admin.Options{
		Store: b.store, Settings: b.dynamic.Current,
		TopicIDs: b.cfg.IBP().AtLeast("2.8-IV0"), Logger: b.logger,
	})
}

// featuresEpoch is the version of /feature for ApiVersions, -1 for none.
func (b *Broker) featuresEpoch() int64 {
	if b.features == nil {
		return -1
	}
	return b.features.epoch()
}
