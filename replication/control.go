package replication

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/storage"
)

// staleBrokerEpoch reports whether a control request was meant for an earlier registration of this
// broker (KIP-380). A larger epoch than the current one is accepted, because the controller may
// have seen the registration before this broker did. So is -1, which means unknown.
func (m *Manager) staleBrokerEpoch(requested int64) bool {
	return requested != -1 && requested < m.cfg.BrokerEpoch()
}

// acceptControllerLocked stores the controller's epoch. It returns false if a newer controller has
// already sent a request. The caller must hold control.
func (m *Manager) acceptControllerLocked(epoch metadata.ControllerEpoch) bool {
	if epoch < m.controllerEpoch {
		return false
	}
	m.controllerEpoch = epoch
	return true
}

// BecomeLeaderOrFollower applies a LeaderAndIsr request. An error affects only its partition and is
// reported in the response.
func (m *Manager) BecomeLeaderOrFollower(req *kmsg.LeaderAndISRRequest, correlationID int32) *kmsg.LeaderAndISRResponse {
	if m.staleBrokerEpoch(req.BrokerEpoch) {
		m.log.Infof("Received LeaderAndIsr request with broker epoch %d smaller than the current broker epoch %d", req.BrokerEpoch, m.cfg.BrokerEpoch())
		return refuseLeaderAndISR(req, protocol.StaleBrokerEpoch)
	}
	started := m.now()
	m.control.Lock()
	defer m.control.Unlock()
	entries := leaderAndISREntries(req)
	m.stateLog.Infof("Handling LeaderAndIsr request correlationId %d from controller %d for %d partitions", correlationID, req.ControllerID, len(entries))
	if !m.acceptControllerLocked(metadata.ControllerEpoch(req.ControllerEpoch)) {
		m.stateLog.Warnf("Ignoring LeaderAndIsr request from controller %d with correlation id %d since its controller epoch %d is old. Latest known controller epoch is %d",
			req.ControllerID, correlationID, req.ControllerEpoch, m.controllerEpoch)
		return refuseLeaderAndISR(req, protocol.StaleControllerEpoch)
	}
	m.checkpoints = nil
	settle := m.cfg.Logs.KeepConfigs()
	defer func() {
		m.configs = nil
		settle()
	}()
	change := roleChange{m: m, now: started, request: fmt.Sprintf("correlationId %d received from controller %d epoch %d", correlationID, req.ControllerID, req.ControllerEpoch)}
	for i := range entries {
		change.admit(&entries[i])
	}
	change.apply()
	m.resumeMoves(entries)
	m.checkpoints = nil
	m.checkpointing.Store(true)
	m.fetchers.stopIdle()
	change.announce()
	m.stateLog.Infof("Finished LeaderAndIsr request in %dms correlationId %d from controller %d for %d partitions",
		m.now().Sub(started).Milliseconds(), correlationID, req.ControllerID, len(entries))
	return answerLeaderAndISR(req, entries)
}

// roleEntry is one partition of a LeaderAndIsr request, with its response.
type roleEntry struct {
	id        TopicPartition
	role      role
	code      protocol.ErrorCode
	partition *Partition // set if the role is to be applied
}

// roleChange applies a request's entries: first those that become leaders, then the followers.
// control is held throughout.
type roleChange struct {
	m         *Manager
	now       time.Time
	request   string // identifies the request in log lines
	leaders   []*roleEntry
	followers []*roleEntry
	elected   []*roleEntry // leaders that did not lead before
	resigned  []*roleEntry // followers in a new epoch
}

// admit checks one entry and adds it to the leaders or followers.
func (c *roleChange) admit(e *roleEntry) {
	m := c.m
	known := m.hosted.get(e.id.Topic, e.id.Partition)
	if known != nil && known.offline() {
		m.stateLog.Warnf("Ignoring LeaderAndIsr request for partition %s as the local replica for the partition is in an offline log directory", e.id)
		e.code = protocol.KafkaStorageError
		return
	}
	log := m.cfg.Logs.Log(e.id)
	epoch := metadata.NoLeaderEpoch
	if known != nil {
		epoch = known.State().LeaderEpoch
	}
	switch {
	case conflictingID(log, e.role.topicID):
		m.stateLog.Errorf("Topic ID in memory: %s does not match the topic ID for partition %s received: %s.", javatext.UUID(log.TopicID()), e.id, javatext.UUID(e.role.topicID))
		e.code = protocol.InconsistentTopicID
	case e.role.leaderEpoch < epoch:
		m.stateLog.Warnf("Ignoring LeaderAndIsr request for partition %s since its associated leader epoch %d is smaller than the current leader epoch %d", e.id, e.role.leaderEpoch, epoch)
		e.code = protocol.StaleControllerEpoch
	case known != nil && e.role.leaderEpoch == epoch:
		e.code = m.sameEpoch(known, log, &e.role)
	case !slices.Contains(e.role.replicas, m.opts.BrokerID):
		m.stateLog.Warnf("Ignoring LeaderAndIsr request for partition %s as itself is not in assigned replica list %s", e.id, javatext.Join(e.role.replicas, ","))
		e.code = protocol.UnknownTopicOrPartition
	default:
		e.partition = m.hosted.add(e.id, m)
		if e.role.leader == m.opts.BrokerID {
			c.leaders = append(c.leaders, e)
		} else {
			c.followers = append(c.followers, e)
		}
	}
}

func conflictingID(log *storage.Log, requested TopicID) bool {
	return log != nil && requested != (TopicID{}) && log.TopicID() != (TopicID{}) && log.TopicID() != requested
}

// sameEpoch handles an entry with the current leader epoch. It is refused without effect unless it
// brings the topic id that the log lacks or, for a follower, omits the id that the log has
// (KAFKA-13132). Within an epoch only AlterPartition changes the in-sync replicas.
func (m *Manager) sameEpoch(p *Partition, log *storage.Log, r *role) protocol.ErrorCode {
	lacking := log != nil && log.TopicID() == (TopicID{})
	following := r.leader != m.opts.BrokerID
	switch {
	case lacking && r.topicID != (TopicID{}):
		if err := log.AssignTopicID(r.topicID); err != nil {
			return protocol.CodeOf(err)
		}
		p.waits.wake(stateChanged)
		m.stateLog.Infof("Updating log for %s to assign topic ID %s from LeaderAndIsr request", p.id, javatext.UUID(r.topicID))
	case log != nil && !lacking && r.topicID == (TopicID{}) && following:
	default:
		m.stateLog.Infof("Ignoring LeaderAndIsr request for partition %s since its associated leader epoch %d matches the current leader epoch", p.id, r.leaderEpoch)
		return protocol.StaleControllerEpoch
	}
	if following {
		m.fetchers.setTopicID(p.id, r.topicID)
	}
	return protocol.None
}

func (c *roleChange) apply() {
	c.prepareLogs()
	c.applyLeaders()
	c.applyFollowers()
}

// prepareLogs creates the missing logs. Errors are ignored here: the role change tries again and
// reports them.
func (c *roleChange) prepareLogs() {
	var missing []*roleEntry
	for _, e := range slices.Concat(c.leaders, c.followers) {
		if c.m.cfg.Logs.Log(e.id) == nil {
			missing = append(missing, e)
		}
	}
	if len(missing) < 2 {
		return
	}
	configs := make([]*settings.Topic, len(missing))
	for i, e := range missing {
		configs[i], _ = c.m.topicConfig(e.id.Topic)
	}
	c.m.cfg.Logs.ManyAtOnce(len(missing), func(i int) {
		if e := missing[i]; configs[i] != nil {
			_, _ = c.m.cfg.Logs.GetOrCreate(e.id, e.role.topicID, configs[i], e.role.isNew)
		}
	})
}

func (c *roleChange) applyLeaders() {
	if len(c.leaders) == 0 {
		return
	}
	c.m.fetchers.remove(idsOf(c.leaders))
	for _, e := range c.leaders {
		became, err := e.partition.makeLeader(&e.role, c.now)
		c.note(e, err)
		if became {
			c.elected = append(c.elected, e)
		}
	}
}

func (c *roleChange) applyFollowers() {
	if len(c.followers) == 0 {
		return
	}
	var restart []*roleEntry
	cluster := c.m.cfg.Metadata.Snapshot()
	for _, e := range c.followers {
		if !aliveIn(cluster, e.role.leader) {
			c.m.stateLog.Errorf("Received LeaderAndIsrRequest for partition %s (last update controller epoch %d) but cannot become follower since the new leader %d is unavailable.",
				e.id, e.role.controllerEpoch, e.role.leader)
			c.note(e, e.partition.openOnly(&e.role))
			continue
		}
		newEpoch, err := e.partition.makeFollower(&e.role)
		c.note(e, err)
		if newEpoch {
			restart = append(restart, e)
		}
	}
	c.m.fetchers.remove(idsOf(restart))
	for _, e := range restart {
		e.partition.waits.wake(stateChanged)
	}
	c.m.fetchers.follow(restart)
	c.resigned = restart
}

// note sets the code of an entry's response from err. After a storage error the partition is
// offline, unless the cause was a lack of file descriptors. After any other error it keeps its
// state, and the controller's next request tries again.
func (c *roleChange) note(e *roleEntry, err error) {
	e.code = protocol.CodeOf(err)
	switch e.code {
	case protocol.None:
		return
	case protocol.KafkaStorageError:
	default:
		c.m.stateLog.Errorf("Error while processing LeaderAndIsr request %s for partition %s: %v", c.request, e.id, err)
		return
	}
	c.m.stateLog.Errorf("Skipped the state change for partition %s (last update controller epoch %d) since the replica for the partition is offline due to storage error %v",
		e.id, e.role.controllerEpoch, err)
	if !errors.Is(err, storage.ErrTooManyFiles) {
		c.m.markOffline(e.id)
	}
}

// announce notifies the coordinators.
func (c *roleChange) announce() {
	for _, l := range c.m.cfg.Leaders {
		for _, e := range c.elected {
			l.BecameLeader(e.id, e.role.leaderEpoch)
		}
		for _, e := range c.resigned {
			l.Resigned(e.id, e.role.leaderEpoch)
		}
	}
}

func idsOf(entries []*roleEntry) []TopicPartition {
	ids := make([]TopicPartition, len(entries))
	for i, e := range entries {
		ids[i] = e.id
	}
	return ids
}

func leaderAndISREntries(req *kmsg.LeaderAndISRRequest) []roleEntry {
	var entries []roleEntry
	add := func(topic string, id TopicID, states []kmsg.LeaderAndISRRequestTopicPartition) {
		for i := range states {
			s := &states[i]
			entries = append(entries, roleEntry{id: TopicPartition{Topic: topic, Partition: s.Partition}, role: role{
				topicID: id, controllerEpoch: metadata.ControllerEpoch(s.ControllerEpoch),
				leader: metadata.BrokerID(s.Leader), leaderEpoch: metadata.LeaderEpoch(s.LeaderEpoch),
				partitionEpoch: metadata.PartitionEpoch(s.ZKVersion),
				isr:            slices.Clone(metadata.BrokerIDs(s.ISR)), replicas: slices.Clone(metadata.BrokerIDs(s.Replicas)),
				adding: slices.Clone(metadata.BrokerIDs(s.AddingReplicas)), removing: slices.Clone(metadata.BrokerIDs(s.RemovingReplicas)),
				isNew: s.IsNew,
			}})
		}
	}
	for i := range req.PartitionStates { // v0 and v1: each partition names its topic
		add(req.PartitionStates[i].Topic, TopicID{}, req.PartitionStates[i:i+1])
	}
	for i := range req.TopicStates {
		add(req.TopicStates[i].Topic, req.TopicStates[i].TopicID, req.TopicStates[i].PartitionStates)
	}
	return entries
}

func refuseLeaderAndISR(req *kmsg.LeaderAndISRRequest, code protocol.ErrorCode) *kmsg.LeaderAndISRResponse {
	entries := leaderAndISREntries(req)
	for i := range entries {
		entries[i].code = code
	}
	resp := answerLeaderAndISR(req, entries)
	resp.ErrorCode = int16(code)
	return resp
}

func answerLeaderAndISR(req *kmsg.LeaderAndISRRequest, entries []roleEntry) *kmsg.LeaderAndISRResponse {
	resp := req.ResponseKind().(*kmsg.LeaderAndISRResponse)
	topics := map[TopicID]int{}
	for i := range entries {
		e := &entries[i]
		answer := kmsg.NewLeaderAndISRResponseTopicPartition()
		answer.Topic, answer.Partition, answer.ErrorCode = e.id.Topic, e.id.Partition, int16(e.code)
		if req.Version < 5 {
			resp.Partitions = append(resp.Partitions, answer)
			continue
		}
		at, known := topics[e.role.topicID]
		if !known {
			at = len(resp.Topics)
			topics[e.role.topicID] = at
			topic := kmsg.NewLeaderAndISRResponseTopic()
			topic.TopicID = e.role.topicID
			resp.Topics = append(resp.Topics, topic)
		}
		resp.Topics[at].Partitions = append(resp.Topics[at].Partitions, answer)
	}
	return resp
}

// StopReplica applies a StopReplica request. The listed replicas stop following and, if the request
// says so, are deleted. The log of a replica that is not hosted is deleted as well: the topic may
// have been deleted while this broker was down.
func (m *Manager) StopReplica(req *kmsg.StopReplicaRequest, correlationID int32) *kmsg.StopReplicaResponse {
	resp := req.ResponseKind().(*kmsg.StopReplicaResponse)
	if m.staleBrokerEpoch(req.BrokerEpoch) {
		m.log.Infof("Received StopReplica request with broker epoch %d smaller than the current broker epoch %d", req.BrokerEpoch, m.cfg.BrokerEpoch())
		resp.ErrorCode = int16(protocol.StaleBrokerEpoch)
		return resp
	}
	m.control.Lock()
	defer m.control.Unlock()
	stops := stopEntries(req)
	m.stateLog.Infof("Handling StopReplica request correlationId %d from controller %d for %d partitions", correlationID, req.ControllerID, len(stops))
	if !m.acceptControllerLocked(metadata.ControllerEpoch(req.ControllerEpoch)) {
		m.stateLog.Warnf("Ignoring StopReplica request from controller %d with correlation id %d since its controller epoch %d is old. Latest known controller epoch is %d",
			req.ControllerID, correlationID, req.ControllerEpoch, m.controllerEpoch)
		resp.ErrorCode = int16(protocol.StaleControllerEpoch)
		return resp
	}
	var stopping []TopicPartition
	for i := range stops {
		if stops[i].code = m.admitStop(&stops[i]); stops[i].code == protocol.None {
			stopping = append(stopping, stops[i].id)
		}
	}
	m.fetchers.remove(stopping) // first, because fetchers use the partitions
	m.mover.remove(stopping)
	m.stopAll(stops)
	for i := range stops {
		s := &stops[i]
		answer := kmsg.NewStopReplicaResponsePartition()
		answer.Topic, answer.Partition, answer.ErrorCode = s.id.Topic, s.id.Partition, int16(s.code)
		resp.Partitions = append(resp.Partitions, answer)
	}
	m.fetchers.stopIdle()
	return resp
}

type stopEntry struct {
	id          TopicPartition
	leaderEpoch metadata.LeaderEpoch
	delete      bool
	code        protocol.ErrorCode
}

func stopEntries(req *kmsg.StopReplicaRequest) []stopEntry {
	var stops []stopEntry
	add := func(topic string, partition int32, epoch metadata.LeaderEpoch, del bool) {
		stops = append(stops, stopEntry{id: TopicPartition{Topic: topic, Partition: partition}, leaderEpoch: epoch, delete: del})
	}
	for i := range req.Topics {
		t := &req.Topics[i]
		switch {
		case req.Version == 0:
			add(t.Topic, t.Partition, metadata.NoLeaderEpoch, req.DeletePartitions)
		case req.Version < 3:
			for _, partition := range t.Partitions {
				add(t.Topic, partition, metadata.NoLeaderEpoch, req.DeletePartitions)
			}
		default:
			for _, s := range t.PartitionStates {
				add(t.Topic, s.Partition, metadata.LeaderEpoch(s.LeaderEpoch), s.Delete)
			}
		}
	}
	return stops
}

func (m *Manager) admitStop(s *stopEntry) protocol.ErrorCode {
	p := m.hosted.get(s.id.Topic, s.id.Partition)
	if p == nil {
		return protocol.None
	}
	if p.offline() {
		m.stateLog.Warnf("Ignoring StopReplica request (delete=%t) for partition %s as the local replica for the partition is in an offline log directory", s.delete, s.id)
		return protocol.KafkaStorageError
	}
	epoch := p.State().LeaderEpoch
	if s.leaderEpoch == metadata.EpochDuringDelete || s.leaderEpoch == metadata.NoLeaderEpoch || s.leaderEpoch >= epoch {
		return protocol.None
	}
	m.stateLog.Warnf("Ignoring StopReplica request (delete=%t) for partition %s since its associated leader epoch %d is smaller than the current leader epoch %d", s.delete, s.id, s.leaderEpoch, epoch)
	return protocol.FencedLeaderEpoch
}

// stopAll stops the admitted replicas. Replicas that are not deleted keep their role and epoch;
// only their fetching has stopped. All logs to delete are deleted together.
func (m *Manager) stopAll(stops []stopEntry) {
	var deleted []*stopEntry
	var ids []TopicPartition
	for i := range stops {
		s := &stops[i]
		if s.code != protocol.None {
			continue
		}
		p := m.hosted.get(s.id.Topic, s.id.Partition)
		if !s.delete {
			if p != nil {
				p.waits.wake(stateChanged)
			}
			continue
		}
		if p != nil {
			m.hosted.remove(s.id)
			p.retire(protocol.NotLeaderOrFollower)
			for _, l := range m.cfg.Leaders {
				l.Resigned(s.id, metadata.NoLeaderEpoch)
			}
		}
		deleted, ids = append(deleted, s), append(ids, s.id)
	}
	if len(ids) == 0 {
		return
	}
	for i, err := range m.cfg.Logs.DeleteAll(ids) {
		if err != nil {
			m.stateLog.Errorf("Ignoring StopReplica request (delete=true) for partition %s: %v", ids[i], err)
			deleted[i].code = protocol.CodeOf(err)
		}
	}
}

// UpdateMetadata applies an UpdateMetadata request to the metadata cache and returns the partitions
// of topics that are being deleted. To wait for topics to appear or disappear, watch
// metadata.Cache.Changed.
func (m *Manager) UpdateMetadata(req *kmsg.UpdateMetadataRequest, correlationID int32) (*kmsg.UpdateMetadataResponse, []TopicPartition) {
	resp := req.ResponseKind().(*kmsg.UpdateMetadataResponse)
	if m.staleBrokerEpoch(req.BrokerEpoch) {
		m.log.Infof("Received UpdateMetadata request with broker epoch %d smaller than the current broker epoch %d", req.BrokerEpoch, m.cfg.BrokerEpoch())
		resp.ErrorCode = int16(protocol.StaleBrokerEpoch)
		return resp, nil
	}
	m.control.Lock()
	defer m.control.Unlock()
	if !m.acceptControllerLocked(metadata.ControllerEpoch(req.ControllerEpoch)) {
		m.stateLog.Warnf("Received update metadata request with correlation id %d from an old controller %d with epoch %d. Latest known controller epoch is %d",
			correlationID, req.ControllerID, req.ControllerEpoch, m.controllerEpoch)
		resp.ErrorCode = int16(protocol.StaleControllerEpoch)
		return resp, nil
	}
	return resp, m.cfg.Metadata.Apply(req)
}
