package controller

import (
	"slices"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

// batch collects the control requests of one state change, so that each broker gets at most one
// request of each kind: LeaderAndIsr, then UpdateMetadata, then StopReplica. Brokers that are not
// registered when the batch is flushed are skipped.
//
// The last entry for a broker and partition wins, but a new replica stays new, and a replica to be
// deleted is still deleted. Each partition of a LeaderAndIsr request also goes to all brokers in an
// UpdateMetadata request.
type batch struct {
	c            *controllerContext
	leaderAndISR map[metadata.BrokerID]map[TopicPartition]leaderAndISREntry
	stopReplica  map[metadata.BrokerID]map[TopicPartition]stopReplicaEntry

	updateMetadata   bool // send an UpdateMetadata request, even without partitions
	updateAll        bool // send it to all brokers
	updateBrokers    map[metadata.BrokerID]bool
	updatePartitions map[TopicPartition]bool
}

type leaderAndISREntry struct {
	state      zkstore.PartitionState
	assignment zkstore.Assignment
	isNew      bool
}

type stopReplicaEntry struct {
	leaderEpoch metadata.LeaderEpoch
	remove      bool
}

func newBatch(c *controllerContext) *batch {
	return &batch{
		c:                c,
		leaderAndISR:     map[metadata.BrokerID]map[TopicPartition]leaderAndISREntry{},
		stopReplica:      map[metadata.BrokerID]map[TopicPartition]stopReplicaEntry{},
		updateBrokers:    map[metadata.BrokerID]bool{},
		updatePartitions: map[TopicPartition]bool{},
	}
}

// addLeaderAndISR adds the partition's leadership and current assignment to the LeaderAndIsr
// requests to brokers. It skips negative broker ids.
func (b *batch) addLeaderAndISR(brokers []metadata.BrokerID, tp TopicPartition, s zkstore.PartitionState, isNew bool) {
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

// addStopReplica adds the replicas of a partition to the StopReplica requests to brokers. remove
// also deletes them. It skips negative broker ids.
func (b *batch) addStopReplica(brokers []metadata.BrokerID, tp TopicPartition, remove bool) {
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

// addUpdateMetadata sends the live brokers and the state of the partitions to brokers. All brokers
// of the batch get the same set of partitions.
func (b *batch) addUpdateMetadata(brokers []metadata.BrokerID, tps ...TopicPartition) {
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

// updateRecipients returns the registered brokers that get the UpdateMetadata request, sorted.
func (b *batch) updateRecipients() []metadata.BrokerID {
	if b.updateAll {
		return b.c.registeredIDs()
	}
	return recipients(b.c, b.updateBrokers)
}

func (b *batch) empty() bool {
	return len(b.leaderAndISR) == 0 && len(b.stopReplica) == 0 && !b.updateMetadata
}

// recipients returns the registered brokers among the keys of m, sorted.
func recipients[V any](c *controllerContext, m map[metadata.BrokerID]V) []metadata.BrokerID {
	return slices.DeleteFunc(sortedKeys(m), func(id metadata.BrokerID) bool { return !c.registered(id) })
}
