package api

import (
	"reflect"
	"slices"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

type configWorld struct {
	*caller
	admin *fakeAdmin
	log   *logrus.Logger
}

func newConfigWorld(t testing.TB, access Access) *configWorld {
	cache := metadata.NewCache()
	announce(cache, map[string]int{"t": 1})
	log := kafkalog.Discard()
	fake, dynamic, levels := &fakeAdmin{}, dynamicOf(t, map[string]string{"broker.id": "3", "log.retention.hours": "7"}), NewLogLevels(log)
	changer := NewConfigChanger(3, fake, dynamic, cache, levels)
	return &configWorld{newCaller(t, access, DescribeConfigs(3, dynamic, fake, cache, levels), AlterConfigs(changer), IncrementalAlterConfigs(changer)), fake, log}
}

func (w *configWorld) describe(version int16, kind kmsg.ConfigResourceType, name string, keys ...string) kmsg.DescribeConfigsResponseResource {
	w.t.Helper()
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms, req.IncludeDocumentation = true, true
	req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kind, ResourceName: name, ConfigNames: keys}}
	return call[*kmsg.DescribeConfigsResponse](w.caller, version, req).Resources[0]
}

func TestDescribeConfigsInEveryVersion(t *testing.T) {
	w := newConfigWorld(t, nil)
	w.admin.overrides = map[string]string{"segment.bytes": "99"}
	for v := int16(0); v <= 4; v++ {
		topic := w.describe(v, kmsg.ConfigResourceTypeTopic, "t", "segment.bytes", "retention.ms", "unknown")
		if topic.ErrorCode != 0 || len(topic.Configs) != 2 || *topic.Configs[0].Value != "25200000" || *topic.Configs[1].Value != "99" {
			t.Fatalf("v%d: %+v", v, topic)
		}
		segment := topic.Configs[1]
		if v >= 1 && (segment.Source != kmsg.ConfigSourceDynamicTopicConfig || len(segment.ConfigSynonyms) != 2) {
			t.Errorf("v%d: %+v", v, segment)
		}
		if v >= 3 && (segment.ConfigType != kmsg.ConfigTypeInt || segment.Documentation == nil) {
			t.Errorf("v%d: %+v", v, segment)
		}
		if all := w.describe(v, kmsg.ConfigResourceTypeBroker, "3"); len(all.Configs) < 300 {
			t.Errorf("v%d: the broker has %d keys", v, len(all.Configs))
		}
		if none := w.describe(v, kmsg.ConfigResourceTypeBroker, ""); none.ErrorCode != 0 || len(none.Configs) != 0 {
			t.Errorf("v%d: the defaults of all brokers, of which none is set: %+v", v, none)
		}
		shown := map[string]string{}
		for _, c := range w.describe(v, kmsg.ConfigResourceTypeBrokerLogger, "3").Configs {
			shown[c.Name] = *c.Value
			if v >= 3 && (c.Documentation == nil || *c.Documentation != "") {
				t.Errorf("v%d: the documentation of the logger %s is %v", v, c.Name, c.Documentation)
			}
		}
		if shown["root"] != "INFO" || shown["kafka.controller"] != "INFO" {
			t.Errorf("v%d: log levels %v", v, shown)
		}
	}
}

func TestDescribeConfigsRefusals(t *testing.T) {
	w := newConfigWorld(t, nil)
	for _, tc := range []struct {
		kind kmsg.ConfigResourceType
		name string
		code protocol.ErrorCode
		text string
	}{
		{kmsg.ConfigResourceTypeTopic, "none", protocol.UnknownTopicOrPartition, ""},
		{kmsg.ConfigResourceTypeTopic, "", protocol.InvalidTopicException, "Topic name is invalid: the empty string is not allowed"},
		{kmsg.ConfigResourceTypeBroker, "4", protocol.InvalidRequest, "Unexpected broker id, expected 3 or empty string, but received 4"},
		{kmsg.ConfigResourceTypeBroker, "x", protocol.InvalidRequest, "Broker id must be an integer, but it is: x"},
		{kmsg.ConfigResourceTypeBrokerLogger, "", protocol.InvalidRequest, "Broker id must not be empty"},
		{kmsg.ConfigResourceTypeBrokerLogger, "4", protocol.InvalidRequest, "Unexpected broker id, expected 3 but received 4"},
		{16, "x", protocol.InvalidRequest, "Config type client-metrics is only supported on KRaft clusters"},
		{3, "x", protocol.InvalidRequest, protocol.InvalidRequest.Message()}, // the whole request
	} {
		r := w.describe(4, tc.kind, tc.name)
		if protocol.ErrorCode(r.ErrorCode) != tc.code || r.ErrorMessage == nil || *r.ErrorMessage != tc.text {
			t.Errorf("%d %q: %+v", tc.kind, tc.name, r)
		}
	}
	w = newConfigWorld(t, deny{kmsg.ACLOperationDescribeConfigs})
	if r := w.describe(4, kmsg.ConfigResourceTypeTopic, "t"); protocol.ErrorCode(r.ErrorCode) != protocol.TopicAuthorizationFailed {
		t.Errorf("%+v", r)
	}
	if r := w.describe(4, kmsg.ConfigResourceTypeBroker, "3"); protocol.ErrorCode(r.ErrorCode) != protocol.ClusterAuthorizationFailed {
		t.Errorf("%+v", r)
	}
}

// alteration is a change of one key.
type alteration struct {
	op    kmsg.IncrementalAlterConfigOp
	name  string
	value *string
}

func (w *configWorld) alter(kind kmsg.ConfigResourceType, name string, alterations ...alteration) (protocol.ErrorCode, string) {
	w.t.Helper()
	w.admin.wrote = nil
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.IncrementalAlterConfigsRequestResource{ResourceType: kind, ResourceName: name}
	for _, a := range alterations {
		r.Configs = append(r.Configs, kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: a.name, Op: a.op, Value: a.value})
	}
	req.Resources = []kmsg.IncrementalAlterConfigsRequestResource{r}
	result := call[*kmsg.IncrementalAlterConfigsResponse](w.caller, 1, req).Resources[0]
	if result.ErrorMessage == nil {
		return protocol.ErrorCode(result.ErrorCode), ""
	}
	return protocol.ErrorCode(result.ErrorCode), *result.ErrorMessage
}

func TestIncrementalAlterConfigs(t *testing.T) {
	w := newConfigWorld(t, nil)
	text := kmsg.StringPtr
	w.admin.overrides = map[string]string{"retention.ms": "1", "cleanup.policy": "compact"}
	if code, message := w.alter(kmsg.ConfigResourceTypeTopic, "t", alteration{0, "segment.bytes", text("50")},
		alteration{1, "retention.ms", nil}, alteration{2, "cleanup.policy", text("delete")}); code != 0 ||
		!reflect.DeepEqual(w.admin.wrote, map[string]string{"segment.bytes": "50", "cleanup.policy": "compact,delete"}) {
		t.Errorf("%s %s %v", code, message, w.admin.wrote)
	}
	w.admin.overrides = map[string]string{"log.retention.ms": "1"}
	if code, message := w.alter(kmsg.ConfigResourceTypeBroker, "3", alteration{0, "log.segment.bytes", text("50")}); code != 0 ||
		!reflect.DeepEqual(w.admin.wrote, map[string]string{"log.retention.ms": "1", "log.segment.bytes": "50"}) {
		t.Errorf("%s %s %v", code, message, w.admin.wrote)
	}
	if code, _ := w.alter(kmsg.ConfigResourceTypeBrokerLogger, "3", alteration{0, "root", text("DEBUG")}); code != 0 || w.log.GetLevel() != logrus.DebugLevel {
		t.Errorf("%s %s", code, w.log.GetLevel())
	}
	for _, tc := range []struct {
		kind kmsg.ConfigResourceType
		name string
		a    []alteration
		code protocol.ErrorCode
		text string
	}{
		{kmsg.ConfigResourceTypeTopic, "t", []alteration{{0, "a", text("1")}, {1, "a", nil}}, protocol.InvalidRequest, "Error due to duplicate config keys"},
		{kmsg.ConfigResourceTypeTopic, "t", []alteration{{0, "a", nil}, {2, "b", nil}}, protocol.InvalidRequest, "Null value not supported for : a, b"},
		{kmsg.ConfigResourceTypeTopic, "t", []alteration{{2, "retention.ms", text("1")}}, protocol.InvalidConfig, "Config value append is not allowed for config key: retention.ms"},
		{kmsg.ConfigResourceTypeTopic, "t", []alteration{{7, "retention.ms", text("1")}}, protocol.UnknownServerError, ""},
		{kmsg.ConfigResourceTypeBroker, "3", []alteration{{7, "num.io.threads", text("9")}}, protocol.InvalidRequest, "Unknown operations type 7"},
		{kmsg.ConfigResourceTypeBroker, "3", []alteration{{0, "broker.id", text("9")}}, protocol.InvalidRequest, "Cannot update these configs dynamically: Set(broker.id)"},
		{kmsg.ConfigResourceTypeBroker, "4", []alteration{{0, "num.io.threads", text("9")}}, protocol.InvalidRequest, "Unexpected broker id, expected 3, but received 4"},
		{kmsg.ConfigResourceTypeBroker, "x", []alteration{{0, "num.io.threads", text("9")}}, protocol.InvalidRequest, "Node id must be an integer, but it is: x"},
		{kmsg.ConfigResourceTypeBrokerLogger, "3", []alteration{{0, "root", text("LOUD")}}, protocol.InvalidConfig,
			"Cannot set the log level of root to LOUD as it is not a supported log level. Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN"},
		{kmsg.ConfigResourceTypeBrokerLogger, "3", []alteration{{1, "root", nil}}, protocol.InvalidRequest, "Removing the log level of the root logger is not allowed"},
		{kmsg.ConfigResourceTypeBrokerLogger, "3", []alteration{{0, "other", text("INFO")}}, protocol.InvalidConfig, "Logger other does not exist!"},
		{kmsg.ConfigResourceTypeBrokerLogger, "4", []alteration{{0, "root", text("INFO")}}, protocol.InvalidRequest, "Unexpected node id. Expected 3, but received 3"},
		{3, "x", nil, protocol.InvalidRequest, "Unknown resource type 3"},
		{16, "x", nil, protocol.InvalidRequest, "AlterConfigs is only supported for topics and brokers, but resource type is CLIENT_METRICS"},
	} {
		if code, message := w.alter(tc.kind, tc.name, tc.a...); code != tc.code || message != tc.text || w.admin.wrote != nil {
			t.Errorf("%d %q %v:\n got %s %s, wrote %v\nwant %s %s", tc.kind, tc.name, tc.a, code, message, w.admin.wrote, tc.code, tc.text)
		}
	}
	w = newConfigWorld(t, deny{kmsg.ACLOperationAlterConfigs})
	for kind, code := range map[kmsg.ConfigResourceType]protocol.ErrorCode{kmsg.ConfigResourceTypeTopic: protocol.TopicAuthorizationFailed,
		kmsg.ConfigResourceTypeBroker: protocol.ClusterAuthorizationFailed, kmsg.ConfigResourceTypeBrokerLogger: protocol.ClusterAuthorizationFailed} {
		if got, _ := w.alter(kind, "3", alteration{0, "log.segment.bytes", text("50")}); got != code || w.admin.wrote != nil {
			t.Errorf("%d: %s %v", kind, got, w.admin.wrote)
		}
	}
}

func TestAlterConfigsReplacesAll(t *testing.T) {
	w := newConfigWorld(t, nil)
	w.admin.overrides = map[string]string{"retention.ms": "1"}
	for v := int16(0); v <= 2; v++ {
		for _, validate := range []bool{true, false} {
			w.admin.wrote = nil
			req := kmsg.NewPtrAlterConfigsRequest()
			req.ValidateOnly = validate
			resource := func(kind kmsg.ConfigResourceType, name string) kmsg.AlterConfigsRequestResource {
				return kmsg.AlterConfigsRequestResource{ResourceType: kind, ResourceName: name,
					Configs: []kmsg.AlterConfigsRequestResourceConfig{{Name: "segment.bytes", Value: kmsg.StringPtr("50")}}}
			}
			req.Resources = []kmsg.AlterConfigsRequestResource{resource(kmsg.ConfigResourceTypeTopic, "twice"), resource(kmsg.ConfigResourceTypeTopic, "t"),
				resource(kmsg.ConfigResourceTypeTopic, "twice"), resource(kmsg.ConfigResourceTypeBrokerLogger, "3")}
			var codes []protocol.ErrorCode
			for _, r := range call[*kmsg.AlterConfigsResponse](w.caller, v, req).Resources {
				codes = append(codes, protocol.ErrorCode(r.ErrorCode))
			}
			if want := []protocol.ErrorCode{protocol.InvalidRequest, 0, protocol.InvalidRequest, protocol.InvalidRequest}; !slices.Equal(codes, want) {
				t.Errorf("v%d: %v", v, codes)
			}
			if want := map[string]string{"segment.bytes": "50"}; !validate && !reflect.DeepEqual(w.admin.wrote, want) || validate && w.admin.wrote != nil {
				t.Errorf("v%d: wrote %v", v, w.admin.wrote)
			}
		}
	}
}
