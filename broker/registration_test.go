package broker

import (
	"testing"
	"time"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/zktest"
	"github.com/monedula/monedula/settings"
)

// The controller registers the broker again after a lost session, but a session may be lost while
// there is no controller yet.
func TestASessionLostBeforeTheControllerStartsIsNoticed(t *testing.T) {
	keeper := zktest.Start(t)
	cfg, err := settings.FromMap(map[string]string{"broker.id": "1", "zookeeper.connect": keeper.Address(),
		"log.dirs": t.TempDir(), "listeners": "PLAINTEXT://127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	b := New(cfg, kafkalog.Discard())
	t.Cleanup(b.Stop)
	for _, step := range b.steps() {
		if err := step(t.Context()); err != nil {
			t.Fatal(err)
		}
		if b.store == nil || !b.store.Registered() {
			continue
		}
		first := b.store.SessionID()
		keeper.Expire()
		testkit.Eventually(t, 10*time.Second, "a new session", func() bool {
			now := b.store.SessionID()
			return now != 0 && now != first
		})
		break
	}
	if _, exists := keeper.Get("/brokers/ids/1"); exists {
		t.Fatal("the registration outlived its session")
	}
	if err := b.startController(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, exists := keeper.Get("/brokers/ids/1"); !exists {
		t.Error("the broker is not registered")
	}
}
