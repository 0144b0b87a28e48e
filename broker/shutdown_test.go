package broker

import (
	"net"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/broker/api"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/zkstore"
)

// A controlled shutdown finds the controller in the metadata that the controller sent, so an
// unreachable ZooKeeper does not delay it (KAFKA-9189). This test has no ZooKeeper at all.
func TestPitfallController10_AControlledShutdownNeedsNoZooKeeper(t *testing.T) {
	asked := make(chan *kmsg.ControlledShutdownRequest, 1)
	r := api.NewRegistry(nil, kafkalog.Discard())
	r.Register(api.Typed(api.Handler{Key: protocol.ControlledShutdown, Min: 0, Max: 3}, func(_ *api.Call, req *kmsg.ControlledShutdownRequest) (kmsg.Response, error) {
		asked <- req
		return req.ResponseKind(), nil
	}))
	server, err := network.NewServer(network.Config{NodeID: 2, Log: kafkalog.Discard(), Listeners: []network.Listener{{Name: "PLAINTEXT", Host: "127.0.0.1"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Bind(); err != nil {
		t.Fatal(err)
	}
	server.Start(r)
	t.Cleanup(func() { _ = server.Shutdown(t.Context()) })

	cfg, err := settings.FromMap(map[string]string{"broker.id": "1", "zookeeper.connect": "127.0.0.1:1", "log.dirs": t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	b := New(cfg, kafkalog.Discard())
	b.id.brokerID = 1
	b.registration = newRegistration(nil, zkstore.BrokerInfo{}, 0, b.logger)
	b.registration.epoch.Store(77)
	update := kmsg.NewPtrUpdateMetadataRequest()
	update.Version, update.ControllerID, update.ControllerEpoch = 8, 2, 1
	live := kmsg.NewUpdateMetadataRequestLiveBroker()
	live.ID = 2
	e := kmsg.NewUpdateMetadataRequestLiveBrokerEndpoint()
	e.Host, e.Port, e.ListenerName = "127.0.0.1", int32(server.Addr("PLAINTEXT").(*net.TCPAddr).Port), "PLAINTEXT"
	live.Endpoints = append(live.Endpoints, e)
	update.LiveBrokers = append(update.LiveBrokers, live)
	b.cache.Apply(update)

	b.controlledShutdown()
	if req := <-asked; req.BrokerID != 1 || req.BrokerEpoch != 77 || req.Version != 3 {
		t.Errorf("the controller received %+v", req)
	}
}
