package decode

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/tools/cli"
)

func TestDeserializersPrintLikeTheJavaClasses(t *testing.T) {
	long := binary.BigEndian.AppendUint64(nil, math.MaxUint64)
	for _, test := range []struct {
		class string
		raw   []byte
		want  string
	}{
		{"StringDeserializer", []byte("text"), "text"},
		{"UUIDDeserializer", []byte("0123ABCD-0-1-fffff-e"), "0123abcd-0000-0001-ffff-00000000000e"},
		{"ShortDeserializer", []byte{0xff, 0xfe}, "-2"},
		{"IntegerDeserializer", []byte{0, 0, 1, 0}, "256"},
		{"LongDeserializer", long, "-1"},
		{"FloatDeserializer", binary.BigEndian.AppendUint32(nil, math.Float32bits(1.5)), "1.5"},
		{"DoubleDeserializer", binary.BigEndian.AppendUint64(nil, math.Float64bits(1e-5)), "1.0E-5"},
		{"BooleanDeserializer", []byte{1}, "true"},
		{"BooleanDeserializer", []byte{0}, "false"},
		{"BytesDeserializer", []byte("a\\\x00\xff~"), `a\x5C\x00\xFF~`},
	} {
		have, err := Deserializers[test.class](test.raw)
		if err != nil || string(have) != test.want {
			t.Errorf("%s of %q: %q, %v, want %q", test.class, test.raw, have, err, test.want)
		}
	}
}

func TestDeserializersRefuseOtherSizes(t *testing.T) {
	for class, size := range map[string]string{"ShortDeserializer": "2", "IntegerDeserializer": "4", "LongDeserializer": "8", "FloatDeserializer": "4", "DoubleDeserializer": "8", "BooleanDeserializer": "1"} {
		for _, raw := range [][]byte{{}, make([]byte, 9), make([]byte, 3)} {
			_, err := Deserializers[class](raw)
			want := "Size of data received by " + class + " is not " + size
			if class == "FloatDeserializer" || class == "DoubleDeserializer" {
				want = "Size of data received by Deserializer is not " + size
			}
			if err == nil || err.Error() != want || cli.JavaClass(err) != "org.apache.kafka.common.errors.SerializationException" {
				t.Errorf("%s of %d bytes: %v", class, len(raw), err)
			}
		}
	}
}

func TestTextsThatAreNoUUIDsAreRefused(t *testing.T) {
	for _, text := range []string{"", "0-1", "0-1-2-3-x", "0-1-2-3-4-5", "00000000-0000-0000-0000-0000000000000"} {
		_, err := Deserializers["UUIDDeserializer"]([]byte(text))
		if err == nil || err.Error() != "Error parsing data into UUID" || cli.JavaClass(err) != "org.apache.kafka.common.errors.SerializationException" {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// The expected output is that of Kafka's JSON converters.
func TestCommittedOffsetsArePrintedByVersion(t *testing.T) {
	for version, want := range map[int16]string{
		0: `{"offset":7,"metadata":"m","commitTimestamp":1000}`,
		1: `{"offset":7,"metadata":"m","commitTimestamp":1000,"expireTimestamp":2000}`,
		2: `{"offset":7,"metadata":"m","commitTimestamp":1000}`,
		3: `{"offset":7,"leaderEpoch":4,"metadata":"m","commitTimestamp":1000}`,
	} {
		v := kmsg.NewOffsetCommitValue()
		v.Version, v.Offset, v.LeaderEpoch, v.Metadata, v.CommitTimestamp, v.ExpireTimestamp = version, 7, 4, "m", 1000, 2000
		have, text, err := OffsetCommit(v.AppendTo(nil))
		if err != nil || have != version || text != want {
			t.Errorf("version %d: %d %s, %v, want %s", version, have, text, err, want)
		}
	}
	if _, _, err := OffsetCommit([]byte{0, 1, 0}); err == nil {
		t.Error("a truncated value is accepted")
	}
}

func groupValue(version int16) []byte {
	subscription := kmsg.NewConsumerMemberMetadata()
	subscription.Version, subscription.Topics, subscription.UserData, subscription.Rack = 3, []string{"t"}, []byte{1}, kmsg.StringPtr("r")
	owned := kmsg.NewConsumerMemberMetadataOwnedPartition()
	owned.Topic, owned.Partitions = "t", []int32{0, 1}
	subscription.OwnedPartitions, subscription.Generation = append(subscription.OwnedPartitions, owned), 3
	assignment := kmsg.NewConsumerMemberAssignment()
	topic := kmsg.NewConsumerMemberAssignmentTopic()
	topic.Topic, topic.Partitions = "t", []int32{1}
	assignment.Topics = append(assignment.Topics, topic)
	v := kmsg.NewGroupMetadataValue()
	v.Version, v.ProtocolType, v.Generation, v.Protocol, v.Leader, v.CurrentStateTimestamp = version, "consumer", 3, kmsg.StringPtr("range"), kmsg.StringPtr("m1"), 1000
	m := kmsg.NewGroupMetadataValueMember()
	m.MemberID, m.InstanceID, m.ClientID, m.ClientHost = "m1", kmsg.StringPtr("i"), "c", "/h"
	m.RebalanceTimeoutMillis, m.SessionTimeoutMillis, m.Subscription, m.Assignment = 300, 10, subscription.AppendTo(nil), assignment.AppendTo(nil)
	v.Members = append(v.Members, m)
	return v.AppendTo(nil)
}

func TestGroupsArePrintedByVersion(t *testing.T) {
	const subscription = `{"topics":["t"],"userData":"AQ==","ownedPartitions":[{"topic":"t","partitions":[0,1]}],"generationId":3,"rackId":"r"}`
	const assignment = `{"assignedPartitions":[{"topic":"t","partitions":[1]}],"userData":null}`
	for version, want := range map[int16]string{
		0: `{"protocolType":"consumer","generation":3,"protocol":"range","leader":"m1","members":[{"memberId":"m1","clientId":"c","clientHost":"/h","sessionTimeout":10,"subscription":` + subscription + `,"assignment":` + assignment + `}]}`,
		1: `{"protocolType":"consumer","generation":3,"protocol":"range","leader":"m1","members":[{"memberId":"m1","clientId":"c","clientHost":"/h","rebalanceTimeout":300,"sessionTimeout":10,"subscription":` + subscription + `,"assignment":` + assignment + `}]}`,
		2: `{"protocolType":"consumer","generation":3,"protocol":"range","leader":"m1","currentStateTimestamp":1000,"members":[{"memberId":"m1","clientId":"c","clientHost":"/h","rebalanceTimeout":300,"sessionTimeout":10,"subscription":` + subscription + `,"assignment":` + assignment + `}]}`,
		3: `{"protocolType":"consumer","generation":3,"protocol":"range","leader":"m1","currentStateTimestamp":1000,"members":[{"memberId":"m1","groupInstanceId":"i","clientId":"c","clientHost":"/h","rebalanceTimeout":300,"sessionTimeout":10,"subscription":` + subscription + `,"assignment":` + assignment + `}]}`,
	} {
		have, text, err := GroupMetadata(groupValue(version), true)
		if err != nil || have != version || text != want {
			t.Errorf("version %d: %v\n%s\nwant\n%s", version, err, text, want)
		}
	}
}

// Without decoding, and for groups of other protocols, the bytes are printed.
func TestSubscriptionsMayBePrintedAsBytes(t *testing.T) {
	_, text, err := GroupMetadata(groupValue(3), false)
	if err != nil || strings.Contains(text, "assignedPartitions") || !strings.Contains(text, `"subscription":"AAMAAAAB`) {
		t.Errorf("%s, %v", text, err)
	}
	v := kmsg.NewGroupMetadataValue()
	v.ProtocolType = "connect"
	m := kmsg.NewGroupMetadataValueMember()
	m.Subscription, m.Assignment = []byte{1}, []byte{2}
	v.Members = append(v.Members, m)
	_, text, err = GroupMetadata(v.AppendTo(nil), true)
	if err != nil || !strings.Contains(text, `"subscription":"AQ==","assignment":"Ag=="`) || !strings.Contains(text, `"protocol":null,"leader":null`) {
		t.Errorf("%s, %v", text, err)
	}
	v.ProtocolType = "consumer" // with bytes that are not a subscription
	_, text, err = GroupMetadata(v.AppendTo(nil), true)
	if err != nil || !strings.Contains(text, `"subscription":"AQ==","assignment":"Ag=="`) {
		t.Errorf("%s, %v", text, err)
	}
	if _, _, err := GroupMetadata([]byte{0, 3, 0}, true); err == nil {
		t.Error("a truncated value is accepted")
	}
}
