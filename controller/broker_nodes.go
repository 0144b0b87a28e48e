package controller

import (
	"context"
	"errors"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

// brokerNodes reads and watches the registrations of brokers.
type brokerNodes struct {
	listeners []string // that every broker must advertise
	features  *features
	store     interface {
		brokerStore
		watchStore
	}
	agenda Agenda
	log    kafkalog.Prefixed
}

// read reads the registered brokers with their epochs. It omits brokers with an invalid znode,
// without a listener that the controller needs, or with incompatible features.
func (bn *brokerNodes) read(ctx context.Context) (map[metadata.BrokerID]zkstore.BrokerInfo, error) {
	brokers, err := bn.store.Brokers(ctx)
	if errors.Is(err, zkstore.ErrInvalidNode) {
		brokers, err = bn.readOneByOne(ctx)
	}
	if err != nil {
		return nil, err
	}
	var incompatible []metadata.BrokerID
	for _, id := range sortedKeys(brokers) {
		b := brokers[id]
		if listener, ok := bn.missingListener(b); !ok {
			bn.log.Errorf("Ignoring registration of broker %d: it advertises no listener %s, which the controller needs to reach it; configure the listener on that broker", id, listener)
			delete(brokers, id)
		} else if bn.features.versions.features && incompatibleFeatures(b.Features, bn.features.finalized) {
			incompatible = append(incompatible, id)
			delete(brokers, id)
		}
	}
	if len(incompatible) > 0 {
		bn.log.Warnf("Ignoring registration of new brokers due to incompatibilities with finalized features: %s", javatext.Join(incompatible, ","))
	}
	return brokers, nil
}

func (bn *brokerNodes) readOneByOne(ctx context.Context) (map[metadata.BrokerID]zkstore.BrokerInfo, error) {
	ids, err := bn.store.BrokerIDs(ctx)
	if err != nil {
		return nil, err
	}
	brokers := map[metadata.BrokerID]zkstore.BrokerInfo{}
	for _, id := range ids {
		info, _, err := bn.store.BrokerNode(ctx, id)
		switch {
		case err == nil:
			brokers[id] = *info
		case errors.Is(err, zkstore.ErrInvalidNode):
			bn.log.Errorf("Ignoring registration of broker %d: %v", id, err)
		case errors.Is(err, zkstore.ErrNoNode):
		default:
			return nil, err
		}
	}
	return brokers, nil
}

// missingListener returns the name of a listener that the controller needs and b does not
// advertise. ok is true if there is none.
func (bn *brokerNodes) missingListener(b zkstore.BrokerInfo) (name string, ok bool) {
	for _, listener := range bn.listeners {
		if _, ok := endpointOf(b, listener); !ok {
			return listener, false
		}
	}
	return "", true
}

// controlListener returns the name of the listener to which control requests are sent.
func controlListener(cfg Config) string {
	if cfg.ControlPlaneListener != "" {
		return cfg.ControlPlaneListener
	}
	return cfg.InterBrokerListener
}

func (bn *brokerNodes) watch(ctx context.Context, ids []metadata.BrokerID) error {
	for _, id := range ids {
		changed := func() { bn.agenda.Put(brokerModifications{id}) }
		bn.store.WatchNode(zkstore.BrokerPath(id), zkstore.NodeWatch{Changed: changed})
		if _, err := bn.store.Arm(ctx, zkstore.BrokerPath(id)); err != nil {
			return err
		}
	}
	return nil
}

func (bn *brokerNodes) unwatch(ids []metadata.BrokerID) {
	for _, id := range ids {
		bn.store.UnwatchNode(zkstore.BrokerPath(id))
	}
}
