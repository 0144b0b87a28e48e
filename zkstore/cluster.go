package zkstore

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
)

// CreateStartupPaths creates the persistent paths every broker makes sure of,
// in Kafka's order, with null data.
func (s *Store) CreateStartupPaths(ctx context.Context) error {
	for _, path := range startupPaths() {
		if err := s.ensurePath(ctx, path); err != nil {
			return err
		}
	}
	return nil
}

// ClusterID reads /cluster/id; ErrNoNode where no broker ever started.
func (s *Store) ClusterID(ctx context.Context) (string, error) {
	n, err := s.read(ctx, clusterIDPath)
	if err != nil {
		return "", err
	}
	id, err := decodeClusterID(n.data)
	return id, invalid(clusterIDPath, err)
}

// CreateOrGetClusterID reads /cluster/id, or writes a new random one; of
// several brokers that race one wins and all get its id.
func (s *Store) CreateOrGetClusterID(ctx context.Context) (string, error) {
	id, err := s.ClusterID(ctx)
	if !errors.Is(err, ErrNoNode) {
		return id, err
	}
	var raw [16]byte
	_, _ = rand.Read(raw[:])                            // never fails
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80 // a version 4 UUID
	id = base64.RawURLEncoding.EncodeToString(raw[:])
	err = s.createRecursive(ctx, clusterIDPath, encodeClusterID(id))
	if errors.Is(err, ErrNodeExists) {
		return s.ClusterID(ctx)
	}
	if err != nil {
		return "", err
	}
	return id, nil
}

// GenerateBrokerID returns the next id above reserved (reserved.broker.max.id).
// Ids are never given twice; one may be lost with a connection.
func (s *Store) GenerateBrokerID(ctx context.Context, reserved int32) (int32, error) {
	for {
		stat, err := s.set(ctx, brokerSequencePath, []byte{}, AnyVersion)
		if err == nil {
			return reserved + stat.Version, nil
		}
		if !errors.Is(err, ErrNoNode) {
			return 0, err
		}
		if err := s.ensurePath(ctx, brokerSequencePath); err != nil {
			return 0, err
		}
	}
}

// Feature reads /feature and arms a NodeWatch on FeaturePath, also where it is
// absent (ErrNoNode); ErrInvalidNode when it cannot be decoded.
func (s *Store) Feature(ctx context.Context) (FeatureNode, error) {
	n, err := s.readOrArm(ctx, FeaturePath)
	if err != nil {
		return FeatureNode{}, err
	}
	f, err := decodeFeature(n.data)
	f.Version = n.stat.Version
	return f, invalid(FeaturePath, err)
}

// CreateFeature creates /feature; ErrNodeExists.
func (s *Store) CreateFeature(ctx context.Context, n FeatureNode) error {
	return s.create(ctx, FeaturePath, encodeFeature(n))
}

// SetFeature overwrites /feature whatever its version and returns the new one.
func (s *Store) SetFeature(ctx context.Context, n FeatureNode) (Version, error) {
	stat, err := s.set(ctx, FeaturePath, encodeFeature(n), AnyVersion)
	return stat.Version, err
}

// AllocateProducerIDBlock takes the next 1000 producer ids for broker. Of
// brokers that race each gets its own; one block may be lost with a connection.
func (s *Store) AllocateProducerIDBlock(ctx context.Context, broker int32) (ProducerIDBlock, error) {
	for {
		n, err := s.readUnwatched(ctx, producerIDBlockPath)
		if errors.Is(err, ErrNoNode) {
			err = s.ensurePath(ctx, producerIDBlockPath)
			if err == nil {
				continue
			}
		}
		if err != nil {
			return ProducerIDBlock{}, err
		}
		latest := ProducerIDBlock{End: -1}
		if len(n.data) > 0 {
			if latest, err = decodeProducerIDBlock(n.data); err != nil {
				return ProducerIDBlock{}, invalid(producerIDBlockPath, err)
			}
		}
		block, err := latest.next(broker)
		if err != nil {
			return ProducerIDBlock{}, err
		}
		_, err = s.set(ctx, producerIDBlockPath, encodeProducerIDBlock(block), n.stat.Version)
		if err == nil {
			return block, nil
		}
		if !errors.Is(err, ErrBadVersion) {
			return ProducerIDBlock{}, fmt.Errorf("allocate producer ids: %w", err)
		}
	}
}
