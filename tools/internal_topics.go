package tools

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetCommitData formats the value of a committed offset like Kafka's JSON converter.
func offsetCommitData(raw []byte) (version int16, data string, err error) {
	v := kmsg.NewOffsetCommitValue()
	if err := v.ReadFrom(raw); err != nil {
		return 0, "", err
	}
	fields := []string{"offset", fmt.Sprint(v.Offset)}
	if v.Version >= 3 {
		fields = append(fields, "leaderEpoch", fmt.Sprint(v.LeaderEpoch))
	}
	fields = append(fields, "metadata", quoted(v.Metadata), "commitTimestamp", fmt.Sprint(v.CommitTimestamp))
	if v.Version == 1 {
		fields = append(fields, "expireTimestamp", fmt.Sprint(v.ExpireTimestamp))
	}
	return v.Version, object(fields...), nil
}

// groupMetadataData formats the value of a group like Kafka's JSON converter. If consumers is set,
// subscriptions and assignments are decoded instead of printed as bytes.
func groupMetadataData(raw []byte, consumers bool) (version int16, data string, err error) {
	v := kmsg.NewGroupMetadataValue()
	if err := v.ReadFrom(raw); err != nil {
		return 0, "", err
	}
	fields := []string{"protocolType", quoted(v.ProtocolType), "generation", fmt.Sprint(v.Generation),
		"protocol", quotedOrNull(v.Protocol), "leader", quotedOrNull(v.Leader)}
	if v.Version >= 2 {
		fields = append(fields, "currentStateTimestamp", fmt.Sprint(v.CurrentStateTimestamp))
	}
	consumers = consumers && v.ProtocolType == "consumer"
	fields = append(fields, "members", list(v.Members, func(m kmsg.GroupMetadataValueMember) string { return memberJSON(v.Version, consumers, m) }))
	return v.Version, object(fields...), nil
}

func memberJSON(version int16, consumer bool, m kmsg.GroupMetadataValueMember) string {
	fields := []string{"memberId", quoted(m.MemberID)}
	if version >= 3 {
		fields = append(fields, "groupInstanceId", quotedOrNull(m.InstanceID))
	}
	fields = append(fields, "clientId", quoted(m.ClientID), "clientHost", quoted(m.ClientHost))
	if version >= 1 {
		fields = append(fields, "rebalanceTimeout", fmt.Sprint(m.RebalanceTimeoutMillis))
	}
	subscription, assignment := bytesOrNull(m.Subscription), bytesOrNull(m.Assignment)
	if consumer {
		subscription, assignment = subscriptionJSON(m.Subscription), assignmentJSON(m.Assignment)
	}
	fields = append(fields, "sessionTimeout", fmt.Sprint(m.SessionTimeoutMillis), "subscription", subscription, "assignment", assignment)
	return object(fields...)
}

func subscriptionJSON(raw []byte) string {
	v := kmsg.NewConsumerMemberMetadata()
	if err := v.ReadFrom(raw); err != nil {
		return bytesOrNull(raw)
	}
	fields := []string{"topics", list(v.Topics, quoted), "userData", bytesOrNull(v.UserData)}
	if v.Version >= 1 {
		fields = append(fields, "ownedPartitions", list(v.OwnedPartitions, func(p kmsg.ConsumerMemberMetadataOwnedPartition) string {
			return object("topic", quoted(p.Topic), "partitions", list(p.Partitions, number32))
		}))
	}
	if v.Version >= 2 {
		fields = append(fields, "generationId", fmt.Sprint(v.Generation))
	}
	if v.Version >= 3 {
		fields = append(fields, "rackId", quotedOrNull(v.Rack))
	}
	return object(fields...)
}

func assignmentJSON(raw []byte) string {
	v := kmsg.NewConsumerMemberAssignment()
	if err := v.ReadFrom(raw); err != nil {
		return bytesOrNull(raw)
	}
	return object("assignedPartitions", list(v.Topics, func(t kmsg.ConsumerMemberAssignmentTopic) string {
		return object("topic", quoted(t.Topic), "partitions", list(t.Partitions, number32))
	}), "userData", bytesOrNull(v.UserData))
}

// transactionStates are the names of the states of a transaction, by number.
var transactionStates = []string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence"}
