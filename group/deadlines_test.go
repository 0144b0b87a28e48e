package group

import (
	"fmt"
	"math/rand"
	"testing"
	"time"

	"github.com/monedula/monedula/protocol"
)

// clocked is a group whose clock the test advances second by second. Answers are sent and records
// are stored at once.
type clocked struct {
	now   time.Time
	group *Group
}

func newClocked() *clocked {
	now := time.Unix(1_700_000_000, 0)
	return &clocked{now: now, group: New("g", Rules{MaxSize: 1000}, now)}
}

func (c *clocked) carryOut(e *Effects) {
	for e != nil {
		for _, a := range e.Joins {
			a.To <- a.Result
		}
		for _, a := range e.Syncs {
			a.To <- a.Result
		}
		store := e.Store
		if e = nil; store != nil {
			e = c.group.Stored(c.now, store, protocol.None)
		}
	}
}

func (c *clocked) join(id, newID string, instance *string, rebalance time.Duration) {
	c.carryOut(c.group.Join(c.now, JoinRequest{MemberID: id, NewMemberID: newID, InstanceID: instance, SessionTimeoutMs: 10_000,
		RebalanceTimeoutMs: int32(rebalance.Milliseconds()), ProtocolType: "consumer", Protocols: []Protocol{{"range", subscription("t")}}}, make(chan JoinResult, 1)))
}

func (c *clocked) sync(id string, instance *string, assignments map[string][]byte) chan SyncResult {
	answer := make(chan SyncResult, 1)
	c.carryOut(c.group.Sync(c.now, SyncRequest{MemberID: id, InstanceID: instance, Generation: c.group.Generation(), Assignments: assignments}, answer))
	return answer
}

// pass advances the clock by most, or until the condition until (if not nil) holds. The members in
// alive send heartbeats each second.
func (c *clocked) pass(most time.Duration, until func() bool, alive ...string) {
	for end := c.now.Add(most); c.now.Before(end) && (until == nil || !until()); {
		c.now = c.now.Add(time.Second)
		for _, id := range alive {
			c.group.Heartbeat(c.now, id, nil, c.group.Generation())
		}
		c.carryOut(c.group.Expire(c.now))
	}
}

// The leader takes 15 s to assign, longer than the sessions of 10 s. Then a new member joins and
// the waiting SyncGroup requests are refused. The rebalance waits for a member that is dead by then
// until its session expires, not for the rebalance timeout of 5 minutes.
func TestARebalanceDoesNotWaitForADeadMemberWhoseSyncWasRefused(t *testing.T) {
	const rebalance = 5 * time.Minute
	c := newClocked()
	c.join("", "L", nil, rebalance)
	c.sync("L", nil, map[string][]byte{"L": {1}})
	c.join("", "A", nil, rebalance)
	c.join("", "B", nil, rebalance)
	c.join("L", "", nil, rebalance)
	if c.group.State() != CompletingRebalance {
		t.Fatal(c.group.State())
	}
	c.sync("A", nil, nil)
	c.sync("B", nil, nil)
	c.pass(15*time.Second, nil, "L")
	c.join("", "C", nil, rebalance)
	c.join("B", "", nil, rebalance)
	c.join("L", "", nil, rebalance)
	began := c.now
	c.pass(time.Hour, func() bool { return c.group.State() != PreparingRebalance })
	if took := c.now.Sub(began); took > 11*time.Second {
		t.Errorf("the rebalance waited %v for a dead member with a session of 10 s", took)
	}
}

// A new member that is parked cannot send heartbeats, and its client may be dead. It is removed
// after five minutes, as in Kafka, although its first JoinGroup request is still parked in a longer
// rebalance.
func TestANewMemberIsRemovedWhileItsFirstJoinIsParked(t *testing.T) {
	c := newClocked()
	c.join("", "L", nil, time.Hour)
	c.sync("L", nil, map[string][]byte{"L": {1}})
	c.join("", "N", nil, time.Hour)
	if c.group.State() != PreparingRebalance || c.group.Size() != 2 {
		t.Fatal(c.group.State(), c.group.Size())
	}
	began := c.now
	c.pass(30*time.Minute, func() bool { return c.group.Size() == 1 }, "L")
	if took := c.now.Sub(began); took != newMemberTimeout {
		t.Errorf("the group is %v with %d members after %v, want one member after %v", c.group.State(), c.group.Size(), took, newMemberTimeout)
	}
}

// A static member whose SyncGroup request was refused is removed when its session expires. No
// rebalance removes it.
func TestAStaticMemberWhoseSyncWasRefusedExpires(t *testing.T) {
	c := newClocked()
	s := "s"
	c.join("", "L", nil, time.Minute)
	c.sync("L", nil, map[string][]byte{"L": {1}})
	c.join("", "S-1", &s, time.Minute)
	c.join("L", "", nil, time.Minute)
	if c.group.State() != CompletingRebalance || c.group.Generation() != 2 {
		t.Fatal(c.group.State(), c.group.Generation())
	}
	answer := c.sync("S-1", &s, nil)
	c.pass(61*time.Second, nil, "L") // L never syncs and is removed after the rebalance timeout
	select {
	case r := <-answer:
		if r.Err != protocol.RebalanceInProgress {
			t.Fatalf("the static member's SyncGroup is answered with %v", r.Err)
		}
	default:
		t.Fatalf("the SyncGroup is still parked, the group is %v", c.group.State())
	}
	c.pass(time.Hour, nil)
	if c.group.Size() != 0 || c.group.State() != Empty {
		t.Errorf("an hour after the member died the group is %v with %d members, want Empty with none", c.group.State(), c.group.Size())
	}
}

// If storing the replacement of a static member takes longer than its session lasts, the member
// still has a session afterwards.
func TestAStaticMemberWhoseReplacementIsStoredLateExpires(t *testing.T) {
	c := newClocked()
	s := "s"
	c.join("", "S-1", &s, time.Minute)
	c.sync("S-1", &s, map[string][]byte{"S-1": {1}})
	answer := make(chan JoinResult, 1)
	e := c.group.Join(c.now, JoinRequest{NewMemberID: "S-2", InstanceID: &s, SessionTimeoutMs: 10_000, RebalanceTimeoutMs: 60_000,
		ProtocolType: "consumer", Protocols: []Protocol{{"range", subscription("t")}}}, answer)
	if e.Store == nil {
		t.Fatal("the new id is not stored")
	}
	c.pass(11*time.Second, nil)
	c.carryOut(c.group.Stored(c.now, e.Store, protocol.None))
	if r := <-answer; r.Err != protocol.None || r.MemberID != "S-2" {
		t.Fatalf("%+v", r)
	}
	c.pass(time.Hour, nil)
	if c.group.Size() != 0 {
		t.Errorf("an hour after the member died the group is %v with %d members", c.group.State(), c.group.Size())
	}
}

// randomSteps drives a group with random steps, in any order and at any time.
type randomSteps struct {
	rand   *rand.Rand
	now    time.Time
	group  *Group
	stores []*Store
	ids    int
}

func (d *randomSteps) take(e *Effects) {
	for _, a := range e.Joins {
		a.To <- a.Result // blocks if a request is answered twice
	}
	for _, a := range e.Syncs {
		a.To <- a.Result
	}
	if e.Store != nil {
		d.stores = append(d.stores, e.Store)
	}
}

// anyMember returns the ids of a random member, or an unknown id.
func (d *randomSteps) anyMember() (id string, instance *string) {
	if n := d.group.Size(); n > 0 && d.rand.Intn(8) > 0 {
		wanted := d.rand.Intn(n)
		for i, m := range d.group.members.all() {
			if i == wanted {
				return m.ID, m.InstanceID
			}
		}
	}
	return "unknown", nil
}

func (d *randomSteps) step() {
	g := d.group
	generation := g.Generation() - int32(d.rand.Intn(8)/7)
	switch d.rand.Intn(9) {
	case 0: // a new member, or a static one that returns
		d.ids++
		req := JoinRequest{NewMemberID: fmt.Sprint("m", d.ids), SessionTimeoutMs: 10_000, RebalanceTimeoutMs: 20_000, ProtocolType: "consumer",
			Protocols: []Protocol{{"range", subscription("t")}}, IDFirst: d.rand.Intn(2) == 0, MaySkipAssignment: d.rand.Intn(2) == 0}
		if d.rand.Intn(3) == 0 {
			instance := fmt.Sprint("i", d.rand.Intn(3))
			req.InstanceID, req.IDFirst = &instance, false
		}
		d.take(g.Join(d.now, req, make(chan JoinResult, 1)))
	case 1, 2:
		id, instance := d.anyMember()
		if pending := sortedKeys(g.members.pending); len(pending) > 0 && d.rand.Intn(2) == 0 {
			id, instance = pending[0], nil
		}
		d.take(g.Join(d.now, JoinRequest{MemberID: id, InstanceID: instance, SessionTimeoutMs: 10_000, RebalanceTimeoutMs: 20_000, ProtocolType: "consumer",
			Protocols: []Protocol{{"range", subscription(fmt.Sprint("t", d.rand.Intn(3)))}}}, make(chan JoinResult, 1)))
	case 3, 4:
		id, instance := d.anyMember()
		d.take(g.Sync(d.now, SyncRequest{MemberID: id, InstanceID: instance, Generation: generation, Assignments: map[string][]byte{id: {1}}}, make(chan SyncResult, 1)))
	case 5:
		id, instance := d.anyMember()
		g.Heartbeat(d.now, id, instance, generation)
	case 6:
		if id, instance := d.anyMember(); d.rand.Intn(4) == 0 {
			_, _, e := g.Leave(d.now, []Leaving{{MemberID: id, InstanceID: instance}})
			d.take(e)
		}
	case 7:
		if len(d.stores) > 0 {
			s := d.stores[0]
			d.stores = d.stores[1:]
			d.take(g.Stored(d.now, s, []protocol.ErrorCode{protocol.None, protocol.None, protocol.NotCoordinator}[d.rand.Intn(3)]))
		}
	case 8:
		d.now = d.now.Add(time.Duration(d.rand.Intn(8_000)) * time.Millisecond)
		if at, any := g.Deadline(); any && !d.now.Before(at) {
			d.take(g.Expire(d.now))
		}
	}
}

// problem describes what is wrong with the deadlines. It returns "" if they are right.
func (d *randomSteps) problem() string {
	g := d.group
	wake, any := g.Deadline()
	late := func(at time.Time) bool { return !at.IsZero() && (!any || wake.After(at)) }
	for _, m := range g.members.all() {
		switch {
		case m.expires.IsZero() && m.join == nil && m.sync == nil:
			return fmt.Sprintf("member %s has neither a session nor a parked request", m.ID)
		case late(m.expires):
			return fmt.Sprintf("the deadline is after the end of the session of %s", m.ID)
		}
	}
	for id, at := range g.members.pending {
		if late(at) {
			return fmt.Sprintf("the deadline is after the expiry of the pending member %s", id)
		}
	}
	if g.state == PreparingRebalance && late(g.join.at) || late(g.members.syncBy) {
		return "the deadline is after the end of the rebalance or of the time to sync"
	}
	if g.state == CompletingRebalance && g.members.unsynced > 0 && g.members.syncBy.IsZero() {
		return "the group waits for SyncGroups without a deadline"
	}
	return ""
}

func TestEveryMemberHasASessionOrAParkedRequest(t *testing.T) {
	for seed := range int64(300) {
		now := time.Unix(1_700_000_000, 0)
		d := &randomSteps{rand: rand.New(rand.NewSource(seed)), now: now, group: New("g", Rules{MaxSize: 5}, now)}
		for step := range 400 {
			d.step()
			if p := d.problem(); p != "" {
				t.Fatalf("seed %d, step %d: %s", seed, step, p)
			}
		}
		// All members are dead now, so the group becomes empty in the end.
		for range 200 {
			at, any := d.group.Deadline()
			if !any && len(d.stores) == 0 {
				break
			}
			if any {
				d.now = at
				d.take(d.group.Expire(d.now))
			}
			for len(d.stores) > 0 {
				s := d.stores[0]
				d.stores = d.stores[1:]
				d.take(d.group.Stored(d.now, s, protocol.None))
			}
		}
		if d.group.Size() != 0 || d.group.State() != Empty {
			t.Fatalf("seed %d: long after all members died the group is %v with %d members", seed, d.group.State(), d.group.Size())
		}
	}
}
