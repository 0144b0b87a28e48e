package tools

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

var deleteRecordsTool = Tool{
	Name:    "kafka-delete-records",
	Summary: "Deletes the records of partitions before an offset.",
	Run:     runDeleteRecords,
}

const deleteRecordsSummary = "This tool helps to delete records of the given partitions down to the specified offset."

func runDeleteRecords(env *Env, args []string) int {
	o := newOptions(env, "kafka-delete-records", deleteRecordsSummary)
	o.exact = true
	bootstrap := o.value("bootstrap-server", "String: server(s) to use for bootstrapping", "REQUIRED: The brokers to connect to first, as host:port,host:port.")
	file := o.value("offset-json-file", "String: Offset json file path", "REQUIRED: The JSON file with one offset per partition. Records before that offset are deleted. Format: {\"version\":1,\"partitions\":[{\"topic\":\"foo\",\"partition\":1,\"offset\":1}]}.")
	config := o.value("command-config", "String: command config property file path", "A properties file for the admin client.")
	if len(args) == 0 {
		return o.fail(usageError{deleteRecordsSummary})
	}
	err := o.parse(args)
	if err == nil {
		err = o.require(bootstrap, file)
	}
	if errors.As(err, new(usageError)) || errors.Is(err, errDone) {
		return o.fail(err)
	}
	if err == nil {
		err = o.checkSingle()
	}
	if err == nil {
		err = deleteRecords(env, bootstrap.or(""), config.or(""), file.or(""))
	}
	if err != nil {
		env.complainWithStack(err)
		return 1
	}
	return 0
}

func deleteRecords(env *Env, bootstrap, config, file string) error {
	client, err := newAdminClient(env, "adminclient-1", bootstrap, config, adminTimeout)
	if err != nil {
		return err
	}
	defer client.Close()
	text, err := readInput(file)
	if err != nil {
		return err
	}
	offsets, err := parseOffsets(text)
	if err != nil {
		return err
	}
	env.println("Executing records delete operation")
	env.println("Records delete operation completed:")
	deleteBefore(client, offsets, func(tp topicPartition, low int64, err error) {
		if err != nil {
			env.printf("partition: %s\terror: %s\n", tp, exception(javaClass(err), err.Error()))
		} else {
			env.printf("partition: %s\tlow_watermark: %d\n", tp, low)
		}
	})
	return nil
}

// parseOffsets reads a JSON file of offsets.
func parseOffsets(text string) (map[topicPartition]int64, error) {
	node, err := parseJSON(text)
	if err != nil {
		return nil, adminOperation("The input string is not a valid JSON")
	}
	fields, err := versioned(node)
	if err != nil {
		return nil, err
	}
	list, found := fields["partitions"]
	if !found {
		return nil, adminOperation("Missing partitions field")
	}
	entries, err := list.array()
	if err != nil {
		return nil, err
	}
	offsets := map[topicPartition]int64{}
	var names []topicPartition
	for _, entry := range entries {
		fields, err := entry.object()
		if err != nil {
			return nil, err
		}
		tp, err := partitionFields(fields)
		if err != nil {
			return nil, err
		}
		node, err := field(fields, "offset")
		if err != nil {
			return nil, err
		}
		if offsets[tp], err = node.long(); err != nil {
			return nil, err
		}
		names = append(names, tp)
	}
	if twice := duplicates(names, partitionHash); len(twice) > 0 {
		return nil, commandFailed("Offset json file contains duplicate topic partitions: %s", joinedPartitions(twice, ","))
	}
	return offsets, nil
}

// deleteBefore sends the requests to the leaders of the partitions. It calls report for each
// partition, in the order of Kafka's tool.
func deleteBefore(c *adminClient, offsets map[topicPartition]int64, report func(tp topicPartition, low int64, err error)) {
	order := hashOrder(sortedPartitions(offsets), partitionHash)
	low, failed := map[topicPartition]int64{}, map[topicPartition]error{}
	byLeader := map[int32][]topicPartition{}
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
			p.Partition, p.Offset = tp.partition, offsets[tp]
			topics[tp.topic] = append(topics[tp.topic], p)
		}
		for _, topic := range slices.Sorted(maps.Keys(topics)) {
			t := kmsg.NewDeleteRecordsRequestTopic()
			t.Topic, t.Partitions = topic, topics[topic]
			req.Topics = append(req.Topics, t)
		}
		resp, err := c.call("deleteRecords", brokerNamed(leader), req, 2, nil)
		if err != nil {
			for _, tp := range partitions {
				failed[tp] = err
			}
			continue
		}
		for _, t := range resp.(*kmsg.DeleteRecordsResponse).Topics {
			for _, p := range t.Partitions {
				tp := topicPartition{t.Topic, p.Partition}
				if p.ErrorCode != 0 {
					failed[tp] = protocol.ErrorCode(p.ErrorCode)
					c.env.logger("org.apache.kafka.clients.admin.internals.DeleteRecordsHandler").Errorf(
						"[AdminClient clientId=%s] DeleteRecords request for topic partition %s failed due to an unexpected error %s", c.id, tp, protocol.ErrorCode(p.ErrorCode).Name())
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
// not exist or have no leader until the timeout. The error applies to the partitions that are then
// missing from the result.
func leadersOf(c *adminClient, partitions []topicPartition) (map[topicPartition]int32, error) {
	const name = "deleteRecords(api=METADATA)"
	var topics []string
	for _, tp := range partitions {
		topics = append(topics, tp.topic)
	}
	leaders := map[topicPartition]int32{}
	deadline := time.Now().Add(c.timeout)
	for len(leaders) < len(partitions) {
		meta, err := c.metadata(name, distinct(topics))
		if err != nil {
			return leaders, err
		}
		for _, t := range meta.Topics {
			for _, p := range t.Partitions {
				if tp := (topicPartition{*t.Topic, p.Partition}); p.Leader >= 0 && slices.Contains(partitions, tp) {
					leaders[tp] = p.Leader
				}
			}
		}
		if len(leaders) == len(partitions) {
			break
		}
		if time.Now().After(deadline) {
			return leaders, errNoNode{name}
		}
		time.Sleep(retryPause)
	}
	return leaders, nil
}
