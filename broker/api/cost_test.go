package api

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/replication"
)

// The answer to WriteTxnMarkers has one entry for each producer, topic and partition. Building it
// in time quadratic in their number would take hours here.
func TestMarkersOfManyPartitionsAreAnsweredOnce(t *testing.T) {
	const many = 1 << 19
	w := markerWriter{}
	for i := range many {
		w.written = append(w.written, writtenMarker{producerID: int64(i % 1000), err: protocol.UnknownTopicOrPartition,
			id: replication.TopicPartition{Topic: fmt.Sprint("t", i%7), Partition: int32(i)}})
	}
	w.written = append(w.written, w.written...)
	resp := w.answer()
	partitions := 0
	for _, m := range resp.Markers {
		for _, topic := range m.Topics {
			partitions += len(topic.Partitions)
		}
	}
	if len(resp.Markers) != 1000 || partitions != many {
		t.Errorf("%d producers and %d partitions, want 1000 and %d", len(resp.Markers), partitions, many)
	}
}

// An answer may be much larger than its request, so duplicate resources and keys are answered only
// once.
func TestDuplicatesAreDescribedOnce(t *testing.T) {
	w := newConfigWorld(t, nil)
	req := kmsg.NewPtrDescribeConfigsRequest()
	names := make([]string, 1<<16)
	for i := range names {
		names[i] = "no.such.key"
	}
	names[7] = "log.retention.hours"
	for range 1000 {
		req.Resources = append(req.Resources, kmsg.DescribeConfigsRequestResource{ResourceType: kmsg.ConfigResourceTypeBroker, ResourceName: "3"})
	}
	req.Resources[0].ConfigNames = names
	resp := call[*kmsg.DescribeConfigsResponse](w.caller, 4, req)
	if len(resp.Resources) != 1 || len(resp.Resources[0].Configs) != 1 {
		t.Errorf("%d resources, the first with %d keys; want 1 and 1", len(resp.Resources), len(resp.Resources[0].Configs))
	}
}
