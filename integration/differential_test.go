package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
)

// side is one of the two brokers that receive the same requests.
type side struct {
	name    string
	link    *peerlink.Link
	address string
	port    int32
	dir     string   // log.dirs
	topicID [16]byte // of the topic "t1"
}

// ignoredFields may differ between the two sides, because they depend on the machine, the time or
// the implementation. All other fields must be equal.
var ignoredFields = map[string]string{
	"ThrottleMillis":              "measured",
	"ClusterID":                   "each broker has its own cluster",
	"TopicID":                     "drawn at random",
	"Host":                        "as configured",
	"Port":                        "as configured",
	"SessionID":                   "drawn at random",
	"Dir":                         "as configured",
	"TotalBytes":                  "depends on the volume",
	"UsableBytes":                 "depends on the volume",
	"Documentation":               "our documentation has other texts",
	"LogAppendTime":               "depends on the clock",
	"LastTimestamp":               "depends on the clock",
	"ProducerID":                  "taken from blocks",
	"ProducerIDStart":             "taken from blocks",
	"RecordBatches":               "compared by the tests that read records",
	"Version":                     "that of the request",
	"ApiKeys":                     "compared with the golden table by another test",
	"SupportedFeatures":           "none",
	"FinalizedFeaturesEpoch":      "version of the znode",
	"ClusterAuthorizedOperations": "no authorizer",
}

// differentialCase is one request sent to both sides.
type differentialCase struct {
	name  string
	build func(s *side, version int16) kmsg.Request // nil skips the version
	after func(s *side, version int16)              // waits for the effects of the request
}

func TestEveryAdvertisedRequestIsAnsweredAsByARealBroker(t *testing.T) {
	kafka := testkit.RealKafka(t, "3.9.1")
	common := []string{"log.retention.ms=-1", "auto.leader.rebalance.enable=false", "log.cleaner.enable=false"}
	theirs := kafka.Broker(t, 0, testkit.ZooKeeper(t), "", common...)
	ours := startBroker(t, options{extra: common})
	sides := []*side{
		{name: "ours", address: ours.address(), port: int32(ours.port), dir: ours.dir},
		{name: "real", address: theirs.Address(), port: int32(theirs.Port), dir: theirs.Dir},
	}
	for _, s := range sides {
		s.link = link(t, s.address)
		s.prepare(t)
		s.warmProducerIDs(t)
	}
	versions := advertised(t, sides[0])
	for _, v := range versions {
		t.Run(fmtKey(v.ApiKey), func(t *testing.T) {
			for version := v.MinVersion; version <= v.MaxVersion; version++ {
				for _, c := range casesOf(v.ApiKey) {
					differentialRun(t, sides, c, v.ApiKey, version)
				}
			}
		})
	}
	// Last, since the sizes of compressed logs differ.
	t.Run("Produce to a topic of another codec", func(t *testing.T) {
		for _, s := range sides {
			s.mustCreate(t, "zstd", 2)
			awaitLeader(t, s.address, "zstd")
		}
		produce := versions[slices.IndexFunc(versions, func(v kmsg.ApiVersionsResponseApiKey) bool { return v.ApiKey == int16(protocol.Produce) })]
		c := produceCase("uncompressed", func(r *kmsg.ProduceRequest, _ int16) { r.Topics[0].Topic = "zstd" })
		for version := produce.MinVersion; version <= produce.MaxVersion; version++ {
			differentialRun(t, sides, c, produce.ApiKey, version)
		}
	})
}

// differentialRun sends the case to both sides and compares their answers.
func differentialRun(t *testing.T, sides []*side, c differentialCase, key, version int16) {
	t.Helper()
	var answers [2]string
	for i, s := range sides {
		req := c.build(s, version)
		if req == nil {
			return
		}
		req.SetVersion(version)
		began := time.Now()
		answers[i] = s.ask(req)
		if took := time.Since(began); took > time.Second {
			t.Logf("%s v%d %s took %s %v", protocol.APIKey(key), version, c.name, s.name, took.Round(100*time.Millisecond))
		}
		if c.after != nil {
			c.after(s, version)
		}
	}
	if answers[0] == noAnswer {
		t.Errorf("%s v%d %s: no answer from ours", protocol.APIKey(key), version, c.name)
	}
	if answers[0] == answers[1] {
		return
	}
	t.Errorf("%s v%d %s:\n  ours: %s\n  real: %s", protocol.APIKey(key), version, c.name, clip(answers[0], answers[1]), clip(answers[1], answers[0]))
}

// clip returns the part of a long answer around its first difference from the other.
func clip(a, b string) string {
	const most = 700
	if len(a) <= most || os.Getenv("MONEDULA_TEST_WHOLE") != "" {
		return a
	}
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	from, to := max(0, i-most/2), min(len(a), i+most/2)
	return "..." + a[from:to] + "..."
}

// ask sends a request and returns the answer in a comparable form. A closed connection counts as an
// answer; a missing answer does not.
func (s *side) ask(req kmsg.Request) string {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	resp, err := s.link.Do(ctx, req)
	if err != nil {
		if ctx.Err() != nil {
			return noAnswer
		}
		return "CLOSED"
	}
	return comparable(resp)
}

const noAnswer = "NO ANSWER"

// comparable formats an answer's fields, without the ignored ones and with lists of structures in a
// fixed order.
func comparable(resp kmsg.Response) string {
	raw, err := json.Marshal(resp)
	if err != nil {
		return "unprintable: " + err.Error()
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return "unprintable: " + err.Error()
	}
	out, _ := json.Marshal(normalised(v))
	return string(out)
}

func normalised(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, field := range v {
			if _, ignored := ignoredFields[key]; ignored || key == "UnknownTags" {
				delete(v, key)
				continue
			}
			v[key] = normalised(field)
		}
		return v
	case []any:
		texts := make([]string, len(v))
		structures := false
		for i, e := range v {
			v[i] = normalised(e)
			_, isMap := v[i].(map[string]any)
			structures = structures || isMap
			b, _ := json.Marshal(v[i])
			texts[i] = string(b)
		}
		if structures {
			sort.Slice(v, func(i, j int) bool {
				a, _ := json.Marshal(v[i])
				b, _ := json.Marshal(v[j])
				return string(a) < string(b)
			})
		}
		return v
	case string:
		return drawnIDs.ReplaceAllString(v, "-<uuid>")
	default:
		return v
	}
}

// drawnIDs matches the random suffix of member ids.
var drawnIDs = regexp.MustCompile(`-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// preparedConfigs are the configurations of the topics that prepare creates.
var preparedConfigs = map[string]map[string]string{
	"compacted": {"cleanup.policy": "compact"},
	"zstd":      {"compression.type": "zstd"},
}

// prepare creates the same small cluster state on a side: topic t1 with two partitions and three
// records, and topic compacted.
func (s *side) prepare(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	testkit.Eventually(t, 20*time.Second, "a controller on "+s.name, func() bool {
		req := kmsg.NewPtrMetadataRequest()
		req.Version = 12
		resp, err := s.link.Do(ctx, req)
		return err == nil && resp.(*kmsg.MetadataResponse).ControllerID == 0 && len(resp.(*kmsg.MetadataResponse).Brokers) == 1
	})
	for _, topic := range []string{"t1", "compacted"} {
		s.mustCreate(t, topic, 2)
	}
	testkit.Eventually(t, 20*time.Second, "leaders on "+s.name, func() bool {
		req := kmsg.NewPtrMetadataRequest()
		req.Version = 12
		resp, err := s.link.Do(ctx, req)
		if err != nil {
			return false
		}
		led := 0
		for _, topic := range resp.(*kmsg.MetadataResponse).Topics {
			if topic.Topic != nil && *topic.Topic == "t1" {
				s.topicID = topic.TopicID
			}
			for _, p := range topic.Partitions {
				if p.ErrorCode == 0 && p.Leader == 0 {
					led++
				}
			}
		}
		return led == 4
	})
	req := produceRequest("t1", 0, batchOf(3), 9)
	req.SetVersion(9)
	resp, err := s.link.Do(ctx, req)
	if err != nil {
		t.Fatalf("%s: produce: %v", s.name, err)
	}
	if code := resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode; code != 0 {
		t.Fatalf("%s: produce: %s", s.name, protocol.ErrorCode(code).Name())
	}
}

// warmProducerIDs requests a producer id until one is returned: a broker that has just started has
// no block of ids yet.
func (s *side) warmProducerIDs(t *testing.T) {
	t.Helper()
	testkit.Eventually(t, 20*time.Second, "a producer id from "+s.name, func() bool {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.Version, req.TransactionTimeoutMillis = 4, 60000
		resp, err := s.link.Do(background(), req)
		return err == nil && resp.(*kmsg.InitProducerIDResponse).ErrorCode == 0
	})
}

// awaitTopic waits until every partition of the topic has a leader.
func (s *side) awaitTopic(topic string) {
	for range 500 {
		req := metadataCase("", []string{topic}, false).build(s, 4)
		req.SetVersion(4)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		resp, err := s.link.Do(ctx, req)
		cancel()
		if err == nil {
			t := resp.(*kmsg.MetadataResponse).Topics[0]
			if t.ErrorCode == 0 && len(t.Partitions) > 0 && t.Partitions[0].ErrorCode == 0 {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (s *side) mustCreate(t *testing.T, topic string, partitions int32) {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis = 7, 10000
	c := kmsg.NewCreateTopicsRequestTopic()
	c.Topic, c.NumPartitions, c.ReplicationFactor = topic, partitions, 1
	for key, value := range preparedConfigs[topic] {
		config := kmsg.NewCreateTopicsRequestTopicConfig()
		config.Name, config.Value = key, &value
		c.Configs = append(c.Configs, config)
	}
	req.Topics = append(req.Topics, c)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	resp, err := s.link.Do(ctx, req)
	if err != nil {
		t.Fatalf("%s: create %s: %v", s.name, topic, err)
	}
	if r := resp.(*kmsg.CreateTopicsResponse).Topics[0]; r.ErrorCode != 0 {
		t.Fatalf("%s: create %s: %s", s.name, topic, protocol.ErrorCode(r.ErrorCode).Name())
	}
}

// advertised returns the request types and versions in a side's ApiVersions answer.
func advertised(t *testing.T, s *side) []kmsg.ApiVersionsResponseApiKey {
	t.Helper()
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = 3, "test", "1"
	resp, err := s.link.Do(background(), req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.(*kmsg.ApiVersionsResponse).ApiKeys
}

// The advertised versions are those of the golden table, except for the keys that
// docs/deviations.md lists between its two marks. That list may only shrink.
func TestTheAdvertisedVersionsAreThoseOfARealBrokerOrListedAsMissing(t *testing.T) {
	b := startBroker(t, options{})
	real := golden.Read(t, "api-versions-zk-3.9.1.txt")
	missing := deviatingKeys(t)
	ours := map[string]string{}
	for _, line := range strings.Split(must(t, "kafka-broker-api-versions", b.bootstrap()...), "\n") {
		if name, rest, ok := strings.Cut(strings.Trim(line, "\t,"), "("); ok {
			ours[name] = rest
		}
	}
	for _, line := range strings.Split(string(real), "\n") {
		name, rest, ok := strings.Cut(strings.Trim(line, "\t,"), "(")
		if !ok || strings.HasPrefix(line, "1") {
			continue
		}
		if missing[name] {
			if !strings.HasSuffix(ours[name], "UNSUPPORTED") && ours[name] != "" {
				t.Errorf("%s is listed as missing but is advertised; remove it from the list", name)
			}
			continue
		}
		if ours[name] != rest {
			t.Errorf("%s: ours %q, golden %q", name, ours[name], rest)
		}
	}
}

// deviatingKeys reads the list of request types that are not implemented yet.
func deviatingKeys(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(testkit.Root() + "/docs/deviations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, ok := strings.Cut(string(text), "<!-- missing requests -->")
	list, _, closed := strings.Cut(list, "<!-- end -->")
	if !ok || !closed {
		t.Fatal("docs/deviations.md has no list of missing requests")
	}
	keys := map[string]bool{}
	for _, name := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == '\n' || r == ' ' || r == '.' }) {
		keys[name] = true
	}
	return keys
}

func fmtKey(key int16) string { return fmt.Sprint(protocol.APIKey(key)) }
