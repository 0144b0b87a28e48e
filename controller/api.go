package controller

import (
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

// Requests are the operations that other packages request from the controller. Each method puts an
// event on Agenda, which belongs to a running Controller or to a simulation that steps a Machine.
// Callbacks run where events are processed and must not block; each is called exactly once.
type Requests struct{ Agenda Agenda }

// ControlledShutdown prepares for the shutdown of broker: other replicas become leaders of the
// partitions it leads, and its own replicas leave the in-sync sets. brokerEpoch is -1 for an old
// request without one. remaining are the partitions that the broker still leads.
func (r Requests) ControlledShutdown(broker metadata.BrokerID, brokerEpoch int64, done func(remaining []TopicPartition, err error)) {
	r.Agenda.Put(controlledShutdown{broker, brokerEpoch, once2(done)})
}

// AlterPartition changes in-sync sets at the request of leaders (API key 56, all versions). The
// response has the version of the request.
func (r Requests) AlterPartition(req *kmsg.AlterPartitionRequest, done func(*kmsg.AlterPartitionResponse)) {
	var once sync.Once
	r.Agenda.Put(alterPartition{req, func(resp *kmsg.AlterPartitionResponse) { once.Do(func() { done(resp) }) }})
}

// AllocateProducerIDs allocates a block of producer ids to broker: count ids from start on.
func (r Requests) AllocateProducerIDs(broker metadata.BrokerID, brokerEpoch int64, done func(start int64, count int32, err error)) {
	var once sync.Once
	r.Agenda.Put(allocateProducerIDs{broker, brokerEpoch, func(start int64, count int32, err error) { once.Do(func() { done(start, count, err) }) }})
}

// ElectionType selects the rule by which ElectLeaders elects a leader.
type ElectionType int8

// The election types, numbered as in the ElectLeaders request.
const (
	ElectPreferred ElectionType = 0
	ElectUnclean   ElectionType = 1
)

// ElectionResult is the result of ElectLeaders for one partition: its leader now, or the protocol
// error that explains why the election failed.
type ElectionResult struct {
	Leader metadata.BrokerID
	Err    error
}

// ElectLeaders elects leaders for the partitions. If partitions is nil, it considers all partitions
// and omits those that need no election from the results. err is set if the whole request failed:
// NOT_CONTROLLER, or UNKNOWN_SERVER_ERROR if ZooKeeper failed. ElectLeaders does not wait until
// this broker's metadata has the new leaders; callers that need this must wait themselves.
func (r Requests) ElectLeaders(partitions []TopicPartition, t ElectionType, done func(results map[TopicPartition]ElectionResult, err error)) {
	r.Agenda.Put(electionRequest{partitions, t, adminTriggered, once2(done)})
}

// AlterPartitionReassignments starts, replaces or cancels reassignments. targets has the new
// replicas of each partition: nil cancels, and an empty list that is not nil is refused. The
// results have one entry per partition, nil for success.
func (r Requests) AlterPartitionReassignments(targets map[TopicPartition][]metadata.BrokerID, done func(results map[TopicPartition]error, err error)) {
	valid, refused := map[TopicPartition][]metadata.BrokerID{}, map[TopicPartition]error{}
	for tp, target := range targets {
		if target != nil {
			if err := checkTargetList(target); err != nil {
				refused[tp] = err
				continue
			}
		}
		valid[tp] = target
	}
	r.Agenda.Put(alterReassignments{valid, refused, once2(done)})
}

// ListPartitionReassignments lists the ongoing reassignments of the partitions, or of all
// partitions if partitions is nil. Assignment.Replicas has both old and new replicas.
func (r Requests) ListPartitionReassignments(partitions []TopicPartition, done func(running map[TopicPartition]zkstore.Assignment, err error)) {
	r.Agenda.Put(listReassignments{partitions, once2(done)})
}

// UpgradeType limits the directions in which a feature's level may change.
type UpgradeType int8

// The upgrade types, numbered as in the UpdateFeatures request; version 0's
// allow_downgrade is SafeDowngrade.
const (
	UpgradeOnly     UpgradeType = 1
	SafeDowngrade   UpgradeType = 2
	UnsafeDowngrade UpgradeType = 3
)

// FeatureUpdate is one update of an UpdateFeatures request. A MaxLevel below 1 deletes the feature.
type FeatureUpdate struct {
	Feature  string
	MaxLevel int16
	Upgrade  UpgradeType
}

// UpdateFeatures validates and writes finalized features. The results have one entry per feature,
// nil for success. timeout limits the wait until this broker itself has read the new features.
func (r Requests) UpdateFeatures(updates []FeatureUpdate, validateOnly bool, timeout time.Duration, done func(results map[string]error, err error)) {
	r.Agenda.Put(updateFeatures{updates, validateOnly, timeout, once2(done)})
}

// UncleanElectionEnabled notifies the controller that a dynamic configuration changed this broker's
// default of unclean.leader.election.enable.
func (r Requests) UncleanElectionEnabled(enabled bool) {
	r.Agenda.Put(uncleanElectionEnabled{enabled})
}

// TopicUncleanElectionEnabled notifies the controller that unclean elections were enabled for one
// topic.
func (r Requests) TopicUncleanElectionEnabled(topic string) {
	r.Agenda.Put(topicUncleanElectionEnabled{topic})
}

// once2 returns a function that calls done the first time it is called, and does nothing after
// that.
func once2[A, B any](done func(A, B)) func(A, B) {
	var once sync.Once
	return func(a A, b B) { once.Do(func() { done(a, b) }) }
}
