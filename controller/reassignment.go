package controller

import (
	"fmt"
	"slices"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

// During a reassignment (KIP-455), the assignment has all replicas, old and new: first the target
// replicas in their order, then the replicas to be removed. The target are the replicas that are
// not being removed. The origin are the replicas that are not being added; a cancellation returns
// to it.

// originReplicas returns the replicas before the reassignment.
func originReplicas(a zkstore.Assignment) []metadata.BrokerID { return without(a.Replicas, a.Adding) }

// targetReplicas returns the replicas after the reassignment.
func targetReplicas(a zkstore.Assignment) []metadata.BrokerID { return without(a.Replicas, a.Removing) }

func beingReassigned(a zkstore.Assignment) bool { return len(a.Adding) > 0 || len(a.Removing) > 0 }

// reassignTo returns the assignment for a reassignment from a to target. a may have an ongoing
// reassignment, which this one replaces.
func reassignTo(a zkstore.Assignment, target []metadata.BrokerID) zkstore.Assignment {
	origin := originReplicas(a)
	full := distinct(slices.Concat(target, origin))
	return zkstore.Assignment{
		Replicas: full,
		Adding:   without(full, origin),
		Removing: without(full, target),
	}
}

// withoutReplica returns the assignment without the replica on broker id.
func withoutReplica(a zkstore.Assignment, id metadata.BrokerID) zkstore.Assignment {
	gone := []metadata.BrokerID{id}
	return zkstore.Assignment{
		Replicas: without(a.Replicas, gone),
		Adding:   without(a.Adding, gone),
		Removing: without(a.Removing, gone),
	}
}

func sameAssignment(a, b zkstore.Assignment) bool {
	return slices.Equal(a.Replicas, b.Replicas) && slices.Equal(a.Adding, b.Adding) && slices.Equal(a.Removing, b.Removing)
}

// caughtUp reports whether all target replicas are in sync. If the reassignment only changes the
// order of replicas, it returns true for any in-sync set.
func caughtUp(a zkstore.Assignment, isr []metadata.BrokerID) bool {
	return !beingReassigned(a) || subset(targetReplicas(a), isr)
}

// checkTargetList validates a list of target replicas without any state of the controller. Errors
// have Kafka's messages. It runs before the request becomes an event, because clients may send
// lists of any length.
func checkTargetList(target []metadata.BrokerID) error {
	switch {
	case len(target) == 0:
		return protocol.Errorf(protocol.InvalidReplicaAssignment, "Empty replica list specified in partition reassignment.")
	case hasDuplicates(target):
		return protocol.Errorf(protocol.InvalidReplicaAssignment, "Duplicate replica ids in partition reassignment replica list: %s", javatext.Collection("ArrayBuffer", target))
	case slices.Min(target) < 0:
		return protocol.Errorf(protocol.InvalidReplicaAssignment, "Invalid broker id in replica list: %s", javatext.Collection("ArrayBuffer", target))
	}
	return nil
}

// checkTargetBrokers returns an error unless the replicas that target adds are live. target must
// have passed checkTargetList. A target with more replicas than can be valid is refused without
// computing its replicas; the goroutine that reads the error's text computes them.
func checkTargetBrokers(current zkstore.Assignment, target []metadata.BrokerID, live []metadata.BrokerID) error {
	if len(target) > len(live)+len(current.Replicas) || !subset(reassignTo(current, target).Adding, live) {
		return &deadTargetError{current, target, live}
	}
	return nil
}

// deadTargetError is an INVALID_REPLICA_ASSIGNMENT whose message is computed on demand.
type deadTargetError struct {
	current      zkstore.Assignment
	target, live []metadata.BrokerID
}

func (e *deadTargetError) Error() string {
	return fmt.Sprintf("Replica assignment has brokers that are not alive. Replica list: %s, live broker list: %s",
		javatext.Collection("ArrayBuffer", reassignTo(e.current, e.target).Adding), liveText(e.live))
}

// As converts e to a protocol.ErrorCode, or to a *protocol.Error with the message.
func (e *deadTargetError) As(target any) bool {
	switch t := target.(type) {
	case *protocol.ErrorCode:
		*t = protocol.InvalidReplicaAssignment
	case **protocol.Error:
		*t = &protocol.Error{Code: protocol.InvalidReplicaAssignment, Message: e.Error()}
	default:
		return false
	}
	return true
}

// planReassignment returns the assignment for a reassignment to target, or for the cancellation of
// the ongoing one. ok is false if there is nothing to cancel.
func planReassignment(current zkstore.Assignment, target []metadata.BrokerID, cancel bool) (plan zkstore.Assignment, ok bool) {
	if cancel {
		if !beingReassigned(current) {
			return zkstore.Assignment{}, false
		}
		target = originReplicas(current)
	}
	return reassignTo(current, target), true
}

func without(list, gone []metadata.BrokerID) []metadata.BrokerID {
	isGone := membership(gone)
	return filter(list, func(id metadata.BrokerID) bool { return !isGone(id) })
}

func distinct(list []metadata.BrokerID) []metadata.BrokerID {
	if len(list) <= shortList {
		var once []metadata.BrokerID
		for _, id := range list {
			if !slices.Contains(once, id) {
				once = append(once, id)
			}
		}
		return once
	}
	seen := make(map[metadata.BrokerID]bool, len(list))
	return filter(list, func(id metadata.BrokerID) bool {
		was := seen[id]
		seen[id] = true
		return !was
	})
}

func hasDuplicates(list []metadata.BrokerID) bool { return len(distinct(list)) < len(list) }

func subset(list, of []metadata.BrokerID) bool {
	isMember := membership(of)
	return !slices.ContainsFunc(list, func(id metadata.BrokerID) bool { return !isMember(id) })
}

// shortList is the length up to which a list is scanned instead of converted to a map.
const shortList = 16

// membership returns a function that reports whether an id is in the list.
func membership(list []metadata.BrokerID) func(id metadata.BrokerID) bool {
	if len(list) <= shortList {
		return func(id metadata.BrokerID) bool { return slices.Contains(list, id) }
	}
	set := make(map[metadata.BrokerID]bool, len(list))
	for _, id := range list {
		set[id] = true
	}
	return func(id metadata.BrokerID) bool { return set[id] }
}
