package broker

import (
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/controller"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/zkstore"
)

// This file derives the configurations of the other packages from the broker's.

// ms returns a setting in milliseconds as a duration, limited to the longest duration.
func ms[T int32 | int64](cfg *settings.Config, k settings.KeyOf[T]) time.Duration {
	return settings.Milliseconds(int64(k.Of(cfg)))
}

func zookeeperConfig(cfg *settings.Config, log *logrus.Logger) zkstore.Config {
	c := zkstore.Config{
		Connect:        settings.ZooKeeperConnect.OrZero(cfg),
		SessionTimeout: ms(cfg, settings.ZooKeeperSessionTimeoutMs),
		MaxInFlight:    int(settings.ZooKeeperMaxInFlightRequests.Of(cfg)),
		SecureACL:      settings.ZooKeeperSetACL.Of(cfg),
		CreateChroot:   true,
		Logger:         log,
	}
	if ms := settings.ZooKeeperConnectionTimeoutMs.OrNil(cfg); ms != nil {
		c.ConnectionTimeout = time.Duration(*ms) * time.Millisecond
	}
	return c
}

func networkConfig(cfg *settings.Config, id metadata.BrokerID, log *logrus.Logger) network.Config {
	c := network.Config{
		NodeID:                       int32(id),
		MaxRequestBytes:              settings.SocketRequestMaxBytes.Of(cfg),
		SendBufferBytes:              int(settings.SocketSendBufferBytes.Of(cfg)),
		ReceiveBufferBytes:           receiveBufferBytes(cfg),
		Backlog:                      int(settings.SocketListenBacklogSize.Of(cfg)),
		MaxConnections:               network.AtMost(int(settings.MaxConnections.Of(cfg))),
		MaxConnectionsPerIP:          network.AtMost(int(settings.MaxConnectionsPerIP.Of(cfg))),
		MaxConnectionsPerIPOverrides: cfg.MaxConnectionsPerIPOverrides(),
		IdleTimeout:                  ms(cfg, settings.ConnectionsMaxIdleMs),
		Log:                          log,
	}
	for _, e := range cfg.Listeners() {
		c.Listeners = append(c.Listeners, networkListener(cfg, e))
	}
	return c
}

func networkListener(cfg *settings.Config, e settings.Endpoint) network.Listener {
	controlPlane := cfg.ControlPlaneListener()
	interBroker := e.Listener == cfg.InterBrokerListener()
	return network.Listener{
		Name: e.Listener, Protocol: e.Protocol.String(), Host: e.Host, Port: int(e.Port),
		Privileged:     e.Listener == controlPlane || controlPlane == "" && interBroker,
		ControlPlane:   e.Listener == controlPlane,
		InterBroker:    interBroker,
		MaxConnections: connectionLimits(cfg).ByListener[e.Listener],
	}
}

// receiveBufferBytes returns socket.receive.buffer.bytes if it is set, otherwise 0, which lets the
// kernel size each connection's buffer. Kafka's fixed default of 100 KiB makes a producer's large
// request arrive in ten or more pieces, which costs a quarter of the CPU time of producing (0.57
// s/GB against 0.71, batches of 256 KiB). The send buffer keeps Kafka's default, because larger
// ones made fetching more expensive (0.31 s/GB against 0.26).
func receiveBufferBytes(cfg *settings.Config) int {
	if _, given := cfg.Given(settings.SocketReceiveBufferBytes.Key); !given {
		return 0
	}
	return int(settings.SocketReceiveBufferBytes.Of(cfg))
}

// connectionLimits returns the limits on connections, which may change while the broker runs. Their
// values were validated when they were set.
func connectionLimits(cfg *settings.Config) network.Limits {
	l := network.Limits{
		MaxConnections:               network.AtMost(int(settings.MaxConnections.Of(cfg))),
		MaxConnectionsPerIP:          network.AtMost(int(settings.MaxConnectionsPerIP.Of(cfg))),
		MaxConnectionsPerIPOverrides: cfg.MaxConnectionsPerIPOverrides(),
		ByListener:                   map[string]network.Limit{},
	}
	for _, e := range cfg.Listeners() {
		l.ByListener[e.Listener] = listenerLimit(cfg, e.Listener)
	}
	return l
}

// listenerLimit returns listener.name.X.max.connections. As in Kafka, a listener without that
// setting has the limit of the whole broker.
func listenerLimit(cfg *settings.Config, listener string) network.Limit {
	text, _ := cfg.ListenerValue(listener, settings.MaxConnections.Key)
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
	if err != nil {
		n = int64(settings.MaxConnections.Of(cfg))
	}
	return network.AtMost(int(n))
}

func controllerConfig(cfg *settings.Config, id metadata.BrokerID, log *logrus.Logger) controller.Config {
	return controller.Config{
		BrokerID:             id,
		InterBrokerListener:  cfg.InterBrokerListener(),
		ControlPlaneListener: cfg.ControlPlaneListener(),
		IBP:                  cfg.IBP().String(),
		DeleteTopics:         settings.DeleteTopicEnable.Of(cfg),
		UncleanElection:      settings.UncleanLeaderElectionEnable.Of(cfg),
		AutoRebalance:        settings.AutoLeaderRebalanceEnable.Of(cfg),
		ImbalancePercentage:  settings.LeaderImbalancePerBrokerPercentage.Of(cfg),
		ImbalanceInterval:    time.Duration(settings.LeaderImbalanceCheckIntervalSeconds.Of(cfg)) * time.Second,
		ConnectTimeout:       ms(cfg, settings.ControllerSocketTimeoutMs),
		RequestTimeout:       ms(cfg, settings.RequestTimeoutMs),
		FeatureUpdateTimeout: connectionTimeout(cfg),
		Logger:               log,
	}
}

func connectionTimeout(cfg *settings.Config) time.Duration {
	if timeout := settings.ZooKeeperConnectionTimeoutMs.OrNil(cfg); timeout != nil {
		return time.Duration(*timeout) * time.Millisecond
	}
	return ms(cfg, settings.ZooKeeperSessionTimeoutMs)
}
