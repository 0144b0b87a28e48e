// Package controller is the elected controller: the one broker that gives
// partitions their leaders and tells all brokers about it. It meets brokers,
// its own included, only over the wire, and ZooKeeper only through a Store.
//
// Machine is the controller without time, goroutines or a network: Step takes
// one Event and runs it to its end, reading and writing the Store, and handing
// requests to Peers. Controller puts a queue, one goroutine, timers and sockets
// around it.
//
//	context.go            what the controller knows
//	election.go           who should lead: pure
//	reassignment.go       what a reassignment means: pure
//	partition_states.go   partitions: new, online, offline, gone
//	replica_states.go     replicas: new, online, offline, being deleted, gone
//	batch.go, requests.go which broker is sent what, at which version: pure
//	deletion.go           topics on their way out
//	failover.go           taking office and leaving it
//	events.go, queue.go   what can happen, in order
//	senders.go            one queue and one connection per broker
package controller

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/peerlink"
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
	IBP                  string // inter.broker.protocol.version; it alone decides the versions of control requests

	DeleteTopics         bool          // delete.topic.enable
	UncleanElection      bool          // unclean.leader.election.enable, below the topics' own
	AutoRebalance        bool          // auto.leader.rebalance.enable
	ImbalancePercentage  int32         // leader.imbalance.per.broker.percentage
	ImbalanceInterval    time.Duration // leader.imbalance.check.interval.seconds
	ConnectTimeout       time.Duration // controller.socket.timeout.ms: to connect to a broker, and for its answer
	FeatureUpdateTimeout time.Duration // zookeeper.connection.timeout.ms: for the broker's own view of /feature to follow

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

// Controller runs a Machine on this broker. All its methods may be called from
// any goroutine. Callbacks run in the controller's event goroutine and must not
// block; each is called exactly once, also when the controller resigns (with
// NOT_CONTROLLER) or stops.
type Controller struct{ impl }

type impl struct{}

// New returns a controller that does nothing yet.
func New(cfg Config, store *zkstore.Store) *Controller { panic("unwritten") }

// Start watches /controller and tries to be elected.
func (c *Controller) Start() { panic("unwritten") }

// Stop resigns without deleting /controller (the end of the session does) and
// returns when the event goroutine and all senders have ended.
func (c *Controller) Stop() { panic("unwritten") }

// IsActive says whether this broker is the controller, as far as it knows.
func (c *Controller) IsActive() bool { panic("unwritten") }

// ActiveControllerID is the broker named in /controller when it was last read; -1 for none.
func (c *Controller) ActiveControllerID() int32 { panic("unwritten") }

// Epoch is the controller epoch of the current term, 0 while not active.
func (c *Controller) Epoch() int32 { panic("unwritten") }

// ControlledShutdown prepares for broker's leaving: its leaderships move, its
// replicas leave the in-sync sets. remaining are the partitions it still leads.
func (c *Controller) ControlledShutdown(broker int32, brokerEpoch int64, done func(remaining []TopicPartition, err error)) {
	panic("unwritten")
}

// AlterPartition changes in-sync sets at the request of leaders (API 56, all
// versions); it answers with the version of the request.
func (c *Controller) AlterPartition(req *kmsg.AlterPartitionRequest, done func(*kmsg.AlterPartitionResponse)) {
	panic("unwritten")
}

// AllocateProducerIDs gives a block of producer ids to broker.
func (c *Controller) AllocateProducerIDs(broker int32, brokerEpoch int64, done func(start int64, count int32, err error)) {
	panic("unwritten")
}

// ElectionType says which leader ElectLeaders wants.
type ElectionType int8

// The election types, numbered as in the ElectLeaders request.
const (
	ElectPreferred ElectionType = 0
	ElectUnclean   ElectionType = 1
)

// ElectionResult is what became of one partition of ElectLeaders: the leader it
// has now, or why not (a protocol error).
type ElectionResult struct {
	Leader int32
	Err    error
}

// ElectLeaders elects leaders of the partitions; nil stands for all, of which
// those that need no election are left out of the results.
func (c *Controller) ElectLeaders(partitions []TopicPartition, t ElectionType, done func(results map[TopicPartition]ElectionResult, err error)) {
	panic("unwritten")
}

// AlterPartitionReassignments starts, replaces or (nil replicas) cancels
// reassignments. The results have an entry per partition, nil for success.
func (c *Controller) AlterPartitionReassignments(targets map[TopicPartition][]int32, done func(results map[TopicPartition]error, err error)) {
	panic("unwritten")
}

// ListPartitionReassignments tells the reassignments that run, of the given
// partitions or (nil) of all. Replicas are all replicas, old and new.
func (c *Controller) ListPartitionReassignments(partitions []TopicPartition, done func(running map[TopicPartition]zkstore.Assignment, err error)) {
	panic("unwritten")
}

// FeatureUpdate is one wish of an UpdateFeatures request.
type FeatureUpdate struct {
	Feature        string
	MaxLevel       int16
	AllowDowngrade bool
}

// UpdateFeatures validates and writes finalized features. The results have an
// entry per feature, nil for success.
func (c *Controller) UpdateFeatures(updates []FeatureUpdate, validateOnly bool, done func(results map[string]error, err error)) {
	panic("unwritten")
}

// UncleanElectionEnabled tells the controller that unclean elections were
// switched on for all topics by a dynamic broker configuration.
func (c *Controller) UncleanElectionEnabled(enabled bool) { panic("unwritten") }

// TopicUncleanElectionEnabled tells the controller that unclean elections were
// switched on for one topic.
func (c *Controller) TopicUncleanElectionEnabled(topic string) { panic("unwritten") }

// BeforeNewSession is for zkstore.SessionListener.Before: it drops all queued
// events, answering those that wait, and returns once the loss is being handled.
func (c *Controller) BeforeNewSession() { panic("unwritten") }

// AfterNewSession is for zkstore.SessionListener.After: the broker registers
// anew and takes part in the next election.
func (c *Controller) AfterNewSession() { panic("unwritten") }
