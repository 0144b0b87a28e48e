package replication

import (
	"testing"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

// epochs is a log's leader epochs with their start offsets; end is the log end.
type epochs struct {
	entries []epochEnd // epochs and their start offsets
	end     record.Offset
}

// endOf returns what a log returns for an epoch.
func (e epochs) endOf(epoch metadata.LeaderEpoch) (metadata.LeaderEpoch, record.Offset) {
	if epoch < 0 || len(e.entries) == 0 {
		return -1, -1
	}
	last := e.entries[len(e.entries)-1].epoch
	if epoch == last {
		return epoch, e.end
	}
	if epoch > last {
		return -1, -1
	}
	floor := metadata.NoLeaderEpoch
	for _, entry := range e.entries {
		if entry.epoch > epoch {
			if floor < 0 {
				return epoch, entry.offset
			}
			return floor, entry.offset
		}
		floor = entry.epoch
	}
	return -1, -1
}

func (e epochs) truncated(to record.Offset) epochs {
	var kept []epochEnd
	for _, entry := range e.entries {
		if entry.offset < to {
			kept = append(kept, entry)
		}
	}
	return epochs{kept, min(e.end, to)}
}

func TestTruncationByTheLeadersAnswer(t *testing.T) {
	own := epochs{[]epochEnd{{1, 0}, {3, 10}, {5, 20}}, 30}
	for _, c := range []struct {
		name   string
		leader epochEnd
		want   record.Offset
		done   bool
	}{
		{"the leader knows nothing: truncate to the high watermark", epochEnd{-1, -1}, 4, true},
		{"no epoch in the response", epochEnd{-1, 12}, 12, true},
		{"no epoch, beyond the follower's end", epochEnd{-1, 99}, 30, true},
		{"same epoch, the leader has less", epochEnd{3, 15}, 15, true},
		{"same epoch, the follower has less", epochEnd{3, 25}, 20, true},
		{"same latest epoch", epochEnd{5, 40}, 30, true},
		{"an epoch the follower lacks: ask again", epochEnd{4, 28}, 20, false},
		{"an epoch beyond the follower's", epochEnd{6, 28}, 28, true},
	} {
		offset, done := truncateTo(c.leader, 4, own.end, own.endOf)
		if offset != c.want || done != c.done {
			t.Errorf("%s: %d, %t; want %d, %t", c.name, offset, done, c.want, c.done)
		}
	}
}

func TestPitfallReplication02_DivergentTailsNeedSeveralTruncations(t *testing.T) {
	// Epoch 1 is common; the follower wrote epoch 2 and the leader epoch 3.
	follower := epochs{[]epochEnd{{1, 0}, {2, 10}}, 15}
	leader := epochs{[]epochEnd{{1, 0}, {3, 12}}, 20}
	for steps := 0; ; steps++ {
		if steps > 3 {
			t.Fatalf("no agreement after %d steps: %+v", steps, follower)
		}
		latest := follower.entries[len(follower.entries)-1].epoch
		epoch, end := leader.endOf(latest)
		offset, done := truncateTo(epochEnd{epoch, end}, 0, follower.end, follower.endOf)
		follower = follower.truncated(offset)
		if done {
			break
		}
	}
	if follower.end != 10 || len(follower.entries) != 1 {
		t.Errorf("the follower ends at %d with %v, want 10 and only epoch 1", follower.end, follower.entries)
	}
}

func TestPitfallReplication01_RestartedFollowerKeepsWhatTheLeaderHas(t *testing.T) {
	// The high watermark (2) lags; the leader has the follower's whole epoch.
	follower := epochs{[]epochEnd{{0, 0}}, 5}
	leader := epochs{[]epochEnd{{0, 0}}, 5}
	epoch, end := leader.endOf(0)
	if offset, done := truncateTo(epochEnd{epoch, end}, 2, follower.end, follower.endOf); offset != 5 || !done {
		t.Errorf("truncates to %d, want to keep all 5", offset)
	}
}

func TestFetcherOfAPartitionIsChosenAsInKafka(t *testing.T) {
	// Utils.abs(31 * "orders".hashCode() + partition) % n
	for _, c := range []struct {
		topic     string
		partition int32
		hash      int32
	}{{"a", 0, 97}, {"orders", 0, -1008770331}, {"t1", 2, 3645}} {
		if h := javatext.StringHash(c.topic); h != c.hash {
			t.Errorf("hash of %q: %d, want %d", c.topic, h, c.hash)
		}
	}
	for partition := range int32(100) {
		if got := fetcherID(TopicPartition{Topic: "orders", Partition: partition}, 3); got < 0 || got >= 3 {
			t.Errorf("fetcher %d of 3", got)
		}
	}
	if fetcherID(TopicPartition{Topic: "a", Partition: 1}, 5) != (31*97+1)%5 {
		t.Error("the fetcher is not |31 * hash + partition| % n")
	}
}
