package controller

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/zkstore"
)

// Machine is the controller's logic without goroutines, timers and sockets. Step processes one
// event to its end; calls must not overlap. Results that are not available at once, such as the
// answers of brokers, arrive as further events. The same store, peers and events give the same
// writes and requests in the same order.
type Machine struct {
	cfg      Config
	versions versions
	store    Store
	peers    Peers
	agenda   Agenda

	dispatcher    *dispatcher
	leaderships   *leaderships
	partitions    *partitionStates
	replicas      *replicaStates
	deletions     *topicDeletions
	reassignments *reassignments
	elections     *electionRequests
	brokerNodes   *brokerNodes
	topicNodes    *topicNodes
	features      *features

	log     kafkalog.Prefixed  // kafka.controller.KafkaController
	changes *kafkalog.Prefixed // state.change.logger, with the epoch of the current term in its prefix

	// pausing is true after this broker failed to become the controller. It stays out of elections
	// until the event pauseOver.
	pausing bool
	// abandoned is the fence of a term that this broker gave up without deleting /controller yet;
	// nil if there is none.
	abandoned *zkstore.Fence

	// c is the state of the current term; empty outside a term. All parts share it.
	c *controllerContext

	// ctx is bound to a ZooKeeper session. Work begun in one session never continues in the next,
	// and no operation waits for a new session: between an expiry and the event of AfterNewSession,
	// every operation fails with ErrSessionExpired.
	ctx context.Context

	mu      sync.Mutex         // guards the fields below, up to stopped
	cancel  context.CancelFunc // cancels ctx
	stopped bool               // contexts created from now on are canceled at once

	controllerID atomicNumber[metadata.BrokerID]        // as last read from /controller; NoBroker if none
	active       atomic.Bool                            // this broker is in a term
	epoch        atomicNumber[metadata.ControllerEpoch] // controller epoch of the term, 0 outside a term
}

// atomicNumber is an atomic.Int32 whose value has a type of its own.
type atomicNumber[T ~int32] struct{ n atomic.Int32 }

func (a *atomicNumber[T]) Load() T   { return T(a.n.Load()) }
func (a *atomicNumber[T]) Store(n T) { a.n.Store(int32(n)) }

// NewMachine returns a machine that is not active and has read nothing. Its first event must be
// Startup. The error names an invalid setting.
func NewMachine(cfg Config, store Store, peers Peers, agenda Agenda) (*Machine, error) {
	ibp, err := settings.ParseIBP(cfg.IBP)
	if err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = kafkalog.Discard()
	}
	newLog := func(class, prefix string) kafkalog.Prefixed {
		return kafkalog.WithPrefix(cfg.Logger, "kafka.controller."+class, prefix, cfg.BrokerID)
	}
	m := &Machine{
		cfg: cfg, versions: versionsOf(ibp), store: store, peers: peers, agenda: agenda, c: newControllerContext(),
		log: newLog("KafkaController", "[Controller id=%d] "), changes: &kafkalog.Prefixed{},
	}
	m.setChangesLogger()
	m.addParts(newLog)
	m.controllerID.Store(metadata.NoBroker)
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m, nil
}

// addParts creates the parts of the machine. They share the context of the term.
func (m *Machine) addParts(newLog func(class, prefix string) kafkalog.Prefixed) {
	id := m.cfg.BrokerID
	m.dispatcher = &dispatcher{c: m.c, peers: m.peers, agenda: m.agenda, changes: m.changes,
		requests: requestBuilder{id: id, listener: m.cfg.InterBrokerListener, versions: m.versions}}
	m.leaderships = &leaderships{id: id, c: m.c, store: m.store}
	m.partitions = &partitionStates{id: id, recovery: m.versions.recovery, unclean: m.cfg.UncleanElection,
		c: m.c, store: m.store, leaderships: m.leaderships, dispatcher: m.dispatcher, changes: m.changes,
		log: newLog("ZkPartitionStateMachine", "[PartitionStateMachine controllerId=%d] ")}
	m.replicas = &replicaStates{id: id, c: m.c, store: m.store, leaderships: m.leaderships, dispatcher: m.dispatcher, changes: m.changes,
		log: newLog("ZkReplicaStateMachine", "[ReplicaStateMachine controllerId=%d] ")}
	m.deletions = &topicDeletions{enabled: m.cfg.DeleteTopics, c: m.c, store: m.store, partitions: m.partitions, replicas: m.replicas,
		dispatcher: m.dispatcher, log: newLog("TopicDeletionManager", "[Topic Deletion Manager %d] ")}
	m.reassignments = &reassignments{watchISR: !m.versions.alterPartition, c: m.c, store: m.store, agenda: m.agenda,
		leaderships: m.leaderships, partitions: m.partitions, replicas: m.replicas, deletions: m.deletions,
		dispatcher: m.dispatcher, log: m.log, changes: m.changes}
	m.elections = &electionRequests{c: m.c, store: m.store, agenda: m.agenda, partitions: m.partitions, log: m.log}
	m.features = &features{versions: m.versions, supported: m.cfg.SupportedFeatures, awaitEpoch: m.cfg.AwaitFeatureEpoch,
		timeout: m.cfg.FeatureUpdateTimeout, c: m.c, store: m.store, log: m.log}
	m.brokerNodes = &brokerNodes{listeners: []string{m.cfg.InterBrokerListener, controlListener(m.cfg)}, features: m.features,
		store: m.store, agenda: m.agenda, log: m.log}
	m.topicNodes = &topicNodes{topicIDs: m.versions.topicIDs, draw: m.cfg.NewTopicID, c: m.c, store: m.store, agenda: m.agenda, log: m.log}
}

// setChangesLogger puts the epoch of the current term into the prefix of the state change log.
func (m *Machine) setChangesLogger() {
	*m.changes = kafkalog.WithPrefix(m.cfg.Logger, "state.change.logger", "[Controller id=%d epoch=%d] ", m.cfg.BrokerID, m.c.epoch)
}

// Step processes one event to its end. If an event fails, the rest of its work is left to a later
// event or the next failover.
func (m *Machine) Step(e Event) {
	err := e.process(m)
	switch {
	case err == nil:
	case moved(err):
		m.log.Infof("Controller moved to another broker when processing %s. (%v)", e, err)
		if err := m.maybeResign(); err != nil {
			m.log.Errorf("Error processing event %s: %v", e, err)
		}
	case m.interruptedByStop(err):
		m.log.Infof("Event %s is abandoned because the broker is stopping", e)
	default:
		m.log.Errorf("Error processing event %s: %v", e, err)
	}
}

// interruptedByStop reports whether an operation failed because Stop was called. Nothing needs to be
// undone then: the end of the session deletes /controller.
func (m *Machine) interruptedByStop(err error) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stopped && errors.Is(err, context.Canceled)
}

// Interrupt cancels the ZooKeeper operation that Step waits for, because its session has expired or
// the broker is stopping. It may be called from any goroutine.
func (m *Machine) Interrupt() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cancel()
}

// Stop cancels the ZooKeeper operation that Step waits for and all operations that begin later. It
// may be called from any goroutine.
func (m *Machine) Stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopped = true
	m.cancel()
}

// bindSession binds all further work to the session that is open now, and watches /controller.
func (m *Machine) bindSession() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cancel()
	m.ctx, m.cancel = context.WithCancel(m.store.BindSession(context.Background()))
	m.pausing, m.abandoned = false, nil // the end of the old session deleted /controller
	// Watch in every session, not only in Startup: a session loss drops queued events, and Startup
	// may be among them.
	m.store.WatchNode(zkstore.ControllerPath, zkstore.NodeWatch{
		Created: func() { m.agenda.Put(controllerChange{}) },
		Changed: func() { m.agenda.Put(controllerChange{}) },
		Deleted: func() { m.agenda.Put(reelect{}) },
	})
	if m.stopped {
		m.cancel()
	}
}

// Active reports whether this broker is the controller. It may be called from any goroutine.
func (m *Machine) Active() bool { return m.active.Load() }
