package controller

import (
	"testing"

	"github.com/monedula/monedula/metadata"
)

// The expected strings are those of liveBrokerIds in the ControllerContext of 3.9.1.
func TestLiveBrokersAreListedInTheOrderOfKafka(t *testing.T) {
	for _, c := range []struct {
		ids  []metadata.BrokerID
		want string
	}{
		{nil, "Set()"},
		{[]metadata.BrokerID{0, 1, 2, 3}, "Set(0, 1, 2, 3)"},
		{[]metadata.BrokerID{3, 17}, "Set(17, 3)"},
		{[]metadata.BrokerID{1, 16, 17, 1000}, "Set(16, 1, 17, 1000)"},
		{[]metadata.BrokerID{1, 3, 4, 20, 21}, "HashSet(20, 1, 21, 3, 4)"},
		{[]metadata.BrokerID{0, 1, 2, 3, 4, 5}, "HashSet(0, 5, 1, 2, 3, 4)"},
	} {
		if have := liveText(c.ids); have != c.want {
			t.Errorf("%v: %s, want %s", c.ids, have, c.want)
		}
	}
}
