package transaction

import (
	"time"

	"github.com/monedula/monedula/peerlink"
)

// Stats has the values of Kafka's metrics kafka.server:type=transaction-coordinator-metrics and
// kafka.coordinator.transaction:type=TransactionMarkerChannelManager.
type Stats struct {
	Loads            int // partitions of __transaction_state loaded in the last 30 to 60 seconds
	LoadMax, LoadAvg time.Duration

	UnknownDestinations int // markers that wait for a reachable leader (UnknownDestinationQueueSize)
	LogAppendRetries    int // records to append again (LogAppendRetryQueueSize)

	Markers peerlink.TrafficCounts // of requests with markers to other brokers (txn-marker-channel-metrics)
}

// Stats returns the coordinator's metrics.
func (c *Coordinator) Stats() Stats {
	var s Stats
	s.Loads, s.LoadMax, s.LoadAvg = c.rt.LoadTimes()
	s.UnknownDestinations, s.LogAppendRetries = c.markers.sizes()
	s.Markers = c.markers.traffic.Counts()
	return s
}
