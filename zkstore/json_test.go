package zkstore

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
)

// goldenNode is a line of a dump of the nodes of a real Kafka cluster.
type goldenNode struct {
	path      string
	ephemeral bool
	data      []byte // nil for null
}

func readGolden(t testing.TB, name string) []goldenNode {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var nodes []goldenNode
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		fields := strings.SplitN(line, "\t", 3)
		if len(fields) != 3 {
			t.Fatalf("%s: bad line %q", name, line)
		}
		n := goldenNode{path: fields[0], ephemeral: fields[1] == "1"}
		switch fields[2] {
		case "<null>":
		case "<empty>":
			n.data = []byte{}
		default:
			n.data = []byte(fields[2])
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// reencode decodes a node's data and encodes it again. known is false for nodes that this package
// does not write.
func reencode(path string, data []byte) (again []byte, known bool, err error) {
	parts := strings.Split(path, "/")
	switch {
	case len(data) == 0:
		return data, false, nil
	case strings.HasPrefix(path, BrokerIDsPath+"/"):
		b, err := decodeBroker(0, data)
		if err != nil {
			return nil, true, err
		}
		return encodeBroker(*b, b.Timestamp), true, nil
	case strings.HasSuffix(path, "/state"):
		p, err := decodePartitionState(data)
		return encodePartitionState(p), true, err
	case strings.HasPrefix(path, TopicsPath+"/") && len(parts) == 4:
		topic, err := decodeTopic(parts[3], data)
		return encodeTopic(topic), true, err
	case path == FeaturePath:
		f, err := decodeFeature(data)
		return encodeFeature(f), true, err
	case path == ControllerEpochPath:
		n, err := decodeNumber(data, 32)
		return encodeEpoch(metadata.ControllerEpoch(n)), true, err
	case path == clusterIDPath:
		id, err := decodeClusterID(data)
		return encodeClusterID(id), true, err
	case path == producerIDBlockPath:
		b, err := decodeProducerIDBlock(data)
		return encodeProducerIDBlock(b), true, err
	case strings.HasPrefix(path, ConfigChangesPath+"/"):
		entity, err := decodeConfigChange(data)
		return encodeConfigChange(entity), true, err
	case strings.HasPrefix(path, configPath+"/"):
		c, err := decodeConfig(data)
		return encodeConfig(c), true, err
	}
	return nil, false, nil
}

func TestNodesAreEncodedByteForByteAsKafkaDoes(t *testing.T) {
	files, err := filepath.Glob("testdata/znodes-*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	kinds := map[string]int{}
	for _, file := range files {
		for _, n := range readGolden(t, filepath.Base(file)) {
			again, known, err := reencode(n.path, n.data)
			if !known {
				continue
			}
			if err != nil {
				t.Errorf("%s %s: %v", file, n.path, err)
			} else if string(again) != string(n.data) {
				t.Errorf("%s %s:\nhave %s\nwant %s", file, n.path, again, n.data)
			}
			kinds[strings.Split(n.path, "/")[1]]++
		}
	}
	for _, kind := range []string{"brokers", "feature", "controller_epoch", "cluster", "latest_producer_id_block", "config"} {
		if kinds[kind] == 0 {
			t.Errorf("no golden node below /%s was checked", kind)
		}
	}
}

func TestControllerNodeIsWrittenAsVersion2(t *testing.T) {
	for _, n := range readGolden(t, "znodes-3.9.1.txt") {
		if n.path != ControllerPath {
			continue
		}
		stamp, _ := strconv.ParseInt("1795222547539", 10, 64)
		if have := string(encodeController(0, stamp)); have != string(n.data) {
			t.Errorf("have %s, want %s", have, n.data)
		}
		return
	}
	t.Fatal("no /controller in the golden file")
}

func TestRequestsAndNotificationsAreEncodedAsKafkaDoes(t *testing.T) {
	for want, have := range map[string][]byte{
		`{"version":1,"partitions":[{"topic":"t","partition":1},{"topic":"t","partition":0}]}`:                encodePartitions([]TopicPartition{{Topic: "t", Partition: 1}, {Topic: "t"}}),
		`{"version":1,"partitions":[{"topic":"viazk","partition":1,"replicas":[1,0]}]}`:                       encodeReassignments(map[TopicPartition][]metadata.BrokerID{{Topic: "viazk", Partition: 1}: {1, 0}}),
		`{"version":1,"broker":1001,"event":1}`:                                                               encodeLogDirEvent(1001),
		`{"features":{"f":{"max_version_level":2,"min_version_level":1}},"version":1,"status":1}`:             encodeFeature(FeatureNode{JSONVersion: 1, Enabled: true, Features: map[string]FinalizedFeature{"f": {1, 2}}}),
		`{"features":{"f":{"max_version_level":2}},"version":2,"status":1}`:                                   encodeFeature(FeatureNode{JSONVersion: 2, Enabled: true, Features: map[string]FinalizedFeature{"f": {0, 2}}}),
		`{"controller_epoch":1,"leader":-1,"version":1,"leader_recovery_state":1,"leader_epoch":3,"isr":[2]}`: encodePartitionState(PartitionState{ControllerEpoch: 1, Leader: -1, LeaderEpoch: 3, ISR: []metadata.BrokerID{2}, Recovering: true}),
	} {
		if string(have) != want {
			t.Errorf("\nhave %s\nwant %s", have, want)
		}
	}
}

func TestOldAndUnknownVersionsAreDecoded(t *testing.T) {
	endpoint := func(listener, host string, port int32, protocol int16) metadata.Endpoint {
		return metadata.Endpoint{Listener: listener, Host: host, Port: port, SecurityProtocol: protocol}
	}
	for text, want := range map[string][]metadata.Endpoint{
		`{"version":1,"host":"h","port":9092,"jmx_port":-1,"timestamp":"1"}`:                                                                                                {endpoint("PLAINTEXT", "h", 9092, 0)},
		`{"version":2,"host":"h","port":9092,"jmx_port":-1,"timestamp":"1","endpoints":["PLAINTEXT://h:9092","SSL://h:9093"]}`:                                              {endpoint("PLAINTEXT", "h", 9092, 0), endpoint("SSL", "h", 9093, 1)},
		`{"version":4,"host":null,"port":-1,"jmx_port":-1,"timestamp":"1","listener_security_protocol_map":{"CLIENT":"SASL_SSL"},"endpoints":["CLIENT://[::1]:9"],"x":[1]}`: {endpoint("CLIENT", "::1", 9, 3)},
		`{"version":99,"jmx_port":1,"endpoints":["SASL_PLAINTEXT://a.b-c:1"]}`:                                                                                              {endpoint("SASL_PLAINTEXT", "a.b-c", 1, 2)},
	} {
		b, err := decodeBroker(7, []byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if b.ID != 7 || !reflect.DeepEqual(b.Endpoints, want) {
			t.Errorf("%s: %+v", text, b)
		}
	}
	topic, err := decodeTopic("t", []byte(`{"version":1,"partitions":{"0":[1,2]}}`))
	if err != nil || topic.ID != (TopicID{}) || !reflect.DeepEqual(topic.Partitions[0].Replicas, []metadata.BrokerID{1, 2}) {
		t.Errorf("topic version 1: %+v, %v", topic, err)
	}
	for text, want := range map[string]ControllerNode{
		`{"version":1,"brokerid":3,"timestamp":"1"}`:                             {ID: 3, KRaftEpoch: -1},
		`{"version":2,"brokerid":3,"timestamp":"1","kraftControllerEpoch":-1}`:   {ID: 3, KRaftEpoch: -1},
		`{"version":2,"brokerid":3,"timestamp":"1","kraftControllerEpoch":0}`:    {ID: 3, KRaftEpoch: -1},
		`{"version":2,"brokerid":3000,"timestamp":"1","kraftControllerEpoch":5}`: {ID: 3000, KRaftEpoch: 5},
		`4`: {ID: 4, KRaftEpoch: -1},
	} {
		if c, err := decodeController([]byte(text)); err != nil || c != want {
			t.Errorf("%s: %+v, %v", text, c, err)
		}
	}
	if path, err := decodeConfigChange([]byte(`{"version":1,"entity_type":"topics","entity_name":"t"}`)); err != nil || path != "topics/t" {
		t.Errorf("config change version 1: %q, %v", path, err)
	}
	if c, err := decodeConfig([]byte(`{"version":1,"config":{"a":"b"},"more":1}`)); err != nil || c["a"] != "b" {
		t.Errorf("config: %v, %v", c, err)
	}
	if c, err := decodeConfig(nil); err != nil || len(c) != 0 {
		t.Errorf("config of a node between entities: %v, %v", c, err)
	}
}

func TestUndecodableDataIsAnInvalidNode(t *testing.T) {
	broker := func(data []byte) error { _, err := decodeBroker(0, data); return err }
	topic := func(data []byte) error { _, err := decodeTopic("t", data); return err }
	state := func(data []byte) error { _, err := decodePartitionState(data); return err }
	feature := func(data []byte) error { _, err := decodeFeature(data); return err }
	block := func(data []byte) error { _, err := decodeProducerIDBlock(data); return err }
	change := func(data []byte) error { _, err := decodeConfigChange(data); return err }
	controller := func(data []byte) error { _, err := decodeController(data); return err }
	for _, c := range []struct {
		decode func([]byte) error
		text   string
	}{
		{broker, ``}, {broker, `null`}, {broker, `[]`},
		{broker, `{"version":0,"jmx_port":1,"endpoints":[]}`},
		{broker, `{"version":5,"endpoints":[]}`},
		{broker, `{"version":5,"jmx_port":1}`},
		{broker, `{"version":5,"jmx_port":1,"endpoints":["PLAINTEXT:h:1"]}`},
		{broker, `{"version":5,"jmx_port":1,"endpoints":["CLIENT://h:1"]}`},
		{broker, `{"version":5,"jmx_port":1,"endpoints":["PLAINTEXT://h:99999999999"]}`},
		{broker, `{"Version":5,"JMX_PORT":1,"Endpoints":[]}`},
		{topic, `{"partitions":{"x":[1]}}`}, {topic, `{"topic_id":"short","partitions":{}}`}, {topic, `{"partitions":{"0":["1"]}}`},
		{state, `{"leader":1,"leader_epoch":1,"isr":[1]}`}, {state, `{"leader":1,"leader_epoch":1,"controller_epoch":1}`},
		{state, `{"leader":1,"leader_epoch":9999999999,"isr":[1],"controller_epoch":1}`},
		{feature, `{"version":3,"status":1,"features":{}}`}, {feature, `{"version":0,"status":1,"features":{}}`}, {feature, `{"version":2,"features":{}}`}, {feature, `{"version":2,"status":1}`},
		{feature, `{"version":1,"status":1,"features":{"f":{"max_version_level":1}}}`}, {feature, `{"version":2,"status":7,"features":{}}`},
		{feature, `{"version":1,"status":1,"features":{"f":{"min_version_level":2,"max_version_level":1}}}`},
		{feature, `{"version":1,"status":1,"features":{"f":{"min_version_level":0,"max_version_level":1}}}`},
		{feature, `{"version":2,"status":1,"features":{"f":{"max_version_level":0}}}`}, {feature, `{"version":2,"status":1,"features":{"f":{}}}`},
		{block, `{"version":1,"broker":0,"block_start":0,"block_end":"999"}`}, {block, `{"broker":0,"block_start":"x","block_end":"999"}`},
		{change, `{"version":3,"entity_path":"topics/t"}`}, {change, `{"version":1,"entity_type":"users","entity_name":"u"}`}, {change, `not json`},
		{controller, ``}, {controller, `{"version":1,"timestamp":"1"}`}, {controller, `{"version":1,"brokerid":"3"}`},
		{controller, `{"version":2,"brokerid":3,"kraftControllerEpoch":"5"}`},
	} {
		if err := c.decode([]byte(c.text)); !errors.Is(err, ErrInvalidNode) {
			t.Errorf("%s: %v, want ErrInvalidNode", c.text, err)
		}
	}
}

func TestProducerIDBlocksFollowEachOtherUpToTheMaximum(t *testing.T) {
	b, err := ProducerIDBlock{End: -1}.next(3)
	if err != nil || b != (ProducerIDBlock{Broker: 3, Start: 0, End: 999}) {
		t.Errorf("first block %+v, %v", b, err)
	}
	if b, err = b.next(4); err != nil || b != (ProducerIDBlock{Broker: 4, Start: 1000, End: 1999}) {
		t.Errorf("second block %+v, %v", b, err)
	}
	if _, err := (ProducerIDBlock{End: math.MaxInt64 - 999}).next(1); err == nil {
		t.Error("no error for a block beyond the maximum")
	}
}

// The expected orders were written by a real 3.9.1 controller for topics with 13 and 60 partitions.
func TestPartitionsAreOrderedLikeAScalaMap(t *testing.T) {
	for count, want := range map[int]string{
		13: "11 12 0 1 2 3 4 5 6 7 8 9 10",
		60: "44 45 46 47 48 49 50 51 52 53 10 54 11 55 12 56 13 57 14 58 15 59 16 17 18 19 0 1 2 3 4 5 6 7 8 9 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43",
	} {
		var keys []string
		for i := range count {
			keys = append(keys, strconv.Itoa(i))
		}
		if have := strings.Join(javatext.MutableOrder(keys, javatext.StringHash), " "); have != want {
			t.Errorf("%d keys:\nhave %s\nwant %s", count, have, want)
		}
	}
}

// The expected order was written by BrokerIdZNode of 3.9.1.
func TestProtocolsOfManyListenersAreOrderedLikeAScalaMap(t *testing.T) {
	var b BrokerInfo
	for i, listener := range []string{"PLAINTEXT", "INTERNAL", "EXTERNAL", "CONTROLLER", "BACKUP"} {
		b.Endpoints = append(b.Endpoints, metadata.Endpoint{Listener: listener, Host: "h", Port: int32(i + 1), SecurityProtocol: 1})
	}
	want := `"listener_security_protocol_map":{"BACKUP":"SSL","INTERNAL":"SSL","EXTERNAL":"SSL","CONTROLLER":"SSL","PLAINTEXT":"SSL"},` +
		`"endpoints":["PLAINTEXT://h:1","INTERNAL://h:2","EXTERNAL://h:3","CONTROLLER://h:4","BACKUP://h:5"]`
	if have := string(encodeBroker(b, 1)); !strings.Contains(have, want) {
		t.Errorf("%s does not contain %s", have, want)
	}
}

func TestStringsAreEscapedAsJacksonDoes(t *testing.T) {
	for in, want := range map[string]string{
		"a\"b\\c/d":    `"a\"b\\c/d"`,
		"\b\t\n\f\r":   `"\b\t\n\f\r"`,
		"\x00\x1f\x7f": "\"\\u0000\\u001F\x7f\"",
		"<ü€😀&>":       `"<ü€😀&>"`,
		"\u2028":       "\"\u2028\"",
		"\xff":         `"�"`,
	} {
		if have := string(appendJSONString(nil, in)); have != want {
			t.Errorf("%q: have %s, want %s", in, have, want)
		}
	}
}

func TestEntityNamesAreSanitisedAndDesanitised(t *testing.T) {
	for name, want := range map[string]string{
		"my client":        "my%20client",
		"CN=alice,O=Acme*": "CN%3Dalice%2CO%3DAcme%2A",
		"a-b_c.d":          "a-b_c.d",
		"ü+~":              "%C3%BC%2B%7E",
		"100%":             "100%25",
		"azAZ09":           "azAZ09",
		"`{@[/:":           "%60%7B%40%5B%2F%3A",
	} {
		have := SanitizeEntity(name)
		if have != want {
			t.Errorf("%q: have %s, want %s", name, have, want)
		}
		if back := DesanitizeEntity(have); back != name {
			t.Errorf("%q was desanitised to %q", name, back)
		}
	}
	for _, odd := range []string{"%", "%4", "%zz"} {
		if have := DesanitizeEntity(odd); have != odd {
			t.Errorf("invalid name %q became %q", odd, have)
		}
	}
}

func FuzzDecoders(f *testing.F) {
	for _, n := range readGolden(f, "znodes-3.9.1.txt") {
		if n.data != nil {
			f.Add(n.data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, path := range []string{BrokerIDsPath + "/1", TopicPath("t"), PartitionStatePath(TopicPartition{Topic: "t"}), FeaturePath,
			ControllerEpochPath, clusterIDPath, producerIDBlockPath, ConfigChangesPath + "/config_change_0000000000", EntityPath(EntityTopics, "t")} {
			again, known, err := reencode(path, data)
			if !known || err != nil {
				continue
			}
			third, _, err := reencode(path, again)
			if err != nil {
				t.Errorf("%s: %q is re-encoded as %q, which cannot be decoded: %v", path, data, again, err)
			} else if string(third) != string(again) {
				t.Errorf("%s: %q is re-encoded as %q, and that as %q", path, data, again, third)
			}
		}
		_, _ = decodeController(data)
		_, _ = decodePartitions(data)
		_, _ = decodeReassignments(data)
		_, _ = decodeLogDirEvent(data)
	})
}
