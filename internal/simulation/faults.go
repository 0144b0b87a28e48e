package simulation

import (
	"slices"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/zkstore"
)

// createTopic creates the topic as soon as a broker can do it.
func (w *world) createTopic() { w.createLasting(topicName, zkstore.TopicID{15: 1}) }

// createLasting creates a topic that is never deleted.
func (w *world) createLasting(name string, id zkstore.TopicID) {
	b := w.brokers[0]
	topic := zkstore.TopicNode{Name: name, ID: id, Partitions: map[int32]zkstore.Assignment{}}
	for _, p := range w.placesOf(name) {
		a := zkstore.Assignment{}
		for i := range int32(brokerCount) {
			a.Replicas = append(a.Replicas, metadata.BrokerID((p+i)%brokerCount))
		}
		topic.Partitions[tp(p).Partition] = a
	}
	if err := b.store.CreateTopic(b.bound(), topic); err != nil {
		w.fail("create the topic %s: %v", name, err)
	}
}

// fault injects a fault and schedules the next one.
func (w *world) fault() {
	if !w.chaotic {
		return
	}
	if w.clean() {
		w.faults++
		w.strike(w.brokers[w.random.IntN(brokerCount)])
	}
	w.after(w.between(100*time.Millisecond, 1500*time.Millisecond), w.fault)
}

// fault is a kind of fault or of operator action.
type fault int8

const (
	crashes   fault = iota
	losesData       // crashes and loses unsynced data
	pauses
	losesZooKeeper // cannot reach ZooKeeper for a while
	losesLink      // cannot reach another broker for a while
	losesSession
	endsTerm // the controller's session ends
	moves
	leaves
	losesDisk
	isDeposed // the controller's node is deleted
	movesLog
)

func (w *world) strike(b *broker) {
	kinds := []fault{crashes, crashes, losesData, pauses, losesZooKeeper, losesLink, losesLink, losesSession, endsTerm}
	if w.cfg.Moves {
		kinds = append(kinds, moves, moves, leaves)
	}
	if w.cfg.Disks {
		kinds = append(kinds, losesDisk, losesDisk)
	}
	if w.cfg.Timing {
		kinds = append(kinds, isDeposed)
	}
	if w.cfg.LogMoves {
		kinds = append(kinds, movesLog, movesLog, movesLog)
	}
	switch kinds[w.random.IntN(len(kinds))] {
	case crashes:
		if b.alive {
			b.die()
		}
	case losesData:
		if b.alive && w.mayLose(b) {
			b.loseUnsynced()
		}
	case pauses:
		b.pausedUntil = w.now + w.between(200*time.Millisecond, 6*time.Second)
		w.say("broker %d is paused until %v", b.id, b.pausedUntil)
	case losesZooKeeper:
		b.zkCutUntil = w.now + w.between(200*time.Millisecond, 6*time.Second)
		w.say("broker %d is cut off from ZooKeeper until %v", b.id, b.zkCutUntil)
	case losesLink:
		to := w.brokers[w.random.IntN(brokerCount)]
		until := w.now + w.between(100*time.Millisecond, 5*time.Second)
		w.cut[[2]metadata.BrokerID{b.id, to.id}] = until
		if w.chance(2) {
			w.cut[[2]metadata.BrokerID{to.id, b.id}] = until
		}
		w.say("brokers %d and %d are cut apart until %v", b.id, to.id, until)
	case losesSession:
		if b.conn != nil {
			w.say("the session of broker %d ends at once", b.id)
			w.fired(w.tree.End(b.conn.id))
		}
	case endsTerm:
		if data, stat, exists := w.tree.Peek(zkstore.ControllerPath); exists {
			w.say("the session of the controller %s ends", data)
			w.fired(w.tree.End(stat.EphemeralOwner))
		}
	case moves:
		w.move()
	case leaves:
		if b.alive && !b.leaving {
			w.say("broker %d is asked to stop", b.id)
			b.leaving = true
			b.after(0, func() { b.leave(shutdownTries) })
		}
	case losesDisk:
		w.breakDisk(b)
	case isDeposed:
		w.depose()
	case movesLog:
		w.moveLog(b)
	}
}

// die crashes the broker, which loses nothing and starts again later.
func (b *broker) die() {
	b.crash(vfs.Everything)
	b.w.after(b.w.between(longestWay+100*time.Millisecond, 5*time.Second), b.boot)
}

// loseUnsynced crashes the broker, which loses unsynced data and starts again later.
func (b *broker) loseUnsynced() {
	b.crash(vfs.Random)
	for _, p := range b.w.places {
		b.lost(p)
	}
	b.w.after(b.w.between(longestWay+requestTimeout, 5*time.Second), b.boot)
}

// lost records that the broker's replica may lack what it had.
func (b *broker) lost(p int32) {
	b.dirty[p] = true
	delete(b.w.check.held, replica{b.id, incarnation{p, b.w.check.ids[p]}})
}

// clean reports whether every replica that lost data in a crash has caught up. Until then no other
// fault is injected: Kafka keeps acknowledged records through any single loss of unsynced data, but
// not through a second failure before the first one is repaired.
func (w *world) clean() bool {
	for _, b := range w.brokers {
		for _, p := range w.places {
			if slices.Contains(w.check.assignments[p].replicas, b.id) && !b.clean(p) {
				return false
			}
		}
	}
	return true
}

// clean reports whether the broker's replica has caught up since it lost data in a crash.
func (b *broker) clean(p int32) bool {
	if b.dirty[p] && b.caughtUp(p) {
		b.dirty[p] = false
	}
	return !b.dirty[p]
}

// caughtUp reports whether the broker's replica has all committed records.
func (b *broker) caughtUp(p int32) bool {
	if !b.alive || b.replicas == nil {
		return false
	}
	if b.w.check.ids[p] == (zkstore.TopicID{}) {
		return true // there is no topic
	}
	log, h := b.logs.Log(tp(p)), b.w.check.now(p)
	if log == nil || log.TopicID() != b.w.check.ids[p] || !b.serves(log) || b.broken[log.Dir()] ||
		log.Offsets().LogEnd < record.Offset(len(h.committed)) || log.Offsets().HighWatermark < h.acknowledgedTo {
		return false
	}
	return h.matches(b.w, b.w.check.read(log, 0, record.Offset(len(h.committed))))
}

// mayLose reports whether this broker may lose its unsynced data: the other brokers are up and
// undisturbed, and they have everything that this broker has.
func (w *world) mayLose(b *broker) bool { return w.complete(b) && w.othersHaveAll(b) }

// complete reports whether the broker is up and undisturbed and has everything that was committed.
func (w *world) complete(b *broker) bool {
	if !b.alive || b.conn == nil || !w.tree.Alive(b.conn.id) || b.zkBlocked() || !b.intact() {
		return false
	}
	for _, p := range w.places {
		if b.dirty[p] || !b.caughtUp(p) {
			return false
		}
	}
	return true
}

// othersHaveAll reports whether the other brokers are complete and in sync with this one.
func (w *world) othersHaveAll(b *broker) bool {
	for _, other := range w.brokers {
		if other != b && !w.complete(other) {
			return false
		}
	}
	for _, p := range w.places {
		if w.check.ids[p] == (zkstore.TopicID{}) {
			continue
		}
		if len(w.check.states[p].ISR) < brokerCount || !slices.Contains(w.check.states[p].ISR, b.id) {
			return false
		}
	}
	for _, until := range w.cut {
		if until > w.now {
			return false
		}
	}
	return true
}

// heal ends all faults.
func (w *world) heal() {
	w.say("no more faults")
	w.chaotic = false
	clear(w.cut)
	for _, b := range w.brokers {
		b.pausedUntil, b.zkCutUntil = min(b.pausedUntil, w.now), min(b.zkCutUntil, w.now)
	}
	for _, b := range w.brokers {
		for dir := range b.broken { // at most one
			w.mend(b, dir, false)
		}
	}
	if w.cfg.Moves {
		w.makeWhole()
	}
}
