package metadata

// Topics in which coordinators keep their state.
const (
	GroupOffsetsTopic     = "__consumer_offsets"
	TransactionStateTopic = "__transaction_state"
	shareGroupStateTopic  = "__share_group_state"
)

// IsInternal reports whether the topic belongs to a coordinator. Clients may not write to such a
// topic. The names are those of Kafka's class Topic; no coordinator of a cluster with ZooKeeper
// uses __share_group_state, but its name is reserved there, too.
func IsInternal(topic string) bool {
	return topic == GroupOffsetsTopic || topic == TransactionStateTopic || topic == shareGroupStateTopic
}
