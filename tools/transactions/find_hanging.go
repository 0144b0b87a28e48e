package transactions

import (
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// batchSize is the number of topics or partitions in one request.
const batchSize = 500

func findHangingCommand(line *cli.Arguments) command {
	c := line.Command("find-hanging", "Finds transactions that are open in a partition although their coordinator does not know them.")
	broker := c.Add(cli.Argument{Name: "--broker-id", Metavar: "BROKER_ID", Kind: "Integer", Doc: "Search the partitions of this broker."})
	longest := c.Add(cli.Argument{Name: "--max-transaction-timeout", Metavar: "MAX_TRANSACTION_TIMEOUT", Kind: "Integer",
		Doc: "Consider only transactions without a record for more than this many minutes. (default: 15)"})
	topic := c.Add(cli.Argument{Name: "--topic", Metavar: "TOPIC", Doc: "Search this topic. Required with --partition."})
	partition := c.Add(cli.Argument{Name: "--partition", Metavar: "PARTITION", Kind: "Integer", Doc: "Search this partition."})
	c.Output()
	return command{c, func(a *admin) error {
		s := search{admin: a, broker: brokerOf(broker), longest: time.Duration(longest.Number(15)) * time.Minute}
		var partitions []client.TopicPartition
		var err error
		switch {
		case !topic.Given() && !broker.Given():
			return failure{what: "The `find-hanging` command requires either --topic or --broker-id to limit the scope of the search"}
		case partition.Given() && !topic.Given():
			return failure{what: "The --partition argument requires --topic to be provided"}
		case partition.Given():
			partitions = []client.TopicPartition{{Topic: topic.Or(""), Partition: int32(partition.Number(0))}}
		case topic.Given():
			partitions, err = s.partitionsOf([]string{topic.Or("")})
		default:
			partitions, err = s.allPartitions()
		}
		if err != nil {
			return err
		}
		hanging, err := s.hanging(partitions)
		if err != nil {
			return err
		}
		if c.WantsDocument() {
			c.PrintDocument(hangingDocument(hanging))
		} else {
			printHanging(a.Env, hanging)
		}
		return nil
	}}
}

// search is a search for hanging transactions.
type search struct {
	*admin
	broker  metadata.BrokerID // whose replicas are searched; noBroker: the leaders of all
	longest time.Duration
}

// openTransaction is a transaction that is open in a partition.
type openTransaction struct {
	client.TopicPartition
	producer
}

func printHanging(env *cli.Env, hanging []openTransaction) {
	now := time.Now().UnixMilli()
	var rows [][]string
	for _, t := range hanging {
		rows = append(rows, []string{t.Topic, fmt.Sprint(t.TopicPartition.Partition), fmt.Sprint(t.ProducerID), fmt.Sprint(t.ProducerEpoch),
			fmt.Sprint(max(t.CoordinatorEpoch, -1)), fmt.Sprint(max(t.CurrentTxnStartOffset, -1)), fmt.Sprint(t.LastTimestamp),
			fmt.Sprint((now - t.LastTimestamp) / time.Minute.Milliseconds())})
	}
	printTable(env, []string{"Topic", "Partition", "ProducerId", "ProducerEpoch", "CoordinatorEpoch", "StartOffset", "LastTimestamp", "Duration(min)"}, rows)
}

// allPartitions returns the partitions of all topics.
func (s *search) allPartitions() ([]client.TopicPartition, error) {
	meta, err := s.Metadata("listTopics", nil)
	if err != nil {
		return nil, failure{"Failed to list topics", err}
	}
	var topics []string
	for _, t := range meta.Topics {
		topics = append(topics, *t.Topic)
	}
	return s.partitionsOf(javatext.HashMapOrder(topics, javatext.StringHash))
}

// partitionsOf returns the partitions of topics, on the broker if one is named.
func (s *search) partitionsOf(topics []string) (all []client.TopicPartition, err error) {
	for batch := range slices.Chunk(topics, batchSize) {
		found, err := s.Topics(batch, func(string) error { return protocol.UnknownTopicOrPartition })
		if err != nil {
			return nil, failure{fmt.Sprintf("Failed to describe %d topics", len(batch)), err}
		}
		for _, topic := range javatext.HashMapOrder(batch, javatext.StringHash) {
			partitions := found[topic]
			slices.SortFunc(partitions, func(a, b kmsg.MetadataResponseTopicPartition) int { return int(a.Partition) - int(b.Partition) })
			for _, p := range partitions {
				if s.broker == noBroker || slices.Contains(p.Replicas, int32(s.broker)) {
					all = append(all, client.TopicPartition{Topic: topic, Partition: p.Partition})
				}
			}
		}
	}
	return all, nil
}

// hanging returns the transactions that are open in the partitions and that no coordinator will end.
func (s *search) hanging(partitions []client.TopicPartition) (hanging []openTransaction, err error) {
	candidates, err := s.candidates(partitions)
	if err != nil || len(candidates) == 0 {
		return nil, err
	}
	byProducer := map[int64][]openTransaction{}
	var producers []int64
	for _, t := range candidates {
		if byProducer[t.ProducerID] == nil {
			producers = append(producers, t.ProducerID)
		}
		byProducer[t.ProducerID] = append(byProducer[t.ProducerID], t)
	}
	producers = javatext.HashMapOrder(producers, func(id int64) int32 { return int32(id ^ int64(uint64(id)>>32)) })
	known, err := s.coordinated(producers)
	if err != nil {
		return nil, err
	}
	for _, id := range producers {
		for _, t := range byProducer[id] {
			if !known[id][t.TopicPartition] {
				hanging = append(hanging, t)
			}
		}
	}
	return hanging, nil
}

// candidates returns the open transactions without a recent record.
func (s *search) candidates(partitions []client.TopicPartition) (all []openTransaction, err error) {
	for batch := range slices.Chunk(partitions, batchSize) {
		described, err := s.producers(batch, s.broker)
		if err != nil {
			on := "Optional.empty"
			if s.broker != noBroker {
				on = fmt.Sprintf("Optional[%d]", s.broker)
			}
			return nil, failure{fmt.Sprintf("Failed to describe producers for %d partitions on broker %s", len(batch), on), err}
		}
		now := time.Now().UnixMilli()
		for _, tp := range javatext.SizedHashMapOrder(batch, hashPartition) {
			for _, p := range described[tp] {
				if p.CurrentTxnStartOffset >= 0 && now-p.LastTimestamp > s.longest.Milliseconds() {
					all = append(all, openTransaction{tp, p})
				}
			}
		}
	}
	return all, nil
}

// coordinated returns the partitions of the producers' transactions that coordinators know.
func (s *search) coordinated(producers []int64) (map[int64]map[client.TopicPartition]bool, error) {
	listed, err := s.list(&kmsg.ListTransactionsRequest{ProducerIDFilters: producers, DurationFilterMillis: -1})
	if err != nil {
		return nil, failure{fmt.Sprintf("Failed to list transactions for %d producers", len(producers)), err}
	}
	var ids []string
	for _, t := range listed {
		ids = append(ids, t.id)
	}
	described, err := s.describe(ids)
	if err != nil {
		return nil, failure{fmt.Sprintf("Failed to describe %d transactions", len(ids)), err}
	}
	known := map[int64]map[client.TopicPartition]bool{}
	for _, t := range listed {
		if d := described[t.id]; d != nil {
			known[t.producerID] = map[client.TopicPartition]bool{}
			for _, tp := range d.partitions() {
				known[t.producerID][tp] = true
			}
		}
	}
	return known, nil
}
