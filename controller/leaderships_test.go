package controller

import (
	"errors"
	"slices"
	"testing"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

// Each state of a write is stored, reported as failed, or returned as changed in the meantime. The
// context has only what ZooKeeper has.
func TestEachWrittenStateHasOneResult(t *testing.T) {
	p := newParts(t, 0)
	p.create("t", replicas(0), replicas(0), replicas(0))
	written, changed, missing := tp("t", 0), tp("t", 1), tp("t", 2)
	states := map[TopicPartition]zkstore.PartitionState{}
	for _, at := range []TopicPartition{written, changed, missing} {
		states[at] = nextEpoch(*p.c.leadership(at))
	}
	p.store.conflicts[changed] = 1
	delete(p.store.states, missing)
	outcomes := map[TopicPartition]electionOutcome{}
	conflicts, err := p.leaderships.write(p.ctx, states, func(at TopicPartition, o electionOutcome) { outcomes[at] = o })
	if err != nil || !slices.Equal(conflicts, []TopicPartition{changed}) || len(outcomes) != 2 {
		t.Fatalf("conflicts %v, outcomes %v, %v", conflicts, outcomes, err)
	}
	if o := outcomes[written]; o.err != nil || o.state.Version != p.store.states[written].Version || p.c.leadership(written).LeaderEpoch != 1 {
		t.Errorf("%+v; the context has %s", o, stateText(*p.c.leadership(written)))
	}
	if o := outcomes[missing]; !errors.Is(o.err, zkstore.ErrNoNode) {
		t.Errorf("a missing state: %v", o.err)
	}
	for _, at := range []TopicPartition{changed, missing} {
		if epoch := p.c.leadership(at).LeaderEpoch; epoch != 0 {
			t.Errorf("%s was not written, but the context has its leader epoch %d", at, epoch)
		}
	}
	p.store.fail["SetPartitionStates"] = zkstore.ErrControllerMoved
	_, err = p.leaderships.write(p.ctx, states, func(at TopicPartition, o electionOutcome) {
		t.Errorf("%s has the outcome %v although the event has ended", at, o)
	})
	if !moved(err) {
		t.Errorf("the error of a deposed controller is %v", err)
	}
}

// A state that is missing or invalid in ZooKeeper is kept, and one of a later controller is adopted
// but not decided on.
func TestReadStatesAreAdopted(t *testing.T) {
	p := newParts(t, 0, 1)
	p.create("t", replicas(0, 1), replicas(0, 1))
	foreign, missing := tp("t", 0), tp("t", 1)
	p.store.putState(foreign, zkstore.PartitionState{ControllerEpoch: 2, Leader: 1, ISR: []metadata.BrokerID{1}})
	delete(p.store.states, missing)
	if err := p.leaderships.read(p.ctx, []TopicPartition{foreign, missing}); err != nil {
		t.Fatal(err)
	}
	if a, b := p.c.leadership(foreign).Leader, p.c.leadership(missing).Leader; a != 1 || b != 0 {
		t.Errorf("leaders %d and %d, want 1 and 0", a, b)
	}
	for at, known := range map[TopicPartition]bool{foreign: true, missing: false} {
		if err := p.leaderships.check(at, *p.c.leadership(at), known); !errors.Is(err, errStateChange) {
			t.Errorf("%s: %v", at, err)
		}
	}
	if err := p.leaderships.check(missing, *p.c.leadership(missing), true); err != nil {
		t.Errorf("a state of this controller: %v", err)
	}
}
