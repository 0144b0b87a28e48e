package controller

import (
	"fmt"
	"slices"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

// A reassignment (KIP-455) keeps all replicas, old and new, in the assignment:
// first the target in its order, then those that will go. The origin, to which
// a cancellation goes back, is what is not being added; the target is what is
// not being removed.

// originReplicas are the replicas from before the reassignment.
func originReplicas(a zkstore.Assignment) []int32 { return without(a.Replicas, a.Adding) }

// targetReplicas are the replicas after it.
func targetReplicas(a zkstore.Assignment) []int32 { return without(a.Replicas, a.Removing) }

func beingReassigned(a zkstore.Assignment) bool { return len(a.Adding) > 0 || len(a.Removing) > 0 }

// reassignTo plans the way from a, which may itself be under way, to target.
func reassignTo(a zkstore.Assignment, target []int32) zkstore.Assignment {
	origin := originReplicas(a)
	full := distinct(slices.Concat(target, origin))
	return zkstore.Assignment{
		Replicas: full,
		Adding:   without(full, origin),
		Removing: without(full, target),
	}
}

// withoutReplica is the assignment after one replica is gone for good.
func withoutReplica(a zkstore.Assignment, id int32) zkstore.Assignment {
	gone := []int32{id}
	return zkstore.Assignment{
		Replicas: without(a.Replicas, gone),
		Adding:   without(a.Adding, gone),
		Removing: without(a.Removing, gone),
	}
}

func sameAssignment(a, b zkstore.Assignment) bool {
	return slices.Equal(a.Replicas, b.Replicas) && slices.Equal(a.Adding, b.Adding) && slices.Equal(a.Removing, b.Removing)
}

// caughtUp says that all replicas of the target are in sync. A pure re-ordering
// is complete whatever the in-sync set.
func caughtUp(a zkstore.Assignment, isr []int32) bool {
	return !beingReassigned(a) || subset(targetReplicas(a), isr)
}

// checkTargetList validates what a reassignment asked for by the API is by itself, with
// Kafka's texts. The list is as long as the client wants, so this is done before the
// request becomes an event.
func checkTargetList(target []int32) error {
	switch {
	case len(target) == 0:
		return protocol.Errorf(protocol.InvalidReplicaAssignment, "Empty replica list specified in partition reassignment.")
	case hasDuplicates(target):
		return protocol.Errorf(protocol.InvalidReplicaAssignment, "Duplicate replica ids in partition reassignment replica list: %s", scalaList("ArrayBuffer", target))
	case slices.Min(target) < 0:
		return protocol.Errorf(protocol.InvalidReplicaAssignment, "Invalid broker id in replica list: %s", scalaList("ArrayBuffer", target))
	}
	return nil
}

// checkTargetBrokers reports whether the replicas that a checked target adds are live. Of
// a list too long for that only the answer is made of it, by whoever waits for it.
func checkTargetBrokers(current zkstore.Assignment, target []int32, live []int32) error {
	if len(target) > len(live)+len(current.Replicas) || !subset(reassignTo(current, target).Adding, live) {
		return &deadTargetError{current, target, live}
	}
	return nil
}

// deadTargetError is an INVALID_REPLICA_ASSIGNMENT whose text is made when it is asked for.
type deadTargetError struct {
	current      zkstore.Assignment
	target, live []int32
}

func (e *deadTargetError) Error() string {
	return fmt.Sprintf("Replica assignment has brokers that are not alive. Replica list: %s, live broker list: %s",
		scalaList("ArrayBuffer", reassignTo(e.current, e.target).Adding), scalaList("Set", e.live))
}

// As makes a protocol.Error of it, which has the text.
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

// planReassignment returns the assignment to move to; nil target cancels. ok is
// false where there is nothing to cancel.
func planReassignment(current zkstore.Assignment, target []int32, cancel bool) (plan zkstore.Assignment, ok bool) {
	if cancel {
		if !beingReassigned(current) {
			return zkstore.Assignment{}, false
		}
		target = originReplicas(current)
	}
	return reassignTo(current, target), true
}

func without(list, gone []int32) []int32 {
	isGone := membership(gone)
	return filter(list, func(id int32) bool { return !isGone(id) })
}

func distinct(list []int32) []int32 {
	if len(list) <= shortList {
		var once []int32
		for _, id := range list {
			if !slices.Contains(once, id) {
				once = append(once, id)
			}
		}
		return once
	}
	seen := make(map[int32]bool, len(list))
	return filter(list, func(id int32) bool {
		was := seen[id]
		seen[id] = true
		return !was
	})
}

func hasDuplicates(list []int32) bool { return len(distinct(list)) < len(list) }

func subset(list, of []int32) bool {
	isMember := membership(of)
	return !slices.ContainsFunc(list, func(id int32) bool { return !isMember(id) })
}

// shortList is how many ids are looked through rather than put into a map.
const shortList = 16

// membership returns a function that reports whether an id is in the list.
func membership(list []int32) func(id int32) bool {
	if len(list) <= shortList {
		return func(id int32) bool { return slices.Contains(list, id) }
	}
	set := make(map[int32]bool, len(list))
	for _, id := range list {
		set[id] = true
	}
	return func(id int32) bool { return set[id] }
}
