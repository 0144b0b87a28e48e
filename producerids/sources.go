package producerids

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

// FromController returns the Source from IBP 3.0-IV0 on, which asks the controller. send sends a
// request to the controller; epoch returns this broker's epoch.
func FromController(broker metadata.BrokerID, epoch func() int64, send func(context.Context, kmsg.Request) (kmsg.Response, error)) Source {
	return func(ctx context.Context) (Block, error) {
		req := kmsg.NewPtrAllocateProducerIDsRequest()
		req.BrokerID, req.BrokerEpoch = int32(broker), epoch()
		answer, err := send(ctx, req)
		if err != nil {
			return Block{}, err
		}
		resp, ok := answer.(*kmsg.AllocateProducerIDsResponse)
		if !ok {
			return Block{}, fmt.Errorf("AllocateProducerIds was answered by %T", answer)
		}
		if code := protocol.ErrorCode(resp.ErrorCode); code != protocol.None {
			return Block{}, fmt.Errorf("the controller answered %s: %w", code, code)
		}
		return Block{resp.ProducerIDStart, resp.ProducerIDLen}, nil
	}
}

// BlockStore allocates blocks in ZooKeeper. *zkstore.Store implements it.
type BlockStore interface {
	AllocateProducerIDBlock(ctx context.Context, broker metadata.BrokerID) (zkstore.ProducerIDBlock, error)
}

// FromZooKeeper returns the Source below IBP 3.0-IV0, which allocates blocks in the znode itself.
func FromZooKeeper(broker metadata.BrokerID, store BlockStore) Source {
	return func(ctx context.Context) (Block, error) {
		b, err := store.AllocateProducerIDBlock(ctx, broker)
		if err != nil {
			return Block{}, err
		}
		return Block{b.Start, int32(b.End - b.Start + 1)}, nil
	}
}
