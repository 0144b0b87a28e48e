package controller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/kafkalog"
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
	requests requestBuilder

	log                                   logger // kafka.controller.KafkaController
	partitionLog, replicaLog, deletionLog logger
	changes                               logger // state.change.logger

	unclean bool // unclean.leader.election.enable, which may be changed dynamically

	// pausing is true after this broker failed to become the controller. It stays out of elections
	// until pauseOver.
	pausing bool
	// abandoned is the fence of a term that this broker gave up without deleting /controller yet;
	// nil if there is none.
	abandoned *zkstore.Fence

	uncleanElections int64 // since the start of the broker

	// c is the state of the current term; empty outside a term.
	c *controllerContext
	// finalized are the feature levels of /feature as last read or written.
	finalized map[string]zkstore.FinalizedFeature

	// ctx is bound to a ZooKeeper session. Work begun in one session never continues in the next,
	// and no operation waits for a new session: between an expiry and the event of AfterNewSession,
	// every operation fails with ErrSessionExpired.
	ctx context.Context

	mu      sync.Mutex         // guards the fields below, up to stopped
	cancel  context.CancelFunc // cancels ctx
	stopped bool               // contexts created from now on are canceled at once

	controllerID atomic.Int32 // as last read from /controller; noLeader if none
	active       atomic.Bool  // this broker is in a term
	epoch        atomic.Int32 // controller epoch of the term, 0 outside a term
}

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
	m := &Machine{
		cfg: cfg, versions: versionsOf(ibp), store: store, peers: peers, agenda: agenda,
		unclean: cfg.UncleanElection, c: newControllerContext(),
		log:          newLogger(cfg.Logger, "kafka.controller.KafkaController", "[Controller id=%d] ", cfg.BrokerID),
		partitionLog: newLogger(cfg.Logger, "kafka.controller.ZkPartitionStateMachine", "[PartitionStateMachine controllerId=%d] ", cfg.BrokerID),
		replicaLog:   newLogger(cfg.Logger, "kafka.controller.ZkReplicaStateMachine", "[ReplicaStateMachine controllerId=%d] ", cfg.BrokerID),
		deletionLog:  newLogger(cfg.Logger, "kafka.controller.TopicDeletionManager", "[Topic Deletion Manager %d] ", cfg.BrokerID),
	}
	m.setChangesLogger()
	m.requests = requestBuilder{id: cfg.BrokerID, listener: cfg.InterBrokerListener, versions: m.versions}
	m.controllerID.Store(noLeader)
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m, nil
}

// setChangesLogger puts the epoch of the current term into the prefix of the state change log.
func (m *Machine) setChangesLogger() {
	m.changes = newLogger(m.cfg.Logger, "state.change.logger", "[Controller id=%d epoch=%d] ", m.cfg.BrokerID, m.c.epoch)
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
	case errors.Is(err, context.Canceled) && m.stopping():
		m.log.Infof("Event %s is abandoned because the broker is stopping", e)
	default:
		m.log.Errorf("Error processing event %s: %v", e, err)
	}
}

func (m *Machine) stopping() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stopped
}

// Interrupt cancels the ZooKeeper operation that Step waits for, because its session has expired or
// the broker is stopping. It may be called from any goroutine.
func (m *Machine) Interrupt() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cancel()
}

// Stop is Interrupt, but also for all operations that begin later.
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

// send flushes a batch: it appends the requests to the brokers' queues.
func (m *Machine) send(b *batch) {
	if b.empty() {
		return
	}
	out := m.requests.requests(b)
	m.logRequests(b, out)
	epoch := m.c.epoch
	for _, o := range out {
		m.peers.Send(o.broker, o.req, m.answered(epoch, o))
	}
}

// answered returns a callback that turns the response into an event, or nil if the response to this
// request does not matter.
func (m *Machine) answered(epoch int32, o outgoing) func(kmsg.Response) {
	if _, ok := o.req.(*kmsg.StopReplicaRequest); ok && len(o.remove) == 0 {
		return nil
	}
	return func(resp kmsg.Response) {
		switch resp := resp.(type) {
		case *kmsg.LeaderAndISRResponse:
			m.agenda.Put(leaderAndISRAnswered{epoch, o.broker, resp})
		case *kmsg.UpdateMetadataResponse:
			m.agenda.Put(updateMetadataAnswered{epoch, o.broker, resp})
		case *kmsg.StopReplicaResponse:
			m.agenda.Put(stopReplicaAnswered{epoch, o.broker, o.remove, resp})
		}
	}
}

// sendUpdateMetadata sends the live brokers and the state of the partitions to brokers.
func (m *Machine) sendUpdateMetadata(brokers []int32, tps ...TopicPartition) {
	b := newBatch(m.c)
	b.addUpdateMetadata(brokers, tps...)
	m.send(b)
}

func (m *Machine) logRequests(b *batch, out []outgoing) {
	traced := m.changes.traced()
	saidUpdate := false
	for _, o := range out {
		switch req := o.req.(type) {
		case *kmsg.LeaderAndISRRequest:
			leaders := 0
			for _, tp := range sortedPartitions(b.leaderAndISR[o.broker]) {
				kind, e := "become-follower", b.leaderAndISR[o.broker][tp]
				if e.state.Leader == o.broker {
					kind = "become-leader"
					leaders++
				}
				if traced {
					m.changes.Tracef("Sending %s LeaderAndIsr request %s to broker %d for partition %s", kind, e.text(tp), o.broker, partitionName(tp))
				}
			}
			m.changes.Infof("Sending LeaderAndIsr request to broker %d with %d become-leader and %d become-follower partitions",
				o.broker, leaders, len(b.leaderAndISR[o.broker])-leaders)
		case *kmsg.UpdateMetadataRequest:
			if !saidUpdate {
				m.changes.Infof("Sending UpdateMetadata request to brokers %s for %d partitions", scalaList("HashSet", b.updateRecipients()), countPartitions(req))
			}
			saidUpdate = true
		case *kmsg.StopReplicaRequest:
			m.logStopReplica(b, o, req, traced)
		}
	}
}

func (m *Machine) logStopReplica(b *batch, o outgoing, req *kmsg.StopReplicaRequest, traced bool) {
	count := 0
	for _, t := range req.Topics {
		count += len(t.Partitions)
		for _, s := range t.PartitionStates {
			if traced {
				m.changes.Tracef("Sending StopReplica request StopReplicaPartitionState(partitionIndex=%d, leaderEpoch=%d, deletePartition=%t) to broker %d for partition %s-%d",
					s.Partition, s.LeaderEpoch, s.Delete, o.broker, t.Topic, s.Partition)
			}
		}
	}
	kind := ""
	if req.Version < 3 {
		kind = fmt.Sprintf("(delete = %t) ", req.DeletePartitions)
	}
	m.changes.Infof("Sending StopReplica request %sfor %d replicas to broker %d", kind, count, o.broker)
}

func (e leaderAndISREntry) text(tp TopicPartition) string {
	recovery := 0
	if e.state.Recovering {
		recovery = 1
	}
	return fmt.Sprintf("LeaderAndIsrPartitionState(topicName='%s', partitionIndex=%d, controllerEpoch=%d, leader=%d, leaderEpoch=%d, isr=%s, partitionEpoch=%d, replicas=%s, addingReplicas=%s, removingReplicas=%s, isNew=%t, leaderRecoveryState=%d)",
		tp.Topic, tp.Partition, e.state.ControllerEpoch, e.state.Leader, e.state.LeaderEpoch, intList(e.state.ISR), e.state.Version,
		intList(e.assignment.Replicas), intList(e.assignment.Adding), intList(e.assignment.Removing), e.isNew, recovery)
}

func countPartitions(req *kmsg.UpdateMetadataRequest) int {
	n := len(req.PartitionStates)
	for _, t := range req.TopicStates {
		n += len(t.PartitionStates)
	}
	return n
}
