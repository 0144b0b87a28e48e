package transactions

import (
	"slices"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/tools/client"
)

// The documents of --output json. docs/json.md describes their fields.
type (
	transactionsDocument[T listedTransaction | describedTransaction | hangingTransaction] struct {
		Transactions []T `json:"transactions"`
	}
	listedTransaction struct {
		TransactionalID  string            `json:"transactionalId"`
		CoordinatorID    metadata.BrokerID `json:"coordinatorId"`
		ProducerID       int64             `json:"producerId"`
		TransactionState string            `json:"transactionState"`
	}
	describedTransaction struct {
		listedTransaction
		ProducerEpoch        int16           `json:"producerEpoch"`
		TransactionTimeoutMs int32           `json:"transactionTimeoutMs"`
		StartTimestampMs     *int64          `json:"startTimestampMs"`
		Partitions           []partitionName `json:"partitions"`
	}
	partitionName struct {
		Topic     string `json:"topic"`
		Partition int32  `json:"partition"`
	}
	partitionProducers struct {
		partitionName
		Producers []activeProducer `json:"producers"`
	}
	activeProducer struct {
		ProducerID       int64  `json:"producerId"`
		ProducerEpoch    int32  `json:"producerEpoch"`
		CoordinatorEpoch *int32 `json:"coordinatorEpoch"`
		LastSequence     int32  `json:"lastSequence"`
		LastTimestampMs  int64  `json:"lastTimestampMs"`
		StartOffset      *int64 `json:"startOffset"`
	}
	hangingTransaction struct {
		partitionName
		activeProducer
	}
)

func listDocument(listed []listing) transactionsDocument[listedTransaction] {
	all := []listedTransaction{}
	for _, t := range listed {
		all = append(all, listedTransaction{t.id, t.coordinator, t.producerID, t.state})
	}
	return transactionsDocument[listedTransaction]{all}
}

func describeDocument(id string, d *description) transactionsDocument[describedTransaction] {
	t := describedTransaction{
		listedTransaction: listedTransaction{id, d.coordinator, d.ProducerID, stateText(d.State)},
		ProducerEpoch:     d.ProducerEpoch, TransactionTimeoutMs: d.TimeoutMillis, Partitions: []partitionName{},
	}
	if d.StartTimestamp >= 0 {
		t.StartTimestampMs = &d.StartTimestamp
	}
	partitions := d.partitions()
	slices.SortFunc(partitions, client.ComparePartitions)
	for _, tp := range partitions {
		t.Partitions = append(t.Partitions, partitionName{tp.Topic, tp.Partition})
	}
	return transactionsDocument[describedTransaction]{[]describedTransaction{t}}
}

// active returns a producer of a partition.
func active(p producer) activeProducer {
	a := activeProducer{ProducerID: p.ProducerID, ProducerEpoch: p.ProducerEpoch, LastSequence: p.LastSequence, LastTimestampMs: p.LastTimestamp}
	if p.CoordinatorEpoch >= 0 {
		a.CoordinatorEpoch = &p.CoordinatorEpoch
	}
	if p.CurrentTxnStartOffset >= 0 {
		a.StartOffset = &p.CurrentTxnStartOffset
	}
	return a
}

func producersDocument(tp client.TopicPartition, producers []producer) partitionProducers {
	all := []activeProducer{}
	for _, p := range producers {
		all = append(all, active(p))
	}
	return partitionProducers{partitionName{tp.Topic, tp.Partition}, all}
}

func hangingDocument(hanging []openTransaction) transactionsDocument[hangingTransaction] {
	all := []hangingTransaction{}
	for _, t := range hanging {
		all = append(all, hangingTransaction{partitionName{t.TopicPartition.Topic, t.TopicPartition.Partition}, active(t.producer)})
	}
	return transactionsDocument[hangingTransaction]{all}
}
