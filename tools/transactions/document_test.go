package transactions

import (
	"testing"

	"github.com/monedula/monedula/internal/toolreplay"
)

func TestTransactionsAreJSON(t *testing.T) {
	const of = "kafka-transactions "
	toolreplay.Document(t, Tool, "list", of+"list", `{"transactions":[{"transactionalId":"fresh","coordinatorId":0,"producerId":2,"transactionState":"Empty"},`+
		`{"transactionalId":"done","coordinatorId":0,"producerId":0,"transactionState":"CompleteCommit"},{"transactionalId":"open","coordinatorId":0,"producerId":1,"transactionState":"Ongoing"}]}`)
	toolreplay.Document(t, Tool, "describe-ongoing", of+"describe", `{"transactions":[{"transactionalId":"open","coordinatorId":0,"producerId":1,"transactionState":"Ongoing",`+
		`"producerEpoch":0,"transactionTimeoutMs":600000,"startTimestampMs":1796048386781,"partitions":[{"topic":"t","partition":0}]}]}`)
	toolreplay.Document(t, Tool, "describe-empty", of+"describe", `{"transactions":[{"transactionalId":"fresh","coordinatorId":0,"producerId":2,"transactionState":"Empty",`+
		`"producerEpoch":0,"transactionTimeoutMs":600000,"startTimestampMs":null,"partitions":[]}]}`)
	toolreplay.Document(t, Tool, "producers", of+"describe-producers", `{"topic":"t","partition":0,"producers":[`+
		`{"producerId":0,"producerEpoch":0,"coordinatorEpoch":0,"lastSequence":1,"lastTimestampMs":1796048386939,"startOffset":null},`+
		`{"producerId":1,"producerEpoch":0,"coordinatorEpoch":null,"lastSequence":1,"lastTimestampMs":1700000000000,"startOffset":2}]}`)
	toolreplay.Document(t, Tool, "producers-none", of+"describe-producers", `{"topic":"quiet","partition":0,"producers":[]}`)
	toolreplay.Document(t, Tool, "hanging-in-topic", of+"find-hanging", `{"transactions":[{"topic":"t","partition":1,"producerId":7000,"producerEpoch":3,`+
		`"coordinatorEpoch":null,"lastSequence":0,"lastTimestampMs":1700000000000,"startOffset":0}]}`)
	toolreplay.Document(t, Tool, "hanging-nowhere", of+"find-hanging", `{"transactions":[]}`)
}
