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
	"github.com/monedula/monedula/storage"
	"github.com/monedula/monedula/zkstore"
)

// This file derives the configurations of the other packages from the broker's.

// ms returns a setting in milliseconds as a duration, limited to the longest duration.
func ms(cfg *settings.Config, key string) time.Duration {
	const most = int64(1<<63-1) / int64(time.Millisecond)
	return time.Duration(min(cfg.Long(key), most)) * time.Millisecond
}

func intMs(cfg *settings.Config, key string) time.Duration {
	return time.Duration(cfg.Int(key)) * time.Millisecond
}

func zookeeperConfig(cfg *settings.Config, log *logrus.Logger) zkstore.Config {
	c := zkstore.Config{
		Connect:        cfg.String("zookeeper.connect"),
		SessionTimeout: intMs(cfg, "zookeeper.session.timeout.ms"),
		MaxInFlight:    int(cfg.Int("zookeeper.max.in.flight.requests")),
		SecureACL:      cfg.Bool("zookeeper.set.acl"),
		CreateChroot:   true,
		Logger:         log,
	}
	if !cfg.IsNull("zookeeper.connection.timeout.ms") {
		c.ConnectionTimeout = intMs(cfg, "zookeeper.connection.timeout.ms")
	}
	return c
}

func networkConfig(cfg *settings.Config, id metadata.BrokerID, log *logrus.Logger) network.Config {
	c := network.Config{
		NodeID:                       int32(id),
		MaxRequestBytes:              cfg.Int("socket.request.max.bytes"),
		SendBufferBytes:              int(cfg.Int("socket.send.buffer.bytes")),
		ReceiveBufferBytes:           receiveBufferBytes(cfg),
		Backlog:                      int(cfg.Int("socket.listen.backlog.size")),
		MaxConnections:               network.AtMost(int(cfg.Int("max.connections"))),
		MaxConnectionsPerIP:          network.AtMost(int(cfg.Int("max.connections.per.ip"))),
		MaxConnectionsPerIPOverrides: cfg.MaxConnectionsPerIPOverrides(),
		IdleTimeout:                  ms(cfg, "connections.max.idle.ms"),
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
	const key = "socket.receive.buffer.bytes"
	if !cfg.IsSet(key) {
		return 0
	}
	return int(cfg.Int(key))
}

// connectionLimits returns the limits on connections, which may change while the broker runs. Their
// values were validated when they were set.
func connectionLimits(cfg *settings.Config) network.Limits {
	l := network.Limits{
		MaxConnections:               network.AtMost(int(cfg.Int("max.connections"))),
		MaxConnectionsPerIP:          network.AtMost(int(cfg.Int("max.connections.per.ip"))),
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
	const key = "max.connections"
	text, _ := cfg.ListenerValue(listener, key)
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
	if err != nil {
		n = int64(cfg.Int(key))
	}
	return network.AtMost(int(n))
}

func storageOptions(cfg *settings.Config) storage.Options {
	o := storage.OptionsOf(cfg)
	o.InitialDelay = ms(cfg, "log.initial.task.delay.ms")
	o.ProducerExpiryCheck = intMs(cfg, "producer.id.expiration.check.interval.ms")
	o.KeepTopicIDs = cfg.IBP().AtLeast("2.8-IV0")
	return o
}

func controllerConfig(cfg *settings.Config, id metadata.BrokerID, log *logrus.Logger) controller.Config {
	return controller.Config{
		BrokerID:             id,
		InterBrokerListener:  cfg.InterBrokerListener(),
		ControlPlaneListener: cfg.ControlPlaneListener(),
		IBP:                  cfg.IBP().String(),
		DeleteTopics:         cfg.Bool("delete.topic.enable"),
		UncleanElection:      cfg.Bool("unclean.leader.election.enable"),
		AutoRebalance:        cfg.Bool("auto.leader.rebalance.enable"),
		ImbalancePercentage:  cfg.Int("leader.imbalance.per.broker.percentage"),
		ImbalanceInterval:    time.Duration(cfg.Long("leader.imbalance.check.interval.seconds")) * time.Second,
		ConnectTimeout:       intMs(cfg, "controller.socket.timeout.ms"),
		RequestTimeout:       intMs(cfg, "request.timeout.ms"),
		FeatureUpdateTimeout: connectionTimeout(cfg),
		Logger:               log,
	}
}

func connectionTimeout(cfg *settings.Config) time.Duration {
	if cfg.IsNull("zookeeper.connection.timeout.ms") {
		return intMs(cfg, "zookeeper.session.timeout.ms")
	}
	return intMs(cfg, "zookeeper.connection.timeout.ms")
}
