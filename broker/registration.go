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

// registration is this broker's entry below /brokers/ids, and its epoch.
type registration struct {
	store   *zkstore.Store
	session time.Duration
	log     *logrus.Entry
	epoch   atomic.Int64 // czxid of the znode; -1 while not registered

	mu   sync.Mutex // guards info
	info zkstore.BrokerInfo
}

// graceAfterSession is how much longer than the session timeout a restarted
// broker waits for the node of its former self to go.
const graceAfterSession = 5 * time.Second

func newRegistration(store *zkstore.Store, info zkstore.BrokerInfo, session time.Duration, log *logrus.Logger) *registration {
	r := &registration{store: store, info: info, session: session, log: kafkalog.For(log, "kafka.server.KafkaServer")}
	r.epoch.Store(-1)
	return r
}

// brokerInfo is what the broker says of itself. bound tells the port of a
// listener that was configured with port 0.
func brokerInfo(cfg *settings.Config, id int32, bound func(listener string) int) (zkstore.BrokerInfo, error) {
	info := zkstore.BrokerInfo{ID: id, Rack: cfg.StringOrNil("broker.rack"), JMXPort: -1, Features: map[string]zkstore.FeatureRange{}}
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

// current is what the node holds, or will.
func (r *registration) current() zkstore.BrokerInfo {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.info
}

// update changes what the broker says of itself; the node keeps its epoch. A
// registration anew, after a lost session, has it too.
func (r *registration) update(ctx context.Context, info zkstore.BrokerInfo) error {
	r.mu.Lock()
	r.info = info
	r.mu.Unlock()
	return r.store.UpdateBroker(ctx, info)
}

// check refuses, before the logs are loaded, an id or an address that somebody
// else has registered.
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
			if err := r.checkFormerSelf(other); err != nil {
				return err
			}
			continue
		}
		for _, e := range info.Endpoints {
			if slices.ContainsFunc(other.Endpoints, func(o metadata.Endpoint) bool { return o.Host == e.Host && o.Port == e.Port }) {
				return fmt.Errorf("Configured end points %s:%d in advertised listeners are already registered by broker %d. Give this broker an address of its own in listeners or advertised.listeners",
					e.Host, e.Port, id)
			}
		}
	}
	return nil
}

// checkFormerSelf refuses a node of our id that was registered from elsewhere.
func (r *registration) checkFormerSelf(other *zkstore.BrokerInfo) error {
	info := r.current()
	if slices.Equal(other.Endpoints, info.Endpoints) {
		return nil
	}
	return fmt.Errorf("Broker id %d is registered already, with the end points %s; this broker has %s. Either another broker uses the id (give this one another broker.id), or this broker's listeners were changed while its old session lives on (then start it again when the node %s is gone)",
		info.ID, endpointsText(other.Endpoints), endpointsText(info.Endpoints), zkstore.BrokerPath(info.ID))
}

// register creates the node. One left by this broker's former life, which was
// killed, is waited for: never longer than its session can last, and never deleted.
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
		if err := r.checkFormerSelf(other); err != nil {
			return err
		}
		if err := r.awaitFormerSelf(ctx, deadline); err != nil {
			return err
		}
	}
}

// awaitFormerSelf waits until the node is gone, saying each second how long still.
func (r *registration) awaitFormerSelf(ctx context.Context, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	id := r.current().ID
	gone := make(chan error, 1)
	go func() { gone <- r.store.AwaitBrokerGone(ctx, id) }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		r.log.Infof("%s still exists, left by this broker's former process; waiting for its session to end, %d s at most",
			zkstore.BrokerPath(id), int(time.Until(deadline).Round(time.Second)/time.Second))
		select {
		case err := <-gone:
			if errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("%s still exists after the session timeout: another process with broker.id=%d and the same listeners seems to run; stop it, or give this broker another id",
					zkstore.BrokerPath(id), id)
			}
			return err
		case <-tick.C:
		}
	}
}
