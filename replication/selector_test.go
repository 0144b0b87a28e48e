package replication

import "testing"

func TestRackSelectorPrefersTheLeaderThenTheLongestLog(t *testing.T) {
	east, west := "east", "west"
	candidates := []readCandidate{{id: 1, rack: &east, logEnd: 10}, {id: 2, rack: &west, logEnd: 8}, {id: 3, rack: &west, logEnd: 9}, {id: 4, logEnd: 10}}
	for rack, want := range map[string]int32{"east": 1, "west": 3} {
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
