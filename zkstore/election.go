package zkstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore/zkclient"
)

// ControllerEpochNode is the value and version of /controller_epoch. The version is the fence of all
// writes of the controller.
type ControllerEpochNode struct {
	Epoch   metadata.ControllerEpoch
	Version Version
}

// Fence returns the fence of this epoch's writes.
func (e ControllerEpochNode) Fence() Fence { return Fence{e.Version} }

// ControllerNode is the content of /controller.
type ControllerNode struct {
	ID         metadata.BrokerID
	KRaftEpoch int32 // -1 in a cluster of ZooKeeper brokers
	Version    Version
}

// elections has the operations on /controller and /controller_epoch.
type elections struct {
	nodes nodes
	now   func() time.Time
}

// Elect tries to make broker id the controller: it creates /controller and increments
// /controller_epoch in one transaction. It returns ErrControllerMoved if another broker won. If the
// answer is lost, it reads the nodes to find out whether this broker won.
func (e elections) Elect(ctx context.Context, id metadata.BrokerID) (ControllerEpochNode, error) {
	ctx, _, err := e.nodes.Bind(ctx)
	if err != nil {
		return ControllerEpochNode{}, err
	}
	last, err := e.readOrCreateEpoch(ctx)
	if err != nil {
		return ControllerEpochNode{}, err
	}
	next := last.Epoch + 1
	stats, _, _, err := e.nodes.Multi(ctx, "elect", ControllerPath,
		zkclient.CreateEphemeralOp(ControllerPath, encodeController(id, e.now().UnixMilli())),
		zkclient.SetOp(ControllerEpochPath, encodeEpoch(next), last.Version))
	if err == nil {
		return ControllerEpochNode{Epoch: next, Version: Version(stats[1].Version)}, nil
	}
	if errors.Is(err, ErrNodeExists) || errors.Is(err, ErrBadVersion) {
		return e.checkElected(ctx, id, next)
	}
	return ControllerEpochNode{}, err
}

func (e elections) checkElected(ctx context.Context, id metadata.BrokerID, epoch metadata.ControllerEpoch) (ControllerEpochNode, error) {
	ctx, session, err := e.nodes.Bind(ctx)
	if err != nil {
		return ControllerEpochNode{}, err
	}
	n, err := e.nodes.ReadUnwatched(ctx, ControllerPath)
	if errors.Is(err, ErrNoNode) {
		return ControllerEpochNode{}, fmt.Errorf("the ephemeral node at %s went away while checking whether the controller election succeeds: %w", ControllerPath, ErrControllerMoved)
	}
	if err != nil {
		return ControllerEpochNode{}, err
	}
	winner, err := decodeController(n.Data)
	if err != nil {
		return ControllerEpochNode{}, invalid(ControllerPath, err)
	}
	if winner.ID == id && n.Stat.EphemeralOwner == session {
		now, err := e.ReadControllerEpoch(ctx)
		if err != nil {
			return ControllerEpochNode{}, err
		}
		if now.Epoch == epoch {
			return now, nil
		}
	}
	return ControllerEpochNode{}, fmt.Errorf("broker %d was elected: %w", winner.ID, ErrControllerMoved)
}

func (e elections) readOrCreateEpoch(ctx context.Context) (ControllerEpochNode, error) {
	for {
		epoch, err := e.ReadControllerEpoch(ctx)
		if !errors.Is(err, ErrNoNode) {
			return epoch, err
		}
		err = e.nodes.Create(ctx, ControllerEpochPath, encodeEpoch(0))
		switch {
		case err == nil:
			e.nodes.log.Infof("Successfully created %s with initial epoch 0", ControllerEpochPath)
			return ControllerEpochNode{}, nil
		case !errors.Is(err, ErrNodeExists):
			return ControllerEpochNode{}, err
		}
	}
}

func encodeEpoch(epoch metadata.ControllerEpoch) []byte {
	return strconv.AppendInt(nil, int64(epoch), 10)
}

// ReadControllerEpoch reads /controller_epoch. It returns ErrNoNode before the first election.
func (e elections) ReadControllerEpoch(ctx context.Context) (ControllerEpochNode, error) {
	n, err := e.nodes.ReadUnwatched(ctx, ControllerEpochPath)
	if err != nil {
		return ControllerEpochNode{}, err
	}
	epoch, err := decodeNumber(n.Data, 32)
	return ControllerEpochNode{Epoch: metadata.ControllerEpoch(epoch), Version: n.Version()}, invalid(ControllerEpochPath, err)
}

// Controller reads /controller and arms a NodeWatch on ControllerPath, whether the node exists or
// not.
func (e elections) Controller(ctx context.Context) (c ControllerNode, exists bool, err error) {
	n, err := e.nodes.ReadOrArm(ctx, ControllerPath)
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
func (e elections) DeleteController(ctx context.Context, f Fence) error {
	return e.nodes.removeFenced(ctx, f, ControllerPath)
}
