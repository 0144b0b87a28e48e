package tools

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/zkstore"
)

// zookeeperTimeout is the session and connection timeout of the tools of 2.8.
const zookeeperTimeout = 30 * time.Second

// openStore connects to ZooKeeper like the tools of 2.8.
func openStore(ctx context.Context, env *Env, connect string) (*zkstore.Store, *logrus.Logger, error) {
	log := kafkalog.New(env.Stderr)
	log.SetLevel(logrus.WarnLevel)
	store, err := zkstore.Open(ctx, zkstore.Config{Connect: connect, SessionTimeout: zookeeperTimeout, ConnectionTimeout: zookeeperTimeout, Logger: log})
	if err != nil {
		return nil, nil, javaError{"kafka.zookeeper.ZooKeeperClientTimeoutException", err.Error()}
	}
	return store, log, nil
}

const invalidConfiguration = "org.apache.kafka.common.errors.InvalidConfigurationException"

// javaConfigError returns the Java error for an invalid configuration.
func javaConfigError(err error) error {
	var p *settings.Problem
	var secret *settings.NeedsSecret
	switch {
	case errors.Is(err, settings.ErrUnknownEntityKeys), errors.As(err, &secret):
		return illegalArgument("requirement failed: " + err.Error())
	case errors.As(err, &p) && p.IsWhole():
		return javaError{invalidConfiguration, p.Message()}
	case errors.As(err, &p):
		return javaError{"org.apache.kafka.common.config.ConfigException", p.Message()}
	case protocol.CodeOf(err) == protocol.InvalidConfig:
		_, text, found := strings.Cut(err.Error(), "): ") // the prefix that only a broker adds
		if !found {
			return javaError{invalidConfiguration, err.Error()}
		}
		return javaError{"org.apache.kafka.common.config.ConfigException", text}
	}
	return err
}
