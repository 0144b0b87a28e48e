package network

import (
	"fmt"
	"net"
	"sync"
)

// Limit is the largest number of connections that may be open at once. The zero
// Limit allows any number.
type Limit struct {
	limited bool
	most    int
}

// AtMost returns the limit of n connections; AtMost(0) allows none.
func AtMost(n int) Limit { return Limit{limited: true, most: n} }

// reachedBy reports whether no connection may be added to n open ones.
func (l Limit) reachedBy(n int) bool { return l.limited && n >= l.most }

// limits counts connections and holds them to the configured numbers.
type limits struct {
	mu        sync.Mutex
	total     Limit                  // guarded by mu
	perIP     Limit                  // guarded by mu
	overrides map[string]Limit       // by address; guarded by mu
	freed     sync.Cond              // on mu
	listeners int                    // that are not removed; guarded by mu
	open      int                    // guarded by mu
	byName    map[*boundListener]int // guarded by mu
	byHost    map[string]int         // guarded by mu
	stopped   bool                   // guarded by mu
}

// tooManyError is a host that has all the connections it may have.
type tooManyError struct {
	host  string
	limit int
}

func (e *tooManyError) Error() string {
	return fmt.Sprintf("Rejected connection from /%s, address already has the configured maximum of %d connections.", e.host, e.limit)
}

func newLimits(cfg *Config) (*limits, error) {
	overrides, err := overridesByAddress(cfg.MaxConnectionsPerIPOverrides)
	l := &limits{total: cfg.MaxConnections, perIP: cfg.MaxConnectionsPerIP,
		overrides: overrides, listeners: len(cfg.Listeners), byName: map[*boundListener]int{}, byHost: map[string]int{}}
	l.freed.L = &l.mu
	return l, err
}

// overridesByAddress looks the hosts up that are given by name.
func overridesByAddress(byHost map[string]int) (map[string]Limit, error) {
	overrides := map[string]Limit{}
	for host, limit := range byHost {
		addresses := []string{host}
		if net.ParseIP(host) == nil {
			found, err := net.LookupHost(host)
			if err != nil {
				return nil, fmt.Errorf("max.connections.per.ip.overrides names the host %q, which has no address: %w", host, err)
			}
			addresses = found
		}
		for _, a := range addresses {
			overrides[net.ParseIP(a).String()] = AtMost(limit)
		}
	}
	return overrides, nil
}

// Limits are the numbers of connections that may change while a Server runs;
// see Config for what they mean.
type Limits struct {
	MaxConnections               Limit
	MaxConnectionsPerIP          Limit
	MaxConnectionsPerIPOverrides map[string]int
	ByListener                   map[string]Limit // Listener.MaxConnections by name
}

// SetLimits puts other limits in force. Connections above them stay open; new
// ones are judged by them. On an error (a host without an address) nothing changes.
func (s *Server) SetLimits(to Limits) error {
	overrides, err := overridesByAddress(to.MaxConnectionsPerIPOverrides)
	if err != nil {
		return err
	}
	l := s.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total, l.perIP, l.overrides = to.MaxConnections, to.MaxConnectionsPerIP, overrides
	for _, b := range s.allListeners() {
		b.MaxConnections = to.ByListener[b.Name]
	}
	l.freed.Broadcast()
	return nil
}

// admit counts a new connection. While its listener or the broker is full it
// waits; makeRoom is called first when the broker is full and the listener is
// protected, whose connections are let in at once. It fails when the host has
// too many, and with net.ErrClosed when the server stops.
func (l *limits) admit(b *boundListener, host string, makeRoom func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.stopped && !b.removed && l.fullLocked(b) {
		l.freed.Wait()
	}
	if l.stopped || b.removed {
		return net.ErrClosed
	}
	limit, ok := l.overrides[host]
	if !ok {
		limit = l.perIP
	}
	if limit.reachedBy(l.byHost[host]) {
		return &tooManyError{host, limit.most}
	}
	if l.total.reachedBy(l.open) {
		makeRoom()
	}
	l.open++
	l.byName[b]++
	l.byHost[host]++
	return nil
}

func (l *limits) fullLocked(b *boundListener) bool {
	return b.MaxConnections.reachedBy(l.byName[b]) || l.total.reachedBy(l.open) && !l.protectedLocked(b)
}

// protectedLocked reports whether a full broker still lets connections of b in:
// the inter-broker listener is protected from those of other listeners, so it is
// not where it is the only one (Kafka's ConnectionQuotas.protectedListener).
func (l *limits) protectedLocked(b *boundListener) bool { return b.InterBroker && l.listeners > 1 }

func (l *limits) release(b *boundListener, host string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.byName[b]--; b.removed && l.byName[b] == 0 {
		delete(l.byName, b)
	}
	if l.byHost[host]--; l.byHost[host] == 0 {
		delete(l.byHost, host)
	}
	l.freed.Broadcast()
}

// add counts a further listener.
func (l *limits) add() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listeners++
	l.freed.Broadcast() // the inter-broker listener may be protected now
}

// remove lets no further connection in by a listener. It must be called at most
// once for each.
func (l *limits) remove(b *boundListener) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.removed = true
	l.listeners--
	l.freed.Broadcast()
}

func (l *limits) isRemoved(b *boundListener) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return b.removed
}

// stop lets go of those who wait.
func (l *limits) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	l.freed.Broadcast()
}

// counts returns the connections by listener name.
func (l *limits) counts() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[string]int, len(l.byName))
	for b, n := range l.byName {
		out[b.Name] += n
	}
	return out
}
