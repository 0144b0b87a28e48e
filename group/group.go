package group

import (
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

// newMemberTimeout is how long the first JoinGroup request of a member may be parked. The member
// does not know its id yet and cannot send heartbeats.
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

	members members
	// subscribed are the topics of a group of type consumer, sorted; nil if unknown.
	subscribed []string

	join *joinTimer // of the rebalance that is being prepared; nil: none

	offsets offsets

	// wake is not after the earliest deadline of the group; zero: no deadline.
	wake time.Time
}

// New returns an empty group.
func New(id string, rules Rules, now time.Time) *Group {
	return &Group{ID: id, rules: rules, stateSince: now.UnixMilli()}
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

// supports reports whether a member with these protocols may join. An empty group accepts any;
// otherwise all members must have one of the protocols in common.
func (g *Group) supports(protocolType string, protocols []Protocol) bool {
	if g.state == Empty {
		return protocolType != "" && len(protocols) > 0
	}
	return g.hasProtocolType() && g.protocolType == protocolType && slices.ContainsFunc(protocols, func(p Protocol) bool {
		return g.members.allSupport(p.Name)
	})
}

// CheckCommit returns None if the sender may commit, else the code to answer, and keeps the session
// alive if the sender is a member. Transactional commits of old producers have no member.
func (g *Group) CheckCommit(now time.Time, memberID string, instanceID *string, generation int32, transactional bool) protocol.ErrorCode {
	switch {
	case g.state == Dead:
		return protocol.CoordinatorNotAvailable
	case generation < 0 && g.state == Empty:
		return protocol.None
	case generation >= 0 || memberID != "" || instanceID != nil:
		if code := g.members.check(memberID, instanceID); code != protocol.None {
			return code
		}
		if generation != g.generation {
			return protocol.IllegalGeneration
		}
	case !transactional && g.state != Empty:
		return protocol.UnknownMemberID
	}
	if transactional {
		return protocol.None
	}
	if g.state == CompletingRebalance {
		return protocol.RebalanceInProgress
	}
	if m := g.members.get(memberID); m != nil {
		g.renew(now, m)
	}
	return protocol.None
}

// DieIfIdle makes the group dead if it has neither members nor offsets. It reports whether the
// group is dead.
func (g *Group) DieIfIdle(now time.Time) bool {
	if g.state == Empty && g.offsets.empty() {
		g.become(Dead, now)
	}
	return g.state == Dead
}

func millis(ms int32) time.Duration { return time.Duration(ms) * time.Millisecond }
