package controller

import (
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

// checkTarget validates a reassignment asked for by the API, with Kafka's texts.
func checkTarget(current zkstore.Assignment, target []int32, live []int32) error {
	switch {
	case len(target) == 0:
		return protocol.Errorf(protocol.InvalidReplicaAssignment, "Empty replica list specified in partition reassignment.")
	case len(distinct(target)) != len(target):
		return protocol.Errorf(protocol.InvalidReplicaAssignment, "Duplicate replica ids in partition reassignment replica list: %s", scalaList("ArrayBuffer", target))
	case slices.Min(target) < 0:
		return protocol.Errorf(protocol.InvalidReplicaAssignment, "Invalid broker id in replica list: %s", scalaList("ArrayBuffer", target))
	}
	adding := reassignTo(current, target).Adding
	if !subset(adding, live) {
		return protocol.Errorf(protocol.InvalidReplicaAssignment,
			"Replica assignment has brokers that are not alive. Replica list: %s, live broker list: %s",
			scalaList("ArrayBuffer", adding), scalaList("Set", live))
	}
	return nil
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
	var rest []int32
	for _, id := range list {
		if !slices.Contains(gone, id) {
			rest = append(rest, id)
		}
	}
	return rest
}

func distinct(list []int32) []int32 {
	var once []int32
	for _, id := range list {
		if !slices.Contains(once, id) {
			once = append(once, id)
		}
	}
	return once
}

func subset(list, of []int32) bool {
	return !slices.ContainsFunc(list, func(id int32) bool { return !slices.Contains(of, id) })
}
