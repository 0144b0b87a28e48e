package metadata

import "unsafe"

// BrokerID identifies a broker: its broker.id.
type BrokerID int32

const (
	// NoBroker stands for no broker: the leader of a partition without one, the controller while
	// none is known.
	NoBroker BrokerID = -1
	// LeaderDuringDelete is the leader that UpdateMetadata sends for a partition of a topic that is
	// being deleted (LeaderAndIsr.LeaderDuringDelete in Kafka).
	LeaderDuringDelete BrokerID = -2
)

// ControllerEpoch counts the elections of controllers. Brokers refuse requests of earlier ones.
type ControllerEpoch int32

// LeaderEpoch counts the changes of a partition's leadership. Each record batch has the epoch of the
// leader that wrote it.
type LeaderEpoch int32

const (
	// NoLeaderEpoch stands for an unknown leader epoch, or for none.
	NoLeaderEpoch LeaderEpoch = -1
	// EpochDuringDelete is the leader epoch that StopReplica sends for a partition of a topic that
	// is being deleted (LeaderAndIsr.EpochDuringDelete in Kafka).
	EpochDuringDelete LeaderEpoch = -2
)

// PartitionEpoch is the version of the znode with a partition's state. It increases with each change
// of the leader or the in-sync replicas.
type PartitionEpoch int32

// Lists of replicas have another type in kmsg. Requests about many partitions contain several for
// each, so the functions below do not copy them.

// BrokerIDs returns a list of kmsg as broker ids. The result shares the memory of ids.
func BrokerIDs(ids []int32) []BrokerID {
	return unsafe.Slice((*BrokerID)(unsafe.Pointer(unsafe.SliceData(ids))), len(ids))
}

// Int32s returns broker ids as a list of kmsg. The result shares the memory of ids.
func Int32s(ids []BrokerID) []int32 {
	return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(ids))), len(ids))
}
