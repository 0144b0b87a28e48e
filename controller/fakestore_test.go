package controller

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

// fakeStore is a Store in memory. Its versions, fences and one-shot watches behave as in ZooKeeper.
// It records each write with journal.
type fakeStore struct {
	journal func(format string, args ...any)

	brokers         map[metadata.BrokerID]zkstore.BrokerInfo
	czxid           int64
	controller      *zkstore.ControllerNode
	epoch           metadata.ControllerEpoch
	epochVersion    zkstore.Version
	feature         *zkstore.FeatureNode
	topics          map[string]zkstore.TopicNode
	states          map[TopicPartition]zkstore.PartitionState
	configs         map[string]map[string]string
	deletions       map[string]bool
	isrChanges      map[string][]TopicPartition
	logDirEvents    map[string]metadata.BrokerID
	reassignments   map[TopicPartition][]metadata.BrokerID // nil if the node does not exist
	preferred       []TopicPartition                       // nil if the node does not exist
	producerIDs     int64
	expired         bool                       // whether the session of all contexts has expired
	fail            map[string]error           // the error of the next call, by operation
	conflicts       map[TopicPartition]int     // how many of the next writes of the state conflict
	invalidBrokers  map[metadata.BrokerID]bool // registered with invalid data
	invalidStates   map[TopicPartition]bool    // states that exist with invalid data
	invalidConfigs  map[string]bool            // topic configurations with invalid data
	children        map[string]func()
	nodes           map[string]zkstore.NodeWatch
	armed, armedKid map[string]bool

	// intercept, unless nil, is called at the start of each operation. An error that it returns
	// fails the operation. fenced is true for a write that the controller epoch fences.
	intercept func(op string, fenced bool) error
}

func newFakeStore(journal func(string, ...any)) *fakeStore {
	return &fakeStore{
		journal: journal, czxid: 100,
		brokers: map[metadata.BrokerID]zkstore.BrokerInfo{}, topics: map[string]zkstore.TopicNode{},
		states: map[TopicPartition]zkstore.PartitionState{}, configs: map[string]map[string]string{},
		deletions: map[string]bool{}, isrChanges: map[string][]TopicPartition{}, logDirEvents: map[string]metadata.BrokerID{},
		fail: map[string]error{}, conflicts: map[TopicPartition]int{}, invalidBrokers: map[metadata.BrokerID]bool{}, invalidStates: map[TopicPartition]bool{},
		children: map[string]func(){}, nodes: map[string]zkstore.NodeWatch{}, armed: map[string]bool{}, armedKid: map[string]bool{},
	}
}

// ---- Changes by other clients of ZooKeeper

func (s *fakeStore) register(id metadata.BrokerID, rack string) {
	s.czxid++
	b := zkstore.BrokerInfo{ID: id, Epoch: s.czxid, Endpoints: []metadata.Endpoint{
		{Listener: "PLAINTEXT", Host: "host", Port: 9000 + int32(id)},
	}}
	if rack != "" {
		b.Rack = &rack
	}
	s.brokers[id] = b
	s.childrenChanged(zkstore.BrokerIDsPath)
}

func (s *fakeStore) unregister(id metadata.BrokerID) {
	delete(s.brokers, id)
	s.nodeDeleted(zkstore.BrokerPath(id))
	s.childrenChanged(zkstore.BrokerIDsPath)
}

func (s *fakeStore) putTopic(t zkstore.TopicNode) {
	_, existed := s.topics[t.Name]
	t.Version = s.topics[t.Name].Version + 1
	s.topics[t.Name] = t
	if existed {
		s.nodeChanged(zkstore.TopicPath(t.Name))
	} else {
		s.childrenChanged(zkstore.TopicsPath)
	}
}

func (s *fakeStore) putState(tp TopicPartition, st zkstore.PartitionState) {
	st.Version = s.states[tp].Version + 1
	s.keep(tp, st)
	s.nodeChanged(zkstore.PartitionStatePath(tp))
}

// keep stores a state with the current transaction id.
func (s *fakeStore) keep(tp TopicPartition, st zkstore.PartitionState) {
	st.Zxid = s.czxid
	s.states[tp] = st
}

func (s *fakeStore) markDeletion(topic string) {
	s.deletions[topic] = true
	s.childrenChanged(zkstore.DeleteTopicsPath)
}

// stealController makes another broker the controller, as after a pause of this one.
func (s *fakeStore) stealController(id metadata.BrokerID) {
	s.epoch++
	s.epochVersion++
	s.controller = &zkstore.ControllerNode{ID: id, KRaftEpoch: -1}
	s.nodeChanged(zkstore.ControllerPath)
}

func (s *fakeStore) dropController() {
	s.controller = nil
	s.nodeDeleted(zkstore.ControllerPath)
}

func (s *fakeStore) childrenChanged(path string) {
	if s.armedKid[path] && s.children[path] != nil {
		delete(s.armedKid, path)
		s.children[path]()
	}
}

func (s *fakeStore) fire(path string, pick func(zkstore.NodeWatch) func()) {
	if w, ok := s.nodes[path]; ok && s.armed[path] {
		delete(s.armed, path)
		if f := pick(w); f != nil {
			f()
		}
	}
}

func (s *fakeStore) nodeChanged(path string) {
	s.fire(path, func(w zkstore.NodeWatch) func() { return w.Changed })
}
func (s *fakeStore) nodeCreated(path string) {
	s.fire(path, func(w zkstore.NodeWatch) func() { return w.Created })
}
func (s *fakeStore) nodeDeleted(path string) {
	s.fire(path, func(w zkstore.NodeWatch) func() { return w.Deleted })
}

// ---- Store

func (s *fakeStore) check(op string) error { return s.begin(op, false) }

func (s *fakeStore) begin(op string, fenced bool) error {
	if s.intercept != nil {
		if err := s.intercept(op, fenced); err != nil {
			return err
		}
	}
	if s.expired {
		return zkstore.ErrSessionExpired
	}
	if err := s.fail[op]; err != nil {
		delete(s.fail, op)
		return err
	}
	return nil
}

func (s *fakeStore) checkFence(op string, f zkstore.Fence) error {
	if err := s.begin(op, true); err != nil {
		return err
	}
	if f.EpochVersion != zkstore.AnyVersion && f.EpochVersion != s.epochVersion {
		return fmt.Errorf("%s: %w", op, zkstore.ErrControllerMoved)
	}
	return nil
}

func (s *fakeStore) BindSession(ctx context.Context) context.Context {
	s.expired = false
	return ctx
}
func (s *fakeStore) WatchChildren(path string, changed func()) { s.children[path] = changed }
func (s *fakeStore) UnwatchChildren(path string)               { delete(s.children, path) }
func (s *fakeStore) WatchNode(path string, w zkstore.NodeWatch) {
	s.nodes[path] = w
}
func (s *fakeStore) UnwatchNode(path string) { delete(s.nodes, path) }

func (s *fakeStore) arm(path string) {
	if _, ok := s.nodes[path]; ok {
		s.armed[path] = true
	}
}

func (s *fakeStore) armChildren(path string) {
	if s.children[path] != nil {
		s.armedKid[path] = true
	}
}

func (s *fakeStore) Arm(_ context.Context, path string) (bool, error) {
	if err := s.check("Arm"); err != nil {
		return true, err // callers must not use the result
	}
	s.arm(path)
	switch path {
	case zkstore.ReassignPartitionsPath:
		return s.reassignments != nil, nil
	case zkstore.PreferredElectionPath:
		return s.preferred != nil, nil
	}
	return true, nil
}

func (s *fakeStore) Controller(context.Context) (zkstore.ControllerNode, bool, error) {
	if err := s.check("Controller"); err != nil {
		return zkstore.ControllerNode{}, false, err
	}
	s.arm(zkstore.ControllerPath)
	if s.controller == nil {
		return zkstore.ControllerNode{}, false, nil
	}
	return *s.controller, true, nil
}

func (s *fakeStore) Elect(_ context.Context, id metadata.BrokerID) (zkstore.ControllerEpochNode, error) {
	if err := s.check("Elect"); err != nil {
		return zkstore.ControllerEpochNode{}, err
	}
	if s.controller != nil {
		return zkstore.ControllerEpochNode{}, zkstore.ErrControllerMoved
	}
	s.epoch++
	s.epochVersion++
	s.controller = &zkstore.ControllerNode{ID: id, KRaftEpoch: -1}
	s.journal("zk create /controller %d; set /controller_epoch %d", id, s.epoch)
	s.nodeCreated(zkstore.ControllerPath)
	return zkstore.ControllerEpochNode{Epoch: s.epoch, Version: s.epochVersion}, nil
}

func (s *fakeStore) DeleteController(_ context.Context, f zkstore.Fence) error {
	if err := s.checkFence("DeleteController", f); err != nil {
		return err
	}
	s.journal("zk delete /controller")
	s.dropController()
	return nil
}

func (s *fakeStore) Feature(context.Context) (zkstore.FeatureNode, error) {
	if err := s.check("Feature"); err != nil {
		return zkstore.FeatureNode{}, err
	}
	if s.feature == nil {
		return zkstore.FeatureNode{}, zkstore.ErrNoNode
	}
	return *s.feature, nil
}

func (s *fakeStore) CreateFeature(_ context.Context, n zkstore.FeatureNode) error {
	if err := s.check("CreateFeature"); err != nil {
		return err
	}
	s.journal("zk create /feature v%d enabled=%t", n.JSONVersion, n.Enabled)
	s.feature = &n
	return nil
}

func (s *fakeStore) SetFeature(_ context.Context, n zkstore.FeatureNode) (zkstore.Version, error) {
	if err := s.check("SetFeature"); err != nil {
		return 0, err
	}
	s.journal("zk set /feature v%d enabled=%t %v", n.JSONVersion, n.Enabled, n.Features)
	n.Version = s.feature.Version + 1
	s.feature = &n
	return n.Version, nil
}

func (s *fakeStore) AllocateProducerIDBlock(_ context.Context, broker metadata.BrokerID) (zkstore.ProducerIDBlock, error) {
	if err := s.check("AllocateProducerIDBlock"); err != nil {
		return zkstore.ProducerIDBlock{}, err
	}
	b := zkstore.ProducerIDBlock{Broker: broker, Start: s.producerIDs, End: s.producerIDs + 999}
	s.producerIDs += 1000
	s.journal("zk set /latest_producer_id_block broker %d %d-%d", broker, b.Start, b.End)
	return b, nil
}

func (s *fakeStore) Brokers(context.Context) (map[metadata.BrokerID]zkstore.BrokerInfo, error) {
	if err := s.check("Brokers"); err != nil {
		return nil, err
	}
	s.armChildren(zkstore.BrokerIDsPath)
	if len(s.invalidBrokers) > 0 {
		return nil, zkstore.ErrInvalidNode
	}
	return maps.Clone(s.brokers), nil
}

func (s *fakeStore) BrokerIDs(context.Context) ([]metadata.BrokerID, error) {
	if err := s.check("BrokerIDs"); err != nil {
		return nil, err
	}
	ids := append(sortedKeys(s.brokers), sortedKeys(s.invalidBrokers)...)
	slices.Sort(ids)
	return ids, nil
}

func (s *fakeStore) BrokerNode(_ context.Context, id metadata.BrokerID) (*zkstore.BrokerInfo, int64, error) {
	if err := s.check("BrokerNode"); err != nil {
		return nil, 0, err
	}
	s.arm(zkstore.BrokerPath(id))
	if s.invalidBrokers[id] {
		return nil, 0, zkstore.ErrInvalidNode
	}
	b, ok := s.brokers[id]
	if !ok {
		return nil, 0, zkstore.ErrNoNode
	}
	return &b, 1, nil
}

func (s *fakeStore) Topics(context.Context) ([]string, error) {
	if err := s.check("Topics"); err != nil {
		return nil, err
	}
	s.armChildren(zkstore.TopicsPath)
	return sortedKeys(s.topics), nil
}

func (s *fakeStore) TopicNodes(_ context.Context, names []string) (map[string]zkstore.TopicNode, error) {
	if err := s.check("TopicNodes"); err != nil {
		return nil, err
	}
	found := map[string]zkstore.TopicNode{}
	for _, name := range names {
		s.arm(zkstore.TopicPath(name))
		if t, ok := s.topics[name]; ok {
			found[name] = t
		}
	}
	return found, nil
}

func (s *fakeStore) SetTopic(_ context.Context, f zkstore.Fence, t zkstore.TopicNode) (zkstore.Version, error) {
	if err := s.checkFence("SetTopic", f); err != nil {
		return 0, err
	}
	if _, ok := s.topics[t.Name]; !ok {
		return 0, zkstore.ErrNoNode
	}
	s.journal("zk set %s%s", topicText(t), map[bool]string{true: " (id)"}[s.topics[t.Name].ID != t.ID])
	s.putTopic(t)
	return s.topics[t.Name].Version, nil
}

func (s *fakeStore) RestoreTopic(ctx context.Context, f zkstore.Fence, t zkstore.TopicNode) error {
	if now, ok := s.topics[t.Name]; ok && now.Version != t.Version {
		return zkstore.ErrBadVersion
	}
	_, err := s.SetTopic(ctx, f, t)
	return err
}

func (s *fakeStore) DeleteTopic(_ context.Context, f zkstore.Fence, name string) error {
	if err := s.checkFence("DeleteTopic", f); err != nil {
		return err
	}
	s.journal("zk delete topic %s, its configuration and its deletion mark", name)
	for p := range s.topics[name].Partitions {
		delete(s.states, TopicPartition{Topic: name, Partition: p})
	}
	delete(s.topics, name)
	delete(s.deletions, name)
	s.nodeDeleted(zkstore.TopicPath(name))
	s.childrenChanged(zkstore.TopicsPath)
	s.childrenChanged(zkstore.DeleteTopicsPath)
	return nil
}

func (s *fakeStore) TopicDeletions(context.Context) ([]string, error) {
	if err := s.check("TopicDeletions"); err != nil {
		return nil, err
	}
	s.armChildren(zkstore.DeleteTopicsPath)
	return sortedKeys(s.deletions), nil
}

func (s *fakeStore) RemoveTopicDeletions(_ context.Context, f zkstore.Fence, names []string) error {
	if err := s.checkFence("RemoveTopicDeletions", f); err != nil {
		return err
	}
	for _, name := range names {
		s.journal("zk delete /admin/delete_topics/%s", name)
		delete(s.deletions, name)
		s.childrenChanged(zkstore.DeleteTopicsPath)
	}
	return nil
}

func (s *fakeStore) Configs(_ context.Context, _ zkstore.EntityType, names []string) (configs map[string]map[string]string, unreadable map[string]error, err error) {
	if err := s.check("Configs"); err != nil {
		return nil, nil, err
	}
	configs, unreadable = map[string]map[string]string{}, map[string]error{}
	for _, name := range names {
		if s.invalidConfigs[name] {
			unreadable[name] = zkstore.ErrInvalidNode
		} else {
			configs[name] = s.configs[name]
		}
	}
	return configs, unreadable, nil
}

func (s *fakeStore) PartitionStates(_ context.Context, tps []TopicPartition) (map[TopicPartition]zkstore.PartitionState, error) {
	if err := s.check("PartitionStates"); err != nil {
		return nil, err
	}
	found := map[TopicPartition]zkstore.PartitionState{}
	for _, tp := range tps {
		s.arm(zkstore.PartitionStatePath(tp))
		if st, ok := s.states[tp]; ok {
			found[tp] = st
		}
	}
	return found, nil
}

func (s *fakeStore) CreatePartitionStates(_ context.Context, f zkstore.Fence, states map[TopicPartition]zkstore.PartitionState) (map[TopicPartition]error, error) {
	if err := s.checkFence("CreatePartitionStates", f); err != nil {
		return nil, err
	}
	failed := map[TopicPartition]error{}
	for _, tp := range sortedPartitions(states) {
		if _, exists := s.states[tp]; exists || s.invalidStates[tp] {
			failed[tp] = zkstore.ErrNodeExists
			continue
		}
		s.journal("zk create %s", stateLine(tp, states[tp]))
		s.keep(tp, states[tp])
	}
	return failed, nil
}

func (s *fakeStore) SetPartitionStates(_ context.Context, f zkstore.Fence, states map[TopicPartition]zkstore.PartitionState) (map[TopicPartition]zkstore.Version, map[TopicPartition]error, error) {
	if err := s.checkFence("SetPartitionStates", f); err != nil {
		return nil, nil, err
	}
	written, failed := map[TopicPartition]zkstore.Version{}, map[TopicPartition]error{}
	for _, tp := range sortedPartitions(states) {
		st := states[tp]
		current, exists := s.states[tp]
		if s.conflicts[tp] > 0 { // another client changes the state first
			s.conflicts[tp]--
			current.Version++
			s.states[tp] = current
		}
		switch {
		case !exists:
			failed[tp] = zkstore.ErrNoNode
		case current.Version != st.Version:
			failed[tp] = zkstore.ErrBadVersion
		default:
			st.Version++
			s.keep(tp, st)
			written[tp] = st.Version
			s.journal("zk set %s", stateLine(tp, st))
			s.nodeChanged(zkstore.PartitionStatePath(tp))
		}
	}
	return written, failed, nil
}

func (s *fakeStore) ISRChanges(context.Context) ([]string, error) {
	if err := s.check("ISRChanges"); err != nil {
		return nil, err
	}
	s.armChildren(zkstore.ISRChangesPath)
	return sortedKeys(s.isrChanges), nil
}

func (s *fakeStore) ISRChangePartitions(_ context.Context, nodes []string) ([]TopicPartition, error) {
	if err := s.check("ISRChangePartitions"); err != nil {
		return nil, err
	}
	var tps []TopicPartition
	for _, n := range nodes {
		tps = append(tps, s.isrChanges[n]...)
	}
	return tps, nil
}

func (s *fakeStore) DeleteISRChanges(_ context.Context, f zkstore.Fence, nodes []string) error {
	return deleteNodes(s, "DeleteISRChanges", f, nodes, s.isrChanges)
}

func (s *fakeStore) LogDirEvents(context.Context) ([]string, error) {
	if err := s.check("LogDirEvents"); err != nil {
		return nil, err
	}
	s.armChildren(zkstore.LogDirEventsPath)
	return sortedKeys(s.logDirEvents), nil
}

func (s *fakeStore) LogDirEventBrokers(_ context.Context, nodes []string) ([]metadata.BrokerID, error) {
	if err := s.check("LogDirEventBrokers"); err != nil {
		return nil, err
	}
	var ids []metadata.BrokerID
	for _, n := range nodes {
		ids = append(ids, s.logDirEvents[n])
	}
	return distinct(ids), nil
}

func (s *fakeStore) DeleteLogDirEvents(_ context.Context, f zkstore.Fence, nodes []string) error {
	return deleteNodes(s, "DeleteLogDirEvents", f, nodes, s.logDirEvents)
}

func deleteNodes[V any](s *fakeStore, op string, f zkstore.Fence, nodes []string, from map[string]V) error {
	if err := s.checkFence(op, f); err != nil {
		return err
	}
	for _, n := range nodes {
		s.journal("zk delete %s", n)
		delete(from, n)
	}
	return nil
}

func (s *fakeStore) PartitionReassignments(context.Context) (map[TopicPartition][]metadata.BrokerID, error) {
	if err := s.check("PartitionReassignments"); err != nil {
		return nil, err
	}
	s.arm(zkstore.ReassignPartitionsPath)
	return maps.Clone(s.reassignments), nil
}

func (s *fakeStore) SetPartitionReassignments(_ context.Context, f zkstore.Fence, r map[TopicPartition][]metadata.BrokerID) error {
	if err := s.checkFence("SetPartitionReassignments", f); err != nil {
		return err
	}
	if len(r) == 0 {
		s.journal("zk delete /admin/reassign_partitions")
		s.reassignments = nil
		s.nodeDeleted(zkstore.ReassignPartitionsPath)
		return nil
	}
	s.journal("zk set /admin/reassign_partitions %s", javatext.Join(sortedPartitions(r), ","))
	s.reassignments = r
	return nil
}

func (s *fakeStore) PreferredElections(context.Context) ([]TopicPartition, error) {
	if err := s.check("PreferredElections"); err != nil {
		return nil, err
	}
	s.arm(zkstore.PreferredElectionPath)
	return s.preferred, nil
}

func (s *fakeStore) DeletePreferredElections(_ context.Context, f zkstore.Fence) error {
	if err := s.checkFence("DeletePreferredElections", f); err != nil {
		return err
	}
	if s.preferred != nil {
		s.journal("zk delete /admin/preferred_replica_election")
		s.preferred = nil
		s.nodeDeleted(zkstore.PreferredElectionPath)
	}
	return nil
}

func topicText(t zkstore.TopicNode) string {
	var parts []string
	for _, i := range sortedKeys(t.Partitions) {
		a := t.Partitions[i]
		text := fmt.Sprintf("%d=%s", i, javatext.Join(a.Replicas, ","))
		if beingReassigned(a) {
			text += fmt.Sprintf("(+%s -%s)", javatext.Join(a.Adding, ","), javatext.Join(a.Removing, ","))
		}
		parts = append(parts, text)
	}
	return fmt.Sprintf("topic %s %s", t.Name, strings.Join(parts, " "))
}

func stateLine(tp TopicPartition, s zkstore.PartitionState) string {
	text := fmt.Sprintf("%s v%d leader=%d epoch=%d isr=%s", tp, s.Version, s.Leader, s.LeaderEpoch, javatext.Join(s.ISR, ","))
	if s.Recovering {
		text += " recovering"
	}
	return text
}
