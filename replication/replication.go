// Package replication implements a broker's replicas: partitions as leader and follower, in-sync
// sets, the high watermark, fetch sessions, and requests that wait.
//
// A Manager holds the Partitions that this broker hosts. Control requests (LeaderAndIsr,
// StopReplica, UpdateMetadata) change their roles. Each produce, fetch or lookup of a partition
// goes to one Partition. Pure functions make the decisions (isr.go, hw.go, follower_progress.go,
// session.go, truncation.go); Partition and Manager carry them out.
//
// Followers have two sides. A follower of a partition led here is another broker that fetches from
// this one; followers hold what the leader knows of them (follower_progress.go). A partition that
// this broker follows is copied by the fetcher of its leader, which has a following for it.
// followed is the result of one append of such a copy (follower.go).
//
// Locks, in the order in which they may be taken:
//
//	Manager.control       one control request at a time
//	hosted.mu             the map of partitions; never held across I/O
//	move.mu               one step of a move between log directories
//	Partition.mu          role, epochs, in-sync set; appends and reads share it
//	Partition.progressMu  progress of the followers, advance of the high watermark
//	the locks of storage.Log
//
// The lock of a shard of fetch sessions comes before hosted.mu. The locks of fetchers, ISR changes
// and the mover are leaves. So is a waitList's lock and, below it, a changeSet's: both may be taken
// while a log's lock is held, because a log reports there that its offsets moved. No lock of a
// Partition is held while parked requests are woken or while ISRChanger and LeadershipListener are
// called.
package replication

import (
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/storage"
)

// TopicPartition names a partition.
type TopicPartition = metadata.TopicPartition

// TopicID is a topic's id; zero means none is known.
type TopicID = metadata.TopicID

// Options holds the settings that replication reads. Each is named by its Kafka key.
type Options struct {
	BrokerID metadata.BrokerID // broker.id

	LagMax              time.Duration // replica.lag.time.max.ms
	CheckpointInterval  time.Duration // replica.high.watermark.checkpoint.interval.ms
	FetchMaxBytes       int32         // fetch.max.bytes
	FetchSessions       int           // max.incremental.fetch.session.cache.slots
	SelectorClass       string        // replica.selector.class; only the rack-aware one is known
	Rack                *string       // broker.rack
	InterBrokerListener string        // listener name on which followers reach leaders

	Fetchers            int32         // num.replica.fetchers
	FetchPartitionBytes int32         // replica.fetch.max.bytes
	FetchResponseBytes  int32         // replica.fetch.response.max.bytes
	FetchMinBytes       int32         // replica.fetch.min.bytes
	FetchWait           time.Duration // replica.fetch.wait.max.ms
	FetchBackoff        time.Duration // replica.fetch.backoff.ms
	FetchTimeout        time.Duration // replica.socket.timeout.ms
	PeerVersions        PeerVersions  // by inter.broker.protocol.version

	MoveThreads      int32         // num.replica.alter.log.dirs.threads; 0: one for each log directory
	QuotaWindows     int32         // replication.quota.window.num
	QuotaWindow      time.Duration // replication.quota.window.size.seconds
	MoveQuotaWindows int32         // alter.log.dirs.replication.quota.window.num
	MoveQuotaWindow  time.Duration // alter.log.dirs.replication.quota.window.size.seconds
}

// PeerVersions holds the versions of the requests that followers send to leaders. They follow from
// inter.broker.protocol.version and are never negotiated.
type PeerVersions struct {
	Fetch                int16
	ListOffsets          int16
	OffsetForLeaderEpoch int16
	// TruncateOnFetch: from IBP 2.7-IV1 on, a leader reports divergence in its Fetch responses.
	// Before that, followers ask first with OffsetForLeaderEpoch.
	TruncateOnFetch bool
	// AlterPartition: from IBP 2.7-IV2 on, changes of in-sync replicas go to the controller. Before
	// that, leaders write them to ZooKeeper.
	AlterPartition bool
}

// DefaultOptions returns the defaults of Kafka 3.9 at protocol version 3.9.
func DefaultOptions(brokerID metadata.BrokerID) Options {
	return Options{
		BrokerID:            brokerID,
		LagMax:              30 * time.Second,
		CheckpointInterval:  5 * time.Second,
		FetchMaxBytes:       57671680,
		FetchSessions:       1000,
		InterBrokerListener: "PLAINTEXT",
		Fetchers:            1,
		FetchPartitionBytes: 1 << 20,
		FetchResponseBytes:  10 << 20,
		FetchMinBytes:       1,
		FetchWait:           500 * time.Millisecond,
		FetchBackoff:        time.Second,
		FetchTimeout:        30 * time.Second,
		QuotaWindows:        11,
		QuotaWindow:         time.Second,
		MoveQuotaWindows:    11,
		MoveQuotaWindow:     time.Second,
		PeerVersions: PeerVersions{Fetch: 17, ListOffsets: 9, OffsetForLeaderEpoch: 4,
			TruncateOnFetch: true, AlterPartition: true},
	}
}

// TopicConfigs returns the configuration with which a log of the topic is created. Later changes go
// to storage.Manager.SetTopicConfig.
type TopicConfigs interface {
	TopicConfig(topic string) (*settings.Topic, error)
}

// LeadershipListener is notified when this broker starts or stops leading a partition, in the order
// of these changes. No lock is held during the call except Manager.control. The group and
// transaction coordinators load and unload their state on these calls.
type LeadershipListener interface {
	// BecameLeader reports that this broker leads p from leaderEpoch on.
	BecameLeader(p TopicPartition, leaderEpoch metadata.LeaderEpoch)
	// Resigned reports that this broker no longer leads p. leaderEpoch is the new leader's, or -1
	// if the replica was deleted. All appends of the term have returned and no further one is
	// accepted, so Resigned may take a lock that the listener also holds while it appends to p.
	Resigned(p TopicPartition, leaderEpoch metadata.LeaderEpoch)
}

// LogDirEvents announces to the controller, through a znode below /log_dir_event_notification, that
// this broker cannot serve some of its replicas.
type LogDirEvents interface {
	// LogDirFailed reports that the log directory, or a single log in it, cannot be used.
	LogDirFailed(dir string)
}

// ISRChange is a request for new in-sync replicas of one partition.
type ISRChange struct {
	Partition       TopicPartition
	TopicID         TopicID
	ControllerEpoch metadata.ControllerEpoch // of the controller that made us leader
	LeaderEpoch     metadata.LeaderEpoch
	PartitionEpoch  metadata.PartitionEpoch // version of the state znode that the change is based on
	ISR             []metadata.BrokerID
}

// ISRAnswer is the answer to an ISRChange. The fields after Err are valid if Err is None.
type ISRAnswer struct {
	Err            protocol.ErrorCode
	Leader         metadata.BrokerID
	LeaderEpoch    metadata.LeaderEpoch
	ISR            []metadata.BrokerID
	PartitionEpoch metadata.PartitionEpoch
}

// ISRChanger requests changes of in-sync replicas: from the controller with AlterPartition or,
// below IBP 2.7-IV2, with a conditional write to ZooKeeper.
type ISRChanger interface {
	// Submit queues a change. done is called once, from another goroutine, with no lock held.
	// Submit returns false, and done is not called, if a change of the partition is already queued.
	Submit(change ISRChange, done func(ISRAnswer)) bool
}

// Config holds what a Manager needs.
type Config struct {
	Options      Options
	Logs         *storage.Manager
	Metadata     *metadata.Cache
	Topics       TopicConfigs
	ISR          ISRChanger           // nil: in-sync sets never change (one broker)
	Leaders      []LeadershipListener // notified in this order
	LogDirs      LogDirEvents         // nil: failures are not announced
	Transactions Transactions         // nil: transactional records are not verified
	// BrokerEpoch returns this broker's epoch, which is the czxid of its registration, or -1 while
	// it is not registered.
	BrokerEpoch func() int64
	// Dial opens connections to leaders; nil: TCP
	Dial   peerlink.Dialer
	Logger *logrus.Logger
	// Now is the clock; nil: time.Now
	Now func() time.Time
	// Follow, unless nil, is called with every new fetcher, which then gets no goroutine and no
	// connection. The simulation uses it to drive the fetchers itself.
	Follow func(*Follower)
	// Move, unless nil, is called with every new worker that moves logs, which then gets no
	// goroutine. It must not make a step at once.
	Move func(*Mover)
}
