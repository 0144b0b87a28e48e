package simulation

import (
	"math/rand/v2"
	"time"

	"github.com/monedula/monedula/zkserver/tree"
	"github.com/monedula/monedula/zkstore"
)

// Swarm is a simulation in which the seed also chooses what goes wrong: each kind
// in three of four. Fewer at a time find what all of them together hide.
func Swarm(seed uint64) Config {
	random := rand.New(rand.NewPCG(seed, 0x737761726d))
	some := func() bool { return random.IntN(4) > 0 }
	return Config{Seed: seed, Moves: some(), Topics: some(), Disks: some(), Timing: some(), Consumers: some()}
}

// moment is when a role of a broker has just changed: now and then something goes
// wrong right after.
func (w *world) moment(b *broker) {
	if !w.cfg.Timing || !w.chaotic || !w.chance(6) {
		return
	}
	who := b
	if w.chance(2) {
		who = w.brokers[w.random.IntN(brokerCount)]
	}
	w.after(w.between(0, 40*time.Millisecond), func() {
		if w.chaotic && w.clean() {
			w.faults++
			w.strike(who)
		}
	})
}

// depose deletes the controller's node, as people do to have another one elected.
// The session of the old controller goes on.
func (w *world) depose() {
	if data, _, exists := w.tree.Peek(zkstore.ControllerPath); exists {
		w.say("somebody deletes the node of the controller %s", data)
		session := w.tree.Open(w.now.Milliseconds(), sessionTimeout.Milliseconds())
		_, fired, err := w.tree.Do(session, w.now.Milliseconds(), tree.Delete{Path: zkstore.ControllerPath, Version: -1})
		if err != nil {
			w.fail("delete %s: %v", zkstore.ControllerPath, err)
		}
		w.fired(fired)
		w.fired(w.tree.End(session))
	}
}
