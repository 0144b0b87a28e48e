package broker

import (
	"context"
	"errors"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/zkstore"
)

// features follows /feature, which holds the cluster's finalized features. This broker finalizes
// and supports none, but reports the znode's version to clients. A new controller waits until its
// own broker has read the version that it wrote.
type features struct {
	store *zkstore.Store
	log   *logrus.Entry
	fatal func(error) // stops the broker, because the cluster uses a feature that it does not support
	wake  chan struct{}

	mu      sync.Mutex // guards the fields below
	version zkstore.Version
	changed chan struct{} // closed and replaced when version changes
}

// noFeatures is the version while /feature does not exist or cannot be read.
const noFeatures zkstore.Version = -1

func newFeatures(store *zkstore.Store, log *logrus.Logger, fatal func(error)) *features {
	return &features{
		store: store, log: kafkalog.For(log, "kafka.server.FinalizedFeatureChangeListener"), fatal: fatal,
		wake: make(chan struct{}, 1), version: noFeatures, changed: make(chan struct{}),
	}
}

// run starts to read /feature, now and whenever it changes, until ctx ends. It returns a channel
// that is closed after the first read.
func (f *features) run(ctx context.Context) (firstRead <-chan struct{}) {
	notify := func() {
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
	f.store.WatchNode(zkstore.FeaturePath, zkstore.NodeWatch{Created: notify, Changed: notify, Deleted: notify})
	first := make(chan struct{})
	go func() {
		f.read(ctx)
		close(first)
		for {
			select {
			case <-ctx.Done():
				f.store.UnwatchNode(zkstore.FeaturePath)
				return
			case <-f.wake:
				f.read(ctx)
			}
		}
	}()
	return first
}

func (f *features) read(ctx context.Context) {
	node, err := f.store.Feature(ctx)
	switch {
	case errors.Is(err, zkstore.ErrNoNode):
		f.set(noFeatures)
	case err != nil:
		if ctx.Err() == nil {
			f.log.WithError(err).Error("Failed to read /feature; its last known version is discarded")
			f.set(noFeatures)
		}
	default:
		if node.Enabled && len(node.Features) > 0 {
			f.fatal(errors.New("the cluster has finalized features (/feature) that this broker does not support"))
			return
		}
		f.set(node.Version)
	}
}

func (f *features) set(version zkstore.Version) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if version == f.version {
		return
	}
	f.version = version
	close(f.changed)
	f.changed = make(chan struct{})
}

// await returns once the given version or a later one has been read, or with ctx's error.
func (f *features) await(ctx context.Context, version zkstore.Version) error {
	for {
		f.mu.Lock()
		seen, changed := f.version, f.changed
		f.mu.Unlock()
		if seen >= version {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// epoch returns the version for ApiVersions, or -1 if none is known.
func (f *features) epoch() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return int64(f.version)
}
