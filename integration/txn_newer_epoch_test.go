package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/protocol"
)

// A batch with a newer epoch than the producer has, in its open transaction, is accepted: a leader
// that knows the transaction does not ask the coordinator again. The marker of the transaction is
// then refused, and its transactional id stays in PrepareCommit, also after the coordinator has loaded
// it again. A real broker has the same hole. An administrator can only free its partitions, with a
// request or with kafka-transactions.sh abort.
func TestANewerEpochInAnOpenTransactionBlocksItAsOnARealBroker(t *testing.T) {
	kinds := []string{"ours"}
	if testkit.FullMatrices() {
		kinds = append(kinds, "3.9.1")
	}
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) { endWithANewerEpoch(t, kind) })
	}
}

func endWithANewerEpoch(t *testing.T, kind string) {
	c := newCluster(t, []string{"transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1", "transaction.state.log.num.partitions=1",
		"log.retention.ms=-1"}, kind) // the records are years old
	c.createTopic("load", [][]int32{{1}, {1}, {1}})
	m := c.members[0]
	l := link(t, m.address())
	ask := func(req kmsg.Request, version int16) kmsg.Response {
		t.Helper()
		req.SetVersion(version)
		resp, err := l.Do(background(), req)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	const id = "blocked"
	initialize := func() *kmsg.InitProducerIDResponse {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID, req.TransactionTimeoutMillis = kmsg.StringPtr(id), 60000
		return ask(req, 4).(*kmsg.InitProducerIDResponse)
	}
	awaitCoordinator(&side{link: l}, 1)
	var p *kmsg.InitProducerIDResponse
	testkit.Eventually(t, 30*time.Second, "the coordinator to return a producer id", func() bool {
		p = initialize()
		return p.ErrorCode == 0
	})
	for partition := range int32(3) {
		ask(addPartitionsRequest(id, p.ProducerID, p.ProducerEpoch, "load", partition), 3)
		produce := func(epoch int16) protocol.ErrorCode {
			req := produceRequest("load", partition, transactionalBatch(p.ProducerID, epoch, 0), 9)
			req.TransactionID = kmsg.StringPtr(id)
			return protocol.ErrorCode(ask(req, 9).(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode)
		}
		if first, newer := produce(p.ProducerEpoch), produce(p.ProducerEpoch+1); first != protocol.None || newer != protocol.None {
			t.Fatalf("partition %d: a batch of the producer: %s; one with the next epoch: %s", partition, first.Name(), newer.Name())
		}
	}
	if code := ask(endTxnRequest(id, p.ProducerID, p.ProducerEpoch, true), 3).(*kmsg.EndTxnResponse).ErrorCode; code != 0 {
		t.Fatalf("EndTxn: error %d", code)
	}
	state := func() string {
		req := kmsg.NewPtrDescribeTransactionsRequest()
		req.TransactionalIDs = []string{id}
		return ask(req, 0).(*kmsg.DescribeTransactionsResponse).TransactionStates[0].State
	}
	blocked := func(when string) {
		t.Helper()
		if err := m.process().AwaitOutput("has permanently failed with error org.apache.kafka.common.errors.InvalidProducerEpochException", 30*time.Second); err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if s, code := state(), protocol.ErrorCode(initialize().ErrorCode); s != "PrepareCommit" || code != protocol.ConcurrentTransactions {
			t.Errorf("%s: state %s, the next producer gets %s", when, s, code.Name())
		}
	}
	blocked("after EndTxn")
	m.process().Kill()
	c.restart(m)
	blocked("after the next load")
	abort := kmsg.NewPtrWriteTxnMarkersRequest()
	abort.Markers = append(abort.Markers, marker(p.ProducerID, p.ProducerEpoch+1, 0, false, "load", 0))
	if code := ask(abort, 1).(*kmsg.WriteTxnMarkersResponse).Markers[0].Topics[0].Partitions[0].ErrorCode; code != 0 {
		t.Errorf("the marker of an administrator: error %d", code)
	}
	tools := map[int32]func(args ...string){1: func(args ...string) { must(t, "kafka-transactions", args...) }}
	tools[2] = tools[1]
	if testkit.FullMatrices() {
		tools[2] = func(args ...string) {
			if out, errs, code := testkit.RealKafka(t, "3.9.1").Run(t, "org.apache.kafka.tools.TransactionsCommand", args...); code != 0 {
				t.Errorf("the real tool: exit code %d\n%s%s", code, out, errs)
			}
		}
	}
	for partition, tool := range tools {
		tool("--bootstrap-server", m.address(), "abort", "--topic", "load", "--partition", fmt.Sprint(partition), "--start-offset", "0")
	}
	for partition := range int32(3) {
		request := listEndRequest("load", 1)
		request.Topics[0].Partitions[0].Partition = partition
		if got := lastStable(ask(request, 7)); got == 0 {
			t.Errorf("partition %d is still blocked after the marker of an administrator", partition)
		}
	}
	m.process().Kill()
	c.restart(m)
	blocked("after the partition was freed")
}

func lastStable(resp kmsg.Response) int64 {
	return resp.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0].Offset
}
