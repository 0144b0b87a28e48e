package settings

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// panics returns the text of f's panic, or "" if f does not panic.
func panics(f func()) (text string) {
	defer func() { text, _ = recover().(string) }()
	f()
	return ""
}

func TestValuesAreReadByTheirType(t *testing.T) {
	c := mustLoad(t, "ssl.key.password=s\nlog.cleaner.min.cleanable.ratio=0.25\nlog.cleanup.policy=compact,delete\n")
	if logCleanerMinCleanableRatio.Of(c) != 0.25 || !slices.Equal(logCleanupPolicy.Of(c), []string{"compact", "delete"}) ||
		sslKeyPassword.OrZero(c) != "s" || sslKeystorePassword.OrZero(c) != "" || BrokerRack.OrZero(c) != "" ||
		BrokerRack.OrNil(c) != nil || !BrokerRack.IsNull(c) || sslKeyPassword.IsNull(c) || *sslKeyPassword.OrNil(c) != "s" ||
		compressionType.Of(c) != "producer" || NumIOThreads.Of(c) != 8 || logRetentionBytes.Of(c) != -1 || compressionGzipLevel.Of(c) != -1 ||
		c.values["principal.builder.class"] != className(defaultPrincipalBuilder) {
		t.Error(c.Values())
	}
	for want, read := range map[string]func(){
		"two rows for a": func() {
			newTable(row[string]("a", "", nil, Low, ReadOnly, ""), row[string]("a", "", nil, Low, ReadOnly, ""))
		},
		"a has another type than log.dir":          func() { topicKey[int32]("a", logDir.Key, 0, nil, Low, "") },
		"Version 9 is not a valid version":         func() { MustIBP("9") },
		"no inter.broker.protocol.version 3.9-IV7": func() { MustIBP("3.9").AtLeast("3.9-IV7") },
	} {
		if got := panics(read); got != "settings: "+want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestLookupIgnoresAListenerPrefix(t *testing.T) {
	for name, want := range map[string]string{
		"num.io.threads":                                          "num.io.threads",
		"listener.name.x.max.connections":                         "max.connections",
		"listener.name.x.ssl.key.password":                        "ssl.key.password",
		"listener.name.x.plain.sasl.jaas.config":                  "sasl.jaas.config",
		"listener.name.x.scram-sha-256.connections.max.reauth.ms": "connections.max.reauth.ms",
		"listener.name.x.no.such":                                 "", "listener.name.x": "", "no.such": "", "listener.names.x.max.connections": "",
	} {
		got := ""
		if k := Lookup(name); k != nil {
			got = k.Name
		}
		if got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if k := Lookup("log.cleanup.policy"); k.DefaultList() != "delete" || Lookup("broker.rack").DefaultList() != "" {
		t.Errorf("%q", k.DefaultList())
	}
	if !slices.IsSorted(TopicKeys()) || len(TopicKeys()) != len(topic.keys) || TopicKey("retention.ms").Type != Long || TopicKey("no.such") != nil {
		t.Error("wrong keys of topics")
	}
}

// A log line shows neither secrets nor values of unknown keys.
func TestLogLinesShowNoSecrets(t *testing.T) {
	got := Loggable(map[string]string{"num.io.threads": "9", "listener.name.x.ssl.key.password": "s", "my.plugin": "s",
		"leader.replication.throttled.rate": "5"})
	const want = "leader.replication.throttled.rate -> 5,listener.name.x.ssl.key.password -> [hidden],my.plugin -> [hidden],num.io.threads -> 9"
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
	c := mustLoad(t, "ssl.key.password=very-secret\nsasl.jaas.config=very-secret\n")
	if strings.Contains(c.Values(), "very-secret") {
		t.Error("the block of values shows a secret")
	}
	d := NewDynamic(c)
	for _, e := range d.DescribeBroker() {
		if e.Value != nil && strings.Contains(*e.Value, "very-secret") {
			t.Errorf("%+v", e)
		}
	}
}

func TestValuesAreWrittenAsJavaDoes(t *testing.T) {
	for _, c := range []struct {
		value          any
		printed, shown string
	}{
		{true, "true", "true"}, {int16(-3), "-3", "-3"}, {int32(5), "5", "5"}, {int64(1 << 40), "1099511627776", "1099511627776"},
		{0.5, "0.5", "0.5"}, {math.Inf(1), "Infinity", "Infinity"}, {math.Inf(-1), "-Infinity", "-Infinity"}, {math.NaN(), "NaN", "NaN"},
		{-0.0001, "-1.0E-4", "-1.0E-4"}, {12345678.5, "1.23456785E7", "1.23456785E7"}, {-1e7, "-1.0E7", "-1.0E7"}, {100.0, "100.0", "100.0"},
		{[]string{"a", "b"}, "[a, b]", "a,b"}, {[]string{}, "[]", ""}, {className("a.B"), "class a.B", "a.B"}, {secret("s"), "[hidden]", "[hidden]"},
		{"text", "text", "text"},
	} {
		if got := printed(c.value); got != c.printed {
			t.Errorf("%v is printed as %q, want %q", c.value, got, c.printed)
		}
		if got := show(c.value); got == nil || *got != c.shown {
			t.Errorf("%v is shown as %v, want %q", c.value, got, c.shown)
		}
	}
	if printed(nil) != "null" || show(nil) != nil {
		t.Error("null")
	}
	for i, name := range []string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"} {
		if SecurityProtocol(i).String() != name {
			t.Errorf("protocol %d is %s", i, SecurityProtocol(i))
		}
	}
}
