package protocol

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// entries returns the error answer of the types that answer entry by entry;
// nil for the others, and for Produce with acks=0.
func (f failure) entries(req kmsg.Request) kmsg.Response {
	switch req := req.(type) {
	case *kmsg.ProduceRequest:
		return f.produce(req)
	case *kmsg.FetchRequest:
		return f.fetch(req)
	case *kmsg.ListOffsetsRequest:
		return f.listOffsets(req)
	case *kmsg.MetadataRequest:
		return f.metadata(req)
	case *kmsg.OffsetForLeaderEpochRequest:
		return f.offsetForLeaderEpoch(req)
	case *kmsg.DeleteRecordsRequest:
		return f.deleteRecords(req)
	case *kmsg.DescribeProducersRequest:
		return f.describeProducers(req)
	case *kmsg.AlterReplicaLogDirsRequest:
		return f.alterReplicaLogDirs(req)
	case *kmsg.LeaderAndISRRequest:
		return f.leaderAndISR(req)
	case *kmsg.StopReplicaRequest:
		return f.stopReplica(req)
	case *kmsg.OffsetCommitRequest:
		return f.offsetCommit(req)
	case *kmsg.OffsetFetchRequest:
		return f.offsetFetch(req)
	case *kmsg.FindCoordinatorRequest:
		return f.findCoordinator(req)
	case *kmsg.DescribeGroupsRequest:
		return f.describeGroups(req)
	case *kmsg.DeleteGroupsRequest:
		return f.deleteGroups(req)
	case *kmsg.ConsumerGroupDescribeRequest:
		return f.consumerGroupDescribe(req)
	case *kmsg.AddPartitionsToTxnRequest:
		return f.addPartitionsToTxn(req)
	case *kmsg.WriteTxnMarkersRequest:
		return f.writeTxnMarkers(req)
	case *kmsg.TxnOffsetCommitRequest:
		return f.txnOffsetCommit(req)
	case *kmsg.DescribeTransactionsRequest:
		return f.describeTransactions(req)
	}
	return f.adminEntries(req)
}

func (f failure) adminEntries(req kmsg.Request) kmsg.Response {
	switch req := req.(type) {
	case *kmsg.CreateTopicsRequest:
		return f.createTopics(req)
	case *kmsg.DeleteTopicsRequest:
		return f.deleteTopics(req)
	case *kmsg.CreatePartitionsRequest:
		return f.createPartitions(req)
	case *kmsg.ElectLeadersRequest:
		return f.electLeaders(req)
	case *kmsg.AlterPartitionAssignmentsRequest:
		return f.alterPartitionReassignments(req)
	case *kmsg.ListPartitionReassignmentsRequest:
		return f.listPartitionReassignments(req)
	case *kmsg.DescribeConfigsRequest:
		return f.describeConfigs(req)
	case *kmsg.AlterConfigsRequest:
		return f.alterConfigs(req)
	case *kmsg.IncrementalAlterConfigsRequest:
		return f.incrementalAlterConfigs(req)
	case *kmsg.CreateACLsRequest:
		return f.createACLs(req)
	case *kmsg.DeleteACLsRequest:
		return f.deleteACLs(req)
	case *kmsg.AlterClientQuotasRequest:
		return f.alterClientQuotas(req)
	case *kmsg.DescribeUserSCRAMCredentialsRequest:
		return f.describeUserSCRAMCredentials(req)
	case *kmsg.AlterUserSCRAMCredentialsRequest:
		return f.alterUserSCRAMCredentials(req)
	}
	return nil
}

func (f failure) produce(req *kmsg.ProduceRequest) kmsg.Response {
	if req.Acks == 0 {
		return nil
	}
	resp := kmsg.NewPtrProduceResponse()
	for _, t := range req.Topics {
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			partition := kmsg.NewProduceResponseTopicPartition()
			partition.Partition = p.Partition
			partition.ErrorCode = f.code
			partition.ErrorMessage = f.specific
			partition.BaseOffset, partition.LogAppendTime, partition.LogStartOffset = -1, -1, -1
			topic.Partitions = append(topic.Partitions, partition)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// fetch names partitions only up to v12: newer clients look at the top level.
func (f failure) fetch(req *kmsg.FetchRequest) kmsg.Response {
	resp := kmsg.NewPtrFetchResponse()
	resp.ErrorCode = f.code
	resp.SessionID = req.SessionID
	if req.Version >= 13 {
		return resp
	}
	for _, t := range req.Topics {
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			partition := kmsg.NewFetchResponseTopicPartition()
			partition.Partition = p.Partition
			partition.ErrorCode = f.code
			partition.HighWatermark = -1
			partition.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
			topic.Partitions = append(topic.Partitions, partition)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (f failure) listOffsets(req *kmsg.ListOffsetsRequest) kmsg.Response {
	resp := kmsg.NewPtrListOffsetsResponse()
	for _, t := range req.Topics {
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			partition := kmsg.NewListOffsetsResponseTopicPartition()
			partition.Partition = p.Partition
			partition.ErrorCode = f.code
			partition.Offset, partition.Timestamp = -1, -1
			topic.Partitions = append(topic.Partitions, partition)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (f failure) metadata(req *kmsg.MetadataRequest) kmsg.Response {
	resp := kmsg.NewPtrMetadataResponse()
	resp.ControllerID = -1
	for _, t := range req.Topics {
		topic := kmsg.NewMetadataResponseTopic()
		topic.Topic = t.Topic
		if topic.Topic == nil {
			topic.Topic = new(string)
		}
		topic.TopicID = t.TopicID
		topic.ErrorCode = f.code
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (f failure) offsetForLeaderEpoch(req *kmsg.OffsetForLeaderEpochRequest) kmsg.Response {
	resp := kmsg.NewPtrOffsetForLeaderEpochResponse()
	for _, t := range req.Topics {
		topic := kmsg.NewOffsetForLeaderEpochResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			partition := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			partition.Partition = p.Partition
			partition.ErrorCode = f.code
			partition.LeaderEpoch, partition.EndOffset = -1, -1
			topic.Partitions = append(topic.Partitions, partition)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (f failure) deleteRecords(req *kmsg.DeleteRecordsRequest) kmsg.Response {
	resp := kmsg.NewPtrDeleteRecordsResponse()
	for _, t := range req.Topics {
		topic := kmsg.NewDeleteRecordsResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			partition := kmsg.NewDeleteRecordsResponseTopicPartition()
			partition.Partition = p.Partition
			partition.ErrorCode = f.code
			partition.LowWatermark = -1
			topic.Partitions = append(topic.Partitions, partition)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (f failure) describeProducers(req *kmsg.DescribeProducersRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeProducersResponse()
	for _, t := range req.Topics {
		topic := kmsg.NewDescribeProducersResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			partition := kmsg.NewDescribeProducersResponseTopicPartition()
			partition.Partition = p
			partition.ErrorCode = f.code
			topic.Partitions = append(topic.Partitions, partition)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (f failure) alterReplicaLogDirs(req *kmsg.AlterReplicaLogDirsRequest) kmsg.Response {
	resp := kmsg.NewPtrAlterReplicaLogDirsResponse()
	for _, d := range req.Dirs {
		for _, t := range d.Topics {
			topic := kmsg.NewAlterReplicaLogDirsResponseTopic()
			topic.Topic = t.Topic
			for _, p := range t.Partitions {
				partition := kmsg.NewAlterReplicaLogDirsResponseTopicPartition()
				partition.Partition = p
				partition.ErrorCode = f.code
				topic.Partitions = append(topic.Partitions, partition)
			}
			resp.Topics = append(resp.Topics, topic)
		}
	}
	return resp
}

func (f failure) leaderAndISR(req *kmsg.LeaderAndISRRequest) kmsg.Response {
	resp := kmsg.NewPtrLeaderAndISRResponse()
	resp.ErrorCode = f.code
	partition := func(topic string, index int32) kmsg.LeaderAndISRResponseTopicPartition {
		p := kmsg.NewLeaderAndISRResponseTopicPartition()
		p.Topic, p.Partition, p.ErrorCode = topic, index, f.code
		return p
	}
	for _, p := range req.PartitionStates {
		resp.Partitions = append(resp.Partitions, partition(p.Topic, p.Partition))
	}
	for _, t := range req.TopicStates {
		topic := kmsg.NewLeaderAndISRResponseTopic()
		topic.TopicID = t.TopicID
		for _, p := range t.PartitionStates {
			if req.Version < 5 {
				resp.Partitions = append(resp.Partitions, partition(t.Topic, p.Partition))
			}
			topic.Partitions = append(topic.Partitions, partition("", p.Partition))
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (f failure) stopReplica(req *kmsg.StopReplicaRequest) kmsg.Response {
	resp := kmsg.NewPtrStopReplicaResponse()
	resp.ErrorCode = f.code
	add := func(topic string, index int32) {
		p := kmsg.NewStopReplicaResponsePartition()
		p.Topic, p.Partition, p.ErrorCode = topic, index, f.code
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
	return resp
}

func (f failure) offsetCommit(req *kmsg.OffsetCommitRequest) kmsg.Response {
	resp := kmsg.NewPtrOffsetCommitResponse()
	for _, t := range req.Topics {
		topic := kmsg.NewOffsetCommitResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			partition := kmsg.NewOffsetCommitResponseTopicPartition()
			partition.Partition = p.Partition
			partition.ErrorCode = f.code
			topic.Partitions = append(topic.Partitions, partition)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// offsetFetch has its code on every partition up to v1, at the top level up to
// v7, and on every group from v8 on.
func (f failure) offsetFetch(req *kmsg.OffsetFetchRequest) kmsg.Response {
	resp := kmsg.NewPtrOffsetFetchResponse()
	resp.ErrorCode = f.code
	for _, g := range req.Groups {
		group := kmsg.NewOffsetFetchResponseGroup()
		group.Group = g.Group
		group.ErrorCode = f.code
		resp.Groups = append(resp.Groups, group)
	}
	if req.Version >= 2 {
		return resp
	}
	for _, t := range req.Topics {
		topic := kmsg.NewOffsetFetchResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			partition := kmsg.NewOffsetFetchResponseTopicPartition()
			partition.Partition = p
			partition.ErrorCode = f.code
			partition.Offset = -1
			partition.Metadata = new(string)
			topic.Partitions = append(topic.Partitions, partition)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (f failure) findCoordinator(req *kmsg.FindCoordinatorRequest) kmsg.Response {
	resp := kmsg.NewPtrFindCoordinatorResponse()
	resp.ErrorCode = f.code
	resp.ErrorMessage = f.text
	resp.NodeID, resp.Port = -1, -1
	for _, key := range req.CoordinatorKeys {
		c := kmsg.NewFindCoordinatorResponseCoordinator()
		c.Key = key
		c.ErrorCode = f.code
		c.ErrorMessage = f.text
		c.NodeID, c.Port = -1, -1
		resp.Coordinators = append(resp.Coordinators, c)
	}
	return resp
}

func (f failure) describeGroups(req *kmsg.DescribeGroupsRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeGroupsResponse()
	for _, g := range req.Groups {
		group := kmsg.NewDescribeGroupsResponseGroup()
		group.Group = g
		group.ErrorCode = f.code
		resp.Groups = append(resp.Groups, group)
	}
	return resp
}

func (f failure) deleteGroups(req *kmsg.DeleteGroupsRequest) kmsg.Response {
	resp := kmsg.NewPtrDeleteGroupsResponse()
	for _, g := range req.Groups {
		group := kmsg.NewDeleteGroupsResponseGroup()
		group.Group = g
		group.ErrorCode = f.code
		resp.Groups = append(resp.Groups, group)
	}
	return resp
}

func (f failure) consumerGroupDescribe(req *kmsg.ConsumerGroupDescribeRequest) kmsg.Response {
	resp := kmsg.NewPtrConsumerGroupDescribeResponse()
	for _, g := range req.Groups {
		group := kmsg.NewConsumerGroupDescribeResponseGroup()
		group.Group = g
		group.ErrorCode = f.code
		resp.Groups = append(resp.Groups, group)
	}
	return resp
}

// addPartitionsToTxn has its code on every partition up to v3, then at the top.
func (f failure) addPartitionsToTxn(req *kmsg.AddPartitionsToTxnRequest) kmsg.Response {
	resp := kmsg.NewPtrAddPartitionsToTxnResponse()
	resp.ErrorCode = f.code
	for _, t := range req.Topics {
		topic := kmsg.NewAddPartitionsToTxnResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			partition := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
			partition.Partition = p
			partition.ErrorCode = f.code
			topic.Partitions = append(topic.Partitions, partition)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (f failure) writeTxnMarkers(req *kmsg.WriteTxnMarkersRequest) kmsg.Response {
	resp := kmsg.NewPtrWriteTxnMarkersResponse()
	for _, m := range req.Markers {
		marker := kmsg.NewWriteTxnMarkersResponseMarker()
		marker.ProducerID = m.ProducerID
		for _, t := range m.Topics {
			topic := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
			topic.Topic = t.Topic
			for _, p := range t.Partitions {
				partition := kmsg.NewWriteTxnMarkersResponseMarkerTopicPartition()
				partition.Partition = p
				partition.ErrorCode = f.code
				topic.Partitions = append(topic.Partitions, partition)
			}
			marker.Topics = append(marker.Topics, topic)
		}
		resp.Markers = append(resp.Markers, marker)
	}
	return resp
}

func (f failure) txnOffsetCommit(req *kmsg.TxnOffsetCommitRequest) kmsg.Response {
	resp := kmsg.NewPtrTxnOffsetCommitResponse()
	for _, t := range req.Topics {
		topic := kmsg.NewTxnOffsetCommitResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			partition := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			partition.Partition = p.Partition
			partition.ErrorCode = f.code
			topic.Partitions = append(topic.Partitions, partition)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (f failure) describeTransactions(req *kmsg.DescribeTransactionsRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeTransactionsResponse()
	for _, id := range req.TransactionalIDs {
		state := kmsg.NewDescribeTransactionsResponseTransactionState()
		state.TransactionalID = id
		state.ErrorCode = f.code
		resp.TransactionStates = append(resp.TransactionStates, state)
	}
	return resp
}

func (f failure) createTopics(req *kmsg.CreateTopicsRequest) kmsg.Response {
	resp := kmsg.NewPtrCreateTopicsResponse()
	for _, t := range req.Topics {
		topic := kmsg.NewCreateTopicsResponseTopic()
		topic.Topic = t.Topic
		topic.ErrorCode = f.code
		topic.ErrorMessage = f.specific
		topic.NumPartitions, topic.ReplicationFactor = -1, -1
		topic.Configs = []kmsg.CreateTopicsResponseTopicConfig{}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (f failure) deleteTopics(req *kmsg.DeleteTopicsRequest) kmsg.Response {
	resp := kmsg.NewPtrDeleteTopicsResponse()
	add := func(name *string, id [16]byte) {
		topic := kmsg.NewDeleteTopicsResponseTopic()
		topic.Topic, topic.TopicID, topic.ErrorCode = name, id, f.code
		resp.Topics = append(resp.Topics, topic)
	}
	for i := range req.TopicNames {
		add(&req.TopicNames[i], [16]byte{})
	}
	for _, t := range req.Topics {
		add(t.Topic, t.TopicID)
	}
	return resp
}

func (f failure) createPartitions(req *kmsg.CreatePartitionsRequest) kmsg.Response {
	resp := kmsg.NewPtrCreatePartitionsResponse()
	for _, t := range req.Topics {
		topic := kmsg.NewCreatePartitionsResponseTopic()
		topic.Topic = t.Topic
		topic.ErrorCode = f.code
		topic.ErrorMessage = f.specific
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (f failure) electLeaders(req *kmsg.ElectLeadersRequest) kmsg.Response {
	resp := kmsg.NewPtrElectLeadersResponse()
	resp.ErrorCode = f.code
	for _, t := range req.Topics {
		topic := kmsg.NewElectLeadersResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			partition := kmsg.NewElectLeadersResponseTopicPartition()
			partition.Partition = p
			partition.ErrorCode = f.code
			partition.ErrorMessage = f.specific
			topic.Partitions = append(topic.Partitions, partition)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (f failure) alterPartitionReassignments(req *kmsg.AlterPartitionAssignmentsRequest) kmsg.Response {
	resp := kmsg.NewPtrAlterPartitionAssignmentsResponse()
	resp.ErrorCode = f.code
	resp.ErrorMessage = f.specific
	for _, t := range req.Topics {
		topic := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			partition := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			partition.Partition = p.Partition
			partition.ErrorCode = f.code
			partition.ErrorMessage = f.specific
			topic.Partitions = append(topic.Partitions, partition)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (f failure) listPartitionReassignments(req *kmsg.ListPartitionReassignmentsRequest) kmsg.Response {
	resp := kmsg.NewPtrListPartitionReassignmentsResponse()
	resp.ErrorCode = f.code
	resp.ErrorMessage = f.specific
	for _, t := range req.Topics {
		topic := kmsg.NewListPartitionReassignmentsResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			partition := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
			partition.Partition = p
			topic.Partitions = append(topic.Partitions, partition)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (f failure) describeConfigs(req *kmsg.DescribeConfigsRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeConfigsResponse()
	for _, r := range req.Resources {
		resource := kmsg.NewDescribeConfigsResponseResource()
		resource.ResourceType, resource.ResourceName = r.ResourceType, r.ResourceName
		resource.ErrorCode = f.code
		resource.ErrorMessage = f.text
		resp.Resources = append(resp.Resources, resource)
	}
	return resp
}

func (f failure) alterConfigs(req *kmsg.AlterConfigsRequest) kmsg.Response {
	resp := kmsg.NewPtrAlterConfigsResponse()
	for _, r := range req.Resources {
		resource := kmsg.NewAlterConfigsResponseResource()
		resource.ResourceType, resource.ResourceName = r.ResourceType, r.ResourceName
		resource.ErrorCode = f.code
		resource.ErrorMessage = f.specific
		resp.Resources = append(resp.Resources, resource)
	}
	return resp
}

func (f failure) incrementalAlterConfigs(req *kmsg.IncrementalAlterConfigsRequest) kmsg.Response {
	resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
	for _, r := range req.Resources {
		resource := kmsg.NewIncrementalAlterConfigsResponseResource()
		resource.ResourceType, resource.ResourceName = r.ResourceType, r.ResourceName
		resource.ErrorCode = f.code
		resource.ErrorMessage = f.specific
		resp.Resources = append(resp.Resources, resource)
	}
	return resp
}

func (f failure) createACLs(req *kmsg.CreateACLsRequest) kmsg.Response {
	resp := kmsg.NewPtrCreateACLsResponse()
	for range req.Creations {
		result := kmsg.NewCreateACLsResponseResult()
		result.ErrorCode = f.code
		result.ErrorMessage = f.specific
		resp.Results = append(resp.Results, result)
	}
	return resp
}

func (f failure) deleteACLs(req *kmsg.DeleteACLsRequest) kmsg.Response {
	resp := kmsg.NewPtrDeleteACLsResponse()
	for range req.Filters {
		result := kmsg.NewDeleteACLsResponseResult()
		result.ErrorCode = f.code
		result.ErrorMessage = f.specific
		resp.Results = append(resp.Results, result)
	}
	return resp
}

func (f failure) alterClientQuotas(req *kmsg.AlterClientQuotasRequest) kmsg.Response {
	resp := kmsg.NewPtrAlterClientQuotasResponse()
	for _, e := range req.Entries {
		entry := kmsg.NewAlterClientQuotasResponseEntry()
		entry.ErrorCode = f.code
		entry.ErrorMessage = f.text
		for _, n := range e.Entity {
			entity := kmsg.NewAlterClientQuotasResponseEntryEntity()
			entity.Type, entity.Name = n.Type, n.Name
			entry.Entity = append(entry.Entity, entity)
		}
		resp.Entries = append(resp.Entries, entry)
	}
	return resp
}

// describeUserSCRAMCredentials has an entry per user asked for, without the
// user's name, as Kafka's has.
func (f failure) describeUserSCRAMCredentials(req *kmsg.DescribeUserSCRAMCredentialsRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeUserSCRAMCredentialsResponse()
	resp.ErrorCode = f.code
	resp.ErrorMessage = f.specific
	for range req.Users {
		result := kmsg.NewDescribeUserSCRAMCredentialsResponseResult()
		result.ErrorCode = f.code
		result.ErrorMessage = f.specific
		resp.Results = append(resp.Results, result)
	}
	return resp
}

func (f failure) alterUserSCRAMCredentials(req *kmsg.AlterUserSCRAMCredentialsRequest) kmsg.Response {
	var users []string
	for _, d := range req.Deletions {
		users = append(users, d.Name)
	}
	for _, u := range req.Upsertions {
		users = append(users, u.Name)
	}
	slices.Sort(users)
	resp := kmsg.NewPtrAlterUserSCRAMCredentialsResponse()
	for _, user := range slices.Compact(users) {
		result := kmsg.NewAlterUserSCRAMCredentialsResponseResult()
		result.User = user
		result.ErrorCode = f.code
		result.ErrorMessage = f.specific
		resp.Results = append(resp.Results, result)
	}
	return resp
}
