package tree

import (
	"maps"
	"slices"
)

// session is one client's session. An ended one is forgotten.
type session struct {
	timeoutMs  int64
	lastHeard  int64 // ms
	ephemerals map[string]bool
}

// Open begins a session, which ends when nothing is heard of it for timeoutMs.
func (t *Tree) Open(nowMs, timeoutMs int64) (id int64) {
	t.zxid++
	t.lastID++
	t.sessions[t.lastID] = &session{timeoutMs: timeoutMs, lastHeard: nowMs, ephemerals: map[string]bool{}}
	return t.lastID
}

// Heard is told that the session's client gave a sign of life; SessionExpired
// if that came too late.
func (t *Tree) Heard(id, nowMs int64) error {
	if err := t.alive(id); err != nil {
		return err
	}
	t.sessions[id].lastHeard = nowMs
	return nil
}

// Due lists the sessions that have not been heard of for their timeouts,
// ascending. They live until End.
func (t *Tree) Due(nowMs int64) []int64 {
	var due []int64
	for _, id := range slices.Sorted(maps.Keys(t.sessions)) {
		if s := t.sessions[id]; nowMs-s.lastHeard >= s.timeoutMs {
			due = append(due, id)
		}
	}
	return due
}

// End closes or expires a session: its ephemeral nodes go, under one zxid, and
// its watches fire no more. One that is not there is no error.
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

// Alive says whether the session is open.
func (t *Tree) Alive(id int64) bool { return t.sessions[id] != nil }

func (t *Tree) alive(id int64) error {
	if t.sessions[id] == nil {
		return SessionExpired
	}
	return nil
}
