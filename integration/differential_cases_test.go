package integration

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/record"
)

// casesOf lists the requests sent for a key. Every key gets an empty body; keys whose requests have
// content also get good and bad ones.
func casesOf(key int16) []differentialCase {
	cases := []differentialCase{}
	if build := emptyBody(key); build != nil {
		cases = append(cases, differentialCase{name: "empty", build: build})
	}
	return append(append(append(cases, specialCases[key]...), groupCases(key)...), txnCases()[key]...)
}

// emptyBody builds the request with every field at its default. It skips requests without a useful
// default, and changes those that would disturb later cases.
func emptyBody(key int16) func(*side, int16) kmsg.Request {
	switch key {
	case 18: // ApiVersions: an empty software name is a case of its own
		return nil
	}
	return func(_ *side, version int16) kmsg.Request {
		req := kmsg.RequestForKey(key)
		req.SetVersion(version)
		type defaulted interface{ Default() }
		if d, ok := req.(defaulted); ok {
			d.Default()
		}
		if _, ok := req.(*kmsg.OffsetFetchRequest); ok && version >= 8 {
			return nil // a real broker never answers a request without groups: docs/deviations.md
		}
		if _, ok := req.(*kmsg.AddPartitionsToTxnRequest); ok && version >= 4 {
			return nil // nor one without transactions
		}
		if r, ok := req.(*kmsg.ControlledShutdownRequest); ok {
			r.BrokerID = 77 // broker 0 would lose its leaderships for good
		}
		return req
	}
}

// batchOf returns one v2 batch of n records.
func batchOf(n int) []byte {
	b := record.NewBuilder(record.Defaults())
	for i := range n {
		if err := b.Append(1700000000000+int64(i), []byte("k"), []byte(fmt.Sprint("v", i))); err != nil {
			panic(err)
		}
	}
	set, err := b.Build()
	if err != nil {
		panic(err)
	}
	return set
}

// messageSet returns n uncompressed messages of an old format.
func messageSet(magic int8, n int) []byte {
	o := record.Defaults()
	o.Magic = magic
	b := record.NewBuilder(o)
	for i := range n {
		if err := b.Append(1700000000000+int64(i), []byte("k"), []byte(fmt.Sprint("v", i))); err != nil {
			panic(err)
		}
	}
	set, err := b.Build()
	if err != nil {
		panic(err)
	}
	return set
}

func produceRequest(topic string, partition int32, records []byte, version int16) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = version, -1, 5000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, records
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

// produceCase sends records to t1-1, which no other case reads.
func produceCase(name string, change func(req *kmsg.ProduceRequest, version int16)) differentialCase {
	return differentialCase{name: name, build: func(s *side, version int16) kmsg.Request {
		records := batchOf(2)
		if version < 3 {
			records = messageSet(int8(min(version, 1)), 2)
		}
		req := produceRequest("t1", 1, records, version)
		change(req, version)
		return req
	}}
}

func fetchRequest(s *side, topic string, partition int32, offset int64, version int16) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes = version, 100, 1, 1<<20
	req.ReplicaID = -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = topic, s.topicID
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, offset, 1<<20
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	if version >= 7 {
		req.SessionEpoch = -1
	}
	return req
}

func fetchCase(name string, change func(s *side, req *kmsg.FetchRequest)) differentialCase {
	return differentialCase{name: name, build: func(s *side, version int16) kmsg.Request {
		req := fetchRequest(s, "t1", 0, 0, version)
		change(s, req)
		return req
	}}
}

func metadataCase(name string, topics []string, create bool) differentialCase {
	return differentialCase{name: name, build: func(s *side, version int16) kmsg.Request {
		req := kmsg.NewPtrMetadataRequest()
		req.AllowAutoTopicCreation = create
		for _, topic := range topics {
			t := kmsg.NewMetadataRequestTopic()
			t.Topic = kmsg.StringPtr(topic)
			req.Topics = append(req.Topics, t)
		}
		return req
	}}
}

func listOffsetsCase(name string, topic string, partition int32, timestamp int64) differentialCase {
	return differentialCase{name: name, build: func(s *side, version int16) kmsg.Request {
		req := kmsg.NewPtrListOffsetsRequest()
		req.ReplicaID = -1
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp, p.MaxNumOffsets = partition, timestamp, 5
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		return req
	}}
}

func createCase(name, topic string, change func(c *kmsg.CreateTopicsRequestTopic, req *kmsg.CreateTopicsRequest)) differentialCase {
	return differentialCase{name: name, build: func(s *side, version int16) kmsg.Request {
		req := kmsg.NewPtrCreateTopicsRequest()
		req.TimeoutMillis = 10000
		c := kmsg.NewCreateTopicsRequestTopic()
		c.Topic, c.NumPartitions, c.ReplicationFactor = fmt.Sprintf(topic, version), 1, 1
		change(&c, req)
		req.Topics = append(req.Topics, c)
		return req
	}}
}

func describeConfigsCase(name string, kind kmsg.ConfigResourceType, resource string) differentialCase {
	return differentialCase{name: name, build: func(s *side, version int16) kmsg.Request {
		req := kmsg.NewPtrDescribeConfigsRequest()
		req.IncludeSynonyms, req.IncludeDocumentation = true, true
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName = kind, resource
		req.Resources = append(req.Resources, r)
		return req
	}}
}

func incrementalCase(name, topic, key string, op kmsg.IncrementalAlterConfigOp, value *string) differentialCase {
	return differentialCase{name: name, build: func(s *side, version int16) kmsg.Request {
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, topic
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Op, c.Value = key, op, value
		r.Configs = append(r.Configs, c)
		req.Resources = append(req.Resources, r)
		return req
	}}
}

// loggerCase changes a log level of broker 0.
func loggerCase(name, logger string, op kmsg.IncrementalAlterConfigOp, value *string) differentialCase {
	return differentialCase{name: name, build: func(s *side, version int16) kmsg.Request {
		req := incrementalCase("", "0", logger, op, value).build(s, version).(*kmsg.IncrementalAlterConfigsRequest)
		req.Resources[0].ResourceType = kmsg.ConfigResourceTypeBrokerLogger
		return req
	}}
}

var specialCases = map[int16][]differentialCase{
	0: {
		produceCase("good", func(*kmsg.ProduceRequest, int16) {}),
		produceCase("acks 1", func(r *kmsg.ProduceRequest, _ int16) { r.Acks = 1 }),
		produceCase("unknown topic", func(r *kmsg.ProduceRequest, _ int16) { r.Topics[0].Topic = "missing" }),
		produceCase("unknown partition", func(r *kmsg.ProduceRequest, _ int16) { r.Topics[0].Partitions[0].Partition = 9 }),
		produceCase("acks 5", func(r *kmsg.ProduceRequest, _ int16) { r.Acks = 5 }),
		produceCase("internal topic", func(r *kmsg.ProduceRequest, _ int16) { r.Topics[0].Topic = "__consumer_offsets" }),
		produceCase("wrong CRC", func(r *kmsg.ProduceRequest, _ int16) {
			records := r.Topics[0].Partitions[0].Records
			records[len(records)-1] ^= 1
		}),
		produceCase("empty records", func(r *kmsg.ProduceRequest, _ int16) { r.Topics[0].Partitions[0].Records = []byte{} }),
		produceCase("cut records", func(r *kmsg.ProduceRequest, _ int16) {
			records := r.Topics[0].Partitions[0].Records
			r.Topics[0].Partitions[0].Records = records[:len(records)-3]
		}),
		produceCase("old format in a new request", func(r *kmsg.ProduceRequest, _ int16) {
			r.Topics[0].Partitions[0].Records = messageSet(1, 1)
		}),
		produceCase("null key for a compacted topic", func(r *kmsg.ProduceRequest, version int16) {
			o := record.Defaults()
			if version < 3 {
				o.Magic = int8(min(version, 1))
			}
			b := record.NewBuilder(o)
			_ = b.Append(1700000000000, []byte("k"), []byte("v"))
			_ = b.Append(1700000000000, nil, []byte("v"))
			set, _ := b.Build()
			r.Topics[0].Topic, r.Topics[0].Partitions[0].Records = "compacted", set
		}),
		produceCase("too large", func(r *kmsg.ProduceRequest, version int16) {
			o := record.Defaults()
			if version < 3 {
				o.Magic = int8(min(version, 1))
			}
			b := record.NewBuilder(o)
			_ = b.Append(1700000000000, []byte("k"), make([]byte, 1100000))
			r.Topics[0].Partitions[0].Records, _ = b.Build()
		}),
	},
	1: {
		fetchCase("from the start", func(*side, *kmsg.FetchRequest) {}),
		fetchCase("at the end", func(_ *side, r *kmsg.FetchRequest) { r.Topics[0].Partitions[0].FetchOffset = 3 }),
		fetchCase("beyond the end", func(_ *side, r *kmsg.FetchRequest) { r.Topics[0].Partitions[0].FetchOffset = 99 }),
		fetchCase("unknown topic", func(_ *side, r *kmsg.FetchRequest) {
			r.Topics[0].Topic, r.Topics[0].TopicID = "missing", [16]byte{1}
		}),
		fetchCase("unknown partition", func(_ *side, r *kmsg.FetchRequest) { r.Topics[0].Partitions[0].Partition = 9 }),
		fetchCase("old leader epoch", func(_ *side, r *kmsg.FetchRequest) { r.Topics[0].Partitions[0].CurrentLeaderEpoch = 7 }),
		fetchCase("unknown session", func(_ *side, r *kmsg.FetchRequest) { r.SessionID, r.SessionEpoch = 12345, 2 }),
		fetchCase("read committed", func(_ *side, r *kmsg.FetchRequest) { r.IsolationLevel = 1 }),
		fetchCase("as a follower", func(_ *side, r *kmsg.FetchRequest) {
			if r.Version < 15 {
				r.ReplicaID = 7
			} else {
				r.ReplicaState.ID = 7
			}
		}),
		fetchCase("diverging epoch", func(_ *side, r *kmsg.FetchRequest) { r.Topics[0].Partitions[0].LastFetchedEpoch = 5 }),
		fetchCase("one byte", func(_ *side, r *kmsg.FetchRequest) { r.MaxBytes, r.Topics[0].Partitions[0].PartitionMaxBytes = 1, 1 }),
	},
	2: {
		listOffsetsCase("latest", "t1", 0, -1), listOffsetsCase("earliest", "t1", 0, -2),
		listOffsetsCase("max timestamp", "t1", 0, -3), listOffsetsCase("earliest local", "t1", 0, -4),
		listOffsetsCase("latest tiered", "t1", 0, -5), listOffsetsCase("unknown special", "t1", 0, -6),
		listOffsetsCase("by time", "t1", 0, 1700000000001), listOffsetsCase("in the future", "t1", 0, 1900000000000),
		listOffsetsCase("unknown topic", "missing", 0, -1), listOffsetsCase("unknown partition", "t1", 9, -1),
	},
	3: {
		metadataCase("one topic", []string{"t1"}, false), metadataCase("missing", []string{"missing"}, false),
		metadataCase("bad name", []string{"bad/name"}, true),
		{name: "created on the way", build: func(s *side, version int16) kmsg.Request {
			return metadataCase("", []string{fmt.Sprintf("auto%d", version)}, true).build(s, version)
		}, after: func(s *side, version int16) { s.awaitTopic(fmt.Sprintf("auto%d", version)) }},
		{name: "by unknown id", build: func(s *side, version int16) kmsg.Request {
			if version < 10 {
				return nil
			}
			req := kmsg.NewPtrMetadataRequest()
			t := kmsg.NewMetadataRequestTopic()
			t.TopicID = [16]byte{1, 2, 3}
			req.Topics = append(req.Topics, t)
			return req
		}},
		{name: "by id", build: func(s *side, version int16) kmsg.Request {
			if version < 12 {
				return nil
			}
			req := kmsg.NewPtrMetadataRequest()
			t := kmsg.NewMetadataRequestTopic()
			t.TopicID = s.topicID
			req.Topics = append(req.Topics, t)
			return req
		}},
	},
	4: {
		{name: "old controller", build: func(s *side, version int16) kmsg.Request {
			req := kmsg.NewPtrLeaderAndISRRequest()
			req.ControllerID, req.ControllerEpoch, req.BrokerEpoch = 0, 0, -1
			partition := kmsg.NewLeaderAndISRRequestTopicPartition()
			partition.Topic, partition.Partition, partition.Leader, partition.ISR, partition.Replicas = "t1", 0, 0, []int32{0}, []int32{0}
			t := kmsg.NewLeaderAndISRRequestTopicState()
			t.Topic, t.TopicID, t.PartitionStates = "t1", s.topicID, append(t.PartitionStates, partition)
			req.PartitionStates, req.TopicStates = append(req.PartitionStates, partition), append(req.TopicStates, t)
			return req
		}},
		{name: "old broker epoch", build: func(s *side, version int16) kmsg.Request {
			req := kmsg.NewPtrLeaderAndISRRequest()
			req.ControllerID, req.ControllerEpoch, req.BrokerEpoch = 0, 1, 1
			return req
		}},
	},
	5: {
		{name: "old controller", build: func(_ *side, version int16) kmsg.Request {
			req := kmsg.NewPtrStopReplicaRequest()
			req.ControllerEpoch, req.BrokerEpoch = 0, -1
			t := kmsg.NewStopReplicaRequestTopic()
			t.Topic, t.Partition, t.Partitions = "missing", 0, []int32{0}
			req.Topics = append(req.Topics, t)
			return req
		}},
		{name: "a partition that is not hosted", build: func(_ *side, version int16) kmsg.Request {
			req := kmsg.NewPtrStopReplicaRequest()
			req.ControllerEpoch, req.BrokerEpoch = 1, -1
			t := kmsg.NewStopReplicaRequestTopic()
			t.Topic, t.Partition, t.Partitions = "missing", 0, []int32{0}
			state := kmsg.NewStopReplicaRequestTopicPartitionState()
			state.Partition, state.LeaderEpoch = 0, 3
			t.PartitionStates = append(t.PartitionStates, state)
			req.Topics = append(req.Topics, t)
			return req
		}},
	},
	6: {
		{name: "old controller", build: func(_ *side, version int16) kmsg.Request {
			req := kmsg.NewPtrUpdateMetadataRequest()
			req.ControllerEpoch, req.BrokerEpoch = 0, -1
			return req
		}},
		{name: "old broker epoch", build: func(_ *side, version int16) kmsg.Request {
			if version < 5 {
				return nil
			}
			req := kmsg.NewPtrUpdateMetadataRequest()
			req.ControllerEpoch, req.BrokerEpoch = 1, 1
			return req
		}},
	},
	7: {
		{name: "unknown broker with an epoch", build: func(_ *side, version int16) kmsg.Request {
			req := kmsg.NewPtrControlledShutdownRequest()
			req.BrokerID, req.BrokerEpoch = 77, 5
			return req
		}},
		{name: "old broker epoch", build: func(_ *side, version int16) kmsg.Request {
			if version < 2 {
				return nil
			}
			req := kmsg.NewPtrControlledShutdownRequest()
			req.BrokerID, req.BrokerEpoch = 0, 1
			return req
		}},
	},
	43: {
		electCase("led already", "t1", 0, 0), electCase("unclean", "t1", 0, 1), electCase("missing", "missing", 0, 0),
	},
	45: {
		reassignCase("unknown broker", "t1", 0, []int32{9}), reassignCase("no replicas", "t1", 0, []int32{}),
		reassignCase("a replica twice", "t1", 0, []int32{0, 0}), reassignCase("negative", "t1", 0, []int32{-1}),
		reassignCase("nothing to cancel", "t1", 0, nil), reassignCase("missing", "missing", 0, []int32{0}),
		reassignCase("as it is", "t1", 0, []int32{0}),
	},
	46: {
		{name: "of a topic", build: func(_ *side, version int16) kmsg.Request {
			req := kmsg.NewPtrListPartitionReassignmentsRequest()
			t := kmsg.NewListPartitionReassignmentsRequestTopic()
			t.Topic, t.Partitions = "t1", []int32{0, 1}
			req.Topics = append(req.Topics, t)
			return req
		}},
	},
	56: {
		{name: "old broker epoch", build: func(_ *side, version int16) kmsg.Request {
			req := kmsg.NewPtrAlterPartitionRequest()
			req.BrokerID, req.BrokerEpoch = 0, 1
			return req
		}},
		{name: "unknown broker", build: func(_ *side, version int16) kmsg.Request {
			req := kmsg.NewPtrAlterPartitionRequest()
			req.BrokerID, req.BrokerEpoch = 77, 1
			return req
		}},
	},
	57: {
		{name: "unknown feature", build: func(_ *side, version int16) kmsg.Request {
			req := kmsg.NewPtrUpdateFeaturesRequest()
			f := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
			f.Feature, f.MaxVersionLevel, f.UpgradeType = "no.such", 1, 1
			req.FeatureUpdates = append(req.FeatureUpdates, f)
			return req
		}},
	},
	60: {
		{name: "controllers", build: func(_ *side, version int16) kmsg.Request {
			req := kmsg.NewPtrDescribeClusterRequest()
			req.EndpointType = 2
			return req
		}},
		{name: "with operations", build: func(_ *side, version int16) kmsg.Request {
			req := kmsg.NewPtrDescribeClusterRequest()
			req.IncludeClusterAuthorizedOperations = true
			return req
		}},
	},
	67: {
		{name: "old broker epoch", build: func(_ *side, version int16) kmsg.Request {
			req := kmsg.NewPtrAllocateProducerIDsRequest()
			req.BrokerID, req.BrokerEpoch = 0, 1
			return req
		}},
		{name: "unknown broker", build: func(_ *side, version int16) kmsg.Request {
			req := kmsg.NewPtrAllocateProducerIDsRequest()
			req.BrokerID, req.BrokerEpoch = 77, 1
			return req
		}},
	},
	18: {
		{name: "good", build: func(_ *side, version int16) kmsg.Request {
			req := kmsg.NewPtrApiVersionsRequest()
			req.ClientSoftwareName, req.ClientSoftwareVersion = "test", "1.0"
			return req
		}},
		{name: "empty name", build: func(_ *side, version int16) kmsg.Request { return kmsg.NewPtrApiVersionsRequest() }},
		{name: "bad name", build: func(_ *side, version int16) kmsg.Request {
			req := kmsg.NewPtrApiVersionsRequest()
			req.ClientSoftwareName, req.ClientSoftwareVersion = "a!", "1"
			return req
		}},
	},
	19: {
		createCase("good", "create%d", func(*kmsg.CreateTopicsRequestTopic, *kmsg.CreateTopicsRequest) {}),
		createCase("again", "create%d", func(*kmsg.CreateTopicsRequestTopic, *kmsg.CreateTopicsRequest) {}),
		createCase("bad name", "bad name %d", func(*kmsg.CreateTopicsRequestTopic, *kmsg.CreateTopicsRequest) {}),
		createCase("too many replicas", "rf%d", func(c *kmsg.CreateTopicsRequestTopic, _ *kmsg.CreateTopicsRequest) { c.ReplicationFactor = 9 }),
		createCase("no replicas", "rf%d", func(c *kmsg.CreateTopicsRequestTopic, _ *kmsg.CreateTopicsRequest) { c.ReplicationFactor = 0 }),
		createCase("no partitions", "p%d", func(c *kmsg.CreateTopicsRequestTopic, _ *kmsg.CreateTopicsRequest) { c.NumPartitions = 0 }),
		createCase("defaults", "d%d", func(c *kmsg.CreateTopicsRequestTopic, _ *kmsg.CreateTopicsRequest) {
			c.NumPartitions, c.ReplicationFactor = -1, -1
		}),
		createCase("validate only", "v%d", func(_ *kmsg.CreateTopicsRequestTopic, r *kmsg.CreateTopicsRequest) { r.ValidateOnly = true }),
		createCase("without time", "w%d", func(_ *kmsg.CreateTopicsRequestTopic, r *kmsg.CreateTopicsRequest) { r.TimeoutMillis = 0 }),
		createCase("collision", "t.x%d", func(c *kmsg.CreateTopicsRequestTopic, _ *kmsg.CreateTopicsRequest) {}),
		createCase("collided", "t_x%d", func(c *kmsg.CreateTopicsRequestTopic, _ *kmsg.CreateTopicsRequest) {}),
		createCase("unknown config", "uc%d", func(c *kmsg.CreateTopicsRequestTopic, _ *kmsg.CreateTopicsRequest) {
			config := kmsg.NewCreateTopicsRequestTopicConfig()
			config.Name, config.Value = "no.such", kmsg.StringPtr("1")
			c.Configs = append(c.Configs, config)
		}),
		createCase("bad config", "bc%d", func(c *kmsg.CreateTopicsRequestTopic, _ *kmsg.CreateTopicsRequest) {
			config := kmsg.NewCreateTopicsRequestTopicConfig()
			config.Name, config.Value = "segment.bytes", kmsg.StringPtr("1")
			c.Configs = append(c.Configs, config)
		}),
		createCase("null config", "nc%d", func(c *kmsg.CreateTopicsRequestTopic, _ *kmsg.CreateTopicsRequest) {
			config := kmsg.NewCreateTopicsRequestTopicConfig()
			config.Name = "segment.bytes"
			c.Configs = append(c.Configs, config)
		}),
		createCase("assignment", "as%d", func(c *kmsg.CreateTopicsRequestTopic, _ *kmsg.CreateTopicsRequest) {
			c.NumPartitions, c.ReplicationFactor = -1, -1
			a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
			a.Partition, a.Replicas = 0, []int32{0}
			c.ReplicaAssignment = append(c.ReplicaAssignment, a)
		}),
		createCase("assignment and counts", "ac%d", func(c *kmsg.CreateTopicsRequestTopic, _ *kmsg.CreateTopicsRequest) {
			a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
			a.Partition, a.Replicas = 0, []int32{0}
			c.ReplicaAssignment = append(c.ReplicaAssignment, a)
		}),
		createCase("assignment with gaps", "ag%d", func(c *kmsg.CreateTopicsRequestTopic, _ *kmsg.CreateTopicsRequest) {
			c.NumPartitions, c.ReplicationFactor = -1, -1
			a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
			a.Partition, a.Replicas = 1, []int32{0}
			c.ReplicaAssignment = append(c.ReplicaAssignment, a)
		}),
		createCase("assignment with a replica twice", "at%d", func(c *kmsg.CreateTopicsRequestTopic, _ *kmsg.CreateTopicsRequest) {
			c.NumPartitions, c.ReplicationFactor = -1, -1
			a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
			a.Partition, a.Replicas = 0, []int32{0, 0}
			c.ReplicaAssignment = append(c.ReplicaAssignment, a)
		}),
		createCase("twice in one request", "tw%d", func(c *kmsg.CreateTopicsRequestTopic, r *kmsg.CreateTopicsRequest) {
			r.Topics = append(r.Topics, *c)
		}),
	},
	20: {
		{name: "missing", build: func(_ *side, version int16) kmsg.Request {
			req := kmsg.NewPtrDeleteTopicsRequest()
			req.TimeoutMillis = 10000
			req.TopicNames = []string{"missing"}
			t := kmsg.NewDeleteTopicsRequestTopic()
			t.Topic = kmsg.StringPtr("missing")
			req.Topics = append(req.Topics, t)
			return req
		}},
		{name: "by unknown id", build: func(_ *side, version int16) kmsg.Request {
			if version < 6 {
				return nil
			}
			req := kmsg.NewPtrDeleteTopicsRequest()
			req.TimeoutMillis = 10000
			t := kmsg.NewDeleteTopicsRequestTopic()
			t.TopicID = [16]byte{1, 2}
			req.Topics = append(req.Topics, t)
			return req
		}},
		{name: "good", build: func(s *side, version int16) kmsg.Request {
			name := fmt.Sprintf("delete%d", version)
			c := createCase("", "delete%d", func(*kmsg.CreateTopicsRequestTopic, *kmsg.CreateTopicsRequest) {}).build(s, version)
			c.SetVersion(5)
			s.ask(c)
			req := kmsg.NewPtrDeleteTopicsRequest()
			req.TimeoutMillis = 10000
			req.TopicNames = []string{name}
			t := kmsg.NewDeleteTopicsRequestTopic()
			t.Topic = kmsg.StringPtr(name)
			req.Topics = append(req.Topics, t)
			return req
		}},
	},
	21: {
		deleteRecordsCase("good", "t1", 1, 0), deleteRecordsCase("beyond the end", "t1", 1, 999999),
		deleteRecordsCase("negative", "t1", 1, -2), deleteRecordsCase("unknown topic", "missing", 0, 0),
		deleteRecordsCase("compacted topic", "compacted", 0, 0),
	},
	22: {
		{name: "idempotent", build: func(_ *side, version int16) kmsg.Request {
			req := kmsg.NewPtrInitProducerIDRequest()
			req.TransactionTimeoutMillis = 60000
			return req
		}},
		{name: "empty transactional id", build: func(_ *side, version int16) kmsg.Request {
			req := kmsg.NewPtrInitProducerIDRequest()
			req.TransactionalID = kmsg.StringPtr("")
			req.TransactionTimeoutMillis = 60000
			return req
		}},
	},
	23: {
		epochCase("latest", "t1", 0, -1, 0), epochCase("newer", "t1", 0, -1, 5), epochCase("fenced", "t1", 0, 7, 0),
		epochCase("unknown topic", "missing", 0, -1, 0), epochCase("undefined", "t1", 0, -1, -1),
	},
	32: {
		describeConfigsCase("topic", kmsg.ConfigResourceTypeTopic, "t1"),
		describeConfigsCase("topic with a config", kmsg.ConfigResourceTypeTopic, "compacted"),
		describeConfigsCase("missing topic", kmsg.ConfigResourceTypeTopic, "missing"),
		describeConfigsCase("bad name", kmsg.ConfigResourceTypeTopic, "bad/name"),
		describeConfigsCase("another broker", kmsg.ConfigResourceTypeBroker, "9"),
		describeConfigsCase("cluster default", kmsg.ConfigResourceTypeBroker, ""),
		describeConfigsCase("no broker id", kmsg.ConfigResourceTypeBroker, "x"),
		describeConfigsCase("unknown type", 99, "t1"),
	},
	34: {
		moveCase("into the directory where it is", "t1", 0, func(s *side) string { return s.dir }),
		moveCase("to nowhere", "t1", 0, func(*side) string { return "/no/such/dir" }),
		moveCase("by a relative path", "t1", 0, func(*side) string { return "logs" }),
		moveCase("of an unknown topic", "missing", 0, func(s *side) string { return s.dir }),
		moveCase("of an unknown partition", "t1", 7, func(s *side) string { return s.dir }),
		moveCase("of a topic with a bad name", "bad/name", 0, func(s *side) string { return s.dir }),
		moveCase("of a topic with too long a name", strings.Repeat("x", 240), 0, func(s *side) string { return s.dir }),
	},
	35: {
		{name: "all", build: func(_ *side, version int16) kmsg.Request { return kmsg.NewPtrDescribeLogDirsRequest() }},
		{name: "one", build: func(_ *side, version int16) kmsg.Request {
			req := kmsg.NewPtrDescribeLogDirsRequest()
			t := kmsg.NewDescribeLogDirsRequestTopic()
			t.Topic, t.Partitions = "t1", []int32{0}
			req.Topics = append(req.Topics, t)
			return req
		}},
	},
	37: {
		partitionsCase("missing", "missing", 3), partitionsCase("fewer", "t1", 1), partitionsCase("as many", "t1", 2),
		{name: "good", build: func(s *side, version int16) kmsg.Request {
			c := createCase("", "grow%d", func(*kmsg.CreateTopicsRequestTopic, *kmsg.CreateTopicsRequest) {}).build(s, version)
			c.SetVersion(5)
			s.ask(c)
			return partitionsCase("", fmt.Sprintf("grow%d", version), 3).build(s, version)
		}},
	},
	44: {
		incrementalCase("set", "t1", "retention.ms", 0, kmsg.StringPtr("86400000")),
		incrementalCase("bad value", "t1", "retention.ms", 0, kmsg.StringPtr("x")),
		incrementalCase("out of range", "t1", "segment.bytes", 0, kmsg.StringPtr("1")),
		incrementalCase("unknown key", "t1", "no.such", 0, kmsg.StringPtr("1")),
		incrementalCase("null value", "t1", "retention.ms", 0, nil),
		incrementalCase("append to a list", "t1", "cleanup.policy", 2, kmsg.StringPtr("compact")),
		incrementalCase("append to a key that is not a list", "t1", "retention.ms", 2, kmsg.StringPtr("1")),
		incrementalCase("subtract", "t1", "cleanup.policy", 3, kmsg.StringPtr("compact")),
		incrementalCase("delete", "t1", "retention.ms", 1, nil),
		incrementalCase("missing topic", "missing", "retention.ms", 0, kmsg.StringPtr("1")),
		loggerCase("level", "kafka.server.KafkaServer", 0, kmsg.StringPtr("WARN")),
		loggerCase("unknown level", "kafka.server.KafkaServer", 0, kmsg.StringPtr("LOUD")),
		loggerCase("level removed", "kafka.server.KafkaServer", 1, nil),
		loggerCase("level of an unknown logger", "no.such.logger", 0, kmsg.StringPtr("WARN")),
		loggerCase("level of an unknown logger removed", "no.such.logger", 1, nil),
		loggerCase("root's level", "root", 0, kmsg.StringPtr("INFO")),
		loggerCase("root's level removed", "root", 1, nil),
		loggerCase("level appended to", "kafka.server.KafkaServer", 2, kmsg.StringPtr("WARN")),
	},
	61: {
		describeProducersCase("good", "t1", 0), describeProducersCase("missing", "missing", 0),
	},
}

func deleteRecordsCase(name, topic string, partition int32, offset int64) differentialCase {
	return differentialCase{name: name, build: func(_ *side, version int16) kmsg.Request {
		req := kmsg.NewPtrDeleteRecordsRequest()
		req.TimeoutMillis = 5000
		t := kmsg.NewDeleteRecordsRequestTopic()
		t.Topic = topic
		p := kmsg.NewDeleteRecordsRequestTopicPartition()
		p.Partition, p.Offset = partition, offset
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		return req
	}}
}

func epochCase(name, topic string, partition, current, epoch int32) differentialCase {
	return differentialCase{name: name, build: func(_ *side, version int16) kmsg.Request {
		req := kmsg.NewPtrOffsetForLeaderEpochRequest()
		req.ReplicaID = -2
		t := kmsg.NewOffsetForLeaderEpochRequestTopic()
		t.Topic = topic
		p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		p.Partition, p.CurrentLeaderEpoch, p.LeaderEpoch = partition, current, epoch
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		return req
	}}
}

func moveCase(name, topic string, partition int32, dir func(*side) string) differentialCase {
	return differentialCase{name: name, build: func(s *side, _ int16) kmsg.Request {
		req := kmsg.NewPtrAlterReplicaLogDirsRequest()
		req.Dirs = append(req.Dirs, moveOf(topic, partition, dir(s)))
		return req
	}}
}

// moveOf returns one partition of an AlterReplicaLogDirs request.
func moveOf(topic string, partition int32, dir string) kmsg.AlterReplicaLogDirsRequestDir {
	d := kmsg.NewAlterReplicaLogDirsRequestDir()
	t := kmsg.NewAlterReplicaLogDirsRequestDirTopic()
	d.Dir, t.Topic, t.Partitions = dir, topic, []int32{partition}
	d.Topics = append(d.Topics, t)
	return d
}

func partitionsCase(name, topic string, count int32) differentialCase {
	return differentialCase{name: name, build: func(_ *side, version int16) kmsg.Request {
		req := kmsg.NewPtrCreatePartitionsRequest()
		req.TimeoutMillis = 10000
		t := kmsg.NewCreatePartitionsRequestTopic()
		t.Topic, t.Count = topic, count
		req.Topics = append(req.Topics, t)
		return req
	}}
}

func describeProducersCase(name, topic string, partition int32) differentialCase {
	return differentialCase{name: name, build: func(_ *side, version int16) kmsg.Request {
		req := kmsg.NewPtrDescribeProducersRequest()
		t := kmsg.NewDescribeProducersRequestTopic()
		t.Topic, t.Partitions = topic, []int32{partition}
		req.Topics = append(req.Topics, t)
		return req
	}}
}

func electCase(name, topic string, partition int32, kind int8) differentialCase {
	return differentialCase{name: name, build: func(_ *side, version int16) kmsg.Request {
		req := kmsg.NewPtrElectLeadersRequest()
		req.ElectionType, req.TimeoutMillis = kind, 5000
		t := kmsg.NewElectLeadersRequestTopic()
		t.Topic, t.Partitions = topic, []int32{partition}
		req.Topics = append(req.Topics, t)
		return req
	}}
}

func reassignCase(name, topic string, partition int32, replicas []int32) differentialCase {
	return differentialCase{name: name, build: func(_ *side, version int16) kmsg.Request {
		req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
		req.TimeoutMillis = 5000
		t := kmsg.NewAlterPartitionAssignmentsRequestTopic()
		t.Topic = topic
		p := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
		p.Partition, p.Replicas = partition, replicas
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		return req
	}}
}
