package controller

import (
	"slices"
	"testing"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

// A replica restarted unseen if its broker registered after the state was written. It does not
// count if no in-sync replica is safer, if it is offline, or if its topic is to be deleted.
func TestUnseenRestartsAreReplicasThatRegisteredAfterTheState(t *testing.T) {
	p := newParts(t, 0, 1, 2) // registered with the epochs 101, 102 and 103
	for topic, zxid := range map[string]int64{"before": 103, "between": 102, "after": 100, "deleted": 102} {
		p.c.setAssignment(tp(topic, 0), replicas(0, 1, 2))
		p.c.setLeadership(tp(topic, 0), zkstore.PartitionState{Leader: 2, ISR: []metadata.BrokerID{0, 1, 2}, Zxid: zxid})
	}
	p.c.deletionQueue.add("deleted")
	p.c.setAssignment(tp("new", 0), replicas(0, 1, 2))
	if got, want := p.c.unseenRestarts(), []replicaID{{tp("between", 0), 2}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	p.c.setServed(replicaID{tp("between", 0), 2}, false)
	if got := p.c.unseenRestarts(); len(got) > 0 {
		t.Errorf("offline, but got %v", got)
	}
}
