package group

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/monedula/monedula/protocol"
)

// arm makes sure that Deadline is not after at, and returns at.
func (g *Group) arm(at time.Time) time.Time {
	if g.wake.IsZero() || at.Before(g.wake) {
		g.wake = at
	}
	return at
}

// renew starts the member's session timer. It must be called when a parked request is answered and
// its member stays in the group, because expireSessions stops the timer if the session expires
// while the request is parked.
func (g *Group) renew(now time.Time, m *Member) {
	m.expires = g.arm(now.Add(millis(m.SessionTimeoutMs)))
}

// answerSync answers the parked SyncGroup request, if any, of a member that stays in the group.
func (g *Group) answerSync(now time.Time, m *Member, r SyncResult, e *Effects) {
	if e.answerSync(m, r) {
		g.renew(now, m)
	}
}

// Deadline returns the time by which Expire must be called. Expire may find nothing to do at that
// time. Deadline returns false if the group has no deadline.
func (g *Group) Deadline() (time.Time, bool) { return g.wake, !g.wake.IsZero() }

// Expire handles all deadlines that are due.
func (g *Group) Expire(now time.Time) *Effects {
	e := &Effects{}
	if g.state == Dead {
		g.wake = time.Time{}
		return e
	}
	g.expirePending(now, e)
	g.expireSessions(now, e)
	if g.state == PreparingRebalance && due(now, g.join.at) {
		g.joinTimeout(now, e)
	}
	if due(now, g.members.syncBy) {
		g.expireSync(now, e)
	}
	g.rearm(now)
	return e
}

func due(now, at time.Time) bool { return !at.IsZero() && !now.Before(at) }

func (g *Group) expirePending(now time.Time, e *Effects) {
	for _, id := range sortedKeys(g.members.pending) {
		if due(now, g.members.pending[id]) {
			e.infof("Pending member %s in group %s has been removed after session timeout expiration.", id, g.ID)
			g.members.remove(id)
			g.tryCompleteJoin(now, e)
		}
	}
}

// expireSessions removes the members whose sessions have expired. A member with a parked request
// stays, unless it is new and the request is its first JoinGroup request.
func (g *Group) expireSessions(now time.Time, e *Effects) {
	var gone []*Member
	for _, m := range g.members.all() {
		if !due(now, m.expires) {
			continue
		}
		if !m.isNew && (m.join != nil || m.sync != nil) {
			m.expires = time.Time{} // the answer renews it
			continue
		}
		gone = append(gone, m)
	}
	for _, m := range gone {
		if g.members.get(m.ID) != m {
			continue // a rebalance that was completed has dropped it
		}
		if due(now, m.expires) {
			e.infof("Member %s in group %s has failed, removing it from the group", m.ID, g.ID)
			g.removeAndUpdate(now, m, e, "removing member %s on heartbeat expiration", m.ID)
		}
	}
}

// expireSync removes the members that did not sync in time.
func (g *Group) expireSync(now time.Time, e *Effects) {
	var silent []string
	for _, m := range g.members.all() {
		if m.unsynced {
			silent = append(silent, m.ID)
		}
	}
	g.members.syncBy = time.Time{}
	if len(silent) == 0 || g.state != CompletingRebalance && g.state != Stable {
		return
	}
	for _, id := range silent {
		m := g.members.get(id)
		e.answerJoin(g, m, refuseJoin("", protocol.UnknownMemberID))
		g.members.remove(id)
	}
	g.prepareRebalance(now, e, "Removing %v on pending sync request expiration", silent)
}

// rearm sets wake to the earliest deadline.
func (g *Group) rearm(now time.Time) {
	g.wake = time.Time{}
	for _, m := range g.members.all() {
		if !m.expires.IsZero() {
			g.arm(m.expires)
		}
	}
	for _, at := range g.members.pending {
		g.arm(at)
	}
	if g.state == PreparingRebalance && !g.join.at.IsZero() {
		g.arm(g.join.at)
	}
	if !g.members.syncBy.IsZero() {
		g.arm(g.members.syncBy)
	}
}

// Loaded starts the sessions of a group that was loaded from the log. It starts a rebalance if the
// group has more members than are allowed now.
func (g *Group) Loaded(now time.Time) *Effects {
	e := &Effects{}
	if g.members.size > g.rules.MaxSize {
		g.prepareRebalance(now, e, "%s", fmt.Sprintf("Freshly-loaded group is over capacity (%d). Rebalancing in order to give a chance for consumers to commit offsets", g.rules.MaxSize))
	}
	for _, m := range g.members.all() {
		g.renew(now, m)
	}
	return e
}

// sortedKeys returns the keys of a map in ascending order.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
