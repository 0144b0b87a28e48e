package controller

import (
	"slices"
	"testing"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

// A broker that the controller cannot use does not hide the others: one with an invalid node,
// without a listener, or without a finalized feature.
func TestBrokersThatCannotBeUsedAreOmitted(t *testing.T) {
	p := newParts(t, 0, 1, 2, 3)
	for id, change := range map[metadata.BrokerID]func(*zkstore.BrokerInfo){
		1: func(b *zkstore.BrokerInfo) { b.Endpoints[0].Listener = "OTHER" },
		2: func(b *zkstore.BrokerInfo) { b.Features = map[string]zkstore.FeatureRange{"f": {Min: 1, Max: 2}} },
		3: func(b *zkstore.BrokerInfo) { b.Features = map[string]zkstore.FeatureRange{"f": {Min: 1, Max: 3}} },
	} {
		b := p.store.brokers[id]
		change(&b)
		p.store.brokers[id] = b
	}
	p.store.invalidBrokers[4] = true
	nodes := &brokerNodes{listeners: []string{"PLAINTEXT"}, store: p.store, agenda: p.harness, log: p.partitions.log,
		features: &features{versions: p.dispatcher.requests.versions}}
	for _, c := range []struct {
		finalized map[string]zkstore.FinalizedFeature
		want      []metadata.BrokerID
	}{
		{nil, []metadata.BrokerID{0, 2, 3}},
		{map[string]zkstore.FinalizedFeature{"f": {Min: 1, Max: 3}}, []metadata.BrokerID{3}},
	} {
		nodes.features.finalized = c.finalized
		brokers, err := nodes.read(p.ctx)
		if got := sortedKeys(brokers); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("finalized %v: brokers %v, %v; want %v", c.finalized, got, err, c.want)
		}
	}
	if err := nodes.watch(p.ctx, []metadata.BrokerID{3}); err != nil {
		t.Fatal(err)
	}
	p.store.nodeChanged(zkstore.BrokerPath(3))
	if len(p.events) != 1 || p.events[0] != (brokerModifications{3}) {
		t.Errorf("events %v", p.events)
	}
}
