package zkconsumer

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/zkstore"
)

// handBackLimit is how long a rebalance waits for the records that were handed
// out; what is not back by then is read again by whoever owns the partition.
const handBackLimit = time.Second

// closeLimit bounds what Close has to do in ZooKeeper.
const closeLimit = 10 * time.Second

// Consumer is one member of a group.
type Consumer struct {
	cfg          Config
	id           string
	registration zkstore.ConsumerRegistration
	mine         subscription
	store        *zkstore.Store
	offsets      offsetStore
	streams      []*Stream
	log          *logrus.Entry

	base    context.Context // of everything in ZooKeeper; ends closeLimit after Close
	end     context.CancelFunc
	done    chan struct{} // closed when Close begins
	once    sync.Once
	ended   chan struct{} // closed when run has returned
	wake    chan struct{} // has a token when there is something in due
	commits chan chan error

	// Of the consumer goroutine: what it owns.
	session   context.Context // bound to the session that the registration is of
	owned     map[TopicPartition]*position
	topics    []string // what mine read at the last rebalance, sorted
	watched   map[string]bool
	noBrokers bool // BrokerIDsPath is watched

	mu       sync.Mutex // guards what follows
	due      due
	fetching *fetching // nil: nothing is read. Set by the consumer goroutine only
	shown    []TopicPartition
}

// due is what the consumer goroutine has to do.
type due struct{ register, rebalance, topics bool }

// Open joins the group and returns when the member has its share, or
// RebalanceFailedError. ctx bounds that alone; Close ends the member.
func Open(ctx context.Context, cfg Config) (*Consumer, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	registration, err := cfg.registration()
	if err != nil {
		return nil, err
	}
	mine, err := subscriptionOf(registration, !cfg.WithInternal)
	if err != nil {
		return nil, err
	}
	c := &Consumer{cfg: cfg, id: memberID(cfg), registration: registration, mine: mine, log: kafkalog.For(cfg.Logger, "kafka.consumer.ZookeeperConsumerConnector"),
		done: make(chan struct{}), ended: make(chan struct{}), wake: make(chan struct{}, 1), commits: make(chan chan error),
		owned: map[TopicPartition]*position{}, watched: map[string]bool{}}
	c.say("Connecting to zookeeper instance at %s", cfg.Zookeeper)
	if c.store, err = zkstore.Open(ctx, zkstore.Config{Connect: cfg.Zookeeper, SessionTimeout: cfg.SessionTimeout, ConnectionTimeout: cfg.ConnectionTimeout,
		Name: "ZookeeperConsumerConnector", Logger: cfg.Logger}); err != nil {
		return nil, err
	}
	c.offsets = c.offsetStore()
	streams := 0
	for _, n := range registration.Subscription {
		streams = max(streams, n)
	}
	for n := range streams {
		s := newStream(thread{c.id, n})
		s.room = c.haveRoom
		c.streams = append(c.streams, s)
	}
	c.base, c.end = context.WithCancel(context.Background())
	if err := c.join(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Consumer) offsetStore() offsetStore {
	inZookeeper := &zookeeperOffsets{c.store, c.cfg.Group}
	if c.cfg.OffsetsStorage == StorageZookeeper {
		return inZookeeper
	}
	k := &kafkaOffsets{cfg: &c.cfg, store: c.store, log: c.log}
	if !c.cfg.NoDualCommit {
		k.also = inZookeeper
	}
	return k
}

// memberID is group_host-milliseconds-random, as Kafka makes it.
func memberID(cfg Config) string {
	if cfg.ConsumerID != "" {
		return cfg.Group + "_" + cfg.ConsumerID
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return fmt.Sprintf("%s_%s-%d-%s", cfg.Group, host, time.Now().UnixMilli(), uuid.NewString()[:8])
}

func (c *Consumer) say(format string, args ...any) {
	c.log.Infof("[%s], "+format, append([]any{c.id}, args...)...)
}

// join registers, takes the first share and starts what goes on.
func (c *Consumer) join(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			close(c.ended) // run does not start
			c.Close()
		}
	}()
	stop := context.AfterFunc(ctx, c.end) // only while this runs
	if !c.cfg.NoAutoCommit {
		c.say("starting auto committer every %d ms", c.cfg.AutoCommitInterval.Milliseconds())
	}
	c.store.AddSessionListener(zkstore.SessionListener{Before: c.abandon, After: func() { c.need(due{register: true, rebalance: true}) }})
	c.store.WatchChildren(zkstore.ConsumerIDsPath(c.cfg.Group), func() { c.need(due{rebalance: true}) })
	if c.mine.pattern != nil {
		c.store.WatchChildren(zkstore.TopicsPath, func() { c.need(due{topics: true}) })
	}
	if err = c.register(); err == nil {
		err = c.rebalance()
	}
	if !stop() {
		return context.Cause(ctx)
	}
	if err == nil {
		go c.run()
	}
	return err
}

// need asks the consumer goroutine for something.
func (c *Consumer) need(d due) {
	c.mu.Lock()
	c.due = due{c.due.register || d.register, c.due.rebalance || d.rebalance, c.due.topics || d.topics}
	c.mu.Unlock()
	signal(c.wake)
}

func (c *Consumer) takeDue() due {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.due
	c.due = due{}
	return d
}

// run is the consumer goroutine.
func (c *Consumer) run() {
	defer close(c.ended)
	var tick <-chan time.Time
	if !c.cfg.NoAutoCommit {
		ticker := time.NewTicker(c.cfg.AutoCommitInterval)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case <-c.done:
			c.leave()
			return
		case <-c.wake:
			c.work(c.takeDue())
		case <-tick:
			if err := c.commit(); err != nil {
				c.log.WithError(err).Errorf("[%s], exception during autoCommit: ", c.id)
			}
		case answer := <-c.commits:
			c.settleAll()
			answer <- c.commit()
		}
	}
}

// work does what is due. What fails is tried again.
func (c *Consumer) work(d due) {
	if d.register {
		c.say("ZK expired; release old broker parition ownership; re-register consumer %s", c.id)
		c.stopReading(0)
		c.disown()
		if err := c.register(); err != nil {
			c.log.WithError(err).Errorf("[%s], could not register again", c.id)
			c.retry(due{register: true, rebalance: true})
			return
		}
	}
	if d.topics && !d.rebalance {
		changed, err := c.topicsChanged()
		if err != nil {
			c.log.WithError(err).Warnf("[%s], could not read the topics", c.id)
			c.retry(due{topics: true})
			return
		}
		d.rebalance = changed
	}
	if !d.rebalance {
		return
	}
	if err := c.rebalance(); err != nil && !c.closing() {
		c.log.WithError(err).Errorf("[%s], error during syncedRebalance", c.id)
		c.retry(due{rebalance: true})
	}
}

// retry has something done again after the pause between rebalances.
func (c *Consumer) retry(d due) {
	time.AfterFunc(c.cfg.RebalanceBackoff, func() { c.need(d) })
}

func (c *Consumer) closing() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// register makes the member known in the session that is open now.
func (c *Consumer) register() error {
	c.session = c.store.BindSession(c.base)
	c.say("begin registering consumer %s in ZK", c.id)
	if err := c.store.RegisterConsumer(c.session, c.cfg.Group, c.id, c.registration); err != nil {
		return err
	}
	c.say("end registering consumer %s in ZK", c.id)
	return nil
}

// abandon stops reading when the session is lost: others may own everything
// by now. It runs in the store's session goroutine.
func (c *Consumer) abandon() {
	c.mu.Lock()
	f := c.fetching
	c.mu.Unlock()
	if f != nil {
		f.end()
	}
	for _, s := range c.streams {
		s.clear()
	}
}

// haveRoom tells the fetchers that a stream took something.
func (c *Consumer) haveRoom() {
	c.mu.Lock()
	f := c.fetching
	c.mu.Unlock()
	if f != nil {
		f.wakeAll()
	}
}

// ID is the member's name, as under /consumers/G/ids.
func (c *Consumer) ID() string { return c.id }

// Streams are the member's streams, one per thread, always the same. Streams
// whose thread owns no partition have nothing to hand out.
func (c *Consumer) Streams() []*Stream { return c.streams }

// Owned are the partitions that the member reads now, sorted.
func (c *Consumer) Owned() []TopicPartition {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.shown)
}

// Commit writes how far the partitions were read. All that Poll has returned
// counts as read.
func (c *Consumer) Commit(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case c.commits <- answer:
	case <-c.ended:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close stops reading, commits (all that Poll has returned counts as read),
// and leaves the group, whose other members take over at once. Poll answers
// ErrClosed from then on.
func (c *Consumer) Close() {
	c.once.Do(func() {
		began := time.Now()
		c.say("ZKConsumerConnector shutting down")
		timer := time.AfterFunc(closeLimit, c.end)
		close(c.done)
		<-c.ended
		c.store.Close()
		timer.Stop()
		c.end()
		for _, s := range c.streams {
			s.close()
		}
		c.say("ZKConsumerConnector shutdown completed in %s ms", strconv.FormatInt(time.Since(began).Milliseconds(), 10))
	})
	<-c.ended
}

// leave is the member's last turn.
func (c *Consumer) leave() {
	c.settleAll()
	c.stopReading(0)
	if !c.cfg.NoAutoCommit {
		if err := c.commit(); err != nil {
			c.log.WithError(err).Errorf("[%s], error during consumer connector shutdown", c.id)
		}
	}
	c.offsets.hangUp()
}

func (c *Consumer) settleAll() {
	for _, s := range c.streams {
		s.settle()
	}
}
