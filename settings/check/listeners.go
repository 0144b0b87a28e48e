package check

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// endpoint is one entry of a list of listeners.
type endpoint struct {
	name, host string
	port       int
}

var endpointText = regexp.MustCompile(`^([^:/]+)://\[?([^\]]*?)\]?:(-?[0-9]+)$`)

// endpoints parses a list of listeners and leaves out what cannot be parsed.
func endpoints(text string) []endpoint {
	var list []endpoint
	for _, element := range split(text) {
		m := endpointText.FindStringSubmatch(element)
		if m == nil {
			continue
		}
		port, err := strconv.Atoi(m[3])
		if err != nil {
			continue
		}
		list = append(list, endpoint{strings.ToUpper(m[1]), m[2], port})
	}
	return list
}

// bound returns the addresses that the broker binds. advertised returns those that clients get.
func (d *document) bound() []endpoint {
	if d.isGiven("listeners") || !d.isGiven("port") && !d.isGiven("host.name") {
		return endpoints(d.text("listeners"))
	}
	port := d.values["port"]
	if port == "" {
		port = "9092"
	}
	return endpoints("PLAINTEXT://" + d.values["host.name"] + ":" + port)
}

func (d *document) advertised() []endpoint {
	if d.isGiven("advertised.listeners") {
		return endpoints(d.text("advertised.listeners"))
	}
	list := d.bound()
	if host := d.values["advertised.host.name"]; host != "" && len(list) == 1 {
		list[0].host = host
	}
	return list
}

// listenerNames returns the names of the advertised listeners.
func (d *document) listenerNames() []string {
	var names []string
	for _, e := range d.advertised() {
		names = append(names, e.name)
	}
	return names
}

// advertisedExample returns a value of advertised.listeners for the listeners of the file.
func advertisedExample(d *document) string {
	var list []string
	for _, e := range d.bound() {
		list = append(list, fmt.Sprintf("%s://kafka1.example.com:%d", e.name, e.port))
	}
	return first([]string{strings.Join(list, ",")}, "")
}

// interBroker returns the name of the listener between brokers.
func (d *document) interBroker() string {
	if name := d.text("inter.broker.listener.name"); name != "" {
		return strings.ToUpper(name)
	}
	return strings.ToUpper(d.text("security.inter.broker.protocol"))
}

// isLoopback reports whether a host is reached only from the machine itself.
func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback() || host == "localhost" || strings.HasPrefix(host, "localhost.")
}

// isLocal reports whether the broker binds loopback addresses only.
func (d *document) isLocal() bool {
	return !slices.ContainsFunc(d.bound(), func(e endpoint) bool { return !isLoopback(e.host) })
}

// isDevelopment reports whether the broker's ZooKeeper is on its own machine, as in a development
// environment.
func (d *document) isDevelopment() bool {
	servers, _ := splitConnect(d.text("zookeeper.connect"))
	return len(servers) > 0 && !slices.ContainsFunc(servers, func(server string) bool {
		host, _, err := net.SplitHostPort(server)
		if err != nil {
			host = server
		}
		return !isLoopback(host)
	})
}

func (d *document) advertisedKey() string {
	if d.isGiven("advertised.listeners") {
		return "advertised.listeners"
	}
	return "listeners"
}

// checkListeners checks the addresses of the broker.
func (d *document) checkListeners() {
	for _, key := range []string{"listeners", "advertised.listeners"} {
		for _, e := range endpoints(d.text(key)) {
			if e.port > 65535 || e.port < 0 {
				d.error(key, note{"port-range", fmt.Sprintf("%s: %d is not a port", key, e.port), "Choose a port from 1 to 65535."})
			} else if key == "listeners" && e.port > 0 && e.port < 1024 {
				d.remark(key, note{"low-port", fmt.Sprintf("listeners: port %d is below 1024, which only root may bind", e.port), "Choose a port above 1023, such as 9092."})
			}
		}
	}
	d.checkAdvertised()
	d.checkPorts()
	if d.isGiven("inter.broker.listener.name") || !d.isGiven("listeners") {
		return
	}
	if names := d.listenerNames(); len(names) > 1 && slices.Contains(names, d.interBroker()) {
		d.remark("listeners", note{"inter-broker-default", fmt.Sprintf("the brokers connect to each other by the listener %s, because inter.broker.listener.name is not set", d.interBroker()),
			"Set inter.broker.listener.name=" + d.interBroker() + " to make the choice visible."})
	}
}

// checkAdvertised checks the addresses that clients and other brokers get.
func (d *document) checkAdvertised() {
	key, local := d.advertisedKey(), d.isLocal()
	if key == "listeners" && slices.ContainsFunc(d.advertised(), func(e endpoint) bool { return e.host == "" }) {
		d.remark(key, note{"advertised-host-name", "advertised.listeners is not set, so clients get the name of this machine",
			fmt.Sprintf("If clients cannot resolve that name, set advertised.listeners=%s.", advertisedExample(d))})
	}
	for _, e := range d.advertised() {
		place := e.name + "://" + net.JoinHostPort(e.host, strconv.Itoa(e.port))
		switch {
		case e.host == "::" || e.host == "0.0.0.0" && key == "advertised.listeners" && !d.isRefused(advertisedWildcard):
			d.error(key, note{"advertised-wildcard", fmt.Sprintf("%s cannot be reached: it means all addresses of a machine", place),
				"Set advertised.listeners to a name or address by which clients and the other brokers reach this machine."})
		case isLoopback(e.host) && !local && e.name == d.interBroker() && (d.brokers > 1 || !d.isDevelopment()):
			d.warn(key, note{"advertised-loopback", fmt.Sprintf("%s is what clients and other brokers get, and on every other machine it means that machine itself", place),
				fmt.Sprintf("Set advertised.listeners=%s with a name or address by which they reach this machine.", advertisedExample(d))})
		case isLoopback(e.host) && !local:
			d.remark(key, note{"advertised-loopback", fmt.Sprintf("clients on other machines cannot use %s", place),
				"Advertise a name or address by which they reach this machine, unless only clients on this machine use the listener."})
		case e.port == 0 && key == "advertised.listeners":
			d.error(key, note{"port-range", fmt.Sprintf("%s: clients cannot connect to port 0", place), "Write the port by which clients reach the listener."})
		}
	}
}

const advertisedWildcard = "nonroutable meta-address 0.0.0.0"

// isRefused reports whether one of the errors that prevent the start contains the text.
func (d *document) isRefused(part string) bool {
	for text := range d.refused {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// checkPorts finds ports of the broker that collide with its own other ports or with ZooKeeper's.
func (d *document) checkPorts() {
	servers, _ := splitConnect(d.text("zookeeper.connect"))
	_, metrics, _ := net.SplitHostPort(d.values["monedula.metrics.listener"])
	for _, e := range d.bound() {
		port := strconv.Itoa(e.port)
		if e.port == 0 {
			continue
		}
		if port == metrics {
			d.error("monedula.metrics.listener", note{"port-in-use", fmt.Sprintf("monedula.metrics.listener has port %s, which the listener %s also has", port, e.name), "Choose another port, such as 9404."})
		}
		for _, server := range servers {
			host, ofZooKeeper, err := net.SplitHostPort(server)
			if err == nil && ofZooKeeper == port && (isLoopback(host) || host == e.host) {
				d.error("zookeeper.connect", note{"port-in-use", fmt.Sprintf("zookeeper.connect has port %s, which the listener %s also has", port, e.name),
					"ZooKeeper usually has port 2181, and brokers 9092."})
			}
		}
	}
}
