package settings

import (
	"math"
	"testing"

	"github.com/monedula/monedula/metadata"
)

func TestThrottledReplicas(t *testing.T) {
	for _, c := range []struct {
		list               string
		zeroOne, one, none bool // has 0:1, 1:1, 0:2
	}{
		{"", false, false, false},
		{"*", true, true, true},
		{"0:1", true, false, false},
		{"0:1,1:1", true, true, false},
		{"0:1,,1:1", true, true, false},
		{"1:1", false, true, false},
	} {
		topic, err := mustLoad(t, "").Topic(map[string]string{"leader.replication.throttled.replicas": c.list})
		if err != nil {
			t.Fatal(err)
		}
		r := topic.LeaderThrottled
		if r.Has(0, 1) != c.zeroOne || r.Has(1, 1) != c.one || r.Has(0, 2) != c.none {
			t.Errorf("%q: 0:1 %v, 1:1 %v, 0:2 %v", c.list, r.Has(0, 1), r.Has(1, 1), r.Has(0, 2))
		}
	}
	// Numbers that are out of range name no broker or partition.
	for _, list := range []string{"1:99999999999", "99999999999:1"} {
		topic, err := mustLoad(t, "").Topic(map[string]string{"leader.replication.throttled.replicas": list})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []int32{0, 1, math.MaxInt32} {
			if topic.LeaderThrottled.Has(1, metadata.BrokerID(id)) || topic.LeaderThrottled.Has(id, 1) {
				t.Errorf("%q holds for %d", list, id)
			}
		}
	}
	// Both sides may contain only digits.
	for _, list := range []string{"0:/", "0::", "0:1,a:1", "/:1", "-1:1"} {
		if _, err := mustLoad(t, "").Topic(map[string]string{"leader.replication.throttled.replicas": list}); err == nil {
			t.Errorf("%q was accepted", list)
		}
	}
}
