// Package admin is topic and configuration administration against ZooKeeper:
// it validates, assigns replicas and writes the znodes; broker/api serves it
// over the wire, tools use it for --zookeeper.
//
// Errors carry protocol codes and Kafka's messages (protocol.Error). One
// without a code is answered by UNKNOWN_SERVER_ERROR.
package admin

import (
	"context"
	"errors"
	"math/rand/v2"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/zkstore"
)

// Store is what administration needs of ZooKeeper; *zkstore.Store has it.
type Store interface {
	TopicExists(ctx context.Context, name string) (bool, error)
	TopicNames(ctx context.Context) ([]string, error)
	TopicNodes(ctx context.Context, names []string) (map[string]zkstore.TopicNode, error)
	TopicMarkedForDeletion(ctx context.Context, name string) (bool, error)
	CreateTopic(ctx context.Context, t zkstore.TopicNode) error
	SetTopic(ctx context.Context, f zkstore.Fence, t zkstore.TopicNode) (zkstore.Version, error)
	CreateTopicDeletion(ctx context.Context, name string) error
	BrokerIDs(ctx context.Context) ([]int32, error)
	BrokerNode(ctx context.Context, id int32) (info *zkstore.BrokerInfo, owner int64, err error)
	Config(ctx context.Context, t zkstore.EntityType, name string) (map[string]string, error)
	SetConfig(ctx context.Context, t zkstore.EntityType, name string, config map[string]string) error
	SetConfigUnchecked(ctx context.Context, t zkstore.EntityType, name string, config map[string]string) error
	NotifyConfigChange(ctx context.Context, t zkstore.EntityType, name string) error
}

var _ Store = (*zkstore.Store)(nil)

// Options says for whom administration is done.
type Options struct {
	Store Store
	// Settings is the broker's configuration now, which gives the defaults of
	// topics; nil for tools, which know none.
	Settings func() *settings.Config
	// Unchecked writes configurations without looking at /controller, as the
	// tools of 2.8 do.
	Unchecked bool
	// TopicIDs gives new topics an id: from IBP 2.8-IV0 on.
	TopicIDs bool
	// Random returns a number in [0, n); nil: at random.
	Random func(n int) int
	Logger *logrus.Logger
}

// Admin administers topics and configurations. Safe for concurrent use.
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

// validateTopic checks a topic's overrides against the broker's defaults, or,
// for a tool, against those of a broker that configures nothing.
func (a *Admin) validateTopic(overrides map[string]string) error {
	if a.Settings == nil {
		return settings.ValidateTopic(overrides)
	}
	return a.Settings().ValidateTopic(overrides)
}

func (a *Admin) setConfig(ctx context.Context, t zkstore.EntityType, name string, config map[string]string) error {
	if size := zkstore.ConfigBytes(config); size > zkstore.NodeBytesMax {
		return protocol.Errorf(protocol.InvalidConfig, "The configuration of %s '%s' takes %d bytes in ZooKeeper, where a node can have %d.",
			t, name, size, zkstore.NodeBytesMax)
	}
	set := a.Store.SetConfig
	if a.Unchecked {
		set = a.Store.SetConfigUnchecked
	}
	return storeError(set(ctx, t, name, config))
}

// storeError gives a failed write the code that clients see.
func storeError(err error) error {
	var moved *zkstore.ControllerMovedError
	if errors.As(err, &moved) {
		return protocol.Errorf(protocol.StaleControllerEpoch, "%s", moved.Message)
	}
	return err
}

// invalidConfig is the error for a configuration that does not pass.
func invalidConfig(err error) error {
	var p *settings.Problem
	if errors.As(err, &p) {
		return protocol.Errorf(protocol.InvalidConfig, "%s", p.Message())
	}
	return err
}
