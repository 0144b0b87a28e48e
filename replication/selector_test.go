package replication

import (
	"testing"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

func TestOnlyInSyncFollowersWithTheOffsetArePreferred(t *testing.T) {
	west := "west"
	b := newTestBroker(t, func(o *Options) { o.SelectorClass = RackAwareSelector })
	req := metadataOf(3, ourID, ourID, 2, 3)
	for i := range req.LiveBrokers[1:] {
		req.LiveBrokers[i+1].Rack = &west
	}
	if resp, _ := b.UpdateMetadata(req, 1); resp.ErrorCode != 0 {
		t.Fatalf("UpdateMetadata: %d", resp.ErrorCode)
	}
	p := b.lead(1, []int32{ourID, 2, 3}, ourID, 2)
	b.mustProduce(5)
	b.fetch(3, asFollower(2), func(f *Fetch) { f.Partitions[0].LogStartOffset = 2 })
	b.fetch(5, asFollower(3)) // has every offset, but is not in sync until the controller agrees
	for _, c := range []struct {
		what   string
		offset record.Offset
		change func(*Fetch)
		want   metadata.BrokerID
	}{
		{"before the log start", 1, nil, -1},
		{"at the log start", 2, nil, 2},
		{"at the log end", 3, nil, 2},
		{"above the log end", 4, nil, -1},
		{"in another rack", 2, func(f *Fetch) { f.Client.Rack = "north" }, -1},
		{"on a listener that it does not have", 2, func(f *Fetch) { f.Client.Listener = "OTHER" }, -1},
		{"before v11", 2, func(f *Fetch) { f.Version = 10 }, -1},
	} {
		f := b.newFetch(c.offset, func(f *Fetch) { f.Client.Rack = west })
		if c.change != nil {
			c.change(f)
		}
		if got := p.preferredReplica(f, &f.Partitions[0], b.now()); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}
}

func TestRackSelectorPrefersTheLeaderThenTheLongestLog(t *testing.T) {
	east, west := "east", "west"
	candidates := []readCandidate{{id: 1, rack: &east, logEnd: 10}, {id: 2, rack: &west, logEnd: 8}, {id: 3, rack: &west, logEnd: 9}, {id: 4, logEnd: 10}}
	for rack, want := range map[string]metadata.BrokerID{"east": 1, "west": 3} {
		if id, ok := selectByRack(ClientInfo{Rack: rack}, candidates); !ok || id != want {
			t.Errorf("rack %s: %d, %t; want %d", rack, id, ok, want)
		}
	}
	for _, rack := range []string{"", "north"} {
		if id, ok := selectByRack(ClientInfo{Rack: rack}, candidates); ok {
			t.Errorf("rack %q: %d, want no preference", rack, id)
		}
	}
	if selectorOf("") != nil || selectorOf(RackAwareSelector) == nil {
		t.Error("the selector is not found by its class name")
	}
}
