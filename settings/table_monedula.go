package settings

import (
	"net"
	"strconv"
)

// monedulaKeys are keys that Kafka does not have. They have their own table, because Kafka's table
// is compared with that of a real broker, and because the block of values in the log and
// DescribeConfigs responses contain only Kafka's keys.
var monedulaKeys = []Key{
	{Name: metricsListener, Type: String, Default: "", Check: hostAndPort, Importance: Low, Mode: ReadOnly,
		Doc: "Address, as host:port, on which metrics are served by HTTP in the text format of Prometheus, under " +
			"/metrics. An empty host means all interfaces. Access is not restricted. If empty, metrics are not served."},
}

// monedula is the table of monedulaKeys. It is never changed.
var monedula = newTable(monedulaKeys)

const metricsListener = "monedula.metrics.listener"

// MetricsListener returns the address on which metrics are served, as host:port, or "" if they are
// not served.
func (c *Config) MetricsListener() string {
	listener, _ := c.own[metricsListener].(string)
	return listener
}

// parseOwn parses the keys that Kafka does not have.
func (c *Config) parseOwn() (problems []error) {
	c.own = make(map[string]any, len(monedula.keys))
	for i := range monedula.keys {
		k := &monedula.keys[i]
		text, given := c.originals[k.Name]
		if !given {
			text = k.Default
		}
		value, err := parseKey(k, &text)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		c.own[k.Name] = value
	}
	return problems
}

var hostAndPort Check = rule{"empty or host:port", func(_ string, value any) string {
	if value == "" {
		return ""
	}
	_, port, err := net.SplitHostPort(value.(string))
	if err != nil {
		return "Value must be host:port"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "The port must be a number from 0 to 65535"
	}
	return ""
}}
