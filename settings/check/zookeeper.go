package check

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// splitConnect splits zookeeper.connect at the first slash, as ZooKeeper's client does.
func splitConnect(connect string) (servers []string, chroot string) {
	list, path, found := strings.Cut(connect, "/")
	if found {
		path = "/" + path
	}
	return split(list), path
}

const connectKey = "zookeeper.connect"

// checkZooKeeper checks zookeeper.connect.
func (d *document) checkZooKeeper() {
	connect := d.text(connectKey)
	if connect == "" {
		return
	}
	if _, rest, found := strings.Cut(connect, "://"); found {
		d.error(connectKey, note{"zookeeper-syntax", "zookeeper.connect has no scheme", "Write zookeeper.connect=" + rest + "."})
		return
	}
	servers, chroot := splitConnect(connect)
	if strings.ContainsAny(strings.Join(servers, ""), "; ") {
		d.error(connectKey, note{"zookeeper-syntax", "the servers of zookeeper.connect are separated by commas", "Write host:port,host:port/chroot."})
		return
	}
	d.checkChroot(servers, chroot)
	d.checkServers(servers)
}

func (d *document) checkChroot(servers []string, chroot string) {
	switch {
	case strings.Contains(chroot, ","):
		path, _, _ := strings.Cut(chroot, ",")
		all := servers
		for _, element := range split(chroot)[1:] {
			server, _, _ := strings.Cut(element, "/")
			all = append(all, server)
		}
		d.error(connectKey, note{"chroot-in-list", fmt.Sprintf("the chroot follows the last server only; everything after the first / is the path, so only %s is used, with the path %s", strings.Join(servers, ","), chroot),
			fmt.Sprintf("Write zookeeper.connect=%s%s.", strings.Join(all, ","), path)})
	case strings.Contains(chroot, "//"):
		d.error(connectKey, note{"chroot-path", fmt.Sprintf("the chroot %s has an empty part", chroot), "Remove the second slash."})
	case len(chroot) > 1 && strings.HasSuffix(chroot, "/"):
		d.warn(connectKey, note{"chroot-path", fmt.Sprintf("the chroot %s ends with a slash; Apache Kafka does not start with it", chroot), "Remove the slash at the end."})
	case strings.Contains(chroot, ":"):
		d.warn(connectKey, note{"chroot-path", fmt.Sprintf("the chroot %s contains a colon; a port belongs before the path", chroot), "Write host:port,host:port/chroot."})
	}
}

func (d *document) checkServers(servers []string) {
	seen := map[string]bool{}
	for _, server := range servers {
		host, port, err := net.SplitHostPort(server)
		if err != nil {
			host, port = strings.Trim(server, "[]"), "2181"
		}
		n, err := strconv.Atoi(port)
		switch {
		case err != nil || n < 1 || n > 65535:
			d.error(connectKey, note{"zookeeper-syntax", fmt.Sprintf("zookeeper.connect: %s is not host:port", server), "Write host:port,host:port/chroot. A chroot begins with a slash."})
		case n == 2888 || n == 3888:
			d.error(connectKey, note{"zookeeper-port", fmt.Sprintf("zookeeper.connect: port %d is that by which the servers of an ensemble connect to each other", n), "Write the port for clients, usually 2181."})
		case n == 9092:
			d.warn(connectKey, note{"zookeeper-port", "zookeeper.connect: port 9092 is usually that of a broker", "Write the port of ZooKeeper for clients, usually 2181."})
		case seen[host+":"+port]:
			d.warn(connectKey, note{"zookeeper-twice", fmt.Sprintf("zookeeper.connect names %s:%s twice", host, port), "Remove it once."})
		case isLoopback(host) && (len(servers) > 1 && !d.isDevelopment()):
			d.warn(connectKey, note{"zookeeper-loopback", fmt.Sprintf("zookeeper.connect: %s means another machine on each broker", host), "Write the name of the machine."})
		}
		seen[host+":"+port] = true
	}
	if n := len(servers); n%2 == 0 && n > 0 && !d.isDevelopment() {
		d.remark(connectKey, note{"zookeeper-even", fmt.Sprintf("an ensemble of %d servers survives no more failures than one of %d", n, n-1), "Use 3 or 5 servers, or name all of them."})
	}
	if len(servers) == 1 && d.brokers > 1 && slices.ContainsFunc(servers, isLoopbackServer) && !d.isLocal() {
		d.warn(connectKey, note{"zookeeper-loopback", fmt.Sprintf("zookeeper.connect=%s means another machine on each broker, so brokers on several machines do not form a cluster", d.text(connectKey)),
			"Write the same names of machines on all brokers."})
	}
}

func isLoopbackServer(server string) bool {
	host, _, err := net.SplitHostPort(server)
	return err == nil && isLoopback(host)
}
