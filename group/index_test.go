package group

import (
	"fmt"
	"testing"
	"time"
)

// A group finds its members and counts their protocols correctly, whether it has few members or
// many, and after members have left, got a new id or changed their protocols.
func TestMembersAreFoundInGroupsOfAnySize(t *testing.T) {
	for _, size := range []int{1, smallMapMax, smallMapMax + 1, 5 * smallMapMax} {
		g := New("g", Rules{}, time.UnixMilli(0))
		for i := range size {
			instance := fmt.Sprint("instance-", i)
			g.add(&Member{ID: fmt.Sprint("m-", i), InstanceID: &instance, protocols: []Protocol{{Name: "range"}}})
		}
		first := g.member("m-0")
		g.rename(first, "new")
		g.offer(first, []Protocol{{Name: "range"}, {Name: "sticky"}}, 1, 1)
		if g.member("m-0") != nil || g.member("new") != first || g.leader != "new" {
			t.Errorf("with %d members the renamed one is not found by its new id only", size)
		}
		if all, one := g.supporters("range"), g.supporters("sticky"); all != size || one != 1 {
			t.Errorf("of %d members %d offer range and %d offer sticky; want all and 1", size, all, one)
		}
		if chosen := *g.selectProtocol(); chosen != "range" {
			t.Errorf("%d members choose %q, want range", size, chosen)
		}
		for i := 1; i < size; i++ {
			g.remove(fmt.Sprint("m-", i))
		}
		if all := g.supporters("range"); g.members.size != 1 || all != 1 || g.member("m-1") != nil {
			t.Errorf("of %d members %d are left, %d of which offer range; want 1 and 1", size, g.members.size, all)
		}
		g.remove("new")
		if g.Size() != 0 || g.supporters("range") != 0 || g.supporters("sticky") != 0 || g.leader != "" {
			t.Errorf("the group of %d members is not empty after all have been removed", size)
		}
	}
}
