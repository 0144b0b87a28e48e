package replication

import (
	"testing"
	"testing/synctest"
	"time"
)

// Kafka's scheduler repeats a task only if its period is above 0. With other periods the broker
// starts, but neither writes checkpoints nor shrinks in-sync sets.
func TestPeriodsOfZeroDisablePeriodicWork(t *testing.T) {
	for _, period := range []time.Duration{0, -time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			b := newTestBroker(t, func(o *Options) { o.CheckpointInterval, o.LagMax = period, period })
			b.Start()
			synctest.Wait()
			b.Close()
		})
	}
}
