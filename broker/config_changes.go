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

// configs follows the configurations in ZooKeeper. It reads all of them at startup and then those
// that /config/changes names, and applies them to the logs and to the broker's own settings. One
// goroutine, follow, applies the changes.
type configs struct {
	ctx     context.Context // ends when the broker stops
	attempt time.Duration   // limit of one attempt to read a topic's configuration
	store   *zkstore.Store
	dynamic *settings.Dynamic
	broker  string // the broker's entity name
	log     *logrus.Entry
	// uncleanEnabled notifies the controller that a topic now allows unclean elections.
	uncleanEnabled func(topic string)
	// brokerChanged is called after every change of the broker's own configuration. It is nil until
	// the components it changes exist.
	brokerChanged func(context.Context)
	wake          chan struct{}
	retry         time.Duration // pause after notifications that could not be read
	read          bool          // the brokers' configurations have been read since the watch was set
	last          int64         // number of the last processed notification; -1: none
	listed        int           // number of notifications in the last list
	purged        time.Time     // when old notifications were last purged
	expiration    time.Duration // age at which notifications are purged: changeExpiration except in tests

	mu      sync.Mutex // guards the fields below
	topics  map[string]map[string]string
	applied int64            // number of changes applied to topics' configurations
	logs    *storage.Manager // nil until the logs are loaded
}

// changeExpiration is the age at which notifications are purged. It is a constant in Kafka too.
const changeExpiration = 15 * time.Minute

// purgeInterval is the shortest time between two purges of old notifications.
const purgeInterval = time.Minute

// pausePerNotification is the pause after listing notifications, for each notification in the list.
// It is a few times the cost of the list, so following thousands of changes takes linear time.
const pausePerNotification = 2 * time.Microsecond

// A read of a topic's configuration without an answer within configAttempt is logged and repeated
// after configPause.
const (
	configAttempt = 30 * time.Second
	configPause   = 100 * time.Millisecond
)

// configRetry is the pause after notifications that could not be read.
const configRetry = time.Second

// newConfigs returns the configs of a broker that stops when ctx ends.
func newConfigs(ctx context.Context, store *zkstore.Store, dynamic *settings.Dynamic, brokerID metadata.BrokerID, log *logrus.Logger) *configs {
	return &configs{
		ctx: ctx, attempt: configAttempt, store: store, dynamic: dynamic, broker: strconv.Itoa(int(brokerID)),
		log: kafkalog.For(log, "kafka.server.ZkConfigManager"), uncleanEnabled: func(string) {},
		wake: make(chan struct{}, 1), retry: configRetry, last: -1, expiration: changeExpiration, topics: map[string]map[string]string{},
	}
}

// readBrokers applies the configurations stored for all brokers and for this one. It logs those
// that are unusable.
func (c *configs) readBrokers(ctx context.Context) error {
	for _, name := range []string{zkstore.DefaultEntity, c.broker} {
		if err := c.ignoreUnusable(c.applyBroker(ctx, name), string(zkstore.EntityBrokers)+"/"+name); err != nil {
			return err
		}
	}
	return nil
}

// readTopics reads the configurations of all topics, before the logs are loaded. One that cannot be
// decoded is logged and ignored.
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
		c.logDefaultsApply(topic, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.topics = all
	return nil
}

// serve sets the loaded logs, to which later changes are applied.
func (c *configs) serve(logs *storage.Manager) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.logs = logs
}

// known returns the configuration that was last read for a topic. It is used for topics found on
// disk.
func (c *configs) known(topic string) *settings.Topic {
	c.mu.Lock()
	overrides := c.topics[topic]
	c.mu.Unlock()
	return c.effective(topic, overrides)
}

// TopicConfig reads a topic's configuration from ZooKeeper, for a log that is being created. While
// ZooKeeper does not answer it waits, as Kafka does, until ZooKeeper answers or the broker stops:
// the controller announces a new partition only once and would not repeat a refused request.
func (c *configs) TopicConfig(topic string) (*settings.Topic, error) {
	overrides, err := c.learn(topic, func() (map[string]string, error) { return c.awaitTopic(topic) })
	if err != nil {
		return nil, err
	}
	return c.effective(topic, overrides), nil
}

// learn stores and returns the overrides of a topic that read returns. If a change was applied in
// the meantime, read may have returned an older configuration, so learn calls it again.
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

// awaitTopic reads a topic's overrides. While ZooKeeper does not answer it retries until the broker
// stops.
func (c *configs) awaitTopic(topic string) (map[string]string, error) {
	overrides, err := c.readTopic(topic)
	for errors.Is(err, context.DeadlineExceeded) || errors.Is(err, zkstore.ErrSessionExpired) {
		c.log.Warnf("The configuration of topic %s cannot be read while ZooKeeper does not answer (%v); its partitions on this broker wait for it", topic, err)
		select {
		case <-c.ctx.Done():
			return nil, c.ctx.Err()
		case <-time.After(configPause):
		}
		overrides, err = c.readTopic(topic)
	}
	return overrides, err
}

// readTopic makes one attempt to read a topic's overrides. Overrides that cannot be decoded are
// logged and ignored.
func (c *configs) readTopic(topic string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.attempt)
	defer cancel()
	overrides, err := c.store.Config(ctx, zkstore.EntityTopics, topic)
	if errors.Is(err, zkstore.ErrInvalidNode) {
		c.logDefaultsApply(topic, err)
		return map[string]string{}, nil
	}
	return overrides, err
}

// effective returns a topic's configuration with the overrides. If they are invalid it logs an
// error and returns the defaults, since the topic must be served.
func (c *configs) effective(topic string, overrides map[string]string) *settings.Topic {
	t, err := c.dynamic.TopicConfig(overrides)
	if err == nil {
		return t
	}
	c.logDefaultsApply(topic, err)
	t, err = c.dynamic.TopicConfig(nil)
	if err != nil { // the broker's own settings were validated at startup
		panic("broker: the topic defaults are invalid: " + err.Error())
	}
	return t
}

// logDefaultsApply logs that a topic's stored configuration cannot be used.
func (c *configs) logDefaultsApply(topic string, err error) {
	c.log.WithError(err).Errorf("The configuration of topic %s in %s cannot be used; the broker's defaults apply until it is corrected",
		topic, zkstore.EntityPath(zkstore.EntityTopics, topic))
}

// follow processes notifications until ctx ends. It retries after an error: if the notifications
// are not read, no watch is set and no further change would be noticed.
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
				c.log.WithError(err).Errorf("Error processing config changes; retrying every %v until they can be read", c.retry)
			}
			retry.Reset(c.retry)
		}
		failing = err != nil
		// ZooKeeper lists all notifications of the last 15 minutes. The pause lets several changes
		// share one list while thousands of topics are configured.
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
			c.log.WithError(change.Err).Errorf("Config change notification %d cannot be read and is skipped", change.Number)
		} else if err := c.ignoreUnusable(c.apply(ctx, change.Path), change.Path); err != nil {
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

// readMissed reads configurations whose notifications other brokers may have purged, which happens
// after changeExpiration, before this broker saw them. On its first call it reads the brokers'
// configurations, since log recovery may have taken that long; the topics' are read with every
// LeaderAndIsr request. After a gap in the notification numbers it reads all configurations.
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
	c.log.Warnf("Notifications %d to %d of config changes were purged before this broker saw them; reading all configurations", c.last+1, oldest-1)
	if err := c.readKnownTopics(ctx); err != nil {
		return err
	}
	c.last = oldest - 1
	return nil
}

// readKnownTopics applies the configurations of known topics that differ from the ones in effect.
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
		if err := c.ignoreUnusable(c.applyTopic(ctx, topic), string(zkstore.EntityTopics)+"/"+topic); err != nil {
			return err
		}
	}
	return nil
}

// unusableError wraps the error of a stored configuration that is invalid.
type unusableError struct{ error }

// Unwrap returns the cause.
func (e unusableError) Unwrap() error { return e.error }

// ignoreUnusable returns an error of reading the entity, which may succeed later. It logs an error
// in the entity's contents and returns nil; the configuration in effect then stays unchanged.
func (c *configs) ignoreUnusable(err error, entity string) error {
	var unusable unusableError
	if !errors.As(err, &unusable) && !errors.Is(err, zkstore.ErrInvalidNode) {
		return err
	}
	c.log.WithError(err).Errorf("Error processing the config change of %s", entity)
	return nil
}

// forget removes the configurations of deleted topics.
func (c *configs) forget(partitions []metadata.TopicPartition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range partitions {
		delete(c.topics, p.Topic)
	}
}

// apply reads an entity again and applies it.
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
	unclean := settings.TopicUncleanLeaderElectionEnable.Name
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
		c.log.Warnf("The dynamic configuration of %s has the key %s, which cannot be used and is ignored", name, key)
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

// refreshTopics applies the configuration of every topic and the defaults to the logs again, since
// the broker's settings that they derive from have changed.
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
