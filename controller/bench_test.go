package controller

import (
	"fmt"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

// BenchmarkBrokerFailure measures the controller's own work when one of three brokers fails, with a
// replica of each of 2,000 partitions: elections, changes of in-sync sets and the resulting
// requests. The store is in memory.
func BenchmarkBrokerFailure(b *testing.B) {
	h := newHarness(b, nil)
	h.m.cfg.Logger.SetLevel(3)
	for _, id := range []metadata.BrokerID{0, 1, 2} {
		h.store.register(id, "")
	}
	h.put(Startup{})
	var assignments []zkstore.Assignment
	for i := range metadata.BrokerID(2000) {
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
			s.ISR, s.Version = []metadata.BrokerID{0, 1, 2}, s.Version+1
			h.store.states[tp] = s
		}
		h.answer()
		b.StartTimer()
	}
}

// topicCluster returns a cluster of three brokers without topics, whose controller logs only
// errors.
func topicCluster(t testing.TB) *harness {
	h := newHarness(t, func(c *Config) { c.NewTopicID = nil })
	h.m.cfg.Logger.SetLevel(logrus.ErrorLevel)
	for _, id := range []metadata.BrokerID{0, 1, 2} {
		h.store.register(id, "")
	}
	h.put(Startup{})
	h.answer()
	return h
}

// settle processes all events, answers all requests, and clears the recorded lines.
func (h *harness) settle() {
	h.run()
	h.answer()
	h.lines = nil
	h.log.Reset()
}

func manyTopic(i int) string { return fmt.Sprintf("topic-with-a-name-%06d", i) }

// createTopics creates the topics numbered from from to to-1. Each event creates a batch of each
// topics, as when many clients create topics at the same time.
func (h *harness) createTopics(from, to, each int) {
	for i := from; i < to; i++ {
		h.store.putTopic(topicNode(manyTopic(i), replicas(0, 1, 2)))
		if i%each == each-1 || i == to-1 {
			h.settle()
		}
	}
}

// deleteTopics marks topics for deletion in the same way.
func (h *harness) deleteTopics(from, to, each int) {
	for i := from; i < to; i++ {
		h.store.markDeletion(manyTopic(i))
		if i%each == each-1 || i == to-1 {
			h.settle()
		}
	}
}

// BenchmarkTopics measures the controller's own work per topic when many topics are created and
// deleted, 100 in each event, and its work for one more topic after that.
func BenchmarkTopics(b *testing.B) {
	for _, count := range []int{1000, 2000, 4000, 8000, 16000, 32000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			var created, deleted, more time.Duration
			for b.Loop() {
				h := topicCluster(b)
				start := time.Now()
				h.createTopics(0, count, 100)
				created += time.Since(start)
				start = time.Now()
				h.createTopics(count, count+20, 1)
				more += time.Since(start)
				start = time.Now()
				h.deleteTopics(0, count, 100)
				deleted += time.Since(start)
				if left := len(h.m.c.topics); left != 20 {
					b.Fatalf("%d topics left, want 20", left)
				}
			}
			n := float64(b.N)
			b.ReportMetric(float64(created.Microseconds())/n/float64(count), "µs/created")
			b.ReportMetric(float64(deleted.Microseconds())/n/float64(count), "µs/deleted")
			b.ReportMetric(float64(more.Microseconds())/n/20, "µs/one-more")
			b.ReportMetric(0, "ns/op")
		})
	}
}
