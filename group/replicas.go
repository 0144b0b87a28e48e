package group

import (
	"time"

	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/storage"
)

// Replicas returns the replicas of the offsets topic that a replication.Manager hosts. The
// coordinator is made before the manager, whose listener it is, so manager is called only when a
// partition is used.
func Replicas(manager func() *replication.Manager) OffsetsTopic { return replicas{manager} }

type replicas struct{ manager func() *replication.Manager }

func (r replicas) Verify(t *replication.Transaction, done <-chan struct{}) (*storage.Verification, error) {
	return r.manager().VerifyTransaction(t, done)
}

func (r replicas) Append(partition int32, batch []byte, verified *storage.Verification, acks int16) (replication.Written, error) {
	p, err := r.manager().Partition(TopicName, partition)
	if err != nil {
		return replication.Written{}, err
	}
	return p.AppendAsLeader(batch, verified, acks)
}

func (r replicas) AwaitReplicated(partition int32, w replication.Written, timeout time.Duration, done <-chan struct{}) error {
	p, err := r.manager().Partition(TopicName, partition)
	if err != nil {
		return err
	}
	return p.AwaitReplicated(w, timeout, done)
}

func (r replicas) Log(partition int32) Log {
	p, err := r.manager().Partition(TopicName, partition)
	if err != nil || !p.State().Leading {
		return nil
	}
	return p.Log()
}

var _ replication.LeadershipListener = (*Coordinator)(nil)
