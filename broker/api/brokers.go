package api

import (
	"maps"
	"slices"

	"github.com/monedula/monedula/admin"
	"github.com/monedula/monedula/metadata"
)

// Parts of responses that list the cluster's brokers.

// brokerNode is a broker and its address on one listener.
type brokerNode struct {
	id   metadata.BrokerID
	host string
	port int32
	rack *string
}

// reachableBrokers returns the live brokers that have the listener, in the order of their ids.
func reachableBrokers(s *metadata.Snapshot, listener string) []brokerNode {
	var list []brokerNode
	for _, id := range slices.Sorted(maps.Keys(s.Brokers)) {
		b := s.Brokers[id]
		if e, ok := b.Endpoints[listener]; ok {
			list = append(list, brokerNode{id, e.Host, e.Port, b.Rack})
		}
	}
	return list
}

// noNode returns what Kafka answers if no coordinator is available.
func noNode() brokerNode { return brokerNode{id: metadata.NoBroker, port: -1} }

// reachable returns the broker's address on the listener, if the broker is alive and has one.
func reachable(s *metadata.Snapshot, id metadata.BrokerID, listener string) (brokerNode, bool) {
	b := s.Brokers[id]
	if b == nil {
		return noNode(), false
	}
	e, has := b.Endpoints[listener]
	if !has {
		return noNode(), false
	}
	return brokerNode{id, e.Host, e.Port, b.Rack}, true
}

// aliveBrokers returns the brokers on which replicas may be placed, in the order of their ids.
func aliveBrokers(s *metadata.Snapshot) []admin.Broker {
	brokers := make([]admin.Broker, 0, len(s.Brokers))
	for _, id := range sortedKeys(s.Brokers) {
		brokers = append(brokers, admin.Broker{ID: id, Rack: s.Brokers[id].Rack})
	}
	return brokers
}
