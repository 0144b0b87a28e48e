package transactions

import (
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// producer is the state of a producer in a partition.
type producer = kmsg.DescribeProducersResponseTopicPartitionActiveProducer

// noBroker stands for the leader of a partition.
const noBroker = metadata.NoBroker

// brokerOf returns the broker that an option names, or noBroker.
func brokerOf(option *cli.Argument) metadata.BrokerID {
	return metadata.BrokerID(option.Number(int64(noBroker)))
}

func describeProducersCommand(line *cli.Arguments) command {
	c := line.Command("describe-producers", "Describes the states of the active producers of a partition.")
	broker := c.Add(cli.Argument{Name: "--broker-id", Metavar: "BROKER_ID", Kind: "Integer", Doc: "The broker to ask. (default: the leader of the partition)"})
	partition := partitionOptions(c, true)
	c.Output()
	return command{c, func(a *admin) error {
		tp := partition()
		described, err := a.producers([]client.TopicPartition{tp}, brokerOf(broker))
		if err != nil {
			on := "leader"
			if broker.Given() {
				on = "broker " + broker.Or("")
			}
			return failure{fmt.Sprintf("Failed to describe producers for partition %s on %s", tp, on), err}
		}
		if c.WantsDocument() {
			c.PrintDocument(producersDocument(tp, described[tp]))
			return nil
		}
		var rows [][]string
		for _, p := range described[tp] {
			start := "None"
			if p.CurrentTxnStartOffset >= 0 {
				start = fmt.Sprint(p.CurrentTxnStartOffset)
			}
			rows = append(rows, []string{fmt.Sprint(p.ProducerID), fmt.Sprint(p.ProducerEpoch), fmt.Sprint(max(p.CoordinatorEpoch, -1)),
				fmt.Sprint(p.LastSequence), fmt.Sprint(p.LastTimestamp), start})
		}
		printTable(a.Env, []string{"ProducerId", "ProducerEpoch", "LatestCoordinatorEpoch", "LastSequence", "LastTimestamp", "CurrentTransactionStartOffset"}, rows)
		return nil
	}}
}

// partitionOptions declares the options that name a partition and returns a function that reads them.
func partitionOptions(c *cli.Command, required bool) func() client.TopicPartition {
	topic := c.Add(cli.Argument{Name: "--topic", Metavar: "TOPIC", Required: required, Doc: "The topic."})
	partition := c.Add(cli.Argument{Name: "--partition", Metavar: "PARTITION", Kind: "Integer", Required: required, Doc: "The number of the partition."})
	return func() client.TopicPartition {
		return client.TopicPartition{Topic: topic.Or(""), Partition: int32(partition.Number(0))}
	}
}

// producers returns the active producers of partitions, asking a broker or, if it is noBroker, the
// leader of each partition. Unknown partitions are asked for again until the time is over.
func (a *admin) producers(partitions []client.TopicPartition, broker metadata.BrokerID) (map[client.TopicPartition][]producer, error) {
	found := map[client.TopicPartition][]producer{}
	name := "describeProducers(api=METADATA)"
	if broker != noBroker {
		name = "describeProducers(api=DESCRIBE_PRODUCERS)"
	}
	c, err := a.Begin(name)
	if err != nil {
		return nil, err
	}
	defer c.End()
	for left := partitions; len(left) > 0; {
		byBroker := map[metadata.BrokerID][]client.TopicPartition{broker: left}
		if broker == noBroker {
			if byBroker, err = c.Leaders(left, true); err != nil {
				return nil, err
			}
		}
		for _, id := range slices.Sorted(maps.Keys(byBroker)) {
			if err := a.producersOn(c, id, byBroker[id], broker != noBroker, found); err != nil {
				return nil, err
			}
		}
		left = slices.DeleteFunc(slices.Clone(left), func(tp client.TopicPartition) bool { _, known := found[tp]; return known })
		if len(left) > 0 {
			if err := c.Again(); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// producersOn asks one broker and adds its answers to found. named is set if the user chose the
// broker, which then must have the partitions.
func (a *admin) producersOn(c *client.Call, broker metadata.BrokerID, partitions []client.TopicPartition, named bool, found map[client.TopicPartition][]producer) error {
	resp, err := ask[*kmsg.DescribeProducersResponse](a, c, broker, producersRequest(partitions), 0)
	if unsupported(err) {
		return err
	}
	if err != nil {
		return nil
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			tp := client.TopicPartition{Topic: t.Topic, Partition: p.Partition}
			switch code := protocol.ErrorCode(p.ErrorCode); {
			case code == protocol.None:
				found[tp] = append([]producer{}, p.ActiveProducers...)
			case code == protocol.UnknownTopicOrPartition || code == protocol.NotLeaderOrFollower && !named:
			default:
				return a.producersRefused(tp, broker, client.Refusal(p.ErrorCode, p.ErrorMessage))
			}
		}
	}
	return nil
}

func producersRequest(partitions []client.TopicPartition) *kmsg.DescribeProducersRequest {
	req := kmsg.NewPtrDescribeProducersRequest()
	at := map[string]int{}
	for _, tp := range partitions {
		i, known := at[tp.Topic]
		if !known {
			i = len(req.Topics)
			at[tp.Topic] = i
			req.Topics = append(req.Topics, kmsg.DescribeProducersRequestTopic{Topic: tp.Topic})
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, tp.Partition)
	}
	return req
}

// producersRefused logs the refusal of a partition and returns the error of Kafka's client.
func (a *admin) producersRefused(tp client.TopicPartition, broker metadata.BrokerID, err error) error {
	log := a.log("DescribeProducersHandler").WithError(cli.AsException(err))
	code := protocol.CodeOf(err)
	switch code {
	case protocol.NotLeaderOrFollower:
		log.Errorf("[AdminClient clientId=%s] Not leader error in `DescribeProducers` response for partition %s for brokerId %d set in options", a.ID, tp, broker)
		return protocol.Errorf(code, "Failed to describe active producers for partition %s on brokerId %d", tp, broker)
	case protocol.InvalidTopicException:
		log.Errorf("[AdminClient clientId=%s] Invalid topic in `DescribeProducers` response for partition %s", a.ID, tp)
		return protocol.Errorf(code, "Failed to fetch metadata for partition %s due to invalid topic error: %s", tp, err)
	case protocol.TopicAuthorizationFailed:
		log.Errorf("[AdminClient clientId=%s] Authorization failed in `DescribeProducers` response for partition %s", a.ID, tp)
		return protocol.Errorf(code, "Failed to describe active producers for partition %s due to authorization failure on topic `%s`", tp, tp.Topic)
	}
	log.Errorf("[AdminClient clientId=%s] Unexpected error in `DescribeProducers` response for partition %s", a.ID, tp)
	return protocol.Errorf(code, "Failed to describe active producers for partition %s due to unexpected error", tp)
}
