package integration

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/internal/testkit"
)

// brokerKey is a row of the golden table of broker keys.
type brokerKey struct{ name, typ, value, mode string }

// brokerKeys reads the golden table. value is the default, or some value of the key's type if the
// default is null.
func brokerKeys(t *testing.T) []brokerKey {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(golden.Read(t, "broker-configs-3.9.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var keys []brokerKey
	for _, row := range rows[1:] {
		k := brokerKey{row[0], row[1], strings.Trim(row[2], "[]"), row[5]}
		if k.value == "<null>" || k.value == "<required>" || k.value == "" {
			k.value = map[string]string{"INT": "1", "SHORT": "1", "LONG": "1", "DOUBLE": "0.5", "BOOLEAN": "true"}[k.typ]
			if k.value == "" {
				k.value = "x"
			}
		}
		keys = append(keys, k)
	}
	if len(keys) < 300 {
		t.Fatalf("%d keys in the golden table", len(keys))
	}
	return keys
}

// brokerChange builds an IncrementalAlterConfigs request for one key of broker 0, or of all brokers
// if broker is "".
func brokerChange(broker, key string, value *string, validateOnly bool) *kmsg.IncrementalAlterConfigsRequest {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Version, req.ValidateOnly = 1, validateOnly
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeBroker, broker
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Value = key, value
	if value == nil {
		c.Op = kmsg.IncrementalAlterConfigOpDelete
	}
	r.Configs = append(r.Configs, c)
	req.Resources = append(req.Resources, r)
	return req
}

// describeBroker builds a DescribeConfigs request for keys of a broker with their synonyms.
func describeBroker(broker string, keys ...string) *kmsg.DescribeConfigsRequest {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Version, req.IncludeSynonyms = 4, true
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.ConfigNames = kmsg.ConfigResourceTypeBroker, broker, keys
	req.Resources = append(req.Resources, r)
	return req
}

// Every key of a broker can be changed while it runs, or the change is refused with the same
// message as a real broker's. A changed key is described with its sources.
func TestDynamicConfigurationMatchesARealBroker(t *testing.T) {
	common := []string{"log.retention.ms=-1", "log.retention.hours=100", "auto.leader.rebalance.enable=false"}
	theirs := testkit.RealKafka(t, "3.9.1").Broker(t, 0, testkit.ZooKeeper(t), "", common...)
	ours := startBroker(t, options{extra: common})
	sides := []*side{
		{name: "ours", address: ours.address(), port: int32(ours.port)},
		{name: "real", address: theirs.Address(), port: int32(theirs.Port)},
	}
	for _, s := range sides {
		s.link = link(t, s.address)
	}
	same := func(what string, build func(s *side) kmsg.Request) {
		t.Helper()
		a, b := sides[0].ask(build(sides[0])), sides[1].ask(build(sides[1]))
		a, b = listEntry.ReplaceAllString(a, "$1*"), listEntry.ReplaceAllString(b, "$1*")
		if a != b {
			t.Errorf("%s:\n  ours: %s\n  real: %s", what, clip(a, b), clip(b, a))
		}
	}
	keys := brokerKeys(t)
	var dynamic []brokerKey
	for _, k := range keys {
		for _, broker := range []string{"0", ""} {
			what := fmt.Sprintf("set %s=%s on broker %q", k.name, k.value, broker)
			same(what, func(*side) kmsg.Request { return brokerChange(broker, k.name, &k.value, true) })
			same(what+" to nonsense", func(*side) kmsg.Request { return brokerChange(broker, k.name, kmsg.StringPtr("no such value"), true) })
		}
		if k.mode == "cluster-wide" && k.name != "metric.reporters" && !strings.HasPrefix(k.name, "remote.") && !strings.HasPrefix(k.name, "log.local.") &&
			strings.Contains(sides[0].ask(brokerChange("", k.name, &k.value, true)), `"ErrorCode":0`) {
			dynamic = append(dynamic, k)
		}
	}
	for _, c := range []struct{ key, value string }{
		{"num.io.threads", "100"}, {"num.replica.fetchers", "3"}, {"num.network.threads", "1"}, {"log.cleaner.threads", "5"},
		{"background.threads", "0"}, {"max.connections.per.ip", "-1"}, {"max.connections", "0"}, {"log.segment.bytes", "1"},
		{"listener.name.plaintext.max.connections", "7"}, {"listener.name.other.max.connections", "7"}, {"custom.key", "v"},
		{"leader.replication.throttled.rate", "-1"}, {"leader.replication.throttled.rate", "1000"}, {"log.cleanup.policy", "shrink"},
		{"max.connections.per.ip.overrides", "127.0.0.1"}, {"log.retention.ms", "0"}, {"log.retention.ms", "-2"}, {"min.insync.replicas", "0"},
		{"unclean.leader.election.enable", "maybe"}, {"compression.type", "none"}, {"message.max.bytes", "-1"}, {"num.replica.fetchers", "0"},
	} {
		same("set "+c.key+"="+c.value, func(*side) kmsg.Request { return brokerChange("0", c.key, &c.value, true) })
		same("set "+c.key+"="+c.value+" on all brokers", func(*side) kmsg.Request { return brokerChange("", c.key, &c.value, true) })
	}

	// The keys are set for all brokers, then for this broker, and then removed. Each step changes
	// all keys at once, because a real broker takes a long time to apply some of the changes.
	steps := []struct {
		broker string
		value  func(k brokerKey) *string
	}{
		{"", func(k brokerKey) *string { return &k.value }},
		{"0", func(k brokerKey) *string { return &k.value }},
		{"", func(brokerKey) *string { return nil }},
		{"0", func(brokerKey) *string { return nil }},
	}
	var names []string
	for _, k := range dynamic {
		names = append(names, k.name)
	}
	for _, step := range steps {
		for _, s := range sides {
			all := brokerChange(step.broker, dynamic[0].name, step.value(dynamic[0]), false)
			for _, k := range dynamic[1:] {
				one := brokerChange(step.broker, k.name, step.value(k), false)
				all.Resources[0].Configs = append(all.Resources[0].Configs, one.Resources[0].Configs...)
			}
			s.ask(all)
			last := dynamic[len(dynamic)-1]
			testkit.Eventually(t, 60*time.Second, "the last change in "+s.name, func() bool {
				source := kmsg.ConfigSourceDynamicBrokerConfig
				if step.broker == "" {
					source = kmsg.ConfigSourceDynamicDefaultBrokerConfig
				}
				return slices.Contains(s.sourcesOf(last.name), source) == (step.value(last) != nil)
			})
		}
		for _, broker := range []string{"0", ""} {
			same(fmt.Sprintf("describe broker %q", broker), func(*side) kmsg.Request { return describeBroker(broker, names...) })
		}
	}

	// AlterConfigs replaces the whole dynamic configuration.
	for _, values := range []map[string]string{
		{"log.retention.ms": "5000", "num.io.threads": "9", "custom": "1"}, {"log.retention.ms": "6000"}, {"broker.id": "3"}, {"num.io.threads": "99"}, {},
	} {
		for _, broker := range []string{"", "0"} {
			what := fmt.Sprintf("all of broker %q: %v", broker, values)
			same(what, func(*side) kmsg.Request { return wholeBroker(broker, values) })
			wanted, refused := values["log.retention.ms"], values["broker.id"] != "" || values["num.io.threads"] == "99"
			for _, s := range sides {
				testkit.Eventually(t, 20*time.Second, what+" in "+s.name, func() bool { return refused || s.valueIn(broker, "log.retention.ms") == wanted })
			}
			same("describe after "+what, func(*side) kmsg.Request { return describeBroker("0", names...) })
		}
	}
}

// wholeBroker builds an AlterConfigs request for broker 0, or of all brokers if broker is "".
func wholeBroker(broker string, values map[string]string) *kmsg.AlterConfigsRequest {
	req := kmsg.NewPtrAlterConfigsRequest()
	req.Version = 2
	r := kmsg.NewAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeBroker, broker
	for _, name := range slices.Sorted(maps.Keys(values)) {
		c := kmsg.NewAlterConfigsRequestResourceConfig()
		c.Name, c.Value = name, kmsg.StringPtr(values[name])
		r.Configs = append(r.Configs, c)
	}
	req.Resources = append(req.Resources, r)
	return req
}

// valueIn returns the dynamic value of a key, of broker 0 or of all brokers; "" if none is set.
func (s *side) valueIn(broker, key string) string {
	resp, err := s.link.Do(background(), describeBroker("0", key))
	if err != nil {
		return ""
	}
	source := kmsg.ConfigSourceDynamicBrokerConfig
	if broker == "" {
		source = kmsg.ConfigSourceDynamicDefaultBrokerConfig
	}
	for _, c := range resp.(*kmsg.DescribeConfigsResponse).Resources[0].Configs {
		for _, synonym := range c.ConfigSynonyms {
			if synonym.Source == source && synonym.Name == key && synonym.Value != nil {
				return *synonym.Value
			}
		}
	}
	return ""
}

// listEntry matches the messages in which we name the malformed entry, where Kafka prints "begin 0,
// end -1, length 9".
var listEntry = regexp.MustCompile(`(Error parsing configuration property '(?:listener.security.protocol.map|max.connections.per.ip.overrides)': )[^"]*`)

// sourcesOf returns the sources that set a key of broker 0.
func (s *side) sourcesOf(key string) []kmsg.ConfigSource {
	resp, err := s.link.Do(background(), describeBroker("0", key))
	if err != nil {
		return nil
	}
	var sources []kmsg.ConfigSource
	for _, c := range resp.(*kmsg.DescribeConfigsResponse).Resources[0].Configs {
		for _, synonym := range c.ConfigSynonyms {
			sources = append(sources, synonym.Source)
		}
	}
	return sources
}

// set changes a key of broker 0, or of all brokers, and fails the test if the change is refused.
func (b *broker) set(entity, key, value string) {
	b.t.Helper()
	l := link(b.t, b.address())
	defer l.Close()
	resp, err := l.Do(background(), brokerChange(entity, key, &value, false))
	if err != nil {
		b.t.Fatal(err)
	}
	if r := resp.(*kmsg.IncrementalAlterConfigsResponse).Resources[0]; r.ErrorCode != 0 {
		b.t.Fatalf("set %s=%s: %v %s", key, value, kerr.ErrorForCode(r.ErrorCode), *r.ErrorMessage)
	}
}

// A key that is set while the broker runs takes effect without a restart, and is kept by a restart.
func TestDynamicConfigurationTakesEffectAtOnce(t *testing.T) {
	b := startBroker(t, options{extra: []string{"log.retention.check.interval.ms=300", "log.initial.task.delay.ms=100"}})
	b.createTopic("live", 1)
	b.set("0", "log.segment.delete.delay.ms", "100") // by default deleted files stay for a minute
	client, err := kgo.NewClient(patient(kgo.SeedBrokers(b.address()), kgo.DefaultProduceTopic("live"), kgo.ProducerBatchCompression(kgo.NoCompression()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	large := &kgo.Record{Value: make([]byte, 3000)}
	send := func() error { return client.ProduceSync(background(), large).FirstErr() }

	b.set("", "message.max.bytes", "1000")
	testkit.Eventually(t, 20*time.Second, "a record to be refused", func() bool { return errors.Is(send(), kerr.MessageTooLarge) })
	b.set("0", "message.max.bytes", "100000")
	testkit.Eventually(t, 20*time.Second, "a record to be accepted again", func() bool { return send() == nil })

	b.set("0", "log.segment.bytes", "4000")
	testkit.Eventually(t, 20*time.Second, "small segments", func() bool {
		if err := send(); err != nil {
			t.Fatal(err)
		}
		return len(logFiles(t, b.dir, "live", 0)) > 2
	})
	b.createTopic("gone", 1)
	must(t, "kafka-topics", append(b.bootstrap(), "--delete", "--topic", "gone")...)
	testkit.Eventually(t, 20*time.Second, "no folder of a deleted topic", func() bool {
		folders, err := filepath.Glob(filepath.Join(b.dir, "gone-*"))
		return err == nil && len(folders) == 0
	})
	b.set("0", "log.retention.bytes", "0")
	testkit.Eventually(t, 20*time.Second, "old segments gone", func() bool { return len(logFiles(t, b.dir, "live", 0)) == 1 })

	port := testkit.FreePort(t)
	inner := fmt.Sprintf("PLAINTEXT://127.0.0.1:%d", b.port)
	b.set("0", "listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,SECOND:PLAINTEXT")
	b.set("0", "listeners", fmt.Sprintf("%s,SECOND://127.0.0.1:%d", inner, port))
	second := fmt.Sprintf("127.0.0.1:%d", port)
	testkit.Eventually(t, 20*time.Second, "a second listener to be advertised", func() bool {
		l := link(t, second)
		defer l.Close()
		req := kmsg.NewPtrMetadataRequest()
		req.Version = 12
		resp, err := l.Do(background(), req)
		if err != nil {
			return false
		}
		brokers := resp.(*kmsg.MetadataResponse).Brokers
		return len(brokers) == 1 && brokers[0].Port == int32(port)
	})
	node, _ := openTree(t, b.zookeeper).get("/brokers/ids/0")
	if want := fmt.Sprintf(`"SECOND://127.0.0.1:%d"`, port); !strings.Contains(node, want) {
		t.Errorf("/brokers/ids/0 lacks %s: %s", want, node)
	}
	held := link(t, second)
	if _, err := held.Do(background(), describeBroker("0", "listeners")); err != nil {
		t.Fatal(err)
	}
	b.set("0", "max.connections.per.ip", "1000")
	b.set("0", "listeners", inner)
	testkit.Eventually(t, 20*time.Second, "the listener to be closed", func() bool {
		_, err := rawFrame(second, []byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff}, time.Second)
		return err != nil
	})

	b.stop()
	b.start()
	if err := send(); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if n := len(logFiles(t, b.dir, "live", 0)); n < 1 {
		t.Errorf("%d segments after a restart", n)
	}
	s := &side{name: "ours", link: link(t, b.address())}
	if sources := s.sourcesOf("log.segment.bytes"); len(sources) == 0 || sources[0] != kmsg.ConfigSourceDynamicBrokerConfig {
		t.Errorf("after a restart log.segment.bytes comes from %v", sources)
	}
}
