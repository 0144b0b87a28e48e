package controller

import (
	"maps"
	"slices"
	"strings"
)

// A topic marked under /admin/delete_topics stays queued until all its replicas have deleted their
// data. Then its znodes are deleted. A round stops the replicas and sends them requests to delete
// their data. Replicas on offline brokers make the topic ineligible for further rounds until such a
// broker is back. Each event that may change something for a queued topic makes a pass over the
// queue (resumeDeletions).

// startDeletions queues the topics that were marked before this term.
func (m *Machine) startDeletions(marked []string) error {
	ineligible := map[string]bool{}
	for name := range m.c.topics {
		if slices.ContainsFunc(m.c.replicasOfTopic(name), func(r replicaID) bool { return !m.c.replicaOnline(r.Broker, r.TopicPartition) }) {
			ineligible[name] = true
		}
	}
	for tp := range m.c.reassigning {
		ineligible[tp.Topic] = true
	}
	m.log.Infof("List of topics to be deleted: %s", strings.Join(marked, ","))
	m.log.Infof("List of topics ineligible for deletion: %s", strings.Join(sortedKeys(ineligible), ","))
	m.log.Infof("Initializing topic deletion manager")
	m.deletionLog.Infof("Initializing manager with initial deletions: %s, initial ineligible deletions: %s",
		scalaList("Set", marked), scalaList("HashSet", sortedKeys(ineligible)))
	if !m.cfg.DeleteTopics {
		m.deletionLog.Infof("Removing %s since delete topic is disabled", scalaList("Set", marked))
		return m.store.RemoveTopicDeletions(m.ctx, m.c.fence(), marked)
	}
	for _, topic := range marked {
		m.c.queueDeletion(topic)
		if ineligible[topic] {
			m.c.topicsIneligible[topic] = true
		}
	}
	return nil
}

// queueDeletion queues a topic and makes it due for the next pass.
func (c *controllerContext) queueDeletion(topic string) {
	if !c.topicsToBeDeleted[topic] {
		c.topicsToBeDeleted[topic], c.topicsDue[topic] = true, true
	}
}

// markIneligible stops further rounds for those topics that are queued.
func (m *Machine) markIneligible(reason string, topics ...string) {
	var halted []string
	for _, topic := range topics {
		if m.c.topicsToBeDeleted[topic] {
			m.c.topicsIneligible[topic] = true
			halted = append(halted, topic)
		}
	}
	if len(halted) > 0 {
		m.deletionLog.Infof("Halted deletion of topics %s due to %s", strings.Join(halted, ","), reason)
	}
}

// resumeDeletionOf makes queued topics eligible again and makes a pass.
func (m *Machine) resumeDeletionOf(topics ...string) error {
	queued := false
	for _, topic := range topics {
		if m.c.topicsToBeDeleted[topic] {
			queued = true
			m.c.topicsDue[topic] = true
			delete(m.c.topicsIneligible, topic)
		}
	}
	if !queued {
		return nil
	}
	return m.resumeDeletions()
}

// failDeletions records replicas that could not delete their data or whose broker failed.
func (m *Machine) failDeletions(replicas []replicaID) error {
	replicas = m.ofQueuedTopics(replicas)
	if len(replicas) == 0 {
		return nil
	}
	m.deletionLog.Debugf("Deletion failed for replicas %s", joinReplicas(replicas))
	if err := m.replicas.move(m.ctx, replicas, replicaDeletionIneligible); err != nil {
		return err
	}
	m.markIneligible("replica deletion failure", topicsOfReplicas(replicas)...)
	m.passDue(replicas)
	return m.resumeDeletions()
}

// completeDeletions records replicas that have deleted their data.
func (m *Machine) completeDeletions(replicas []replicaID) error {
	replicas = m.ofQueuedTopics(replicas)
	m.deletionLog.Debugf("Deletion successfully completed for replicas %s", joinReplicas(replicas))
	if err := m.replicas.move(m.ctx, replicas, replicaDeletionSuccessful); err != nil {
		return err
	}
	m.passDue(replicas)
	return m.resumeDeletions()
}

// passDue makes the topics of replicas due for the next pass. The topics must be queued.
func (m *Machine) passDue(replicas []replicaID) {
	for _, r := range replicas {
		m.c.topicsDue[r.Topic] = true
	}
}

func (m *Machine) ofQueuedTopics(replicas []replicaID) []replicaID {
	return slices.DeleteFunc(slices.Clone(replicas), func(r replicaID) bool { return !m.c.queuedForDeletion(r.Topic) })
}

// resumeDeletions makes a pass over the queued topics that are due. If it fails, they stay due.
func (m *Machine) resumeDeletions() error {
	if !m.cfg.DeleteTopics || len(m.c.topicsDue) == 0 {
		return nil
	}
	queue := sortedKeys(m.c.topicsDue)
	m.deletionLog.Infof("Handling deletion for topics %s", strings.Join(queue, ","))
	var retry []replicaID
	var start []string
	for _, topic := range queue {
		if m.c.allReplicasIn(topic, replicaDeletionSuccessful) {
			if err := m.completeTopicDeletion(topic); err != nil {
				return err
			}
			m.deletionLog.Infof("Deletion of topic %s successfully completed", topic)
			continue
		}
		if m.c.anyReplicaIn(topic, replicaDeletionStarted) {
			continue
		}
		retry = append(retry, m.c.replicasInState(topic, replicaDeletionIneligible)...)
		if !m.c.topicsIneligible[topic] {
			m.deletionLog.Infof("Deletion of topic %s (re)started", topic)
			start = append(start, topic)
		}
	}
	if err := m.replicas.move(m.ctx, retry, offlineReplica); err != nil {
		return err
	}
	if err := m.startDeletionRound(start); err != nil {
		return err
	}
	clear(m.c.topicsDue)
	for _, topic := range start {
		if !m.c.topicsIneligible[topic] && !m.c.anyReplicaIn(topic, replicaDeletionStarted) {
			m.c.topicsDue[topic] = true // no deletion started: the next pass tries again
		}
	}
	return nil
}

// startDeletionRound takes the partitions of the topics offline, removes them from the metadata of
// all brokers, and sends the live replicas requests to delete their data.
func (m *Machine) startDeletionRound(topics []string) error {
	if len(topics) == 0 {
		return nil
	}
	unseen := slices.DeleteFunc(slices.Clone(topics), func(t string) bool { return m.c.topicsWithDeletionStarted[t] })
	for _, state := range []partitionState{offlinePartition, nonExistentPartition} {
		if _, err := m.partitions.move(m.ctx, m.c.partitionsOf(unseen), state, electOffline); err != nil {
			return err
		}
	}
	for _, topic := range unseen {
		m.c.topicsWithDeletionStarted[topic] = true
	}
	m.dispatcher.updateMetadata(m.c.registeredIDs(), m.c.partitionsOf(topics)...)
	return m.deleteReplicas(topics)
}

func (m *Machine) deleteReplicas(topics []string) error {
	var alive, dead []replicaID
	for _, topic := range topics {
		for _, r := range m.c.replicasOfTopic(topic) {
			if !m.c.replicaOnline(r.Broker, r.TopicPartition) {
				dead = append(dead, r)
			} else if m.c.replicaState(r) != replicaDeletionSuccessful {
				alive = append(alive, r)
			}
		}
	}
	if err := m.replicas.move(m.ctx, dead, replicaDeletionIneligible); err != nil {
		return err
	}
	if err := m.replicas.move(m.ctx, alive, offlineReplica); err != nil {
		return err
	}
	if err := m.replicas.move(m.ctx, alive, replicaDeletionStarted); err != nil {
		return err
	}
	m.markIneligible("offline replicas", topicsOfReplicas(dead)...)
	return nil
}

// completeTopicDeletion deletes the znodes of a topic and removes it from the controller's state.
// It first removes the watch of the topic: if a topic with the same name is created again,
// topicChange handles it.
func (m *Machine) completeTopicDeletion(topic string) error {
	m.unwatchTopics(topic)
	if err := m.replicas.move(m.ctx, m.c.replicasInState(topic, replicaDeletionSuccessful), nonExistentReplica); err != nil {
		return err
	}
	if err := m.store.DeleteTopic(m.ctx, m.c.fence(), topic); err != nil {
		return err
	}
	m.c.removeTopic(topic)
	return nil
}

// topicDeletion notifies that the children of /admin/delete_topics changed.
type topicDeletion struct{}

func (topicDeletion) String() string { return "TopicDeletion" }

func (topicDeletion) process(m *Machine) error {
	if !m.Active() {
		return nil
	}
	marked, err := m.store.TopicDeletions(m.ctx)
	if err != nil {
		return err
	}
	m.log.Debugf("Delete topics listener fired for topics %s to be deleted", strings.Join(marked, ","))
	var known, unknown []string
	for _, topic := range marked {
		if m.c.topics[topic] != nil {
			known = append(known, topic)
		} else {
			unknown = append(unknown, topic)
		}
	}
	if len(unknown) > 0 {
		m.log.Warnf("Ignoring request to delete non-existing topics %s", strings.Join(unknown, ","))
		if err := m.store.RemoveTopicDeletions(m.ctx, m.c.fence(), unknown); err != nil {
			return err
		}
	}
	if !m.cfg.DeleteTopics {
		m.log.Infof("Removing %s since delete topic is disabled", scalaList("Set", known))
		return m.store.RemoveTopicDeletions(m.ctx, m.c.fence(), known)
	}
	if len(known) == 0 {
		return nil
	}
	m.log.Infof("Starting topic deletion for topics %s", strings.Join(known, ","))
	reassigning := map[string]bool{}
	for tp := range m.c.reassigning {
		reassigning[tp.Topic] = true
	}
	for _, topic := range known {
		m.c.queueDeletion(topic)
		if reassigning[topic] {
			m.markIneligible("topic reassignment in progress", topic)
		}
	}
	return m.resumeDeletions()
}

func topicsOfReplicas(replicas []replicaID) []string {
	topics := map[string]bool{}
	for _, r := range replicas {
		topics[r.Topic] = true
	}
	return slices.Sorted(maps.Keys(topics))
}
