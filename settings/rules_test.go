package settings

import (
	"maps"
	"strings"
	"testing"
)

// Each rule between keys is tested by a configuration that breaks only this rule, and by one that
// almost breaks it.
func TestRulesBetweenKeys(t *testing.T) {
	const two = "listeners=A://h:1,B://h:2\nlistener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT,C:PLAINTEXT\ninter.broker.listener.name=A\n"
	const sasl = "listeners=SASL_PLAINTEXT://h:1\nsecurity.inter.broker.protocol=SASL_PLAINTEXT\nsasl.enabled.mechanisms=PLAIN\n"
	for _, c := range []struct{ text, want string }{
		{two + "advertised.listeners=A://h:1,B://h:2\n", ""},
		{two + "advertised.listeners=A://h:1,B://0.0.0.0:2\n", "advertised.listeners cannot use the nonroutable meta-address 0.0.0.0"},
		{two + "advertised.listeners=A://0.0.0.0:1,B://h:2\n", "advertised.listeners cannot use the nonroutable meta-address 0.0.0.0"},
		{two + "control.plane.listener.name=B\n", ""},
		{two + "control.plane.listener.name=C\n", "control.plane.listener.name must be a listener name defined in advertised.listeners"},
		{two + "control.plane.listener.name=A\n", "Currently they both have the value ListenerName(A)"},
		{two + "controller.listener.names=B\n", "controller.listener.names must be empty when not running in KRaft mode: [B]"},
		{two + "advertised.listeners=C://h:3,A://h:1\n", "advertised.listeners"},
		{"connections.max.idle.ms=-1\n", ""},
		{"connections.max.idle.ms=101\n", ""},
		{"connections.max.idle.ms=100\n", "connection.failed.authentication.delay.ms=100 should always be less than connections.max.idle.ms=100"},
		{"connections.max.idle.ms=0\nconnection.failed.authentication.delay.ms=0\n", "connection.failed.authentication.delay.ms=0 should always be less than connections.max.idle.ms=0"},
		{"log.roll.ms=1\nlog.roll.jitter.ms=0\nlog.retention.ms=1\n", ""},
		{"log.retention.ms=0\n", "log.retention.ms must be unlimited (-1) or, greater than or equal to 1"},
		{"log.cleaner.threads=2\nlog.cleaner.dedupe.buffer.size=2097154\n", ""},
		{"log.cleaner.threads=2\nlog.cleaner.dedupe.buffer.size=2097153\n", "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread."},
		{"replica.fetch.wait.max.ms=500\nreplica.socket.timeout.ms=500\n", ""},
		{"replica.fetch.wait.max.ms=501\nreplica.socket.timeout.ms=500\n", "replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms"},
		{"replica.fetch.wait.max.ms=500\nreplica.lag.time.max.ms=500\n", ""},
		{"replica.fetch.wait.max.ms=501\nreplica.lag.time.max.ms=500\n", "replica.fetch.wait.max.ms should always be less than or equal to replica.lag.time.max.ms"},
		{"log.cleaner.min.compaction.lag.ms=5\nlog.cleaner.max.compaction.lag.ms=5\n", ""},
		{"log.cleaner.min.compaction.lag.ms=6\nlog.cleaner.max.compaction.lag.ms=5\n", "conflict topic config setting min.compaction.lag.ms (6) > max.compaction.lag.ms (5)"},
		{"queued.max.request.bytes=-1\n", ""},
		{"queued.max.request.bytes=0\n", ""},
		{"queued.max.request.bytes=1000\nsocket.request.max.bytes=1000\n", ""},
		{"queued.max.request.bytes=999\nsocket.request.max.bytes=1000\n", "queued.max.request.bytes must be larger or equal to socket.request.max.bytes"},
		{"max.connections.per.ip=0\nmax.connections.per.ip.overrides=127.0.0.1:5\n", ""},
		{"max.connections.per.ip.overrides=127.0.0.1\n", "Error parsing configuration property 'max.connections.per.ip.overrides': 127.0.0.1"},
		{"max.connections.per.ip.overrides=127.0.0.1:x\n", "Error parsing configuration property 'max.connections.per.ip.overrides': 127.0.0.1:x"},
		{"broker.id=1000\n", ""},
		{"broker.id=-2\n", "broker.id must be greater than or equal to -1"},
		{"broker.id=0\nbroker.id.generation.enable=false\n", ""},
		{"inter.broker.protocol.version=2.1\noffsets.topic.compression.codec=4\n", ""},
		{"inter.broker.protocol.version=0.10.0\nlog.message.format.version=0.10.0\noffsets.topic.compression.codec=4\n", "offsets.topic.compression.codec zstd can only be used when"},
		{sasl + "sasl.mechanism.inter.broker.protocol=PLAIN\ninter.broker.protocol.version=0.10.0-IV1\nlog.message.format.version=0.10.0\n", ""},
		{sasl + "sasl.mechanism.inter.broker.protocol=PLAIN\ninter.broker.protocol.version=0.10.0-IV0\nlog.message.format.version=0.10.0\n", "Only GSSAPI mechanism is supported for inter-broker communication"},
		{sasl + "sasl.enabled.mechanisms=GSSAPI\nsasl.mechanism.inter.broker.protocol=PLAIN\nlistener.name.sasl_plaintext.sasl.enabled.mechanisms=PLAIN\n", ""},
		{sasl + "sasl.mechanism.inter.broker.protocol=PLAIN\n", ""},
		{sasl + "sasl.mechanism.inter.broker.protocol=GSSAPI\n", "sasl.mechanism.inter.broker.protocol must be included in sasl.enabled.mechanisms"},
	} {
		_, err := load(t, "zookeeper.connect=z:1\n"+c.text, nil)
		switch {
		case err == nil && c.want != "":
			t.Errorf("%q was accepted, want %s", c.text, c.want)
		case err != nil && (c.want == "" || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
	}
}

func TestConnectionsPerAddressAreOverridden(t *testing.T) {
	c := mustLoad(t, "max.connections.per.ip.overrides=127.0.0.1:5, host.example : 0,::1:7\n")
	if got := c.MaxConnectionsPerIPOverrides(); !maps.Equal(got, map[string]int{"127.0.0.1": 5, "host.example": 0, "::1": 7}) {
		t.Errorf("%v", got)
	}
}
