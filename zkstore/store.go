// Package zkstore reads and writes the znodes of a Kafka cluster: the path and JSON of each, and
// writes fenced by the controller epoch. Other packages reach ZooKeeper only through it. Package
// zkclient contains the parts that do not depend on Kafka's znodes: sessions, requests with
// retries, and watches.
//
//	store.go                        a store, its configuration, and the parts of which it consists
//	fenced.go                       writes fenced by the controller epoch
//	paths.go, json.go, decode.go    layout of the znodes: pure functions
//
// The other files have the operations on one subject each.
package zkstore

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/zkstore/zkclient"
)

// Config is the configuration of a Store.
type Config struct {
	Connect           string        // zookeeper.connect: h1:p1,h2:p2/chroot
	SessionTimeout    time.Duration // zookeeper.session.timeout.ms; 0 means 18 s
	ConnectionTimeout time.Duration // zookeeper.connection.timeout.ms; 0 means SessionTimeout
	MaxInFlight       int           // zookeeper.max.in.flight.requests; 0 means 10
	SecureACL         bool          // zookeeper.set.acl
	CreateChroot      bool          // create a missing chroot: true for brokers, false for tools
	Name              string        // prefix of log lines; "" means "Kafka server"
	Logger            *logrus.Logger
	Observer          Observer         // may be nil
	Now               func() time.Time // clock for timestamps in znodes; nil means time.Now
}

// client returns the configuration of the store's client.
func (cfg Config) client() zkclient.Config {
	return zkclient.Config{
		Connect: cfg.Connect, SessionTimeout: cfg.SessionTimeout, ConnectionTimeout: cfg.ConnectionTimeout, MaxInFlight: cfg.MaxInFlight,
		CreateChroot: cfg.CreateChroot, Name: cfg.Name, Logger: cfg.Logger, Observer: cfg.Observer, ACL: cfg.acl,
	}
}

// Types and constants of the client, for callers of the store.
type (
	// Version is a znode's dataVersion.
	Version = zkclient.Version
	// Observer receives events of the connection.
	Observer = zkclient.Observer
	// SessionListener has hooks for the loss of a session.
	SessionListener = zkclient.SessionListener
	// NodeWatch has the functions to call when a node is created or deleted or its data changes.
	NodeWatch = zkclient.NodeWatch
)

// AnyVersion makes a conditional write unconditional. It never means that a node is missing.
const AnyVersion = zkclient.AnyVersion

// NodeBytesMax is the maximum size of a new node's data in bytes.
const NodeBytesMax = zkclient.NodeBytesMax

// Store reads and writes the znodes of a Kafka cluster. It is composed of a type for each subject,
// in a file of the same name. The client has the methods for sessions and watches.
type Store struct {
	*zkclient.Client
	cluster
	features
	brokers
	topics
	partitions
	configs
	configChanges
	elections
	notifications
	adminRequests
	consumers

	nodes nodes
}

// Open connects within ConnectionTimeout, creates the chroot if cfg.CreateChroot is set, and
// returns the store. It returns a *ConnectionTimeoutError if no server could be reached in time.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	client, err := zkclient.Open(ctx, cfg.client())
	if err != nil {
		return nil, err
	}
	return newStore(cfg, client), nil
}

// NewSteppable returns a store without goroutines and its client, through which the caller begins
// and ends sessions and lets watches fire.
func NewSteppable(cfg Config) (*Store, *zkclient.Steppable) {
	client := zkclient.NewSteppable(cfg.client())
	return newStore(cfg, client.Client), client
}

func newStore(cfg Config, client *zkclient.Client) *Store {
	if cfg.Logger == nil {
		cfg.Logger = kafkalog.Discard()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	n := nodes{zkclient.NewNodes(client), kafkalog.For(cfg.Logger, "kafka.zk.KafkaZkClient")}
	return &Store{
		Client: client, nodes: n,
		cluster: cluster{n}, features: features{n}, brokers: brokers{nodes: n, now: cfg.Now, secure: cfg.SecureACL},
		topics: topics{n}, partitions: partitions{n}, configs: configs{n}, configChanges: configChanges{n},
		elections: elections{n, cfg.Now}, notifications: notifications{n}, adminRequests: adminRequests{n}, consumers: consumers{n},
	}
}

// Arm arms the NodeWatch of path, if one is registered, and reports whether the node exists.
func (s *Store) Arm(ctx context.Context, path string) (exists bool, err error) {
	return s.nodes.Exists(ctx, path)
}
