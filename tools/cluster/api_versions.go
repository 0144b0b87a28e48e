package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/peerlink"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// APIVersionsTool is kafka-broker-api-versions.
var APIVersionsTool = cli.Tool{
	Name:    "kafka-broker-api-versions",
	Summary: "Prints the API versions of every broker.",
	Run:     runBrokerAPIVersions,
}

func runBrokerAPIVersions(env *cli.Env, args []string) int {
	o := cli.NewOptions(env, "kafka-broker-api-versions", "This tool helps to retrieve broker version information.")
	bootstrap := o.Value("bootstrap-server", "String: server(s) to use for bootstrapping", "REQUIRED: The brokers to connect to first.")
	config := o.Value("command-config", "String: command config property file", "A properties file for the admin client.")
	o.Output()
	if len(args) == 0 {
		env.Complainf("%s", o.Summary)
		o.PrintUsage(env.Stderr)
		return 1
	}
	if err := o.Parse(args); err != nil {
		var bad cli.BadOption
		if errors.As(err, &bad) {
			env.Complainf("Exception in thread \"main\" joptsimple.%s: %s", bad.Class, bad.Text)
			return 1
		}
		return o.Fail(err)
	}
	if err := o.Require(bootstrap); err != nil {
		return o.Fail(err)
	}
	if _, err := client.LoadProperties(config.Or("")); err != nil {
		env.Uncaught(err)
		return 1
	}
	servers, err := client.ParseBootstrap(bootstrap.Or(""))
	if err != nil {
		env.Uncaught(client.ConfigError(err.Error()))
		return 1
	}
	ctx := context.Background()
	cluster, err := client.Connect(ctx, env, "AdminClient", servers, "listNodes")
	if err != nil {
		return o.Fail(err)
	}
	defer cluster.Close()
	meta, err := awaitBrokers(ctx, cluster)
	if err != nil {
		return o.Fail(err)
	}
	document := versionsDocument{[]brokerVersions{}}
	for _, b := range meta.Brokers {
		rack := "null"
		if b.Rack != nil {
			rack = *b.Rack
		}
		node := fmt.Sprintf("%s:%d (id: %d rack: %s)", b.Host, b.Port, b.NodeID, rack)
		offered, err := versionsOf(ctx, cluster, metadata.BrokerID(b.NodeID))
		versions := compareVersions(offered)
		document.Brokers = append(document.Brokers, describedBroker(b, versions, err))
		switch {
		case o.WantsDocument():
		case err != nil:
			env.Printf("%s -> ERROR: %s\n", node, err)
		default:
			env.Printf("%s -> %s\n", node, versionsText(versions))
		}
	}
	if o.WantsDocument() {
		o.PrintDocument(document)
	}
	return 0
}

// awaitBrokers requests metadata until it contains a broker, which may take a moment after a
// cluster has started.
func awaitBrokers(ctx context.Context, cluster *peerlink.Cluster) (*kmsg.MetadataResponse, error) {
	for {
		meta, err := cluster.Metadata(ctx, []string{})
		if err != nil || len(meta.Brokers) > 0 {
			return meta, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func versionsOf(ctx context.Context, cluster *peerlink.Cluster, broker metadata.BrokerID) ([]kmsg.ApiVersionsResponseApiKey, error) {
	link, err := cluster.Broker(ctx, broker)
	if err != nil {
		return nil, err
	}
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "monedula", cli.Version
	resp, err := link.Negotiated(ctx, req, 3)
	if err != nil {
		return nil, err
	}
	versions := resp.(*kmsg.ApiVersionsResponse)
	if versions.ErrorCode != 0 {
		return nil, protocol.ErrorCode(versions.ErrorCode)
	}
	return versions.ApiKeys, nil
}

// apiVersions is an API as a broker and Kafka's client know it.
type apiVersions struct {
	clientAPI
	offered  bool // by the broker
	unknown  bool // to the client
	min, max int16
	reason   string // why no version is usable; "": one is
}

// usable returns the highest version that both sides know.
func (v apiVersions) usable() int16 { return min(v.top, v.max) }

// compareVersions compares what a broker offers with what Kafka's client knows. The result is sorted
// by key.
func compareVersions(offered []kmsg.ApiVersionsResponseApiKey) []apiVersions {
	all := map[int16]apiVersions{}
	known := map[int16]clientAPI{}
	for _, api := range clientAPIs {
		known[api.key] = api
		if api.client {
			all[api.key] = apiVersions{clientAPI: api, reason: "not offered"}
		}
	}
	for _, o := range offered {
		api, found := known[o.ApiKey]
		v := apiVersions{clientAPI: api, offered: true, unknown: !found, min: o.MinVersion, max: o.MaxVersion}
		v.key = o.ApiKey
		switch {
		case !found:
			v.name, v.reason = "UNKNOWN", "unknown"
		case api.top < o.MinVersion:
			v.reason = "node too new"
		case o.MaxVersion < api.lowest:
			v.reason = "node too old"
		}
		all[o.ApiKey] = v
	}
	return slices.SortedFunc(maps.Values(all), func(a, b apiVersions) int { return cmp.Compare(a.key, b.key) })
}

// versionsText formats the list like Kafka's client, with one API per line.
func versionsText(all []apiVersions) string {
	texts := make([]string, len(all))
	for i, v := range all {
		versions := fmt.Sprint(v.min)
		if v.min != v.max {
			versions = fmt.Sprintf("%d to %d", v.min, v.max)
		}
		text := fmt.Sprintf("%s(%d): ", v.name, v.key)
		switch {
		case !v.offered:
			text += "UNSUPPORTED"
		case v.unknown:
			text += versions
		case v.reason != "":
			text += versions + " [unusable: " + v.reason + "]"
		default:
			text += fmt.Sprintf("%s [usable: %d]", versions, v.usable())
		}
		texts[i] = text
	}
	return "(\n\t" + strings.Join(texts, ",\n\t") + "\n)"
}

// The document of --output json. docs/json.md describes its fields.
type (
	versionsDocument struct {
		Brokers []brokerVersions `json:"brokers"`
	}
	brokerVersions struct {
		ID    int32       `json:"id"`
		Host  string      `json:"host"`
		Port  int32       `json:"port"`
		Rack  *string     `json:"rack"`
		Error *string     `json:"error"`
		APIs  []versioned `json:"apis"`
	}
	versioned struct {
		Name          string `json:"name"`
		Key           int16  `json:"key"`
		MinVersion    *int16 `json:"minVersion"`
		MaxVersion    *int16 `json:"maxVersion"`
		UsableVersion *int16 `json:"usableVersion"`
	}
)

// describedBroker returns a broker with its versions, or with the error that it answered.
func describedBroker(b kmsg.MetadataResponseBroker, all []apiVersions, err error) brokerVersions {
	d := brokerVersions{ID: b.NodeID, Host: b.Host, Port: b.Port, Rack: b.Rack, APIs: []versioned{}}
	if err != nil {
		text := err.Error()
		d.Error = &text
		return d
	}
	for _, v := range all {
		api := versioned{Name: v.name, Key: v.key}
		if v.offered {
			api.MinVersion, api.MaxVersion = &v.min, &v.max
		}
		if usable := v.usable(); v.reason == "" {
			api.UsableVersion = &usable
		}
		d.APIs = append(d.APIs, api)
	}
	return d
}
