package transactions

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

func describeCommand(line *cli.Arguments) command {
	c := line.Command("describe", "Describes the state of a transactional id.")
	id := c.Add(cli.Argument{Name: "--transactional-id", Metavar: "TRANSACTIONAL_ID", Required: true, Doc: "The transactional id."})
	c.Output()
	return command{c, func(a *admin) error {
		described, err := a.describe([]string{id.Or("")})
		if err == nil && described[id.Or("")] == nil {
			err = notFound(id.Or(""))
		}
		if err != nil {
			return failure{fmt.Sprintf("Failed to describe transaction state of transactional-id `%s`", id.Or("")), err}
		}
		d := described[id.Or("")]
		if c.WantsDocument() {
			c.PrintDocument(describeDocument(id.Or(""), d))
			return nil
		}
		start, duration := "None", "None"
		if d.StartTimestamp >= 0 {
			start, duration = fmt.Sprint(d.StartTimestamp), fmt.Sprint(time.Now().UnixMilli()-d.StartTimestamp)
		}
		printTable(a.Env, []string{"CoordinatorId", "TransactionalId", "ProducerId", "ProducerEpoch", "TransactionState", "TransactionTimeoutMs",
			"CurrentTransactionStartTimeMs", "TransactionDurationMs", "TopicPartitions"},
			[][]string{{fmt.Sprint(d.coordinator), id.Or(""), fmt.Sprint(d.ProducerID), fmt.Sprint(d.ProducerEpoch), stateText(d.State),
				fmt.Sprint(d.TimeoutMillis), start, duration, javatext.Join(d.partitions(), ",")}})
		return nil
	}}
}

// description is a transactional id with its coordinator.
type description struct {
	coordinator metadata.BrokerID
	kmsg.DescribeTransactionsResponseTransactionState
}

// partitions returns the partitions of the transaction, in the order of Kafka's client.
func (d *description) partitions() (all []client.TopicPartition) {
	for _, t := range d.Topics {
		for _, p := range t.Partitions {
			all = append(all, client.TopicPartition{Topic: t.Topic, Partition: p})
		}
	}
	return javatext.HashMapOrder(all, hashPartition)
}

func hashPartition(p client.TopicPartition) int32 {
	return javatext.PartitionHash(p.Topic, p.Partition)
}

func notFound(id string) error {
	return protocol.Errorf(protocol.TransactionalIDNotFound, "DescribeTransactions request for transactionalId `%s` failed because the ID could not be found", id)
}

// describe returns the descriptions of transactional ids. Those that do not exist are left out.
func (a *admin) describe(ids []string) (map[string]*description, error) {
	found := map[string]*description{}
	c, err := a.Begin("describeTransactions(api=FIND_COORDINATOR)")
	if err != nil {
		return nil, err
	}
	defer c.End()
	for left := ids; len(left) > 0; {
		byBroker, err := a.byCoordinator(c, left)
		if err != nil {
			return nil, err
		}
		answered := map[string]bool{}
		for _, broker := range slices.Sorted(maps.Keys(byBroker)) {
			if err := a.describeOn(c, broker, byBroker[broker], found, answered); err != nil {
				return nil, err
			}
		}
		if left = slices.DeleteFunc(slices.Clone(left), func(id string) bool { return answered[id] }); len(left) > 0 {
			if err := c.Again(); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

func (a *admin) byCoordinator(c *client.Call, ids []string) (map[metadata.BrokerID][]string, error) {
	coordinators, err := a.coordinators(c, ids)
	byBroker := map[metadata.BrokerID][]string{}
	for _, id := range ids {
		if broker, known := coordinators[id]; known {
			byBroker[broker] = append(byBroker[broker], id)
		}
	}
	return byBroker, err
}

func (a *admin) describeOn(c *client.Call, broker metadata.BrokerID, ids []string, found map[string]*description, answered map[string]bool) error {
	resp, err := ask[*kmsg.DescribeTransactionsResponse](a, c, broker, &kmsg.DescribeTransactionsRequest{TransactionalIDs: ids}, 0)
	if unsupported(err) {
		return err
	}
	if err != nil {
		return nil
	}
	for _, t := range resp.TransactionStates {
		switch code := protocol.ErrorCode(t.ErrorCode); code {
		case protocol.None:
			found[t.TransactionalID] = &description{broker, t}
		case protocol.TransactionalIDNotFound:
		case protocol.CoordinatorLoadInProgress, protocol.NotCoordinator, protocol.CoordinatorNotAvailable:
			continue
		case protocol.TransactionalIDAuthorizationFailed:
			return protocol.Errorf(code, "DescribeTransactions request for transactionalId `%s` failed due to authorization failure", t.TransactionalID)
		default:
			return protocol.Errorf(code, "DescribeTransactions request for transactionalId `%s` failed due to unexpected error", t.TransactionalID)
		}
		answered[t.TransactionalID] = true
	}
	return nil
}
