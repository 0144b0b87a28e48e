package group

import (
	"fmt"
	"slices"
	"time"

	"github.com/monedula/monedula/protocol"
)

// State is the state of a group.
type State int8

// The states of a group. Dead is final: the group was deleted, or another broker leads its
// partition of the offsets topic now.
const (
	Empty State = iota
	PreparingRebalance
	CompletingRebalance
	Stable
	Dead
)

// String returns Kafka's name of the state, as in DescribeGroups and ListGroups.
func (s State) String() string {
	return [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"}[s]
}

// noTime is the time of a state if it was loaded from an old record without one.
const noTime int64 = -1

// newMemberTimeout is how long the first JoinGroup of a member may be parked. The member does not
// know its id yet and cannot send heartbeats.
const newMemberTimeout = 5 * time.Minute

// Rules are the settings of a group.
type Rules struct {
	InitialDelay time.Duration // group.initial.rebalance.delay.ms
	MaxSize      int           // group.max.size
}

// Group is a consumer group, as a state machine without locks, clocks or I/O. Every step is given
// the time and returns Effects to carry out. A parked request is a channel with one slot in its
// member; a step never sends on it.
//
// A group behaves as in Kafka's classic group coordinator (3.9.1).
type Group struct {
	ID    string
	rules Rules

	state        State
	generation   int32
	stateSince   int64   // ms; noTime if it was loaded from a record without a time
	protocolType string  // "" for a group that only has offsets
	protocol     *string // may point to a name in a member's protocols, which do not change
	leader       string  // member id, "" for none

	members  memberList
	index    *index               // of the members; nil if they are few
	static   map[string]string    // group.instance.id to member id
	parked   int32                // members with a parked JoinGroup
	unsynced int32                // members that have not synced in this generation
	pending  map[string]time.Time // ids given to new members that must join again: when they expire
	// subscribed are the topics of a group of type consumer, sorted; nil if unknown.
	subscribed []string

	join   *joinTimer // of the rebalance that is being prepared; nil: none
	syncBy time.Time  // when members that have not synced are removed; zero: never

	offsets offsets

	// wake is not after the earliest deadline of the group; zero: no deadline.
	wake time.Time
}

// joinTimer is the deadline of a rebalance.
type joinTimer struct {
	at       time.Time
	initial  bool          // the initial delay of an empty group, which does not end early
	left     time.Duration // by how much an initial delay may still be extended; otherwise 0
	newcomer bool          // a member joined during an initial delay of generation 0
}

// New returns an empty group.
func New(id string, rules Rules, now time.Time) *Group {
	return &Group{ID: id, rules: rules, stateSince: now.UnixMilli()}
}

// Protocol is a protocol that a member offers, with its metadata for the group's leader.
type Protocol struct {
	Name     string
	Metadata []byte
}

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

// State returns the group's state.
func (g *Group) State() State { return g.state }

// Generation returns the number of completed rebalances.
func (g *Group) Generation() int32 { return g.generation }

// Size returns the number of members, without pending ones.
func (g *Group) Size() int { return g.members.size }

func (g *Group) become(s State, now time.Time) {
	g.state, g.stateSince = s, now.UnixMilli()
}

// hasProtocolType reports whether any member has ever joined.
func (g *Group) hasProtocolType() bool { return g.protocolType != "" }

// consumerProtocol is the protocol type of consumers.
const consumerProtocol = "consumer"

func (g *Group) add(m *Member) {
	if m.InstanceID != nil {
		if g.static == nil {
			g.static = map[string]string{}
		}
		g.static[*m.InstanceID] = m.ID
	}
	if g.leader == "" {
		g.leader = m.ID
	}
	g.members.add(m)
	g.indexed(m)
	if m.join != nil {
		g.parked++
	}
	delete(g.pending, m.ID)
}

// remove removes the member or pending member. Its parked requests must have been answered unless
// they need no answer.
func (g *Group) remove(id string) {
	if m := g.member(id); m != nil {
		g.unindexed(m)
		if m.join != nil {
			g.parked--
		}
		g.synced(m)
		if m.InstanceID != nil {
			delete(g.static, *m.InstanceID)
		}
		g.members.remove(m)
	}
	if g.leader == id {
		g.leader = ""
		if first := g.members.first; first != nil {
			g.leader = first.ID
		}
	}
	delete(g.pending, id)
}

// synced records that the member has sent SyncGroup or is being removed.
func (g *Group) synced(m *Member) {
	if m.unsynced {
		m.unsynced = false
		g.unsynced--
	}
	if g.unsynced == 0 {
		g.syncBy = time.Time{}
	}
}

func (g *Group) forgetUnsynced() {
	for _, m := range g.members.all() {
		m.unsynced = false
	}
	g.unsynced, g.syncBy = 0, time.Time{}
}

// supports reports whether a member with these protocols may join. An empty group accepts any;
// otherwise all members must have one of the protocols in common.
func (g *Group) supports(protocolType string, protocols []Protocol) bool {
	if g.state == Empty {
		return protocolType != "" && len(protocols) > 0
	}
	return g.hasProtocolType() && g.protocolType == protocolType && slices.ContainsFunc(protocols, func(p Protocol) bool {
		return g.supporters(p.Name) == g.members.size
	})
}

// selectProtocol returns the protocol with the most votes. Every member votes for the first of its
// protocols that all members support. In a tie the protocol that comes first in the order of
// members and their protocols wins.
func (g *Group) selectProtocol() *string {
	votes := map[string]int{}
	none := ""
	best := &none
	for _, m := range g.members.all() {
		for _, p := range m.protocols {
			if g.supporters(p.Name) == g.members.size {
				votes[p.Name]++
				break
			}
		}
	}
	for _, m := range g.members.all() {
		for i, p := range m.protocols {
			if votes[p.Name] > votes[*best] {
				best = &m.protocols[i].Name
			}
		}
	}
	return best
}

// rebalanceTimeout returns the longest rebalance timeout of the members.
func (g *Group) rebalanceTimeout() time.Duration {
	longest := int32(0)
	for _, m := range g.members.all() {
		longest = max(longest, m.RebalanceTimeoutMs)
	}
	return millis(longest)
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

// checkMember returns an error code unless the member is in the group and, if an instance id is
// given, that id belongs to it.
func (g *Group) checkMember(memberID string, instanceID *string) protocol.ErrorCode {
	if instanceID != nil {
		switch current, known := g.static[*instanceID]; {
		case !known:
			return protocol.UnknownMemberID
		case current != memberID:
			return protocol.FencedInstanceID
		}
	}
	if g.member(memberID) == nil {
		return protocol.UnknownMemberID
	}
	return protocol.None
}

// Effects is what the caller of a step must do, in this order: append the record, send the answers,
// log the lines. It must also call Deadline.
type Effects struct {
	Joins []JoinAnswer
	Syncs []SyncAnswer
	// Store is a record of the group to append, or nil. The outcome must be passed to
	// Group.Stored.
	Store *Store
	Lines []Line
}

// JoinAnswer is the result for a waiting JoinGroup.
type JoinAnswer struct {
	To     chan<- JoinResult
	Result JoinResult
}

// SyncAnswer is the result for a waiting SyncGroup.
type SyncAnswer struct {
	To     chan<- SyncResult
	Result SyncResult
}

// Level is the log level of a Line.
type Level int8

// The levels of lines. Failure is logged as an error.
const (
	Info Level = iota
	Warn
	Failure
)

// Line is a line for the broker's log.
type Line struct {
	Level Level
	Text  string
}

func (e *Effects) infof(format string, args ...any) {
	e.Lines = append(e.Lines, Line{Info, fmt.Sprintf(format, args...)})
}

func (e *Effects) warnf(format string, args ...any) {
	e.Lines = append(e.Lines, Line{Warn, fmt.Sprintf(format, args...)})
}

// answerJoin answers the member's parked JoinGroup and reports whether it had one.
func (e *Effects) answerJoin(g *Group, m *Member, r JoinResult) bool {
	if m.join == nil {
		return false
	}
	e.Joins = append(e.Joins, JoinAnswer{m.join, r})
	m.join = nil
	g.parked--
	return true
}

// answerSync answers the member's parked SyncGroup and reports whether it had one.
func (e *Effects) answerSync(m *Member, r SyncResult) bool {
	if m.sync == nil {
		return false
	}
	e.Syncs = append(e.Syncs, SyncAnswer{m.sync, r})
	m.sync = nil
	return true
}

func millis(ms int32) time.Duration { return time.Duration(ms) * time.Millisecond }
