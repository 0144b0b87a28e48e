package settings

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/metadata"
)

func load(t *testing.T, text string, overrides map[string]string) (*Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "server.properties")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(file, overrides)
}

func mustLoad(t *testing.T, text string) *Config {
	t.Helper()
	c, err := load(t, "zookeeper.connect=localhost:2181\n"+text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheBlockOfValuesMatchesARealBroker(t *testing.T) {
	printed := golden.Read(t, "kafkaconfig-values-3.9.1.txt")
	c := mustLoad(t, `broker.id=0
listeners=PLAINTEXT://127.0.0.1:9092
log.dirs=/tmp/kafka-logs
zookeeper.connect=127.0.0.1:2181
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
`)
	_, want, _ := strings.Cut(string(printed), "] INFO ")
	want = strings.TrimSuffix(strings.TrimRight(want, "\n"), " (kafka.server.KafkaConfig)")
	if got := c.Values(); got != want {
		for i, line := range strings.Split(want, "\n") {
			if lines := strings.Split(got, "\n"); i >= len(lines) || lines[i] != line {
				t.Fatalf("line %d: want %q, got %q", i+1, line, lines[min(i, len(lines)-1)])
			}
		}
		t.Fatalf("too many lines:\n%s", got)
	}
}

func readCSV(t *testing.T, file string) []map[string]string {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(golden.Read(t, file))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var list []map[string]string
	for _, row := range rows[1:] {
		fields := map[string]string{}
		for i, name := range rows[0] {
			fields[name] = row[i]
		}
		list = append(list, fields)
	}
	return list
}

func TestTableHasEveryKeyOfARealBroker(t *testing.T) {
	rows := readCSV(t, "broker-configs-3.9.csv")
	modes := map[string]Mode{"read-only": ReadOnly, "per-broker": PerBroker, "cluster-wide": ClusterWide}
	for _, row := range rows {
		k := broker.byName[row["name"]]
		if k == nil {
			t.Errorf("%s is missing", row["name"])
			continue
		}
		compareKey(t, k, row)
		if k.Dynamic() != modes[row["dynamic_update_mode"]] || k.Internal() != (row["internal"] == "true") {
			t.Errorf("%s: mode %d, want %s, internal %s", k.Name, k.Mode, row["dynamic_update_mode"], row["internal"])
		}
	}
	if len(rows) != len(broker.keys) {
		t.Errorf("%d keys, want %d", len(broker.keys), len(rows))
	}
}

func TestTableHasEveryKeyOfATopic(t *testing.T) {
	rows := readCSV(t, "topic-configs-3.9.csv")
	for _, row := range rows {
		k := topic.byName[row["name"]]
		if k == nil {
			t.Errorf("%s is missing", row["name"])
			continue
		}
		compareKey(t, k, row)
		source := ""
		if k.broker != nil {
			source = k.broker.Name
		}
		if source != row["server_default_property"] {
			t.Errorf("%s: default from %q, want %q", k.Name, source, row["server_default_property"])
		}
	}
	if len(rows) != len(topic.keys) {
		t.Errorf("%d keys, want %d", len(topic.keys), len(rows))
	}
}

func compareKey(t *testing.T, k *Key, row map[string]string) {
	t.Helper()
	importance := []string{"LOW", "MEDIUM", "HIGH"}[k.Importance]
	value := "<null>"
	if k.Default != null {
		value = printed(mustParse(k))
	}
	if k.Type.String() != row["type"] || value != row["default"] || importance != row["importance"] || k.Doc == "" {
		t.Errorf("%s: %s %s %s, want %v", k.Name, k.Type, value, importance, row)
	}
	if k.Check != nil && k.Check.Allowed() != row["valid_values"] {
		t.Errorf("%s: accepts %s, want %s", k.Name, k.Check.Allowed(), row["valid_values"])
	}
	unchecked := map[string]bool{"": true, "non-null string": true, "non-empty list": true}
	if k.Check == nil && !unchecked[row["valid_values"]] {
		t.Errorf("%s: no check, want %s", k.Name, row["valid_values"])
	}
}

func TestPropertiesAreReadAsJavaDoes(t *testing.T) {
	c := mustLoad(t, "# a comment \\\n"+
		"broker.id=7\n"+
		"broker.id.generation.enable=false\r\n"+
		"  ! another comment\n"+
		"broker.rack: caf\xe9 \\u00fc\n"+
		"num.partitions 1\n"+
		"num.partitions=4\n"+
		"log.dirs = /a,\\\n\t  /b\\\r\n  ,/c\n"+
		"my\\:own\\=key\\ =with\\ttab\n"+
		"listener.name.external.scram-sha-256.sasl.jaas.config=org.apache.kafka.Scram required \\\n"+
		"  username=\"u=1\" password=\"${secret}#!\";\n"+
		"ssl.keystore.password=${file:/etc/secret.properties:ks}\n"+
		"empty.key\n"+
		"BROKER.ID=9\n")
	for _, tc := range []struct{ got, want any }{
		{c.BrokerID(), metadata.BrokerID(7)},
		{nodeID.Of(c), int32(7)},
		{BrokerIDGenerationEnable.Of(c), false},
		{BrokerRack.OrZero(c), "café ü"},
		{NumPartitions.Of(c), int32(4)},
		{strings.Join(c.LogDirs(), "|"), "/a|/b|/c"},
		{c.originals["my:own=key "], "with\ttab"},
		{c.originals["listener.name.external.scram-sha-256.sasl.jaas.config"],
			`org.apache.kafka.Scram required username="u=1" password="${secret}#!";`},
		{string(sslKeystorePassword.OrZero(c)), "${file:/etc/secret.properties:ks}"},
		{c.originals["empty.key"], ""},
		{c.originals["BROKER.ID"], "9"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %#v, want %#v", tc.got, tc.want)
		}
	}
}

func TestOverridesTakePrecedenceOverTheFile(t *testing.T) {
	c, err := load(t, "zookeeper.connect=a:1\nnum.partitions=2\n", map[string]string{"num.partitions": "3", "zookeeper.connect": "b:2"})
	if err != nil {
		t.Fatal(err)
	}
	if NumPartitions.Of(c) != 3 || ZooKeeperConnect.OrZero(c) != "b:2" {
		t.Errorf("%s", c.Values())
	}
}

func TestProvidersResolvePlaceholders(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "s.properties"), []byte("rack=north\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "partitions"), []byte("5"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MONEDULA_TEST_ID", "12")
	c := mustLoad(t, `config.providers=file,dir,env,other
config.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider
config.providers.dir.class=org.apache.kafka.common.config.provider.DirectoryConfigProvider
config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider
config.providers.env.param.allowlist.pattern=MONEDULA_.*
broker.rack=the ${file:`+dir+`/s.properties:rack} one
num.partitions=${dir:`+dir+`:partitions}
broker.id=${env:MONEDULA_TEST_ID}
ssl.key.password=${env:PATH}${vault:a:b}
`)
	if BrokerRack.OrZero(c) != "the north one" || NumPartitions.Of(c) != 5 || c.BrokerID() != 12 ||
		sslKeyPassword.OrZero(c) != "${env:PATH}${vault:a:b}" {
		t.Errorf("%v", c.Originals())
	}
}

func TestErrorsNameTheKeyAndTheReason(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"num.partitions=0", "Invalid value 0 for configuration num.partitions: Value must be at least 1 (server.properties, line 2; accepted: [1,...])"},
		{"\n\nnum.partitions=many", "Invalid value many for configuration num.partitions: Not a number of type INT (server.properties, line 4; accepted: [1,...])"},
		{"auto.create.topics.enable=yes", "Invalid value yes for configuration auto.create.topics.enable: Expected value to be either true or false (server.properties, line 2)"},
		{"compression.type=lzma", "Invalid value lzma for configuration compression.type: String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer"},
		{"compression.gzip.level=10", "Value must be between 1 and 9 or equal to -1"},
		{"inter.broker.protocol.version=5.0", "Invalid value 5.0 for configuration inter.broker.protocol.version: Version 5.0 is not a valid version"},
		{"create.topic.policy.class.name=a.B", "Invalid value a.B for configuration create.topic.policy.class.name: Class a.B could not be found. (server.properties, line 2)"},
		{"broker.id=1001", "requirement failed: broker.id must be greater than or equal to -1 and not greater than reserved.broker.max.id (server.properties, line 2)"},
		{"broker.id.generation.enable=false", "requirement failed: broker.id must be greater than or equal to 0"},
		{"broker.id=1\nnode.id=2", "You must set `node.id` to the same value as `broker.id`."},
		{"replica.fetch.wait.max.ms=29999\nreplica.lag.time.max.ms=29998", "replica.fetch.wait.max.ms should always be less than or equal to replica.lag.time.max.ms to prevent frequent changes in ISR (server.properties, line 2)"},
		{"log.retention.ms=0", "log.retention.ms must be unlimited (-1) or, greater than or equal to 1"},
		{"log.dirs=,", "At least one log directory must be defined via log.dirs or log.dir."},
		{"listeners=FOO://:1", "Error creating broker listeners from 'FOO://:1': No security protocol defined for listener FOO"},
		{"listeners=PLAINTEXT://h", "Unable to parse PLAINTEXT://h to a broker endpoint"},
		{"listeners=PLAINTEXT://:1,PLAINTEXT://:2", "Each listener must have a different name, listeners: PLAINTEXT://:1,PLAINTEXT://:2"},
		{"listeners=PLAINTEXT://:1,SSL://:1", "Each listener must have a different port, listeners: PLAINTEXT://:1,SSL://:1"},
		{"listeners=PLAINTEXT://127.0.0.1:1,SSL://127.0.0.2:1", "then one needs to be IPv4 and the other IPv6"},
		{"listeners=SSL://:1", "inter.broker.listener.name must be a listener name defined in advertised.listeners. The valid options based on currently configured listeners are SSL"},
		{"listeners=PLAINTEXT://0.0.0.0:1", "advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a routable IP address."},
		{"advertised.listeners=PLAINTEXT://a:1,SSL://b:2", "advertised.listeners listener names must be equal to or a subset of the ones defined in listeners. Found PLAINTEXT,SSL. The valid options based on the current configuration are PLAINTEXT"},
		{"inter.broker.listener.name=PLAINTEXT\nsecurity.inter.broker.protocol=PLAINTEXT", "Only one of inter.broker.listener.name and security.inter.broker.protocol should be set."},
		{"listener.security.protocol.map=PLAINTEXT:TLS", "Invalid security protocol `TLS` defined in listener.security.protocol.map"},
		{"control.plane.listener.name=PLAINTEXT", "control.plane.listener.name, when defined, should have a different value from the inter broker listener name."},
		{"process.roles=broker,controller", "process.roles must be empty"},
		{"config.providers=f\nconfig.providers.f.class=a.B", "Invalid value a.B for configuration config.providers.f.class: Could not load config provider class"},
		{"max.connections.per.ip=0", "max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set."},
	} {
		_, err := load(t, "zookeeper.connect=z:1\n"+tc.text+"\n", nil)
		if err == nil {
			t.Errorf("%q: no error, want %s", tc.text, tc.want)
			continue
		}
		got := strings.ReplaceAll(err.Error(), filepath.Dir(fileIn(err.Error()))+"/", "")
		if !strings.Contains(got, tc.want) {
			t.Errorf("%q:\n got %s\nwant %s", tc.text, got, tc.want)
		}
	}
	if _, err := load(t, "broker.id=1\n", nil); err == nil || err.Error() != "Missing required configuration `zookeeper.connect` which has no default value." {
		t.Errorf("without zookeeper.connect: %v", err)
	}
	if _, err := load(t, "broker.rack=\\uXYZ1\n", nil); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("malformed escape: %v", err)
	}
}

// fileIn returns the path of the properties file in a message.
func fileIn(message string) string {
	_, rest, ok := strings.Cut(message, " (/")
	if !ok {
		return "/none"
	}
	path, _, _ := strings.Cut(rest, ",")
	return "/" + path
}

func TestAWarningAboutAnUnknownKeySuggestsTheNearestKnownKey(t *testing.T) {
	c := mustLoad(t, "num.partition=3\nauthorizer.mine=1\nlistener.name.x.plain.sasl.jaas.config=y\ncompletely.other.things=1\nprocess.roles=\n")
	want := []string{
		"The configuration completely.other.things is not known and has no effect",
		"The configuration num.partition is not known and has no effect; did you mean num.partitions?",
	}
	if got := c.Warnings(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestKeysOfKafka28AreApplied(t *testing.T) {
	c := mustLoad(t, "port=9095\nhost.name=127.0.0.1\nadvertised.host.name=kafka.example\nlog.dir=/x\n")
	if e := c.Listeners()[0]; e != (Endpoint{"PLAINTEXT", "127.0.0.1", 9095, Plaintext}) {
		t.Errorf("listeners %v", e)
	}
	if e := c.AdvertisedListeners()[0]; e != (Endpoint{"PLAINTEXT", "kafka.example", 9095, Plaintext}) {
		t.Errorf("advertised %v", e)
	}
	if d := c.LogDirs(); len(d) != 1 || d[0] != "/x" {
		t.Errorf("log dirs %v", d)
	}
	if len(c.Warnings()) != 3 {
		t.Errorf("warnings %q", c.Warnings())
	}
	c = mustLoad(t, "port=9095\nlisteners=PLAINTEXT://:1\n")
	if c.Listeners()[0].Port != 1 {
		t.Errorf("listeners must take precedence over port: %v", c.Listeners())
	}
}

func TestListeners(t *testing.T) {
	c := mustLoad(t, `listeners=Client://[::1]:9092,internal://10.0.0.1:9093,CTRL://:9094,V4://127.0.0.1:9092
advertised.listeners=CLIENT://pub.example:19092,INTERNAL://10.0.0.1:9093,CTRL://h:9094
listener.security.protocol.map=client:SASL_SSL,INTERNAL:PLAINTEXT,CTRL:SSL,V4:PLAINTEXT
inter.broker.listener.name=internal
control.plane.listener.name=CTRL
listener.name.client.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256
`)
	want := []Endpoint{{"CLIENT", "::1", 9092, SASLSSL}, {"INTERNAL", "10.0.0.1", 9093, Plaintext}, {"CTRL", "", 9094, SSL}, {"V4", "127.0.0.1", 9092, Plaintext}}
	for i, e := range c.Listeners() {
		if e != want[i] {
			t.Errorf("%v, want %v", e, want[i])
		}
	}
	if c.InterBrokerListener() != "INTERNAL" || c.ControlPlaneListener() != "CTRL" || len(c.AdvertisedListeners()) != 3 {
		t.Errorf("%s %s %v", c.InterBrokerListener(), c.ControlPlaneListener(), c.AdvertisedListeners())
	}
	if text, _ := c.ListenerValue("CLIENT", saslEnabledMechanisms.Key); text != "PLAIN,SCRAM-SHA-256" {
		t.Errorf("listener's value %q", text)
	}
	if text, _ := c.ListenerValue("INTERNAL", saslEnabledMechanisms.Key); text != "GSSAPI" {
		t.Errorf("value without prefix %q", text)
	}
}

// Two listeners may share a port only if it is 0, or if one has an IPv4 and the other an IPv6
// address.
func TestListenersMayShareAPort(t *testing.T) {
	const different, pair, more = "must have a different port, listeners", "then one needs to be IPv4", "unless exactly one listener has an IPv4 address"
	for hosts, want := range map[string]string{
		"h:0 g:0": "", "127.0.0.1:0 127.0.0.1:0": "", "h:1 g:2": "",
		"127.0.0.1:1 [::1]:1": "", "[::1]:1 127.0.0.1:1": "",
		"h:1 g:1": different, "h:1 127.0.0.1:1": pair, "[::1]:1 h:1": pair, "127.0.0.1:1 127.0.0.2:1": pair, "[::1]:1 [::2]:1": pair,
		"127.0.0.1:1 127.0.0.2:1 [::1]:1": more, "h:1 g:1 [::1]:1": different, "h:1 127.0.0.1:1 [::1]:1": pair,
	} {
		var listeners []string
		for i, host := range strings.Fields(hosts) {
			listeners = append(listeners, "ABC"[i:i+1]+"://"+host)
		}
		_, err := load(t, "zookeeper.connect=z:1\nlistener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT,C:PLAINTEXT\ninter.broker.listener.name=A\nlisteners="+
			strings.Join(listeners, ",")+"\n", nil)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", hosts, err, want)
		}
	}
}

func TestErrorsInListenersNameTheReason(t *testing.T) {
	for text, want := range map[string]string{
		"listener.security.protocol.map=PLAINTEXT":             "Invalid listener entry 'PLAINTEXT', expected NAME:PROTOCOL",
		"inter.broker.listener.name=X":                         "Listener with name X defined in inter.broker.listener.name not found in listener.security.protocol.map.",
		"listeners=PLAINTEXT://h:99999999999":                  "For input string: \"99999999999\"",
		"advertised.listeners=PLAINTEXT:h:1":                   "Unable to parse PLAINTEXT:h:1 to a broker endpoint",
		"advertised.listeners=PLAINTEXT://h:1,PLAINTEXT://g:2": "Each listener must have a different name",
	} {
		if _, err := load(t, "zookeeper.connect=z:1\n"+text+"\n", nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	c := mustLoad(t, "listener.security.protocol.map= a : plaintext , b:ssl\nlisteners=a://:1,B://h:2\nadvertised.listeners=A://h:1,b://h:1\ninter.broker.listener.name=b\n")
	if p := c.ListenerProtocols(); len(p) != 2 || p["A"] != Plaintext || p["B"] != SSL || c.InterBrokerListener() != "B" {
		t.Errorf("%v %s", p, c.InterBrokerListener())
	}
}

func TestNodeIDAndBrokerIDAreSynonyms(t *testing.T) {
	for _, text := range []string{"broker.id=3\n", "node.id=3\n", "broker.id=3\nnode.id=3\n"} {
		if c := mustLoad(t, text); c.BrokerID() != 3 || nodeID.Of(c) != 3 {
			t.Errorf("%q: %d %d", text, c.BrokerID(), nodeID.Of(c))
		}
	}
}

func TestOldKeysOfTheAdvertisedListener(t *testing.T) {
	for text, want := range map[string]string{
		"port=1\n":                         "://:1 ://:1",
		"host.name=h\n":                    "://h:9092 ://h:9092",
		"advertised.port=5\n":              "://:9092 ://:5",
		"host.name=h\nadvertised.port=5\n": "://h:9092 ://h:5",
		"advertised.host.name=a\nport=7\n": "://:7 ://a:7",
		"advertised.host.name=a\nadvertised.listeners=PLAINTEXT://b:1\n": "://:9092 ://b:1",
	} {
		c := mustLoad(t, text)
		l, a := c.Listeners()[0], c.AdvertisedListeners()[0]
		if got := fmt.Sprintf("://%s:%d ://%s:%d", l.Host, l.Port, a.Host, a.Port); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// The error for a refused value shows the value, unless it is a secret.
func TestRefusedSecretsAreNotShown(t *testing.T) {
	key := &Key{Name: "k", Type: Password, Check: rule{"none", func(string, any) string { return "is wrong" }}}
	text := "very-secret"
	_, err := parseKey(key, &text)
	if err == nil || err.Error() != "Invalid value [hidden] for configuration k: is wrong (accepted: none)" {
		t.Errorf("%v", err)
	}
}

func TestMillisecondsOverrideMinutesAndMinutesOverrideHours(t *testing.T) {
	for _, tc := range []struct {
		text            string
		retention, roll int64
	}{
		{"", 168 * 3600_000, 168 * 3600_000},
		{"log.retention.hours=1\nlog.roll.hours=2", 3600_000, 7200_000},
		{"log.retention.hours=1\nlog.retention.minutes=3", 180_000, 168 * 3600_000},
		{"log.retention.hours=1\nlog.retention.minutes=3\nlog.retention.ms=5\nlog.roll.ms=9", 5, 9},
		{"log.retention.ms=-1", -1, 168 * 3600_000},
		{"log.retention.hours=-1", -1, 168 * 3600_000},
	} {
		c := mustLoad(t, tc.text)
		if c.RetentionMs() != tc.retention || c.RollMs() != tc.roll {
			t.Errorf("%q: %d %d", tc.text, c.RetentionMs(), c.RollMs())
		}
	}
}

func TestIBPsAreOrdered(t *testing.T) {
	for text, want := range map[string]string{"3.9": "3.9-IV0", "3.9-IV0": "3.9-IV0", "2.8": "2.8-IV1", "2.8.2": "2.8-IV1", "2.8-IV0": "2.8-IV0",
		"0.10.0": "0.10.0-IV1", "0.9.0.1": "0.9.0", "0.8.2": "0.8.2", "3.7": "3.7-IV4"} {
		v, err := ParseIBP(text)
		if err != nil || v.String() != want {
			t.Errorf("%s: %v %v, want %s", text, v, err, want)
		}
	}
	v := MustIBP("2.8-IV1")
	if !v.AtLeast("2.8-IV1") || !v.AtLeast("0.11.0-IV2") || v.AtLeast("3.0-IV0") || v.Magic() != 2 || MustIBP("0.10.2").Magic() != 1 {
		t.Error("order")
	}
	for _, bad := range []string{"", "9", "3.9-IV1", "2.8-IV", "x.y"} {
		if v, err := ParseIBP(bad); err == nil {
			t.Errorf("%q was parsed as %s", bad, v)
		}
	}
}
