package broker

import (
	"context"
	"slices"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/storage"
)

// dynamicConfig applies changes of the broker's dynamic configuration (KIP-226). It passes on the
// settings that other packages do not read at every use; configs passes on the defaults of topics.
// Only the goroutine that follows the configurations uses it.
type dynamicConfig struct {
	b   *Broker
	now *settings.Config // the configuration in effect
	log *logrus.Entry
}

func newDynamicConfig(b *Broker) *dynamicConfig {
	return &dynamicConfig{b: b, now: b.dynamic.Current(), log: kafkalog.For(b.logger, "kafka.server.DynamicBrokerConfig")}
}

// apply applies the current configuration.
func (d *dynamicConfig) apply(ctx context.Context) {
	before, now := d.now, d.b.dynamic.Current()
	d.now = now
	d.b.replicas.SetRates(replication.RatesOf(d.b.dynamic))
	d.b.replicas.SetFetchers(settings.NumReplicaFetchers.Of(now))
	d.b.verifier.SetVerifying(settings.TransactionPartitionVerificationEnable.Of(now))
	d.b.logs.SetLive(storage.OptionsOf(now))
	unclean := settings.UncleanLeaderElectionEnable.Of(now)
	if unclean != settings.UncleanLeaderElectionEnable.Of(before) {
		d.b.controller.UncleanElectionEnabled(unclean)
	}
	d.changeListeners(ctx, before, now)
	if err := d.b.server.SetLimits(connectionLimits(now)); err != nil {
		d.log.WithError(err).Error("Could not change the limits on connections; the old ones stay in effect")
	}
}

// changeListeners closes and opens listeners, which it identifies by name: as in Kafka, a listener
// that stays keeps its socket. It then updates the broker's registration in ZooKeeper.
func (d *dynamicConfig) changeListeners(ctx context.Context, before, now *settings.Config) {
	for _, e := range before.Listeners() {
		if !hasListener(now.Listeners(), e.Listener) {
			d.b.server.RemoveListener(e.Listener)
		}
	}
	for _, e := range now.Listeners() {
		if hasListener(before.Listeners(), e.Listener) {
			continue
		}
		if err := d.b.server.AddListener(networkListener(now, e)); err != nil {
			d.log.WithError(err).Errorf("Could not open the listener %s", e.Listener)
		}
	}
	if slices.Equal(before.AdvertisedListeners(), now.AdvertisedListeners()) {
		return
	}
	info, err := brokerInfo(now, d.b.id.brokerID, d.b.server.Port)
	if err == nil {
		err = d.b.registration.update(ctx, info)
	}
	if err != nil {
		d.log.WithError(err).Error("Could not write the changed listeners to ZooKeeper")
	}
}

func hasListener(endpoints []settings.Endpoint, name string) bool {
	return slices.ContainsFunc(endpoints, func(e settings.Endpoint) bool { return e.Listener == name })
}
