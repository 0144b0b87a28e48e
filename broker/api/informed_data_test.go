package api_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

// A restarted broker knows nothing about its partitions until the controller announces them. Until
// then clients and followers must look for the leader again, and must not conclude that the topic
// is deleted.
func TestTheDataPlaneBeforeTheFirstControllerAnswersNotLeader(t *testing.T) {
	const topic = "other"
	offsets := kmsg.NewPtrListOffsetsRequest()
	offsets.Version, offsets.ReplicaID = 7, -1
	offsets.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{kmsg.NewListOffsetsRequestTopicPartition()}}}
	epochs := kmsg.NewPtrOffsetForLeaderEpochRequest()
	epochs.Version = 4
	epochs.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: topic, Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{kmsg.NewOffsetForLeaderEpochRequestTopicPartition()}}}
	remove := kmsg.NewPtrDeleteRecordsRequest()
	remove.Version = 2
	remove.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{kmsg.NewDeleteRecordsRequestTopicPartition()}}}
	producers := kmsg.NewPtrDescribeProducersRequest()
	producers.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: topic, Partitions: []int32{0}}}
	byName, byID := fetchRequest(12, 0), fetchRequest(13, 0)
	byName.Topics[0].Topic, byID.Topics[0].TopicID = topic, metadata.TopicID{0x0e, 1}
	fetched := func(r kmsg.Response) int16 { return r.(*kmsg.FetchResponse).Topics[0].Partitions[0].ErrorCode }

	b := newDataBroker(t, 1, vfs.NewMem(), nil)
	tests := []struct {
		name    string
		req     kmsg.Request
		codeOf  func(kmsg.Response) int16
		missing protocol.ErrorCode // once the broker knows that the topic does not exist
	}{
		{"Produce", produceRequest(9, 1, topic, 0, recordSet(t, 2, "a")),
			func(r kmsg.Response) int16 { return r.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode }, protocol.UnknownTopicOrPartition},
		{"Fetch by name", byName, fetched, protocol.UnknownTopicOrPartition},
		{"Fetch by id", byID, fetched, protocol.UnknownTopicID},
		{"ListOffsets", offsets,
			func(r kmsg.Response) int16 { return r.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0].ErrorCode }, protocol.UnknownTopicOrPartition},
		{"OffsetForLeaderEpoch", epochs,
			func(r kmsg.Response) int16 {
				return r.(*kmsg.OffsetForLeaderEpochResponse).Topics[0].Partitions[0].ErrorCode
			}, protocol.UnknownTopicOrPartition},
		{"DeleteRecords", remove,
			func(r kmsg.Response) int16 {
				return r.(*kmsg.DeleteRecordsResponse).Topics[0].Partitions[0].ErrorCode
			}, protocol.UnknownTopicOrPartition},
		{"DescribeProducers", producers,
			func(r kmsg.Response) int16 {
				return r.(*kmsg.DescribeProducersResponse).Topics[0].Partitions[0].ErrorCode
			}, protocol.UnknownTopicOrPartition},
	}
	for _, test := range tests {
		if code := protocol.ErrorCode(test.codeOf(ask[kmsg.Response](b, test.req))); code != protocol.NotLeaderOrFollower {
			t.Errorf("%s before the first announcement of the controller: %s", test.name, code.Name())
		}
	}
	b.announce(map[int32]int{1: 9092})
	for _, test := range tests {
		if code := protocol.ErrorCode(test.codeOf(ask[kmsg.Response](b, test.req))); code != test.missing {
			t.Errorf("%s after the controller has announced another topic: %s, want %s", test.name, code.Name(), test.missing.Name())
		}
	}
}

// A new controller sends LeaderAndIsr before the partitions' metadata.
func TestALeaderServesBeforeItsPartitionIsInTheMetadata(t *testing.T) {
	b := newDataBroker(t, 1, vfs.NewMem(), nil)
	b.role(1, 0, []int32{1}, 1)
	produced := ask[*kmsg.ProduceResponse](b, produceRequest(9, 1, dataTopic, 0, recordSet(t, 2, "a")))
	if code := produced.Topics[0].Partitions[0].ErrorCode; code != 0 {
		t.Errorf("Produce: %s", protocol.ErrorCode(code).Name())
	}
	fetched := ask[*kmsg.FetchResponse](b, fetchRequest(12, 0))
	if p := fetched.Topics[0].Partitions[0]; p.ErrorCode != 0 || p.HighWatermark != 1 {
		t.Errorf("Fetch: %+v", p)
	}
}
