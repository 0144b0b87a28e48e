package decode

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/tools/cli"
)

// OffsetCommit formats the value of a committed offset like Kafka's JSON converter.
func OffsetCommit(raw []byte) (version int16, data string, err error) {
	v := kmsg.NewOffsetCommitValue()
	if err := v.ReadFrom(raw); err != nil {
		return 0, "", err
	}
	fields := []string{"offset", fmt.Sprint(v.Offset)}
	if v.Version >= 3 {
		fields = append(fields, "leaderEpoch", fmt.Sprint(v.LeaderEpoch))
	}
	fields = append(fields, "metadata", cli.JSONString(v.Metadata), "commitTimestamp", fmt.Sprint(v.CommitTimestamp))
	if v.Version == 1 {
		fields = append(fields, "expireTimestamp", fmt.Sprint(v.ExpireTimestamp))
	}
	return v.Version, cli.JSONObject(fields...), nil
}

// GroupMetadata formats the value of a group like Kafka's JSON converter. If consumers is set,
// subscriptions and assignments are decoded instead of printed as bytes.
func GroupMetadata(raw []byte, consumers bool) (version int16, data string, err error) {
	v := kmsg.NewGroupMetadataValue()
	if err := v.ReadFrom(raw); err != nil {
		return 0, "", err
	}
	fields := []string{"protocolType", cli.JSONString(v.ProtocolType), "generation", fmt.Sprint(v.Generation),
		"protocol", cli.JSONStringOrNull(v.Protocol), "leader", cli.JSONStringOrNull(v.Leader)}
	if v.Version >= 2 {
		fields = append(fields, "currentStateTimestamp", fmt.Sprint(v.CurrentStateTimestamp))
	}
	consumers = consumers && v.ProtocolType == "consumer"
	fields = append(fields, "members", cli.JSONList(v.Members, func(m kmsg.GroupMetadataValueMember) string { return memberJSON(v.Version, consumers, m) }))
	return v.Version, cli.JSONObject(fields...), nil
}

func memberJSON(version int16, consumer bool, m kmsg.GroupMetadataValueMember) string {
	fields := []string{"memberId", cli.JSONString(m.MemberID)}
	if version >= 3 {
		fields = append(fields, "groupInstanceId", cli.JSONStringOrNull(m.InstanceID))
	}
	fields = append(fields, "clientId", cli.JSONString(m.ClientID), "clientHost", cli.JSONString(m.ClientHost))
	if version >= 1 {
		fields = append(fields, "rebalanceTimeout", fmt.Sprint(m.RebalanceTimeoutMillis))
	}
	subscription, assignment := cli.JSONBytesOrNull(m.Subscription), cli.JSONBytesOrNull(m.Assignment)
	if consumer {
		subscription, assignment = subscriptionJSON(m.Subscription), assignmentJSON(m.Assignment)
	}
	fields = append(fields, "sessionTimeout", fmt.Sprint(m.SessionTimeoutMillis), "subscription", subscription, "assignment", assignment)
	return cli.JSONObject(fields...)
}

func subscriptionJSON(raw []byte) string {
	v := kmsg.NewConsumerMemberMetadata()
	if err := v.ReadFrom(raw); err != nil {
		return cli.JSONBytesOrNull(raw)
	}
	fields := []string{"topics", cli.JSONList(v.Topics, cli.JSONString), "userData", cli.JSONBytesOrNull(v.UserData)}
	if v.Version >= 1 {
		fields = append(fields, "ownedPartitions", cli.JSONList(v.OwnedPartitions, func(p kmsg.ConsumerMemberMetadataOwnedPartition) string {
			return cli.JSONObject("topic", cli.JSONString(p.Topic), "partitions", cli.JSONList(p.Partitions, cli.JSONNumber))
		}))
	}
	if v.Version >= 2 {
		fields = append(fields, "generationId", fmt.Sprint(v.Generation))
	}
	if v.Version >= 3 {
		fields = append(fields, "rackId", cli.JSONStringOrNull(v.Rack))
	}
	return cli.JSONObject(fields...)
}

func assignmentJSON(raw []byte) string {
	v := kmsg.NewConsumerMemberAssignment()
	if err := v.ReadFrom(raw); err != nil {
		return cli.JSONBytesOrNull(raw)
	}
	return cli.JSONObject("assignedPartitions", cli.JSONList(v.Topics, func(t kmsg.ConsumerMemberAssignmentTopic) string {
		return cli.JSONObject("topic", cli.JSONString(t.Topic), "partitions", cli.JSONList(t.Partitions, cli.JSONNumber))
	}), "userData", cli.JSONBytesOrNull(v.UserData))
}

// TransactionStates are the names of the states of a transaction, by number.
var TransactionStates = []string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence"}
