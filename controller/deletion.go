package controller

import (
	"context"
	"slices"
	"strings"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/zkstore"
)

// A topic marked under /admin/delete_topics stays queued until all its replicas have deleted their
// data. Then its znodes are deleted. A round stops the replicas and sends them requests to delete
// their data. Replicas on offline brokers make the topic ineligible for further rounds until such a
// broker is back. Each event that may change something for a queued topic makes a pass over the
// queue, which is the method resume.

// topicDeletions deletes the topics of the queue in the controller's context (Kafka's
// TopicDeletionManager).
type topicDeletions struct {
	enabled bool // delete.topic.enable
	c       *controllerContext
	store   interface {
		deletionStore
		UnwatchNode(path string)
	}
	partitions *partitionStates
	replicas   *replicaStates
	dispatcher *dispatcher
	log        kafkalog.Prefixed
}

// start queues the topics that were marked before this term. Those in ineligible get no round until
// they are resumed.
func (td *topicDeletions) start(ctx context.Context, marked []string, ineligible map[string]bool) error {
	td.log.Infof("Initializing manager with initial deletions: %s, initial ineligible deletions: %s",
		javatext.ImmutableSet(marked, javatext.StringHash), javatext.MutableSet(sortedKeys(ineligible), javatext.StringHash))
	if !td.enabled {
		td.log.Infof("Removing %s since delete topic is disabled", javatext.ImmutableSet(marked, javatext.StringHash))
		return td.store.RemoveTopicDeletions(ctx, td.c.fence(), marked)
	}
	for _, topic := range marked {
		td.c.deletionQueue.add(topic)
		if ineligible[topic] {
			td.c.deletionQueue.halt(topic)
		}
	}
	return nil
}

// markIneligible stops further rounds for those topics that are queued.
func (td *topicDeletions) markIneligible(reason string, topics ...string) {
	if halted := td.c.deletionQueue.halt(topics...); len(halted) > 0 {
		td.log.Infof("Halted deletion of topics %s due to %s", strings.Join(halted, ","), reason)
	}
}

// resumeTopics makes queued topics eligible again and makes a pass.
func (td *topicDeletions) resumeTopics(ctx context.Context, topics ...string) error {
	if !td.c.deletionQueue.resume(topics...) {
		return nil
	}
	return td.resume(ctx)
}

// fail records replicas that could not delete their data or whose broker failed.
func (td *topicDeletions) fail(ctx context.Context, replicas []replicaID) error {
	replicas = td.ofQueuedTopics(replicas)
	if len(replicas) == 0 {
		return nil
	}
	td.log.Debugf("Deletion failed for replicas %s", javatext.Join(replicas, ","))
	td.replicas.enter(replicas, replicaDeletionIneligible)
	td.markIneligible("replica deletion failure", topicsOfReplicas(replicas)...)
	td.makeDue(replicas)
	return td.resume(ctx)
}

// complete records replicas that have deleted their data.
func (td *topicDeletions) complete(ctx context.Context, replicas []replicaID) error {
	replicas = td.ofQueuedTopics(replicas)
	td.log.Debugf("Deletion successfully completed for replicas %s", javatext.Join(replicas, ","))
	td.replicas.enter(replicas, replicaDeletionSuccessful)
	td.makeDue(replicas)
	return td.resume(ctx)
}

// makeDue makes the topics of replicas due for the next pass. The topics must be queued.
func (td *topicDeletions) makeDue(replicas []replicaID) {
	for _, r := range replicas {
		td.c.deletionQueue.due[r.Topic] = true
	}
}

func (td *topicDeletions) ofQueuedTopics(replicas []replicaID) []replicaID {
	return slices.DeleteFunc(slices.Clone(replicas), func(r replicaID) bool { return !td.c.queuedForDeletion(r.Topic) })
}

// resume makes a pass over the queued topics that are due. If it fails, they stay due.
func (td *topicDeletions) resume(ctx context.Context) error {
	if !td.enabled || len(td.c.deletionQueue.due) == 0 {
		return nil
	}
	queue := sortedKeys(td.c.deletionQueue.due)
	td.log.Infof("Handling deletion for topics %s", strings.Join(queue, ","))
	var retry []replicaID
	var start []string
	for _, topic := range queue {
		if td.c.allReplicasIn(topic, replicaDeletionSuccessful) {
			if err := td.completeTopic(ctx, topic); err != nil {
				return err
			}
			td.log.Infof("Deletion of topic %s successfully completed", topic)
			continue
		}
		if td.c.anyReplicaIn(topic, replicaDeletionStarted) {
			continue
		}
		retry = append(retry, td.c.replicasInState(topic, replicaDeletionIneligible)...)
		if !td.c.deletionQueue.ineligible[topic] {
			td.log.Infof("Deletion of topic %s (re)started", topic)
			start = append(start, topic)
		}
	}
	if err := td.replicas.takeOffline(ctx, retry); err != nil {
		return err
	}
	if err := td.startRound(ctx, start); err != nil {
		return err
	}
	clear(td.c.deletionQueue.due)
	for _, topic := range start {
		if !td.c.deletionQueue.ineligible[topic] && !td.c.anyReplicaIn(topic, replicaDeletionStarted) {
			td.c.deletionQueue.due[topic] = true // no deletion started: the next pass tries again
		}
	}
	return nil
}

// startRound takes the partitions of the topics offline, removes them from the metadata of all
// brokers, and sends the live replicas requests to delete their data.
func (td *topicDeletions) startRound(ctx context.Context, topics []string) error {
	if len(topics) == 0 {
		return nil
	}
	unseen := slices.DeleteFunc(slices.Clone(topics), func(t string) bool { return td.c.deletionQueue.started[t] })
	for _, state := range []partitionState{offlinePartition, nonExistentPartition} {
		td.partitions.enter(td.c.partitionsOf(unseen), state)
	}
	for _, topic := range unseen {
		td.c.deletionQueue.started[topic] = true
	}
	td.dispatcher.updateMetadata(td.c.registeredIDs(), td.c.partitionsOf(topics)...)
	return td.deleteReplicas(ctx, topics)
}

func (td *topicDeletions) deleteReplicas(ctx context.Context, topics []string) error {
	var alive, dead []replicaID
	for _, topic := range topics {
		for _, r := range td.c.replicasOfTopic(topic) {
			if !td.c.replicaOnline(r.Broker, r.TopicPartition) {
				dead = append(dead, r)
			} else if td.c.replicaState(r) != replicaDeletionSuccessful {
				alive = append(alive, r)
			}
		}
	}
	td.replicas.enter(dead, replicaDeletionIneligible)
	if err := td.replicas.takeOffline(ctx, alive); err != nil {
		return err
	}
	td.replicas.enter(alive, replicaDeletionStarted)
	td.markIneligible("offline replicas", topicsOfReplicas(dead)...)
	return nil
}

// completeTopic deletes the znodes of a topic and removes it from the controller's state. It first
// removes the watch of the topic: if a topic with the same name is created again, topicChange
// handles it.
func (td *topicDeletions) completeTopic(ctx context.Context, topic string) error {
	td.store.UnwatchNode(zkstore.TopicPath(topic))
	td.replicas.enter(td.c.replicasInState(topic, replicaDeletionSuccessful), nonExistentReplica)
	if err := td.store.DeleteTopic(ctx, td.c.fence(), topic); err != nil {
		return err
	}
	td.c.removeTopic(topic)
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
		m.log.Infof("Removing %s since delete topic is disabled", javatext.ImmutableSet(known, javatext.StringHash))
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
		m.c.deletionQueue.add(topic)
		if reassigning[topic] {
			m.deletions.markIneligible("topic reassignment in progress", topic)
		}
	}
	return m.deletions.resume(m.ctx)
}

func topicsOfReplicas(replicas []replicaID) []string {
	topics := map[string]bool{}
	for _, r := range replicas {
		topics[r.Topic] = true
	}
	return sortedKeys(topics)
}
