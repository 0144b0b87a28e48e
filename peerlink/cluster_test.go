package peerlink

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/monedula/monedula/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// startClusterBroker starts a broker with the given id whose Metadata names it as the only broker
// and the controller.
func startClusterBroker(t *testing.T, id int32) *fakeBroker {
	var b *fakeBroker
	b = startBroker(t, func(h protocol.RequestHeader, _ []byte) []byte {
		switch h.Key {
		case protocol.ApiVersions:
			return protocol.AppendResponse(nil, h.CorrelationID, apiVersions(h.Version, 0, [3]int16{3, 0, 12}, [3]int16{12, 0, 4}))
		case protocol.Metadata:
			resp := kmsg.NewPtrMetadataResponse()
			resp.SetVersion(h.Version)
			host, port, _ := net.SplitHostPort(b.Addr().String())
			number, _ := strconv.Atoi(port)
			resp.Brokers = append(resp.Brokers, kmsg.MetadataResponseBroker{NodeID: id, Host: host, Port: int32(number)})
			resp.ControllerID = id
			return protocol.AppendResponse(nil, h.CorrelationID, resp)
		default:
			return answerHeartbeat(h)
		}
	})
	return b
}

func TestClusterSkipsBootstrapServersThatAreDown(t *testing.T) {
	down, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	down.Close()
	b := startClusterBroker(t, 7)
	c := NewCluster([]string{down.Addr().String(), b.Addr().String()}, Config{RequestTimeout: 5 * time.Second})
	defer c.Close()
	link, err := c.Controller(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if link.Address() != b.Addr().String() {
		t.Errorf("controller at %s, want %s", link.Address(), b.Addr())
	}
	if got := c.candidates()[0]; got != b.Addr().String() {
		t.Errorf("%s is tried first next time, want the one that answered", got)
	}
	if _, err := link.Negotiated(context.Background(), heartbeat(0), -1); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Broker(context.Background(), 8); err == nil {
		t.Error("a link to a broker that does not exist")
	}
}

func TestClusterReportsTheErrorOfEveryBootstrapServer(t *testing.T) {
	down, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	down.Close()
	c := NewCluster([]string{down.Addr().String()}, Config{RequestTimeout: time.Second})
	defer c.Close()
	if _, err := c.Metadata(context.Background(), nil); err == nil {
		t.Error("no error")
	}
}
