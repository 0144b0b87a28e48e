package transaction

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// This file lets a program without goroutines drive a coordinator step by step. The simulation does
// so: it has one goroutine and simulates time and network.

// Steps is what takes the place of a coordinator's goroutines, connections and clock.
type Steps struct {
	Now func() time.Time
	// Drive is given the steps of background work; see coordinator.Work.
	Drive func(step func() (left bool))
	// Post sends a request to a broker without waiting. It sets the version. answered must be called
	// with the response or an error later, not by Post itself.
	Post func(address string, req kmsg.Request, answered func(kmsg.Response, error))
}

// steps returns the steps of the configuration, or the real clock alone.
func (cfg *Config) steps() Steps {
	if cfg.Steps == nil {
		return Steps{Now: time.Now}
	}
	return *cfg.Steps
}

// BeginInitProducerID does what InitProducerID does, but does not wait: to, which has a free slot,
// gets the result.
func (c *Coordinator) BeginInitProducerID(id string, timeoutMs int32, expected *ProducerIDAndEpoch, to chan<- Result) {
	c.initProducerID(context.Background(), id, timeoutMs, expected, to)
}

// BeginAddPartitions does what AddPartitions does, but does not wait: to, which has a free slot, gets
// the result.
func (c *Coordinator) BeginAddPartitions(id string, producer ProducerIDAndEpoch, partitions []TopicPartition, to chan<- Result) {
	c.addPartitions(id, producer, partitions, to)
}

// BeginEndTxn does what EndTxn does, but does not wait: to, which has a free slot, gets the result.
func (c *Coordinator) BeginEndTxn(id string, producer ProducerIDAndEpoch, commit bool, to chan<- Result) {
	c.endTxn(id, producer, commit, to)
}
