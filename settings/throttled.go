package settings

import (
	"strconv"
	"strings"

	"github.com/monedula/monedula/metadata"
)

// ThrottledReplicas are the replicas of a topic to which a replication quota applies: none (the
// zero value), all, or the listed partition:broker pairs.
type ThrottledReplicas struct {
	all    bool
	listed map[throttledReplica]struct{}
}

type throttledReplica struct {
	partition int32
	broker    metadata.BrokerID
}

// Has reports whether the quota applies to the broker's replica of the partition.
func (r ThrottledReplicas) Has(partition int32, broker metadata.BrokerID) bool {
	if r.all || len(r.listed) == 0 {
		return r.all
	}
	_, has := r.listed[throttledReplica{partition, broker}]
	return has
}

// throttledReplicasOf parses a validated list: "*", or partition:broker pairs.
func throttledReplicasOf(list []string) ThrottledReplicas {
	var r ThrottledReplicas
	for _, text := range list {
		text = strings.TrimSpace(text)
		if text == "*" {
			return ThrottledReplicas{all: true}
		}
		first, second, _ := strings.Cut(text, ":")
		partition, err1 := strconv.ParseInt(first, 10, 32)
		broker, err2 := strconv.ParseInt(second, 10, 32)
		if err1 != nil || err2 != nil {
			continue // Kafka's pattern allows empty entries
		}
		if r.listed == nil {
			r.listed = map[throttledReplica]struct{}{}
		}
		r.listed[throttledReplica{int32(partition), metadata.BrokerID(broker)}] = struct{}{}
	}
	return r
}
