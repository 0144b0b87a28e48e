package group

import (
	"fmt"
	"testing"

	"github.com/monedula/monedula/protocol"
)

// A group finds its members and counts their protocols correctly, whether it has few members or
// many, and after members have left, got a new id or changed their protocols.
func TestMembersAreFoundInGroupsOfAnySize(t *testing.T) {
	for _, size := range []int{1, smallMapMax, smallMapMax + 1, 5 * smallMapMax} {
		ms := &members{}
		for i := range size {
			instance := fmt.Sprint("instance-", i)
			ms.add(&Member{ID: fmt.Sprint("m-", i), InstanceID: &instance, protocols: []Protocol{{Name: "range"}}})
		}
		first := ms.get("m-0")
		ms.rename(first, "new")
		ms.offer(first, []Protocol{{Name: "range"}, {Name: "sticky"}}, 1, 1)
		if ms.get("m-0") != nil || ms.get("new") != first || ms.leader != "new" {
			t.Errorf("with %d members the renamed one must be found by its new id only", size)
		}
		if all, one := ms.supporters("range"), ms.supporters("sticky"); all != size || one != 1 {
			t.Errorf("of %d members %d offer range and %d offer sticky; want all and 1", size, all, one)
		}
		if chosen := *ms.selectProtocol(); chosen != "range" {
			t.Errorf("%d members choose %q, want range", size, chosen)
		}
		for i := 1; i < size; i++ {
			ms.remove(fmt.Sprint("m-", i))
		}
		if all := ms.supporters("range"); ms.size != 1 || all != 1 || ms.get("m-1") != nil {
			t.Errorf("of %d members %d are left, %d of which offer range; want 1 and 1", size, ms.size, all)
		}
		ms.remove("new")
		if ms.size != 0 || ms.supporters("range") != 0 || ms.supporters("sticky") != 0 || ms.leader != "" {
			t.Errorf("the group of %d members is not empty after all have been removed", size)
		}
	}
}

func membersOf(ids ...string) *members {
	ms := &members{}
	for _, id := range ids {
		ms.add(&Member{ID: id})
	}
	return ms
}

// A rebalance is complete once each member has a parked JoinGroup request and no new member has yet
// to join again with its new id. Members that leave no longer count.
func TestAllHaveJoinedOnceNoneIsMissing(t *testing.T) {
	ms := membersOf("a", "b")
	ms.await("c", at(1))
	expect := func(after string, want bool) {
		t.Helper()
		if got := ms.allJoined(); got != want {
			t.Errorf("after %s all have joined: %t, want %t", after, got, want)
		}
	}
	ms.park(ms.get("a"), make(chan JoinResult, 1))
	ms.park(ms.get("b"), make(chan JoinResult, 1))
	expect("the members have joined", false)
	ms.add(&Member{ID: "c", join: make(chan JoinResult, 1)})
	expect("the pending one has joined, too", true)
	if to := ms.unpark(ms.get("b")); to == nil || ms.get("b").join != nil {
		t.Error("the parked request is not returned or not removed")
	}
	expect("an answer", false)
	ms.remove("b")
	expect("its member has left", true)
	ms.remove("a")
	if expect("a member whose request is parked has left", true); ms.parked != 1 {
		t.Errorf("%d requests are parked, want that of c", ms.parked)
	}
}

func TestTheTimeToSyncEndsWithTheLastMember(t *testing.T) {
	ms := membersOf("a", "b", "c")
	ms.awaitSync(at(5))
	ms.synced(ms.get("a"))
	ms.synced(ms.get("a"))
	ms.remove("b")
	if ms.unsynced != 1 || ms.syncBy != at(5) {
		t.Errorf("%d members have until %v, want one until %v", ms.unsynced, ms.syncBy, at(5))
	}
	ms.synced(ms.get("c"))
	if ms.unsynced != 0 || !ms.syncBy.IsZero() {
		t.Errorf("%d members have until %v, want none", ms.unsynced, ms.syncBy)
	}
	ms.awaitSync(at(6))
	ms.forgetUnsynced()
	if ms.unsynced != 0 || !ms.syncBy.IsZero() || ms.get("a").unsynced {
		t.Errorf("%d members have until %v, want none", ms.unsynced, ms.syncBy)
	}
}

func TestTheFirstMemberLeads(t *testing.T) {
	ms := membersOf("a", "b", "c")
	for _, want := range []string{"a", "b", "c", ""} {
		if ms.leader != want {
			t.Errorf("%q leads, want %q", ms.leader, want)
		}
		ms.remove(want)
	}
}

// A request of a static member must have both its instance id and its latest member id.
func TestAnInstanceIDBelongsToOneMember(t *testing.T) {
	instance, other := "i", "o"
	ms := membersOf("a")
	ms.add(&Member{ID: "s-1", InstanceID: &instance})
	ms.rename(ms.get("s-1"), "s-2")
	for _, c := range []struct {
		id       string
		instance *string
		want     protocol.ErrorCode
	}{
		{"a", nil, protocol.None}, {"s-2", nil, protocol.None}, {"s-2", &instance, protocol.None},
		{"s-1", &instance, protocol.FencedInstanceID}, {"a", &instance, protocol.FencedInstanceID},
		{"s-1", nil, protocol.UnknownMemberID}, {"s-2", &other, protocol.UnknownMemberID},
	} {
		if got := ms.check(c.id, c.instance); got != c.want {
			t.Errorf("%s with the instance %s: %s, want %s", c.id, optional(c.instance), got.Name(), c.want.Name())
		}
	}
	ms.remove("s-2")
	if got := ms.check("s-2", &instance); got != protocol.UnknownMemberID {
		t.Errorf("after it left: %s", got.Name())
	}
}
