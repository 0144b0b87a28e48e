package settings

import (
	"strings"
	"testing"
)

// Rules between keys, each by a configuration that breaks only it, beside one
// that nearly does.
func TestRulesBetweenKeys(t *testing.T) {
	const two = "listeners=A://h:1,B://h:2\nlistener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT,C:PLAINTEXT\ninter.broker.listener.name=A\n"
	const sasl = "listeners=SASL_PLAINTEXT://h:1\nsecurity.inter.broker.protocol=SASL_PLAINTEXT\nsasl.enabled.mechanisms=PLAIN\n"
	for _, c := range []struct{ text, want string }{
		{two + "advertised.listeners=A://h:1,B://h:2\n", ""},
		{two + "advertised.listeners=C://h:3,A://h:1\n", "advertised.listeners"},
		{"connections.max.idle.ms=-1\n", ""},
		{"connections.max.idle.ms=101\n", ""},
		{"connections.max.idle.ms=100\n", "connection.failed.authentication.delay.ms=100 should always be less than connections.max.idle.ms=100"},
		{"connections.max.idle.ms=0\nconnection.failed.authentication.delay.ms=0\n", "connection.failed.authentication.delay.ms=0 should always be less than connections.max.idle.ms=0"},
		{sasl + "sasl.mechanism.inter.broker.protocol=PLAIN\n", ""},
		{sasl + "sasl.mechanism.inter.broker.protocol=GSSAPI\n", "sasl.mechanism.inter.broker.protocol must be included in sasl.enabled.mechanisms"},
	} {
		_, err := load(t, "zookeeper.connect=z:1\n"+c.text, nil)
		switch {
		case err == nil && c.want != "":
			t.Errorf("%q is taken, want %s", c.text, c.want)
		case err != nil && (c.want == "" || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
	}
}
