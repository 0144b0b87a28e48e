package controller

import (
	"errors"
	"reflect"
	"slices"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

// brokerDiff is the difference between two sets of registered brokers. Its ids are sorted. A
// bounced broker is in both sets, but with a greater epoch in the second: it registered again in
// between.
type brokerDiff struct{ added, bounced, dead []metadata.BrokerID }

func diffBrokers(was, now map[metadata.BrokerID]zkstore.BrokerInfo) brokerDiff {
	var d brokerDiff
	for _, id := range sortedKeys(now) {
		old, known := was[id]
		switch {
		case !known:
			d.added = append(d.added, id)
		case now[id].Epoch > old.Epoch:
			d.bounced = append(d.bounced, id)
		}
	}
	for _, id := range sortedKeys(was) {
		if _, still := now[id]; !still {
			d.dead = append(d.dead, id)
		}
	}
	return d
}

// brokerChange notifies that the children of /brokers/ids changed.
type brokerChange struct{}

func (brokerChange) String() string { return "BrokerChange" }

func (brokerChange) process(m *Machine) error {
	if !m.Active() {
		return nil
	}
	now, err := m.brokerNodes.read(m.ctx)
	if err != nil {
		return err
	}
	d := diffBrokers(m.c.brokers, now)
	m.log.Infof("Newly added brokers: %s, deleted brokers: %s, bounced brokers: %s, all live brokers: %s",
		javatext.Join(d.added, ","), javatext.Join(d.dead, ","), javatext.Join(d.bounced, ","), javatext.Join(sortedKeys(now), ","))
	for _, id := range d.added {
		m.peers.Add(now[id])
	}
	for _, id := range d.bounced { // queued requests have the old broker epoch
		m.peers.Remove(id)
		m.peers.Add(now[id])
	}
	for _, id := range d.dead {
		m.peers.Remove(id)
	}
	if err := m.applyBrokerDiff(d, now); err != nil {
		return err
	}
	if len(d.added)+len(d.bounced)+len(d.dead) > 0 {
		m.log.Infof("Updated broker epochs cache: %s", epochsText(m.c))
	}
	return nil
}

func (m *Machine) applyBrokerDiff(d brokerDiff, now map[metadata.BrokerID]zkstore.BrokerInfo) error {
	if err := m.addBrokers(d.added, now); err != nil {
		return err
	}
	if err := m.removeBrokers(d.bounced); err != nil {
		return err
	}
	if err := m.addBrokers(d.bounced, now); err != nil {
		return err
	}
	return m.removeBrokers(d.dead)
}

func (m *Machine) addBrokers(ids []metadata.BrokerID, now map[metadata.BrokerID]zkstore.BrokerInfo) error {
	if len(ids) == 0 {
		return nil
	}
	for _, id := range ids {
		m.c.brokers[id] = now[id]
	}
	return m.brokersStarted(ids)
}

// brokersStarted sends the new brokers to all other brokers and the state of all partitions to the
// new ones. Then it continues elections, reassignments and deletions that waited for the new
// brokers.
func (m *Machine) brokersStarted(ids []metadata.BrokerID) error {
	m.log.Infof("New broker startup callback for %s", javatext.Join(ids, ","))
	for _, id := range ids {
		delete(m.c.offlineReplicas, id)
	}
	m.dispatcher.updateMetadata(without(m.c.registeredIDs(), ids))
	m.dispatcher.updateMetadata(ids, m.c.partitionsWithLeadership()...)
	replicas := m.c.replicasOnBrokers(ids...)
	m.replicas.enter(replicas, onlineReplica)
	if _, err := m.partitions.triggerOnline(m.ctx, func(string) bool { return true }); err != nil {
		return err
	}
	err := m.reassignments.resume(m.ctx, func(tp TopicPartition) bool {
		return slices.ContainsFunc(targetReplicas(m.c.assignment(tp)), func(id metadata.BrokerID) bool { return slices.Contains(ids, id) })
	})
	if err != nil {
		return err
	}
	if waiting := m.deletions.ofQueuedTopics(replicas); len(waiting) > 0 {
		m.log.Infof("Some replicas %s for topics scheduled for deletion %s are on the newly restarted brokers %s. Signaling restart of topic deletion for these topics",
			javatext.Join(waiting, ","), javatext.Join(sortedKeys(m.c.deletionQueue.queued), ","), javatext.Join(ids, ","))
		if err := m.deletions.resumeTopics(m.ctx, topicsOfReplicas(waiting)...); err != nil {
			return err
		}
	}
	return m.brokerNodes.watch(m.ctx, ids)
}

func (m *Machine) removeBrokers(ids []metadata.BrokerID) error {
	if len(ids) == 0 {
		return nil
	}
	for _, id := range ids {
		delete(m.c.brokers, id)
	}
	return m.brokersFailed(ids)
}

// brokersFailed takes the replicas on failed brokers offline and elects other leaders.
func (m *Machine) brokersFailed(ids []metadata.BrokerID) error {
	m.log.Infof("Broker failure callback for %s", javatext.Join(ids, ","))
	var leaving []metadata.BrokerID
	for _, id := range ids {
		delete(m.c.offlineReplicas, id)
		if m.c.shuttingDown[id] {
			delete(m.c.shuttingDown, id)
			leaving = append(leaving, id)
		}
	}
	if len(leaving) > 0 {
		m.log.Infof("Removed %s from list of shutting down brokers.", javatext.Join(leaving, ","))
	}
	if err := m.replicasWentOffline(m.c.replicasOnBrokers(ids...)); err != nil {
		return err
	}
	m.brokerNodes.unwatch(ids)
	return nil
}

// replicasWentOffline elects new leaders for partitions whose leader is offline and removes the
// replicas from the in-sync sets. If this sent no request, it sends an UpdateMetadata request
// without partitions, so that the brokers learn of the failure (KAFKA-13225).
func (m *Machine) replicasWentOffline(replicas []replicaID) error {
	leaderless := m.c.partitionsWithOfflineLeader()
	m.partitions.enter(leaderless, offlinePartition)
	elections, err := m.partitions.triggerOnline(m.ctx, func(string) bool { return true })
	if err != nil {
		return err
	}
	staying := slices.DeleteFunc(slices.Clone(replicas), func(r replicaID) bool { return m.c.queuedForDeletion(r.Topic) })
	if err := m.replicas.takeOffline(m.ctx, staying); err != nil {
		return err
	}
	if err := m.deletions.fail(m.ctx, replicas); err != nil {
		return err
	}
	if len(staying) == 0 && !anyElected(elections) {
		m.dispatcher.updateMetadata(m.c.registeredIDs())
	}
	return nil
}

func anyElected(outcomes map[TopicPartition]electionOutcome) bool {
	for _, o := range outcomes {
		if o.err == nil {
			return true
		}
	}
	return false
}

// brokerModifications notifies that the data of a broker's znode changed.
type brokerModifications struct{ id metadata.BrokerID }

func (brokerModifications) String() string { return "BrokerModifications" }

// process adopts changed endpoints and features. It ignores a change of only the rack.
func (e brokerModifications) process(m *Machine) error {
	if !m.Active() {
		return nil
	}
	info, _, err := m.store.BrokerNode(m.ctx, e.id)
	if errors.Is(err, zkstore.ErrNoNode) {
		return nil
	}
	if err != nil {
		return err
	}
	old, known := m.c.brokers[e.id]
	if !known || slices.Equal(old.Endpoints, info.Endpoints) && reflect.DeepEqual(old.Features, info.Features) {
		return nil
	}
	if listener, ok := m.brokerNodes.missingListener(*info); !ok {
		m.log.Errorf("Broker %d no longer advertises its listener %s; the controller keeps its old endpoints", e.id, listener)
		return nil
	}
	m.log.Infof("Updated broker metadata: %v -> %v", old.Endpoints, info.Endpoints)
	old.Endpoints, old.Features, old.Rack = info.Endpoints, info.Features, info.Rack
	m.c.brokers[e.id] = old
	m.log.Infof("Broker info update callback for %d", e.id)
	m.dispatcher.updateMetadata(m.c.registeredIDs())
	return nil
}
