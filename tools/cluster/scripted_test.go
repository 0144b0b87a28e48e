package cluster

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/internal/toolreplay"
	"github.com/monedula/monedula/protocol"
)

// answer answers like a broker of a cluster with two brokers.
func answer(refused protocol.ErrorCode) func(req kmsg.Request) kmsg.Response {
	cluster := toolreplay.Cluster{Brokers: []int32{0, 1}, Racks: map[int32]string{1: "east"}}
	return func(req kmsg.Request) kmsg.Response {
		switch req := req.(type) {
		case *kmsg.MetadataRequest:
			return cluster.Metadata(req)
		case *kmsg.DescribeClusterRequest:
			resp := kmsg.NewPtrDescribeClusterResponse()
			resp.ErrorCode, resp.ClusterID = int16(refused), "scripted"
			return resp
		}
		return nil
	}
}

func TestTheClusterToolPrintsLikeTheRealOne(t *testing.T) {
	for _, test := range []struct{ name, args, want string }{
		{"the id", "cluster-id --bootstrap-server {B}", `[out] Cluster ID: scripted
[err]
[exit] 0
`},
		{"the id with a short option", "cluster-id -b {B}", `[out] Cluster ID: scripted
[err]
[exit] 0
`},
		{"the id with a configuration", "cluster-id -b {B} -c {F}/admin.properties", `[out] Cluster ID: scripted
[err]
[exit] 0
`},
		{"unregistering", "unregister --id 1 --bootstrap-server {B}", `[out] The target cluster does not support the broker unregistration API.
[err]
[exit] 0
`},
		{"an id that is not a number", "unregister --id x --bootstrap-server {B}", `[out]
[err] (usage)
[err] kafka-cluster: error: argument --id/-i: could not convert 'x' to Integer (For input string: "x")
[exit] 1
`},
		{"no id", "unregister --bootstrap-server {B}", `[out]
[err] (usage)
[err] kafka-cluster: error: argument --id/-i is required
[exit] 1
`},
		{"no servers", "cluster-id", `[out]
[err] (usage)
[err] kafka-cluster: error: one of the arguments --bootstrap-server/-b --bootstrap-controller/-C is required
[exit] 1
`},
		{"two kinds of servers", "cluster-id --bootstrap-server {B} --bootstrap-controller {B}", `[out]
[err] (usage)
[err] kafka-cluster: error: argument --bootstrap-controller/-C: not allowed with argument --bootstrap-server/-b
[exit] 1
`},
		{"controllers", "cluster-id --bootstrap-controller {B}", `[out]
[err] (usage)
[err] kafka-cluster: error: argument --bootstrap-controller/-C: this cluster is coordinated by ZooKeeper and has no KRaft controllers
[exit] 1
`},
		{"an unknown command", "nosuch --bootstrap-server {B}", `[out]
[err] (usage)
[err] kafka-cluster: error: invalid choice: 'nosuch' (choose from 'cluster-id', 'unregister')
[exit] 1
`},
		{"an unknown option", "cluster-id --nosuch", `[out]
[err] (usage)
[err] kafka-cluster: error: unrecognized arguments: '--nosuch'
[exit] 1
`},
		{"an option without its argument", "cluster-id --bootstrap-server", `[out]
[err] (usage)
[err] kafka-cluster: error: argument --bootstrap-server/-b: expected one argument
[exit] 1
`},
		{"a missing configuration", "cluster-id --bootstrap-server {B} --config {F}/nosuch", `[out]
[err] */nosuch
[err] java.nio.file.NoSuchFileException: */nosuch
[err]
[exit] 1
`},
		{"no port", "cluster-id --bootstrap-server nothing", `[out]
[err] Failed to create new KafkaAdminClient
[err] org.apache.kafka.common.KafkaException: Failed to create new KafkaAdminClient
[err]
[exit] 1
`},
		{"no arguments", "", `[out]
[err] (usage)
[err] kafka-cluster: error: too few arguments
[exit] 1
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			have := toolreplay.Scripted(t, toolreplay.Case{Tool: Tool, Args: test.args, Alone: true}, map[string]string{"admin.properties": "client.id=me\n"}, answer(0))
			if have != test.want {
				t.Errorf("have\n%swant\n%s", have, test.want)
			}
		})
	}
}

func TestAPIVersionsOptions(t *testing.T) {
	for _, test := range []struct{ name, args, want string }{
		{"no arguments", "", `[out]
[err] This tool helps to retrieve broker version information.
[err] (usage table)
[exit] 1
`},
		{"no servers", "--command-config {F}/x", `[out]
[err] Missing required argument "[bootstrap-server]"
[err] (usage table)
[exit] 1
`},
		{"an unknown option", "--bootstrap-server {B} --nosuch", `[out]
[err] Exception in thread "main" joptsimple.UnrecognizedOptionException: nosuch is not a recognized option
[exit] 1
`},
		{"a missing configuration", "--bootstrap-server {B} --command-config {F}/nosuch", `[out]
[err] Exception in thread "main" java.nio.file.NoSuchFileException: */nosuch
[exit] 1
`},
		{"no port", "--bootstrap-server nothing", `[out]
[err] Exception in thread "main" org.apache.kafka.common.config.ConfigException: Invalid url in bootstrap.servers: nothing
[exit] 1
`},
		{"the version", "--version", `[out] 3.9.1
[err]
[exit] 0
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			have := toolreplay.Scripted(t, toolreplay.Case{Tool: APIVersionsTool, Args: test.args}, nil, answer(0))
			if have != test.want {
				t.Errorf("have\n%swant\n%s", have, test.want)
			}
		})
	}
}

// The versions of a real broker must be printed as the real tool printed them.
func TestAPIVersionsPrintsWhatTheRealToolPrinted(t *testing.T) {
	have := toolreplay.Scripted(t, toolreplay.Case{Tool: APIVersionsTool, Args: "--bootstrap-server {B}"}, nil, answer(0))
	_, list, _ := strings.Cut(string(golden.Read(t, "api-versions-zk-3.9.1.txt")), " -> (\n")
	list, _, _ = strings.Cut(list, "\n)")
	var want strings.Builder
	for _, head := range []string{"* (id: 0 rack: null) -> (", "* (id: 1 rack: east) -> ("} {
		want.WriteString("[out] " + head + "\n")
		for line := range strings.Lines(list) {
			want.WriteString("[out] " + strings.TrimSuffix(line, "\n") + "\n")
		}
		want.WriteString("[out] )\n")
	}
	want.WriteString("[err]\n[exit] 0\n")
	if have != want.String() {
		t.Errorf("have\n%swant\n%s", have, want.String())
	}
}
