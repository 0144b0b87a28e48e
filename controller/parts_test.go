package controller

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/zkstore"
)

// parts are the parts of a controller in its first term, without a Machine. The embedded harness
// has the store, the requests to brokers and the queued events.
type parts struct {
	*harness
	ctx           context.Context
	c             *controllerContext
	dispatcher    *dispatcher
	leaderships   *leaderships
	partitions    *partitionStates
	replicas      *replicaStates
	deletions     *topicDeletions
	reassignments *reassignments
}

// newParts returns the parts of the controller on broker 0 of a cluster of the given brokers. The
// cluster has no topics.
func newParts(t testing.TB, brokers ...metadata.BrokerID) *parts {
	h := &harness{t: t, queues: map[metadata.BrokerID][]pending{}}
	h.store = newFakeStore(h.note)
	h.store.epoch, h.store.epochVersion = 1, 1
	c := newControllerContext()
	c.epoch, c.epochVersion = 1, 1
	for _, id := range brokers {
		h.store.register(id, "")
		c.brokers[id] = h.store.brokers[id]
		h.queues[id] = []pending{}
	}
	logger := kafkalog.New(&h.log)
	kafkalog.LevelsOf(logger).Set(kafkalog.Root, logrus.TraceLevel)
	log := kafkalog.WithPrefix(logger, "test", "")
	ibp, err := settings.ParseIBP("3.9")
	if err != nil {
		t.Fatal(err)
	}
	p := &parts{harness: h, ctx: context.Background(), c: c}
	p.dispatcher = &dispatcher{c: c, peers: h, agenda: h, changes: &log,
		requests: requestBuilder{listener: "PLAINTEXT", versions: versionsOf(ibp)}}
	p.leaderships = &leaderships{c: c, store: h.store}
	p.partitions = &partitionStates{recovery: true, c: c, store: h.store, leaderships: p.leaderships, dispatcher: p.dispatcher, log: log, changes: &log}
	p.replicas = &replicaStates{c: c, store: h.store, leaderships: p.leaderships, dispatcher: p.dispatcher, log: log, changes: &log}
	p.deletions = &topicDeletions{enabled: true, c: c, store: h.store, partitions: p.partitions, replicas: p.replicas, dispatcher: p.dispatcher, log: log}
	p.reassignments = &reassignments{c: c, store: h.store, agenda: h, leaderships: p.leaderships, partitions: p.partitions,
		replicas: p.replicas, deletions: p.deletions, dispatcher: p.dispatcher, log: log, changes: &log}
	return p
}

// create adds a topic whose partitions and replicas are online. The first replica leads, and all
// replicas are in sync.
func (p *parts) create(name string, assignments ...zkstore.Assignment) {
	node := topicNode(name, assignments...)
	p.store.putTopic(node)
	p.c.setTopicID(name, node.ID)
	for _, index := range sortedKeys(node.Partitions) {
		tp, a := tp(name, index), node.Partitions[index]
		p.c.setAssignment(tp, a)
		p.store.putState(tp, zkstore.PartitionState{ControllerEpoch: 1, Leader: a.Replicas[0], ISR: a.Replicas})
		p.c.setLeadership(tp, p.store.states[tp])
		p.c.partition(tp).state = onlinePartition
		for _, r := range replicasOf(tp, a.Replicas) {
			p.c.setReplicaState(r, onlineReplica)
		}
	}
	p.take()
}

// movePartitions moves partitions to any state. An election is one of offline partitions.
func (p *parts) movePartitions(tps []TopicPartition, to partitionState) (map[TopicPartition]electionOutcome, error) {
	if to == onlinePartition {
		return p.partitions.bringOnline(p.ctx, tps, electOffline)
	}
	p.partitions.enter(tps, to)
	return nil, nil
}

// moveReplicas moves replicas to any state.
func (p *parts) moveReplicas(replicas []replicaID, to replicaState) error {
	if to == offlineReplica {
		return p.replicas.takeOffline(p.ctx, replicas)
	}
	p.replicas.enter(replicas, to)
	return nil
}

// fail removes a broker, as a failure does before the replicas on it are taken offline.
func (p *parts) fail(id metadata.BrokerID) {
	delete(p.c.brokers, id)
	delete(p.queues, id)
}

// requests returns the kinds of requests sent to brokers and the writes to ZooKeeper, in order,
// without the partitions of requests. It clears the record.
func (p *parts) requests() string {
	lines := slices.DeleteFunc(strings.Split(p.take(), "\n"), func(line string) bool { return line == "" || strings.HasPrefix(line, " ") })
	for i, line := range lines {
		if kind, to, ok := strings.Cut(line, " -> "); ok {
			kind, _, _ = strings.Cut(kind, " ")
			to, _, _ = strings.Cut(to, " ")
			lines[i] = kind + " " + to
		}
	}
	return strings.Join(lines, ", ")
}
