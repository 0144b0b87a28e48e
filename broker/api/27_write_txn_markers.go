package api

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/group"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/settings"
)

// WriteTxnMarkers ends transactions on partitions that this broker leads. Transaction coordinators
// send it, and administrators that abort a hanging transaction.
//
// Versions 0 and 1; v1 is flexible. Each marker is appended as a control batch. It is answered when
// all in-sync replicas have it and, on the offsets topic, the offsets of the transaction are valid
// or dropped. A coordinator epoch older than one that the partition has seen is
// TRANSACTION_COORDINATOR_FENCED, an older producer epoch INVALID_PRODUCER_EPOCH.
func WriteTxnMarkers(replicas *replication.Manager, groups *group.Coordinator, config Settings) Handler {
	h := Handler{Key: protocol.WriteTxnMarkers, Min: 0, Max: 1, PerEntry: true}
	return Typed(h, func(c *Call, req *kmsg.WriteTxnMarkersRequest) (kmsg.Response, error) {
		if !c.AllowsCluster(kmsg.ACLOperationAlter) {
			if err := c.requireCluster(kmsg.ACLOperationClusterAction); err != nil {
				return nil, err
			}
		}
		return MarkerLog{replicas, groups, config}.Write(req, c.Done), nil
	})
}

// MarkerLog writes the markers of transactions in the partitions that this broker leads.
type MarkerLog struct {
	Replicas *replication.Manager
	Groups   *group.Coordinator
	Config   Settings
}

// Write does what a WriteTxnMarkers request asks for. It waits for other replicas until done is
// closed.
func (l MarkerLog) Write(req *kmsg.WriteTxnMarkersRequest, done <-chan struct{}) *kmsg.WriteTxnMarkersResponse {
	w := markerWriter{replicas: l.Replicas}
	for i := range req.Markers {
		w.append(&req.Markers[i])
	}
	w.await(millis(settings.RequestTimeoutMs.Of(l.Config.Current())), done)
	for i := range w.written {
		if m := &w.written[i]; m.err == nil && m.id.Topic == metadata.GroupOffsetsTopic {
			l.Groups.TxnEnded(m.producerID, m.id.Partition, m.committed)
		}
	}
	return w.answer()
}

// writtenMarker is one marker for one partition.
type writtenMarker struct {
	producerID int64
	committed  bool
	id         replication.TopicPartition
	partition  *replication.Partition // set once the marker is appended
	written    replication.Written
	err        error
}

// markerWriter appends markers and waits for them to be replicated.
type markerWriter struct {
	replicas *replication.Manager
	written  []writtenMarker
}

func (w *markerWriter) append(m *kmsg.WriteTxnMarkersRequestMarker) {
	for i := range m.Topics {
		for _, index := range m.Topics[i].Partitions {
			one := writtenMarker{producerID: m.ProducerID, committed: m.Committed,
				id: replication.TopicPartition{Topic: m.Topics[i].Topic, Partition: index}}
			one.err = w.appendOne(&one, m)
			w.written = append(w.written, one)
		}
	}
}

func (w *markerWriter) appendOne(one *writtenMarker, m *kmsg.WriteTxnMarkersRequestMarker) error {
	p, err := w.replicas.Partition(one.id.Topic, one.id.Partition)
	if err != nil {
		return protocol.UnknownTopicOrPartition
	}
	log := p.Log()
	switch {
	case log == nil:
		return protocol.UnknownTopicOrPartition
	case log.Config().Magic < record.CurrentMagic:
		return protocol.UnsupportedForMessageFormat
	}
	o := record.Defaults()
	o.ProducerID, o.ProducerEpoch = m.ProducerID, m.ProducerEpoch
	kind := record.Abort
	if m.Committed {
		kind = record.Commit
	}
	batch, err := record.EndTxnMarker(o, kind, m.CoordinatorEpoch, time.Now().UnixMilli())
	if err != nil {
		return err
	}
	one.written, err = p.AppendAsLeader(batch, nil, -1)
	if err != nil {
		return err
	}
	one.partition = p
	return nil
}

// await waits until the appended markers are replicated, for at most the timeout in all.
func (w *markerWriter) await(timeout time.Duration, done <-chan struct{}) {
	deadline := time.Now().Add(timeout)
	for i := range w.written {
		if m := &w.written[i]; m.err == nil {
			m.err = m.partition.AwaitReplicated(m.written, max(time.Until(deadline), 0), done)
		}
	}
}

// answer returns the response, which has one entry for each producer, as in Kafka. If a producer
// has two markers for a partition, the code is that of the later one.
func (w *markerWriter) answer() *kmsg.WriteTxnMarkersResponse {
	type producerTopic struct {
		producerID int64
		topic      string
	}
	type producerPartition struct {
		producerTopic
		partition int32
	}
	resp := kmsg.NewPtrWriteTxnMarkersResponse()
	markers, topics, partitions := places[int64]{}, places[producerTopic]{}, places[producerPartition]{}
	for i := range w.written {
		m := &w.written[i]
		marker := entryOf(&resp.Markers, markers, m.producerID)
		marker.ProducerID = m.producerID
		ofTopic := producerTopic{m.producerID, m.id.Topic}
		topic := entryOf(&marker.Topics, topics, ofTopic)
		topic.Topic = m.id.Topic
		p := entryOf(&topic.Partitions, partitions, producerPartition{ofTopic, m.id.Partition})
		p.Partition, p.ErrorCode = m.id.Partition, int16(protocol.CodeOf(m.err))
	}
	return resp
}

// places maps keys to the indexes of their entries in a list.
type places[K comparable] map[K]int

// entryOf returns the entry of the list that has the key, and appends one if it is missing.
func entryOf[K comparable, T any](list *[]T, at places[K], key K) *T {
	i, known := at[key]
	if !known {
		i = len(*list)
		at[key] = i
		var none T
		*list = append(*list, none)
	}
	return &(*list)[i]
}
