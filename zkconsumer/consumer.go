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

// handBackLimit is how long a rebalance waits for records that were handed out. Records that are
// not handed back by then are read again by the next owner of the partition.
const handBackLimit = time.Second

// closeLimit bounds the ZooKeeper operations of Close.
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

	base    context.Context // for all ZooKeeper operations; canceled closeLimit after Close is called
	end     context.CancelFunc
	done    chan struct{} // closed when Close is called
	once    sync.Once
	ended   chan struct{} // closed when run has returned
	wake    chan struct{} // has a token when due is not empty
	commits chan chan error

	// Used by the consumer goroutine only: what the member owns.
	session   context.Context // bound to the session of the registration
	owned     map[TopicPartition]*position
	topics    []string // topics that this member read at the last rebalance, sorted
	watched   map[string]bool
	noBrokers bool // BrokerIDsPath is already watched

	mu       sync.Mutex // guards the fields below
	due      due
	fetching *fetching // nil: nothing is being read; set by the consumer goroutine only
	shown    []TopicPartition
}

// due is the pending work of the consumer goroutine.
type due struct{ register, rebalance, topics bool }

// Open joins the group and returns once the member has its share. It returns a RebalanceFailedError
// if it does not get one. ctx applies to Open only; Close ends the member.
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
		s.taken = c.wakeFetchers
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

// memberID returns group_host-milliseconds-random, like Kafka.
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

// join registers the member, claims its first share and starts the consumer goroutine.
func (c *Consumer) join(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			close(c.ended) // run is never started
			c.Close()
		}
	}()
	stop := context.AfterFunc(ctx, c.end) // ctx applies only while join runs
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

// need schedules work for the consumer goroutine.
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

// run rebalances and commits until the consumer is closed. It runs in the consumer's goroutine.
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

// work does the given work. It schedules a retry for what fails.
func (c *Consumer) work(d due) {
	if d.register {
		c.say("ZK expired; release old broker parition ownership; re-register consumer %s", c.id)
		c.stopReading(0)
		c.forgetOwned()
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

// retry schedules work again after the rebalance backoff.
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

// register registers the member in the current session.
func (c *Consumer) register() error {
	c.session = c.store.BindSession(c.base)
	c.say("begin registering consumer %s in ZK", c.id)
	if err := c.store.RegisterConsumer(c.session, c.cfg.Group, c.id, c.registration); err != nil {
		return err
	}
	c.say("end registering consumer %s in ZK", c.id)
	return nil
}

// abandon stops reading when the session is lost, because other members may own all partitions by
// now. It runs in the session goroutine of the store.
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

// wakeFetchers wakes the fetchers after a stream has taken a chunk from its queue.
func (c *Consumer) wakeFetchers() {
	c.mu.Lock()
	f := c.fetching
	c.mu.Unlock()
	if f != nil {
		f.wakeAll()
	}
}

// ID returns the member's name, as in /consumers/G/ids.
func (c *Consumer) ID() string { return c.id }

// Streams returns the member's streams, one per thread. They stay the same for the lifetime of the
// consumer. A stream whose thread owns no partition returns no records.
func (c *Consumer) Streams() []*Stream { return c.streams }

// Owned returns the partitions that the member currently reads, sorted.
func (c *Consumer) Owned() []TopicPartition {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.shown)
}

// Commit commits the consumed offsets. Everything that Poll has returned counts as consumed.
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

// Close stops reading, commits and leaves the group. Everything that Poll has returned counts as
// consumed. The other members take over immediately. After that, Poll returns ErrClosed.
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

// leave commits and stops reading before run returns.
func (c *Consumer) leave() {
	c.settleAll()
	c.stopReading(0)
	if !c.cfg.NoAutoCommit {
		if err := c.commit(); err != nil {
			c.log.WithError(err).Errorf("[%s], error during consumer connector shutdown", c.id)
		}
	}
	c.offsets.disconnect()
}

func (c *Consumer) settleAll() {
	for _, s := range c.streams {
		s.settle()
	}
}
