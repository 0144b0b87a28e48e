package settings

import (
	"errors"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestDynamicValuesOverrideTheFile(t *testing.T) {
	d := NewDynamic(mustLoad(t, "log.retention.ms=1\nlog.roll.ms=5\nnum.io.threads=4\n"))
	if _, err := d.ApplyDefault(map[string]string{"log.retention.ms": "2"}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.ApplyBroker(map[string]string{"log.retention.ms": "3"}); err != nil {
		t.Fatal(err)
	}
	if d.Current().RetentionMs() != 3 {
		t.Errorf("%d", d.Current().RetentionMs())
	}
	if _, err := d.ApplyBroker(nil); err != nil || d.Current().RetentionMs() != 2 {
		t.Errorf("%d %v", d.Current().RetentionMs(), err)
	}
	if _, err := d.ApplyDefault(nil); err != nil || d.Current().RetentionMs() != 1 {
		t.Errorf("%d %v", d.Current().RetentionMs(), err)
	}
}

func TestWhatCannotBeSetDynamicallyIsIgnored(t *testing.T) {
	d := NewDynamic(mustLoad(t, "broker.id=1\n"))
	ignored, err := d.ApplyDefault(map[string]string{"broker.id": "5", "listeners": "PLAINTEXT://:1", "ssl.keystore.location": "x",
		"log.retention.ms": "abc", "num.io.threads": "9", "my.plugin": "y", "listener.name.a.ssl.key.password": "z"})
	if err != nil || len(ignored) != 5 || d.Current().BrokerID() != 1 || NumIOThreads.Of(d.Current()) != 9 {
		t.Errorf("%q %v %d", ignored, err, NumIOThreads.Of(d.Current()))
	}
	if text, ok := d.Current().Originals()["my.plugin"]; !ok || text != "y" {
		t.Errorf("custom key %q %v", text, ok)
	}
}

func TestInvalidCombinationsChangeNothing(t *testing.T) {
	d := NewDynamic(mustLoad(t, ""))
	if _, err := d.ApplyBroker(map[string]string{"max.connections.per.ip": "0"}); err == nil || MaxConnectionsPerIP.Of(d.Current()) == 0 {
		t.Errorf("%v", err)
	}
}

func TestDynamicChangesAreCheckedAsKafkaDoes(t *testing.T) {
	d := NewDynamic(mustLoad(t, "listeners=PLAINTEXT://127.0.0.1:9092\n"))
	wrap := func(text string) string {
		return "Invalid value org.apache.kafka.common.config.ConfigException: " + text + " for configuration Invalid dynamic configuration"
	}
	for _, tc := range []struct {
		values    map[string]string
		perBroker bool
		want      string
	}{
		{map[string]string{"broker.id": "1", "num.partitions": "1"}, true, "Cannot update these configs dynamically: Set(num.partitions, broker.id)"},
		{map[string]string{"zookeeper.connect": "", "log.dirs": "", "broker.id": "", "num.partitions": "", "default.replication.factor": "",
			"zookeeper.session.timeout.ms": "", "offsets.topic.num.partitions": "", "log.dir": ""}, true, "Cannot update these configs dynamically: " +
			"HashSet(num.partitions, broker.id, log.dirs, zookeeper.connect, offsets.topic.num.partitions, log.dir, default.replication.factor, zookeeper.session.timeout.ms)"},
		{map[string]string{"ssl.keystore.location": "x", "ssl.truststore.location": "x", "ssl.keystore.type": "x", "ssl.truststore.type": "x",
			"ssl.keystore.password": "x", "ssl.key.password": "x"}, true,
			"These security configs can be dynamically updated only per-listener using the listener prefix: " +
				"HashSet(ssl.keystore.type, ssl.truststore.location, ssl.keystore.password, ssl.key.password, ssl.keystore.location, ssl.truststore.type)"},
		{map[string]string{"ssl.keystore.location": "x"}, true,
			"These security configs can be dynamically updated only per-listener using the listener prefix: HashSet(ssl.keystore.location)"},
		{map[string]string{"listeners": "PLAINTEXT://:1"}, false, "Cannot update these configs at default cluster level, broker id must be specified: Set(listeners)"},
		{map[string]string{"listener.name.x.ssl.keystore.location": "x"}, false,
			"Cannot update these configs at default cluster level, broker id must be specified: Set(listener.name.x.ssl.keystore.location)"},
		{map[string]string{"listener.name.internal.ssl.keystore.location": "x", "advertised.listeners": "x", "listener.security.protocol.map": "x", "listeners": "x"}, false,
			"Cannot update these configs at default cluster level, broker id must be specified: " +
				"Set(listeners, advertised.listeners, listener.security.protocol.map, listener.name.internal.ssl.keystore.location)"},
		{map[string]string{"listener.name.internal.ssl.keystore.location": "x", "advertised.listeners": "x", "listener.security.protocol.map": "x", "listeners": "x",
			"listener.name.external.ssl.keystore.location": "x", "listener.name.external.ssl.keystore.type": "x"}, false,
			"Cannot update these configs at default cluster level, broker id must be specified: HashSet(listener.security.protocol.map, listeners, " +
				"listener.name.external.ssl.keystore.type, advertised.listeners, listener.name.internal.ssl.keystore.location, listener.name.external.ssl.keystore.location)"},
		{map[string]string{"log.retention.ms": "x"}, true, "Invalid value x for configuration log.retention.ms: Not a number of type LONG"},
		{map[string]string{"num.io.threads": "17"}, true, wrap("Dynamic thread count update validation failed for num.io.threads=17, value should not be greater than double the current value 8")},
		{map[string]string{"num.io.threads": "3"}, false, wrap("Dynamic thread count update validation failed for num.io.threads=3, value should be at least half the current value 8")},
		{map[string]string{"log.cleaner.threads": "3"}, false, wrap("Log cleaner threads cannot be increased to more than double the current value 1")},
		{map[string]string{"leader.replication.throttled.rate": "-1"}, true, "Invalid value -1 for configuration leader.replication.throttled.rate: Value must be at least 0"},
		{map[string]string{"metric.reporters": "a.B"}, true, wrap("Validation of dynamic config update of Set(metric.reporters) failed with class class kafka.server.DynamicMetricsReporters")},
		{map[string]string{"metric.reporters": "a.B", "num.io.threads": "9", "log.cleaner.threads": "2", "background.threads": "11", "log.retention.ms": "5", "num.network.threads": "4"}, true,
			wrap("Validation of dynamic config update of Set(log.retention.ms, metric.reporters, num.network.threads, num.io.threads, log.cleaner.threads, background.threads)" +
				" failed with class class kafka.server.DynamicMetricsReporters")},
		{map[string]string{"listener.security.protocol.map": "PLAINTEXT:SSL,SSL:SSL"}, true, wrap("Security protocol cannot be updated for existing listener ListenerName(PLAINTEXT)")},
		{map[string]string{"max.connections": "0"}, false, wrap("Invalid max.connections 0")},
		{map[string]string{"listener.name.plaintext.max.connections": "0"}, true, wrap("Invalid max.connections 0")},
		{map[string]string{"max.connection.creation.rate": "0"}, false, wrap("Invalid max.connection.creation.rate 0")},
		{map[string]string{"listener.name.plaintext.max.connection.creation.rate": "0"}, true, wrap("Invalid max.connection.creation.rate 0")},
		{map[string]string{"log.local.retention.ms": "-1"}, false,
			wrap("Invalid value -1 for configuration log.local.retention.ms: Value must not be -1 as log.retention.ms value is set as 604800000.")},
		{map[string]string{"log.local.retention.ms": "2147483648"}, false,
			wrap("Invalid value 2147483648 for configuration log.local.retention.ms: Value must not be more than log.retention.ms property value: 604800000")},
		{map[string]string{"log.local.retention.ms": "-1", "log.retention.ms": "-1"}, false, ""},
		{map[string]string{"log.local.retention.bytes": "-1", "log.retention.bytes": "5"}, false,
			wrap("Invalid value -1 for configuration log.local.retention.bytes: Value must not be -1 as log.retention.bytes value is set as 5.")},
		{map[string]string{"log.local.retention.bytes": "6", "log.retention.bytes": "5"}, false,
			wrap("Invalid value 6 for configuration log.local.retention.bytes: Value must not be more than log.retention.bytes property value: 5")},
		{map[string]string{"log.local.retention.bytes": "6"}, false, ""},
		{map[string]string{"num.io.threads": "4"}, false, ""},
		{map[string]string{"background.threads": "21"}, true, wrap("Dynamic thread count update validation failed for background.threads=21, value should not be greater than double the current value 10")},
		{map[string]string{"num.network.threads": "7"}, true, wrap("Dynamic thread count update validation failed for num.network.threads=7, value should not be greater than double the current value 3")},
		{map[string]string{"num.network.threads": "1"}, true, ""},
		{map[string]string{"log.cleaner.threads": "2"}, false, ""},
		{map[string]string{"advertised.listeners": "SSL://h:1", "listeners": "PLAINTEXT://127.0.0.1:9092,SSL://:9093"}, true,
			"requirement failed: inter.broker.listener.name must be a listener name defined in advertised.listeners. The valid options based on currently configured listeners are SSL"},
		{map[string]string{"listener.name.plaintext.sasl.enabled.mechanisms": "PLAIN"}, true,
			wrap("Configs cannot be updated dynamically for existing listener ListenerName(PLAINTEXT), restart broker or create a new listener for update")},
		{map[string]string{"listener.name.plaintext.ssl.keystore.location": "x", "listener.name.plaintext.num.network.threads": "2"}, true, ""},
		{map[string]string{"listener.name.other.sasl.enabled.mechanisms": "PLAIN"}, true, ""},
		{map[string]string{"max.connections": "1"}, false, ""},
		{map[string]string{"metric.reporters": "org.apache.kafka.common.metrics.JmxReporter"}, true, ""},
		{map[string]string{"log.local.retention.ms": "604800000"}, false, ""},
		{map[string]string{"log.local.retention.ms": "-2"}, false, ""},
		{map[string]string{"log.retention.ms": "5", "log.local.retention.ms": "6"}, false,
			wrap("Invalid value 6 for configuration log.local.retention.ms: Value must not be more than log.retention.ms property value: 5")},
		{map[string]string{"num.io.threads": "16", "custom": "1", "listener.name.plaintext.max.connections": "5"}, true, ""},
	} {
		err := d.Validate(tc.values, tc.perBroker)
		got := ""
		if p, ok := err.(*Problem); ok {
			got = p.Message()
		} else if err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("%v:\n got %s\nwant %s", tc.values, got, tc.want)
		}
	}
}

func TestPasswordsAreStoredEncrypted(t *testing.T) {
	const key = "listener.name.external.ssl.key.password"
	for _, cipher := range []string{"AES/CBC/PKCS5Padding", "AES/GCM/NoPadding"} {
		d := NewDynamic(mustLoad(t, "password.encoder.secret=topsecret\npassword.encoder.cipher.algorithm="+cipher+"\n"))
		stored, err := d.ToStored(map[string]string{key: "pässword", "log.retention.ms": "1"}, true)
		if err != nil || strings.Contains(stored[key], "pässword") || stored["log.retention.ms"] != "1" || !strings.Contains(stored[key], "passwordLength:8,") {
			t.Fatalf("%v %v", stored, err)
		}
		if values, ignored := d.FromStored(stored, true); values[key] != "pässword" || len(ignored) != 0 {
			t.Errorf("%s: %v %v", cipher, values, ignored)
		}
		if _, err := d.ToStored(map[string]string{key: "x"}, false); err == nil || err.Error() != "Password config can be defined only at broker level" {
			t.Errorf("%v", err)
		}
	}
	d := NewDynamic(mustLoad(t, ""))
	if _, err := d.ToStored(map[string]string{key: "x"}, true); err == nil || err.Error() != "Password encoder secret not configured" {
		t.Errorf("%v", err)
	}
}

func TestPasswordOfARealBrokerIsDecrypted(t *testing.T) {
	golden, err := os.ReadFile("testdata/password-3.9.1.txt")
	if err != nil {
		t.Fatal(err)
	}
	const key = "listener.name.external.ssl.key.password"
	d := NewDynamic(mustLoad(t, "password.encoder.secret=topsecret\n"))
	if values, ignored := d.FromStored(map[string]string{key: string(golden)}, true); values[key] != "pw" {
		t.Errorf("%v %v", values, ignored)
	}
	d = NewDynamic(mustLoad(t, "password.encoder.secret=wrong\n"))
	for _, text := range []string{string(golden), "", "x", "keyLength:128,iterations:1,passwordLength:0,salt:,initializationVector:,encryptedPassword:"} {
		if values, ignored := d.FromStored(map[string]string{key: text}, true); len(values) != 0 || len(ignored) != 1 {
			t.Errorf("%q: %v %v", text, values, ignored)
		}
	}
}

// A stored password may be damaged or encrypted with another secret. It is then left out, and no
// reader panics.
func TestDamagedPasswordsAreLeftOut(t *testing.T) {
	const key = "listener.name.external.ssl.key.password"
	for _, cipher := range []string{cbcCipher, gcmCipher} {
		d := NewDynamic(mustLoad(t, "password.encoder.secret=topsecret\npassword.encoder.iterations=1024\npassword.encoder.cipher.algorithm="+cipher+"\n"))
		stored, err := d.ToStored(map[string]string{key: "0123456789"}, true)
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Split(stored[key], ",")
		for i, field := range fields {
			name, _, _ := strings.Cut(field, ":")
			if name == "authenticationTagSize" {
				continue // always 128
			}
			for _, value := range []string{"", "1", "AAAA", "QUJDREVGR0hJSktMTU5PUA==", "-1", "x y"} {
				damaged := slices.Clone(fields)
				damaged[i] = name + ":" + value
				text := strings.Join(damaged, ",")
				if values, ignored := d.FromStored(map[string]string{key: text}, true); len(values) != 0 || len(ignored) != 1 {
					t.Errorf("%s with %s: %v %v", cipher, damaged[i], values, ignored)
				}
			}
		}
	}
}

// A password is decrypted with the cipher with which it was stored, whatever the configuration is
// now.
func TestPasswordsAreReadAfterTheEncoderConfigurationChanged(t *testing.T) {
	const key = "listener.name.external.ssl.key.password"
	was := NewDynamic(mustLoad(t, "password.encoder.secret=topsecret\npassword.encoder.cipher.algorithm=AES/GCM/NoPadding\n"+
		"password.encoder.keyfactory.algorithm=PBKDF2WithHmacSHA1\npassword.encoder.key.length=256\npassword.encoder.iterations=1025\n"))
	stored, err := was.ToStored(map[string]string{key: "secret"}, true)
	if err != nil || !strings.Contains(stored[key], "keyLength:256,") || !strings.Contains(stored[key], "keyFactoryAlgorithm:PBKDF2WithHmacSHA1,") ||
		!strings.Contains(stored[key], "iterations:1025,") {
		t.Fatalf("%v %v", stored, err)
	}
	now := NewDynamic(mustLoad(t, "password.encoder.secret=topsecret\n"))
	if values, ignored := now.FromStored(stored, true); values[key] != "secret" {
		t.Errorf("%v %v", values, ignored)
	}
	again, err := now.ToStored(map[string]string{key: "secret"}, true)
	if err != nil || !strings.Contains(again[key], "keyFactoryAlgorithm:PBKDF2WithHmacSHA512,") {
		t.Errorf("%v %v", again, err)
	}
}

func TestValidateRefusesWhatTheBrokerDoesNotSupport(t *testing.T) {
	d := NewDynamic(mustLoad(t, ""))
	d.RefuseUnless(func(c *Config) error {
		if NumIOThreads.Of(c) > 9 {
			return errors.New("too many threads")
		}
		return nil
	})
	if err := d.Validate(map[string]string{"num.io.threads": "9"}, true); err != nil {
		t.Error(err)
	}
	if err := d.Validate(map[string]string{"num.io.threads": "10"}, true); err == nil || !strings.Contains(err.Error(), "ConfigException: too many threads for") {
		t.Errorf("%v", err)
	}
	if err := d.Validate(map[string]string{"num.io.threads": "3"}, true); err == nil || !strings.Contains(err.Error(), "at least half the current value 8") {
		t.Errorf("a change that the broker supports but no broker can make: %v", err)
	}
}

func find(t *testing.T, entries []Entry, name string) Entry {
	t.Helper()
	i := slices.IndexFunc(entries, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		t.Fatalf("%s is not described", name)
	}
	return entries[i]
}

func ptr(s string) *string { return &s }

func TestDescriptionsHaveSourcesAndSynonyms(t *testing.T) {
	d := NewDynamic(mustLoad(t, "log.retention.hours=100\nlog.segment.bytes=5000\nmy.key=x\nssl.key.password=s\n"))
	if _, err := d.ApplyDefault(map[string]string{"log.segment.bytes": "6000"}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.ApplyBroker(map[string]string{"log.segment.bytes": "7000", "other.key": "y"}); err != nil {
		t.Fatal(err)
	}
	entries := d.DescribeBroker()
	bytes := find(t, entries, "log.segment.bytes")
	want := []Synonym{{"log.segment.bytes", ptr("7000"), SourceDynamicBroker}, {"log.segment.bytes", ptr("6000"), SourceDynamicDefaultBroker},
		{"log.segment.bytes", ptr("5000"), SourceStaticBroker}, {"log.segment.bytes", ptr("1073741824"), SourceDefault}}
	if *bytes.Value != "7000" || bytes.ReadOnly || bytes.Source != SourceDynamicBroker || bytes.Type != 3 || !reflect.DeepEqual(bytes.Synonyms, want) {
		t.Errorf("%+v", bytes)
	}
	if e := find(t, entries, "my.key"); e.Value != nil || !e.Sensitive || !e.ReadOnly || e.Type != 0 || e.Doc != nil {
		t.Errorf("an unknown key: %+v", e)
	}
	if e := find(t, entries, "ssl.key.password"); e.Value != nil || !e.Sensitive || e.Synonyms[0].Value != nil {
		t.Errorf("a password: %+v", e)
	}
	if e := find(t, entries, "broker.id"); *e.Value != "-1" || !e.ReadOnly || e.Source != SourceDefault {
		t.Errorf("%+v", e)
	}
	if e := find(t, entries, "log.retention.ms"); e.Value != nil || len(e.Synonyms) != 0 {
		t.Errorf("a key whose synonym is set: %+v", e)
	}
	if slices.ContainsFunc(entries, func(e Entry) bool { return e.Name == "group.share.enable" }) {
		t.Error("an internal key is described")
	}
	defaults := d.DescribeDefaults()
	if len(defaults) != 1 || len(defaults[0].Synonyms) != 1 || *defaults[0].Value != "6000" || defaults[0].Source != SourceDynamicDefaultBroker {
		t.Errorf("%+v", defaults)
	}
	topic, err := d.DescribeTopic(map[string]string{"retention.ms": "9", "strange": "z"})
	if err != nil {
		t.Fatal(err)
	}
	if e := find(t, topic, "retention.ms"); *e.Value != "9" || e.Source != SourceTopic || len(e.Synonyms) != 1 {
		t.Errorf("%+v", e)
	}
	if e := find(t, topic, "segment.bytes"); *e.Value != "7000" || e.Source != SourceDynamicBroker || len(e.Synonyms) != 4 {
		t.Errorf("%+v", e)
	}
	if e := find(t, topic, "strange"); !e.Sensitive || e.Value != nil || e.Source != SourceTopic {
		t.Errorf("%+v", e)
	}
	if e := find(t, topic, "cleanup.policy"); *e.Value != "delete" || e.Type != 7 || e.Sensitive || e.ReadOnly {
		t.Errorf("%+v", e)
	}
}

// A listener's own value overrides that of all listeners, which is described as its synonym.
// Neither shows a secret.
func TestDescriptionsOfListenersHaveTheKeyOfAllListenersAsSynonym(t *testing.T) {
	const jaas = "listener.name.external.scram-sha-256.sasl.jaas.config"
	const trust = "listener.name.external.ssl.truststore.location"
	d := NewDynamic(mustLoad(t, "sasl.jaas.config=all\nssl.truststore.location=/all\n"+jaas+"=own\n"+trust+"=/own\n"))
	entries := d.DescribeBroker()
	if e := find(t, entries, trust); e.Sensitive || *e.Value != "/own" || e.Type != String.Wire() || !reflect.DeepEqual(e.Synonyms,
		[]Synonym{{trust, ptr("/own"), SourceStaticBroker}, {"ssl.truststore.location", ptr("/all"), SourceStaticBroker}}) {
		t.Errorf("%+v", e)
	}
	if e := find(t, entries, jaas); !e.Sensitive || e.Value != nil || e.Type != Password.Wire() || !reflect.DeepEqual(e.Synonyms,
		[]Synonym{{jaas, nil, SourceStaticBroker}, {"sasl.jaas.config", nil, SourceStaticBroker}}) {
		t.Errorf("%+v", e)
	}
}

// Only a key with a listener prefix has the key without it as a synonym.
func TestOtherKeysHaveOnlyTheirOwnSynonyms(t *testing.T) {
	for name, want := range map[string][]string{
		"num.network.threads":                    {"num.network.threads"},
		"listener.name.x":                        {"listener.name.x"},
		"listener.name.x.num.network.threads":    {"listener.name.x.num.network.threads", "num.network.threads"},
		"listener.name.x.plain.sasl.jaas.config": {"listener.name.x.plain.sasl.jaas.config", "sasl.jaas.config"},
		"log.retention.minutes":                  {"log.retention.ms", "log.retention.minutes", "log.retention.hours"},
		"log.flush.interval.ms":                  {"log.flush.interval.ms", "log.flush.scheduler.interval.ms"},
	} {
		if got := brokerSynonyms(name, true); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		if got := brokerSynonyms(name, false); strings.HasPrefix(name, "listener.") && !slices.Equal(got, []string{name}) {
			t.Errorf("%s, without its prefix: %v", name, got)
		}
	}
}

func TestDescriptionsMatchTheTable(t *testing.T) {
	d := NewDynamic(mustLoad(t, "listener.name.x.num.network.threads=2\n"))
	if _, err := d.ApplyDefault(map[string]string{"leader.replication.throttled.rate": "5"}); err != nil {
		t.Fatal(err)
	}
	entries := d.DescribeBroker()
	for _, k := range broker.keys {
		if k.Internal() {
			continue
		}
		e := find(t, entries, k.Name)
		if e.Type != k.Type.Wire() || e.Doc == nil || *e.Doc != k.Doc || e.Sensitive != (k.Type == Password) || e.ReadOnly != (k.Dynamic() == ReadOnly) {
			t.Errorf("%+v, want that of %+v", e, k)
		}
	}
	if e := find(t, entries, "leader.replication.throttled.rate"); e.Type != Long.Wire() || *e.Value != "5" || e.Source != SourceDynamicDefaultBroker {
		t.Errorf("%+v", e)
	}
	described, err := d.DescribeTopic(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(described) != len(topic.keys) {
		t.Errorf("%d keys of a topic, want %d", len(described), len(topic.keys))
	}
	for _, k := range topic.keys {
		e := find(t, described, k.Name)
		if e.Type != k.Type.Wire() || e.Doc == nil || *e.Doc != k.Doc || e.Sensitive || e.ReadOnly || e.Source != SourceDefault {
			t.Errorf("%+v, want that of %+v", e, k)
		}
	}
}

// A key that no file can set has the value of this broker, that of all brokers, or none.
func TestKeysThatOnlyADynamicConfigurationCanSet(t *testing.T) {
	const key = "leader.replication.throttled.rate"
	d := NewDynamic(mustLoad(t, ""))
	want := func(n int64) {
		t.Helper()
		if got := LeaderReplicationThrottledRate.Of(d); got != n {
			t.Errorf("%d, want %d", got, n)
		}
	}
	want(math.MaxInt64)
	if _, err := d.ApplyDefault(map[string]string{key: "7"}); err != nil {
		t.Fatal(err)
	}
	want(7)
	if _, err := d.ApplyBroker(map[string]string{key: "8"}); err != nil {
		t.Fatal(err)
	}
	want(8)
}

// A broker with a generated id, which no file may set, also accepts dynamic values.
func TestAGeneratedIDStaysWhenValuesChange(t *testing.T) {
	d := NewDynamic(mustLoad(t, "").WithBrokerID(1001))
	if _, err := d.ApplyBroker(map[string]string{"num.io.threads": "9"}); err != nil {
		t.Fatal(err)
	}
	if c := d.Current(); c.BrokerID() != 1001 || NumIOThreads.Of(c) != 9 {
		t.Errorf("%d %d", c.BrokerID(), NumIOThreads.Of(c))
	}
}

// A value on a higher layer hides its synonyms on lower layers. As in Kafka, these are described
// with their defaults.
func TestADynamicValueHidesItsSynonyms(t *testing.T) {
	d := NewDynamic(mustLoad(t, "log.retention.hours=100\nlog.roll.hours=50\n"))
	if _, err := d.ApplyBroker(map[string]string{"log.retention.ms": "5"}); err != nil {
		t.Fatal(err)
	}
	if c := d.Current(); c.RetentionMs() != 5 || c.RollMs() != 50*3600_000 {
		t.Errorf("%d %d", c.RetentionMs(), c.RollMs())
	}
	entries := d.DescribeBroker()
	if hours, roll := find(t, entries, "log.retention.hours"), find(t, entries, "log.roll.hours"); *hours.Value != "168" || *roll.Value != "50" {
		t.Errorf("%s %s", *hours.Value, *roll.Value)
	}
}

func TestThreadsMayAtMostHalveOrDouble(t *testing.T) {
	const least, most = "at least half the current value 8", "greater than double the current value 8"
	const cleanersLeast, cleanersMost = "reduced to less than half the current value 8", "increased to more than double the current value 8"
	for _, c := range []struct {
		was, is          int32
		others, cleaners string
	}{
		{8, 8, "", ""}, {8, 4, "", ""}, {8, 3, least, cleanersLeast}, {8, 16, "", ""}, {8, 17, most, cleanersMost},
		{1, 0, "at least 1", "at least 1"}, {3, 1, "", ""}, {0, 0, "", ""},
	} {
		check := func(name string, err error, want string) {
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s from %d to %d: %v, want %q", name, c.was, c.is, err, want)
			}
		}
		check("others", checkThreads("k", c.was, c.is), c.others)
		check("cleaners", checkCleanerThreads(c.was, c.is), c.cleaners)
	}
}
