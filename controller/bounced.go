package controller

import "slices"

// A controller takes a broker that went and came back for one that failed and
// started: it may have lost what its disk had not got yet, so others lead, and it
// joins the in-sync sets anew. Where the broker was back before a new controller
// looked, as when the controller itself went down with its machine, nobody saw
// that, and a leader could come back without records that were acknowledged. The
// transactions of ZooKeeper tell all the same: its registration is younger than
// the state of a partition that still counts on it.

// unseenBounces are in-sync replicas on brokers that registered after the state
// of the partition was written. Where that is so of all live in-sync replicas,
// as after a restart of the whole cluster, none is better than the others and
// nothing is done.
func (m *Machine) unseenBounces() []replicaID {
	var bounced []replicaID
	m.c.each(func(tp TopicPartition, p *partitionContext) {
		if p.leadership == nil || m.c.queuedForDeletion(tp.Topic) {
			return
		}
		steady := false
		var suspects []replicaID
		for _, id := range p.leadership.ISR {
			switch {
			case !m.c.replicaOnline(id, tp) || !slices.Contains(p.assignment.Replicas, id):
			case m.c.brokers[id].Epoch > p.leadership.Zxid:
				suspects = append(suspects, replicaID{tp, id})
			default:
				steady = true
			}
		}
		if steady {
			bounced = append(bounced, suspects...)
		}
	})
	return bounced
}

// startAll gives replicas and partitions their first states after a failover. A
// replica whose broker bounced unseen is offline meanwhile.
func (m *Machine) startAll() error {
	bounced := m.unseenBounces()
	if len(bounced) > 0 {
		m.log.Infof("Brokers registered again since they were counted in sync; these replicas are started anew: %s", joinReplicas(bounced))
	}
	for _, r := range bounced {
		m.c.setServed(r, false)
	}
	if err := m.startReplicas(); err != nil {
		return err
	}
	if err := m.startPartitions(); err != nil {
		return err
	}
	if len(bounced) == 0 {
		return nil
	}
	for _, r := range bounced {
		m.c.setServed(r, true)
	}
	if err := m.moveReplicas(bounced, onlineReplica); err != nil {
		return err
	}
	_, err := m.triggerOnline(func(string) bool { return true })
	return err
}
