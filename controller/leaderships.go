package controller

import (
	"context"
	"errors"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

// leaderships reads and writes the states of partitions in ZooKeeper and keeps the controller's
// context equal to what was read or written.
type leaderships struct {
	id    metadata.BrokerID // broker.id
	c     *controllerContext
	store stateStore
}

// read reads the states of partitions. It keeps the known state of a partition whose znode is
// missing or invalid.
func (l *leaderships) read(ctx context.Context, tps []TopicPartition) error {
	states, err := l.store.PartitionStates(ctx, tps)
	if err != nil {
		return err
	}
	for tp, s := range states {
		l.c.setLeadership(tp, s)
	}
	return nil
}

// check returns an error if the state is missing (known is false) or a later controller wrote it.
func (l *leaderships) check(tp TopicPartition, s zkstore.PartitionState, known bool) error {
	if !known {
		return stateChangeFailed("LeaderAndIsr information doesn't exist for partition %s in %s state", tp.String(), l.c.partition(tp).state)
	}
	if s.ControllerEpoch > l.c.epoch {
		return stateChangeFailed("Aborted leader election for partition %s since the LeaderAndIsr path was already written by another controller. "+
			"This probably means that the current controller %d went through a soft failure and another controller was elected with epoch %d.",
			tp.String(), l.id, s.ControllerEpoch)
	}
	return nil
}

// write writes each state if ZooKeeper still has the version that the state is based on, and stores
// the written ones in the controller's context. It returns the partitions that changed in the
// meantime, and calls report for each of the others.
func (l *leaderships) write(ctx context.Context, states map[TopicPartition]zkstore.PartitionState, report func(TopicPartition, electionOutcome)) (conflicts []TopicPartition, err error) {
	if len(states) == 0 {
		return nil, nil
	}
	written, failed, err := l.store.SetPartitionStates(ctx, l.c.fence(), states)
	if err != nil && fatal(err) {
		return nil, err
	}
	for _, tp := range sortedPartitions(states) {
		state := states[tp]
		version, ok := written[tp]
		switch {
		case ok:
			state.Version = version
			l.c.setLeadership(tp, state)
			report(tp, electionOutcome{state: state})
		case errors.Is(failed[tp], zkstore.ErrBadVersion):
			conflicts = append(conflicts, tp)
		default:
			report(tp, electionOutcome{err: firstError(failed[tp], err)})
		}
	}
	return conflicts, nil
}

// firstError returns the first error that is not nil. There is always an error to return.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return errors.New("the state was not written")
}
