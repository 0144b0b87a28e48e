package broker

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/storage"
	"github.com/monedula/monedula/zkstore"
)

// configs follows the configurations in ZooKeeper: it reads all at the start
// and then what /config/changes names, and applies them to logs and to the
// broker's own settings. One goroutine does it all.
type configs struct {
	ctx     context.Context // ends when the broker stops
	attempt time.Duration   // how long a read of a topic's configuration goes on before the log tells of it
	store   *zkstore.Store
	dynamic *settings.Dynamic
	broker  string // the broker's entity name
	log     *logrus.Entry
	// uncleanEnabled tells the controller that a topic now allows unclean elections.
	uncleanEnabled func(topic string)
	// brokerChanged is told of every change of the broker's own configuration; nil
	// until all that it concerns is there.
	brokerChanged func(context.Context)
	wake          chan struct{}
	retry         time.Duration // pause after notifications that could not be read
	read          bool          // the brokers' configurations were read since the watch is armed
	last          int64         // number of the last notification processed; -1: none
	listed        int           // notifications in the last list
	purged        time.Time     // when old ones were last purged
	expiration    time.Duration // the age at which they are: changeExpiration

	mu      sync.Mutex // guards what follows
	topics  map[string]map[string]string
	applied int64            // changes of topics' configurations
	logs    *storage.Manager // nil until they are loaded
}

// changeExpiration is the age at which notifications are purged (a constant in Kafka too).
const changeExpiration = 15 * time.Minute

// purgeInterval is how often notifications are purged, which goes through all of them.
const purgeInterval = time.Minute

// pausePerNotification is the pause after a list of notifications, for each of them: a few
// times what the list costs, so that following thousands of changes takes time in proportion.
const pausePerNotification = 2 * time.Microsecond

// A read of a topic's configuration that had no answer for configAttempt is told
// of in the log and, a configPause later, tried again.
const (
	configAttempt = 30 * time.Second
	configPause   = 100 * time.Millisecond
)

// configRetry is the pause after notifications that could not be read.
const configRetry = time.Second

// newConfigs makes the configs of a broker that stops when ctx ends.
func newConfigs(ctx context.Context, store *zkstore.Store, dynamic *settings.Dynamic, brokerID int32, log *logrus.Logger) *configs {
	return &configs{
		ctx: ctx, attempt: configAttempt, store: store, dynamic: dynamic, broker: strconv.Itoa(int(brokerID)),
		log: kafkalog.For(log, "kafka.server.ZkConfigManager"), uncleanEnabled: func(string) {},
		wake: make(chan struct{}, 1), retry: configRetry, last: -1, expiration: changeExpiration, topics: map[string]map[string]string{},
	}
}

// readBrokers applies what is stored for all brokers and for this one, if it can
// be used.
func (c *configs) readBrokers(ctx context.Context) error {
	for _, name := range []string{zkstore.DefaultEntity, c.broker} {
		if err := c.usable(c.applyBroker(ctx, name), string(zkstore.EntityBrokers)+"/"+name); err != nil {
			return err
		}
	}
	return nil
}

// readTopics reads every topic's configuration once, before the logs are loaded.
// Those that cannot be decoded are none.
func (c *configs) readTopics(ctx context.Context) error {
	names, err := c.store.ConfigEntities(ctx, zkstore.EntityTopics)
	if err != nil {
		return err
	}
	all, unreadable, err := c.store.Configs(ctx, zkstore.EntityTopics, names)
	if err != nil {
		return err
	}
	for topic, err := range unreadable {
		if !errors.Is(err, zkstore.ErrInvalidNode) {
			return err
		}
		c.defaultsApply(topic, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.topics = all
	return nil
}

// serve hands the loaded logs over; from now on changes reach them.
func (c *configs) serve(logs *storage.Manager) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.logs = logs
}

// known is the configuration read at the start, for a topic found on disk.
func (c *configs) known(topic string) *settings.Topic {
	c.mu.Lock()
	overrides := c.topics[topic]
	c.mu.Unlock()
	return c.effective(topic, overrides)
}

// TopicConfig reads a topic's configuration from ZooKeeper, for a log being
// created. While ZooKeeper does not answer it waits, as Kafka does, until it does
// or the broker stops: the controller tells of a new partition once, and would
// not repeat what was refused.
func (c *configs) TopicConfig(topic string) (*settings.Topic, error) {
	overrides, err := c.learn(topic, func() (map[string]string, error) { return c.awaitTopic(topic) })
	if err != nil {
		return nil, err
	}
	return c.effective(topic, overrides), nil
}

// learn keeps what read returns of a topic, unless a change was applied while it
// read: then what it returns may be older than the change, and it reads again.
func (c *configs) learn(topic string, read func() (map[string]string, error)) (map[string]string, error) {
	for {
		c.mu.Lock()
		before := c.applied
		c.mu.Unlock()
		overrides, err := read()
		if err != nil {
			return nil, err
		}
		c.mu.Lock()
		current := c.applied == before
		if current {
			c.topics[topic] = overrides
		}
		c.mu.Unlock()
		if current {
			return overrides, nil
		}
	}
}

// awaitTopic reads a topic's overrides; while ZooKeeper does not answer it tries
// again until the broker stops.
func (c *configs) awaitTopic(topic string) (map[string]string, error) {
	overrides, err := c.readTopic(topic)
	for errors.Is(err, context.DeadlineExceeded) || errors.Is(err, zkstore.ErrSessionExpired) {
		c.log.Warnf("The configuration of topic %s cannot be read while ZooKeeper does not answer (%v); its partitions wait here until it does", topic, err)
		select {
		case <-c.ctx.Done():
			return nil, c.ctx.Err()
		case <-time.After(configPause):
		}
		overrides, err = c.readTopic(topic)
	}
	return overrides, err
}

// readTopic reads a topic's overrides within the time that one attempt may take.
// Those that cannot be decoded are none.
func (c *configs) readTopic(topic string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.attempt)
	defer cancel()
	overrides, err := c.store.Config(ctx, zkstore.EntityTopics, topic)
	if errors.Is(err, zkstore.ErrInvalidNode) {
		c.defaultsApply(topic, err)
		return map[string]string{}, nil
	}
	return overrides, err
}

// effective is the configuration with the overrides; what cannot be used of
// them is left out with an error in the log, as the topic must be served.
func (c *configs) effective(topic string, overrides map[string]string) *settings.Topic {
	t, err := c.dynamic.TopicConfig(overrides)
	if err == nil {
		return t
	}
	c.defaultsApply(topic, err)
	t, err = c.dynamic.TopicConfig(nil)
	if err != nil { // the broker's own settings were validated at the start
		panic("broker: the topic defaults are invalid: " + err.Error())
	}
	return t
}

// defaultsApply logs that a topic's stored configuration is of no use.
func (c *configs) defaultsApply(topic string, err error) {
	c.log.WithError(err).Errorf("The configuration of topic %s in %s cannot be used; the broker's defaults apply until it is corrected",
		topic, zkstore.EntityPath(zkstore.EntityTopics, topic))
}

// follow processes notifications until ctx ends. What cannot be read is tried
// again: without a reading no watch is armed, and nothing would come any more.
func (c *configs) follow(ctx context.Context) {
	c.store.WatchChildren(zkstore.ConfigChangesPath, c.notify)
	defer c.store.UnwatchChildren(zkstore.ConfigChangesPath)
	c.notify()
	retry := time.NewTimer(c.retry)
	retry.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			retry.Stop()
			return
		case <-c.wake:
		case <-retry.C:
		}
		err := c.process(ctx)
		if err != nil && ctx.Err() == nil {
			if !failing {
				c.log.WithError(err).Errorf("Error processing config changes; they are read again every %v until that succeeds", c.retry)
			}
			retry.Reset(c.retry)
		}
		failing = err != nil
		// ZooKeeper lists all notifications of the last 15 minutes: while thousands of topics
		// are configured, several changes share a list.
		if pause := time.Duration(c.listed) * pausePerNotification; pause > time.Millisecond {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
		}
	}
}

func (c *configs) notify() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *configs) process(ctx context.Context) error {
	changes, all, err := c.store.ConfigChanges(ctx, c.last)
	if err != nil {
		return err
	}
	c.listed = len(all)
	if err := c.readMissed(ctx, all); err != nil {
		return err
	}
	for _, change := range changes {
		if change.Err != nil {
			c.log.WithError(change.Err).Errorf("Config change notification %d cannot be read and is passed over", change.Number)
		} else if err := c.usable(c.apply(ctx, change.Path), change.Path); err != nil {
			return err
		}
		c.last = max(c.last, change.Number)
	}
	now := time.Now()
	if now.Sub(c.purged) < purgeInterval {
		return nil
	}
	if err := c.store.PurgeConfigChanges(ctx, all, now.Add(-c.expiration).UnixMilli()); err != nil {
		return err
	}
	c.purged = now
	return nil
}

// readMissed reads configurations whose notifications may have been purged by
// other brokers, which they are after changeExpiration, before this one saw
// them: at first, since the logs may have been recovered for longer, the
// brokers' (those of topics are read with every LeaderAndIsr), and after a gap
// in the numbers all.
func (c *configs) readMissed(ctx context.Context, notifications []string) error {
	oldest, any := zkstore.OldestConfigChange(notifications)
	gap := any && c.last >= 0 && oldest > c.last+1
	if c.read && !gap {
		return nil
	}
	if err := c.readBrokers(ctx); err != nil {
		return err
	}
	c.read = true
	if !gap {
		return nil
	}
	c.log.Warnf("Notifications %d to %d of config changes were purged before they were seen; all configurations are read", c.last+1, oldest-1)
	if err := c.readKnownTopics(ctx); err != nil {
		return err
	}
	c.last = oldest - 1
	return nil
}

// readKnownTopics applies the configurations of known topics that differ from
// what is in force.
func (c *configs) readKnownTopics(ctx context.Context) error {
	c.mu.Lock()
	names := slices.Sorted(maps.Keys(c.topics))
	before := maps.Clone(c.topics)
	c.mu.Unlock()
	stored, unreadable, err := c.store.Configs(ctx, zkstore.EntityTopics, names)
	if err != nil {
		return err
	}
	for _, topic := range names {
		if unreadable[topic] == nil && maps.Equal(stored[topic], before[topic]) {
			continue
		}
		if err := c.usable(c.applyTopic(ctx, topic), string(zkstore.EntityTopics)+"/"+topic); err != nil {
			return err
		}
	}
	return nil
}

// unusableError is a stored configuration that does not make a valid one.
type unusableError struct{ error }

// Unwrap returns the cause.
func (e unusableError) Unwrap() error { return e.error }

// usable returns an error of reading the entity, which may go better the next
// time; one of what it holds is logged, and the entity left as it is in force.
func (c *configs) usable(err error, entity string) error {
	var unusable unusableError
	if !errors.As(err, &unusable) && !errors.Is(err, zkstore.ErrInvalidNode) {
		return err
	}
	c.log.WithError(err).Errorf("Error processing the config change of %s", entity)
	return nil
}

// forget drops what is known of topics that were deleted.
func (c *configs) forget(partitions []metadata.TopicPartition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range partitions {
		delete(c.topics, p.Topic)
	}
}

// apply reads an entity anew and puts it in force.
func (c *configs) apply(ctx context.Context, path string) error {
	kind, name, _ := strings.Cut(path, "/")
	switch zkstore.EntityType(kind) {
	case zkstore.EntityTopics:
		return c.applyTopic(ctx, name)
	case zkstore.EntityBrokers:
		if name == c.broker || name == zkstore.DefaultEntity {
			return c.applyBroker(ctx, name)
		}
	}
	return nil
}

func (c *configs) applyTopic(ctx context.Context, topic string) error {
	overrides, err := c.store.Config(ctx, zkstore.EntityTopics, topic)
	if err != nil {
		return err
	}
	c.log.Infof("Processing override for entityPath: topics/%s with config: %v", topic, overrides)
	c.mu.Lock()
	before := c.topics[topic]
	c.topics[topic] = overrides
	c.applied++
	logs := c.logs
	c.mu.Unlock()
	now := c.effective(topic, overrides)
	if logs != nil {
		logs.SetTopicConfig(topic, now)
	}
	const unclean = "unclean.leader.election.enable"
	if strings.EqualFold(overrides[unclean], "true") && !strings.EqualFold(before[unclean], "true") {
		c.uncleanEnabled(topic)
	}
	return nil
}

func (c *configs) applyBroker(ctx context.Context, name string) error {
	stored, err := c.store.Config(ctx, zkstore.EntityBrokers, name)
	if err != nil && !errors.Is(err, zkstore.ErrNoNode) {
		return err
	}
	apply := c.dynamic.ApplyBroker
	if name == zkstore.DefaultEntity {
		apply = c.dynamic.ApplyDefault
	}
	ignored, err := apply(stored)
	for _, key := range ignored {
		c.log.Warnf("The dynamic configuration of %s has %s, which cannot be used and is ignored", name, key)
	}
	if err != nil {
		return unusableError{err}
	}
	c.refreshTopics()
	if c.brokerChanged != nil {
		c.brokerChanged(ctx)
	}
	return nil
}

// refreshTopics gives every log its configuration anew, and the logs at large
// theirs, since the broker's defaults below changed.
func (c *configs) refreshTopics() {
	c.mu.Lock()
	logs := c.logs
	topics := map[string]map[string]string{}
	for topic, overrides := range c.topics {
		topics[topic] = overrides
	}
	c.mu.Unlock()
	if logs == nil {
		return
	}
	logs.SetDefaults(c.effective("", nil))
	for topic, overrides := range topics {
		logs.SetTopicConfig(topic, c.effective(topic, overrides))
	}
}
