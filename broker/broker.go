// Package broker is one broker process: it builds every room, wires them
// together, and starts and stops them in Kafka's order.
//
// Goroutines of its own: configs (one, follows /config/changes), features (one,
// follows /feature), confirmMetadata (one), those of the metrics' HTTP server, and a short one per
// failed log directory. All others belong to the rooms.
package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/admin"
	"github.com/monedula/monedula/controller"
	"github.com/monedula/monedula/group"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/producerids"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/storage"
	"github.com/monedula/monedula/zkstore"
)

// Broker is one broker. Start and Stop are called once each, Stop also after a
// failed or a still running Start.
type Broker struct {
	cfg     *settings.Config
	dynamic *settings.Dynamic
	fs      vfs.FS
	logger  *logrus.Logger
	log     *logrus.Entry
	id      identity
	metrics *brokerMetrics

	store        *zkstore.Store
	cache        *metadata.Cache
	configs      *configs
	features     *features
	logs         *storage.Manager
	replicas     *replication.Manager
	groups       *group.Coordinator
	isr          replication.ISRChanger
	controller   *controller.Controller
	registration *registration
	server       *network.Server
	toController *controllerLink // ISR changes
	producerIDs  *producerids.Manager
	verifier     *replication.Verifier
	// transactionPartitions is the number of partitions of __transaction_state:
	// the topic's own where it exists at the start, else as configured.
	transactionPartitions int32

	fatal  chan error
	ctx    context.Context // of the background work; ended by Stop
	cancel context.CancelFunc
	wg     sync.WaitGroup

	starting sync.Mutex // held by Start, so that Stop waits for it
	started  bool
	undo     []func() // what Start has done, to be undone from the last to the first
}

// New returns a broker that has done nothing yet.
func New(cfg *settings.Config, logger *logrus.Logger) *Broker {
	b := &Broker{
		cfg: cfg, dynamic: settings.NewDynamic(cfg), fs: vfs.OS(), logger: logger,
		log: kafkalog.For(logger, "kafka.server.KafkaServer"), cache: metadata.NewCache(), fatal: make(chan error, 1),
		metrics: newBrokerMetrics(),
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// Fatal tells, once, that the broker cannot go on and must be stopped.
func (b *Broker) Fatal() <-chan error { return b.fatal }

func (b *Broker) fail(err error) {
	select {
	case b.fatal <- err:
	default:
	}
}

// Start brings the broker up; when it returns nil, requests are served. What
// goes wrong is logged as Kafka logs it and returned.
func (b *Broker) Start(ctx context.Context) error {
	b.starting.Lock()
	defer b.starting.Unlock()
	began := time.Now()
	b.metrics.become(stateStarting)
	b.log.Info("starting")
	for _, warning := range b.cfg.Warnings() {
		kafkalog.For(b.logger, "kafka.server.KafkaConfig").Warn(warning)
	}
	if err := b.bringUp(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b.log.WithError(err).Errorf("%sFatal error during KafkaServer startup. Prepare to shutdown", b.prefix())
		return err
	}
	b.started = true
	b.metrics.become(stateRunning)
	app := kafkalog.For(b.logger, "org.apache.kafka.common.utils.AppInfoParser")
	app.Infof("Kafka version: %s", Version)
	app.Infof("Kafka commitId: monedula")
	app.Infof("Kafka startTimeMs: %d", began.UnixMilli())
	b.log.Infof("[KafkaServer id=%d] started", b.id.brokerID)
	return nil
}

// Version is the release of Apache Kafka that this broker behaves like.
const Version = "3.9.1"

// prefix names the broker in log lines once its id is settled.
func (b *Broker) prefix() string {
	if b.logs == nil {
		return ""
	}
	return fmt.Sprintf("[KafkaServer id=%d] ", b.id.brokerID)
}

// onStop adds a step to the way back.
func (b *Broker) onStop(step func()) { b.undo = append(b.undo, step) }

// bringUp is the start in order; every step that needs an end says so by onStop.
func (b *Broker) bringUp(ctx context.Context) error {
	if err := checkSupported(b.cfg); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{
		b.serveMetrics,
		b.connectZooKeeper,
		b.settleIdentity,
		b.bind,
		b.loadLogs,
		b.followFeatures,
		b.prepareCoordinators,
		b.startReplication,
		b.register,
		b.startController,
		b.startProducerIDs,
		b.startGroups,
		b.startConfigs,
		b.serve,
	} {
		if err := step(ctx); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

func (b *Broker) connectZooKeeper(ctx context.Context) error {
	b.log.Infof("Connecting to zookeeper on %s", b.cfg.String("zookeeper.connect"))
	cfg := zookeeperConfig(b.cfg, b.logger)
	cfg.Observer = b.metrics.zookeeper
	store, err := zkstore.Open(ctx, cfg)
	if err != nil {
		var timeout *zkstore.ConnectionTimeoutError
		if errors.As(err, &timeout) {
			return fmt.Errorf("%w\n%s", err, timeout.Hint())
		}
		return err
	}
	b.store = store
	b.onStop(store.Close)
	return store.CreateStartupPaths(ctx)
}

func (b *Broker) settleIdentity(ctx context.Context) error {
	var err error
	if b.id, err = findIdentity(ctx, b.cfg, b.store, b.fs); err != nil {
		return err
	}
	b.log.Infof("Cluster ID = %s", b.id.clusterID)
	b.metrics.ofCluster(b.id.clusterID)
	b.cfg = b.cfg.WithBrokerID(b.id.brokerID)
	b.dynamic = settings.NewDynamic(b.cfg)
	b.dynamic.RefuseUnless(checkSupported)
	b.configs = newConfigs(b.ctx, b.store, b.dynamic, b.id.brokerID, b.logger)
	if err := b.configs.readBrokers(ctx); err != nil {
		return err
	}
	kafkalog.For(b.logger, "kafka.server.KafkaConfig").Info(b.dynamic.Current().Values())
	return nil
}

// bind opens the sockets, so that a port in use ends the start early; nothing
// is read from them before serve.
func (b *Broker) bind(ctx context.Context) error {
	cfg := networkConfig(b.dynamic.Current(), b.id.brokerID, b.logger)
	if b.cfg.MetricsListener() != "" {
		cfg.Observe = b.metrics.requests.observe
	}
	server, err := network.NewServer(cfg)
	if err != nil {
		return err
	}
	if err := server.Bind(); err != nil {
		return err
	}
	b.server = server
	b.metrics.ofServer(server)
	b.onStop(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		_ = server.Shutdown(ctx)
	})
	info, err := brokerInfo(b.cfg, b.id.brokerID, server.Port)
	if err != nil {
		return err
	}
	b.registration = newRegistration(b.store, info, intMs(b.cfg, "zookeeper.session.timeout.ms"), b.logger)
	return b.registration.check(ctx)
}

func (b *Broker) loadLogs(ctx context.Context) error {
	if err := b.configs.readTopics(ctx); err != nil {
		return err
	}
	defaults, err := b.dynamic.TopicConfig(nil)
	if err != nil {
		return err
	}
	logs, err := storage.NewManager(storage.ManagerConfig{
		FS: b.fs, Dirs: b.cfg.LogDirs(), Log: b.logger, Options: storageOptions(b.dynamic.Current()),
		BrokerID: b.id.brokerID, ClusterID: b.id.clusterID,
		Defaults: defaults, TopicConfig: b.configs.known,
	})
	if err != nil {
		return err
	}
	b.logs = logs
	b.onStop(func() {
		if err := logs.Close(); err != nil {
			b.log.WithError(err).Error("The logs could not be closed in order; the next start recovers them")
		}
	})
	b.metrics.ofLogs(logs)
	b.metrics.become(stateRecovery)
	if err := logs.Load(ctx); err != nil {
		return err
	}
	b.metrics.become(stateStarting)
	b.configs.serve(logs)
	logs.Start()
	return nil
}

// followFeatures reads /feature before anything could depend on it.
func (b *Broker) followFeatures(ctx context.Context) error {
	if !b.cfg.IBP().AtLeast("2.7-IV0") {
		return nil
	}
	b.features = newFeatures(b.store, b.logger, b.fail)
	select {
	case <-b.features.run(b.ctx):
	case <-ctx.Done():
	}
	return nil
}

func (b *Broker) startReplication(context.Context) error {
	cfg := b.dynamic.Current()
	b.verifier = replication.NewVerifier(replication.VerifierConfig{
		BrokerID: b.id.brokerID, Listener: cfg.InterBrokerListener(), Metadata: b.cache, PartitionFor: b.transactionPartition,
		Timeout: intMs(cfg, "request.timeout.ms"), Logger: b.logger,
	})
	b.verifier.SetVerifying(cfg.Bool(verificationEnabled))
	b.onStop(b.verifier.Close)
	b.toController = newControllerLink(b.id.brokerID, cfg.InterBrokerListener(), b.cache, intMs(cfg, "controller.socket.timeout.ms"), nil)
	b.onStop(b.toController.close)
	if replication.PeerVersionsOf(cfg.IBP()).AlterPartition {
		isr := replication.NewAlterPartition(b.id.brokerID, b.registration.epoch.Load, b.toController, b.logger)
		b.isr = isr
		b.onStop(isr.Close)
	} else {
		isr := replication.NewZooKeeperISR(b.id.brokerID, isrStore{b.id.brokerID, b.store}, b.logger)
		b.isr = isr
		b.onStop(isr.Close)
	}
	b.replicas = replication.NewManager(replication.Config{
		Options: replication.OptionsOf(cfg), Logs: b.logs, Metadata: b.cache, Topics: b.configs,
		ISR: b.isr, Leaders: []replication.LeadershipListener{b.groups}, LogDirs: b, Transactions: b.verifier,
		BrokerEpoch: b.registration.epoch.Load, Logger: b.logger,
	})
	b.replicas.SetRates(replication.RatesOf(b.dynamic))
	b.metrics.ofReplicas(b.replicas)
	b.replicas.Start()
	b.onStop(b.replicas.Close)
	return nil
}

const verificationEnabled = "transaction.partition.verification.enable"

// prepareCoordinators makes the group coordinator, which the replication tells
// of leaderships from its start on, and what finds transaction coordinators.
func (b *Broker) prepareCoordinators(ctx context.Context) error {
	o := group.OptionsOf(b.dynamic.Current())
	b.transactionPartitions = b.cfg.Int("transaction.state.log.num.partitions")
	nodes, err := b.store.TopicNodes(ctx, []string{group.TopicName, admin.TransactionStateTopic})
	if err != nil {
		return err
	}
	if n := len(nodes[group.TopicName].Partitions); n > 0 {
		o.Partitions = int32(n)
	}
	if n := len(nodes[admin.TransactionStateTopic].Partitions); n > 0 {
		b.transactionPartitions = int32(n)
	}
	b.groups = group.NewCoordinator(group.Config{
		Options: o, Topic: group.Replicas(func() *replication.Manager { return b.replicas }), Logger: b.logger,
	})
	return nil
}

// startGroups lets the group coordinator in on requests.
func (b *Broker) startGroups(context.Context) error {
	b.metrics.ofGroups(b.groups)
	b.groups.Start()
	b.onStop(b.groups.Stop)
	return nil
}

func (b *Broker) register(ctx context.Context) error { return b.registration.register(ctx) }

func (b *Broker) startController(context.Context) error {
	cfg := controllerConfig(b.dynamic.Current(), b.id.brokerID, b.logger)
	cfg.Register = b.registration.register
	cfg.KnownTopicID = b.knownTopicID
	if b.features != nil {
		cfg.AwaitFeatureEpoch = b.features.await
	}
	var err error
	if b.controller, err = controller.New(cfg, b.store); err != nil {
		return err
	}
	b.configs.uncleanEnabled = b.controller.TopicUncleanElectionEnabled
	b.store.AddSessionListener(zkstore.SessionListener{Before: b.cache.Doubt})
	b.store.AddSessionListener(zkstore.SessionListener{Before: b.controller.BeforeNewSession, After: b.controller.AfterNewSession})
	b.metrics.ofController(b.controller)
	b.wg.Go(func() { b.confirmMetadata(announceTime) })
	b.controller.Start()
	b.onStop(b.controller.Stop)
	return nil
}

// knownTopicID is the id that the last controller sent for a topic, zero while
// the metadata may be out of date.
func (b *Broker) knownTopicID(topic string) metadata.TopicID {
	s := b.cache.Snapshot()
	if t := s.Topics[topic]; t != nil && s.Complete {
		return t.ID
	}
	return metadata.TopicID{}
}

// startProducerIDs makes ready to hand out producer ids, in blocks that the
// controller allocates, or, below IBP 3.0, that this broker takes itself.
func (b *Broker) startProducerIDs(context.Context) error {
	var source producerids.Source
	if b.cfg.IBP().AtLeast("3.0-IV0") {
		link := newControllerLink(b.id.brokerID, b.cfg.InterBrokerListener(), b.cache, intMs(b.cfg, "controller.socket.timeout.ms"), nil)
		b.onStop(link.close)
		source = producerids.FromController(b.id.brokerID, b.registration.epoch.Load, link.do)
	} else {
		source = producerids.FromZooKeeper(b.id.brokerID, b.store)
	}
	b.producerIDs = producerids.New(source, b.logger)
	b.onStop(b.producerIDs.Close)
	if !b.cfg.IBP().AtLeast("3.0-IV0") {
		b.producerIDs.Fetch()
	}
	return nil
}

// startConfigs follows configuration changes; those made since the start's
// reading are replayed.
func (b *Broker) startConfigs(context.Context) error {
	b.configs.brokerChanged = newLive(b).apply
	b.wg.Go(func() { b.configs.follow(b.ctx) })
	return nil
}

func (b *Broker) serve(context.Context) error {
	b.server.Start(b.handlers())
	return nil
}

// LogDirFailed tells the controller of a failed log directory. A broker that has
// none left ends instead, without waiting for a ZooKeeper that may be away.
func (b *Broker) LogDirFailed(dir string) {
	if !slices.ContainsFunc(b.logs.Dirs(), func(d storage.DirStatus) bool { return d.Online }) {
		b.fail(errors.New("Shutdown broker because all log dirs have failed: " + dir))
		return
	}
	b.wg.Go(func() {
		if err := b.store.NotifyLogDirFailure(b.ctx, b.id.brokerID); err != nil && b.ctx.Err() == nil {
			b.log.WithError(err).Errorf("Could not tell the controller that the log directory %s failed", dir)
		}
	})
}
