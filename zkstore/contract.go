// Package zkstore is the only room that knows ZooKeeper: the session and its
// loss, every znode's path and JSON, watches, and writes fenced by the
// controller epoch.
package zkstore

import (
	"context"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/sirupsen/logrus"
)

// Config says how to reach the ensemble.
type Config struct {
	Connect           string        // h1:p1,h2:p2/chroot, as zookeeper.connect
	SessionTimeout    time.Duration // zookeeper.session.timeout.ms
	ConnectionTimeout time.Duration // zookeeper.connection.timeout.ms, 0: SessionTimeout
	MaxInFlight       int           // zookeeper.max.in.flight.requests, 0: 10
	SecureACL         bool          // zookeeper.set.acl
	CreateChroot      bool          // brokers do, tools do not
	Name              string        // in log lines, "Kafka server" where empty
	Logger            *logrus.Logger
}

// Store is one client of the ensemble over successive sessions. Operations
// retry connection loss until the session is lost; they never run under a new
// session if they were meant for an old one (see BindSession).
type Store struct{ impl }

type impl struct{}

// Open connects within ConnectionTimeout, creates the chroot if asked, and
// returns the store; the error text is Kafka's "Timed out waiting for
// connection while in state: CONNECTING".
func Open(ctx context.Context, cfg Config) (*Store, error) { panic("unwritten") }

// Close ends the session, which drops the ephemeral nodes at once.
func (s *Store) Close() { panic("unwritten") }

// SessionID returns the id of the open session, 0 while there is none.
func (s *Store) SessionID() int64 { panic("unwritten") }

// BindSession returns a context whose operations belong to the session that is
// open now: once that has expired they answer ErrSessionExpired, also after a
// new session is open. Operations with an unbound context belong to the
// session open when they start, and wait for one while there is none.
func (s *Store) BindSession(ctx context.Context) context.Context { panic("unwritten") }

// SessionListener is told of session loss. Before runs when the session has
// expired, before a new one is opened, After once it is open; both in the
// store's session goroutine, outside all locks, in the order of AddSessionListener.
// Either may be nil. No operation of the store may be awaited in Before.
type SessionListener struct {
	Before func()
	After  func()
}

// AddSessionListener registers l for all later session losses.
func (s *Store) AddSessionListener(l SessionListener) { panic("unwritten") }

// ---- Watches. A handler only enqueues work; it is called in the store's
// event goroutine for every event on its path and after every new session.
// Watches are armed by the reads named below, when a handler is registered.

// WatchChildren calls changed when the children of path change (armed by the
// read methods that list it). There is one handler per path; a later one
// replaces it.
func (s *Store) WatchChildren(path string, changed func()) { panic("unwritten") }

// UnwatchChildren drops the handler; a watch still armed fires into nothing.
func (s *Store) UnwatchChildren(path string) { panic("unwritten") }

// NodeWatch has the functions to call when a node is created, deleted or its
// data changed; nil ones are skipped. After a new session Changed is called,
// since nobody knows what was missed.
type NodeWatch struct{ Created, Deleted, Changed func() }

// WatchNode registers w for path. It is armed by Arm and by the reads of that
// node's data.
func (s *Store) WatchNode(path string, w NodeWatch) { panic("unwritten") }

// UnwatchNode drops the handler; a watch still armed fires into nothing.
func (s *Store) UnwatchNode(path string) { panic("unwritten") }

// Arm reads path's existence and so arms a registered NodeWatch; it says whether the node exists.
func (s *Store) Arm(ctx context.Context, path string) (exists bool, err error) { panic("unwritten") }

// ---- Brokers and cluster

// BrokerInfo is /brokers/ids/N.
type BrokerInfo struct {
	ID          int32
	Endpoints   []metadata.Endpoint // in the order of advertised.listeners
	Rack        *string
	JMXPort     int32                   // -1: none
	Features    map[string]FeatureRange // always {} in practice
	JSONVersion int                     // 5 from IBP 2.7-IV0, 4 from 0.10.0-IV1, 2 before; 0 writes 5
	Epoch       int64                   // czxid; set by reads
	Timestamp   int64                   // ms; set by reads and by RegisterBroker
}

// FeatureRange is the range of levels a broker supports of a feature.
type FeatureRange struct{ Min, Max int16 }

// CreateStartupPaths creates the persistent paths every broker makes sure of,
// in Kafka's order, with null data.
func (s *Store) CreateStartupPaths(ctx context.Context) error { panic("unwritten") }

// ClusterID reads /cluster/id; ErrNoNode where no broker ever started.
func (s *Store) ClusterID(ctx context.Context) (string, error) { panic("unwritten") }

// CreateOrGetClusterID reads /cluster/id, or writes a new random one; of
// several brokers that race one wins and all get its id.
func (s *Store) CreateOrGetClusterID(ctx context.Context) (string, error) { panic("unwritten") }

// GenerateBrokerID returns the next id above reserved (reserved.broker.max.id).
func (s *Store) GenerateBrokerID(ctx context.Context, reserved int32) (int32, error) {
	panic("unwritten")
}

// RegisterBroker creates the ephemeral node and returns the broker epoch (its
// czxid). A node of this store's own earlier session is replaced; one of
// anybody else's gives ErrNodeExists.
func (s *Store) RegisterBroker(ctx context.Context, info BrokerInfo) (epoch int64, err error) {
	panic("unwritten")
}

// UpdateBroker rewrites the node, after a change of the listeners; the broker
// epoch stays.
func (s *Store) UpdateBroker(ctx context.Context, info BrokerInfo) error { panic("unwritten") }

// BrokerNode reads one broker's node and the session that owns it; ErrNoNode.
func (s *Store) BrokerNode(ctx context.Context, id int32) (info *BrokerInfo, owner int64, err error) {
	panic("unwritten")
}

// Brokers reads all registered brokers with their epochs and arms the children
// watch on BrokerIDsPath. A node that does not parse fails the read, as in Kafka.
func (s *Store) Brokers(ctx context.Context) (map[int32]BrokerInfo, error) { panic("unwritten") }

// BrokerIDs returns the registered ids, ascending, without arming a watch.
func (s *Store) BrokerIDs(ctx context.Context) ([]int32, error) { panic("unwritten") }

// AwaitBrokerGone returns nil once /brokers/ids/id does not exist, woken by a
// watch of its own; else the context's error.
func (s *Store) AwaitBrokerGone(ctx context.Context, id int32) error { panic("unwritten") }

// ---- Controller

// ControllerEpoch is the value and version of /controller_epoch; the version
// is the fence of all controller writes.
type ControllerEpoch struct {
	Epoch   int32
	Version Version
}

// ControllerNode is /controller.
type ControllerNode struct {
	ID         int32
	KRaftEpoch int32 // -1 in a cluster of ZooKeeper brokers
	Version    Version
}

// Fence guards a write by the version of /controller_epoch.
type Fence struct{ EpochVersion Version }

// NoFence is for writers that are not the controller.
func NoFence() Fence { return Fence{AnyVersion} }

// Elect tries to make broker id the controller; ErrControllerMoved when
// somebody else won.
func (s *Store) Elect(ctx context.Context, id int32) (ControllerEpoch, error) { panic("unwritten") }

// Controller reads /controller and arms a NodeWatch on ControllerPath; exists
// is false while there is none.
func (s *Store) Controller(ctx context.Context) (c ControllerNode, exists bool, err error) {
	panic("unwritten")
}

// ReadControllerEpoch reads /controller_epoch; ErrNoNode before the first election.
func (s *Store) ReadControllerEpoch(ctx context.Context) (ControllerEpoch, error) {
	panic("unwritten")
}

// DeleteController deletes /controller so that others, or this broker, elect.
func (s *Store) DeleteController(ctx context.Context, f Fence) error { panic("unwritten") }

// FeatureNode is /feature.
type FeatureNode struct {
	JSONVersion int  // 2 from IBP 3.3-IV0, else 1
	Enabled     bool // false below IBP 2.7-IV0
	Features    map[string]FinalizedFeature
	Version     Version // dataVersion, the finalized features epoch; set by reads
}

// FinalizedFeature is the level the cluster runs a feature at; Min only in JSON version 1.
type FinalizedFeature struct{ Min, Max int16 }

// Feature reads /feature and arms a NodeWatch on FeaturePath; ErrNoNode,
// ErrInvalidNode when it cannot be decoded.
func (s *Store) Feature(ctx context.Context) (FeatureNode, error) { panic("unwritten") }

// CreateFeature creates /feature; ErrNodeExists.
func (s *Store) CreateFeature(ctx context.Context, n FeatureNode) error { panic("unwritten") }

// SetFeature overwrites /feature whatever its version and returns the new one.
func (s *Store) SetFeature(ctx context.Context, n FeatureNode) (Version, error) { panic("unwritten") }

// ProducerIDBlock is /latest_producer_id_block, End inclusive.
type ProducerIDBlock struct {
	Broker     int32
	Start, End int64
}

// AllocateProducerIDBlock takes the next 1000 producer ids for broker.
func (s *Store) AllocateProducerIDBlock(ctx context.Context, broker int32) (ProducerIDBlock, error) {
	panic("unwritten")
}

// ---- Topics

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

// Topics lists the topics and arms the children watch on TopicsPath.
func (s *Store) Topics(ctx context.Context) ([]string, error) { panic("unwritten") }

// TopicNames lists the topics, sorted, and arms nothing.
func (s *Store) TopicNames(ctx context.Context) ([]string, error) { panic("unwritten") }

// TopicExists looks for /brokers/topics/name and arms nothing.
func (s *Store) TopicExists(ctx context.Context, name string) (bool, error) { panic("unwritten") }

// TopicNode reads one topic; ErrNoNode. Arms a NodeWatch on TopicPath(name).
func (s *Store) TopicNode(ctx context.Context, name string) (TopicNode, error) { panic("unwritten") }

// TopicNodes reads many topics, and arms their NodeWatches; absent topics are
// left out, one that cannot be decoded has no partitions.
func (s *Store) TopicNodes(ctx context.Context, names []string) (map[string]TopicNode, error) {
	panic("unwritten")
}

// CreateTopic creates /brokers/topics/T; ErrNodeExists.
func (s *Store) CreateTopic(ctx context.Context, t TopicNode) error { panic("unwritten") }

// SetTopic overwrites /brokers/topics/T whatever its version; an admin tool
// that adds partitions passes NoFence.
func (s *Store) SetTopic(ctx context.Context, f Fence, t TopicNode) (Version, error) {
	panic("unwritten")
}

// PartitionStates reads many states; partitions whose node is absent or cannot
// be decoded are left out. Arms registered NodeWatches on PartitionStatePath.
func (s *Store) PartitionStates(ctx context.Context, tps []TopicPartition) (map[TopicPartition]PartitionState, error) {
	panic("unwritten")
}

// CreatePartitionStates creates the partitions/P and state nodes. failed says
// per partition why its state was not created (ErrNodeExists); err is set where
// nothing can be said: ErrControllerMoved, ErrSessionExpired, ErrClosed.
// The other partitions have version 0.
func (s *Store) CreatePartitionStates(ctx context.Context, f Fence, states map[TopicPartition]PartitionState) (failed map[TopicPartition]error, err error) {
	panic("unwritten")
}

// SetPartitionStates sets each state where the node still has the state's
// Version. written has the new versions; failed says why the others were not
// set (ErrBadVersion, ErrNoNode); err as for CreatePartitionStates.
func (s *Store) SetPartitionStates(ctx context.Context, f Fence, states map[TopicPartition]PartitionState) (written map[TopicPartition]Version, failed map[TopicPartition]error, err error) {
	panic("unwritten")
}

// DeleteTopic deletes the topic's node with all below it, its configuration and
// its deletion mark, in that order. Absent nodes are no error.
func (s *Store) DeleteTopic(ctx context.Context, f Fence, name string) error { panic("unwritten") }

// TopicDeletions lists the topics marked for deletion and arms the children
// watch on DeleteTopicsPath.
func (s *Store) TopicDeletions(ctx context.Context) ([]string, error) { panic("unwritten") }

// TopicMarkedForDeletion says whether the topic is marked for deletion.
func (s *Store) TopicMarkedForDeletion(ctx context.Context, name string) (bool, error) {
	panic("unwritten")
}

// CreateTopicDeletion marks the topic for deletion; ErrNodeExists.
func (s *Store) CreateTopicDeletion(ctx context.Context, name string) error { panic("unwritten") }

// RemoveTopicDeletions removes marks; absent ones are no error.
func (s *Store) RemoveTopicDeletions(ctx context.Context, f Fence, names []string) error {
	panic("unwritten")
}

// ---- Configurations

// EntityType is a kind of thing that has a configuration under /config.
type EntityType string

// The entity types. Users' client quotas are entities of type EntityUsers with
// the name "user/clients/client".
const (
	EntityTopics  EntityType = "topics"
	EntityBrokers EntityType = "brokers"
	EntityClients EntityType = "clients"
	EntityUsers   EntityType = "users"
	EntityIPs     EntityType = "ips"
)

// DefaultEntity is the name of the default entity of a type.
const DefaultEntity = "<default>"

// Config reads an entity's configuration, empty where there is none. name is
// sanitised (see SanitizeEntity).
func (s *Store) Config(ctx context.Context, t EntityType, name string) (map[string]string, error) {
	panic("unwritten")
}

// Configs reads many entities of one type; absent ones are left out.
func (s *Store) Configs(ctx context.Context, t EntityType, names []string) (map[string]map[string]string, error) {
	panic("unwritten")
}

// ConfigEntities lists the entities of a type, sorted; none where the type's
// node is absent.
func (s *Store) ConfigEntities(ctx context.Context, t EntityType) ([]string, error) {
	panic("unwritten")
}

// SetConfig writes an entity's configuration, checked against /controller as
// Kafka does since 3.7.1: ErrControllerMoved where there is none or a KRaft
// controller, ErrBadVersion where it changed in between.
func (s *Store) SetConfig(ctx context.Context, t EntityType, name string, config map[string]string) error {
	panic("unwritten")
}

// SetConfigUnchecked is SetConfig without the check, for tools that write
// before a broker runs.
func (s *Store) SetConfigUnchecked(ctx context.Context, t EntityType, name string, config map[string]string) error {
	panic("unwritten")
}

// DeleteConfig deletes an entity's node and all below it; absent is no error.
func (s *Store) DeleteConfig(ctx context.Context, t EntityType, name string) error {
	panic("unwritten")
}

// NotifyConfigChange announces that an entity changed: after SetConfig.
func (s *Store) NotifyConfigChange(ctx context.Context, t EntityType, name string) error {
	panic("unwritten")
}

// ConfigChange is one node of /config/changes.
type ConfigChange struct {
	Node    string // config_change_0000000007
	Number  int64
	Path    string // topics/T, users/U/clients/C, ... ; empty where the node says nothing usable
	Created int64  // ctime, ms
	Err     error  // why Path is empty
}

// ConfigChanges reads the notifications numbered above after, in order, and
// arms the children watch on ConfigChangesPath. all has every node's name, for PurgeConfigChanges.
func (s *Store) ConfigChanges(ctx context.Context, after int64) (changes []ConfigChange, all []string, err error) {
	panic("unwritten")
}

// PurgeConfigChanges deletes those of nodes created before the given time (ms);
// other brokers do so too.
func (s *Store) PurgeConfigChanges(ctx context.Context, nodes []string, before int64) error {
	panic("unwritten")
}

// ---- Notifications to the controller

// ISRChanges lists the isr_change nodes and arms ISRChangesPath's children watch.
func (s *Store) ISRChanges(ctx context.Context) (nodes []string, err error) { panic("unwritten") }

// ISRChangePartitions reads the partitions in those nodes.
func (s *Store) ISRChangePartitions(ctx context.Context, nodes []string) ([]TopicPartition, error) {
	panic("unwritten")
}

// DeleteISRChanges deletes those nodes.
func (s *Store) DeleteISRChanges(ctx context.Context, f Fence, nodes []string) error {
	panic("unwritten")
}

// NotifyISRChange writes an isr_change node (IBP < 2.7-IV2).
func (s *Store) NotifyISRChange(ctx context.Context, tps []TopicPartition) error {
	panic("unwritten")
}

// LogDirEvents lists the log_dir_event nodes and arms LogDirEventsPath's children watch.
func (s *Store) LogDirEvents(ctx context.Context) (nodes []string, err error) { panic("unwritten") }

// LogDirEventBrokers reads the brokers in those nodes, ascending, each once.
func (s *Store) LogDirEventBrokers(ctx context.Context, nodes []string) ([]int32, error) {
	panic("unwritten")
}

// DeleteLogDirEvents deletes those nodes.
func (s *Store) DeleteLogDirEvents(ctx context.Context, f Fence, nodes []string) error {
	panic("unwritten")
}

// NotifyLogDirFailure writes a log_dir_event node for the broker.
func (s *Store) NotifyLogDirFailure(ctx context.Context, broker int32) error { panic("unwritten") }

// ---- Legacy requests to the controller

// PartitionReassignments reads /admin/reassign_partitions, nil where absent or
// invalid; arms a NodeWatch on ReassignPartitionsPath.
func (s *Store) PartitionReassignments(ctx context.Context) (map[TopicPartition][]int32, error) {
	panic("unwritten")
}

// CreatePartitionReassignments writes the node as a tool does; ErrNodeExists.
func (s *Store) CreatePartitionReassignments(ctx context.Context, r map[TopicPartition][]int32) error {
	panic("unwritten")
}

// SetPartitionReassignments rewrites the node, or deletes it when r is empty.
func (s *Store) SetPartitionReassignments(ctx context.Context, f Fence, r map[TopicPartition][]int32) error {
	panic("unwritten")
}

// PreferredElections reads /admin/preferred_replica_election, nil where
// absent; arms a NodeWatch on PreferredElectionPath.
func (s *Store) PreferredElections(ctx context.Context) ([]TopicPartition, error) {
	panic("unwritten")
}

// CreatePreferredElections writes the node as a tool does; ErrNodeExists.
func (s *Store) CreatePreferredElections(ctx context.Context, tps []TopicPartition) error {
	panic("unwritten")
}

// DeletePreferredElections deletes the node; absent is no error.
func (s *Store) DeletePreferredElections(ctx context.Context, f Fence) error { panic("unwritten") }

// ---- Offsets of old consumers

// ConsumerOffset reads /consumers/G/offsets/T/P; known is false where absent.
func (s *Store) ConsumerOffset(ctx context.Context, group string, tp TopicPartition) (offset int64, known bool, err error) {
	panic("unwritten")
}

// SetConsumerOffset writes it, for OffsetCommit version 0.
func (s *Store) SetConsumerOffset(ctx context.Context, group string, tp TopicPartition, offset int64) error {
	panic("unwritten")
}

// ---- Looking at the tree

// DumpedNode is one node of Dump. Null data is nil, empty data is not.
type DumpedNode struct {
	Path      string
	Data      []byte
	Ephemeral bool
	Version   Version
}

// Dump reads the whole tree below root, parents first, children by name.
func (s *Store) Dump(ctx context.Context, root string) ([]DumpedNode, error) { panic("unwritten") }
