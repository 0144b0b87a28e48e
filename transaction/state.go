package transaction

import "slices"

// State is the state of a transactional id.
type State int8

// The states of a transactional id, with the numbers that its records have.
const (
	// Empty has no transaction: the producer was initialized and has begun none yet.
	Empty State = iota
	// Ongoing has an open transaction.
	Ongoing
	// PrepareCommit is decided: markers of the commit are being written.
	PrepareCommit
	// PrepareAbort is decided: markers of the abort are being written.
	PrepareAbort
	// CompleteCommit has all markers of the commit.
	CompleteCommit
	// CompleteAbort has all markers of the abort.
	CompleteAbort
	// Dead is an expired id, whose tombstone is being written. No record has this state.
	Dead
	// PrepareEpochFence is an open transaction whose producer is being fenced, before its abort is
	// stored. The coordinator takes both steps at once, so a Transaction is never in this state; its
	// name exists in filters of ListTransactions.
	PrepareEpochFence
)

var stateNames = [...]string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence"}

// String returns Kafka's name of the state, as in DescribeTransactions.
func (s State) String() string { return stateNames[s] }

// StateNamed returns the state of a name. Case matters.
func StateNamed(name string) (s State, known bool) {
	i := slices.Index(stateNames[:], name)
	return State(max(i, 0)), i >= 0
}

// previous lists the states from which each state may be reached.
var previous = [...][]State{
	Empty:             {Empty, CompleteCommit, CompleteAbort},
	Ongoing:           {Ongoing, Empty, CompleteCommit, CompleteAbort},
	PrepareCommit:     {Ongoing},
	PrepareAbort:      {Ongoing, PrepareEpochFence},
	CompleteCommit:    {PrepareCommit},
	CompleteAbort:     {PrepareAbort},
	Dead:              {Empty, CompleteAbort, CompleteCommit},
	PrepareEpochFence: {Ongoing},
}

// follows reports whether a transactional id in state s may have been in state before.
func (s State) follows(before State) bool { return slices.Contains(previous[s], before) }

// idle reports whether the id has no transaction that must be ended. An idle id may expire.
func (s State) idle() bool { return s == Empty || s == CompleteCommit || s == CompleteAbort }

// preparing reports whether a transaction is decided and its markers are not all written.
func (s State) preparing() bool { return s == PrepareCommit || s == PrepareAbort }

// deciding returns the state in which a transaction is decided.
func deciding(commit bool) State {
	if commit {
		return PrepareCommit
	}
	return PrepareAbort
}

// completed returns the state that follows s when all markers are written.
func (s State) completed() State {
	if s == PrepareCommit {
		return CompleteCommit
	}
	return CompleteAbort
}

// result returns Kafka's name of the outcome that s stands for.
func (s State) result() string {
	if s == PrepareCommit || s == CompleteCommit {
		return "COMMIT"
	}
	return "ABORT"
}
