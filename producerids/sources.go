package producerids

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

// FromController asks the controller, from IBP 3.0-IV0 on. send reaches it, and
// epoch is this broker's.
func FromController(broker int32, epoch func() int64, send func(context.Context, kmsg.Request) (kmsg.Response, error)) Source {
	return func(ctx context.Context) (Block, error) {
		req := kmsg.NewPtrAllocateProducerIDsRequest()
		req.BrokerID, req.BrokerEpoch = broker, epoch()
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

// BlockStore takes blocks from ZooKeeper; *zkstore.Store does.
type BlockStore interface {
	AllocateProducerIDBlock(ctx context.Context, broker int32) (zkstore.ProducerIDBlock, error)
}

// FromZooKeeper takes blocks from the znode itself, below IBP 3.0-IV0.
func FromZooKeeper(broker int32, store BlockStore) Source {
	return func(ctx context.Context) (Block, error) {
		b, err := store.AllocateProducerIDBlock(ctx, broker)
		if err != nil {
			return Block{}, err
		}
		return Block{b.Start, int32(b.End - b.Start + 1)}, nil
	}
}
