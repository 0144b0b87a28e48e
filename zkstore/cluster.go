package zkstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
)

// cluster has the operations on the nodes that exist once in a cluster: its id, and the sources of
// broker ids and producer ids.
type cluster struct{ nodes nodes }

// CreateStartupPaths creates the persistent nodes that each broker creates at startup unless they
// exist, in Kafka's order and with null data.
func (c cluster) CreateStartupPaths(ctx context.Context) error {
	for _, path := range startupPaths() {
		if err := c.nodes.EnsurePath(ctx, path); err != nil {
			return err
		}
	}
	return nil
}

// ClusterID reads /cluster/id. It returns ErrNoNode if no broker has ever started.
func (c cluster) ClusterID(ctx context.Context) (string, error) {
	n, err := c.nodes.Read(ctx, clusterIDPath)
	if err != nil {
		return "", err
	}
	id, err := decodeClusterID(n.Data)
	return id, invalid(clusterIDPath, err)
}

// CreateOrGetClusterID reads /cluster/id, or writes a new random id if there is none. If several
// brokers race, all return the id of the one that wins.
func (c cluster) CreateOrGetClusterID(ctx context.Context) (string, error) {
	id, err := c.ClusterID(ctx)
	if !errors.Is(err, ErrNoNode) {
		return id, err
	}
	var raw [16]byte
	_, _ = rand.Read(raw[:])                            // never returns an error
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80 // a version 4 UUID
	id = javatext.UUID(raw)
	err = c.nodes.CreateRecursive(ctx, clusterIDPath, encodeClusterID(id))
	if errors.Is(err, ErrNodeExists) {
		return c.ClusterID(ctx)
	}
	if err != nil {
		return "", err
	}
	return id, nil
}

// GenerateBrokerID returns a new broker id above reserved (reserved.broker.max.id). No id is
// returned twice. An id may stay unused if an answer is lost.
func (c cluster) GenerateBrokerID(ctx context.Context, reserved metadata.BrokerID) (metadata.BrokerID, error) {
	for {
		version, err := c.nodes.Set(ctx, brokerSequencePath, []byte{}, AnyVersion)
		if err == nil {
			return reserved + metadata.BrokerID(version), nil
		}
		if !errors.Is(err, ErrNoNode) {
			return 0, err
		}
		if err := c.nodes.EnsurePath(ctx, brokerSequencePath); err != nil {
			return 0, err
		}
	}
}

// AllocateProducerIDBlock allocates the next 1000 producer ids to broker. If several brokers race,
// each gets its own block. A block may stay unused if an answer is lost.
func (c cluster) AllocateProducerIDBlock(ctx context.Context, broker metadata.BrokerID) (ProducerIDBlock, error) {
	for {
		n, err := c.nodes.ReadUnwatched(ctx, producerIDBlockPath)
		if errors.Is(err, ErrNoNode) {
			err = c.nodes.EnsurePath(ctx, producerIDBlockPath)
			if err == nil {
				continue
			}
		}
		if err != nil {
			return ProducerIDBlock{}, err
		}
		latest := ProducerIDBlock{End: -1}
		if len(n.Data) > 0 {
			if latest, err = decodeProducerIDBlock(n.Data); err != nil {
				return ProducerIDBlock{}, invalid(producerIDBlockPath, err)
			}
		}
		block, err := latest.next(broker)
		if err != nil {
			return ProducerIDBlock{}, err
		}
		_, err = c.nodes.Set(ctx, producerIDBlockPath, encodeProducerIDBlock(block), n.Version())
		if err == nil {
			return block, nil
		}
		if !errors.Is(err, ErrBadVersion) {
			return ProducerIDBlock{}, fmt.Errorf("allocate producer ids: %w", err)
		}
	}
}
