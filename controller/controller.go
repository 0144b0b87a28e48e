// Package controller is the elected controller: the one broker that gives
// partitions their leaders and tells all brokers about it. It meets brokers,
// its own included, only over the wire, and ZooKeeper only through a Store.
//
// Machine is the controller without time, goroutines or a network: Step takes
// one Event and runs it to its end, reading and writing the Store, and handing
// requests to Peers. Controller puts a queue, one goroutine, timers and sockets
// around it.
//
//	context.go              what the controller knows
//	election.go             who should lead: pure
//	reassignment.go         what a reassignment means: pure
//	partition_states.go     partitions: new, online, offline, gone
//	replica_states.go       replicas: new, online, offline, being deleted, gone
//	batch.go, requests.go   which broker is sent what, at which version: pure
//	failover.go             taking office and leaving it
//	brokers.go, topics.go, deletion.go, reassign_partitions.go,
//	elect_leaders.go, alter_partition.go, controlled_shutdown.go,
//	notifications.go, features.go    one file per kind of event
//	api.go                  what other rooms ask of the controller
//	queue.go                events in order, and timers
//	senders.go              one queue and one connection per broker
package controller

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

// TopicPartition names a partition.
type TopicPartition = metadata.TopicPartition

// TopicID is a topic's id; zero means none.
type TopicID = metadata.TopicID

// Config is what the controller needs of the broker's configuration.
type Config struct {
	BrokerID int32 // broker.id

	// InterBrokerListener is the name of the listener on which brokers are
	// reached, ControlPlaneListener that of control.plane.listener.name, "" if none.
	InterBrokerListener  string
	ControlPlaneListener string
	// IBP is inter.broker.protocol.version; it alone decides the versions of
	// control requests.
	IBP string

	DeleteTopics         bool          // delete.topic.enable
	UncleanElection      bool          // unclean.leader.election.enable, below the topics' own
	AutoRebalance        bool          // auto.leader.rebalance.enable
	ImbalancePercentage  int32         // leader.imbalance.per.broker.percentage
	ImbalanceInterval    time.Duration // leader.imbalance.check.interval.seconds
	ConnectTimeout       time.Duration // controller.socket.timeout.ms: to connect to a broker
	RequestTimeout       time.Duration // request.timeout.ms: for a broker's answer
	FeatureUpdateTimeout time.Duration // zookeeper.connection.timeout.ms: for the broker's own view of /feature to follow

	// SupportedFeatures are this broker's own; none in practice.
	SupportedFeatures map[string]zkstore.FeatureRange
	// NewTopicID draws an id for a topic without one; nil: a random one.
	NewTopicID func() (TopicID, error)

	// KnownTopicID returns the id that this broker's metadata has for a topic, from
	// an earlier controller; zero for none. A new controller keeps it if the topic's
	// node has lost it. nil: none is known.
	KnownTopicID func(topic string) TopicID

	// Register writes this broker's znode again after a session loss.
	Register func(ctx context.Context) error
	// AwaitFeatureEpoch returns once this broker's own view of /feature has the
	// dataVersion or a later one; nil: nobody looks.
	AwaitFeatureEpoch func(ctx context.Context, version int32) error
	// TokenExpiry starts and stops the task that expires delegation tokens, which
	// runs on the controller only; nil: none.
	TokenExpiry func(active bool)

	Dial   peerlink.Dialer // to brokers; nil: plain TCP
	Logger *logrus.Logger
}

// Controller runs a Machine on this broker: one goroutine that takes events from
// a queue, and one per live broker that sends to it. All its methods may be
// called from any goroutine. Callbacks run in the event goroutine, or in that of
// whoever drops the queue, and must not block; each is called exactly once, also
// when the controller resigns before it came to the request (NOT_CONTROLLER) or stops.
type Controller struct {
	Requests // what others ask of the controller

	m       *Machine
	queue   *queue
	senders *senders
	log     logger

	start, stop sync.Once
	done        chan struct{} // closed when the event goroutine has ended
}

// New returns a controller that does nothing yet. The error names an unusable
// setting.
func New(cfg Config, store Store) (*Controller, error) {
	q := newQueue()
	s := newSenders(cfg)
	m, err := NewMachine(cfg, store, s, q)
	if err != nil {
		return nil, err
	}
	s.epoch = m.epoch.Load
	log := newLogger(m.cfg.Logger, "kafka.controller.ControllerEventManager$ControllerEventThread", "[ControllerEventThread controllerId=%d] ", cfg.BrokerID)
	return &Controller{Requests: Requests{q}, m: m, queue: q, senders: s, log: log, done: make(chan struct{})}, nil
}

// Start watches /controller and tries to be elected.
func (c *Controller) Start() {
	c.start.Do(func() {
		c.queue.Put(Startup{})
		go c.run()
	})
}

// Stop resigns without deleting /controller (the end of the session does) and
// returns when the event goroutine and all senders have ended. Nothing is
// accepted after it.
func (c *Controller) Stop() {
	c.stop.Do(func() {
		c.log.Infof("Shutting down")
		c.start.Do(func() { close(c.done) }) // never started
		c.queue.close()
		c.m.Stop()
		<-c.done
		c.m.controllerID.Store(noLeader)
		c.m.resign()
		c.senders.wait()
		c.log.Infof("Shutdown completed")
	})
}

func (c *Controller) run() {
	defer close(c.done)
	c.log.Infof("Starting")
	for {
		e, ok := c.queue.next()
		if !ok {
			c.log.Infof("Stopped")
			return
		}
		c.step(e)
	}
}

// step runs one event; one that panics is logged and answered, and the next
// goes on.
func (c *Controller) step(e Event) {
	defer func() {
		if reason := recover(); reason != nil {
			c.log.Errorf("Uncaught error processing event %s: %v\n%s", e, reason, debug.Stack())
			Preempt(e)
		}
	}()
	c.m.Step(e)
}

// IsActive says whether this broker is the controller, as far as it knows.
func (c *Controller) IsActive() bool { return c.m.Active() }

// ActiveControllerID is the broker named in /controller when it was last read; -1 for none.
func (c *Controller) ActiveControllerID() int32 { return c.m.controllerID.Load() }

// Epoch is the controller epoch of the current term, 0 while not active.
func (c *Controller) Epoch() int32 { return c.m.epoch.Load() }

// QueueSize is the number of events that wait.
func (c *Controller) QueueSize() int { return c.queue.size() }

// BeforeNewSession is for zkstore.SessionListener.Before: it drops all queued
// events, answering those that wait, and returns once the loss is being handled.
// No lock may be held by the caller.
func (c *Controller) BeforeNewSession() {
	started := c.queue.clearAndPut(Expire{})
	c.m.Interrupt()
	select {
	case <-started:
	case <-c.done:
	}
}

// AfterNewSession is for zkstore.SessionListener.After: the broker registers
// anew and takes part in the next election.
func (c *Controller) AfterNewSession() { c.queue.Put(RegisterBrokerAndReelect{}) }

// Stats asks for the numbers behind the kafka.controller metrics.
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
