package broker

import (
	"context"
	"fmt"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/storage"
	"github.com/monedula/monedula/zkstore"
)

// identity is who this broker is: the cluster it belongs to, from ZooKeeper,
// and its id, from the configuration, the log directories, or new from ZooKeeper.
type identity struct {
	clusterID string
	brokerID  int32
}

// findIdentity settles cluster id and broker id, in Kafka's order of preference.
func findIdentity(ctx context.Context, cfg *settings.Config, store *zkstore.Store, fs vfs.FS) (identity, error) {
	var id identity
	var err error
	if id.clusterID, err = store.CreateOrGetClusterID(ctx); err != nil {
		return id, fmt.Errorf("read /cluster/id from ZooKeeper: %w", err)
	}
	storedID, _, err := storage.StoredIdentity(fs, cfg.LogDirs())
	if err != nil {
		return id, err
	}
	switch {
	case cfg.BrokerID() >= 0:
		id.brokerID = cfg.BrokerID()
	case storedID >= 0:
		id.brokerID = storedID
	case cfg.Bool("broker.id.generation.enable"):
		if id.brokerID, err = store.GenerateBrokerID(ctx, cfg.Int("reserved.broker.max.id")); err != nil {
			return id, fmt.Errorf("get a new broker id from ZooKeeper: %w", err)
		}
	default:
		return id, fmt.Errorf("broker.id is not set, broker.id.generation.enable is false, and no log directory holds an id; set broker.id")
	}
	return id, nil
}
