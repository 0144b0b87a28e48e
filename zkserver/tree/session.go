package tree

import (
	"maps"
	"slices"

	"github.com/monedula/monedula/zkserver/jute"
)

// session is the open session of a client.
type session struct {
	timeoutMs  int64
	lastHeard  int64 // ms
	ids        []jute.ID
	ephemerals map[string]bool
}

// Open opens a session and returns its id. The session becomes due if Heard is not called for
// timeoutMs milliseconds. It has all permissions until Identify is called.
func (t *Tree) Open(nowMs, timeoutMs int64) (id int64) {
	t.zxid++
	t.lastID++
	t.addSession(t.lastID, nowMs, timeoutMs)
	t.record(t.lastID, jute.OpCreateSession, &jute.CreateSessionTxn{TimeOut: int32(timeoutMs)})
	return t.lastID
}

func (t *Tree) addSession(id, nowMs, timeoutMs int64) {
	t.sessions[id] = &session{timeoutMs: timeoutMs, lastHeard: nowMs, ephemerals: map[string]bool{}}
}

// StartIDs makes the ids of new sessions greater than last.
func (t *Tree) StartIDs(last int64) { t.lastID = max(t.lastID, last) }

// Identify sets the identities of the session's client, which decide what it may do.
func (t *Tree) Identify(id int64, ids []jute.ID) {
	if s := t.sessions[id]; s != nil {
		s.ids = append([]jute.ID{}, ids...)
	}
}

// Heard records that the session's client has sent something. It returns SessionExpired if the
// session has ended.
func (t *Tree) Heard(id, nowMs int64) error {
	s, err := t.alive(id)
	if err != nil {
		return err
	}
	s.lastHeard = nowMs
	return nil
}

// Reopen is like Heard and changes the session's timeout to the one that the client negotiated for
// its next connection. The transactions keep the first one.
func (t *Tree) Reopen(id, nowMs, timeoutMs int64) error {
	s, err := t.alive(id)
	if err != nil {
		return err
	}
	s.lastHeard, s.timeoutMs = nowMs, timeoutMs
	return nil
}

// HeardAll is like Heard for all sessions. A server calls it when it starts, because clients could
// not reach it before.
func (t *Tree) HeardAll(nowMs int64) {
	for _, s := range t.sessions {
		s.lastHeard = nowMs
	}
}

// Due returns the ids of the sessions whose clients have not been heard from for the session
// timeout, in ascending order. The sessions stay open until End is called.
func (t *Tree) Due(nowMs int64) []int64 {
	var due []int64
	for id, s := range t.sessions {
		if nowMs-s.lastHeard >= s.timeoutMs {
			due = append(due, id)
		}
	}
	slices.Sort(due)
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
	txn := &jute.CloseSessionTxn{Paths: slices.Sorted(maps.Keys(s.ephemerals))}
	c := &change{t: t, session: id, zxid: t.zxid}
	c.endSession(txn)
	t.record(id, jute.OpCloseSession, txn)
	return c.commit()
}

// Unwatch removes the watches of a session whose client has disconnected.
func (t *Tree) Unwatch(id int64) {
	t.data.drop(id)
	t.child.drop(id)
}

// Alive reports whether the session is open.
func (t *Tree) Alive(id int64) bool { return t.sessions[id] != nil }

// Sessions returns the ids of the open sessions in ascending order.
func (t *Tree) Sessions() []int64 { return slices.Sorted(maps.Keys(t.sessions)) }

// Expiry returns the time in milliseconds at which the session becomes due, if it exists.
func (t *Tree) Expiry(id int64) (ms int64) {
	if s := t.sessions[id]; s != nil {
		ms = s.lastHeard + s.timeoutMs
	}
	return ms
}

func (t *Tree) alive(id int64) (*session, error) {
	if t.sessions[id] == nil {
		return nil, SessionExpired
	}
	return t.sessions[id], nil
}

// record passes a transaction under the current zxid to Record.
func (t *Tree) record(session int64, op jute.Op, txn jute.Record) {
	if t.Record != nil {
		t.Record(jute.TxnHeader{ClientID: session, Zxid: t.zxid, Type: op}, txn)
	}
}
