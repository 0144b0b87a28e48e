package settings

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// SecurityProtocol determines how a listener's connections are secured.
type SecurityProtocol int16

// The security protocols, with their numbers in the wire protocol.
const (
	Plaintext     SecurityProtocol = 0
	SSL           SecurityProtocol = 1
	SASLPlaintext SecurityProtocol = 2
	SASLSSL       SecurityProtocol = 3
)

var securityProtocols = []string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}

// String returns Kafka's name, such as SASL_SSL.
func (p SecurityProtocol) String() string { return securityProtocols[p] }

// Endpoint is one entry of listeners or advertised.listeners.
type Endpoint struct {
	Listener string // name in upper case, such as PLAINTEXT
	Host     string // "": all interfaces or, if advertised, the name of the machine
	Port     int32
	Protocol SecurityProtocol
}

// Listeners returns the addresses on which the broker listens.
func (c *Config) Listeners() []Endpoint { return c.listeners }

// AdvertisedListeners returns the addresses that clients and other brokers receive. The broker must
// replace an empty host with the name of the machine, and port 0 with the bound port.
func (c *Config) AdvertisedListeners() []Endpoint { return c.advertised }

// ListenerProtocols returns the security protocol of each listener by name.
func (c *Config) ListenerProtocols() map[string]SecurityProtocol { return c.protocols }

// InterBrokerListener returns the name of the listener for connections between brokers.
func (c *Config) InterBrokerListener() string { return c.interBroker }

// ControlPlaneListener returns the name of the listener for the controller, "" if it has no
// separate one.
func (c *Config) ControlPlaneListener() string {
	return strings.ToUpper(controlPlaneListenerName.OrZero(c))
}

// ListenerValue returns the text of a key for one listener: the value with the prefix
// listener.name.X., or else the one without it.
func (c *Config) ListenerValue(listener string, k *Key) (text string, ok bool) {
	if text, ok = c.originals["listener.name."+strings.ToLower(listener)+"."+k.Name]; ok {
		return text, true
	}
	if shown := show(c.values[k.Name]); shown != nil {
		return *shown, true
	}
	return "", false
}

var endpointURI = regexp.MustCompile(`^(.*)://\[?([0-9a-zA-Z\-%._:]*)\]?:(-?[0-9]+)$`)

// parseEndpoints parses a list of the form NAME://host:port,...
func parseEndpoints(list string, protocols map[string]SecurityProtocol, distinctPorts bool) ([]Endpoint, error) {
	var endpoints []Endpoint
	for _, text := range splitList(list) {
		e, err := parseEndpoint(text, protocols)
		if err != nil {
			return nil, fmt.Errorf("Error creating broker listeners from '%s': %w", list, err)
		}
		endpoints = append(endpoints, e)
	}
	names := map[string]bool{}
	for _, e := range endpoints {
		names[e.Listener] = true
	}
	if len(names) < len(endpoints) {
		return nil, fmt.Errorf("requirement failed: Each listener must have a different name, listeners: %s", list)
	}
	if distinctPorts {
		return endpoints, checkPorts(endpoints, list)
	}
	return endpoints, nil
}

func parseEndpoint(text string, protocols map[string]SecurityProtocol) (Endpoint, error) {
	m := endpointURI.FindStringSubmatch(text)
	if m == nil {
		return Endpoint{}, fmt.Errorf("Unable to parse %s to a broker endpoint", text)
	}
	name := strings.ToUpper(m[1])
	protocol, ok := protocols[name]
	if !ok {
		return Endpoint{}, fmt.Errorf("No security protocol defined for listener %s", name)
	}
	port, err := strconv.ParseInt(m[3], 10, 32)
	if err != nil {
		return Endpoint{}, fmt.Errorf("For input string: \"%s\"", m[3])
	}
	return Endpoint{Listener: name, Host: m[2], Port: int32(port), Protocol: protocol}, nil
}

// checkPorts refuses two listeners with the same port, except for one IPv4 and one IPv6 address
// (Kafka 3.6 and later). Several listeners may have port 0.
func checkPorts(endpoints []Endpoint, list string) error {
	byPort := map[int32][]Endpoint{}
	for _, e := range endpoints {
		if e.Port != 0 {
			byPort[e.Port] = append(byPort[e.Port], e)
		}
	}
	for port, same := range byPort {
		if len(same) < 2 {
			continue
		}
		var four, six, names int
		for _, e := range same {
			switch address, err := netip.ParseAddr(e.Host); {
			case err != nil:
				names++
			case address.Is4():
				four++
			default:
				six++
			}
		}
		switch {
		case names > 1:
			return fmt.Errorf("requirement failed: Each listener must have a different port, listeners: %s", list)
		case four+six > 2:
			return fmt.Errorf("Each listener must have a different port unless exactly one listener has "+
				"an IPv4 address and the other IPv6 address, listeners: %s, port: %d", list, port)
		case names > 0 || four != 1 || six != 1:
			return fmt.Errorf("requirement failed: If you have two listeners on the same port then one needs to be IPv4 "+
				"and the other IPv6, listeners: %s, port: %d", list, port)
		}
	}
	return nil
}

// parseProtocolMap parses listener.security.protocol.map.
func parseProtocolMap(text string) (map[string]SecurityProtocol, error) {
	protocols := map[string]SecurityProtocol{}
	for _, pair := range splitList(text) {
		name, protocol, ok := cutLast(pair, ":")
		if !ok {
			return nil, fmt.Errorf("Error parsing configuration property 'listener.security.protocol.map': "+
				"Invalid listener entry '%s', expected NAME:PROTOCOL", pair)
		}
		p, err := parseSecurityProtocol(strings.TrimSpace(protocol), listenerSecurityProtocolMap.Name)
		if err != nil {
			return nil, err
		}
		protocols[strings.ToUpper(strings.TrimSpace(name))] = p
	}
	return protocols, nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func parseSecurityProtocol(name, key string) (SecurityProtocol, error) {
	i := slices.Index(securityProtocols, strings.ToUpper(name))
	if i < 0 {
		return 0, fmt.Errorf("Invalid security protocol `%s` defined in %s", name, key)
	}
	return SecurityProtocol(i), nil
}

// deriveListeners computes the fields that follow from the keys of listeners.
func (c *Config) deriveListeners() error {
	var err error
	if c.protocols, err = parseProtocolMap(listenerSecurityProtocolMap.Of(c)); err != nil {
		return problem(listenerSecurityProtocolMap.Name, err)
	}
	if c.listeners, err = parseEndpoints(listeners.Of(c), c.protocols, true); err != nil {
		return problem(listeners.Name, err)
	}
	c.advertised = c.listeners
	if !advertisedListeners.IsNull(c) {
		if c.advertised, err = parseEndpoints(advertisedListeners.OrZero(c), c.protocols, false); err != nil {
			return problem(advertisedListeners.Name, err)
		}
	}
	return c.deriveInterBroker()
}

func (c *Config) deriveInterBroker() error {
	if interBrokerListenerName.IsNull(c) {
		c.interBroker = securityInterBrokerProtocol.Of(c)
		return nil
	}
	if _, given := c.Given(securityInterBrokerProtocol.Key); given {
		return problem(interBrokerListenerName.Name,
			errors.New("Only one of inter.broker.listener.name and security.inter.broker.protocol should be set."))
	}
	c.interBroker = strings.ToUpper(interBrokerListenerName.OrZero(c))
	if _, ok := c.protocols[c.interBroker]; !ok {
		return problem(interBrokerListenerName.Name, fmt.Errorf("Listener with name %s defined in inter.broker.listener.name "+
			"not found in listener.security.protocol.map.", c.interBroker))
	}
	return nil
}

func problem(key string, err error) *Problem { return &Problem{Key: key, Text: err.Error()} }
