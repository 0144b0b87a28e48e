package peerlink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
)

// Cluster finds brokers for tools. It starts from bootstrap servers, learns the other brokers from
// Metadata, and keeps one Link to each broker that was used. It is safe for concurrent use.
type Cluster struct {
	cfg       Config // Address is not used
	bootstrap []string

	mu     sync.Mutex                   // guards the fields below
	links  map[string]*Link             // by address
	seed   string                       // the address that answered last; it is tried first
	addrs  map[metadata.BrokerID]string // by broker id, from the last Metadata response
	closed bool
}

// NewCluster returns a cluster that can be reached at any of the bootstrap addresses (host:port).
// cfg applies to every link; its Address is ignored.
func NewCluster(bootstrap []string, cfg Config) *Cluster {
	return &Cluster{cfg: cfg, bootstrap: bootstrap, links: map[string]*Link{}, addrs: map[metadata.BrokerID]string{}}
}

// Close closes all links.
func (c *Cluster) Close() {
	c.mu.Lock()
	links := c.links
	c.links, c.closed = map[string]*Link{}, true
	c.mu.Unlock()
	for _, l := range links {
		l.Close()
	}
}

// Any sends req to the bootstrap server that answered last or, if that fails, to the others in
// turn, at the highest common version up to max (-1: no limit).
func (c *Cluster) Any(ctx context.Context, req kmsg.Request, max int16) (kmsg.Response, error) {
	var failures []error
	for _, address := range c.candidates() {
		link, err := c.link(address)
		if err != nil {
			return nil, err
		}
		resp, err := link.Negotiated(ctx, req, max)
		var unsupported *UnsupportedError
		if err == nil || errors.As(err, &unsupported) {
			c.remember(address)
			return resp, err
		}
		if ctx.Err() != nil {
			return nil, err
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

// Metadata asks for the named topics without creating them. A nil list asks for all topics, an
// empty one for none. The version is at most 12, the highest that a 3.9 broker supports.
func (c *Cluster) Metadata(ctx context.Context, topics []string) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = false
	if topics != nil {
		req.Topics = []kmsg.MetadataRequestTopic{}
		for _, name := range topics {
			topic := kmsg.NewMetadataRequestTopic()
			topic.Topic = kmsg.StringPtr(name)
			req.Topics = append(req.Topics, topic)
		}
	}
	resp, err := c.Any(ctx, req, 12)
	if err != nil {
		return nil, err
	}
	meta := resp.(*kmsg.MetadataResponse)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addrs = make(map[metadata.BrokerID]string, len(meta.Brokers))
	for _, b := range meta.Brokers {
		c.addrs[metadata.BrokerID(b.NodeID)] = net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
	}
	return meta, nil
}

// Broker returns the link to the broker with the given id. It sends a Metadata request if the id is
// not known yet.
func (c *Cluster) Broker(ctx context.Context, id metadata.BrokerID) (*Link, error) {
	address, known := c.address(id)
	if !known {
		if _, err := c.Metadata(ctx, []string{}); err != nil {
			return nil, err
		}
		if address, known = c.address(id); !known {
			return nil, fmt.Errorf("broker %d is not available", id)
		}
	}
	return c.link(address)
}

// Controller sends a Metadata request and returns the link to the controller.
func (c *Cluster) Controller(ctx context.Context) (*Link, error) {
	meta, err := c.Metadata(ctx, []string{})
	if err != nil {
		return nil, err
	}
	if meta.ControllerID < 0 {
		return nil, errors.New("no controller is known")
	}
	return c.Broker(ctx, metadata.BrokerID(meta.ControllerID))
}

func (c *Cluster) address(id metadata.BrokerID) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	address, known := c.addrs[id]
	return address, known
}

func (c *Cluster) link(address string) (*Link, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	l := c.links[address]
	if l == nil {
		cfg := c.cfg
		cfg.Address = address
		l = New(cfg)
		c.links[address] = l
	}
	return l, nil
}

// candidates returns the bootstrap servers, beginning with the one that answered last.
func (c *Cluster) candidates() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seed == "" {
		return c.bootstrap
	}
	list := []string{c.seed}
	for _, address := range c.bootstrap {
		if address != c.seed {
			list = append(list, address)
		}
	}
	return list
}

func (c *Cluster) remember(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seed = address
}
