package broker

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/zkstore"
)

// A broker that hears of a new partition while ZooKeeper is out of its reach
// waits for the topic's configuration however long that takes: the controller
// does not repeat what was refused. The stop of the broker ends the wait.
func TestANewPartitionWaitsForItsConfigurationWhileZooKeeperIsAway(t *testing.T) {
	z := testkit.NewZooKeeper(t)
	store, err := zkstore.Open(t.Context(), zkstore.Config{Connect: z.Address(), SessionTimeout: 3 * time.Second, Logger: kafkalog.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	if err := store.CreateStartupPaths(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := store.SetConfigUnchecked(t.Context(), zkstore.EntityTopics, "t", map[string]string{"retention.ms": "12345"}); err != nil {
		t.Fatal(err)
	}
	cfg, err := settings.FromMap(map[string]string{"zookeeper.connect": z.Address()})
	if err != nil {
		t.Fatal(err)
	}
	told := &test.Hook{}
	log := kafkalog.Discard()
	log.AddHook(told)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	c := newConfigs(ctx, store, settings.NewDynamic(cfg), 1, log)
	c.attempt = 50 * time.Millisecond
	type answer struct {
		config *settings.Topic
		err    error
	}
	ask := func() chan answer {
		asked := make(chan answer, 1)
		before := len(told.AllEntries())
		go func() {
			config, err := c.TopicConfig("t")
			asked <- answer{config, err}
		}()
		testkit.Eventually(t, 10*time.Second, "two attempts without an answer", func() bool {
			return len(told.AllEntries()) >= before+2 && told.LastEntry().Level == logrus.WarnLevel
		})
		return asked
	}

	z.Pause()
	asked := ask()
	z.Resume()
	if got := <-asked; got.err != nil || got.config.RetentionMs != 12345 {
		t.Errorf("once ZooKeeper was back: %+v, %v", got.config, got.err)
	}
	z.Pause()
	defer z.Resume()
	asked = ask()
	stop()
	if got := <-asked; !errors.Is(got.err, context.Canceled) {
		t.Errorf("of a broker that stopped: %+v, %v", got.config, got.err)
	}
}
