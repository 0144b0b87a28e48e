package group

import (
	"slices"
	"time"

	"github.com/monedula/monedula/protocol"
)

// Member is one member of a group.
type Member struct {
	ID         string
	InstanceID *string // group.instance.id; nil for a dynamic member
	ClientID   string
	ClientHost string // in Java's format: "/127.0.0.1"

	RebalanceTimeoutMs int32
	SessionTimeoutMs   int32

	protocols  []Protocol // in the order of preference
	assignment []byte

	join     chan<- JoinResult // its parked JoinGroup; nil: none
	sync     chan<- SyncResult // its parked SyncGroup; nil: none
	isNew    bool              // its first JoinGroup has not been answered
	unsynced bool              // it has not sent SyncGroup in this generation
	expires  time.Time         // the end of its session

	previous, next *Member // in the group's list
}

// Protocol is a protocol that a member offers, with its metadata for the group's leader.
type Protocol struct {
	Name     string
	Metadata []byte
}

// metadata returns the member's metadata for a protocol.
func (m *Member) metadata(protocol string) []byte {
	for _, p := range m.protocols {
		if p.Name == protocol {
			return p.Metadata
		}
	}
	return nil
}

// offers reports whether the member's protocols are the given ones, in the same order and with the
// same metadata.
func (m *Member) offers(protocols []Protocol) bool {
	return slices.EqualFunc(m.protocols, protocols, func(a, b Protocol) bool {
		return a.Name == b.Name && string(a.Metadata) == string(b.Metadata)
	})
}

// members are the members of a group, in the order in which they joined, with the counts that show
// how far a rebalance is. The zero value is empty.
type members struct {
	memberList
	index   *index               // nil if there are few members
	static  map[string]string    // group.instance.id to member id
	pending map[string]time.Time // ids given to new members that must join again: when they expire
	leader  string               // member id, "" for none

	parked   int32     // members with a parked JoinGroup
	unsynced int32     // members that have not synced in this generation
	syncBy   time.Time // when members that have not synced are removed; zero: never
}

// add adds a member, which may have been pending.
func (ms *members) add(m *Member) {
	if m.InstanceID != nil {
		if ms.static == nil {
			ms.static = map[string]string{}
		}
		ms.static[*m.InstanceID] = m.ID
	}
	if ms.leader == "" {
		ms.leader = m.ID
	}
	ms.memberList.add(m)
	ms.indexed(m)
	if m.join != nil {
		ms.parked++
	}
	delete(ms.pending, m.ID)
}

// remove removes the member or pending member. Its parked requests must have been answered unless
// they need no answer.
func (ms *members) remove(id string) {
	if m := ms.get(id); m != nil {
		ms.unindexed(m)
		if m.join != nil {
			ms.parked--
		}
		ms.synced(m)
		if m.InstanceID != nil {
			delete(ms.static, *m.InstanceID)
		}
		ms.memberList.remove(m)
	}
	if ms.leader == id {
		ms.leader = ""
		if first := ms.first; first != nil {
			ms.leader = first.ID
		}
	}
	delete(ms.pending, id)
}

// await adds a pending member, whose id expires at the given time unless it joins.
func (ms *members) await(id string, expires time.Time) {
	if ms.pending == nil {
		ms.pending = map[string]time.Time{}
	}
	ms.pending[id] = expires
}

// rename gives a static member another id.
func (ms *members) rename(m *Member, id string) {
	if ms.leader == m.ID {
		ms.leader = id
	}
	ms.unindexed(m)
	m.ID = id
	ms.indexed(m)
	ms.static[*m.InstanceID] = id
}

// offer changes the protocols and timeouts of a member.
func (ms *members) offer(m *Member, protocols []Protocol, rebalanceMs, sessionMs int32) {
	ms.unindexed(m)
	m.protocols, m.RebalanceTimeoutMs, m.SessionTimeoutMs = protocols, rebalanceMs, sessionMs
	ms.indexed(m)
}

// park keeps the channel that answers the member's JoinGroup request. The member must have none
// parked.
func (ms *members) park(m *Member, to chan<- JoinResult) {
	m.join = to
	ms.parked++
}

// unpark returns the channel of the member's parked JoinGroup request, which the caller answers.
func (ms *members) unpark(m *Member) chan<- JoinResult {
	to := m.join
	m.join = nil
	ms.parked--
	return to
}

// allJoined reports whether all members have a parked JoinGroup request and no member is pending.
func (ms *members) allJoined() bool {
	return int(ms.parked) == ms.size && len(ms.pending) == 0
}

// awaitSync begins to wait for the SyncGroup of all members, until by.
func (ms *members) awaitSync(by time.Time) {
	for _, m := range ms.all() {
		m.unsynced = true
	}
	ms.unsynced, ms.syncBy = int32(ms.size), by
}

// synced records that the member has sent SyncGroup or is being removed.
func (ms *members) synced(m *Member) {
	if m.unsynced {
		m.unsynced = false
		ms.unsynced--
	}
	if ms.unsynced == 0 {
		ms.syncBy = time.Time{}
	}
}

// forgetUnsynced stops waiting for SyncGroups.
func (ms *members) forgetUnsynced() {
	for _, m := range ms.all() {
		m.unsynced = false
	}
	ms.unsynced, ms.syncBy = 0, time.Time{}
}

// selectProtocol returns the protocol with the most votes. Every member votes for the first of its
// protocols that all members support. In a tie the protocol that comes first in the order of
// members and their protocols wins.
func (ms *members) selectProtocol() *string {
	votes := map[string]int{}
	none := ""
	best := &none
	for _, m := range ms.all() {
		for _, p := range m.protocols {
			if ms.allSupport(p.Name) {
				votes[p.Name]++
				break
			}
		}
	}
	for _, m := range ms.all() {
		for i, p := range m.protocols {
			if votes[p.Name] > votes[*best] {
				best = &m.protocols[i].Name
			}
		}
	}
	return best
}

// allSupport reports whether all members offer the protocol.
func (ms *members) allSupport(protocol string) bool { return ms.supporters(protocol) == ms.size }

// rebalanceTimeout returns the longest rebalance timeout of the members.
func (ms *members) rebalanceTimeout() time.Duration {
	longest := int32(0)
	for _, m := range ms.all() {
		longest = max(longest, m.RebalanceTimeoutMs)
	}
	return millis(longest)
}

// joined returns what the leader learns of the members.
func (ms *members) joined(protocol string) []JoinedMember {
	list := make([]JoinedMember, ms.size)
	for i, m := range ms.all() {
		list[i] = JoinedMember{m.ID, m.InstanceID, m.metadata(protocol)}
	}
	return list
}

// check returns an error code unless the member exists and, if an instance id is given, that id
// belongs to it.
func (ms *members) check(memberID string, instanceID *string) protocol.ErrorCode {
	if instanceID != nil {
		switch current, known := ms.static[*instanceID]; {
		case !known:
			return protocol.UnknownMemberID
		case current != memberID:
			return protocol.FencedInstanceID
		}
	}
	if ms.get(memberID) == nil {
		return protocol.UnknownMemberID
	}
	return protocol.None
}
