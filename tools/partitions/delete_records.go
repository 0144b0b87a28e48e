package partitions

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
	"github.com/monedula/monedula/tools/jsoninput"
)

// DeleteRecordsTool is kafka-delete-records.
var DeleteRecordsTool = cli.Tool{
	Name:    "kafka-delete-records",
	Summary: "Deletes the records of partitions before an offset.",
	Run:     runDeleteRecords,
}

const deleteRecordsSummary = "This tool helps to delete records of the given partitions down to the specified offset."

func runDeleteRecords(env *cli.Env, args []string) int {
	o := cli.NewOptions(env, "kafka-delete-records", deleteRecordsSummary)
	o.Exact = true
	bootstrap := o.Value("bootstrap-server", "String: server(s) to use for bootstrapping", "REQUIRED: The brokers to connect to first, as host:port,host:port.")
	file := o.Value("offset-json-file", "String: Offset json file path", "REQUIRED: The JSON file with one offset per partition. Records before that offset are deleted. Format: {\"version\":1,\"partitions\":[{\"topic\":\"foo\",\"partition\":1,\"offset\":1}]}.")
	config := o.Value("command-config", "String: command config property file path", "A properties file for the admin client.")
	if len(args) == 0 {
		return o.Fail(cli.UsageError{Text: deleteRecordsSummary})
	}
	err := o.Parse(args)
	if err == nil {
		err = o.Require(bootstrap, file)
	}
	if errors.As(err, new(cli.UsageError)) || errors.Is(err, cli.ErrDone) {
		return o.Fail(err)
	}
	if err == nil {
		err = o.CheckSingle()
	}
	if err == nil {
		err = deleteRecords(env, bootstrap.Or(""), config.Or(""), file.Or(""))
	}
	if err != nil {
		env.ComplainWithStack(err)
		return 1
	}
	return 0
}

func deleteRecords(env *cli.Env, bootstrap, config, file string) error {
	admin, err := client.NewAdmin(env, "adminclient-1", bootstrap, config, client.AdminTimeout)
	if err != nil {
		return err
	}
	defer admin.Close()
	text, err := jsoninput.ReadFile(file)
	if err != nil {
		return err
	}
	offsets, err := parseOffsets(text)
	if err != nil {
		return err
	}
	env.Println("Executing records delete operation")
	env.Println("Records delete operation completed:")
	deleteBefore(admin, offsets, func(tp client.TopicPartition, low int64, err error) {
		if err != nil {
			env.Printf("partition: %s\terror: %s\n", tp, cli.ExceptionText(cli.JavaClass(err), err.Error()))
		} else {
			env.Printf("partition: %s\tlow_watermark: %d\n", tp, low)
		}
	})
	return nil
}

// parseOffsets reads a JSON file of offsets.
func parseOffsets(text string) (map[client.TopicPartition]int64, error) {
	node, err := jsoninput.Parse(text)
	if err != nil {
		return nil, cli.AdminOperation("The input string is not a valid JSON")
	}
	fields, err := jsoninput.Versioned(node)
	if err != nil {
		return nil, err
	}
	list, found := fields["partitions"]
	if !found {
		return nil, cli.AdminOperation("Missing partitions field")
	}
	entries, err := list.Array()
	if err != nil {
		return nil, err
	}
	offsets := map[client.TopicPartition]int64{}
	var names []client.TopicPartition
	for _, entry := range entries {
		fields, err := entry.Object()
		if err != nil {
			return nil, err
		}
		tp, err := jsoninput.PartitionFields(fields)
		if err != nil {
			return nil, err
		}
		node, err := jsoninput.Field(fields, "offset")
		if err != nil {
			return nil, err
		}
		if offsets[tp], err = node.Long(); err != nil {
			return nil, err
		}
		names = append(names, tp)
	}
	if twice := client.Duplicates(names, client.PartitionHash); len(twice) > 0 {
		return nil, cli.CommandFailed("Offset json file contains duplicate topic partitions: %s", javatext.Join(twice, ","))
	}
	return offsets, nil
}

// deleteBefore sends the requests to the leaders of the partitions. It calls report for each
// partition, in the order of Kafka's tool.
func deleteBefore(c *client.Admin, offsets map[client.TopicPartition]int64, report func(tp client.TopicPartition, low int64, err error)) {
	order := javatext.HashMapOrder(client.SortedPartitions(offsets), client.PartitionHash)
	low, failed := map[client.TopicPartition]int64{}, map[client.TopicPartition]error{}
	byLeader := map[metadata.BrokerID][]client.TopicPartition{}
	leaders, err := leadersOf(c, order)
	for _, tp := range order {
		if leader, found := leaders[tp]; found {
			byLeader[leader] = append(byLeader[leader], tp)
		} else {
			failed[tp] = err
		}
	}
	for leader, partitions := range byLeader {
		req := kmsg.NewPtrDeleteRecordsRequest()
		req.TimeoutMillis = 30000
		topics := map[string][]kmsg.DeleteRecordsRequestTopicPartition{}
		for _, tp := range partitions {
			p := kmsg.NewDeleteRecordsRequestTopicPartition()
			p.Partition, p.Offset = tp.Partition, offsets[tp]
			topics[tp.Topic] = append(topics[tp.Topic], p)
		}
		for _, topic := range slices.Sorted(maps.Keys(topics)) {
			t := kmsg.NewDeleteRecordsRequestTopic()
			t.Topic, t.Partitions = topic, topics[topic]
			req.Topics = append(req.Topics, t)
		}
		resp, err := c.Send("deleteRecords", client.BrokerNamed(leader), req, 2, nil)
		if err != nil {
			for _, tp := range partitions {
				failed[tp] = err
			}
			continue
		}
		for _, t := range resp.(*kmsg.DeleteRecordsResponse).Topics {
			for _, p := range t.Partitions {
				tp := client.TopicPartition{Topic: t.Topic, Partition: p.Partition}
				if p.ErrorCode != 0 {
					failed[tp] = protocol.ErrorCode(p.ErrorCode)
					what := "an unexpected error"
					if p.ErrorCode == int16(protocol.TopicAuthorizationFailed) {
						what = "an error"
					}
					c.Env.Logger("org.apache.kafka.clients.admin.internals.DeleteRecordsHandler").Errorf(
						"[AdminClient clientId=%s] DeleteRecords request for topic partition %s failed due to %s %s", c.ID, tp, what, protocol.ErrorCode(p.ErrorCode).Name())
				}
				low[tp] = p.LowWatermark
			}
		}
	}
	for _, tp := range order {
		report(tp, low[tp], failed[tp])
	}
}

// leadersOf finds the leaders of partitions. Like Kafka's client, it retries for partitions that do
// not exist or have no leader until the timeout. The error applies to the partitions that are still
// missing from the result.
func leadersOf(c *client.Admin, partitions []client.TopicPartition) (map[client.TopicPartition]metadata.BrokerID, error) {
	const name = "deleteRecords(api=METADATA)"
	var topics []string
	for _, tp := range partitions {
		topics = append(topics, tp.Topic)
	}
	leaders := map[client.TopicPartition]metadata.BrokerID{}
	deadline := time.Now().Add(c.Timeout)
	for len(leaders) < len(partitions) {
		meta, err := c.Metadata(name, client.Distinct(topics))
		if err != nil {
			return leaders, err
		}
		for _, t := range meta.Topics {
			for _, p := range t.Partitions {
				if tp := (client.TopicPartition{Topic: *t.Topic, Partition: p.Partition}); p.Leader >= 0 && slices.Contains(partitions, tp) {
					leaders[tp] = metadata.BrokerID(p.Leader)
				}
			}
		}
		if len(leaders) == len(partitions) {
			break
		}
		if time.Now().After(deadline) {
			return leaders, client.NoNodeError{Call: name}
		}
		time.Sleep(client.RetryPause)
	}
	return leaders, nil
}
