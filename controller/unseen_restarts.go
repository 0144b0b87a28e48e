package controller

import (
	"slices"

	"github.com/monedula/monedula/internal/javatext"
)

// A controller treats a broker that left and came back as one that failed and started: the broker
// may have lost records that had not reached its disk. Other replicas therefore take over its
// leaderships, and it has to join the in-sync sets again. No controller notices the restart if the
// broker is back before a new controller reads the brokers, for example because the controller's
// own machine went down. A leader could then return without acknowledged records. The transaction
// ids of ZooKeeper reveal such a restart: the broker's registration is newer than the state of a
// partition that has the broker in its in-sync set.

// unseenRestarts returns the in-sync replicas whose broker registered after the state of the
// partition was written. It omits a partition if this is true of all its live in-sync replicas, as
// after a restart of the whole cluster: no replica is then safer than the others.
func (c *controllerContext) unseenRestarts() []replicaID {
	var restarted []replicaID
	c.each(func(tp TopicPartition, p *partitionContext) {
		if p.leadership == nil || c.queuedForDeletion(tp.Topic) {
			return
		}
		steady := false
		var suspects []replicaID
		for _, id := range p.leadership.ISR {
			switch {
			case !c.replicaOnline(id, tp) || !slices.Contains(p.assignment.Replicas, id):
			case c.brokers[id].Epoch > p.leadership.Zxid:
				suspects = append(suspects, replicaID{tp, id})
			default:
				steady = true
			}
		}
		if steady {
			restarted = append(restarted, suspects...)
		}
	})
	return restarted
}

// startAll sets the first states of replicas and partitions after a failover. Replicas whose broker
// restarted unnoticed count as offline until the leaders are elected.
func (m *Machine) startAll() error {
	restarted := m.c.unseenRestarts()
	if len(restarted) > 0 {
		m.log.Infof("Brokers have registered again since their replicas were recorded as in sync; restarting these replicas: %s", javatext.Join(restarted, ","))
	}
	for _, r := range restarted {
		m.c.setServed(r, false)
	}
	if err := m.replicas.start(m.ctx); err != nil {
		return err
	}
	if err := m.partitions.start(m.ctx); err != nil {
		return err
	}
	if len(restarted) == 0 {
		return nil
	}
	for _, r := range restarted {
		m.c.setServed(r, true)
	}
	m.replicas.enter(restarted, onlineReplica)
	_, err := m.partitions.triggerOnline(m.ctx, func(string) bool { return true })
	return err
}
