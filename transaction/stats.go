package transaction

import "time"

// Stats has the values of Kafka's metrics kafka.server:type=transaction-coordinator-metrics and
// kafka.coordinator.transaction:type=TransactionMarkerChannelManager.
type Stats struct {
	Loads            int // partitions of __transaction_state loaded in the last 30 to 60 seconds
	LoadMax, LoadAvg time.Duration

	UnknownDestinations int // markers that wait for a reachable leader (UnknownDestinationQueueSize)
	LogAppendRetries    int // records to append again (LogAppendRetryQueueSize)
}

// Stats returns the coordinator's metrics.
func (c *Coordinator) Stats() Stats {
	var s Stats
	s.Loads, s.LoadMax, s.LoadAvg = c.rt.LoadTimes()
	s.UnknownDestinations, s.LogAppendRetries = c.markers.sizes()
	return s
}
