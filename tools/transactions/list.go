package transactions

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// admin makes the calls of the tool.
type admin struct{ *client.Admin }

func listCommand(line *cli.Arguments) command {
	c := line.Command("list", "Lists the transactional ids of all coordinators.")
	duration := c.Add(cli.Argument{Name: "--duration-filter", Metavar: "DURATION_FILTER", Kind: "Long",
		Doc: "List only ids whose transaction began more than this many milliseconds ago. Below 0: all. (default: all)"})
	c.Output()
	return command{c, func(a *admin) error {
		listed, err := a.list(&kmsg.ListTransactionsRequest{DurationFilterMillis: duration.Number(-1)})
		if err != nil {
			return failure{"Failed to list transactions", err}
		}
		if c.WantsDocument() {
			c.PrintDocument(listDocument(listed))
			return nil
		}
		var rows [][]string
		for _, t := range listed {
			rows = append(rows, []string{t.id, fmt.Sprint(t.coordinator), fmt.Sprint(t.producerID), t.state})
		}
		printTable(a.Env, []string{"TransactionalId", "Coordinator", "ProducerId", "TransactionState"}, rows)
		return nil
	}}
}

// listing is a transactional id in a list.
type listing struct {
	id          string
	coordinator metadata.BrokerID
	producerID  int64
	state       string
}

// states are the names that Kafka's client knows. Others are shown as Unknown.
var states = map[string]bool{"Ongoing": true, "PrepareAbort": true, "PrepareCommit": true, "CompleteAbort": true, "CompleteCommit": true,
	"Empty": true, "PrepareEpochFence": true}

func stateText(name string) string {
	if states[name] {
		return name
	}
	return "Unknown"
}

// list returns the ids of all brokers that match the request, in the order of Kafka's client.
func (a *admin) list(req *kmsg.ListTransactionsRequest) ([]listing, error) {
	c, err := a.Begin("listTransactions(api=METADATA)")
	if err != nil {
		return nil, err
	}
	defer c.End()
	for {
		meta, err := a.Cluster().Metadata(c.Ctx, []string{})
		if err == nil && len(meta.Brokers) > 0 {
			c.Name = "listTransactions(api=LIST_TRANSACTIONS)"
			return a.listOn(c, meta.Brokers, req)
		}
		if err := c.Again(); err != nil {
			return nil, err
		}
	}
}

func (a *admin) listOn(c *client.Call, brokers []kmsg.MetadataResponseBroker, req *kmsg.ListTransactionsRequest) (all []listing, err error) {
	for _, b := range javatext.HashMapOrder(brokers, func(b kmsg.MetadataResponseBroker) int32 { return javatext.IntHash(b.NodeID) }) {
		listed, err := a.listOne(c, metadata.BrokerID(b.NodeID), req)
		if err != nil {
			return nil, err
		}
		all = append(all, listed...)
	}
	return all, nil
}

// listOne repeats the request to a broker until it is answered.
func (a *admin) listOne(c *client.Call, broker metadata.BrokerID, req *kmsg.ListTransactionsRequest) (all []listing, err error) {
	for {
		resp, err := ask[*kmsg.ListTransactionsResponse](a, c, broker, req, 1)
		switch {
		case unsupported(err):
			return nil, err
		case err != nil:
		case req.Version < 1 && req.DurationFilterMillis >= 0:
			return nil, protocol.Errorf(protocol.UnsupportedVersion, "Duration filter can be set only when using API version 1 or higher. If client is connected to an older broker, do not specify duration filter or set duration filter to -1.")
		default:
			code := protocol.ErrorCode(resp.ErrorCode)
			switch code {
			case protocol.None:
				for _, t := range resp.TransactionStates {
					all = append(all, listing{t.TransactionalID, broker, t.ProducerID, stateText(t.TransactionState)})
				}
				return all, nil
			case protocol.CoordinatorLoadInProgress:
			case protocol.CoordinatorNotAvailable:
				return nil, protocol.Errorf(code, "ListTransactions request sent to broker %d failed because the coordinator is shutting down", broker)
			default:
				a.log("ListTransactionsHandler").Errorf("[AdminClient clientId=%s] The `ListTransactions` request sent to broker %d failed because of an unexpected error %s", a.ID, broker, code.Name())
				return nil, protocol.Errorf(code, "ListTransactions request sent to broker %d failed with an unexpected exception", broker)
			}
		}
		if err := c.Again(); err != nil {
			return nil, err
		}
	}
}
