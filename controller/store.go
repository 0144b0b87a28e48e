package controller

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

// Store is the controller's view of ZooKeeper. *zkstore.Store implements it, and the comments of
// its methods are the contract. Watch handlers only enqueue events: data is read when the event is
// processed, never before.
//
// A part of the controller takes only the roles that it uses.
type Store interface {
	electionStore
	watchStore
	featureStore
	producerIDStore
	brokerStore
	topicStore
	deletionStore
	partitionStore
	notificationStore
	reassignmentStore
	preferredElectionStore
}

// electionStore has the sessions and the node of the elected controller.
type electionStore interface {
	BindSession(ctx context.Context) context.Context
	Controller(ctx context.Context) (c zkstore.ControllerNode, exists bool, err error)
	Elect(ctx context.Context, id metadata.BrokerID) (zkstore.ControllerEpochNode, error)
	DeleteController(ctx context.Context, f zkstore.Fence) error
}

type watchStore interface {
	WatchChildren(path string, changed func())
	UnwatchChildren(path string)
	WatchNode(path string, w zkstore.NodeWatch)
	UnwatchNode(path string)
	Arm(ctx context.Context, path string) (exists bool, err error)
}

type featureStore interface {
	Feature(ctx context.Context) (zkstore.FeatureNode, error)
	CreateFeature(ctx context.Context, n zkstore.FeatureNode) error
	SetFeature(ctx context.Context, n zkstore.FeatureNode) (zkstore.Version, error)
}

type producerIDStore interface {
	AllocateProducerIDBlock(ctx context.Context, broker metadata.BrokerID) (zkstore.ProducerIDBlock, error)
}

// brokerStore has the registrations of brokers.
type brokerStore interface {
	Brokers(ctx context.Context) (map[metadata.BrokerID]zkstore.BrokerInfo, error)
	BrokerIDs(ctx context.Context) ([]metadata.BrokerID, error)
	BrokerNode(ctx context.Context, id metadata.BrokerID) (info *zkstore.BrokerInfo, owner int64, err error)
}

// topicStore has the ids and assignments of topics.
type topicStore interface {
	Topics(ctx context.Context) ([]string, error)
	TopicNodes(ctx context.Context, names []string) (map[string]zkstore.TopicNode, error)
	SetTopic(ctx context.Context, f zkstore.Fence, t zkstore.TopicNode) (zkstore.Version, error)
	RestoreTopic(ctx context.Context, f zkstore.Fence, t zkstore.TopicNode) error
}

// deletionStore has the topics marked for deletion.
type deletionStore interface {
	TopicDeletions(ctx context.Context) ([]string, error)
	RemoveTopicDeletions(ctx context.Context, f zkstore.Fence, names []string) error
	DeleteTopic(ctx context.Context, f zkstore.Fence, name string) error
}

// stateStore has the states of partitions: leader, epochs and in-sync set.
type stateStore interface {
	PartitionStates(ctx context.Context, tps []TopicPartition) (map[TopicPartition]zkstore.PartitionState, error)
	SetPartitionStates(ctx context.Context, f zkstore.Fence, states map[TopicPartition]zkstore.PartitionState) (written map[TopicPartition]zkstore.Version, failed map[TopicPartition]error, err error)
}

// partitionStore is a stateStore that also creates states and reads the configurations of topics.
type partitionStore interface {
	stateStore
	CreatePartitionStates(ctx context.Context, f zkstore.Fence, states map[TopicPartition]zkstore.PartitionState) (failed map[TopicPartition]error, err error)
	Configs(ctx context.Context, t zkstore.EntityType, names []string) (configs map[string]map[string]string, unreadable map[string]error, err error)
}

// notificationStore has the nodes by which brokers notify the controller.
type notificationStore interface {
	ISRChanges(ctx context.Context) (nodes []string, err error)
	ISRChangePartitions(ctx context.Context, nodes []string) ([]TopicPartition, error)
	DeleteISRChanges(ctx context.Context, f zkstore.Fence, nodes []string) error
	LogDirEvents(ctx context.Context) (nodes []string, err error)
	LogDirEventBrokers(ctx context.Context, nodes []string) ([]metadata.BrokerID, error)
	DeleteLogDirEvents(ctx context.Context, f zkstore.Fence, nodes []string) error
}

// reassignmentStore has /admin/reassign_partitions, through which old tools request reassignments.
type reassignmentStore interface {
	PartitionReassignments(ctx context.Context) (map[TopicPartition][]metadata.BrokerID, error)
	SetPartitionReassignments(ctx context.Context, f zkstore.Fence, r map[TopicPartition][]metadata.BrokerID) error
}

// preferredElectionStore has /admin/preferred_replica_election, through which old tools request
// elections.
type preferredElectionStore interface {
	PreferredElections(ctx context.Context) ([]TopicPartition, error)
	DeletePreferredElections(ctx context.Context, f zkstore.Fence) error
}

var _ Store = (*zkstore.Store)(nil)

// Peers sends control requests to brokers. Each broker has its own queue with at most one request
// in flight: the next is sent once the previous one is answered. A request is sent again until it
// is answered or its broker is removed.
type Peers interface {
	// Add opens a queue to a broker. It has no effect if the broker already has a queue.
	Add(b zkstore.BrokerInfo)
	// Remove drops the broker's queue with its requests.
	Remove(id metadata.BrokerID)
	// RemoveAll drops all queues.
	RemoveAll()
	// Send appends a request to the broker's queue, or does nothing if the broker has no queue.
	// answered may be nil. It is called in any goroutine, at most once.
	Send(id metadata.BrokerID, req kmsg.Request, answered func(kmsg.Response))
}

// Agenda takes the events that a Machine must process later.
type Agenda interface {
	// Put appends an event to the queue.
	Put(e Event)
	// PutAfter appends an event after d, unless CancelTimers is called first.
	PutAfter(d time.Duration, e Event)
	// CancelTimers drops the events that PutAfter has not delivered yet.
	CancelTimers()
}

// moved reports whether err means that another broker is the controller. Processing of the event
// ends and the machine resigns.
func moved(err error) bool { return errors.Is(err, zkstore.ErrControllerMoved) }

// fatal reports whether err ends the processing of the whole event, and not only the work on one
// partition, because no further write can succeed.
func fatal(err error) bool {
	return moved(err) || errors.Is(err, zkstore.ErrSessionExpired) || errors.Is(err, zkstore.ErrClosed) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
