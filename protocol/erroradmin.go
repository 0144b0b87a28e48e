package protocol

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// adminEntries returns the error answer of the requests of admin clients that have a code for each
// entry, or nil for other requests.
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

// describeUserSCRAMCredentials has an entry for each user in the request but without the user's
// name, as in Kafka.
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
