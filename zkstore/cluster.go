package zkstore

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
)

// CreateStartupPaths creates the persistent nodes that each broker creates at startup unless they
// exist, in Kafka's order and with null data.
func (s *Store) CreateStartupPaths(ctx context.Context) error {
	for _, path := range startupPaths() {
		if err := s.EnsurePath(ctx, path); err != nil {
			return err
		}
	}
	return nil
}

// ClusterID reads /cluster/id. It returns ErrNoNode if no broker has ever started.
func (s *Store) ClusterID(ctx context.Context) (string, error) {
	n, err := s.Read(ctx, clusterIDPath)
	if err != nil {
		return "", err
	}
	id, err := decodeClusterID(n.Data)
	return id, invalid(clusterIDPath, err)
}

// CreateOrGetClusterID reads /cluster/id, or writes a new random id if there is none. If several
// brokers race, all return the id of the one that wins.
func (s *Store) CreateOrGetClusterID(ctx context.Context) (string, error) {
	id, err := s.ClusterID(ctx)
	if !errors.Is(err, ErrNoNode) {
		return id, err
	}
	var raw [16]byte
	_, _ = rand.Read(raw[:])                            // never returns an error
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80 // a version 4 UUID
	id = base64.RawURLEncoding.EncodeToString(raw[:])
	err = s.CreateRecursive(ctx, clusterIDPath, encodeClusterID(id))
	if errors.Is(err, ErrNodeExists) {
		return s.ClusterID(ctx)
	}
	if err != nil {
		return "", err
	}
	return id, nil
}

// GenerateBrokerID returns a new broker id above reserved (reserved.broker.max.id). No id is
// returned twice. An id may stay unused if an answer is lost.
func (s *Store) GenerateBrokerID(ctx context.Context, reserved int32) (int32, error) {
	for {
		version, err := s.Set(ctx, brokerSequencePath, []byte{}, AnyVersion)
		if err == nil {
			return reserved + int32(version), nil
		}
		if !errors.Is(err, ErrNoNode) {
			return 0, err
		}
		if err := s.EnsurePath(ctx, brokerSequencePath); err != nil {
			return 0, err
		}
	}
}

// Feature reads /feature and arms a NodeWatch on FeaturePath, whether the node exists or not. It
// returns ErrNoNode or ErrInvalidNode if the node is missing or invalid.
func (s *Store) Feature(ctx context.Context) (FeatureNode, error) {
	n, err := s.ReadOrArm(ctx, FeaturePath)
	if err != nil {
		return FeatureNode{}, err
	}
	f, err := decodeFeature(n.Data)
	f.Version = n.Version()
	return f, invalid(FeaturePath, err)
}

// CreateFeature creates /feature. It returns ErrNodeExists if the node exists.
func (s *Store) CreateFeature(ctx context.Context, n FeatureNode) error {
	return s.Create(ctx, FeaturePath, encodeFeature(n))
}

// SetFeature overwrites /feature, whatever its version, and returns the new version.
func (s *Store) SetFeature(ctx context.Context, n FeatureNode) (Version, error) {
	return s.Set(ctx, FeaturePath, encodeFeature(n), AnyVersion)
}

// AllocateProducerIDBlock allocates the next 1000 producer ids to broker. If several brokers race,
// Each gets its own block. A block may stay unused if an answer is lost.
func (s *Store) AllocateProducerIDBlock(ctx context.Context, broker int32) (ProducerIDBlock, error) {
	for {
		n, err := s.ReadUnwatched(ctx, producerIDBlockPath)
		if errors.Is(err, ErrNoNode) {
			err = s.EnsurePath(ctx, producerIDBlockPath)
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
		_, err = s.Set(ctx, producerIDBlockPath, encodeProducerIDBlock(block), n.Version())
		if err == nil {
			return block, nil
		}
		if !errors.Is(err, ErrBadVersion) {
			return ProducerIDBlock{}, fmt.Errorf("allocate producer ids: %w", err)
		}
	}
}
