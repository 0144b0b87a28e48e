package network

import (
	"fmt"
	"net"
	"sync"
)

// limits counts connections and holds them to the configured numbers.
type limits struct {
	total     int
	perIP     int
	overrides map[string]int // by address

	mu      sync.Mutex
	freed   sync.Cond              // on mu
	open    int                    // guarded by mu
	byName  map[*boundListener]int // guarded by mu
	byHost  map[string]int         // guarded by mu
	stopped bool                   // guarded by mu
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
	l := &limits{total: cfg.MaxConnections, perIP: cfg.MaxConnectionsPerIP,
		overrides: map[string]int{}, byName: map[*boundListener]int{}, byHost: map[string]int{}}
	l.freed.L = &l.mu
	for host, limit := range cfg.MaxConnectionsPerIPOverrides {
		addresses := []string{host}
		if net.ParseIP(host) == nil {
			found, err := net.LookupHost(host)
			if err != nil {
				return nil, fmt.Errorf("max.connections.per.ip.overrides names the host %q, which has no address: %w", host, err)
			}
			addresses = found
		}
		for _, a := range addresses {
			l.overrides[net.ParseIP(a).String()] = limit
		}
	}
	return l, nil
}

// admit counts a new connection. While its listener or the broker is full it
// waits; makeRoom is called first when the broker is full and the connection
// came in between brokers, which are let in at once. It fails when the
// host has too many, and with net.ErrClosed when the server stops.
func (l *limits) admit(b *boundListener, host string, makeRoom func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.stopped && l.fullLocked(b) {
		l.freed.Wait()
	}
	if l.stopped {
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
	l.byName[b]--
	if l.byHost[host]--; l.byHost[host] == 0 {
		delete(l.byHost, host)
	}
	l.freed.Broadcast()
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
		out[b.Name] = n
	}
	return out
}
