package replication

import "testing"

// A topic's traffic counts toward the sum of all topics even after its last partition was removed.
// If the topic comes back, its own counts begin at 0.
func TestTheTrafficOfRemovedTopicsStaysInTheSum(t *testing.T) {
	h := newHosted()
	first, second, other := TopicPartition{Topic: "t"}, TopicPartition{Topic: "t", Partition: 1}, TopicPartition{Topic: "u"}
	p := h.add(first, nil)
	if h.add(first, nil) != p || h.get("t", 0) != p || h.get("t", 1) != nil || h.get("u", 0) != nil {
		t.Error("the partition is not found, or made again")
	}
	if h.add(second, nil).traffic != p.traffic || h.add(other, nil).traffic == p.traffic {
		t.Error("traffic belongs to the partitions of one topic")
	}
	if n := len(h.list()); n != 3 {
		t.Errorf("%d partitions, want 3", n)
	}
	check := func(after string, sum, of int64, topics int) {
		t.Helper()
		all, each := h.counts()
		if all.BytesIn != sum || each["t"].BytesIn != of || len(each) != topics {
			t.Errorf("after %s: %d bytes in all, %d of the topic, %d topics; want %d, %d, %d", after, all.BytesIn, each["t"].BytesIn, len(each), sum, of, topics)
		}
	}
	p.traffic.bytesIn.Add(5)
	h.remove(first)
	h.remove(first)
	check("the first partition was removed", 5, 5, 2)
	h.remove(second)
	check("the topic was removed", 5, 0, 1)
	h.add(first, nil).traffic.bytesIn.Add(2)
	check("the topic came back", 7, 2, 2)
	h.remove(TopicPartition{Topic: "unknown"})
	if h.get("t", 0) == p || h.get("t", 1) != nil {
		t.Error("a removed partition is still found")
	}
}
