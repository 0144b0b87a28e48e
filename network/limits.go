package network

import (
	"fmt"
	"net"
	"sync"
)

// Limit is the largest number of open connections. The zero Limit allows any number.
type Limit struct {
	limited bool
	most    int
}

// AtMost returns a limit of n connections; AtMost(0) allows none.
func AtMost(n int) Limit { return Limit{limited: true, most: n} }

// reachedBy reports whether the limit allows no further connection in addition to n open ones.
func (l Limit) reachedBy(n int) bool { return l.limited && n >= l.most }

// limits counts connections and enforces the limits.
type limits struct {
	mu        sync.Mutex
	total     Limit                  // guarded by mu
	perIP     Limit                  // guarded by mu
	overrides map[string]Limit       // by address; guarded by mu
	freed     sync.Cond              // uses mu
	listeners int                    // number of listeners; guarded by mu
	open      int                    // guarded by mu
	byName    map[*boundListener]int // guarded by mu
	byHost    map[string]int         // guarded by mu
	stopped   bool                   // guarded by mu
}

// tooManyError is the error for a host that has reached its limit.
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

// overridesByAddress looks up the addresses of hosts given by name.
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

// Limits are the connection limits that can change while a Server runs. Config describes them.
type Limits struct {
	MaxConnections               Limit
	MaxConnectionsPerIP          Limit
	MaxConnectionsPerIPOverrides map[string]int
	ByListener                   map[string]Limit // Listener.MaxConnections by name
}

// SetLimits replaces the limits. Connections above the new limits stay open; the limits apply to
// new connections. On an error (a host without an address) nothing changes.
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

// admit counts a new connection. While the limit of its listener or of the broker is reached, it
// waits. If only the limit of the broker is reached and the listener is protected, it calls
// evict and does not wait. It returns an error if the host has reached its limit, and
// net.ErrClosed if the server stops or the listener is removed.
func (l *limits) admit(b *boundListener, host string, evict func()) error {
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
		evict()
	}
	l.open++
	l.byName[b]++
	l.byHost[host]++
	return nil
}

func (l *limits) fullLocked(b *boundListener) bool {
	return b.MaxConnections.reachedBy(l.byName[b]) || l.total.reachedBy(l.open) && !l.protectedLocked(b)
}

// protectedLocked reports whether b may exceed the broker's limit. That is the inter-broker
// listener, if there are other listeners whose connections can be closed (Kafka's
// ConnectionQuotas.protectedListener). The caller must hold mu.
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

// add counts another listener.
func (l *limits) add() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listeners++
	l.freed.Broadcast() // the inter-broker listener may have become protected
}

// remove stops a listener from admitting connections. It must be called at most once for each
// listener.
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

// stop ends the waits of all calls of admit.
func (l *limits) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	l.freed.Broadcast()
}

// counts returns the number of open connections by listener name.
func (l *limits) counts() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[string]int, len(l.byName))
	for b, n := range l.byName {
		out[b.Name] += n
	}
	return out
}
