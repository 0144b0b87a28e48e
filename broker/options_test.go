package broker

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/settings"
)

// configOf loads a server.properties with the given lines.
func configOf(t *testing.T, lines string) *settings.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "server.properties")
	if err := os.WriteFile(file, []byte("zookeeper.connect=localhost:2181\n"+lines), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, err := settings.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestTheKernelSizesTheReceiveBufferUnlessItIsSet(t *testing.T) {
	for text, want := range map[string]int{
		"":                                     0,
		"socket.receive.buffer.bytes=102400\n": 102400,
		"socket.receive.buffer.bytes=-1\n":     -1,
	} {
		got := networkConfig(configOf(t, text), 0, kafkalog.Discard())
		if got.ReceiveBufferBytes != want || got.SendBufferBytes != 102400 {
			t.Errorf("with %q the buffers are %d and %d, want %d and 102400", text, got.ReceiveBufferBytes, got.SendBufferBytes, want)
		}
	}
}

func TestTheBacklogIsConfigurable(t *testing.T) {
	for text, want := range map[string]int{"": 50, "socket.listen.backlog.size=77\n": 77} {
		if got := networkConfig(configOf(t, text), 0, kafkalog.Discard()).Backlog; got != want {
			t.Errorf("with %q the backlog is %d, want %d", text, got, want)
		}
	}
}

// The limits of the listeners are those of a real 3.9.1: a listener without its own limit has
// max.connections.
func TestConnectionLimitsOfAConfiguration(t *testing.T) {
	const listeners = "listeners=A://:9092,B://:9093\nlistener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT\ninter.broker.listener.name=A\n"
	unlimited := network.AtMost(1<<31 - 1)
	for _, c := range []struct {
		lines              string
		total, perIP, a, b network.Limit
	}{
		{"", unlimited, unlimited, unlimited, unlimited},
		{"max.connections=0\n", network.AtMost(0), unlimited, network.AtMost(0), network.AtMost(0)},
		{"max.connections=3\n", network.AtMost(3), unlimited, network.AtMost(3), network.AtMost(3)},
		{"listener.name.a.max.connections=0\n", unlimited, unlimited, network.AtMost(0), unlimited},
		{"max.connections=3\nlistener.name.b.max.connections=5\n", network.AtMost(3), unlimited, network.AtMost(3), network.AtMost(5)},
		{"max.connections.per.ip=0\nmax.connections.per.ip.overrides=10.9.9.9:5\n", unlimited, network.AtMost(0), unlimited, unlimited},
	} {
		cfg := configOf(t, listeners+c.lines)
		started, changed := networkConfig(cfg, 0, kafkalog.Discard()), connectionLimits(cfg)
		if started.MaxConnections != c.total || changed.MaxConnections != c.total {
			t.Errorf("%q: max.connections is %v at the start, %v after a change, want %v", c.lines, started.MaxConnections, changed.MaxConnections, c.total)
		}
		if started.MaxConnectionsPerIP != c.perIP || changed.MaxConnectionsPerIP != c.perIP {
			t.Errorf("%q: max.connections.per.ip is %v at the start, %v after a change, want %v", c.lines, started.MaxConnectionsPerIP, changed.MaxConnectionsPerIP, c.perIP)
		}
		for i, want := range []network.Limit{c.a, c.b} {
			l := started.Listeners[i]
			if l.MaxConnections != want || changed.ByListener[l.Name] != want {
				t.Errorf("%q: the limit of %s is %v at the start, %v after a change, want %v", c.lines, l.Name, l.MaxConnections, changed.ByListener[l.Name], want)
			}
		}
	}
}
