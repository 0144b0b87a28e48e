package cluster

import (
	"context"
	"errors"
	"fmt"
	"sort"
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
	for _, b := range meta.Brokers {
		rack := "null"
		if b.Rack != nil {
			rack = *b.Rack
		}
		node := fmt.Sprintf("%s:%d (id: %d rack: %s)", b.Host, b.Port, b.NodeID, rack)
		versions, err := versionsOf(ctx, cluster, metadata.BrokerID(b.NodeID))
		if err != nil {
			env.Printf("%s -> ERROR: %s\n", node, err)
			continue
		}
		env.Printf("%s -> %s\n", node, versionsText(versions))
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

// versionsText formats the list like Kafka's client, with one API per line.
func versionsText(offered []kmsg.ApiVersionsResponseApiKey) string {
	known := map[int16]clientAPI{}
	lines := map[int16]string{}
	for _, api := range clientAPIs {
		known[api.key] = api
		if api.client {
			lines[api.key] = fmt.Sprintf("%s(%d): UNSUPPORTED", api.name, api.key)
		}
	}
	for _, o := range offered {
		versions := fmt.Sprint(o.MinVersion)
		if o.MinVersion != o.MaxVersion {
			versions = fmt.Sprintf("%d to %d", o.MinVersion, o.MaxVersion)
		}
		api, found := known[o.ApiKey]
		switch {
		case !found:
			lines[o.ApiKey] = fmt.Sprintf("UNKNOWN(%d): %s", o.ApiKey, versions)
		case api.top < o.MinVersion:
			lines[o.ApiKey] = fmt.Sprintf("%s(%d): %s [unusable: node too new]", api.name, api.key, versions)
		case o.MaxVersion < api.lowest:
			lines[o.ApiKey] = fmt.Sprintf("%s(%d): %s [unusable: node too old]", api.name, api.key, versions)
		default:
			lines[o.ApiKey] = fmt.Sprintf("%s(%d): %s [usable: %d]", api.name, api.key, versions, min(api.top, o.MaxVersion))
		}
	}
	keys := make([]int16, 0, len(lines))
	for key := range lines {
		keys = append(keys, key)
	}
	sort.Slice(keys, func(i, j int) bool { return keys[i] < keys[j] })
	texts := make([]string, len(keys))
	for i, key := range keys {
		texts[i] = lines[key]
	}
	return "(\n\t" + strings.Join(texts, ",\n\t") + "\n)"
}
