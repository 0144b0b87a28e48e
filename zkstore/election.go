package zkstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-zookeeper/zk"
)

// ControllerEpoch is the value and version of /controller_epoch. The version is the fence of all
// writes of the controller.
type ControllerEpoch struct {
	Epoch   int32
	Version Version
}

// Fence returns the fence of this epoch's writes.
func (e ControllerEpoch) Fence() Fence { return Fence{e.Version} }

// ControllerNode is /controller.
type ControllerNode struct {
	ID         int32
	KRaftEpoch int32 // -1 in a cluster of ZooKeeper brokers
	Version    Version
}

// Elect tries to make broker id the controller: it creates /controller and increments
// /controller_epoch in one transaction. It returns ErrControllerMoved if another broker won. If the
// answer is lost, it reads the nodes to find out whether this broker won.
func (s *Store) Elect(ctx context.Context, id int32) (ControllerEpoch, error) {
	ctx, _, err := s.Bind(ctx)
	if err != nil {
		return ControllerEpoch{}, err
	}
	last, err := s.readOrCreateEpoch(ctx)
	if err != nil {
		return ControllerEpoch{}, err
	}
	next := last.Epoch + 1
	results, _, _, err := s.Multi(ctx, "elect", ControllerPath,
		s.CreateOp(ControllerPath, encodeController(id, s.cfg.Now().UnixMilli()), zk.FlagEphemeral),
		s.SetOp(ControllerEpochPath, encodeEpoch(next), last.Version))
	if err == nil {
		return ControllerEpoch{Epoch: next, Version: Version(results[1].Stat.Version)}, nil
	}
	if errors.Is(err, ErrNodeExists) || errors.Is(err, ErrBadVersion) {
		return s.checkElected(ctx, id, next)
	}
	return ControllerEpoch{}, err
}

func (s *Store) checkElected(ctx context.Context, id, epoch int32) (ControllerEpoch, error) {
	ctx, session, err := s.Bind(ctx)
	if err != nil {
		return ControllerEpoch{}, err
	}
	n, err := s.ReadUnwatched(ctx, ControllerPath)
	if errors.Is(err, ErrNoNode) {
		return ControllerEpoch{}, fmt.Errorf("the ephemeral node at %s went away while checking whether the controller election succeeds: %w", ControllerPath, ErrControllerMoved)
	}
	if err != nil {
		return ControllerEpoch{}, err
	}
	winner, err := decodeController(n.Data)
	if err != nil {
		return ControllerEpoch{}, invalid(ControllerPath, err)
	}
	if winner.ID == id && n.Stat.EphemeralOwner == session {
		now, err := s.ReadControllerEpoch(ctx)
		if err != nil {
			return ControllerEpoch{}, err
		}
		if now.Epoch == epoch {
			return now, nil
		}
	}
	return ControllerEpoch{}, fmt.Errorf("broker %d was elected: %w", winner.ID, ErrControllerMoved)
}

func (s *Store) readOrCreateEpoch(ctx context.Context) (ControllerEpoch, error) {
	for {
		epoch, err := s.ReadControllerEpoch(ctx)
		if !errors.Is(err, ErrNoNode) {
			return epoch, err
		}
		err = s.Create(ctx, ControllerEpochPath, encodeEpoch(0))
		switch {
		case err == nil:
			s.kafkaLog.Infof("Successfully created %s with initial epoch 0", ControllerEpochPath)
			return ControllerEpoch{}, nil
		case !errors.Is(err, ErrNodeExists):
			return ControllerEpoch{}, err
		}
	}
}

func encodeEpoch(epoch int32) []byte { return strconv.AppendInt(nil, int64(epoch), 10) }

// ReadControllerEpoch reads /controller_epoch. It returns ErrNoNode before the first election.
func (s *Store) ReadControllerEpoch(ctx context.Context) (ControllerEpoch, error) {
	n, err := s.ReadUnwatched(ctx, ControllerEpochPath)
	if err != nil {
		return ControllerEpoch{}, err
	}
	epoch, err := decodeNumber(n.Data, 32)
	return ControllerEpoch{Epoch: int32(epoch), Version: n.Version()}, invalid(ControllerEpochPath, err)
}

// Controller reads /controller and arms a NodeWatch on ControllerPath, whether the node exists or
// not.
func (s *Store) Controller(ctx context.Context) (c ControllerNode, exists bool, err error) {
	n, err := s.ReadOrArm(ctx, ControllerPath)
	if errors.Is(err, ErrNoNode) {
		return ControllerNode{}, false, nil
	}
	if err != nil {
		return ControllerNode{}, false, err
	}
	c, err = decodeController(n.Data)
	c.Version = n.Version()
	return c, err == nil, invalid(ControllerPath, err)
}

// DeleteController deletes /controller, which starts a new election. A missing node is not an
// error.
func (s *Store) DeleteController(ctx context.Context, f Fence) error {
	return s.removeFenced(ctx, f, ControllerPath)
}
