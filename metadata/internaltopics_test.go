package metadata

import "testing"

func TestTopicsOfCoordinatorsAreInternal(t *testing.T) {
	for topic, want := range map[string]bool{
		"__consumer_offsets": true, "__transaction_state": true, "__share_group_state": true,
		"__cluster_metadata": false, "__mine": false, "t": false, "": false,
	} {
		if got := IsInternal(topic); got != want {
			t.Errorf("IsInternal(%q) is %v", topic, got)
		}
	}
}
