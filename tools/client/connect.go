package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"time"

	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/tools/cli"
)

// LoadProperties reads a properties file like Java does. It returns no properties for an empty
// path. Errors are cli.JavaErrors with Java's class names.
func LoadProperties(path string) (map[string]string, error) {
	if path == "" {
		return map[string]string{}, nil
	}
	props, err := settings.ReadProperties(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, cli.NewJavaError("java.nio.file.NoSuchFileException", path)
	case errors.Is(err, fs.ErrPermission):
		return nil, cli.NewJavaError("java.nio.file.AccessDeniedException", path)
	case errors.As(err, new(*settings.SyntaxError)):
		return nil, cli.NewJavaError("java.lang.IllegalArgumentException", err.Error())
	case err != nil:
		return nil, cli.NewJavaError("java.io.IOException", err.Error())
	}
	return props, nil
}

// ParseBootstrap parses the value of --bootstrap-server. It returns an error if the list is empty
// or malformed.
func ParseBootstrap(list string) ([]string, error) {
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

// Kafka's admin client gives a call one minute, and waits one second between connection attempts.
const (
	networkClient  = "org.apache.kafka.clients.NetworkClient" // logs the attempts to connect
	AdminTimeout   = 60 * time.Second
	reconnectPause = time.Second
)

// AdminClientID names an admin client in log lines.
const AdminClientID = "AdminClient clientId=adminclient-1"

// NoNodeError is returned for a call that could not reach a broker in time.
type NoNodeError struct{ Call string }

func (e NoNodeError) Error() string {
	return "Timed out waiting for a node assignment. Call: " + e.Call
}

// JavaClass returns the class of the exception that Kafka throws.
func (NoNodeError) JavaClass() string { return "org.apache.kafka.common.errors.TimeoutException" }

// Connect returns a cluster once one of the bootstrap servers answers. Until then, it logs the
// warnings of Kafka's client. It gives up after one minute, or at the deadline of ctx if that is
// sooner, with an error that names call. env records which addresses answered.
func Connect(ctx context.Context, env *cli.Env, client string, servers []string, call string) (*peerlink.Cluster, error) {
	log := env.Logger(networkClient)
	deadline := time.Now().Add(AdminTimeout)
	if sooner, ok := ctx.Deadline(); ok && sooner.Before(deadline) {
		deadline = sooner
	}
	dialer := net.Dialer{Timeout: 10 * time.Second}
	for attempt := 0; ; attempt++ {
		server := servers[attempt%len(servers)]
		conn, err := dialer.DialContext(ctx, "tcp", server)
		if err == nil {
			conn.Close()
			env.Reached(server)
			reachable := append([]string{server}, servers...)
			return peerlink.NewCluster(reachable, peerlink.Config{ClientID: strings.TrimPrefix(client, "AdminClient clientId="), RequestTimeout: 30 * time.Second, ConnectTimeout: 10 * time.Second,
				Observe: observer(env)}), nil
		}
		if ctx.Err() != nil {
			env.Unanswered(server)
		} else {
			notReached(env, server, err)
		}
		node := -1 - attempt%len(servers)
		log.Warnf("[%s] Connection to node %d (%s) could not be established. Node may not be available.", client, node, address(server))
		if !time.Now().Before(deadline) {
			return nil, NoNodeError{call}
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, NoNodeError{call}
			}
			return nil, ctx.Err()
		case <-time.After(reconnectPause):
		}
	}
}

// address formats host/ip:port like a Java socket address.
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
