package replication

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/storage"
)

// Manager is a broker's replica manager. It holds the hosted partitions, handles the controller's
// requests, and serves produces, fetches and lookups. Create it with NewManager, Start it when the
// logs are loaded, and Close it before the storage.Manager.
type Manager struct {
	cfg      Config
	opts     Options
	lagMaxMs int64
	isr      ISRChanger
	sessions *SessionCache
	waiters  waiterPool
	fetches  sync.Pool // *Fetch
	produces producePool
	fetchers *fetcherManager
	mover    *mover
	quotas   quotas
	selector replicaSelector // nil: consumers read from leaders

	log          *logrus.Entry
	stateLog     *logrus.Entry
	partitionLog *logrus.Entry
	fetchLog     *logrus.Entry

	// control serializes the controller's requests. It guards controllerEpoch, checkpoints and
	// configs.
	control         sync.Mutex
	controllerEpoch metadata.ControllerEpoch
	checkpoints     map[string]map[TopicPartition]record.Offset // by log directory; read once per request
	configs         map[string]*settings.Topic                  // of the topics whose logs are opened; read once per request

	hosted hosted

	terms atomic.Int64 // terms of leadership given out so far; no two partitions share one

	notHosted traffic // requests for partitions not hosted here
	isrCounts isrCounts

	meters Meters

	// checkpointing is set by the first LeaderAndIsr. Before that, the checkpoints on disk contain
	// more partitions than the manager hosts.
	checkpointing atomic.Bool
	checkpointMu  sync.Mutex // orders the writes of checkpoints

	stop context.CancelFunc
	done chan struct{}
}

// NewManager returns a manager that hosts no partitions. From now on it handles the failures of log
// directories and logs that the storage manager reports.
func NewManager(cfg Config) *Manager {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	m := &Manager{
		cfg: cfg, opts: cfg.Options, lagMaxMs: cfg.Options.LagMax.Milliseconds(), isr: cfg.ISR,
		selector:     selectorOf(cfg.Options.SelectorClass),
		log:          kafkalog.For(cfg.Logger, "kafka.server.ReplicaManager"),
		stateLog:     kafkalog.For(cfg.Logger, "state.change.logger"),
		partitionLog: kafkalog.For(cfg.Logger, "kafka.cluster.Partition"),
		fetchLog:     kafkalog.For(cfg.Logger, "kafka.server.ReplicaFetcherThread"),
		hosted:       newHosted(),
	}
	m.sessions = newSessionCache(cfg.Options.FetchSessions, m.hosted.get)
	m.quotas = newQuotas(&m.opts)
	m.fetchers = newFetcherManager(m)
	m.mover = newMover(m)
	cfg.Logs.OnDirFailure(m.dirFailed)
	cfg.Logs.OnLogFailure(m.logFailed)
	return m
}

// Start begins the periodic work: checkpoints of high watermarks and the check for lagging
// replicas.
func (m *Manager) Start() {
	ctx, stop := context.WithCancel(context.Background())
	m.stop, m.done = stop, make(chan struct{})
	go m.periodically(ctx)
}

func (m *Manager) periodically(ctx context.Context) {
	defer close(m.done)
	checkpoint, stopCheckpoint := ticks(m.opts.CheckpointInterval)
	defer stopCheckpoint()
	lag, stopLag := ticks(m.opts.LagMax / 2)
	defer stopLag()
	for {
		select {
		case <-checkpoint:
			if m.checkpointing.Load() {
				m.CheckpointHighWatermarks()
			}
		case <-lag:
			m.ShrinkISRs()
		case <-ctx.Done():
			return
		}
	}
}

// ticks returns a channel that receives once per period, and a function that stops it. A period of
// 0 or less never ticks, as in Kafka's scheduler.
func ticks(period time.Duration) (<-chan time.Time, func()) {
	if period <= 0 {
		return nil, func() {}
	}
	t := time.NewTicker(period)
	return t.C, t.Stop
}

// SetFetchers changes num.replica.fetchers, the number of fetchers per leader.
func (m *Manager) SetFetchers(perLeader int32) { m.fetchers.resize(perLeader) }

// Close stops the fetchers and the periodic work and writes a last checkpoint of the high
// watermarks. The caller must have stopped all requests.
func (m *Manager) Close() {
	m.log.Infof("[ReplicaManager broker=%d] Shutting down", m.opts.BrokerID)
	m.fetchers.close()
	m.mover.close()
	if m.stop != nil {
		m.stop()
		<-m.done
	}
	if m.checkpointing.Load() {
		m.CheckpointHighWatermarks()
	}
	m.log.Infof("[ReplicaManager broker=%d] Shut down completely", m.opts.BrokerID)
}

// Partition returns the hosted partition. Otherwise the error is the code for the client:
// KAFKA_STORAGE_ERROR if its directory failed, NOT_LEADER_OR_FOLLOWER if it is hosted by other
// brokers or not yet announced by a controller, else UNKNOWN_TOPIC_OR_PARTITION.
func (m *Manager) Partition(topic string, index int32) (*Partition, error) {
	if p := m.hosted.get(topic, index); p != nil {
		if p.offline() {
			return nil, protocol.KafkaStorageError
		}
		return p, nil
	}
	if s := m.cfg.Metadata.Snapshot(); s.Complete && s.Partition(topic, index) == nil {
		return nil, protocol.UnknownTopicOrPartition
	}
	return nil, protocol.NotLeaderOrFollower
}

// CheckKnown returns None for a partition that the controller has announced and
// UNKNOWN_TOPIC_OR_PARTITION for one that does not exist. While the metadata is incomplete, a
// partition hosted here counts as announced and any other is NOT_LEADER_OR_FOLLOWER, on which
// clients look for the leader and try again.
func (m *Manager) CheckKnown(topic string, index int32) protocol.ErrorCode {
	s := m.cfg.Metadata.Snapshot()
	switch {
	case s.Partition(topic, index) != nil:
		return protocol.None
	case s.Complete:
		return protocol.UnknownTopicOrPartition
	case m.hosted.get(topic, index) != nil:
		return protocol.None
	}
	return protocol.NotLeaderOrFollower
}

// Partitions returns the hosted partitions in no particular order, including those in failed
// directories.
func (m *Manager) Partitions() []*Partition { return m.hosted.list() }

// openLog returns the partition's log for the role, with the high watermark of the last checkpoint.
// It creates the log if it is missing. It fails if the log directory failed, and the partition
// retired, after the role was admitted. The caller must hold control and the partition's mu.
func (m *Manager) openLog(p *Partition, r *role) (*storage.Log, error) {
	if p.retired != nil {
		return nil, p.retired
	}
	if p.log != nil {
		if r.topicID != (TopicID{}) {
			if err := p.log.AssignTopicID(r.topicID); err != nil {
				return nil, err
			}
		}
		return p.log, nil
	}
	config, err := m.topicConfig(p.id.Topic)
	if err != nil {
		return nil, err
	}
	log, err := m.cfg.Logs.GetOrCreate(p.id, r.topicID, config, r.isNew)
	if err != nil {
		return nil, err
	}
	log.SetConfig(config)
	p.observe(log)
	var high record.Offset
	known := false
	if o := log.Offsets(); o.LogStart < o.LogEnd {
		// The high watermark of an empty log is its end. This avoids reading the checkpoint of all
		// partitions for each new one.
		high, known = m.checkpointed(log.Dir(), p.id)
	}
	if !known {
		m.partitionLog.Infof("[Partition %s broker=%d] No checkpointed highwatermark is found for partition %s", p.id, m.opts.BrokerID, p.id)
	}
	log.SetHighWatermark(high)
	m.partitionLog.Infof("[Partition %s broker=%d] Log loaded for partition %s with initial high watermark %d",
		p.id, m.opts.BrokerID, p.id, log.Offsets().HighWatermark)
	return log, nil
}

// topicConfig returns the configuration for a log that is opened. The caller must hold control.
func (m *Manager) topicConfig(topic string) (*settings.Topic, error) {
	if config := m.configs[topic]; config != nil {
		return config, nil
	}
	config, err := m.cfg.Topics.TopicConfig(topic)
	if err != nil {
		return nil, err
	}
	if m.configs == nil {
		m.configs = map[string]*settings.Topic{}
	}
	m.configs[topic] = config
	return config, nil
}

// checkpointed returns the high watermark in the directory's checkpoint.
func (m *Manager) checkpointed(dir string, id TopicPartition) (record.Offset, bool) {
	offsets, read := m.checkpoints[dir]
	if !read {
		var err error
		if offsets, err = m.cfg.Logs.ReadHighWatermarks(dir); err != nil {
			m.log.Errorf("[ReplicaManager broker=%d] Error while reading the high watermark checkpoint in directory %s: %v", m.opts.BrokerID, dir, err)
		}
		if m.checkpoints == nil {
			m.checkpoints = map[string]map[TopicPartition]record.Offset{}
		}
		m.checkpoints[dir] = offsets
	}
	high, known := offsets[id]
	return high, known
}

// CheckpointHighWatermarks writes the high watermarks of all hosted partitions to the file
// replication-offset-checkpoint of their directories, if they changed.
func (m *Manager) CheckpointHighWatermarks() {
	m.checkpointMu.Lock()
	defer m.checkpointMu.Unlock()
	byDir := map[string][]*storage.Log{}
	note := func(log *storage.Log) { byDir[log.Dir()] = append(byDir[log.Dir()], log) }
	for _, p := range m.Partitions() {
		log := p.Log()
		if log == nil {
			continue
		}
		note(log)
		if future := m.cfg.Logs.FutureLog(p.id); future != nil {
			note(future)
		}
	}
	for dir, logs := range byDir {
		if err := m.cfg.Logs.CheckpointHighWatermarks(dir, logs); err != nil {
			m.log.Errorf("[ReplicaManager broker=%d] Error while writing to highwatermark file in directory %s: %v", m.opts.BrokerID, dir, err)
		}
	}
}

// ShrinkISRs removes lagging replicas from the in-sync replicas of all partitions led by this
// broker.
func (m *Manager) ShrinkISRs() {
	if m.isr == nil {
		return
	}
	now := m.now()
	all := m.Partitions()
	slices.SortFunc(all, func(a, b *Partition) int {
		return cmp.Or(cmp.Compare(a.id.Topic, b.id.Topic), cmp.Compare(a.id.Partition, b.id.Partition))
	})
	for _, p := range all {
		p.shrink(now)
	}
}

// dirFailed takes the partitions of a failed log directory offline. Requests for them get
// KAFKA_STORAGE_ERROR, and the controller is notified through LogDirEvents. Only a restart brings
// them back.
func (m *Manager) dirFailed(dir string) {
	m.log.Warnf("[ReplicaManager broker=%d] Stopping serving replicas in dir %s", m.opts.BrokerID, dir)
	failed := m.takeOffline(m.partitionsIn(dir))
	m.log.Warnf("[ReplicaManager broker=%d] Broker %d stopped fetcher for partitions %s because they are in the failed log directory %s.",
		m.opts.BrokerID, m.opts.BrokerID, javatext.Join(failed, ","), dir)
	if m.cfg.LogDirs != nil {
		m.cfg.LogDirs.LogDirFailed(dir)
	}
	m.log.Warnf("[ReplicaManager broker=%d] Stopped serving replicas in dir %s", m.opts.BrokerID, dir)
}

// partitionsIn returns the hosted partitions whose log is in a directory.
func (m *Manager) partitionsIn(dir string) []*Partition {
	var in []*Partition
	for _, p := range m.Partitions() {
		// A LeaderAndIsr that opened a log before the directory failed holds the partition's lock
		// until the partition has the log.
		if log := p.Log(); log != nil && log.Dir() == dir {
			in = append(in, p)
		}
	}
	return in
}

// takeOffline ends the service of partitions whose logs cannot be used and returns their names.
// Partitions deleted in the meantime stay deleted.
func (m *Manager) takeOffline(partitions []*Partition) []TopicPartition {
	ids := make([]TopicPartition, len(partitions))
	for i, p := range partitions {
		ids[i] = p.id
	}
	m.fetchers.remove(ids)
	m.mover.remove(ids) // moves into a failed directory end by themselves
	for _, p := range partitions {
		p.retire(protocol.KafkaStorageError)
	}
	return ids
}

// logFailed takes the partition of an unusable log offline, as dirFailed does for all partitions of
// a directory.
func (m *Manager) logFailed(id TopicPartition) {
	log := m.cfg.Logs.Log(id)
	if log == nil {
		return // deleted in the meantime
	}
	dir := log.Dir()
	m.takeOffline([]*Partition{m.hosted.add(id, m)})
	m.log.Warnf("[ReplicaManager broker=%d] Stopped serving partition %s because its log in dir %s is unusable", m.opts.BrokerID, id, dir)
	if m.cfg.LogDirs != nil {
		m.cfg.LogDirs.LogDirFailed(dir)
	}
}

func (m *Manager) markOffline(id TopicPartition) {
	m.hosted.add(id, m).retire(protocol.KafkaStorageError)
}

// alive reports whether the broker is in the controller's latest list of live brokers.
func (m *Manager) alive(id metadata.BrokerID) bool { return aliveIn(m.cfg.Metadata.Snapshot(), id) }

func aliveIn(s *metadata.Snapshot, id metadata.BrokerID) bool { return s.Brokers[id] != nil }

func (m *Manager) now() time.Time { return m.cfg.Now() }

// Sessions returns the cache of fetch sessions.
func (m *Manager) Sessions() *SessionCache { return m.sessions }

// Metadata returns the cluster metadata that the controller sent.
func (m *Manager) Metadata() *metadata.Snapshot { return m.cfg.Metadata.Snapshot() }

// Counts holds numbers of hosted partitions, for metrics.
type Counts struct {
	Partitions, Leaders, Offline, UnderReplicated, UnderMinISR, AtMinISR, Reassigning int
	FetcherFailed                                                                     int
}

// Counts counts the hosted partitions by state.
func (m *Manager) Counts() Counts {
	var c Counts
	for _, p := range m.Partitions() {
		c.Partitions++
		if p.offline() {
			c.Offline++
			continue
		}
		s := p.State()
		if !s.Leading {
			continue
		}
		c.Leaders++
		if s.UnderReplicated() {
			c.UnderReplicated++
		}
		if s.UnderMinISR() {
			c.UnderMinISR++
		}
		if s.AtMinISR() {
			c.AtMinISR++
		}
		if s.Reassigning {
			c.Reassigning++
		}
	}
	c.FetcherFailed = m.fetchers.failedCount()
	return c
}
