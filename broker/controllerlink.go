package broker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/peerlink"
)

// controllerLink sends this broker's requests to the current controller. It takes the controller's
// address from the metadata that the controller itself sends, not from ZooKeeper, which may be
// unreachable (KAFKA-9189).
type controllerLink struct {
	brokerID metadata.BrokerID
	listener string // the inter-broker listener
	cache    *metadata.Cache
	timeout  time.Duration
	dial     peerlink.Dialer
	traffic  peerlink.Traffic

	mu      sync.Mutex // guards the fields below
	address string
	link    *peerlink.Link
	closed  bool
}

var errNoController = errors.New("no controller is known yet")

func newControllerLink(brokerID metadata.BrokerID, listener string, cache *metadata.Cache, timeout time.Duration, dial peerlink.Dialer) *controllerLink {
	return &controllerLink{brokerID: brokerID, listener: listener, cache: cache, timeout: timeout, dial: dial}
}

// controllerAddress returns the controller's current address, from the metadata.
func (c *controllerLink) controllerAddress() (string, error) {
	s := c.cache.Snapshot()
	b := s.Brokers[s.ControllerID]
	if b == nil {
		return "", errNoController
	}
	e, ok := b.Endpoints[c.listener]
	if !ok {
		return "", fmt.Errorf("the controller %d has no listener %s", b.ID, c.listener)
	}
	return e.Address(), nil
}

func (c *controllerLink) current() (*peerlink.Link, error) {
	address, err := c.controllerAddress()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, peerlink.ErrClosed
	}
	if c.link != nil && c.address == address {
		return c.link, nil
	}
	if c.link != nil {
		c.link.Close()
	}
	c.address = address
	c.link = peerlink.New(peerlink.Config{Address: address, ClientID: strconv.Itoa(int(c.brokerID)), Dial: c.dial,
		ConnectTimeout: c.timeout, RequestTimeout: c.timeout, Traffic: &c.traffic})
	return c.link, nil
}

// do sends req with the version set in it.
func (c *controllerLink) do(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	link, err := c.current()
	if err != nil {
		return nil, err
	}
	return link.Do(ctx, req)
}

// Call sends req with the highest version that both sides support, at most max.
func (c *controllerLink) Call(ctx context.Context, req kmsg.Request, max int16) (kmsg.Response, error) {
	link, err := c.current()
	if err != nil {
		return nil, err
	}
	return link.Negotiated(ctx, req, max)
}

// Moved drops the connection, so the next request looks up the controller again.
func (c *controllerLink) Moved() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link != nil {
		c.link.Close()
		c.link = nil
	}
}

func (c *controllerLink) close() {
	c.Moved()
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
}
