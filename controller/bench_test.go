package controller

import (
	"testing"

	"github.com/monedula/monedula/zkstore"
)

// BenchmarkBrokerFailure is the controller's own work when a broker of three
// dies that had a replica of each of 2,000 partitions: elections, shrinks and
// the requests they make, with a ZooKeeper that costs nothing.
func BenchmarkBrokerFailure(b *testing.B) {
	h := newHarness(b, nil)
	h.m.cfg.Logger.SetLevel(3)
	for _, id := range []int32{0, 1, 2} {
		h.store.register(id, "")
	}
	h.put(Startup{})
	var assignments []zkstore.Assignment
	for i := range int32(2000) {
		assignments = append(assignments, replicas(i%3, (i+1)%3, (i+2)%3))
	}
	h.store.putTopic(topicNode("many", assignments...))
	h.run()
	h.answer()
	b.ReportAllocs()
	for b.Loop() {
		h.lines = nil
		h.log.Reset()
		h.store.unregister(1)
		h.run()
		b.StopTimer()
		h.answer()
		h.store.register(1, "")
		h.run()
		for tp, s := range h.store.states {
			s.ISR, s.Version = []int32{0, 1, 2}, s.Version+1
			h.store.states[tp] = s
		}
		h.answer()
		b.StartTimer()
	}
}
