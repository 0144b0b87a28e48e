package controller

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"time"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

// allocateProducerIDs is the AllocateProducerIds request, by which a broker gets a block of ids.
type allocateProducerIDs struct {
	broker metadata.BrokerID
	epoch  int64
	done   func(start int64, count int32, err error)
}

func (allocateProducerIDs) String() string { return "AllocateProducerIds" }
func (e allocateProducerIDs) preempt()     { e.done(0, 0, protocol.NotController) }

func (e allocateProducerIDs) process(m *Machine) error {
	if !m.Active() {
		e.preempt()
		return nil
	}
	b, known := m.c.brokers[e.broker]
	if !known {
		m.log.Warnf("Ignoring AllocateProducerIds due to unknown broker %d", e.broker)
		e.done(0, 0, protocol.BrokerIDNotRegistered)
		return nil
	}
	if b.Epoch != e.epoch {
		m.log.Warnf("Ignoring AllocateProducerIds due to stale broker epoch %d for broker %d", e.epoch, e.broker)
		e.done(0, 0, protocol.StaleBrokerEpoch)
		return nil
	}
	block, err := m.store.AllocateProducerIDBlock(m.ctx, e.broker)
	if err != nil {
		e.done(0, 0, protocol.UnknownServerError)
		return err
	}
	e.done(block.Start, int32(block.End-block.Start+1), nil)
	return nil
}

// updateFeatures is the UpdateFeatures request.
type updateFeatures struct {
	updates      []FeatureUpdate
	validateOnly bool
	timeout      time.Duration
	done         func(map[string]error, error)
}

func (updateFeatures) String() string { return "UpdateFeatures" }
func (e updateFeatures) preempt()     { e.done(nil, protocol.NotController) }

func (e updateFeatures) process(m *Machine) error {
	if !m.Active() {
		e.preempt()
		return nil
	}
	results := map[string]error{}
	target := map[string]zkstore.FinalizedFeature{}
	maps.Copy(target, m.features.finalized)
	for _, u := range e.updates {
		level, err := m.features.check(u)
		results[u.Feature] = err
		switch {
		case err != nil:
		case level == 0:
			delete(target, u.Feature)
		default:
			target[u.Feature] = level.finalized()
		}
	}
	var failure error
	if !e.validateOnly && !maps.Equal(target, m.features.finalized) {
		if failure = m.features.write(m.ctx, target, e.timeout); failure != nil {
			m.log.Warnf("Processing of feature updates failed due to error: %v", failure)
			for name, err := range results {
				if err == nil {
					results[name] = protocol.FeatureUpdateFailed
				}
			}
		}
	}
	e.done(results, nil)
	return failure
}

// features keeps the finalized features in /feature.
type features struct {
	versions   versions
	supported  map[string]zkstore.FeatureRange                          // by this broker
	awaitEpoch func(ctx context.Context, version zkstore.Version) error // Config.AwaitFeatureEpoch
	timeout    time.Duration                                            // for this broker to read a change
	c          *controllerContext
	store      featureStore
	log        kafkalog.Prefixed

	finalized map[string]zkstore.FinalizedFeature // as last read or written
}

// setUp creates or updates /feature as this broker's inter.broker.protocol.version requires. An
// invalid znode is left as it is, because it must not prevent the cluster from having a controller.
func (f *features) setUp(ctx context.Context) error {
	wanted := zkstore.FeatureNode{JSONVersion: f.versions.featureJSON, Enabled: f.versions.features, Features: map[string]zkstore.FinalizedFeature{}}
	node, err := f.store.Feature(ctx)
	switch {
	case errors.Is(err, zkstore.ErrNoNode):
		f.log.Infof("Creating FeatureZNode at path: %s with contents: %+v", zkstore.FeaturePath, wanted)
		if err := f.store.CreateFeature(ctx, wanted); err != nil && !errors.Is(err, zkstore.ErrNodeExists) {
			return err
		}
		node, err = f.store.Feature(ctx)
		if err != nil {
			return err
		}
		return f.await(ctx, node.Version, f.timeout)
	case errors.Is(err, zkstore.ErrInvalidNode):
		f.log.Errorf("Cannot parse %s; leaving it as it is and assuming that there are no finalized features: %v", zkstore.FeaturePath, err)
		f.finalized = nil
		return nil
	case err != nil:
		return err
	}
	if !node.Enabled && len(node.Features) > 0 {
		f.log.Warnf("FeatureZNode at path: %s with disabled status contains non-empty features: %v", zkstore.FeaturePath, node.Features)
	}
	if wanted.Enabled && node.Enabled {
		wanted.Features = node.Features
	}
	f.finalized = wanted.Features
	if sameFeatures(node, wanted) {
		return nil
	}
	f.log.Infof("Updating FeatureZNode at path: %s with contents: %+v", zkstore.FeaturePath, wanted)
	version, err := f.store.SetFeature(ctx, wanted)
	if err != nil {
		return err
	}
	return f.await(ctx, version, f.timeout)
}

func sameFeatures(a, b zkstore.FeatureNode) bool {
	if a.JSONVersion != b.JSONVersion || a.Enabled != b.Enabled || len(a.Features) != len(b.Features) {
		return false
	}
	for name, level := range a.Features {
		if other, ok := b.Features[name]; !ok || other != level {
			return false
		}
	}
	return true
}

func (f *features) write(ctx context.Context, features map[string]zkstore.FinalizedFeature, timeout time.Duration) error {
	version, err := f.store.SetFeature(ctx, zkstore.FeatureNode{JSONVersion: f.versions.featureJSON, Enabled: true, Features: features})
	if err != nil {
		return err
	}
	f.finalized = features
	return f.await(ctx, version, timeout)
}

// featureLevel is a level to finalize; 0 means deletion.
type featureLevel int16

func (l featureLevel) finalized() zkstore.FinalizedFeature {
	return zkstore.FinalizedFeature{Min: 1, Max: int16(l)}
}

// check validates one update. Errors have Kafka's messages.
func (f *features) check(u FeatureUpdate) (featureLevel, error) {
	refuse := func(format string, args ...any) (featureLevel, error) {
		return 0, protocol.Errorf(protocol.InvalidRequest, format, args...)
	}
	existing, finalized := f.finalized[u.Feature]
	up := u.Upgrade == UpgradeOnly
	switch {
	case u.Feature == "":
		return refuse("Feature name can not be empty.")
	case u.Upgrade < UpgradeOnly || u.Upgrade > UnsafeDowngrade:
		return refuse("Received unknown upgrade type.")
	case u.MaxLevel < 1 && !up && !finalized:
		return refuse("Can not delete non-existing finalized feature.")
	case u.MaxLevel < 1 && !up:
		return 0, nil
	case u.MaxLevel < 1:
		return refuse("Can not provide versionLevel: %d less than 1 without setting the SAFE downgradeType in the request.", u.MaxLevel)
	case finalized && u.MaxLevel == existing.Max:
		verb := "upgrade"
		if u.Upgrade == SafeDowngrade {
			verb = "downgrade"
		}
		return refuse("Can not %s a finalized feature from existing versionLevel:%d to the same value.", verb, existing.Max)
	case finalized && u.MaxLevel < existing.Max && u.Upgrade != SafeDowngrade:
		return refuse("Can not downgrade finalized feature from existing versionLevel:%d to provided versionLevel:%d without setting the downgradeType to SAFE in the request.", existing.Max, u.MaxLevel)
	case finalized && u.MaxLevel > existing.Max && !up:
		return refuse("When the downgradeType is set to SAFE in the request, the provided versionLevel:%d can not be greater than existing versionLevel:%d.", u.MaxLevel, existing.Max)
	}
	return f.checkSupported(u)
}

func (f *features) checkSupported(u FeatureUpdate) (featureLevel, error) {
	supported, known := f.supported[u.Feature]
	if !known {
		return 0, protocol.Errorf(protocol.InvalidRequest, "Could not apply finalized feature update because the provided feature is not supported.")
	}
	if u.MaxLevel < supported.Min || u.MaxLevel > supported.Max {
		return 0, protocol.Errorf(protocol.InvalidRequest, "Could not apply finalized feature update because the provided versionLevel:%s is lower than the supported minVersion:%d.",
			strconv.Itoa(int(u.MaxLevel)), supported.Min)
	}
	level := featureLevel(u.MaxLevel)
	for _, b := range f.c.brokers {
		if incompatibleFeatures(b.Features, map[string]zkstore.FinalizedFeature{u.Feature: level.finalized()}) {
			return 0, protocol.Errorf(protocol.InvalidRequest, "Could not apply finalized feature update because brokers were found to have incompatible versions for the feature.")
		}
	}
	return level, nil
}

// await waits until this broker has read /feature with this version or a later one. Only then do
// the broker's answers have the features that it enforces.
func (f *features) await(ctx context.Context, version zkstore.Version, timeout time.Duration) error {
	if f.awaitEpoch == nil || !f.versions.features {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return f.awaitEpoch(ctx, version)
}

func incompatibleFeatures(supported map[string]zkstore.FeatureRange, finalized map[string]zkstore.FinalizedFeature) bool {
	for name, level := range finalized {
		if r, ok := supported[name]; !ok || level.Max < r.Min || level.Max > r.Max {
			return true
		}
	}
	return false
}
