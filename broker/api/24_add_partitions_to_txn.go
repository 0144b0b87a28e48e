package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/transaction"
)

// AddPartitionsToTxn adds partitions to a producer's transaction. If one of them is refused, none is
// added, and the others are answered with OPERATION_NOT_ATTEMPTED.
//
// Versions 0 to 5. Clients send up to v3, one transaction at a time; v2 adds PRODUCER_FENCED. Since
// v4 brokers send batches, and may ask only whether partitions belong to a transaction (KIP-890).
func AddPartitionsToTxn(txns Transactions, cache Metadata) Handler {
	h := Handler{Key: protocol.AddPartitionsToTxn, Min: 0, Max: 5, PerEntry: true, Fail: completed(failAddPartitionsToTxn)}
	return Typed(h, func(c *Call, req *kmsg.AddPartitionsToTxnRequest) (kmsg.Response, error) {
		resp := kmsg.NewPtrAddPartitionsToTxnResponse()
		if req.Version < 4 {
			a := newAddition(c, ofClient(req), cache.Snapshot())
			resp.Topics = toClient(a.answerClient(txns), req.Version)
			return resp, nil
		}
		if err := c.requireCluster(kmsg.ACLOperationClusterAction); err != nil {
			return nil, err
		}
		for i := range req.Transactions {
			a := newAddition(c, &req.Transactions[i], cache.Snapshot())
			resp.Transactions = append(resp.Transactions, a.answer(txns, a.codes()))
		}
		return resp, nil
	})
}

// failAddPartitionsToTxn removes the list of v4 and newer, whose code is at the top level. Up to v3
// every partition has the code.
func failAddPartitionsToTxn(_ *kmsg.AddPartitionsToTxnRequest, resp *kmsg.AddPartitionsToTxnResponse, _ error) {
	resp.Transactions = nil
}

// ofClient returns the transaction of a request before v4.
func ofClient(req *kmsg.AddPartitionsToTxnRequest) *kmsg.AddPartitionsToTxnRequestTransaction {
	t := kmsg.NewAddPartitionsToTxnRequestTransaction()
	t.TransactionalID, t.ProducerID, t.ProducerEpoch = req.TransactionalID, req.ProducerID, req.ProducerEpoch
	for i := range req.Topics {
		t.Topics = append(t.Topics, kmsg.AddPartitionsToTxnRequestTransactionTopic{Topic: req.Topics[i].Topic, Partitions: req.Topics[i].Partitions})
	}
	return &t
}

// addition is one transaction of a request.
type addition struct {
	call       *Call
	asked      *kmsg.AddPartitionsToTxnRequestTransaction
	cluster    *metadata.Snapshot
	partitions []transaction.TopicPartition // each once
}

func newAddition(c *Call, asked *kmsg.AddPartitionsToTxnRequestTransaction, cluster *metadata.Snapshot) *addition {
	a := &addition{call: c, asked: asked, cluster: cluster}
	for i := range asked.Topics {
		for _, p := range asked.Topics[i].Partitions {
			a.partitions = append(a.partitions, transaction.TopicPartition{Topic: asked.Topics[i].Topic, Partition: p})
		}
	}
	a.partitions = unique(a.partitions)
	return a
}

// answerClient answers the request of a client, which needs permissions and cannot name internal
// topics.
func (a *addition) answerClient(txns Transactions) kmsg.AddPartitionsToTxnResponseTransaction {
	if err := a.call.requireTransactionalID(kmsg.ACLOperationWrite, a.asked.TransactionalID); err != nil {
		return a.all(protocol.CodeOf(err))
	}
	codes := a.codes()
	for i, p := range a.partitions {
		if metadata.IsInternal(p.Topic) || !a.call.Allows(kmsg.ACLOperationWrite, kmsg.ACLResourceTypeTopic, p.Topic) {
			codes[i] = protocol.TopicAuthorizationFailed
		}
	}
	return a.answer(txns, codes)
}

// answer adds or verifies the partitions if all exist and none has a code yet.
func (a *addition) answer(txns Transactions, codes []protocol.ErrorCode) kmsg.AddPartitionsToTxnResponseTransaction {
	producer := transaction.ProducerIDAndEpoch{ID: a.asked.ProducerID, Epoch: a.asked.ProducerEpoch}
	switch {
	case a.refuse(codes):
		return a.each(codes)
	case a.asked.VerifyOnly:
		return a.each(txns.Verify(a.asked.TransactionalID, producer, a.partitions))
	}
	return a.all(txns.AddPartitions(a.call.Context(), a.asked.TransactionalID, producer, a.partitions))
}

// refuse reports whether a partition has a code or does not exist. The others then get
// OPERATION_NOT_ATTEMPTED.
func (a *addition) refuse(codes []protocol.ErrorCode) (refused bool) {
	for i, p := range a.partitions {
		if codes[i] == protocol.None && a.cluster.Partition(p.Topic, p.Partition) == nil {
			codes[i] = missing(a.cluster, protocol.UnknownTopicOrPartition, protocol.CoordinatorLoadInProgress)
		}
		refused = refused || codes[i] != protocol.None
	}
	for i := range codes {
		if refused && codes[i] == protocol.None {
			codes[i] = protocol.OperationNotAttempted
		}
	}
	return refused
}

// codes returns the code NONE for each partition.
func (a *addition) codes() []protocol.ErrorCode {
	return make([]protocol.ErrorCode, len(a.partitions))
}

// each returns the answer with a code for each partition.
func (a *addition) each(codes []protocol.ErrorCode) kmsg.AddPartitionsToTxnResponseTransaction {
	t := kmsg.NewAddPartitionsToTxnResponseTransaction()
	t.TransactionalID = a.asked.TransactionalID
	topics := places[string]{}
	for i, p := range a.partitions {
		topic := entryOf(&t.Topics, topics, p.Topic)
		topic.Topic = p.Topic
		topic.Partitions = append(topic.Partitions, kmsg.AddPartitionsToTxnResponseTransactionTopicPartition{Partition: p.Partition, ErrorCode: int16(codes[i])})
	}
	return t
}

// all returns the answer with one code for all partitions. As in Kafka it repeats the topics of the
// request, also a topic or partition that occurs twice.
func (a *addition) all(code protocol.ErrorCode) kmsg.AddPartitionsToTxnResponseTransaction {
	t := kmsg.NewAddPartitionsToTxnResponseTransaction()
	t.TransactionalID = a.asked.TransactionalID
	for i := range a.asked.Topics {
		topic := kmsg.AddPartitionsToTxnResponseTransactionTopic{Topic: a.asked.Topics[i].Topic}
		for _, p := range a.asked.Topics[i].Partitions {
			topic.Partitions = append(topic.Partitions, kmsg.AddPartitionsToTxnResponseTransactionTopicPartition{Partition: p, ErrorCode: int16(code)})
		}
		t.Topics = append(t.Topics, topic)
	}
	return t
}

// toClient returns the topics of an answer before v4.
func toClient(t kmsg.AddPartitionsToTxnResponseTransaction, version int16) (topics []kmsg.AddPartitionsToTxnResponseTopic) {
	for i := range t.Topics {
		topic := kmsg.AddPartitionsToTxnResponseTopic{Topic: t.Topics[i].Topic}
		for _, p := range t.Topics[i].Partitions {
			code := sinceProducerFenced(protocol.ErrorCode(p.ErrorCode), version, 2)
			topic.Partitions = append(topic.Partitions, kmsg.AddPartitionsToTxnResponseTopicPartition{Partition: p.Partition, ErrorCode: int16(code)})
		}
		topics = append(topics, topic)
	}
	return topics
}
