package lag

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/monedula/monedula/record"
)

// ends is an EndSource with given ends.
type ends map[TopicPartition]record.Offset

func (e ends) Ends(_ context.Context, partitions []TopicPartition) map[TopicPartition]record.Offset {
	found := map[TopicPartition]record.Offset{}
	for _, tp := range partitions {
		if end, known := e[tp]; known {
			found[tp] = end
		}
	}
	return found
}

func tp(topic string, partition int32) TopicPartition {
	return TopicPartition{Topic: topic, Partition: partition}
}

func TestLagIsTheDistanceToTheEndOfThePartition(t *testing.T) {
	now := time.Unix(1000, 0)
	known := ends{tp("t", 0): 100, tp("t", 1): 50}
	tracker := NewTracker(Config{Limit: 10, Ends: known, Patience: time.Second, Fresh: time.Second, Now: func() time.Time { return now },
		Sources: []Source{
			func(context.Context, int) ([]Group, int, error) {
				return []Group{{Name: "g", Storage: "kafka", Members: 2, Offsets: []Committed{{tp("t", 0), 90}, {tp("t", 1), 60}, {tp("gone", 0), 1}}}}, 4, nil
			},
			func(_ context.Context, limit int) ([]Group, int, error) {
				if limit != 7 {
					t.Errorf("the second source may list %d offsets, want 7", limit)
				}
				return []Group{{Name: "g", Storage: "zookeeper", Offsets: []Committed{{tp("t", 0), 0}}}}, 0, nil
			},
			func(context.Context, int) ([]Group, int, error) { return nil, 0, errors.New("unreachable") },
		}})
	tracker.Report()
	now = now.Add(10 * time.Second)
	known[tp("t", 0)] = 110
	want := &Report{OverLimit: 4, WithoutEnd: 1, Failed: 1, Groups: []GroupLag{
		{Name: "g", Storage: "kafka", Members: 2, Partitions: []PartitionLag{
			{Partition: tp("t", 0), Committed: 90, Records: 20, Time: 10 * time.Second},
			{Partition: tp("t", 1), Committed: 60, Records: 0}}},
		{Name: "g", Storage: "zookeeper", Partitions: []PartitionLag{{Partition: tp("t", 0), Committed: 0, Records: 110, Time: 10 * time.Second}}},
	}}
	if got := tracker.Report(); !reflect.DeepEqual(got, want) {
		t.Errorf("report %+v, want %+v", got, want)
	}
	known[tp("t", 0)] = 1000
	if got := tracker.Report(); !reflect.DeepEqual(got, want) {
		t.Error("a report is not reused although it is fresh")
	}
}

func TestHistoriesOfPartitionsWithoutCommitsAreDropped(t *testing.T) {
	now := time.Unix(1000, 0)
	committed := []Committed{{tp("t", 0), 1}, {tp("t", 1), 1}}
	tracker := NewTracker(Config{Limit: 10, Ends: ends{tp("t", 0): 5, tp("t", 1): 5}, Patience: time.Second, Now: func() time.Time { return now },
		Sources: []Source{func(context.Context, int) ([]Group, int, error) {
			return []Group{{Name: "g", Offsets: committed}}, 0, nil
		}}})
	tracker.Report()
	committed = committed[:1]
	tracker.Report()
	if len(tracker.ends) != 1 {
		t.Errorf("%d histories are kept", len(tracker.ends))
	}
}
