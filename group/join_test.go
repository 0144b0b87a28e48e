package group

import (
	"testing"
	"time"

	"github.com/monedula/monedula/protocol"
)

// A member must name a protocol type and at least one protocol, even if the group is empty.
func TestAnEmptyGroupRefusesMembersWithoutProtocols(t *testing.T) {
	for what, change := range map[string]func(*JoinRequest){
		"no protocol type": func(r *JoinRequest) { r.ProtocolType = "" },
		"no protocols":     func(r *JoinRequest) { r.Protocols = nil },
		"neither":          func(r *JoinRequest) { r.ProtocolType, r.Protocols = "", nil },
	} {
		for _, static := range []bool{false, true} {
			g := New("g", Rules{MaxSize: 5}, time.UnixMilli(5))
			req := joinAs("a")
			req.NewMemberID = "a-1"
			if static {
				instance := "i"
				req.InstanceID = &instance
			}
			change(&req)
			e := g.Join(time.UnixMilli(6), req, make(chan JoinResult, 1))
			if len(e.Joins) != 1 || e.Joins[0].Result.Err != protocol.InconsistentGroupProtocol || g.state != Empty || g.members.size != 0 {
				t.Errorf("%s, static %t: answers %+v, the group is %s and has %d members", what, static, e.Joins, g.state, g.members.size)
			}
		}
	}
}
