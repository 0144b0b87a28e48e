package broker

import (
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/controller"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/storage"
	"github.com/monedula/monedula/zkstore"
)

// This file turns the configuration into what each room asks for.

// ms is a time in milliseconds, as long as a duration can be at most.
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

func networkConfig(cfg *settings.Config, id int32, log *logrus.Logger) network.Config {
	c := network.Config{
		NodeID:                       id,
		MaxRequestBytes:              cfg.Int("socket.request.max.bytes"),
		SendBufferBytes:              int(cfg.Int("socket.send.buffer.bytes")),
		ReceiveBufferBytes:           int(cfg.Int("socket.receive.buffer.bytes")),
		MaxConnections:               limit(cfg.Int("max.connections")),
		MaxConnectionsPerIP:          limit(cfg.Int("max.connections.per.ip")),
		MaxConnectionsPerIPOverrides: cfg.MaxConnectionsPerIPOverrides(),
		IdleTimeout:                  ms(cfg, "connections.max.idle.ms"),
		Log:                          log,
	}
	for _, e := range cfg.Listeners() {
		controlPlane := cfg.ControlPlaneListener()
		interBroker := e.Listener == cfg.InterBrokerListener()
		c.Listeners = append(c.Listeners, network.Listener{
			Name: e.Listener, Protocol: e.Protocol.String(), Host: e.Host, Port: int(e.Port),
			Privileged:   e.Listener == controlPlane || controlPlane == "" && interBroker,
			ControlPlane: e.Listener == controlPlane,
			InterBroker:  interBroker,
		})
	}
	return c
}

// limit turns Kafka's "no limit", the largest number, into network's 0.
func limit(n int32) int {
	if n == 1<<31-1 {
		return 0
	}
	return int(n)
}

func storageOptions(cfg *settings.Config) storage.Options {
	o := storage.OptionsOf(cfg)
	o.InitialDelay = ms(cfg, "log.initial.task.delay.ms")
	o.ProducerExpiryCheck = intMs(cfg, "producer.id.expiration.check.interval.ms")
	o.KeepTopicIDs = cfg.IBP().AtLeast("2.8-IV0")
	return o
}

func replicationOptions(cfg *settings.Config, id int32) replication.Options {
	o := replication.DefaultOptions(id)
	o.LagMax = ms(cfg, "replica.lag.time.max.ms")
	o.CheckpointInterval = ms(cfg, "replica.high.watermark.checkpoint.interval.ms")
	o.FetchMaxBytes = cfg.Int("fetch.max.bytes")
	o.FetchSessions = int(cfg.Int("max.incremental.fetch.session.cache.slots"))
	o.SelectorClass = cfg.String("replica.selector.class")
	o.Rack = cfg.StringOrNil("broker.rack")
	o.InterBrokerListener = cfg.InterBrokerListener()
	o.Fetchers = cfg.Int("num.replica.fetchers")
	o.FetchPartitionBytes = cfg.Int("replica.fetch.max.bytes")
	o.FetchResponseBytes = cfg.Int("replica.fetch.response.max.bytes")
	o.FetchMinBytes = cfg.Int("replica.fetch.min.bytes")
	o.FetchWait = intMs(cfg, "replica.fetch.wait.max.ms")
	o.FetchBackoff = intMs(cfg, "replica.fetch.backoff.ms")
	o.FetchTimeout = intMs(cfg, "replica.socket.timeout.ms")
	o.ControllerSocketLimit = intMs(cfg, "controller.socket.timeout.ms")
	o.PeerVersions = peerVersions(cfg.IBP())
	return o
}

// peerVersions are the request versions between brokers, which the
// inter.broker.protocol.version decides.
func peerVersions(ibp settings.IBP) replication.PeerVersions {
	first := func(steps ...step) int16 {
		for _, s := range steps {
			if ibp.AtLeast(s.ibp) {
				return s.version
			}
		}
		return 0
	}
	return replication.PeerVersions{
		Fetch: first(step{"3.9-IV0", 17}, step{"3.7-IV4", 16}, step{"3.5-IV1", 15}, step{"3.5-IV0", 14}, step{"3.1-IV0", 13},
			step{"2.7-IV1", 12}, step{"2.3-IV1", 11}, step{"2.1-IV2", 10}, step{"2.0-IV1", 8}, step{"1.1-IV0", 7},
			step{"0.11.0-IV1", 5}, step{"0.11.0-IV0", 4}, step{"0.10.1-IV1", 3}, step{"0.10.0-IV0", 2}),
		ListOffsets: first(step{"3.9-IV0", 9}, step{"3.5-IV0", 8}, step{"3.0-IV1", 7}, step{"2.8-IV0", 6}, step{"2.2-IV1", 5},
			step{"2.1-IV1", 4}, step{"2.0-IV1", 3}, step{"0.11.0-IV0", 2}, step{"0.10.1-IV2", 1}),
		OffsetForLeaderEpoch: first(step{"2.8-IV0", 4}, step{"2.3-IV1", 3}, step{"2.1-IV1", 2}, step{"2.0-IV0", 1}),
		TruncateOnFetch:      ibp.AtLeast("2.7-IV1"),
		AlterPartition:       ibp.AtLeast("2.7-IV2"),
	}
}

// step is a request version and the protocol version it begins with.
type step struct {
	ibp     string
	version int16
}

func controllerConfig(cfg *settings.Config, id int32, log *logrus.Logger) controller.Config {
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
