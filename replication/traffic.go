package replication

import "sync/atomic"

// TrafficCounts counts what Kafka's meters in kafka.server:type=BrokerTopicMetrics count, for one
// topic or for all.
type TrafficCounts struct {
	MessagesIn, BytesIn, BytesOut, BytesRejected int64 // clients; records appended by coordinators count too
	ReplicationBytesIn, ReplicationBytesOut      int64
	ProduceRequests, FetchRequests               int64 // one per partition in a request, as in Kafka
	FailedProduceRequests, FailedFetchRequests   int64 // with an error that the client did not cause
	FetchConversions                             int64
	ProduceConversions                           int64 // records
	ReassignmentBytesIn, ReassignmentBytesOut    int64 // the part of replication to replicas that are being added
}

// traffic counts the traffic of a topic with atomics only. The partitions of a topic share it.
type traffic struct {
	messagesIn, bytesIn, bytesOut, bytesRejected atomic.Int64
	replicationBytesIn, replicationBytesOut      atomic.Int64
	produceRequests, fetchRequests               atomic.Int64
	failedProduces, failedFetches                atomic.Int64
	fetchConversions, produceConversions         atomic.Int64
	reassignmentBytesIn, reassignmentBytesOut    atomic.Int64
}

func (t *traffic) counts() TrafficCounts {
	return TrafficCounts{
		MessagesIn: t.messagesIn.Load(), BytesIn: t.bytesIn.Load(), BytesOut: t.bytesOut.Load(), BytesRejected: t.bytesRejected.Load(),
		ReplicationBytesIn: t.replicationBytesIn.Load(), ReplicationBytesOut: t.replicationBytesOut.Load(),
		ProduceRequests: t.produceRequests.Load(), FetchRequests: t.fetchRequests.Load(),
		FailedProduceRequests: t.failedProduces.Load(), FailedFetchRequests: t.failedFetches.Load(),
		FetchConversions: t.fetchConversions.Load(), ProduceConversions: t.produceConversions.Load(),
		ReassignmentBytesIn: t.reassignmentBytesIn.Load(), ReassignmentBytesOut: t.reassignmentBytesOut.Load(),
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
	c.ProduceConversions += o.ProduceConversions
	c.ReassignmentBytesIn += o.ReassignmentBytesIn
	c.ReassignmentBytesOut += o.ReassignmentBytesOut
}

// Traffic returns the counts since the start: the sum for all partitions that are or were hosted,
// and the counts of each hosted topic.
func (m *Manager) Traffic() (all TrafficCounts, topics map[string]TrafficCounts) {
	m.sessions.settleReads()
	all, topics = m.hosted.counts()
	all.add(m.notHosted.counts())
	return all, topics
}

// sent counts the records of a fetch response.
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
			part.partition.recordSent(f.ReplicaID, n, f.m.now())
		} else {
			t.bytesOut.Add(n)
		}
	}
}

// ISRCounts counts what Kafka's meters IsrShrinksPerSec, IsrExpandsPerSec and
// FailedIsrUpdatesPerSec count.
type ISRCounts struct{ Shrinks, Expands, Failed int64 }

// isrCounts is ISRCounts with atomics.
type isrCounts struct{ shrinks, expands, failed atomic.Int64 }

// ISRCounts returns how often in-sync sets of partitions led here changed.
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
