package group

import (
	"fmt"
	"testing"
	"time"

	"github.com/monedula/monedula/protocol"
)

// A member may offer very many protocols to a group that already has as many. Comparing them in
// quadratic time would hold the group's lock for hours.
func TestManyProtocolsAreComparedOnce(t *testing.T) {
	const many = 300_000
	offer := func(prefix string) []Protocol {
		protocols := make([]Protocol, many)
		for i := range protocols {
			protocols[i].Name = fmt.Sprint(prefix, i)
		}
		return protocols
	}
	g := New("g", Rules{MaxSize: 100}, time.UnixMilli(0))
	join := func(id string, protocols []Protocol) protocol.ErrorCode {
		slot := make(chan JoinResult, 1)
		e := g.Join(time.UnixMilli(0), JoinRequest{NewMemberID: id, SessionTimeoutMs: 10_000, RebalanceTimeoutMs: 10_000,
			ProtocolType: "consumer", Protocols: protocols}, slot)
		for _, a := range e.Joins {
			if a.To == slot {
				return a.Result.Err
			}
		}
		return protocol.None
	}
	if code := join("a", offer("p")); code != protocol.None {
		t.Fatal(code)
	}
	if code := join("b", offer("other")); code != protocol.InconsistentGroupProtocol {
		t.Errorf("nothing in common: %s", code)
	}
	if code := join("c", append(offer("other"), Protocol{Name: "p7"})); code != protocol.None {
		t.Errorf("one in common: %s", code)
	}
	if chosen := *g.members.selectProtocol(); chosen != "p7" {
		t.Errorf("the group chooses %q", chosen)
	}
}
