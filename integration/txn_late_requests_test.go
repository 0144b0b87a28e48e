package integration

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/txnhistory"
)

// An EndTxn request that arrives when its client has given up on it, and has begun the next
// transaction, ends that one: without KIP-890 part 2 both have the same epoch. Our coordinator and a
// real one share this weakness. The checker finds its effect and names it.
func TestALateEndTxnIsNamedAsAKnownHole(t *testing.T) {
	kinds := []string{"ours"}
	if testkit.FullMatrices() {
		kinds = append(kinds, "3.9.1")
	}
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) { endTheNextTransaction(t, kind) })
	}
}

func endTheNextTransaction(t *testing.T, kind string) {
	c := &txnChaos{cluster: newCluster(t, nil, kind), history: newTxnHistory(), committed: map[string]int{}}
	c.createTopic("load", [][]int32{{1}, {1}})
	client, err := kgo.NewClient(c.lossy("late")...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(background(), time.Minute)
	defer cancel()
	begin := func(number int) *txnhistory.Transaction {
		t.Helper()
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		txn := &txnhistory.Transaction{ID: "late", Number: number, Outcome: txnhistory.Aborted}
		c.write(client, txn, 0, txnhistory.Partition{Topic: "load", Index: 0}, nil)
		if err := client.Flush(ctx); err != nil || !c.allAcknowledged(txn) {
			t.Fatalf("the write of transaction %d: %v", number, err)
		}
		return txn
	}
	first := begin(1)
	if c.endTransaction(client, first, true); first.Outcome != txnhistory.Committed {
		t.Fatalf("the first transaction is %s", first.Outcome)
	}
	first.Unanswered.EndTxn = 1 // an earlier attempt, which the coordinator handles during the second transaction
	second := begin(2)
	id, epoch, err := client.ProducerID(ctx)
	if err != nil {
		t.Fatal(err)
	}
	req := endTxnRequest("late", id, epoch, true)
	req.Version = 3
	resp, err := link(t, c.members[0].address()).Do(ctx, req)
	if err != nil || resp.(*kmsg.EndTxnResponse).ErrorCode != 0 {
		t.Fatalf("the late EndTxn: %v, %+v", err, resp)
	}
	c.awaitEnded("load", 1)
	c.write(client, second, 1, txnhistory.Partition{Topic: "load", Index: 0}, nil)
	if err := client.Flush(ctx); err != nil || c.allAcknowledged(second) {
		t.Errorf("a write after the late EndTxn: acknowledged %t, %v", c.allAcknowledged(second), err)
	}
	c.endTransaction(client, second, false)
	c.note(first)
	c.note(second)
	c.readAll("load", 1)
	report := txnhistory.Check(c.history)
	if len(report.Findings) != 1 || report.Findings[0].Kind != txnhistory.AbortedRead || report.Findings[0].Hole != txnhistory.LateEndTxn {
		t.Errorf("found:\n%s\nwant one aborted read by a late EndTxn", report)
	}
}
