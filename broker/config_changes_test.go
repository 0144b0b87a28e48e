package broker

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/zkstore"
)

// configsOf returns the configs of a broker with the id 1, which logs to log.
func configsOf(ctx context.Context, t *testing.T, connect string, log *test.Hook) *configs {
	t.Helper()
	store, err := zkstore.Open(t.Context(), zkstore.Config{Connect: connect, CreateChroot: true, SessionTimeout: 3 * time.Second, Logger: kafkalog.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	if err := store.CreateStartupPaths(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg, err := settings.FromMap(map[string]string{"zookeeper.connect": connect})
	if err != nil {
		t.Fatal(err)
	}
	logger := kafkalog.Discard()
	logger.AddHook(log)
	return newConfigs(ctx, store, settings.NewDynamic(cfg), 1, logger)
}

// set writes a configuration without a notification.
func set(t *testing.T, c *configs, kind zkstore.EntityType, name string, config map[string]string) {
	t.Helper()
	if err := c.store.SetConfigUnchecked(t.Context(), kind, name, config); err != nil {
		t.Fatal(err)
	}
}

// notifyOf writes a notification about a topic whose configuration has not changed.
func notifyOf(t *testing.T, c *configs, name string) {
	t.Helper()
	if err := c.store.NotifyConfigChange(t.Context(), zkstore.EntityTopics, name); err != nil {
		t.Fatal(err)
	}
}

// follow follows the changes until the end of the test.
func follow(t *testing.T, c *configs) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		c.follow(ctx)
		close(ended)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
}

// A change made during log recovery takes effect once the changes are followed, even if its
// notification was purged in the meantime.
func TestAChangeDuringALongRecoveryIsNotMissed(t *testing.T) {
	c := configsOf(t.Context(), t, testkit.ZooKeeper(t), &test.Hook{})
	if err := c.readBrokers(t.Context()); err != nil {
		t.Fatal(err)
	}
	set(t, c, zkstore.EntityBrokers, zkstore.DefaultEntity, map[string]string{"message.max.bytes": "3000000"})
	set(t, c, zkstore.EntityBrokers, "1", map[string]string{"num.io.threads": "9"})
	changed := make(chan struct{}, 10)
	c.brokerChanged = func(context.Context) { changed <- struct{}{} }
	follow(t, c)
	<-changed
	<-changed
	if now := c.dynamic.Current(); settings.MessageMaxBytes.Of(now) != 3000000 || settings.NumIOThreads.Of(now) != 9 {
		t.Errorf("message.max.bytes is %d and num.io.threads %d, want 3000000 and 9", settings.MessageMaxBytes.Of(now), settings.NumIOThreads.Of(now))
	}
}

// A broker without a session for longer than notifications are kept reads all configurations when
// it notices that some notifications were purged.
func TestChangesWhoseNotificationsWerePurgedAreRead(t *testing.T) {
	c := configsOf(t.Context(), t, testkit.ZooKeeper(t), &test.Hook{})
	if _, err := c.TopicConfig("t"); err != nil {
		t.Fatal(err)
	}
	notifyOf(t, c, "seen")
	if err := c.process(t.Context()); err != nil || c.last != 0 {
		t.Fatal(c.last, err)
	}
	set(t, c, zkstore.EntityTopics, "t", map[string]string{"unclean.leader.election.enable": "true"})
	set(t, c, zkstore.EntityBrokers, "1", map[string]string{"num.io.threads": "9"})
	notifyOf(t, c, "purged")
	if err := c.store.PurgeConfigChanges(t.Context(), []string{"config_change_0000000000", "config_change_0000000001"}, 1<<62); err != nil {
		t.Fatal(err)
	}
	notifyOf(t, c, "other")
	unclean := ""
	c.uncleanEnabled = func(topic string) { unclean += topic }
	for range 2 {
		if err := c.process(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := settings.NumIOThreads.Of(c.dynamic.Current()); n != 9 || unclean != "t" || c.last != 2 {
		t.Errorf("num.io.threads is %d, unclean elections were enabled for %q, notification %d was the last; want 9, t and 2", n, unclean, c.last)
	}
}

// A change that cannot be read is not skipped but read again.
func TestAChangeThatCannotBeReadIsReadAgain(t *testing.T) {
	c := configsOf(t.Context(), t, testkit.ZooKeeper(t), &test.Hook{})
	if err := c.process(t.Context()); err != nil {
		t.Fatal(err)
	}
	set(t, c, zkstore.EntityBrokers, "1", map[string]string{"num.io.threads": "9"})
	if err := c.store.NotifyConfigChange(t.Context(), zkstore.EntityBrokers, "1"); err != nil {
		t.Fatal(err)
	}
	// The notifications can be listed, but their configurations can no longer be read.
	ctx, stop := context.WithCancel(t.Context())
	changes, _, err := c.store.ConfigChanges(ctx, c.last)
	if err != nil || len(changes) != 1 {
		t.Fatal(changes, err)
	}
	stop()
	if err := c.ignoreUnusable(c.apply(ctx, changes[0].Path), changes[0].Path); !errors.Is(err, context.Canceled) {
		t.Errorf("the error of reading is %v", err)
	}
	if err := c.process(ctx); !errors.Is(err, context.Canceled) || c.last != -1 {
		t.Errorf("%v; notification %d counts as processed, want none", err, c.last)
	}
	if err := c.process(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := settings.NumIOThreads.Of(c.dynamic.Current()); n != 9 || c.last != 0 {
		t.Errorf("num.io.threads is %d and notification %d was the last, want 9 and 0", n, c.last)
	}
}

// A stored configuration that cannot be used does not prevent others from being applied.
func TestAnUnusableConfigurationIsSkipped(t *testing.T) {
	c := configsOf(t.Context(), t, testkit.ZooKeeper(t), &test.Hook{})
	set(t, c, zkstore.EntityBrokers, zkstore.DefaultEntity, map[string]string{"max.connections.per.ip": "0"})
	set(t, c, zkstore.EntityBrokers, "1", map[string]string{"num.io.threads": "9"})
	notifyOf(t, c, "t")
	if err := c.process(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := settings.NumIOThreads.Of(c.dynamic.Current()); n != 9 || c.last != 0 {
		t.Errorf("num.io.threads is %d and notification %d was the last, want 9 and 0", n, c.last)
	}
}

// A stored configuration that cannot be decoded or used prevents neither a start nor a LeaderAndIsr
// request: it is logged, and the defaults apply. A real broker does not start with most of these.
func TestUnusableConfigurationsDoNotPreventAStart(t *testing.T) {
	connect := testkit.ZooKeeper(t)
	address, chroot, _ := strings.Cut(connect, "/")
	conn, _, err := zk.Connect([]string{address}, 3*time.Second, zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for stored, lines := range map[string]int{
		`{"version":1,"config":`:                                                     0, // no line, as with a real broker
		`{"version":1,"config":[1]}`:                                                 2,
		`{"version":1,"config":{"retention.ms":5,"num.io.threads":9}}`:               2,
		`{"version":1,"config":{"retention.ms":null}}`:                               1, // no line about the broker
		`{"version":1,"config":{"retention.ms":"abc","max.connections.per.ip":"0"}}`: 2,
	} {
		logged := &test.Hook{}
		c := configsOf(t.Context(), t, connect, logged)
		set(t, c, zkstore.EntityTopics, "good", map[string]string{"retention.ms": "12345"})
		set(t, c, zkstore.EntityTopics, "bad", nil)
		set(t, c, zkstore.EntityBrokers, "1", nil)
		set(t, c, zkstore.EntityBrokers, zkstore.DefaultEntity, map[string]string{"num.io.threads": "7"})
		for _, path := range []string{"/config/topics/bad", "/config/brokers/1"} {
			if _, err := conn.Set("/"+chroot+path, []byte(stored), -1); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(c.readBrokers(t.Context()), c.readTopics(t.Context())); err != nil {
			t.Errorf("%s: the start fails: %v", stored, err)
		}
		if n := settings.NumIOThreads.Of(c.dynamic.Current()); n != 7 {
			t.Errorf("%s: num.io.threads is %d, want that of the default for all brokers", stored, n)
		}
		read, err := c.TopicConfig("bad")
		if err != nil {
			t.Fatalf("%s: %v", stored, err)
		}
		for topic, want := range map[string]int64{"good": 12345, "bad": read.RetentionMs} {
			if got := c.known(topic).RetentionMs; got != want || topic == "bad" && got != 7*24*3600*1000 {
				t.Errorf("%s: retention.ms of %s is %d", stored, topic, got)
			}
		}
		errored := map[string]bool{}
		for _, e := range logged.AllEntries() {
			if e.Level == logrus.ErrorLevel {
				errored[e.Message] = true
			}
		}
		if len(errored) != lines {
			t.Errorf("%s: logged %v, want %d lines", stored, errored, lines)
		}
	}
}

func TestConfigurationsOfDeletedTopicsAreForgotten(t *testing.T) {
	c := configsOf(t.Context(), t, testkit.ZooKeeper(t), &test.Hook{})
	for _, topic := range []string{"kept", "deleted"} {
		if _, err := c.TopicConfig(topic); err != nil {
			t.Fatal(err)
		}
	}
	c.forget([]metadata.TopicPartition{{Topic: "deleted", Partition: 0}, {Topic: "deleted", Partition: 1}, {Topic: "unknown"}})
	if _, kept := c.topics["kept"]; !kept || len(c.topics) != 1 {
		t.Errorf("the known topics are %v, want only the one that was kept", c.topics)
	}
}

// A broker that receives a new partition while ZooKeeper is unreachable waits for the topic's
// configuration, however long that takes: the controller does not repeat a refused request.
// Stopping the broker ends the wait.
func TestANewPartitionWaitsForItsConfigurationWhileZooKeeperIsAway(t *testing.T) {
	z := testkit.NewZooKeeper(t)
	logged := &test.Hook{}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	c := configsOf(ctx, t, z.Address(), logged)
	set(t, c, zkstore.EntityTopics, "t", map[string]string{"retention.ms": "12345"})
	c.attempt = 50 * time.Millisecond
	type answer struct {
		config *settings.Topic
		err    error
	}
	ask := func() chan answer {
		asked := make(chan answer, 1)
		before := len(logged.AllEntries())
		go func() {
			config, err := c.TopicConfig("t")
			asked <- answer{config, err}
		}()
		testkit.Eventually(t, 10*time.Second, "two attempts without an answer", func() bool {
			return len(logged.AllEntries()) >= before+2 && logged.LastEntry().Level == logrus.WarnLevel
		})
		return asked
	}

	z.Pause()
	asked := ask()
	z.Resume()
	if got := <-asked; got.err != nil || got.config.RetentionMs != 12345 {
		t.Errorf("after ZooKeeper came back: %+v, %v", got.config, got.err)
	}
	z.Pause()
	defer z.Resume()
	asked = ask()
	stop()
	if got := <-asked; !errors.Is(got.err, context.Canceled) {
		t.Errorf("after the broker stopped: %+v, %v", got.config, got.err)
	}
}

// A configuration that is read while a change of it is applied may be older than the change. It
// must not replace it.
func TestAReadDoesNotReplaceAChangeAppliedMeanwhile(t *testing.T) {
	c := &configs{topics: map[string]map[string]string{}}
	older, newer := map[string]string{"retention.ms": "1"}, map[string]string{"retention.ms": "2"}
	reads := 0
	got, err := c.learn("t", func() (map[string]string, error) {
		if reads++; reads > 1 {
			return newer, nil
		}
		c.topics["t"] = newer // as applyTopic does
		c.applied++
		return older, nil
	})
	if err != nil || got["retention.ms"] != "2" || c.topics["t"]["retention.ms"] != "2" {
		t.Errorf("%v, %v; kept: %v", got, err, c.topics)
	}
	if reads != 2 {
		t.Errorf("read %d times, want 2", reads)
	}
}

// Notifications that are old are purged at the start and then at most once per interval.
func TestOldNotificationsArePurgedOncePerInterval(t *testing.T) {
	c := configsOf(t.Context(), t, testkit.ZooKeeper(t), &test.Hook{})
	left := func(what string, want int) {
		t.Helper()
		if err := c.process(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, all, err := c.store.ConfigChanges(t.Context(), -1); err != nil || len(all) != want {
			t.Errorf("%s: %q are left (%v), want %d", what, all, err, want)
		}
	}
	notifyOf(t, c, "a")
	c.expiration = -time.Minute // all notifications are old
	left("at first", 0)
	notifyOf(t, c, "b")
	notifyOf(t, c, "c")
	left("soon after", 2)
	c.purged = c.purged.Add(-purgeInterval)
	left("a while later", 0)
}
