package protocol

import "github.com/twmb/franz-go/pkg/kmsg"

// entries returns the error answer of the types that have a code for each entry, or nil for other
// types and for Produce with acks=0.
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

// fetch has the code at the top level and, up to v12, also on every partition, since older clients
// do not look at the top level.
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

// offsetFetch has the code on every partition in v0 and v1, at the top level in v2 to v7, and on
// every group from v8 on.
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

// addPartitionsToTxn has the code on every partition up to v3, and at the top level from v4 on.
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
