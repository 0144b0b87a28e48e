package controller

import (
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

// firstRebalance is the time from a failover to the first rebalance of leaders.
const firstRebalance = 5 * time.Second

// electionPause is the time during which a broker that failed to become the controller leaves
// elections to the other brokers.
const electionPause = time.Second

// registerRetry is the pause after a failed registration.
const registerRetry = time.Second

// Startup is the first event of a machine.
type Startup struct{}

func (Startup) String() string { return "Startup" }

func (Startup) process(m *Machine) error {
	m.bindSession()
	return m.electController()
}

// controllerChange notifies that /controller was created or changed.
type controllerChange struct{}

func (controllerChange) String() string           { return "ControllerChange" }
func (controllerChange) process(m *Machine) error { return m.maybeResign() }

// reelect notifies that /controller was deleted.
type reelect struct{}

func (reelect) String() string { return "Reelect" }

func (reelect) process(m *Machine) error {
	if err := m.maybeResign(); err != nil || m.pausing {
		return err
	}
	return m.electController()
}

// pauseOver ends the pause of a broker that failed to become the controller.
type pauseOver struct{}

func (pauseOver) String() string { return "Reelect" }

func (e pauseOver) process(m *Machine) error {
	if err := m.deleteAbandoned(); err != nil {
		m.agenda.PutAfter(electionPause, e)
		return err
	}
	m.pausing = false
	return reelect{}.process(m)
}

// Expire notifies that the ZooKeeper session has expired, which ends the term.
type Expire struct{}

func (Expire) String() string { return "Expire" }

func (Expire) process(m *Machine) error {
	m.controllerID.Store(metadata.NoBroker)
	m.resign()
	return nil
}

// RegisterBrokerAndReelect notifies that a new ZooKeeper session is open.
type RegisterBrokerAndReelect struct{}

func (RegisterBrokerAndReelect) String() string { return "RegisterBrokerAndReelect" }

// process registers the broker before anything else. If this fails, for example because the id is
// still in use, it tries again later: otherwise the broker would stay unregistered for good.
func (e RegisterBrokerAndReelect) process(m *Machine) error {
	m.bindSession()
	if m.cfg.Register != nil {
		if err := m.cfg.Register(m.ctx); err != nil {
			m.agenda.PutAfter(registerRetry, e)
			return fmt.Errorf("register broker %d again: %w", m.cfg.BrokerID, err)
		}
	}
	return reelect{}.process(m)
}

// readController reads the id of the controller from /controller and arms the watch.
func (m *Machine) readController() (exists bool, err error) {
	node, exists, err := m.store.Controller(m.ctx)
	if err != nil {
		return false, err
	}
	if !exists {
		node.ID = metadata.NoBroker
	}
	m.controllerID.Store(node.ID)
	return exists, nil
}

// maybeResign resigns if /controller does not name this broker.
func (m *Machine) maybeResign() error {
	if _, err := m.readController(); err != nil {
		return err
	}
	if m.Active() && m.controllerID.Load() != m.cfg.BrokerID {
		m.resign()
	}
	return nil
}

// electController tries to become the controller if there is none.
func (m *Machine) electController() error {
	exists, err := m.readController()
	if err != nil {
		return err
	}
	if exists {
		m.log.Debugf("Broker %d has been elected as the controller, so stopping the election process.", m.controllerID.Load())
		return nil
	}
	err = m.electSelf()
	switch {
	case err == nil:
		return nil
	case moved(err):
		if err := m.maybeResign(); err != nil {
			return err
		}
		if id := m.controllerID.Load(); id != metadata.NoBroker {
			m.log.Debugf("Broker %d was elected as controller instead of broker %d", id, m.cfg.BrokerID)
		} else {
			m.log.Warnf("A controller has been elected but just resigned, this will result in another round of election")
		}
		return nil
	case m.interruptedByStop(err):
		return err
	default:
		m.log.Errorf("Error while electing or becoming controller on broker %d. Trigger controller movement immediately: %v", m.cfg.BrokerID, err)
		return m.giveUp()
	}
}

// electSelf creates /controller and, if that succeeds, runs the failover. It returns
// zkstore.ErrControllerMoved if another broker won.
func (m *Machine) electSelf() error {
	won, err := m.store.Elect(m.ctx, m.cfg.BrokerID)
	if err != nil {
		return err
	}
	m.c.epoch, m.c.epochVersion = won.Epoch, won.Version
	m.setChangesLogger()
	m.controllerID.Store(m.cfg.BrokerID)
	m.epoch.Store(won.Epoch)
	m.active.Store(true)
	m.log.Infof("%d successfully elected as the controller. Epoch incremented to %d and epoch zk version is now %d", m.cfg.BrokerID, won.Epoch, won.Version)
	return m.failoverOrError()
}

// failoverOrError runs failover and converts a panic into an error, which makes the broker give up
// the term.
func (m *Machine) failoverOrError() (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("panic while becoming the controller: %v\n%s", reason, debug.Stack())
		}
	}()
	return m.failover()
}

// giveUp ends the term and deletes /controller, so that another broker is elected, or this one
// after a pause. If the deletion fails, it is tried again after the pause: the znode must not name
// a broker that does not act as the controller.
func (m *Machine) giveUp() error {
	_, err := m.readController()
	if !m.Active() {
		return err // the election was not won
	}
	if err == nil && m.controllerID.Load() != m.cfg.BrokerID {
		m.log.Warnf("Controller has already moved when trying to trigger controller movement")
		m.resign()
		return nil
	}
	fence := m.c.fence()
	m.controllerID.Store(metadata.NoBroker)
	m.resign()
	m.pausing, m.abandoned = true, &fence
	m.agenda.PutAfter(electionPause, pauseOver{})
	if err != nil {
		return err
	}
	return m.deleteAbandoned()
}

// deleteAbandoned deletes the /controller of an abandoned term unless that was done already.
func (m *Machine) deleteAbandoned() error {
	if m.abandoned == nil {
		return nil
	}
	err := m.store.DeleteController(m.ctx, *m.abandoned)
	if moved(err) {
		m.log.Warnf("Controller has already moved when trying to trigger controller movement")
		err = nil
	}
	if err == nil {
		m.abandoned = nil
	}
	return err
}

// failover reads the cluster's state and starts the work of the controller. The order matters:
// brokers must know the live brokers before they are sent leaders (KAFKA-4443), and replicas must
// have their states before leaders are elected.
func (m *Machine) failover() error {
	if err := m.features.setUp(m.ctx); err != nil {
		return err
	}
	m.log.Infof("Registering handlers")
	if err := m.watchAll(); err != nil {
		return err
	}
	if err := m.deleteOldNotifications(); err != nil {
		return err
	}
	m.log.Infof("Initializing controller context")
	if err := m.initializeContext(); err != nil {
		return err
	}
	m.log.Infof("Fetching topic deletions in progress")
	if err := m.startDeletions(); err != nil {
		return err
	}
	m.log.Infof("Sending update metadata request")
	m.dispatcher.updateMetadata(m.c.registeredIDs())
	if err := m.startAll(); err != nil {
		return err
	}
	m.log.Infof("Ready to serve as the new controller with epoch %d", m.c.epoch)
	if err := m.resumeOldRequests(); err != nil {
		return err
	}
	m.log.Infof("Starting the controller scheduler")
	if m.cfg.AutoRebalance {
		m.agenda.PutAfter(firstRebalance, autoRebalance{m.c.epoch})
	}
	if m.cfg.TokenExpiry != nil {
		m.log.Infof("starting the token expiry check scheduler")
		m.cfg.TokenExpiry(true)
	}
	return nil
}

// startDeletions queues the topics that were marked for deletion. Those with an offline replica or
// an ongoing reassignment are ineligible for now.
func (m *Machine) startDeletions() error {
	marked, err := m.store.TopicDeletions(m.ctx)
	if err != nil {
		return err
	}
	ineligible := map[string]bool{}
	for name := range m.c.topics {
		if slices.ContainsFunc(m.c.replicasOfTopic(name), func(r replicaID) bool { return !m.c.replicaOnline(r.Broker, r.TopicPartition) }) {
			ineligible[name] = true
		}
	}
	for tp := range m.c.reassigning {
		ineligible[tp.Topic] = true
	}
	m.log.Infof("List of topics to be deleted: %s", javatext.Join(marked, ","))
	m.log.Infof("List of topics ineligible for deletion: %s", javatext.Join(sortedKeys(ineligible), ","))
	m.log.Infof("Initializing topic deletion manager")
	return m.deletions.start(m.ctx, marked, ineligible)
}

// resumeOldRequests continues the requests that an earlier controller did not complete.
func (m *Machine) resumeOldRequests() error {
	if err := m.reassignments.resumeAll(m.ctx); err != nil {
		return err
	}
	if err := m.deletions.resume(m.ctx); err != nil {
		return err
	}
	return m.elections.resumePreferred(m.ctx)
}

func (m *Machine) watchAll() error {
	children, requests := m.childEvents(), m.requestEvents()
	for _, path := range sortedKeys(children) {
		m.store.WatchChildren(path, func() { m.agenda.Put(children[path]) })
	}
	for _, path := range sortedKeys(requests) {
		event := requests[path]
		m.store.WatchNode(path, zkstore.NodeWatch{Created: func() { m.agenda.Put(event) }})
		if _, err := m.store.Arm(m.ctx, path); err != nil {
			return err
		}
	}
	return nil
}

func (m *Machine) childEvents() map[string]Event {
	return map[string]Event{
		zkstore.BrokerIDsPath:    brokerChange{},
		zkstore.TopicsPath:       topicChange{},
		zkstore.DeleteTopicsPath: topicDeletion{},
		zkstore.LogDirEventsPath: logDirEventNotification{},
		zkstore.ISRChangesPath:   isrChangeNotification{},
	}
}

// requestEvents returns the events for the znodes through which old tools send requests. Only the
// creation of these znodes is watched.
func (m *Machine) requestEvents() map[string]Event {
	return map[string]Event{
		zkstore.PreferredElectionPath:  electionRequest{type_: ElectPreferred, trigger: zkTriggered},
		zkstore.ReassignPartitionsPath: zkReassignment{},
	}
}

// deleteOldNotifications deletes the notifications to an earlier controller. They are not needed,
// since failover reads all state afterwards.
func (m *Machine) deleteOldNotifications() error {
	m.log.Infof("Deleting log dir event notifications")
	nodes, err := m.store.LogDirEvents(m.ctx)
	if err != nil {
		return err
	}
	if err := m.store.DeleteLogDirEvents(m.ctx, m.c.fence(), nodes); err != nil {
		return err
	}
	m.log.Infof("Deleting isr change notifications")
	if nodes, err = m.store.ISRChanges(m.ctx); err != nil {
		return err
	}
	return m.store.DeleteISRChanges(m.ctx, m.c.fence(), nodes)
}

func (m *Machine) initializeContext() error {
	brokers, err := m.brokerNodes.read(m.ctx)
	if err != nil {
		return err
	}
	m.c.brokers = brokers
	m.log.Infof("Initialized broker epochs cache: %s", epochsText(m.c))
	names, err := m.store.Topics(m.ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		m.c.addTopic(name)
	}
	added, err := m.topicNodes.read(m.ctx, names, m.cfg.KnownTopicID)
	if err != nil {
		return err
	}
	for _, tp := range added {
		if beingReassigned(m.c.assignment(tp)) {
			m.c.reassigning[tp] = true
		}
	}
	if err := m.brokerNodes.watch(m.ctx, m.c.registeredIDs()); err != nil {
		return err
	}
	if err := m.leaderships.read(m.ctx, added); err != nil {
		return err
	}
	for _, id := range m.c.registeredIDs() {
		m.peers.Add(m.c.brokers[id])
	}
	m.log.Infof("Currently active brokers in the cluster: %s", liveText(m.c.liveIDs()))
	m.log.Infof("Currently shutting brokers in the cluster: %s", javatext.MutableSet(sortedKeys(m.c.shuttingDown), javatext.IntHash))
	m.log.Infof("Current list of topics in the cluster: %s", javatext.MutableSet(names, javatext.StringHash))
	return nil
}

// resign ends the term and clears the controller's state. It writes nothing to ZooKeeper.
func (m *Machine) resign() {
	m.log.Debugf("Resigning")
	for path := range m.childEvents() {
		m.store.UnwatchChildren(path)
	}
	for path := range m.requestEvents() {
		m.store.UnwatchNode(path)
	}
	m.brokerNodes.unwatch(m.c.registeredIDs())
	for tp := range m.c.reassigning {
		m.reassignments.unwatchState(tp)
	}
	m.partitions.log.Infof("Stopped partition state machine")
	m.topicNodes.unwatch(sortedKeys(m.c.topics)...)
	m.replicas.log.Infof("Stopped replica state machine")
	m.agenda.CancelTimers()
	if m.cfg.TokenExpiry != nil && m.Active() {
		m.cfg.TokenExpiry(false)
	}
	m.peers.RemoveAll()
	m.active.Store(false)
	m.epoch.Store(0)
	m.c.reset()
	m.log.Infof("Resigned")
	m.setChangesLogger()
}
