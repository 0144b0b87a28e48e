package controller

import (
	"fmt"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

// The functions below format data for log lines and messages as Kafka does.

// liveText returns the ids of live brokers like Kafka's set of them, which is made from the keys of
// a mutable map. ids is in ascending order.
func liveText(ids []metadata.BrokerID) string {
	return javatext.ImmutableSet(javatext.MutableOrder(ids, javatext.IntHash), javatext.IntHash)
}

func recoveryText(recovering bool) string {
	if recovering {
		return "RECOVERING"
	}
	return "RECOVERED"
}

// stateText returns a partition's state as in Kafka's "Changed partition ... with state".
func stateText(s zkstore.PartitionState) string {
	members := make([]string, len(s.ISR))
	for i, id := range s.ISR {
		members[i] = fmt.Sprintf("BrokerState(brokerId=%d, brokerEpoch=-1)", id)
	}
	return fmt.Sprintf("LeaderAndIsr(leader=%d, leaderEpoch=%d, isrWithBrokerEpoch=%s, leaderRecoveryState=%s, partitionEpoch=%d)",
		s.Leader, s.LeaderEpoch, javatext.Collection("List", members), recoveryText(s.Recovering), s.Version)
}

// leadershipText returns a partition's state with the epoch of the controller that wrote it.
func leadershipText(s zkstore.PartitionState) string {
	return fmt.Sprintf("(Leader:%d,ISR:%s,LeaderRecoveryState:%s,LeaderEpoch:%d,ZkVersion:%d,ControllerEpoch:%d)",
		s.Leader, javatext.Join(s.ISR, ","), recoveryText(s.Recovering), s.LeaderEpoch, s.Version, s.ControllerEpoch)
}

func assignmentText(a zkstore.Assignment) string {
	return fmt.Sprintf("ReplicaAssignment(replicas=%s, addingReplicas=%s, removingReplicas=%s)",
		javatext.Join(a.Replicas, ","), javatext.Join(a.Adding, ","), javatext.Join(a.Removing, ","))
}

// epochsText returns the brokers and their epochs in the notation of a Scala map.
func epochsText(c *controllerContext) string {
	var texts []string
	for _, id := range javatext.MutableOrder(c.registeredIDs(), javatext.IntHash) {
		texts = append(texts, fmt.Sprintf("%d -> %d", id, c.brokers[id].Epoch))
	}
	return javatext.Collection("HashMap", texts)
}
