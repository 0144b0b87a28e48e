package controller

import (
	"context"
	"maps"
	"strconv"
	"time"

	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

// allocateProducerIDs is the AllocateProducerIds request, by which a broker gets a block of ids.
type allocateProducerIDs struct {
	broker int32
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
	maps.Copy(target, m.finalized)
	for _, u := range e.updates {
		level, err := m.checkFeatureUpdate(u)
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
	if !e.validateOnly && !maps.Equal(target, m.finalized) {
		if failure = m.writeFeatures(target, e.timeout); failure != nil {
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

func (m *Machine) writeFeatures(features map[string]zkstore.FinalizedFeature, timeout time.Duration) error {
	version, err := m.store.SetFeature(m.ctx, zkstore.FeatureNode{JSONVersion: m.versions.featureJSON, Enabled: true, Features: features})
	if err != nil {
		return err
	}
	m.finalized = features
	return m.awaitFeatures(version, timeout)
}

// featureLevel is a level to finalize; 0 means deletion.
type featureLevel int16

func (l featureLevel) finalized() zkstore.FinalizedFeature {
	return zkstore.FinalizedFeature{Min: 1, Max: int16(l)}
}

// checkFeatureUpdate validates one update. Errors have Kafka's messages.
func (m *Machine) checkFeatureUpdate(u FeatureUpdate) (featureLevel, error) {
	refuse := func(format string, args ...any) (featureLevel, error) {
		return 0, protocol.Errorf(protocol.InvalidRequest, format, args...)
	}
	existing, finalized := m.finalized[u.Feature]
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
	return m.checkSupported(u)
}

func (m *Machine) checkSupported(u FeatureUpdate) (featureLevel, error) {
	supported, known := m.cfg.SupportedFeatures[u.Feature]
	if !known {
		return 0, protocol.Errorf(protocol.InvalidRequest, "Could not apply finalized feature update because the provided feature is not supported.")
	}
	if u.MaxLevel < supported.Min || u.MaxLevel > supported.Max {
		return 0, protocol.Errorf(protocol.InvalidRequest, "Could not apply finalized feature update because the provided versionLevel:%s is lower than the supported minVersion:%d.",
			strconv.Itoa(int(u.MaxLevel)), supported.Min)
	}
	level := featureLevel(u.MaxLevel)
	for _, b := range m.c.brokers {
		if incompatibleFeatures(b.Features, map[string]zkstore.FinalizedFeature{u.Feature: level.finalized()}) {
			return 0, protocol.Errorf(protocol.InvalidRequest, "Could not apply finalized feature update because brokers were found to have incompatible versions for the feature.")
		}
	}
	return level, nil
}

// awaitFeatures waits until this broker has read /feature with this version or a later one. Only
// then are the features in the broker's answers those that it enforces.
func (m *Machine) awaitFeatures(version zkstore.Version, timeout time.Duration) error {
	if m.cfg.AwaitFeatureEpoch == nil || !m.versions.features {
		return nil
	}
	ctx, cancel := context.WithTimeout(m.ctx, timeout)
	defer cancel()
	return m.cfg.AwaitFeatureEpoch(ctx, version)
}
