package admin

import (
	"errors"
	"slices"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

// Broker is a broker that replicas may be placed on.
type Broker struct {
	ID   metadata.BrokerID
	Rack *string
}

// Placement is the start of an assignment. For a new topic Start and Shift are random. When
// partitions are added, both are the index of the broker of partition 0's first replica, so that
// they continue the pattern.
type Placement struct {
	FirstPartition int
	Start, Shift   int
}

// AssignReplicas distributes partitions over brokers with Kafka's algorithm. The first replica of
// each partition is the preferred leader. First replicas are assigned round-robin; the other
// replicas follow at a distance that grows by one with each round. If the brokers have racks,
// replicas go to different racks first.
func AssignReplicas(brokers []Broker, partitions, replicas int, at Placement) ([][]metadata.BrokerID, error) {
	if err := CheckCounts(len(brokers), partitions, replicas); err != nil {
		return nil, err
	}
	racks, err := racksOf(brokers)
	if err != nil {
		return nil, err
	}
	order := make([]metadata.BrokerID, len(brokers))
	for i, b := range brokers {
		order[i] = b.ID
	}
	racksUsed := 1
	if racks != nil {
		order = alternateRacks(racks)
		racksUsed = len(distinctRacks(racks))
	}
	assignment := make([][]metadata.BrokerID, partitions)
	shift := at.Shift
	for i := range assignment {
		p := at.FirstPartition + i
		if p > 0 && p%len(order) == 0 {
			shift++
		}
		s := spread{first: (p + at.Start) % len(order), shift: shift}
		if racks == nil {
			assignment[i] = followOrder(order, s, replicas)
		} else {
			assignment[i] = followRacks(order, racks, racksUsed, s, replicas)
		}
	}
	return assignment, nil
}

// CheckCounts checks that this many partitions and replicas can be placed and stored. A topic is
// one node in ZooKeeper, which limits its partitions; Kafka allocates before it checks and runs out
// of memory instead.
func CheckCounts(brokers, partitions, replicas int) error {
	switch {
	case partitions <= 0:
		return protocol.Errorf(protocol.InvalidPartitions, "Number of partitions must be larger than 0.")
	case replicas <= 0:
		return protocol.Errorf(protocol.InvalidReplicationFactor, "Replication factor must be larger than 0.")
	case replicas > brokers:
		return protocol.Errorf(protocol.InvalidReplicationFactor,
			"Replication factor: %d larger than available brokers: %d.", replicas, brokers)
	case partitions > zkstore.PartitionsMax(replicas):
		return protocol.Errorf(protocol.InvalidPartitions,
			"Number of partitions: %d is more than the %d that a topic's node in ZooKeeper can hold.", partitions, zkstore.PartitionsMax(replicas))
	}
	return nil
}

// followOrder places replicas regardless of racks.
func followOrder(order []metadata.BrokerID, s spread, replicas int) []metadata.BrokerID {
	placed := []metadata.BrokerID{order[s.first]}
	for j := range replicas - 1 {
		placed = append(placed, order[s.next(j, len(order))])
	}
	return placed
}

// followRacks places replicas. It skips a broker whose rack already has a replica while some rack
// has none, and a broker that already has a replica while some broker has none.
func followRacks(order []metadata.BrokerID, racks map[metadata.BrokerID]string, rackCount int, s spread, replicas int) []metadata.BrokerID {
	placed := []metadata.BrokerID{order[s.first]}
	used := map[string]bool{racks[order[s.first]]: true}
	s.shift *= rackCount
	for k := 0; len(placed) < replicas; k++ {
		broker := order[s.next(k, len(order))]
		rack := racks[broker]
		if used[rack] && len(used) < rackCount || slices.Contains(placed, broker) && len(placed) < len(order) {
			continue
		}
		placed = append(placed, broker)
		used[rack] = true
	}
	return placed
}

// spread determines the brokers of a partition's replicas: the index of the first one, and how far
// the others are shifted from it.
type spread struct{ first, shift int }

// next returns the index of the broker of further replica j, which is never first.
func (s spread) next(j, brokers int) int {
	return (s.first + 1 + (s.shift+j)%(brokers-1)) % brokers
}

// errRacks has no protocol code: Kafka answers it with UNKNOWN_SERVER_ERROR.
var errRacks = errors.New("Not all brokers have rack information for replica rack aware assignment.")

// racksOf returns the racks by broker, or nil if no broker has one.
func racksOf(brokers []Broker) (map[metadata.BrokerID]string, error) {
	racks := map[metadata.BrokerID]string{}
	for _, b := range brokers {
		if b.Rack != nil {
			racks[b.ID] = *b.Rack
		}
	}
	switch len(racks) {
	case 0:
		return nil, nil
	case len(brokers):
		return racks, nil
	}
	return nil, errRacks
}

func distinctRacks(racks map[metadata.BrokerID]string) []string {
	var names []string
	for _, rack := range racks {
		if !slices.Contains(names, rack) {
			names = append(names, rack)
		}
	}
	slices.Sort(names)
	return names
}

// alternateRacks returns the brokers in the order that takes the lowest remaining broker of each
// rack in turn.
func alternateRacks(racks map[metadata.BrokerID]string) []metadata.BrokerID {
	names := distinctRacks(racks)
	byRack := map[string][]metadata.BrokerID{}
	for broker, rack := range racks {
		byRack[rack] = append(byRack[rack], broker)
	}
	for _, brokers := range byRack {
		slices.Sort(brokers)
	}
	var order []metadata.BrokerID
	for i := 0; len(order) < len(racks); i = (i + 1) % len(names) {
		if left := byRack[names[i]]; len(left) > 0 {
			order = append(order, left[0])
			byRack[names[i]] = left[1:]
		}
	}
	return order
}
