package group

import "fmt"

// Effects is what the caller of a step must do, in this order: append the record, send the answers,
// log the lines. A step may also change the result of Group.Deadline, so the caller must read it
// again.
type Effects struct {
	Joins []JoinAnswer
	Syncs []SyncAnswer
	// Store is a record of the group to append, or nil. The outcome must be passed to
	// Group.Stored.
	Store *Store
	Lines []Line
}

// JoinAnswer is the answer to a JoinGroup request. The caller must send Result to To.
type JoinAnswer struct {
	To     chan<- JoinResult
	Result JoinResult
}

// SyncAnswer is the answer to a SyncGroup request. The caller must send Result to To.
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

// answerJoin answers the parked JoinGroup request, if any, of a member of the group.
func (e *Effects) answerJoin(g *Group, m *Member, r JoinResult) {
	if m.join != nil {
		e.Joins = append(e.Joins, JoinAnswer{g.members.unpark(m), r})
	}
}

// answerSync answers the member's parked SyncGroup request and reports whether it had one.
func (e *Effects) answerSync(m *Member, r SyncResult) bool {
	if m.sync == nil {
		return false
	}
	e.Syncs = append(e.Syncs, SyncAnswer{m.sync, r})
	m.sync = nil
	return true
}
