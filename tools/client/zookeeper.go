package client

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/zkstore"
)

// zookeeperTimeout is the session and connection timeout of the tools of 2.8.
const zookeeperTimeout = 30 * time.Second

// OpenStore connects to ZooKeeper like the tools of 2.8.
func OpenStore(ctx context.Context, env *cli.Env, connect string) (*zkstore.Store, *logrus.Logger, error) {
	log := kafkalog.New(env.Stderr)
	log.SetLevel(logrus.WarnLevel)
	store, err := zkstore.Open(ctx, zkstore.Config{Connect: connect, SessionTimeout: zookeeperTimeout, ConnectionTimeout: zookeeperTimeout, Logger: log})
	if err != nil {
		var timeout *zkstore.ConnectionTimeoutError
		if errors.As(err, &timeout) {
			env.NotReached("ZooKeeper at "+connect, timeout.Hint())
		}
		return nil, nil, cli.NewJavaError("kafka.zookeeper.ZooKeeperClientTimeoutException", err.Error())
	}
	return store, log, nil
}

// InvalidConfiguration is the Java class of errors in a whole configuration.
const InvalidConfiguration = "org.apache.kafka.common.errors.InvalidConfigurationException"

// JavaConfigError returns the Java error for an invalid configuration.
func JavaConfigError(err error) error {
	var p *settings.Problem
	var secret *settings.NeedsSecret
	switch {
	case errors.Is(err, settings.ErrUnknownEntityKeys), errors.As(err, &secret):
		return cli.IllegalArgument("requirement failed: " + err.Error())
	case errors.As(err, &p) && p.IsWhole():
		return cli.NewJavaError(InvalidConfiguration, p.Message())
	case errors.As(err, &p):
		return cli.NewJavaError("org.apache.kafka.common.config.ConfigException", p.Message())
	case protocol.CodeOf(err) == protocol.InvalidConfig:
		_, text, found := strings.Cut(err.Error(), "): ") // the prefix that only a broker adds
		if !found {
			return cli.NewJavaError(InvalidConfiguration, err.Error())
		}
		return cli.NewJavaError("org.apache.kafka.common.config.ConfigException", text)
	}
	return err
}
