// Package controller implements the elected controller: the one broker that elects the leaders of
// partitions and sends them to all brokers. It reaches brokers, its own included, only over the
// network, and ZooKeeper only through a Store.
//
// Machine is the controller without timers, goroutines or a network: Step processes one Event to
// its end, reads and writes the Store, and passes requests to Peers. Controller adds a queue, one
// goroutine that processes events, timers and sockets.
//
//	context.go              the controller's state, and the queue of deletions in deletion_queue.go
//	election.go             choice of a leader: pure functions
//	reassignment.go         steps of a reassignment: pure functions
//	partition_states.go     partitions: new, online, offline, non-existent
//	replica_states.go       replicas: new, online, offline, being deleted, non-existent
//	leaderships.go          reading and writing leaders and in-sync sets
//	broker_nodes.go, topic_nodes.go    reading and watching brokers and topics
//	batch.go, requests.go   requests for each broker, and their versions: pure functions
//	dispatcher.go           sending a batch, and its answers as events
//	term.go                 becoming the controller, and resigning
//	brokers.go, topics.go, deletion.go, reassign_partitions.go,
//	elect_leaders.go, alter_partition.go, controlled_shutdown.go,
//	notifications.go, features.go    one file per kind of event
//	unseen_restarts.go      brokers that restarted while there was no controller
//	api.go                  requests of other packages to the controller
//	queue.go                events in order, and timers
//	state.go                what the controller does at the moment, for metrics
//	senders.go              one queue and one connection per broker
package controller

import (
	"context"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

// TopicPartition names a partition.
type TopicPartition = metadata.TopicPartition

// TopicID is a topic's id; zero means none.
type TopicID = metadata.TopicID

// Config is the part of the broker's configuration that the controller uses.
type Config struct {
	BrokerID metadata.BrokerID // broker.id

	// InterBrokerListener is the name of the listener through which brokers are reached.
	// ControlPlaneListener is control.plane.listener.name, "" if it is not set.
	InterBrokerListener  string
	ControlPlaneListener string
	// IBP is inter.broker.protocol.version. It alone determines the versions of control requests.
	IBP string

	DeleteTopics         bool          // delete.topic.enable
	UncleanElection      bool          // unclean.leader.election.enable: the default for topics without their own
	AutoRebalance        bool          // auto.leader.rebalance.enable
	ImbalancePercentage  int32         // leader.imbalance.per.broker.percentage
	ImbalanceInterval    time.Duration // leader.imbalance.check.interval.seconds
	ConnectTimeout       time.Duration // controller.socket.timeout.ms: to connect to a broker
	RequestTimeout       time.Duration // request.timeout.ms: for a broker's answer
	FeatureUpdateTimeout time.Duration // zookeeper.connection.timeout.ms: for this broker to read a change of /feature

	// SupportedFeatures are the features of this broker; there are none in practice.
	SupportedFeatures map[string]zkstore.FeatureRange
	// NewTopicID returns an id for a topic without one. If nil, ids are random.
	NewTopicID func() (TopicID, error)

	// KnownTopicID returns the id that this broker's metadata has for a topic, from an earlier
	// controller, or zero if it has none. A new controller keeps this id if the topic's znode has
	// lost it. If nil, no ids are known.
	KnownTopicID func(topic string) TopicID

	// Register writes this broker's znode again after a session loss.
	Register func(ctx context.Context) error
	// AwaitFeatureEpoch returns once this broker has read /feature with this dataVersion or a later
	// one. If nil, the controller does not wait.
	AwaitFeatureEpoch func(ctx context.Context, version zkstore.Version) error
	// TokenExpiry starts or stops the task that expires delegation tokens, which runs on the
	// controller only. nil if the broker has no such task.
	TokenExpiry func(active bool)

	// Observe, if not nil, is called after each event with the state in which it was processed, the
	// time that it was queued, and the time that it took. It must return at once.
	Observe func(s State, queued, took time.Duration)

	Dial   peerlink.Dialer // connects to brokers; nil means plain TCP
	Logger *logrus.Logger
}

// Controller runs a Machine on this broker. One goroutine processes events from a queue, and one
// goroutine per live broker sends requests to that broker. All methods may be called from any
// goroutine. Callbacks run in the event goroutine or in the goroutine that clears the queue, and
// must not block. Each callback is called exactly once. If the controller resigns or stops
// before it processes the request, the error is NOT_CONTROLLER, or STALE_CONTROLLER_EPOCH for
// ControlledShutdown.
type Controller struct {
	Requests

	m       *Machine
	queue   *queue
	senders *senders
	log     kafkalog.Prefixed

	observe func(s State, queued, took time.Duration)
	state   atomic.Int32 // a State

	start, stop sync.Once
	done        chan struct{} // closed when the event goroutine has ended
}

// New returns a controller that is not started. The error names an invalid setting.
func New(cfg Config, store Store) (*Controller, error) {
	q := newQueue()
	s := newSenders(cfg)
	m, err := NewMachine(cfg, store, s, q)
	if err != nil {
		return nil, err
	}
	s.epoch = m.epoch.Load
	log := kafkalog.WithPrefix(m.cfg.Logger, "kafka.controller.ControllerEventManager$ControllerEventThread", "[ControllerEventThread controllerId=%d] ", cfg.BrokerID)
	c := &Controller{Requests: Requests{q}, m: m, queue: q, senders: s, log: log, observe: cfg.Observe, done: make(chan struct{})}
	if c.observe == nil {
		c.observe = func(State, time.Duration, time.Duration) {}
	}
	return c, nil
}

// Start watches /controller and takes part in the election.
func (c *Controller) Start() {
	c.start.Do(func() {
		c.queue.Put(Startup{})
		go c.run()
	})
}

// Stop resigns without deleting /controller, which disappears with the session. It returns when the
// event goroutine and all senders have ended. Later requests are answered with an error.
func (c *Controller) Stop() {
	c.stop.Do(func() {
		began := time.Now()
		c.log.Infof("Shutting down")
		c.start.Do(func() { close(c.done) }) // never started
		c.queue.close()
		c.m.Stop()
		<-c.done
		c.m.controllerID.Store(metadata.NoBroker)
		c.m.resign()
		c.senders.wait()
		c.observe(ShuttingDown, 0, time.Since(began))
		c.log.Infof("Shutdown completed")
	})
}

func (c *Controller) run() {
	defer close(c.done)
	c.log.Infof("Starting")
	for {
		e, waited, ok := c.queue.next()
		if !ok {
			c.log.Infof("Stopped")
			return
		}
		c.observed(e, waited)
	}
}

// observed processes one event and reports how long that took. The statistics for a scrape are not
// an event of Kafka's controller and do not count.
func (c *Controller) observed(e Event, waited time.Duration) {
	if _, scrape := e.(statsRequest); scrape {
		c.step(e)
		return
	}
	state := stateOf(e)
	c.state.Store(int32(state))
	began := time.Now()
	c.step(e)
	c.state.Store(int32(Idle))
	c.observe(state, waited, time.Since(began))
}

// step processes one event. An event that panics is logged and answered, and the controller
// continues with the next one.
func (c *Controller) step(e Event) {
	defer func() {
		if reason := recover(); reason != nil {
			c.log.Errorf("Uncaught error processing event %s: %v\n%s", e, reason, debug.Stack())
			Preempt(e)
		}
	}()
	c.m.Step(e)
}

// IsActive reports whether this broker believes that it is the controller.
func (c *Controller) IsActive() bool { return c.m.Active() }

// ActiveControllerID returns the broker named in /controller when it was last read, or
// metadata.NoBroker.
func (c *Controller) ActiveControllerID() metadata.BrokerID { return c.m.controllerID.Load() }

// Epoch returns the controller epoch of the current term, 0 while this broker is not the
// controller.
func (c *Controller) Epoch() metadata.ControllerEpoch { return c.m.epoch.Load() }

// QueueSize returns the number of events in the queue.
func (c *Controller) QueueSize() int { return c.queue.size() }

// UnsentRequests returns the number of requests in the queues of all brokers.
func (c *Controller) UnsentRequests() int { return c.senders.size() }

// State returns what the controller does at the moment.
func (c *Controller) State() State { return State(c.state.Load()) }

// BeforeNewSession implements zkstore.SessionListener.Before. It drops all queued events, answers
// those that have a waiting caller, and returns once the controller processes the session loss. The
// caller must hold no lock.
func (c *Controller) BeforeNewSession() {
	started := c.queue.clearAndPut(Expire{})
	c.m.Interrupt()
	select {
	case <-started:
	case <-c.done:
	}
}

// AfterNewSession implements zkstore.SessionListener.After. The broker registers again and takes
// part in the next election.
func (c *Controller) AfterNewSession() { c.queue.Put(RegisterBrokerAndReelect{}) }

// Stats returns the values of the kafka.controller metrics. It fails with NOT_CONTROLLER after
// Stop.
func (c *Controller) Stats(ctx context.Context) (Stats, error) {
	answer := make(chan Stats, 1)
	c.queue.Put(statsRequest{func(s Stats) { answer <- s }})
	select {
	case s := <-answer:
		return s, nil
	case <-c.done:
		return Stats{}, protocol.NotController
	case <-ctx.Done():
		return Stats{}, ctx.Err()
	}
}
