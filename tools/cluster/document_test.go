package cluster

import (
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/toolreplay"
	"github.com/monedula/monedula/tools/cli"
)

func TestVersionsOfBrokersAreJSON(t *testing.T) {
	cluster := toolreplay.Cluster{Brokers: []int32{0}}
	document := toolreplay.Scripted(t, toolreplay.Case{Tool: APIVersionsTool, Args: "--bootstrap-server {B} --output json"}, nil, func(req kmsg.Request) kmsg.Response {
		if req, ok := req.(*kmsg.MetadataRequest); ok {
			return cluster.Metadata(req)
		}
		return nil
	})
	for _, part := range []string{`[out] {"brokers":[{"id":0,"host":"127.0.0.1","port":`, `"rack":null,"error":null,"apis":[{"name":"Produce","key":0,"minVersion":0,"maxVersion":11,"usableVersion":11},`} {
		if !strings.Contains(document, part) {
			t.Errorf("%s is missing in\n%s", part, document)
		}
	}
	line, _, _ := strings.Cut(strings.TrimPrefix(document, "[out] "), "\n")
	toolreplay.CheckFields(t, "kafka-broker-api-versions", line)
}

func TestUnusableVersionsAreNull(t *testing.T) {
	all := compareVersions([]kmsg.ApiVersionsResponseApiKey{{ApiKey: 0, MinVersion: 3, MaxVersion: 100}, {ApiKey: 1, MinVersion: 100, MaxVersion: 101}, {ApiKey: 900, MinVersion: 1, MaxVersion: 1}})
	b := kmsg.MetadataResponseBroker{NodeID: 1, Host: "h", Port: 9}
	document := cli.CompactJSON(describedBroker(b, all, nil))
	for _, part := range []string{`{"name":"Produce","key":0,"minVersion":3,"maxVersion":100,"usableVersion":11}`, `{"name":"Fetch","key":1,"minVersion":100,"maxVersion":101,"usableVersion":null}`,
		`{"name":"ListOffsets","key":2,"minVersion":null,"maxVersion":null,"usableVersion":null}`, `{"name":"UNKNOWN","key":900,"minVersion":1,"maxVersion":1,"usableVersion":null}`} {
		if !strings.Contains(document, part) {
			t.Errorf("%s is missing in\n%s", part, document)
		}
	}
	if have, want := cli.CompactJSON(describedBroker(b, nil, errors.New("refused"))), `{"id":1,"host":"h","port":9,"rack":null,"error":"refused","apis":[]}`; have != want {
		t.Errorf("%s, want %s", have, want)
	}
}
