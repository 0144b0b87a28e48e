package client

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/monedula/monedula/tools/cli"
)

// Open opens a client with the options of the configuration and more. It connects with the first
// request. env records which brokers answered.
func (c Config) Open(env *cli.Env, servers []string, more ...kgo.Opt) (*kgo.Client, error) {
	options := append([]kgo.Opt{kgo.SeedBrokers(servers...), Observed(env)}, c.Options...)
	return kgo.NewClient(append(options, more...)...)
}

// Observed returns the option of a client with which env records which brokers answered.
func Observed(env *cli.Env) kgo.Opt { return kgo.WithHooks(brokerHooks{env}) }

type brokerHooks struct{ env *cli.Env }

// OnBrokerConnect records a connection that cannot be established.
func (h brokerHooks) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err != nil {
		h.record(meta, err)
	}
}

// OnBrokerRead records whether a broker answered a request.
func (h brokerHooks) OnBrokerRead(meta kgo.BrokerMetadata, _ int16, _ int, _, _ time.Duration, err error) {
	h.record(meta, err)
}

func (h brokerHooks) record(meta kgo.BrokerMetadata, err error) {
	address := net.JoinHostPort(meta.Host, strconv.Itoa(int(meta.Port)))
	switch {
	case err == nil:
		h.env.Reached(address)
	case !errors.Is(err, net.ErrClosed) && !errors.Is(err, context.Canceled): // not closed by the client itself
		notReached(h.env, address, err)
	}
}
