package simulation

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/controller"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/zkstore"
)

// control is a broker's controller: its Machine, the queue of events and the queues of requests to
// brokers.
type control struct {
	b       *broker
	life    int
	m       *controller.Machine
	events  []controller.Event
	due     bool // the next step is scheduled
	busy    bool // in a step, possibly waiting for ZooKeeper
	timers  int  // generation of the timers; older timers are canceled
	peers   map[metadata.BrokerID]*peer
	started bool
}

// peer is the queue of requests to one broker.
type peer struct {
	id      metadata.BrokerID
	waiting []message
	busy    bool
	removed bool
}

type message struct {
	req      kmsg.Request
	answered func(kmsg.Response)
}

var (
	_ controller.Agenda = (*control)(nil)
	_ controller.Peers  = (*control)(nil)
)

func newControl(b *broker, logger *logrus.Logger) *control {
	c := &control{b: b, life: b.life, peers: map[metadata.BrokerID]*peer{}}
	cfg := controller.Config{BrokerID: b.id, InterBrokerListener: "PLAINTEXT", IBP: "3.9", DeleteTopics: true,
		AutoRebalance: b.w.cfg.Seed%2 == 0, ImbalancePercentage: 10, ImbalanceInterval: 4 * time.Second,
		Register:   func(ctx context.Context) error { return b.registerOnce(ctx) },
		NewTopicID: func() (controller.TopicID, error) { return controller.TopicID{15: 7}, nil }, Logger: logger}
	if b.w.cfg.Seed%3 == 1 {
		cfg.IBP = "2.8"
	}
	c.m = must(controller.NewMachine(cfg, b.store, c, c))
	return c
}

// begin starts the controller.
func (c *control) begin() {
	if !c.started {
		c.started = true
		c.Put(controller.Startup{})
	}
}

func (c *control) gone() bool { return c.b.life != c.life }

// Put appends an event to the queue.
func (c *control) Put(e controller.Event) {
	if c.gone() {
		controller.Preempt(e)
		return
	}
	c.events = append(c.events, e)
	c.schedule()
}

func (c *control) schedule() {
	if c.due || c.busy || len(c.events) == 0 {
		return
	}
	c.due = true
	c.b.after(c.b.w.between(0, time.Millisecond), c.step)
}

func (c *control) step() {
	c.due = false
	if c.busy || len(c.events) == 0 {
		return
	}
	e := c.events[0]
	c.events = c.events[1:]
	if _, lost := e.(controller.Expire); lost {
		c.b.expiring = false
	}
	c.busy = true
	c.b.w.say("controller %d: %s", c.b.id, e)
	c.run(e)
	c.busy = false
	c.schedule()
}

func (c *control) run(e controller.Event) {
	defer func() {
		if reason := recover(); reason != nil {
			c.b.w.fail("controller %d, %s: panic: %v\n%s", c.b.id, e, reason, debug.Stack())
		}
	}()
	c.m.Step(e)
}

// PutAfter appends an event to the queue after d.
func (c *control) PutAfter(d time.Duration, e controller.Event) {
	timers := c.timers
	c.b.after(d, func() {
		if c.timers == timers {
			c.Put(e)
		}
	})
}

// CancelTimers drops the events of PutAfter that are not yet in the queue.
func (c *control) CancelTimers() { c.timers++ }

// expire drops waiting events, as Controller.BeforeNewSession does.
func (c *control) expire() {
	dropped := c.events
	c.events = nil
	for _, e := range dropped {
		controller.Preempt(e)
	}
	if c.started {
		c.b.expiring = true
		c.Put(controller.Expire{})
	}
	c.m.Interrupt()
}

// renew does what Controller.AfterNewSession does.
func (c *control) renew() {
	if c.started {
		c.Put(controller.RegisterBrokerAndReelect{})
	}
}

// Add creates the queue of a broker.
func (c *control) Add(b zkstore.BrokerInfo) {
	if c.peers[b.ID] == nil {
		c.peers[b.ID] = &peer{id: b.ID}
	}
}

// Remove drops the queue of a broker.
func (c *control) Remove(id metadata.BrokerID) {
	if p := c.peers[id]; p != nil {
		p.removed = true
		delete(c.peers, id)
	}
}

// RemoveAll drops all queues.
func (c *control) RemoveAll() {
	for id := range metadata.BrokerID(brokerCount) {
		c.Remove(id)
	}
}

// Send appends a request to the queue of a broker.
func (c *control) Send(id metadata.BrokerID, req kmsg.Request, answered func(kmsg.Response)) {
	if p := c.peers[id]; p != nil && !c.gone() {
		p.waiting = append(p.waiting, message{req, answered})
		c.deliver(p)
	}
}

// deliver sends the first request of a queue, repeatedly until it is answered.
func (c *control) deliver(p *peer) {
	if p.busy || p.removed || len(p.waiting) == 0 {
		return
	}
	p.busy = true
	m := p.waiting[0]
	c.b.w.send(c.b, p.id, m.req, func(resp response) {
		if p.removed {
			return
		}
		if resp.err != nil {
			c.b.after(100*time.Millisecond, func() { p.busy = false; c.deliver(p) })
			return
		}
		p.busy = false
		p.waiting = p.waiting[1:]
		if m.answered != nil {
			m.answered(resp.message)
		}
		c.deliver(p)
	})
}
