// Package admin administers topics and configurations in ZooKeeper: it validates requests, assigns
// replicas and writes the znodes. broker/api serves it over the wire, and tools use it for
// --zookeeper.
//
// Errors carry protocol codes and Kafka's messages (protocol.Error). An error without a code is
// answered with UNKNOWN_SERVER_ERROR.
package admin

import (
	"context"
	"errors"
	"math/rand/v2"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/zkstore"
)

// Store is the part of ZooKeeper that administration uses. *zkstore.Store implements it.
type Store interface {
	TopicExists(ctx context.Context, name string) (bool, error)
	TopicNames(ctx context.Context) ([]string, error)
	TopicNodes(ctx context.Context, names []string) (map[string]zkstore.TopicNode, error)
	TopicMarkedForDeletion(ctx context.Context, name string) (bool, error)
	CreateTopic(ctx context.Context, t zkstore.TopicNode) error
	SetTopic(ctx context.Context, f zkstore.Fence, t zkstore.TopicNode) (zkstore.Version, error)
	CreateTopicDeletion(ctx context.Context, name string) error
	BrokerIDs(ctx context.Context) ([]metadata.BrokerID, error)
	BrokerNode(ctx context.Context, id metadata.BrokerID) (info *zkstore.BrokerInfo, owner int64, err error)
	Config(ctx context.Context, t zkstore.EntityType, name string) (map[string]string, error)
	SetConfig(ctx context.Context, t zkstore.EntityType, name string, config map[string]string) error
	SetConfigUnchecked(ctx context.Context, t zkstore.EntityType, name string, config map[string]string) error
	NotifyConfigChange(ctx context.Context, t zkstore.EntityType, name string) error
}

var _ Store = (*zkstore.Store)(nil)

// Options configures an Admin.
type Options struct {
	Store Store
	// Settings returns the broker's current configuration, which has the defaults of topics. It is
	// nil in tools, which do not know these defaults.
	Settings func() *settings.Config
	// Unchecked writes configurations without checking /controller, as the tools of Kafka 2.8 do.
	Unchecked bool
	// TopicIDs assigns ids to new topics, as Kafka does from IBP 2.8-IV0 on.
	TopicIDs bool
	// Random returns a number in [0, n). If it is nil, rand.IntN is used.
	Random func(n int) int
	Logger *logrus.Logger
}

// Admin administers topics and configurations. It is safe for concurrent use.
type Admin struct {
	Options
	log *logrus.Entry
}

// New returns an Admin.
func New(o Options) *Admin {
	if o.Random == nil {
		o.Random = rand.IntN
	}
	return &Admin{Options: o, log: kafkalog.For(o.Logger, "kafka.zk.AdminZkClient")}
}

// validateTopic checks a topic's overrides against the broker's defaults or, in a tool, against the
// defaults of a broker with an empty configuration.
func (a *Admin) validateTopic(overrides map[string]string) error {
	if a.Settings == nil {
		return settings.ValidateTopic(overrides)
	}
	return a.Settings().ValidateTopic(overrides)
}

func (a *Admin) setConfig(ctx context.Context, t zkstore.EntityType, name string, config map[string]string) error {
	if size := zkstore.ConfigBytes(config); size > zkstore.NodeBytesMax {
		return protocol.Errorf(protocol.InvalidConfig, "The configuration of %s '%s' takes %d bytes in ZooKeeper; a node can have at most %d.",
			t, name, size, zkstore.NodeBytesMax)
	}
	set := a.Store.SetConfig
	if a.Unchecked {
		set = a.Store.SetConfigUnchecked
	}
	return storeError(set(ctx, t, name, config))
}

// storeError converts the error of a failed write to the code for clients.
func storeError(err error) error {
	var moved *zkstore.ControllerMovedError
	if errors.As(err, &moved) {
		return protocol.Errorf(protocol.StaleControllerEpoch, "%s", moved.Message)
	}
	return err
}

// invalidConfig converts the error of an invalid configuration to the code for clients.
func invalidConfig(err error) error {
	var p *settings.Problem
	if errors.As(err, &p) {
		return protocol.Errorf(protocol.InvalidConfig, "%s", p.Message())
	}
	return err
}
