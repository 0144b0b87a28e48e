package zkstore

import (
	"context"
)

// features has the operations on /feature.
type features struct{ nodes nodes }

// Feature reads /feature and arms a NodeWatch on FeaturePath, whether the node exists or not. It
// returns ErrNoNode or ErrInvalidNode if the node is missing or invalid.
func (fs features) Feature(ctx context.Context) (FeatureNode, error) {
	n, err := fs.nodes.ReadOrArm(ctx, FeaturePath)
	if err != nil {
		return FeatureNode{}, err
	}
	f, err := decodeFeature(n.Data)
	f.Version = n.Version()
	return f, invalid(FeaturePath, err)
}

// CreateFeature creates /feature. It returns ErrNodeExists if the node exists.
func (fs features) CreateFeature(ctx context.Context, n FeatureNode) error {
	return fs.nodes.Create(ctx, FeaturePath, encodeFeature(n))
}

// SetFeature overwrites /feature, whatever its version, and returns the new version.
func (fs features) SetFeature(ctx context.Context, n FeatureNode) (Version, error) {
	return fs.nodes.Set(ctx, FeaturePath, encodeFeature(n), AnyVersion)
}
