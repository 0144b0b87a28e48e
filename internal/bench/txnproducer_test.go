package main

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestLoadsOfTransactionsSpreadProducersOverPartitions(t *testing.T) {
	var names []string
	for _, l := range txnLoads() {
		names = append(names, l.String())
	}
	if len(names) != 6 || names[0] != "transactions of 1 partition by 1 producer" || names[5] != "transactions of 20 partitions by 100 producers" {
		t.Errorf("loads %q", names)
	}
	if got := (txnLoad{100, 1}).partitionsOf(57); !slices.Equal(got, []int32{17}) {
		t.Errorf("producer 57 writes to %v", got)
	}
	all := (txnLoad{1, txnPartitions}).partitionsOf(5)
	slices.Sort(all)
	if len(slices.Compact(all)) != txnPartitions || all[0] != 0 || all[txnPartitions-1] != txnPartitions-1 {
		t.Errorf("a producer of all partitions writes to %v", all)
	}
}

func TestARefusedPartitionRefusesTheBeginOfATransaction(t *testing.T) {
	response := &kmsg.AddPartitionsToTxnResponse{Topics: []kmsg.AddPartitionsToTxnResponseTopic{{Partitions: []kmsg.AddPartitionsToTxnResponseTopicPartition{{}, {}}}}}
	if code := worstCode(response); code != codeNone {
		t.Errorf("code %d", code)
	}
	response.Topics[0].Partitions[1].ErrorCode = codeConcurrent
	if code := worstCode(response); code != codeConcurrent {
		t.Errorf("code %d", code)
	}
}
