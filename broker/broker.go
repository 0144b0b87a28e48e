// Package broker is a broker process. It builds all components, connects them, and starts and stops
// them in Kafka's order.
//
// Its own goroutines are: configs, which follows /config/changes; features, which follows /feature;
// confirmMetadata; the HTTP server of the pages for monitoring; and a short-lived one per failed log
// directory. All other goroutines belong to the packages it uses.
package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/broker/api"
	"github.com/monedula/monedula/controller"
	"github.com/monedula/monedula/coordinator"
	"github.com/monedula/monedula/group"
	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/producerids"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/storage"
	"github.com/monedula/monedula/transaction"
	"github.com/monedula/monedula/zkstore"
)

// Broker is one broker. Start and Stop may each be called once; Stop may be called during Start and
// after a failed Start.
type Broker struct {
	cfg     *settings.Config
	dynamic *settings.Dynamic
	fs      vfs.FS
	logger  *logrus.Logger
	log     *logrus.Entry
	id      identity
	metrics *brokerMetrics
	health  *health

	store        *zkstore.Store
	cache        *metadata.Cache
	configs      *configs
	features     *features
	logs         *storage.Manager
	replicas     *replication.Manager
	groups       *group.Coordinator
	transactions *transaction.Coordinator
	isr          replication.ISRChanger
	controller   *controller.Controller
	registration *registration
	server       *network.Server
	toController *controllerLink // carries ISR changes
	producerIDs  *producerids.Manager
	verifier     *replication.Verifier
	fatal        chan error
	loading      atomic.Pointer[storage.Manager] // its logs are being loaded, or were
	ctx          context.Context                 // for background work; canceled by Stop
	cancel       context.CancelFunc
	wg           sync.WaitGroup

	starting sync.Mutex // held by Start and Stop, so Stop waits for Start
	started  bool
	undo     []func() // steps that undo what Start did; run in reverse order
}

// New returns a broker that has not been started.
func New(cfg *settings.Config, logger *logrus.Logger) *Broker {
	b := &Broker{
		cfg: cfg, dynamic: settings.NewDynamic(cfg), fs: vfs.OS(), logger: logger,
		log: kafkalog.For(logger, "kafka.server.KafkaServer"), cache: metadata.NewCache(), fatal: make(chan error, 1),
		metrics: newBrokerMetrics(),
	}
	b.health = &health{state: &b.metrics.state, cache: b.cache}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// Fatal returns a channel that receives at most one error: the reason why the broker cannot
// continue and must be stopped.
func (b *Broker) Fatal() <-chan error { return b.fatal }

// LogsToLoad returns the number of logs that Start has still to load, or to recover. It may be called
// at any time.
func (b *Broker) LogsToLoad() (left int) {
	if logs := b.loading.Load(); logs != nil {
		for _, dir := range logs.RecoveryProgress() {
			left += dir.Logs
		}
	}
	return left
}

func (b *Broker) fail(err error) {
	reason := err.Error()
	b.health.failed.Store(&reason)
	select {
	case b.fatal <- err:
	default:
	}
}

// Start starts the broker and returns nil once it serves requests. It logs an error as Kafka does
// and returns it. If ctx ends it returns ctx's error without logging.
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
	app.Infof("Kafka commitId: %s", commitID)
	app.Infof("Kafka startTimeMs: %d", began.UnixMilli())
	b.log.Infof("[KafkaServer id=%d] started", b.id.brokerID)
	return nil
}

// Version is the release of Apache Kafka whose behavior this broker follows.
const Version = "3.9.1"

// commitID stands where Kafka shows the commit that it was built from.
const commitID = "monedula"

// prefix returns the broker's prefix of log lines, "" before its id is known.
func (b *Broker) prefix() string {
	if b.logs == nil {
		return ""
	}
	return fmt.Sprintf("[KafkaServer id=%d] ", b.id.brokerID)
}

// onStop adds a step that Stop runs, before the steps added earlier.
func (b *Broker) onStop(step func()) { b.undo = append(b.undo, step) }

// steps returns the steps of the start, in order. A step that must be undone calls onStop.
func (b *Broker) steps() []func(context.Context) error {
	return []func(context.Context) error{
		b.serveMonitoring,
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
		b.startCoordinators,
		b.startConfigs,
		b.serve,
	}
}

func (b *Broker) bringUp(ctx context.Context) error {
	if err := settings.CheckSupported(b.cfg); err != nil {
		return err
	}
	for _, step := range b.steps() {
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
	b.log.Infof("Connecting to zookeeper on %s", settings.ZooKeeperConnect.OrZero(b.cfg))
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
	b.metrics.collectClusterID(b.id.clusterID)
	b.health.brokerID.Store(&b.id.brokerID)
	b.cfg = b.cfg.WithBrokerID(b.id.brokerID)
	b.dynamic = settings.NewDynamic(b.cfg)
	b.dynamic.RefuseUnless(settings.CheckSupported)
	b.configs = newConfigs(b.ctx, b.store, b.dynamic, b.id.brokerID, b.logger)
	if err := b.configs.readBrokers(ctx); err != nil {
		return err
	}
	kafkalog.For(b.logger, "kafka.server.KafkaConfig").Info(b.dynamic.Current().Values())
	return nil
}

// bind opens the listening sockets, so a port in use fails the start early. No request is read from
// them before serve.
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
	b.metrics.collectServer(server)
	b.onStop(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		_ = server.Shutdown(ctx)
	})
	info, err := brokerInfo(b.cfg, b.id.brokerID, server.Port)
	if err != nil {
		return err
	}
	b.registration = newRegistration(b.store, info, ms(b.cfg, settings.ZooKeeperSessionTimeoutMs), b.logger)
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
		FS: b.fs, Dirs: b.cfg.LogDirs(), Log: b.logger, Options: storage.OptionsOf(b.dynamic.Current()),
		BrokerID: b.id.brokerID, ClusterID: b.id.clusterID,
		Defaults: defaults, TopicConfig: b.configs.known, Flushed: b.metrics.flushed,
	})
	if err != nil {
		return err
	}
	b.logs = logs
	b.onStop(func() {
		if err := logs.Close(); err != nil {
			b.log.WithError(err).Error("Could not close the logs cleanly; the next start recovers them")
		}
	})
	b.metrics.collectLogs(logs)
	b.metrics.become(stateRecovery)
	b.loading.Store(logs)
	if err := logs.Load(ctx); err != nil {
		return err
	}
	b.metrics.become(stateStarting)
	b.health.loaded.Store(true)
	b.configs.serve(logs)
	logs.Start()
	return nil
}

// followFeatures reads /feature before anything can depend on it.
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
		BrokerID: b.id.brokerID, Listener: cfg.InterBrokerListener(), Metadata: b.cache, PartitionFor: b.transactions.PartitionFor,
		Local: func(t *replication.Transaction) []protocol.ErrorCode {
			return b.transactions.Verify(t.ID, transaction.ProducerIDAndEpoch{ID: t.ProducerID, Epoch: t.ProducerEpoch}, t.Partitions)
		},
		Verified: b.metrics.verifiedTransaction,
		Timeout:  ms(cfg, settings.RequestTimeoutMs), Logger: b.logger,
	})
	b.verifier.SetVerifying(settings.TransactionPartitionVerificationEnable.Of(cfg))
	b.onStop(b.verifier.Close)
	b.toController = newControllerLink(b.id.brokerID, cfg.InterBrokerListener(), b.cache, ms(cfg, settings.ControllerSocketTimeoutMs), nil)
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
		ISR: b.isr, Leaders: []replication.LeadershipListener{b.groups, b.transactions}, LogDirs: b, Transactions: b.verifier,
		BrokerEpoch: b.registration.epoch.Load, Logger: b.logger,
	})
	b.replicas.SetRates(replication.RatesOf(b.dynamic))
	b.metrics.collectReplicas(b.replicas, b.dynamic)
	b.metrics.collectLinks(b)
	b.replicas.Start()
	b.onStop(b.replicas.Close)
	return nil
}

// prepareCoordinators creates the coordinators of groups and transactions, which replication notifies
// of leadership changes as soon as it starts. Their topics keep their numbers of partitions.
func (b *Broker) prepareCoordinators(ctx context.Context) error {
	ofGroups, ofTransactions := group.OptionsOf(b.dynamic.Current()), transaction.OptionsOf(b.dynamic.Current())
	nodes, err := b.store.TopicNodes(ctx, []string{metadata.GroupOffsetsTopic, metadata.TransactionStateTopic})
	if err != nil {
		return err
	}
	if n := len(nodes[metadata.GroupOffsetsTopic].Partitions); n > 0 {
		ofGroups.Partitions = int32(n)
	}
	if n := len(nodes[metadata.TransactionStateTopic].Partitions); n > 0 {
		ofTransactions.Partitions = int32(n)
	}
	manager := func() *replication.Manager { return b.replicas }
	b.groups = group.NewCoordinator(group.Config{Options: ofGroups, Topic: group.Replicas(manager), Logger: b.logger})
	b.transactions = transaction.NewCoordinator(transaction.Config{
		Options: ofTransactions, Topic: coordinator.Replicas{TopicName: metadata.TransactionStateTopic, Manager: manager}, Metadata: b.cache,
		NextProducerID: func(ctx context.Context) (int64, error) { return b.producerIDs.Next(ctx) },
		WriteMarkers: func(ctx context.Context, req *kmsg.WriteTxnMarkersRequest) *kmsg.WriteTxnMarkersResponse {
			return api.MarkerLog{Replicas: b.replicas, Groups: b.groups, Config: b.dynamic}.Write(req, ctx.Done())
		},
		Logger: b.logger,
	})
	return nil
}

// startCoordinators starts the coordinators, which then accept requests.
func (b *Broker) startCoordinators(context.Context) error {
	b.metrics.collectGroups(b.groups)
	b.metrics.collectTransactions(b.transactions)
	b.collectLag()
	b.groups.Start()
	b.onStop(b.groups.Stop)
	b.transactions.Start()
	b.onStop(b.transactions.Stop)
	return nil
}

func (b *Broker) register(ctx context.Context) error {
	registered := b.store.Registered
	b.health.registered.Store(&registered)
	return b.registration.register(ctx)
}

// startController starts the controller, which registers the broker again after each lost session.
func (b *Broker) startController(ctx context.Context) error {
	cfg := controllerConfig(b.dynamic.Current(), b.id.brokerID, b.logger)
	cfg.Register = b.registration.register
	cfg.Observe = b.metrics.control.observe
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
	b.metrics.collectController(b.controller)
	b.wg.Go(func() { b.confirmMetadata(announceTime) })
	b.controller.Start()
	b.onStop(b.controller.Stop)
	if !b.store.Registered() { // the session was lost before the controller listened
		return b.register(ctx)
	}
	return nil
}

// knownTopicID returns the topic id that the last controller sent, or zero while the metadata may
// be out of date.
func (b *Broker) knownTopicID(topic string) metadata.TopicID {
	s := b.cache.Snapshot()
	if t := s.Topics[topic]; t != nil && s.Complete {
		return t.ID
	}
	return metadata.TopicID{}
}

// startProducerIDs creates the source of producer ids. The controller allocates their blocks; below
// IBP 3.0 this broker takes them from ZooKeeper itself.
func (b *Broker) startProducerIDs(context.Context) error {
	var source producerids.Source
	if b.cfg.IBP().AtLeast("3.0-IV0") {
		link := newControllerLink(b.id.brokerID, b.cfg.InterBrokerListener(), b.cache, ms(b.cfg, settings.ControllerSocketTimeoutMs), nil)
		b.onStop(link.close)
		b.metrics.collectForwarding(b.id.brokerID, link)
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

// startConfigs follows configuration changes. It also replays those made since the configuration
// was read during the start.
func (b *Broker) startConfigs(context.Context) error {
	b.configs.brokerChanged = newDynamicConfig(b).apply
	b.wg.Go(func() { b.configs.follow(b.ctx) })
	return nil
}

func (b *Broker) serve(context.Context) error {
	handlers := b.handlers()
	b.metrics.collectWaits(handlers.Waits())
	b.server.Start(handlers)
	return nil
}

// LogDirFailed notifies the controller that a log directory, or a single log in it, cannot be used.
// If no log directory is left it stops the broker instead, without waiting for ZooKeeper, which may
// be unreachable.
func (b *Broker) LogDirFailed(dir string) {
	if !slices.ContainsFunc(b.logs.Dirs(), func(d storage.DirStatus) bool { return d.Online }) {
		b.fail(errors.New("Shutdown broker because all log dirs have failed: " + dir))
		return
	}
	b.wg.Go(func() {
		if err := b.store.NotifyLogDirFailure(b.ctx, b.id.brokerID); err != nil && b.ctx.Err() == nil {
			b.log.WithError(err).Errorf("Could not notify the controller that the log directory %s failed", dir)
		}
	})
}
