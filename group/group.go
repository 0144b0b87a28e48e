package group

import (
	"fmt"
	"slices"
	"time"

	"github.com/monedula/monedula/protocol"
)

// State is where a group is in its life.
type State int8

// The states of a group. Dead is final: the group was deleted, or its partition
// of the offsets topic is led elsewhere now.
const (
	Empty State = iota
	PreparingRebalance
	CompletingRebalance
	Stable
	Dead
)

// String is Kafka's name of the state, as DescribeGroups and ListGroups show it.
func (s State) String() string {
	return [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"}[s]
}

// noTime is the time of a state that an old record does not tell.
const noTime int64 = -1

// newMemberTimeout is how long the first JoinGroup of a member may be parked:
// the member does not know its id yet and cannot send heartbeats.
const newMemberTimeout = 5 * time.Minute

// Rules are the settings that decide what a group does.
type Rules struct {
	InitialDelay time.Duration // group.initial.rebalance.delay.ms
	MaxSize      int           // group.max.size
}

// Group is one consumer group as a state machine without locks, clocks or I/O:
// every step is told the time and says in Effects what is to be done. Parked
// requests are the one-slot channels in members; a step never sends on them.
//
// Its rules are those of Kafka's classic group coordinator (3.9.1).
type Group struct {
	ID    string
	rules Rules

	state        State
	generation   int32
	stateSince   int64   // ms; noTime where loaded from a record that does not tell
	protocolType string  // "" for a group that only has offsets
	protocol     *string // may be the name in a member's protocols, which do not change
	leader       string  // member id, "" for none

	members  memberList
	index    *index            // of the members; nil while they are few
	static   map[string]string // group.instance.id to member id
	parked   int32             // members with a parked JoinGroup
	unsynced int32             // members that have not synced in this generation
	pending  map[string]time.Time
	// subscribed are the topics of a group of type consumer, sorted; nil where
	// unknown.
	subscribed []string

	join   *joinTimer // of the rebalance that is being prepared; nil: none is
	syncBy time.Time  // when members that have not synced are removed; zero: none

	offsets offsets

	// wake is not after the earliest deadline of the group; zero: there is none.
	wake time.Time
}

// joinTimer is the deadline of a rebalance.
type joinTimer struct {
	at       time.Time
	initial  bool          // the delay of a first rebalance: it does not end early
	left     time.Duration // by how much an initial delay may still be extended
	newcomer bool          // a member came during an initial delay of generation 0
}

// New returns an empty group.
func New(id string, rules Rules, now time.Time) *Group {
	return &Group{ID: id, rules: rules, stateSince: now.UnixMilli()}
}

// Protocol is one protocol that a member offers, with the metadata that the
// group's leader gets to see.
type Protocol struct {
	Name     string
	Metadata []byte
}

// Member is one member of a group.
type Member struct {
	ID         string
	InstanceID *string // group.instance.id; nil: a dynamic member
	ClientID   string
	ClientHost string // as Java prints addresses: "/127.0.0.1"

	RebalanceTimeoutMs int32
	SessionTimeoutMs   int32

	protocols  []Protocol // in the order of preference
	assignment []byte

	join     chan<- JoinResult // its parked JoinGroup; nil: none
	sync     chan<- SyncResult // its parked SyncGroup; nil: none
	isNew    bool              // its first JoinGroup has not been answered
	unsynced bool              // SyncGroup is awaited
	expires  time.Time         // end of its session

	previous, next *Member // in the group's list
}

// State returns the state.
func (g *Group) State() State { return g.state }

// Generation returns the number of completed rebalances.
func (g *Group) Generation() int32 { return g.generation }

// Size is the number of members, without pending ones.
func (g *Group) Size() int { return g.members.size }

func (g *Group) become(s State, now time.Time) {
	g.state, g.stateSince = s, now.UnixMilli()
}

// hasProtocolType says that some member has ever joined.
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

// remove takes the member or pending member out. Its parked requests have been
// answered or are not answered at all.
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

// synced notes that the member's SyncGroup is not awaited any more.
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

// supports says whether a member with these protocols may join: an empty group
// takes any, others only what all members have in common.
func (g *Group) supports(protocolType string, protocols []Protocol) bool {
	if g.state == Empty {
		return protocolType != "" && len(protocols) > 0
	}
	return g.hasProtocolType() && g.protocolType == protocolType && slices.ContainsFunc(protocols, func(p Protocol) bool {
		return g.supporters(p.Name) == g.members.size
	})
}

// selectProtocol lets every member vote for the first of its protocols that all
// support. Of equal counts the one wins that was voted for first.
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

// rebalanceTimeout is the longest of the members'.
func (g *Group) rebalanceTimeout() time.Duration {
	longest := int32(0)
	for _, m := range g.members.all() {
		longest = max(longest, m.RebalanceTimeoutMs)
	}
	return millis(longest)
}

// metadata is what the member says for a protocol.
func (m *Member) metadata(protocol string) []byte {
	for _, p := range m.protocols {
		if p.Name == protocol {
			return p.Metadata
		}
	}
	return nil
}

// offers says whether the member's protocols are the same, in the same order
// and with the same metadata.
func (m *Member) offers(protocols []Protocol) bool {
	return slices.EqualFunc(m.protocols, protocols, func(a, b Protocol) bool {
		return a.Name == b.Name && string(a.Metadata) == string(b.Metadata)
	})
}

// checkMember demands that the member is in the group and, where an instance id
// is given, that no newer member has it.
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

// Effects is what a step wants done, in this order: the records appended, the
// answers given, the lines logged. Deadlines are asked for with Deadline.
type Effects struct {
	Joins []JoinAnswer
	Syncs []SyncAnswer
	// Store is a record of the group to be appended; Stored is told what became
	// of it. nil: none.
	Store *Store
	Lines []Line
}

// JoinAnswer is a result for a JoinGroup that waits.
type JoinAnswer struct {
	To     chan<- JoinResult
	Result JoinResult
}

// SyncAnswer is a result for a SyncGroup that waits.
type SyncAnswer struct {
	To     chan<- SyncResult
	Result SyncResult
}

// Level is how much a Line matters.
type Level int8

// The levels of lines.
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

func (e *Effects) answerJoin(g *Group, m *Member, r JoinResult) bool {
	if m.join == nil {
		return false
	}
	e.Joins = append(e.Joins, JoinAnswer{m.join, r})
	m.join = nil
	g.parked--
	return true
}

func (e *Effects) answerSync(m *Member, r SyncResult) bool {
	if m.sync == nil {
		return false
	}
	e.Syncs = append(e.Syncs, SyncAnswer{m.sync, r})
	m.sync = nil
	return true
}

func millis(ms int32) time.Duration { return time.Duration(ms) * time.Millisecond }
