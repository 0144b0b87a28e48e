package tools

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/settings"
)

// loadProperties reads a --command-config, --producer.config, ... file as Java
// does; an empty path gives none. Errors are javaErrors, named as Java names
// them.
func loadProperties(path string) (map[string]string, error) {
	if path == "" {
		return map[string]string{}, nil
	}
	props, err := settings.ReadProperties(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, javaError{"java.nio.file.NoSuchFileException", path}
	case errors.Is(err, fs.ErrPermission):
		return nil, javaError{"java.nio.file.AccessDeniedException", path}
	case errors.As(err, new(*settings.SyntaxError)):
		return nil, javaError{"java.lang.IllegalArgumentException", err.Error()}
	case err != nil:
		return nil, javaError{"java.io.IOException", err.Error()}
	}
	return props, nil
}

// errNoBootstrap is an empty or malformed --bootstrap-server.
func parseBootstrap(list string) ([]string, error) {
	var servers []string
	for _, s := range strings.Split(list, ",") {
		s = strings.TrimSpace(s)
		if s == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(s); err != nil {
			return nil, fmt.Errorf("Invalid url in bootstrap.servers: %s", s)
		}
		servers = append(servers, s)
	}
	if len(servers) == 0 {
		return nil, errors.New("No resolvable bootstrap urls given in bootstrap.servers")
	}
	return servers, nil
}

// The Admin client of the original gives a call a minute and waits a second
// between attempts to connect.
const (
	adminTimeout   = 60 * time.Second
	reconnectPause = time.Second
)

// errNoNode is what a call ends with when no broker could be reached in time.
type errNoNode struct{ call string }

func (e errNoNode) Error() string {
	return "Timed out waiting for a node assignment. Call: " + e.call
}

// connect returns a cluster of which one bootstrap server answers. Until one
// does, it warns as the original's client does, and gives up after a minute, or
// at the deadline of ctx if that is sooner, with the text for the call.
func connect(ctx context.Context, log *logrus.Entry, client string, servers []string, call string) (*peerlink.Cluster, error) {
	deadline := time.Now().Add(adminTimeout)
	if sooner, ok := ctx.Deadline(); ok && sooner.Before(deadline) {
		deadline = sooner
	}
	dialer := net.Dialer{Timeout: 10 * time.Second}
	for attempt := 0; ; attempt++ {
		server := servers[attempt%len(servers)]
		conn, err := dialer.DialContext(ctx, "tcp", server)
		if err == nil {
			conn.Close()
			reachable := append([]string{server}, servers...)
			return peerlink.NewCluster(reachable, peerlink.Config{ClientID: strings.TrimPrefix(client, "AdminClient clientId="), RequestTimeout: 30 * time.Second, ConnectTimeout: 10 * time.Second}), nil
		}
		node := -1 - attempt%len(servers)
		log.Warnf("[%s] Connection to node %d (%s) could not be established. Node may not be available.", client, node, address(server))
		if !time.Now().Before(deadline) {
			return nil, errNoNode{call}
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, errNoNode{call}
			}
			return nil, ctx.Err()
		case <-time.After(reconnectPause):
		}
	}
}

// address prints host/ip:port as Java prints a socket address.
func address(server string) string {
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		return server
	}
	if net.ParseIP(host) != nil {
		return "/" + server
	}
	ips, err := net.LookupHost(host)
	if err != nil || len(ips) == 0 {
		return server
	}
	return host + "/" + net.JoinHostPort(ips[0], port)
}
