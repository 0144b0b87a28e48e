package broker

import (
	"context"
	"slices"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/settings"
)

// live puts changes of the broker's dynamic configuration in force (KIP-226):
// what is not read anew at each use is told to the rooms here. Topic defaults
// are told by configs. Only the goroutine that follows the configurations uses it.
type live struct {
	b   *Broker
	now *settings.Config // what is in force
	log *logrus.Entry
}

func newLive(b *Broker) *live {
	return &live{b: b, now: b.dynamic.Current(), log: kafkalog.For(b.logger, "kafka.server.DynamicBrokerConfig")}
}

// apply puts the present configuration in force.
func (l *live) apply(ctx context.Context) {
	before, now := l.now, l.b.dynamic.Current()
	l.now = now
	l.b.replicas.SetRates(replication.RatesOf(l.b.dynamic))
	l.b.replicas.SetFetchers(now.Int("num.replica.fetchers"))
	l.b.verifier.SetVerifying(now.Bool(verificationEnabled))
	l.b.logs.SetLive(storageOptions(now))
	const unclean = "unclean.leader.election.enable"
	if before.Bool(unclean) != now.Bool(unclean) {
		l.b.controller.UncleanElectionEnabled(now.Bool(unclean))
	}
	l.changeListeners(ctx, before, now)
	if err := l.b.server.SetLimits(connectionLimits(now)); err != nil {
		l.log.WithError(err).Error("The limits on connections stay as they were")
	}
}

// changeListeners closes and opens listeners, by their names: as in Kafka one
// that stays keeps its socket. What the broker says of itself in ZooKeeper
// follows.
func (l *live) changeListeners(ctx context.Context, before, now *settings.Config) {
	for _, e := range before.Listeners() {
		if !hasListener(now.Listeners(), e.Listener) {
			l.b.server.RemoveListener(e.Listener)
		}
	}
	for _, e := range now.Listeners() {
		if hasListener(before.Listeners(), e.Listener) {
			continue
		}
		if err := l.b.server.AddListener(networkListener(now, e)); err != nil {
			l.log.WithError(err).Errorf("The listener %s could not be opened", e.Listener)
		}
	}
	if slices.Equal(before.AdvertisedListeners(), now.AdvertisedListeners()) {
		return
	}
	info, err := brokerInfo(now, l.b.id.brokerID, l.b.server.Port)
	if err == nil {
		err = l.b.registration.update(ctx, info)
	}
	if err != nil {
		l.log.WithError(err).Error("The changed listeners could not be written to ZooKeeper")
	}
}

func hasListener(endpoints []settings.Endpoint, name string) bool {
	return slices.ContainsFunc(endpoints, func(e settings.Endpoint) bool { return e.Listener == name })
}
