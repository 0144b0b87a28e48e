package broker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/zkstore"
)

// registration is this broker's node below /brokers/ids, and its epoch.
type registration struct {
	store   *zkstore.Store
	session time.Duration
	log     *logrus.Entry
	epoch   atomic.Int64 // czxid of the znode; -1 while not registered

	mu   sync.Mutex // guards info
	info zkstore.BrokerInfo
}

// graceAfterSession is how much longer than the session timeout a restarted broker waits for its
// old registration to expire.
const graceAfterSession = 5 * time.Second

func newRegistration(store *zkstore.Store, info zkstore.BrokerInfo, session time.Duration, log *logrus.Logger) *registration {
	r := &registration{store: store, info: info, session: session, log: kafkalog.For(log, "kafka.server.KafkaServer")}
	r.epoch.Store(-1)
	return r
}

// brokerInfo returns what the broker registers in ZooKeeper. bound returns the port of a listener
// that was configured with port 0.
func brokerInfo(cfg *settings.Config, id metadata.BrokerID, bound func(listener string) int) (zkstore.BrokerInfo, error) {
	info := zkstore.BrokerInfo{ID: id, Rack: settings.BrokerRack.OrNil(cfg), JMXPort: -1, Features: map[string]zkstore.FeatureRange{}}
	for _, e := range cfg.AdvertisedListeners() {
		host, port := e.Host, e.Port
		if host == "" {
			name, err := os.Hostname()
			if err != nil {
				return info, fmt.Errorf("find this machine's name for advertised.listeners: %w", err)
			}
			host = name
		}
		if port == 0 {
			port = int32(bound(e.Listener))
		}
		info.Endpoints = append(info.Endpoints, metadata.Endpoint{Listener: e.Listener, Host: host, Port: port, SecurityProtocol: int16(e.Protocol)})
	}
	return info, nil
}

func endpointsText(endpoints []metadata.Endpoint) string {
	texts := make([]string, len(endpoints))
	for i, e := range endpoints {
		texts[i] = fmt.Sprintf("%s://%s:%d", e.Listener, e.Host, e.Port)
	}
	return strings.Join(texts, ",")
}

// current returns the contents of the node, or what they will be once it is created.
func (r *registration) current() zkstore.BrokerInfo {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.info
}

// update changes the contents of the node, which keeps its epoch. A later registration, after a
// lost session, uses them too.
func (r *registration) update(ctx context.Context, info zkstore.BrokerInfo) error {
	r.mu.Lock()
	r.info = info
	r.mu.Unlock()
	return r.store.UpdateBroker(ctx, info)
}

// check refuses, before the logs are loaded, an id or an address that another broker has
// registered.
func (r *registration) check(ctx context.Context) error {
	info := r.current()
	ids, err := r.store.BrokerIDs(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		other, _, err := r.store.BrokerNode(ctx, id)
		if errors.Is(err, zkstore.ErrNoNode) {
			continue
		}
		if err != nil {
			return err
		}
		if id == info.ID {
			if err := r.checkOldRegistration(other); err != nil {
				return err
			}
			continue
		}
		for _, e := range info.Endpoints {
			if slices.ContainsFunc(other.Endpoints, func(o metadata.Endpoint) bool { return o.Host == e.Host && o.Port == e.Port }) {
				return fmt.Errorf("Configured end points %s:%d in advertised listeners are already registered by broker %d. Give this broker a different address in listeners or advertised.listeners",
					e.Host, e.Port, id)
			}
		}
	}
	return nil
}

// checkOldRegistration refuses a node with our id and other endpoints.
func (r *registration) checkOldRegistration(other *zkstore.BrokerInfo) error {
	info := r.current()
	if slices.Equal(other.Endpoints, info.Endpoints) {
		return nil
	}
	return fmt.Errorf("Broker id %d is already registered with the end points %s; this broker has %s. Either another broker uses the id (then give this broker another broker.id), or this broker's listeners were changed while its old session is alive (then start it again when the node %s is gone)",
		info.ID, endpointsText(other.Endpoints), endpointsText(info.Endpoints), zkstore.BrokerPath(info.ID))
}

// register creates the node. If a killed process of this broker left one, register waits until it
// expires, at most for the session timeout and graceAfterSession. It never deletes the node.
func (r *registration) register(ctx context.Context) error {
	limit := r.session + graceAfterSession
	deadline := time.Now().Add(limit)
	for {
		info := r.current()
		epoch, err := r.store.RegisterBroker(ctx, info)
		if err == nil {
			r.epoch.Store(epoch)
			return nil
		}
		if !errors.Is(err, zkstore.ErrNodeExists) {
			return fmt.Errorf("register in ZooKeeper at %s: %w", zkstore.BrokerPath(info.ID), err)
		}
		other, _, err := r.store.BrokerNode(ctx, info.ID)
		if errors.Is(err, zkstore.ErrNoNode) {
			continue
		}
		if err != nil {
			return err
		}
		if err := r.checkOldRegistration(other); err != nil {
			return err
		}
		if err := r.awaitOldRegistration(ctx, deadline); err != nil {
			return err
		}
	}
}

// awaitOldRegistration waits until the node is gone, and logs the remaining time every second.
func (r *registration) awaitOldRegistration(ctx context.Context, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	id := r.current().ID
	gone := make(chan error, 1)
	go func() { gone <- r.store.AwaitBrokerGone(ctx, id) }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		r.log.Infof("%s still exists, left by an earlier process of this broker; waiting for its session to expire, at most %d s",
			zkstore.BrokerPath(id), int(time.Until(deadline).Round(time.Second)/time.Second))
		select {
		case err := <-gone:
			if errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("%s still exists after the session timeout: another process with broker.id=%d and the same listeners seems to be running; stop it, or give this broker another id",
					zkstore.BrokerPath(id), id)
			}
			return err
		case <-tick.C:
		}
	}
}
