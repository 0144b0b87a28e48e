package controller

import (
	"slices"

	"github.com/monedula/monedula/zkstore"
)

// batch collects what brokers have to be told in the course of one state
// change, so that each gets at most one request of a kind: LeaderAndIsr, then
// UpdateMetadata, then StopReplica. Nothing is sent to a broker that is not
// registered when the batch is flushed.
//
// Per broker and partition the last entry wins, but a replica that was new
// stays new, and one that is to be deleted stays so. Whoever is told about a
// partition's leadership by LeaderAndIsr, all brokers learn of it by
// UpdateMetadata.
type batch struct {
	c            *controllerContext
	leaderAndISR map[int32]map[TopicPartition]leaderAndISREntry
	stopReplica  map[int32]map[TopicPartition]stopReplicaEntry

	updateMetadata   bool // an UpdateMetadata goes out, be it without partitions
	updateAll        bool // to all brokers
	updateBrokers    map[int32]bool
	updatePartitions map[TopicPartition]bool
}

type leaderAndISREntry struct {
	state      zkstore.PartitionState
	assignment zkstore.Assignment
	isNew      bool
}

type stopReplicaEntry struct {
	leaderEpoch int32
	remove      bool
}

func newBatch(c *controllerContext) *batch {
	return &batch{
		c:                c,
		leaderAndISR:     map[int32]map[TopicPartition]leaderAndISREntry{},
		stopReplica:      map[int32]map[TopicPartition]stopReplicaEntry{},
		updateBrokers:    map[int32]bool{},
		updatePartitions: map[TopicPartition]bool{},
	}
}

// addLeaderAndISR tells brokers the partition's leadership, with its present
// assignment.
func (b *batch) addLeaderAndISR(brokers []int32, tp TopicPartition, s zkstore.PartitionState, isNew bool) {
	entry := leaderAndISREntry{state: s, assignment: b.c.assignment(tp)}
	for _, id := range brokers {
		if id < 0 {
			continue
		}
		if b.leaderAndISR[id] == nil {
			b.leaderAndISR[id] = map[TopicPartition]leaderAndISREntry{}
		}
		entry.isNew = isNew || b.leaderAndISR[id][tp].isNew
		b.leaderAndISR[id][tp] = entry
	}
	b.addUpdateMetadataToAll(tp)
}

// addStopReplica stops the replicas of a partition on brokers; remove deletes them.
func (b *batch) addStopReplica(brokers []int32, tp TopicPartition, remove bool) {
	epoch := b.c.stopEpoch(tp)
	for _, id := range brokers {
		if id < 0 {
			continue
		}
		if b.stopReplica[id] == nil {
			b.stopReplica[id] = map[TopicPartition]stopReplicaEntry{}
		}
		b.stopReplica[id][tp] = stopReplicaEntry{leaderEpoch: epoch, remove: remove || b.stopReplica[id][tp].remove}
	}
}

// addUpdateMetadata tells brokers who is live, and the state of partitions. The
// set of partitions is one for all brokers of the batch.
func (b *batch) addUpdateMetadata(brokers []int32, tps ...TopicPartition) {
	b.updateMetadata = true
	for _, id := range brokers {
		if id >= 0 {
			b.updateBrokers[id] = true
		}
	}
	for _, tp := range tps {
		b.updatePartitions[tp] = true
	}
}

func (b *batch) addUpdateMetadataToAll(tp TopicPartition) {
	b.updateMetadata, b.updateAll = true, true
	b.updatePartitions[tp] = true
}

// updateRecipients are the registered brokers that get the UpdateMetadata, ascending.
func (b *batch) updateRecipients() []int32 {
	if b.updateAll {
		return b.c.registeredIDs()
	}
	return recipients(b.c, b.updateBrokers)
}

func (b *batch) empty() bool {
	return len(b.leaderAndISR) == 0 && len(b.stopReplica) == 0 && !b.updateMetadata
}

// recipients are the registered brokers among the keys, ascending.
func recipients[V any](c *controllerContext, m map[int32]V) []int32 {
	return slices.DeleteFunc(sortedKeys(m), func(id int32) bool { return !c.registered(id) })
}
