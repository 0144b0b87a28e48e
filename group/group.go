package group

import (
	"fmt"
	"slices"
	"time"
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

	members members
	// subscribed are the topics of a group of type consumer, sorted; nil if unknown.
	subscribed []string

	join *joinTimer // of the rebalance that is being prepared; nil: none

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

// answerJoin answers the parked JoinGroup, if any, of a member of the group.
func (e *Effects) answerJoin(g *Group, m *Member, r JoinResult) {
	if m.join != nil {
		e.Joins = append(e.Joins, JoinAnswer{g.members.unpark(m), r})
	}
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
