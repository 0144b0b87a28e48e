package broker

import (
	"github.com/monedula/monedula/admin"
	"github.com/monedula/monedula/broker/api"
	"github.com/monedula/monedula/metadata"
)

// handlers registers every request that this broker answers. ApiVersions reports exactly these.
func (b *Broker) handlers() *api.Registry {
	r := api.NewRegistry(nil, b.logger)
	if b.cfg.MetricsListener() != "" {
		r.CountErrors(b.metrics.requests.countErrors)
	}
	topics := b.administration()
	auto := api.NewAutoTopics(topics, b.cache, b.dynamic, b.logger)
	levels := api.NewLogLevels(b.logger)
	changer := api.NewConfigChanger(b.id.brokerID, topics, b.dynamic, b.cache, levels)
	r.Register(
		api.ApiVersions(r, b.featuresEpoch),
		api.MetadataOf(b.cache, auto, b.store, b.id.clusterID),
		api.AlterPartitionReassignments(b.controller),
		api.ListPartitionReassignments(b.controller),
		api.UpdateFeatures(b.controller, b.dynamic),
		api.InitProducerId(b.producerIDs, b.transactions),
	)
	r.Register(api.Informed(b.cache,
		api.CreateTopics(b.controller, topics, b.cache, b.dynamic),
		api.DeleteTopics(b.controller, topics, b.cache, b.dynamic),
		api.CreatePartitions(b.controller, topics, b.cache),
		api.DescribeConfigs(b.id.brokerID, b.dynamic, topics, b.cache, levels),
		api.AlterConfigs(changer),
		api.IncrementalAlterConfigs(changer),
		api.DescribeCluster(b.cache, b.id.clusterID),
		api.ElectLeaders(b.controller, b.cache),
	)...)
	r.Register(api.Informed(b.cache,
		api.Produce(b.replicas),
		api.Fetch(b.replicas),
		api.ListOffsets(b.replicas),
		api.OffsetForLeaderEpoch(b.replicas),
		api.DeleteRecords(b.replicas),
		api.DescribeProducers(b.replicas, admin.ValidateTopicName),
	)...)
	r.Register(
		api.AlterReplicaLogDirs(b.replicas),
		api.DescribeLogDirs(b.replicas),
	)
	b.registerCoordination(r, auto)
	r.Register( // between brokers
		api.ControlledShutdown(b.controller),
		api.AlterPartition(b.controller),
		api.AllocateProducerIds(b.controller),
		api.LeaderAndIsr(b.replicas),
		api.StopReplica(b.replicas),
		api.UpdateMetadata(b.replicas, b.partitionsDeleted),
	)
	r.Register( // features that are not supported; answered with an error
		api.SaslHandshake(),
		api.SaslAuthenticate(),
		api.DescribeAcls(),
		api.CreateAcls(),
		api.DeleteAcls(),
		api.CreateDelegationToken(b.dynamic),
		api.RenewDelegationToken(b.dynamic),
		api.ExpireDelegationToken(b.dynamic),
		api.DescribeDelegationToken(b.dynamic),
		api.ConsumerGroupHeartbeat(),
		api.ConsumerGroupDescribe(),
	)
	return r
}

// registerCoordination registers the requests about groups and transactions.
func (b *Broker) registerCoordination(r *api.Registry, auto *api.AutoTopics) {
	r.Register(api.Informed(b.cache, // requests that name topics
		api.FindCoordinator(b.groups.PartitionFor, b.transactions.PartitionFor, auto, b.cache),
		api.OffsetCommit(b.groups, b.store, b.cache, b.dynamic),
		api.OffsetFetch(b.groups, b.store, b.cache),
		api.OffsetDelete(b.groups, b.cache),
	)...)
	since0110 := func(h ...api.Handler) []api.Handler { return api.Since("0.11.0-IV0", b.cfg.IBP(), h...) }
	r.Register(since0110(api.Informed(b.cache, // transactions
		api.TxnOffsetCommit(b.groups, b.cache),
		api.AddPartitionsToTxn(b.transactions, b.cache),
	)...)...)
	r.Register(since0110(
		api.AddOffsetsToTxn(b.transactions, b.groups.PartitionFor),
		api.EndTxn(b.transactions),
		api.WriteTxnMarkers(b.replicas, b.groups, b.dynamic),
	)...)
	r.Register(
		api.DescribeTransactions(b.transactions),
		api.ListTransactions(b.transactions),
	)
	r.Register( // consumer groups
		api.JoinGroup(b.groups, b.dynamic),
		api.SyncGroup(b.groups, b.dynamic),
		api.Heartbeat(b.groups, b.dynamic),
		api.LeaveGroup(b.groups),
		api.DescribeGroups(b.groups),
		api.ListGroups(b.groups),
		api.DeleteGroups(b.groups),
	)
}

// administration returns the administration of topics and configurations on behalf of clients.
func (b *Broker) administration() *admin.Admin {
	return admin.New(admin.Options{
		Store: b.store, Settings: b.dynamic.Current,
		TopicIDs: b.cfg.IBP().AtLeast("2.8-IV0"), Logger: b.logger,
	})
}

// featuresEpoch returns the version of /feature for ApiVersions, or -1 if there is none.
func (b *Broker) featuresEpoch() int64 {
	if b.features == nil {
		return -1
	}
	return b.features.epoch()
}

// partitionsDeleted removes what this broker keeps about deleted partitions.
func (b *Broker) partitionsDeleted(partitions []metadata.TopicPartition) {
	b.configs.forget(partitions)
	b.groups.PartitionsDeleted(partitions)
}
