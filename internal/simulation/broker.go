package simulation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/replication"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/storage"
	"github.com/monedula/monedula/transaction"
	"github.com/monedula/monedula/zkstore"
	"github.com/monedula/monedula/zkstore/zkclient"
)

const dataDir = "/data"

// dataDirs returns the broker's log.dirs.
func (w *world) dataDirs() []string {
	if w.cfg.Disks || w.cfg.LogMoves {
		return []string{dataDir, "/more"}
	}
	return []string{dataDir}
}

// broker is one broker. It consists of the product's packages, connected as package broker connects
// them.
type broker struct {
	w  *world
	id metadata.BrokerID
	fs *vfs.Mem

	broken map[string]bool // log directories on which every operation fails
	mended string          // log directory that was replaced or repaired before the next start

	life         int // counts starts and crashes; events of an earlier life are dropped
	alive        bool
	pausedUntil  time.Duration
	zkCutUntil   time.Duration
	dirty        [placeCount]bool // per partition: a crash lost in-sync data, and the replica has not caught up yet
	leaving      bool             // it was asked to shut down cleanly
	stopping     bool             // it is closing its logs, in goroutines
	expiring     bool             // the loss of the session is queued, but not handled yet
	registered   int64
	store        *zkstore.Store
	sessions     *zkclient.Steppable // of store
	conn         *zkConn
	logs         *storage.Manager
	cache        *metadata.Cache
	replicas     *replication.Manager
	isr          *replication.AlterPartition
	isrBusy      bool
	control      *control
	followers    []*following
	parked       []*parked
	lookingAfter bool
	txns         *transaction.Coordinator
	verifier     *replication.Verifier
	tasks        []*task // background work of txns, and requests that wait for it
}

// following is a fetcher and whether it pauses.
type following struct {
	f     *replication.Follower
	turn  int // number of the step that is due
	pause bool
}

// parked is a request that waits.
type parked struct {
	w    *replication.Parked
	done func()
}

func newBroker(w *world, id metadata.BrokerID) *broker {
	return &broker{w: w, id: id, fs: vfs.NewMem(), broken: map[string]bool{}}
}

// after schedules an event that is dropped when this life of the broker ends. While the broker is
// paused, the event waits.
func (b *broker) after(d time.Duration, run func()) {
	life := b.life
	var event func()
	event = func() {
		switch {
		case b.life != life || !b.alive:
		case b.paused():
			b.w.after(b.pausedUntil-b.w.now+time.Microsecond, event)
		default:
			run()
			b.lookAfter()
		}
	}
	b.w.after(d, event)
}

func (b *broker) paused() bool    { return b.w.now < b.pausedUntil }
func (b *broker) zkBlocked() bool { return b.paused() || b.w.now < b.zkCutUntil }

func (b *broker) logger() *logrus.Logger {
	if b.w.cfg.Logs == nil {
		return kafkalog.Discard()
	}
	logger := kafkalog.New(prefixed{b})
	logger.SetLevel(logrus.DebugLevel)
	return logger
}

type prefixed struct{ b *broker }

func (p prefixed) Write(text []byte) (int, error) {
	fmt.Fprintf(p.b.w.cfg.Logs, "%12.6f broker %d: ", p.b.w.now.Seconds(), p.b.id)
	return p.b.w.cfg.Logs.Write(text)
}

var _ io.Writer = prefixed{}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// topicConfig returns the configuration of most topics.
func topicConfig(w *world) *settings.Topic {
	if w.cfg.Compaction {
		return topicConfigWith(w, compacted)
	}
	return topicConfigWith(w, nil)
}

func topicConfigWith(w *world, extra map[string]string) *settings.Topic {
	delay := "60000"
	if w.cfg.Topics {
		delay = "2000"
	}
	cfg := must(settings.FromMap(map[string]string{"broker.id": "0", "zookeeper.connect": "unused:2181", "log.dirs": dataDir,
		"log.segment.delete.delay.ms": delay}))
	overrides := map[string]string{"min.insync.replicas": "2"}
	maps.Copy(overrides, extra)
	return must(cfg.Topic(overrides))
}

// configs gives every topic its configuration.
type configs struct{ w *world }

func (c configs) TopicConfig(topic string) (*settings.Topic, error) { return c.w.configOf(topic), nil }

func (w *world) configOf(topic string) *settings.Topic {
	if topic == dataName {
		return w.check.ofData
	}
	return w.check.topic
}

// boot starts the broker on its file system.
func (b *broker) boot() {
	w := b.w
	b.life++
	b.alive, b.registered, b.expiring, b.leaving, b.stopping = true, -1, false, false, false
	life := b.life
	w.say("broker %d starts", b.id)
	logger := b.logger()
	topic := w.check.topic
	for _, dir := range w.dataDirs() {
		if err := b.fs.MkdirAll(dir, 0o755); err != nil {
			panic(err)
		}
	}
	b.removeDoubles()
	o := storage.DefaultOptions()
	o.DiskLowWatermark = 0 // a measurement every second would be an event
	if w.cfg.Compaction {
		w.cleanOften(&o)
	}
	logs, err := storage.NewManager(storage.ManagerConfig{FS: b.disk(), Dirs: w.dataDirs(), Log: logger, BrokerID: b.id,
		ClusterID: "simulated-cluster-0001", Defaults: topic, TopicConfig: w.configOf,
		Now: w.clock, Later: func(d time.Duration, f func()) { b.after(d, f) }, Sleep: b.sleep, UniqueID: w.uniqueID, Options: o})
	if err == nil {
		err = logs.Load(context.Background())
	}
	if b.life != life {
		return // it crashed meanwhile
	}
	if err != nil {
		panic(err)
	}
	b.logs = logs
	if w.cfg.Compaction {
		b.logs.Start()
	}
	b.cache = metadata.NewCache()
	epochOf := func() int64 { return b.registered }
	b.isr, b.isrBusy = replication.NewAlterPartition(b.id, epochOf, nil, logger), false
	b.followers, b.parked, b.tasks = nil, nil, nil
	options := replication.DefaultOptions(b.id)
	options.LagMax, options.FetchBackoff = 2*time.Second, 200*time.Millisecond
	if w.cfg.LogMoves {
		options.FetchPartitionBytes = 1000 // so that a move takes several steps
	}
	if w.cfg.Compaction { // a follower appends at most a segment at once, and a cleaned one may exceed its limit slightly
		options.FetchPartitionBytes = 500
	}
	if w.cfg.Seed%3 == 2 { // as with an inter.broker.protocol.version below 2.7-IV1
		options.PeerVersions.Fetch, options.PeerVersions.TruncateOnFetch = 11, false
	}
	leaders := []replication.LeadershipListener{leaderships{b}}
	var transactions replication.Transactions
	if w.cfg.Transactions {
		b.newCoordinator(logger)
		leaders, transactions = append(leaders, b.txns), b.verifier
	}
	b.replicas = replication.NewManager(replication.Config{Options: options, Logs: b.logs, Metadata: b.cache, Topics: configs{w},
		ISR: b.isr, Leaders: leaders, Transactions: transactions, LogDirs: logDirs{b, life}, BrokerEpoch: epochOf, Logger: logger, Now: w.clock,
		Follow: func(f *replication.Follower) {
			x := &following{f: f}
			b.followers = append(b.followers, x)
			b.step(x, 0)
		},
		Move: func(m *replication.Mover) { b.drive(m, 0) }})
	if w.cfg.Transactions {
		b.txns.Start()
	}
	b.store, b.sessions = zkstore.NewSteppable(zkstore.Config{Name: fmt.Sprint("broker ", b.id), Logger: logger, Now: w.clock})
	b.control = newControl(b, logger)
	b.conn = b.connect()
	b.sessions.Begin(b.conn)
	b.after(0, func() { b.register(life) })
	b.after(time.Second, b.checkpoint)
	b.after(options.LagMax/2, b.shrink)
	b.after(w.between(500*time.Millisecond, 2*time.Second), b.flush)
}

// register creates the broker's node and then starts its controller.
func (b *broker) register(life int) {
	ctx := b.bound()
	err := b.store.CreateStartupPaths(ctx)
	if err == nil {
		err = b.registerOnce(ctx)
	}
	switch {
	case b.life != life || b.w.err != nil:
	case err == nil:
		b.control.begin()
	default:
		b.w.say("broker %d cannot register yet: %v", b.id, err)
		b.after(300*time.Millisecond, func() { b.register(life) })
	}
}

func (b *broker) registerOnce(ctx context.Context) error {
	life := b.life
	epoch, err := b.store.RegisterBroker(ctx, zkstore.BrokerInfo{ID: b.id, JMXPort: -1, Features: map[string]zkstore.FeatureRange{},
		Endpoints: []metadata.Endpoint{{Listener: "PLAINTEXT", Host: fmt.Sprint("broker", b.id), Port: 9092}}})
	if b.life != life {
		return errors.New("the broker is gone")
	}
	if err == nil {
		b.registered = epoch
		b.w.say("broker %d is registered, epoch %d", b.id, epoch)
	}
	return err
}

// sessionLost does what package zkstore and the controller do when a session has expired: the term
// as controller ends before a new session begins.
func (b *broker) sessionLost() {
	b.w.say("broker %d lost its session", b.id)
	b.sessions.End()
	b.conn = nil
	b.control.expire()
	b.after(b.w.between(0, 200*time.Millisecond), b.reconnect)
}

func (b *broker) reconnect() {
	if b.expiring {
		b.after(10*time.Millisecond, b.reconnect)
		return
	}
	b.conn = b.connect()
	b.sessions.Begin(b.conn)
	b.control.renew()
	b.sessions.FireAll()
}

// crash ends the broker. survival says what its disk keeps.
func (b *broker) crash(survival vfs.Survival) {
	b.w.say("broker %d crashes, survival %d", b.id, survival)
	b.fs = b.fs.CrashClone(survival, b.w.random.Uint64())
	if b.sessions != nil {
		b.sessions.End()
	}
	b.life++
	b.alive, b.conn, b.sessions = false, nil, nil
	b.pausedUntil = 0
}

func (b *broker) checkpoint() {
	b.replicas.CheckpointHighWatermarks()
	b.after(time.Second, b.checkpoint)
}

func (b *broker) shrink() {
	b.replicas.ShrinkISRs()
	b.after(time.Second, b.shrink)
}

// flush syncs the logs now and then, so a crash loses only their tails.
func (b *broker) flush() {
	for _, p := range b.w.places {
		if log := b.logs.Log(tp(p)); log != nil && b.w.chance(2) {
			_ = log.Flush()
		}
	}
	b.after(b.w.between(500*time.Millisecond, 2*time.Second), b.flush)
}

// leaderships is notified of the roles of this broker.
type leaderships struct{ b *broker }

func (l leaderships) BecameLeader(p replication.TopicPartition, epoch metadata.LeaderEpoch) {
	l.b.w.say("broker %d leads %s-%d in epoch %d", l.b.id, p.Topic, p.Partition, epoch)
	l.b.w.check.leads(l.b, place(p), epoch)
	l.b.w.moment(l.b)
}

func (l leaderships) Resigned(p replication.TopicPartition, epoch metadata.LeaderEpoch) {
	l.b.w.say("broker %d does not lead %s-%d in epoch %d", l.b.id, p.Topic, p.Partition, epoch)
	l.b.w.moment(l.b)
}

// step schedules the next step of a fetcher.
func (b *broker) step(x *following, d time.Duration) {
	x.turn++
	turn := x.turn
	b.after(d, func() {
		if x.turn != turn || x.f.Ended() {
			return
		}
		x.pause = false
		x.f.Woken()
		req, answered, pause := x.f.Next()
		if req == nil {
			x.pause = true
			b.step(x, pause)
			return
		}
		b.w.send(b, x.f.Leader(), req, func(resp response) {
			if x.f.Ended() {
				return
			}
			answered(resp.message, resp.err)
			b.step(x, b.w.between(0, time.Millisecond))
		})
	})
}

// lookAfter does what the broker's goroutines would do after an event: it runs what was woken.
func (b *broker) lookAfter() {
	if b.lookingAfter || b.replicas == nil || !b.alive || b.w.err != nil {
		return
	}
	b.lookingAfter = true
	defer func() { b.lookingAfter = false }()
	if b.runTasks(); !b.alive {
		return
	}
	for i := 0; i < len(b.parked); i++ {
		if p := b.parked[i]; p.w.Woken() {
			b.parked = append(b.parked[:i:i], b.parked[i+1:]...)
			p.done()
			i--
		}
	}
	kept := b.followers[:0]
	for _, x := range b.followers {
		if x.f.Ended() {
			continue
		}
		kept = append(kept, x)
		if x.pause && x.f.Woken() {
			b.step(x, 0)
		}
	}
	b.followers = kept
	b.askISR()
	b.w.check.look(b)
}

// askISR sends the next waiting change of in-sync replicas.
func (b *broker) askISR() {
	if b.isrBusy {
		return
	}
	next := b.isr.Next()
	if next == nil {
		return
	}
	b.isrBusy = true
	next.Request.Version = next.MaxVersion
	b.w.send(b, b.cache.Snapshot().ControllerID, next.Request, func(resp response) {
		pause := time.Duration(0)
		if again, _ := next.Answered(resp.message, resp.err); again {
			pause = 50 * time.Millisecond
		}
		b.after(pause, func() { b.isrBusy = false })
	})
}
