package network

import (
	"fmt"
	"net"
	"sync"
)

// limits counts connections and holds them to the configured numbers.
type limits struct {
	mu        sync.Mutex
	total     int                    // guarded by mu
	perIP     int                    // guarded by mu
	overrides map[string]int         // by address; guarded by mu
	freed     sync.Cond              // on mu
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
		overrides: overrides, byName: map[*boundListener]int{}, byHost: map[string]int{}}
	l.freed.L = &l.mu
	return l, err
}

// overridesByAddress looks the hosts up that are given by name.
func overridesByAddress(byHost map[string]int) (map[string]int, error) {
	overrides := map[string]int{}
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
			overrides[net.ParseIP(a).String()] = limit
		}
	}
	return overrides, nil
}

// Limits are the numbers of connections that may change while a Server runs;
// see Config for what they mean.
type Limits struct {
	MaxConnections               int
	MaxConnectionsPerIP          int
	MaxConnectionsPerIPOverrides map[string]int
	ByListener                   map[string]int // Listener.MaxConnections by name
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
// waits; makeRoom is called first when the broker is full and the connection
// came in between brokers, which are let in at once. It fails when the
// host has too many, and with net.ErrClosed when the server stops.
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
	if !ok && l.perIP > 0 {
		limit, ok = l.perIP, true
	}
	if ok && l.byHost[host] >= limit {
		return &tooManyError{host, limit}
	}
	if l.total > 0 && l.open >= l.total {
		makeRoom()
	}
	l.open++
	l.byName[b]++
	l.byHost[host]++
	return nil
}

func (l *limits) fullLocked(b *boundListener) bool {
	if b.MaxConnections > 0 && l.byName[b] >= b.MaxConnections {
		return true
	}
	return l.total > 0 && l.open >= l.total && !b.InterBroker
}

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

// remove lets nobody else in by a listener.
func (l *limits) remove(b *boundListener) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.removed = true
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
