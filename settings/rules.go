package settings

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/monedula/monedula/metadata"
)

// derive computes what follows from several keys, and returns the contradictions between keys in
// the order in which Kafka checks them.
func (c *Config) derive() (problems []error) {
	ibp, err := ParseIBP(interBrokerProtocolVersion.Of(c))
	if err != nil {
		return []error{problem(interBrokerProtocolVersion.Name, err)}
	}
	c.ibp = ibp
	if err := c.deriveListeners(); err != nil {
		return []error{err}
	}
	per, err := parseConnectionsPerIP(maxConnectionsPerIPOverrides.Of(c))
	if err != nil {
		return []error{problem(maxConnectionsPerIPOverrides.Name, err)}
	}
	c.connectionsPer = per
	for _, group := range [][]demand{c.identityRules(), c.logRules(), c.listenerRules(), c.versionRules(), c.socketRules()} {
		for _, d := range group {
			if !d.met {
				problems = append(problems, &Problem{Key: d.key, Text: d.text})
			}
		}
	}
	if len(problems) > 0 {
		return problems
	}
	c.topicDefaults = c.brokerTopicValues()
	for _, k := range []KeyOf[[]string]{metricReporters, kafkaMetricsReporters} {
		if classes := k.Of(c); len(classes) > 0 {
			c.warnings = append(c.warnings, fmt.Sprintf("%s=%s has no effect: reporters are Java classes, which cannot be loaded",
				k.Name, strings.Join(classes, ",")))
		}
	}
	return nil
}

// MaxConnectionsPerIPOverrides returns max.connections.per.ip.overrides by host.
func (c *Config) MaxConnectionsPerIPOverrides() map[string]int { return c.connectionsPer }

// demand is a rule about several keys. If it is not met, text describes the error, and key is the
// key whose line the error names.
type demand struct {
	key  string
	met  bool
	text string
}

// require returns a demand with the prefix that Kafka's require adds to most messages.
func require(key string, met bool, format string, args ...any) demand {
	return demand{key, met, "requirement failed: " + fmt.Sprintf(format, args...)}
}

func (c *Config) identityRules() []demand {
	id := c.BrokerID()
	rules := []demand{
		{nodeID.Name, metadata.BrokerID(nodeID.Of(c)) == id, "You must set `node.id` to the same value as `broker.id`."},
		{processRoles.Name, len(processRoles.Of(c)) == 0,
			"process.roles must be empty: this broker is coordinated by ZooKeeper and has no KRaft mode. Remove the key."},
		{zooKeeperMetadataMigrationEnable.Name, !zooKeeperMetadataMigrationEnable.Of(c),
			"zookeeper.metadata.migration.enable cannot be true: this broker has no KRaft mode to migrate to. Remove the key."},
		{remoteLogStorageSystemEnable.Name, !remoteLogStorageSystemEnable.Of(c),
			"remote.log.storage.system.enable cannot be true: this broker has no tiered storage. Remove the key."},
		{ZooKeeperConnect.Name, !ZooKeeperConnect.IsNull(c),
			"Missing required configuration `zookeeper.connect` which has no default value."},
	}
	if BrokerIDGenerationEnable.Of(c) {
		return append(rules, require(brokerID.Name, id >= -1 && id <= c.MaxReservedBrokerID(),
			"broker.id must be greater than or equal to -1 and not greater than reserved.broker.max.id"))
	}
	return append(rules, require(brokerID.Name, id >= 0, "broker.id must be greater than or equal to 0"))
}

func (c *Config) logRules() []demand {
	wait, retention := ReplicaFetchWaitMaxMs.Of(c), c.RetentionMs()
	threads := LogCleanerThreads.Of(c)
	return []demand{
		require(logRollMs.Name, c.RollMs() >= 1, "log.roll.ms must be greater than or equal to 1"),
		require(logRollJitterMs.Name, c.RollJitterMs() >= 0, "log.roll.jitter.ms must be greater than or equal to 0"),
		require(logRetentionMs.Name, retention >= 1 || retention == -1,
			"log.retention.ms must be unlimited (-1) or, greater than or equal to 1"),
		require(logDirs.Name, len(c.LogDirs()) > 0, "At least one log directory must be defined via log.dirs or log.dir."),
		require(LogCleanerDedupeBufferSize.Name, threads > 0 && LogCleanerDedupeBufferSize.Of(c)/int64(threads) > 1<<20,
			"log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread."),
		require(ReplicaSocketTimeoutMs.Name, wait <= ReplicaSocketTimeoutMs.Of(c),
			"replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms to prevent unnecessary socket timeouts"),
		require(ReplicaFetchWaitMaxMs.Name, int64(wait) <= ReplicaLagTimeMaxMs.Of(c),
			"replica.fetch.wait.max.ms should always be less than or equal to replica.lag.time.max.ms to prevent frequent changes in ISR"),
		{logCleanerMinCompactionLagMs.Name, logCleanerMinCompactionLagMs.Of(c) <= logCleanerMaxCompactionLagMs.Of(c),
			fmt.Sprintf("conflict topic config setting min.compaction.lag.ms (%d) > max.compaction.lag.ms (%d)",
				logCleanerMinCompactionLagMs.Of(c), logCleanerMaxCompactionLagMs.Of(c))},
	}
}

func (c *Config) listenerRules() []demand {
	bound, advertised := names(c.listeners), names(c.advertised)
	subset, routable := true, true
	for _, e := range c.advertised {
		subset = subset && slices.Contains(bound, e.Listener)
		routable = routable && e.Host != "0.0.0.0"
	}
	options := strings.Join(advertised, ",")
	rules := []demand{
		require(controllerListenerNames.Name, len(splitList(controllerListenerNames.OrZero(c))) == 0,
			"controller.listener.names must be empty when not running in KRaft mode: [%s]",
			strings.Join(splitList(controllerListenerNames.OrZero(c)), ", ")),
		require(listeners.Name, len(advertised) > 0, "There must be at least one broker advertised listener."),
		require(interBrokerListenerName.Name, slices.Contains(advertised, c.interBroker),
			"inter.broker.listener.name must be a listener name defined in advertised.listeners. "+
				"The valid options based on currently configured listeners are %s", options),
		require(advertisedListeners.Name, subset,
			"advertised.listeners listener names must be equal to or a subset of the ones defined in listeners. "+
				"Found %s. The valid options based on the current configuration are %s", options, strings.Join(bound, ",")),
		require(advertisedListeners.Name, routable,
			"advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a routable IP address."),
	}
	if controlPlaneListenerName.IsNull(c) {
		return rules
	}
	control := c.ControlPlaneListener()
	return append(rules,
		require(controlPlaneListenerName.Name, slices.Contains(advertised, control),
			"control.plane.listener.name must be a listener name defined in advertised.listeners. "+
				"The valid options based on currently configured listeners are %s", options),
		require(controlPlaneListenerName.Name, control != c.interBroker,
			"control.plane.listener.name, when defined, should have a different value from the inter broker listener name. "+
				"Currently they both have the value ListenerName(%s)", control))
}

func names(endpoints []Endpoint) []string {
	list := make([]string, len(endpoints))
	for i, e := range endpoints {
		list[i] = e.Listener
	}
	return list
}

func (c *Config) versionRules() []demand {
	magic := c.messageFormat().Magic()
	protocol := c.protocols[c.interBroker]
	secure := protocol == SASLPlaintext || protocol == SASLSSL
	mechanism := saslMechanismInterBrokerProtocol.Of(c)
	enabled := saslEnabledMechanisms.Of(c)
	if text, ok := c.ListenerValue(c.interBroker, saslEnabledMechanisms.Key); ok {
		enabled = splitList(text)
	}
	version := interBrokerProtocolVersion.Of(c)
	return []demand{
		require(logMessageFormatVersion.Name, c.ibp.Magic() >= magic,
			"log.message.format.version %s can only be used when inter.broker.protocol.version is set to version %s or higher",
			logMessageFormatVersion.Of(c), magicRelease(magic)),
		require(OffsetsTopicCompressionCodec.Name, OffsetsTopicCompressionCodec.Of(c) != 4 || c.ibp.Magic() >= 2,
			"offsets.topic.compression.codec zstd can only be used when inter.broker.protocol.version is set to version 2.1 or higher"),
		require(saslMechanismInterBrokerProtocol.Name, !secure || c.ibp.AtLeast("0.10.0-IV1") || mechanism == "GSSAPI",
			"Only GSSAPI mechanism is supported for inter-broker communication with SASL when inter.broker.protocol.version is set to %s", version),
		require(saslMechanismInterBrokerProtocol.Name, !secure || slices.Contains(enabled, mechanism),
			"sasl.mechanism.inter.broker.protocol must be included in sasl.enabled.mechanisms when SASL is used for inter-broker communication"),
	}
}

func (c *Config) socketRules() []demand {
	queued, idle := queuedMaxRequestBytes.Of(c), ConnectionsMaxIdleMs.Of(c)
	delay := connectionFailedAuthenticationDelayMs.Of(c)
	return []demand{
		require(queuedMaxRequestBytes.Name, queued <= 0 || queued >= int64(SocketRequestMaxBytes.Of(c)),
			"queued.max.request.bytes must be larger or equal to socket.request.max.bytes"),
		require(MaxConnectionsPerIP.Name, MaxConnectionsPerIP.Of(c) != 0 || len(c.connectionsPer) > 0,
			"max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set."),
		require(connectionFailedAuthenticationDelayMs.Name, idle < 0 || int64(delay) < idle,
			"connection.failed.authentication.delay.ms=%d should always be less than connections.max.idle.ms=%d "+
				"to prevent failed authentication responses from timing out", delay, idle),
	}
}

// parseConnectionsPerIP parses host:number pairs.
func parseConnectionsPerIP(text string) (map[string]int, error) {
	limits := map[string]int{}
	for _, pair := range splitList(text) {
		host, number, ok := cutLast(pair, ":")
		n, err := strconv.Atoi(strings.TrimSpace(number))
		if !ok || err != nil {
			return nil, fmt.Errorf("Error parsing configuration property 'max.connections.per.ip.overrides': %s", pair)
		}
		limits[strings.TrimSpace(host)] = n
	}
	return limits, nil
}

// messageFormat returns log.message.format.version. With IBP 3.0 and newer the key is ignored, and
// the format is 3.0-IV1 (KIP-724).
func (c *Config) messageFormat() IBP {
	if c.ibp.AtLeast("3.0-IV0") {
		return MustIBP("3.0-IV1")
	}
	v, err := ParseIBP(logMessageFormatVersion.Of(c))
	if err != nil { // the value was checked when it was parsed
		panic("settings: " + err.Error())
	}
	return v
}
