package settings

import (
	"net"
	"strconv"
)

// monedula is the table of the keys that Kafka does not have. They have their own table, because
// Kafka's table is compared with that of a real broker, and because the block of values in the log
// and DescribeConfigs responses contain only Kafka's keys. A new key needs a row here, a place in
// newTable, and an accessor. It cannot be changed at run time.
var monedula = newTable(metricsListener.Key, lagPartitions.Key, pprofEnable.Key, diskLowWatermark.Key)

var metricsListener = KeyOf[string]{row[string]("monedula.metrics.listener", "", hostAndPort, Low, ReadOnly,
	"Address, as host:port, on which the broker is monitored by HTTP: metrics in the text format of Prometheus under /metrics, "+
		"liveness under /live and readiness under /ready as JSON. An empty host means all interfaces. Access is not restricted. "+
		"If empty, nothing is served.")}

// MetricsListener returns the address on which metrics are served, as host:port, or "" if they are
// not served.
func (c *Config) MetricsListener() string {
	return metricsListener.in(c.own)
}

var lagPartitions = KeyOf[int32]{row[int32]("monedula.metrics.consumer.lag.partitions", 10_000, atLeast(0), Low, ReadOnly,
	"Largest number of committed offsets, over all groups that this broker coordinates, whose consumer lag is among the metrics. "+
		"Groups beyond it, in the order of their names, are left out and counted. 0 disables the metrics of consumer lag.")}

// ConsumerLagPartitions returns the largest number of committed offsets whose lag is reported; 0 if
// none is.
func (c *Config) ConsumerLagPartitions() int32 { return lagPartitions.in(c.own) }

var pprofEnable = KeyOf[bool]{row("monedula.pprof.enable", false, nil, Low, ReadOnly,
	"Whether monedula.metrics.listener also serves profiles of the process under /debug/pprof. They show names of topics and "+
		"clients, and taking one costs processor time, so enable this only while you need it.")}

// PprofEnabled reports whether profiles of the process are served.
func (c *Config) PprofEnabled() bool { return pprofEnable.in(c.own) }

var diskLowWatermark = KeyOf[int64]{row[int64]("monedula.disk.low.watermark.bytes", -1, atLeast(-1), Medium, ReadOnly,
	"Number of free bytes of a log directory's file system below which records from clients to partitions in this directory are "+
		"refused with the retriable error NOT_ENOUGH_REPLICAS, until a quarter more is free. Below half of it, partitions in the "+
		"directory also pause to follow their leaders. Below a quarter, records of coordinators are also refused. Fetches, retention "+
		"and DeleteRecords continue. -1 means 1 % of the file system, at least 8 MiB (or an eighth of a smaller file system) and at "+
		"most 1 GiB. 0 disables the check.")}

// DiskLowWatermark returns the number of free bytes of a file system below which client records are
// refused; -1 if it is to be derived from the size of the file system, 0 if nothing is refused.
func (c *Config) DiskLowWatermark() int64 {
	return diskLowWatermark.in(c.own)
}

// parseOwn parses the keys that Kafka does not have.
func (c *Config) parseOwn() (problems []error) {
	c.own = make(map[string]any, len(monedula.keys))
	for _, k := range monedula.keys {
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
