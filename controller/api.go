package controller

import (
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/zkstore"
)

// Requests is what others ask of the controller, put on an Agenda: a running
// Controller's, or a simulation's beside its Machine. Callbacks run where the
// events are processed and must not block; each is called exactly once.
type Requests struct{ Agenda Agenda }

// ControlledShutdown prepares for broker's leaving: its leaderships move, its
// replicas leave the in-sync sets. brokerEpoch is -1 for an old request without
// one. remaining are the partitions it still leads.
func (r Requests) ControlledShutdown(broker int32, brokerEpoch int64, done func(remaining []TopicPartition, err error)) {
	r.Agenda.Put(controlledShutdown{broker, brokerEpoch, once2(done)})
}

// AlterPartition changes in-sync sets at the request of leaders (API 56, all
// versions); it answers with the version of the request.
func (r Requests) AlterPartition(req *kmsg.AlterPartitionRequest, done func(*kmsg.AlterPartitionResponse)) {
	var once sync.Once
	r.Agenda.Put(alterPartition{req, func(resp *kmsg.AlterPartitionResponse) { once.Do(func() { done(resp) }) }})
}

// AllocateProducerIDs gives a block of producer ids to broker.
func (r Requests) AllocateProducerIDs(broker int32, brokerEpoch int64, done func(start int64, count int32, err error)) {
	var once sync.Once
	r.Agenda.Put(allocateProducerIDs{broker, brokerEpoch, func(start int64, count int32, err error) { once.Do(func() { done(start, count, err) }) }})
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
// those that need no election are left out of the results. err is NOT_CONTROLLER
// for all of them; the caller waits for its metadata to show a new leader.
func (r Requests) ElectLeaders(partitions []TopicPartition, t ElectionType, done func(results map[TopicPartition]ElectionResult, err error)) {
	r.Agenda.Put(electionRequest{partitions, t, adminTriggered, once2(done)})
}

// AlterPartitionReassignments starts, replaces or (nil replicas) cancels
// reassignments; an empty but not nil list is refused. The results have an entry
// per partition, nil for success.
func (r Requests) AlterPartitionReassignments(targets map[TopicPartition][]int32, done func(results map[TopicPartition]error, err error)) {
	valid, refused := map[TopicPartition][]int32{}, map[TopicPartition]error{}
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

// ListPartitionReassignments tells the reassignments that run, of the given
// partitions or (nil) of all. Replicas are all replicas, old and new.
func (r Requests) ListPartitionReassignments(partitions []TopicPartition, done func(running map[TopicPartition]zkstore.Assignment, err error)) {
	r.Agenda.Put(listReassignments{partitions, once2(done)})
}

// UpgradeType says in which directions a feature's level may move.
type UpgradeType int8

// The upgrade types, numbered as in the UpdateFeatures request; version 0's
// allow_downgrade is SafeDowngrade.
const (
	UpgradeOnly     UpgradeType = 1
	SafeDowngrade   UpgradeType = 2
	UnsafeDowngrade UpgradeType = 3
)

// FeatureUpdate is one wish of an UpdateFeatures request. MaxLevel below 1
// deletes the feature.
type FeatureUpdate struct {
	Feature  string
	MaxLevel int16
	Upgrade  UpgradeType
}

// UpdateFeatures validates and writes finalized features. The results have an
// entry per feature, nil for success; timeout bounds the wait for this broker's
// own view of them.
func (r Requests) UpdateFeatures(updates []FeatureUpdate, validateOnly bool, timeout time.Duration, done func(results map[string]error, err error)) {
	r.Agenda.Put(updateFeatures{updates, validateOnly, timeout, once2(done)})
}

// UncleanElectionEnabled tells the controller that the broker's default of
// unclean.leader.election.enable was changed by a dynamic configuration.
func (r Requests) UncleanElectionEnabled(enabled bool) {
	r.Agenda.Put(uncleanElectionEnabled{enabled})
}

// TopicUncleanElectionEnabled tells the controller that unclean elections were
// switched on for one topic.
func (r Requests) TopicUncleanElectionEnabled(topic string) {
	r.Agenda.Put(topicUncleanElectionEnabled{topic})
}

// once2 makes a callback that is called exactly once of one that must be.
func once2[A, B any](done func(A, B)) func(A, B) {
	var once sync.Once
	return func(a A, b B) { once.Do(func() { done(a, b) }) }
}
