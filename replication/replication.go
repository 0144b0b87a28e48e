// Package replication is a broker's replicas: partitions as leader and
// follower, the in-sync set, the high watermark, fetch sessions, and requests
// that wait.
//
// A Manager holds the Partitions this broker hosts. Control requests (LeaderAndIsr,
// StopReplica, UpdateMetadata) change their roles; produces, fetches and lookups
// go to one partition each. Decisions are pure functions (isr.go, hw.go,
// follower_progress.go, session.go, truncation.go); Partition and Manager do
// what they say.
//
// Locks, in the order in which they may be taken:
//
//	Manager.control   one control request at a time
//	Manager.mu        the map of partitions; never held across I/O
//	move.mu           a step of a move between log directories
//	Partition.mu      role, epochs, in-sync set; appends and reads share it
//	Partition.moving  followers' progress and the high watermark's advance
//	storage.Log's own
//
// A shard of fetch sessions is locked before Manager.mu. fetcher, ISR and mover
// locks are leaves; so are a waitList's and, below it, a changeSet's, which may be taken with
// a log's held: a log reports there that its offsets moved. Parked requests are
// woken, and ISRChanger and LeadershipListener called, with none of Partition's
// locks held.
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

// Options are the settings that replication reads, each documented by Kafka
// under the key named.
type Options struct {
	BrokerID int32 // broker.id

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

	MoveThreads      int32         // num.replica.alter.log.dirs.threads; 0: as many as directories
	QuotaWindows     int32         // replication.quota.window.num
	QuotaWindow      time.Duration // replication.quota.window.size.seconds
	MoveQuotaWindows int32         // alter.log.dirs.replication.quota.window.num
	MoveQuotaWindow  time.Duration // alter.log.dirs.replication.quota.window.size.seconds
}

// PeerVersions are the request versions that followers send to leaders. They
// follow from inter.broker.protocol.version and are never negotiated.
type PeerVersions struct {
	Fetch                int16
	ListOffsets          int16
	OffsetForLeaderEpoch int16
	// TruncateOnFetch: from IBP 2.7-IV1 on a leader tells divergence in its Fetch
	// answers; before, followers ask with OffsetForLeaderEpoch first.
	TruncateOnFetch bool
	// AlterPartition: from IBP 2.7-IV2 on in-sync changes go to the controller;
	// before, leaders write them to ZooKeeper.
	AlterPartition bool
}

// DefaultOptions returns Kafka 3.9's defaults at its own protocol version.
func DefaultOptions(brokerID int32) Options {
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

// TopicConfigs tells a topic's configuration; a log created for the topic gets
// it. Later changes go to storage.Manager.SetTopicConfig.
type TopicConfigs interface {
	TopicConfig(topic string) (*settings.Topic, error)
}

// LeadershipListener is told when this broker starts and stops to lead
// partitions, in the order in which it happened, with no lock held but the one
// that serialises control requests. The group and transaction coordinators load
// and unload their state by it.
type LeadershipListener interface {
	// BecameLeader: p is led by this broker from leaderEpoch on.
	BecameLeader(p TopicPartition, leaderEpoch int32)
	// Resigned: p is not led by this broker any more; leaderEpoch is the new
	// leader's, or -1 if the replica was deleted. All appends of the term have
	// returned and none is taken any more, so that a lock that a listener holds
	// while it appends to p does not delay the request any further.
	Resigned(p TopicPartition, leaderEpoch int32)
}

// LogDirEvents announces a failed log directory to the controller, by the znode
// /log_dir_event_notification.
type LogDirEvents interface {
	LogDirFailed(dir string)
}

// ISRChange asks for new in-sync replicas of one partition.
type ISRChange struct {
	Partition       TopicPartition
	TopicID         TopicID
	ControllerEpoch int32 // of the controller that made us leader
	LeaderEpoch     int32
	PartitionEpoch  int32 // the state znode's version that the change builds on
	ISR             []int32
}

// ISRAnswer is what became of an ISRChange. The fields after Err are valid
// where it is None.
type ISRAnswer struct {
	Err            protocol.ErrorCode
	Leader         int32
	LeaderEpoch    int32
	ISR            []int32
	PartitionEpoch int32
}

// ISRChanger gets changes of in-sync replicas decided: by AlterPartition at the
// controller, or, before IBP 2.7-IV2, by a conditional write to ZooKeeper.
type ISRChanger interface {
	// Submit queues a change; done is called once, from another goroutine, with
	// no lock held. false: a change of this partition is queued already; done is
	// not called then.
	Submit(change ISRChange, done func(ISRAnswer)) bool
}

// Config is what a Manager needs.
type Config struct {
	Options      Options
	Logs         *storage.Manager
	Metadata     *metadata.Cache
	Topics       TopicConfigs
	ISR          ISRChanger           // nil: in-sync sets never change (one broker)
	Leaders      []LeadershipListener // told in this order
	LogDirs      LogDirEvents         // nil: nobody
	Transactions Transactions         // nil: transactional records are not verified
	// BrokerEpoch tells this broker's epoch, the czxid of its registration;
	// -1 while it is not registered.
	BrokerEpoch func() int64
	// Dial opens connections to leaders; nil: TCP.
	Dial   peerlink.Dialer
	Logger *logrus.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Follow, where it is set, is given every fetcher in place of a goroutine and
	// a connection: for a simulation, which takes their steps itself.
	Follow func(*Follower)
}
