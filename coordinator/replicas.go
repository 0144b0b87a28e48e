package coordinator

import (
	"time"

	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/storage"
)

// Topic is this broker's replicas of an internal topic.
type Topic interface {
	// Append appends a batch as the partition's leader and returns its position. verified is the
	// result of verifying the transaction of the batch, or nil.
	Append(partition int32, batch []byte, verified *storage.Verification, acks int16) (replication.Written, error)
	// AwaitReplicated blocks until the batch of Append is on all in-sync replicas. It fails with
	// REQUEST_TIMED_OUT after timeout or when done is closed, and with NOT_LEADER_OR_FOLLOWER if
	// the leadership has been lost since, even if it was won again.
	AwaitReplicated(partition int32, w replication.Written, timeout time.Duration, done <-chan struct{}) error
	// End returns the position of the end of a partition's log, for AwaitReplicated.
	End(partition int32) (replication.Written, error)
	// Log returns the log of a partition, or nil if this broker does not lead it.
	Log(partition int32) Log
}

// Log is a log from which entries are loaded.
type Log interface {
	Read(storage.Read) (storage.Data, error)
	Offsets() storage.Offsets
}

// Replicas is the replicas of an internal topic that a replication.Manager hosts. A coordinator is
// made before the manager, whose listener it is, so Manager is called only when a partition is used.
type Replicas struct {
	TopicName string
	Manager   func() *replication.Manager
}

// Append implements Topic.
func (r Replicas) Append(partition int32, batch []byte, verified *storage.Verification, acks int16) (replication.Written, error) {
	p, err := r.Manager().Partition(r.TopicName, partition)
	if err != nil {
		return replication.Written{}, err
	}
	return p.AppendAsLeader(batch, verified, acks)
}

// AwaitReplicated implements Topic.
func (r Replicas) AwaitReplicated(partition int32, w replication.Written, timeout time.Duration, done <-chan struct{}) error {
	p, err := r.Manager().Partition(r.TopicName, partition)
	if err != nil {
		return err
	}
	return p.AwaitReplicated(w, timeout, done)
}

// End implements Topic.
func (r Replicas) End(partition int32) (replication.Written, error) {
	p, err := r.Manager().Partition(r.TopicName, partition)
	if err != nil {
		return replication.Written{}, err
	}
	return replication.EndOf(p)
}

// Log implements Topic.
func (r Replicas) Log(partition int32) Log {
	p, err := r.Manager().Partition(r.TopicName, partition)
	if err != nil || !p.State().Leading {
		return nil
	}
	return p.Log()
}

var _ Topic = Replicas{}
