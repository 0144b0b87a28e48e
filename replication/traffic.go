package replication

import "sync/atomic"

// TrafficCounts are what Kafka's meters of kafka.server:type=BrokerTopicMetrics
// count, of one topic or of all.
type TrafficCounts struct {
	MessagesIn, BytesIn, BytesOut, BytesRejected int64 // of clients; coordinators' records count as theirs
	ReplicationBytesIn, ReplicationBytesOut      int64
	ProduceRequests, FetchRequests               int64 // per partition asked, as Kafka does
	FailedProduceRequests, FailedFetchRequests   int64 // those with an error that no client is to blame for
	FetchConversions                             int64
}

// traffic counts them, by atomics only. Partitions of a topic share one.
type traffic struct {
	messagesIn, bytesIn, bytesOut, bytesRejected atomic.Int64
	replicationBytesIn, replicationBytesOut      atomic.Int64
	produceRequests, fetchRequests               atomic.Int64
	failedProduces, failedFetches                atomic.Int64
	fetchConversions                             atomic.Int64
}

func (t *traffic) counts() TrafficCounts {
	return TrafficCounts{
		MessagesIn: t.messagesIn.Load(), BytesIn: t.bytesIn.Load(), BytesOut: t.bytesOut.Load(), BytesRejected: t.bytesRejected.Load(),
		ReplicationBytesIn: t.replicationBytesIn.Load(), ReplicationBytesOut: t.replicationBytesOut.Load(),
		ProduceRequests: t.produceRequests.Load(), FetchRequests: t.fetchRequests.Load(),
		FailedProduceRequests: t.failedProduces.Load(), FailedFetchRequests: t.failedFetches.Load(),
		FetchConversions: t.fetchConversions.Load(),
	}
}

func (c *TrafficCounts) add(o TrafficCounts) {
	c.MessagesIn += o.MessagesIn
	c.BytesIn += o.BytesIn
	c.BytesOut += o.BytesOut
	c.BytesRejected += o.BytesRejected
	c.ReplicationBytesIn += o.ReplicationBytesIn
	c.ReplicationBytesOut += o.ReplicationBytesOut
	c.ProduceRequests += o.ProduceRequests
	c.FetchRequests += o.FetchRequests
	c.FailedProduceRequests += o.FailedProduceRequests
	c.FailedFetchRequests += o.FailedFetchRequests
	c.FetchConversions += o.FetchConversions
}

// Traffic is what passed since the start: through all partitions that are or
// were hosted, and by topic of those that are.
func (m *Manager) Traffic() (all TrafficCounts, topics map[string]TrafficCounts) {
	m.sessions.settleReads()
	m.mu.RLock()
	defer m.mu.RUnlock()
	all = m.endedTraffic
	all.add(m.notHosted.counts())
	topics = make(map[string]TrafficCounts, len(m.traffic))
	for topic, t := range m.traffic {
		counts := t.counts()
		topics[topic] = counts
		all.add(counts)
	}
	return all, topics
}

// trafficLocked is the traffic of a topic, made where there is none; mu is held
// alone.
func (m *Manager) trafficLocked(topic string) *traffic {
	t := m.traffic[topic]
	if t == nil {
		t = &traffic{}
		m.traffic[topic] = t
	}
	return t
}

// forgetTrafficLocked ends the counting of a topic that is hosted no more; what
// it had stays in the sum of all.
func (m *Manager) forgetTrafficLocked(topic string) {
	if t := m.traffic[topic]; t != nil {
		m.endedTraffic.add(t.counts())
		delete(m.traffic, topic)
	}
}

// sent counts the records of a fetch's answer.
func (f *Fetch) sent() {
	for i := range f.Partitions {
		part := &f.Partitions[i]
		n := int64(part.RecordBytes())
		if n == 0 || part.partition == nil {
			continue
		}
		t := part.partition.traffic
		if part.Converted != nil {
			t.fetchConversions.Add(1)
		}
		if f.FromFollower() {
			t.replicationBytesOut.Add(n)
			part.partition.recordSent(n, f.m.now())
		} else {
			t.bytesOut.Add(n)
		}
	}
}

// ISRCounts are Kafka's meters IsrShrinksPerSec, IsrExpandsPerSec and
// FailedIsrUpdatesPerSec.
type ISRCounts struct{ Shrinks, Expands, Failed int64 }

// isrCounts counts them.
type isrCounts struct{ shrinks, expands, failed atomic.Int64 }

// ISRCounts tells how often in-sync sets led here changed.
func (m *Manager) ISRCounts() ISRCounts {
	return ISRCounts{Shrinks: m.isrCounts.shrinks.Load(), Expands: m.isrCounts.expands.Load(), Failed: m.isrCounts.failed.Load()}
}

// countISR counts the answer to a change.
func (m *Manager) countISR(asked *inSync, verdict isrVerdict) {
	switch {
	case verdict == isrOutdated:
	case verdict != isrCommitted:
		m.isrCounts.failed.Add(1)
	case len(asked.proposed) > len(asked.committed):
		m.isrCounts.expands.Add(1)
	default:
		m.isrCounts.shrinks.Add(1)
	}
}
