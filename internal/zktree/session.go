package zktree

import (
	"maps"
	"slices"
)

// session is the open session of a client.
type session struct {
	timeoutMs  int64
	lastHeard  int64 // ms
	ephemerals map[string]bool
}

// Open opens a session and returns its id. The session becomes due if Heard is not called for
// timeoutMs milliseconds.
func (t *Tree) Open(nowMs, timeoutMs int64) (id int64) {
	t.zxid++
	t.lastID++
	t.sessions[t.lastID] = &session{timeoutMs: timeoutMs, lastHeard: nowMs, ephemerals: map[string]bool{}}
	return t.lastID
}

// Heard records that the session's client has sent something. It returns SessionExpired if the
// session has ended.
func (t *Tree) Heard(id, nowMs int64) error {
	if err := t.alive(id); err != nil {
		return err
	}
	t.sessions[id].lastHeard = nowMs
	return nil
}

// Due returns the ids of the sessions whose clients have not been heard from for the session
// timeout, in ascending order. The sessions stay open until End is called.
func (t *Tree) Due(nowMs int64) []int64 {
	var due []int64
	for _, id := range slices.Sorted(maps.Keys(t.sessions)) {
		if s := t.sessions[id]; nowMs-s.lastHeard >= s.timeoutMs {
			due = append(due, id)
		}
	}
	return due
}

// End closes or expires a session. It deletes the session's ephemeral nodes under one zxid and
// removes its watches, and returns the events of other sessions. It does nothing if the session
// does not exist.
func (t *Tree) End(id int64) []Event {
	s := t.sessions[id]
	if s == nil {
		return nil
	}
	t.zxid++
	t.data.drop(id)
	t.child.drop(id)
	c := &change{t: t}
	for _, path := range slices.Sorted(maps.Keys(s.ephemerals)) {
		c.remove(path, t.nodes[path])
	}
	delete(t.sessions, id)
	return c.commit()
}

// Alive reports whether the session is open.
func (t *Tree) Alive(id int64) bool { return t.sessions[id] != nil }

func (t *Tree) alive(id int64) error {
	if t.sessions[id] == nil {
		return SessionExpired
	}
	return nil
}
