package controller

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/zkstore"
)

// resendPause is the time after which a sender sends a failed request again.
const resendPause = 100 * time.Millisecond

// senders implements Peers for a running Controller. Each broker has one goroutine, one connection
// and one queue. Queued requests are neither dropped nor merged while the broker is registered. A
// request that arrives twice because its answer was lost is refused by the broker because of its
// epochs. Removing a broker drops its queue, so that no request for an earlier registration of the
// broker reaches a later one.
type senders struct {
	cfg   Config
	epoch func() metadata.ControllerEpoch // for log lines
	ended sync.WaitGroup

	mu   sync.Mutex // guards byID
	byID map[metadata.BrokerID]*sender
}

func newSenders(cfg Config) *senders {
	if cfg.Logger == nil {
		cfg.Logger = kafkalog.Discard()
	}
	return &senders{cfg: cfg, epoch: func() metadata.ControllerEpoch { return 0 }, byID: map[metadata.BrokerID]*sender{}}
}

// Add starts a sender to b.
func (s *senders) Add(b zkstore.BrokerInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID[b.ID] != nil {
		return
	}
	endpoint, _ := endpointOf(b, controlListener(s.cfg))
	rack := "null"
	if b.Rack != nil {
		rack = *b.Rack
	}
	address := endpoint.Address()
	p := &sender{
		id:   s.cfg.BrokerID,
		node: fmt.Sprintf("%s:%d (id: %d rack: %s)", endpoint.Host, endpoint.Port, b.ID, rack),
		wake: make(chan struct{}, 1),
		log:  kafkalog.WithPrefix(s.cfg.Logger, "kafka.controller.RequestSendThread", "[RequestSendThread controllerId=%d] ", s.cfg.BrokerID),
		term: s.epoch,
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.link = peerlink.New(peerlink.Config{
		Address:        address,
		ClientID:       strconv.Itoa(int(s.cfg.BrokerID)),
		Dial:           p.dialer(s.cfg.Dial),
		ConnectTimeout: s.cfg.ConnectTimeout,
		RequestTimeout: s.cfg.RequestTimeout,
	})
	s.byID[b.ID] = p
	s.ended.Add(1)
	go func() {
		defer s.ended.Done()
		p.run()
	}()
}

// Remove stops the sender to a broker without waiting for its goroutine.
func (s *senders) Remove(id metadata.BrokerID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.byID[id]; p != nil {
		p.cancel()
		delete(s.byID, id)
	}
}

// RemoveAll stops all senders without waiting for their goroutines.
func (s *senders) RemoveAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.byID {
		p.cancel()
	}
	clear(s.byID)
}

// Send queues a request. It logs and drops a request to a broker without a sender.
func (s *senders) Send(id metadata.BrokerID, req kmsg.Request, answered func(kmsg.Response)) {
	s.mu.Lock()
	p := s.byID[id]
	s.mu.Unlock()
	if p == nil {
		kafkalog.WithPrefix(s.cfg.Logger, "kafka.controller.ControllerChannelManager", "[Channel manager on controller %d]: ", s.cfg.BrokerID).
			Warnf("Not sending request %s to broker %d, since it is offline.", protocol.APIKey(req.Key()), id)
		return
	}
	p.put(message{req, answered})
}

// wait returns when the goroutines of all removed senders have ended.
func (s *senders) wait() { s.ended.Wait() }

// size returns the number of queued requests to all brokers.
func (s *senders) size() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.byID {
		p.mu.Lock()
		n += len(p.messages)
		p.mu.Unlock()
	}
	return n
}

type message struct {
	req      kmsg.Request
	answered func(kmsg.Response)
}

// sender sends requests to one broker.
type sender struct {
	id     metadata.BrokerID // broker id of the controller
	node   string            // host:port (id: 0 rack: null), for log lines
	link   *peerlink.Link
	log    kafkalog.Prefixed
	term   func() metadata.ControllerEpoch // the controller epoch, for log lines
	ctx    context.Context                 // done when the broker is removed
	cancel context.CancelFunc
	wake   chan struct{} // holds a token if messages may not be empty

	mu       sync.Mutex // guards messages
	messages []message
}

func (p *sender) put(m message) {
	p.mu.Lock()
	p.messages = append(p.messages, m)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// next waits for a message. It returns false when the broker is removed.
func (p *sender) next() (message, bool) {
	for {
		if p.ctx.Err() != nil {
			return message{}, false
		}
		p.mu.Lock()
		if len(p.messages) > 0 {
			m := p.messages[0]
			p.messages[0] = message{}
			p.messages = p.messages[1:]
			p.mu.Unlock()
			return m, true
		}
		p.messages = nil
		p.mu.Unlock()
		select {
		case <-p.wake:
		case <-p.ctx.Done():
		}
	}
}

func (p *sender) run() {
	p.log.Infof("Starting")
	defer p.log.Infof("Shutdown completed")
	defer p.link.Close()
	for {
		m, ok := p.next()
		if !ok {
			return
		}
		if resp, ok := p.deliver(m.req); ok && m.answered != nil {
			m.answered(resp)
		}
	}
}

// deliver sends a request until it is answered. It returns false when the broker is removed.
func (p *sender) deliver(req kmsg.Request) (kmsg.Response, bool) {
	for {
		resp, err := p.link.Do(p.ctx, req)
		if p.ctx.Err() != nil {
			return nil, false
		}
		if err == nil {
			return resp, true
		}
		p.log.Warnf("Controller %d epoch %d fails to send request %s v%d to broker %s. Reconnecting to broker. (%v)",
			p.id, p.term(), protocol.APIKey(req.Key()), req.GetVersion(), p.node, err)
		select {
		case <-time.After(resendPause):
		case <-p.ctx.Done():
			return nil, false
		}
	}
}

// dialer wraps dial, or plain TCP if dial is nil, to log each new connection.
func (p *sender) dialer(dial peerlink.Dialer) peerlink.Dialer {
	if dial == nil {
		dial = func(ctx context.Context, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		}
	}
	return func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := dial(ctx, address)
		if err == nil {
			p.log.Infof("Controller %d connected to %s for sending state change requests", p.id, p.node)
		}
		return conn, err
	}
}
