// Package zkstore is the only room that knows ZooKeeper: the session and its
// loss, every znode's path and JSON, watches, and writes fenced by the
// controller epoch.
package zkstore

import (
	"context"
	"errors"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/sirupsen/logrus"
)

type (
	TopicPartition = metadata.TopicPartition
	TopicID        = metadata.TopicID
)

// Version is a znode's dataVersion; AnyVersion matches all.
type Version = int32

const AnyVersion Version = -1

// Errors of the store. ErrControllerMoved: the epoch check of a fenced write
// failed, somebody else is controller. ErrSessionExpired: the operation
// belonged to a session that is gone.
var (
	ErrNoNode          = errors.New("zkstore: no such node")
	ErrNodeExists      = errors.New("zkstore: node exists")
	ErrBadVersion      = errors.New("zkstore: node was changed by somebody else")
	ErrControllerMoved = errors.New("zkstore: another broker is the controller")
	ErrSessionExpired  = errors.New("zkstore: session expired")
	ErrClosed          = errors.New("zkstore: closed")
)

// Config says how to reach the ensemble.
type Config struct {
	Connect           string        // h1:p1,h2:p2/chroot, as zookeeper.connect
	SessionTimeout    time.Duration // zookeeper.session.timeout.ms
	ConnectionTimeout time.Duration // zookeeper.connection.timeout.ms, 0: SessionTimeout
	MaxInFlight       int           // zookeeper.max.in.flight.requests
	SecureACL         bool          // zookeeper.set.acl
	CreateChroot      bool          // brokers do, tools do not
	Logger            *logrus.Logger
}

// Store is one client of the ensemble over successive sessions. Operations
// retry connection loss until the session is lost; they never run under a new
// session if they were meant for an old one.
type Store struct{ impl }

type impl struct{}

// Open connects within ConnectionTimeout, creates the chroot if asked, and
// returns the store; the error text is Kafka's "Timed out waiting for
// connection while in state: CONNECTING".
func Open(ctx context.Context, cfg Config) (*Store, error) { panic("unwritten") }

// Close ends the session, which drops the ephemeral nodes at once.
func (s *Store) Close() { panic("unwritten") }

// SessionListener is told of session loss. Before runs when the session has
// expired, before a new one is opened, After once it is open; both in the
// store's session goroutine, outside all locks, in the order of AddSessionListener.
type SessionListener struct {
	Before func()
	After  func()
}

func (s *Store) AddSessionListener(l SessionListener) { panic("unwritten") }

// ---- Watches. A handler only enqueues work; it is called in the store's
// event goroutine for every event on its path and after every new session.
// Watches are armed by the reads named below, when a handler is registered.

// WatchChildren calls changed when the children of path change (armed by the read methods that list it).
// WatchNode calls the functions when the node is created, deleted or its data changed.
func (s *Store) WatchChildren(path string, changed func()) { panic("unwritten") }

func (s *Store) UnwatchChildren(path string) { panic("unwritten") }

// NodeWatch has the functions to call; nil ones are skipped.
type NodeWatch struct{ Created, Deleted, Changed func() }

func (s *Store) WatchNode(path string, w NodeWatch) { panic("unwritten") }

func (s *Store) UnwatchNode(path string) { panic("unwritten") }

// Arm reads path's existence and so arms a registered NodeWatch; it says whether the node exists.
func (s *Store) Arm(ctx context.Context, path string) (exists bool, err error) { panic("unwritten") }

// ---- Brokers, cluster, controller

// BrokerInfo is /brokers/ids/N.
type BrokerInfo struct {
	ID        int32
	Endpoints []metadata.Endpoint // in the order of advertised.listeners
	Rack      *string
	JMXPort   int32
	Features  map[string]FeatureRange // always {} in practice
	Epoch     int64                   // czxid; set by reads and by RegisterBroker
	Timestamp int64                   // ms, set by RegisterBroker
}

type FeatureRange struct{ Min, Max int16 }

// PartitionState is /brokers/topics/T/partitions/P/state.
type PartitionState struct {
	ControllerEpoch int32
	Leader          int32
	LeaderEpoch     int32
	ISR             []int32
	Recovering      bool    // leader_recovery_state 1
	Version         Version // dataVersion = partition epoch
}

// Assignment is a partition's replicas in /brokers/topics/T.
type Assignment struct {
	Replicas, Adding, Removing []int32
}

// TopicNode is /brokers/topics/T.
type TopicNode struct {
	Name       string
	ID         TopicID // zero: none
	Partitions map[int32]Assignment
	Version    Version
}

// ControllerEpoch is the value and version of /controller_epoch; the version
// is the fence of all controller writes.
type ControllerEpoch struct {
	Epoch   int32
	Version Version
}

// ProducerIDBlock is /latest_producer_id_block, End inclusive.
type ProducerIDBlock struct {
	Broker     int32
	Start, End int64
}

// Fence guards a write by the version of /controller_epoch.
type Fence struct{ EpochVersion Version }

// The methods (written in brokers.go, topics.go, controller.go, configs.go, admin.go, ...); all take ctx first.
//
// Start-up: CreateStartupPaths; ClusterID (read or create); GenerateBrokerID(reserved int32) int32
// RegisterBroker(info) (epoch int64, err): multi of 1.3; ErrNodeExists when another session owns it
// BrokerNode(id) (*BrokerInfo, owner int64, err); SessionID() int64; Brokers() (map[int32]BrokerInfo, err) (arms children)
// AwaitBrokerGone(id) by a watch
// Elect(id, kraftEpoch) (ControllerEpoch, err): 3.1 steps 1-3; ErrControllerMoved when somebody else won
// Controller() (id int32, exists bool, err) (arms a NodeWatch on ControllerPath); ControllerEpoch(); DeleteController(Fence)
// Feature(), SetFeature...; LatestProducerIDBlock / AllocateProducerIDBlock(broker) (ProducerIDBlock, err)
// Topics() ([]string) (arms children of /brokers/topics); Topic(name...) ; TopicNodes(names) (map[string]TopicNode)
// CreateTopic(TopicNode) (plain), SetTopic(Fence, TopicNode), CreateTopicPartitions..., PartitionStates(tps) (map[TopicPartition]PartitionState)
// CreatePartitionStates(Fence, map[TopicPartition]PartitionState) (per partition result) batches as multis
// SetPartitionStates(Fence, map[TopicPartition]PartitionState) (map[TopicPartition]Version, failed map[TopicPartition]error, err)
// DeleteTopic(Fence, name): partitions, topic, config, admin node, in that order; TopicDeletions() (arms), CreateTopicDeletion, RemoveTopicDeletions(Fence, names)
// Config(entityType, name) (map[string]string, err); SetConfig(entityType, name, map) with the /controller check of 1.8; NotifyConfigChange(entityPath); ConfigChanges...
// Notifications: ISR changes and log dir events: list (arms), read, delete(Fence), create
// legacy: ReassignPartitions, PreferredReplicaElection nodes
