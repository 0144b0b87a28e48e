package simulation

import (
	"math/rand/v2"
	"time"

	zktree "github.com/monedula/monedula/zkserver/tree"
	"github.com/monedula/monedula/zkstore"
)

// Swarm returns a configuration in which the seed also chooses the kinds of faults: each kind
// occurs in three of four seeds, compaction and transactions in one of two each. A few kinds at a time
// find bugs that all kinds together hide.
func Swarm(seed uint64) Config {
	random := rand.New(rand.NewPCG(seed, 0x737761726d))
	some := func() bool { return random.IntN(4) > 0 }
	cfg := Config{Seed: seed, Moves: some(), Topics: some(), Disks: some(), Timing: some(), Consumers: some(), Compaction: random.IntN(2) == 0, LogMoves: some()}
	cfg.Transactions = random.IntN(2) == 0
	return cfg
}

// moment sometimes injects a fault. It is called right after a role of a broker has changed.
func (w *world) moment(b *broker) {
	if !w.cfg.Timing || !w.chaotic || !w.chance(6) {
		return
	}
	victim := b
	if w.chance(2) {
		victim = w.brokers[w.random.IntN(brokerCount)]
	}
	w.after(w.between(0, 40*time.Millisecond), func() {
		if w.chaotic && w.clean() {
			w.faults++
			w.strike(victim)
		}
	})
}

// depose deletes the controller's node, as operators do to force an election. The session of the
// old controller continues.
func (w *world) depose() {
	if data, _, exists := w.tree.Peek(zkstore.ControllerPath); exists {
		w.say("an operator deletes the node of the controller %s", data)
		session := w.tree.Open(w.now.Milliseconds(), sessionTimeout.Milliseconds())
		_, fired, err := w.tree.Do(session, w.now.Milliseconds(), zktree.Delete{Path: zkstore.ControllerPath, Version: -1})
		if err != nil {
			w.fail("delete %s: %v", zkstore.ControllerPath, err)
		}
		w.fired(fired)
		w.fired(w.tree.End(session))
	}
}
