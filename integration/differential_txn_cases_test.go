package integration

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/record"
)

// txnCases returns the cases of transactions, by key. They show what partition leaders and the
// group coordinator answer when no transaction coordinator knows of the transaction.
func txnCases() map[int16][]differentialCase {
	return map[int16][]differentialCase{
		0: {
			produceCase("transactional without an id", func(req *kmsg.ProduceRequest, version int16) { transactionalOnly(req, version, nil) }),
			produceCase("unknown transaction", func(req *kmsg.ProduceRequest, version int16) {
				transactionalOnly(req, version, kmsg.StringPtr("absent"))
			}),
		},
		27: {
			markerCase("commit", marker(700, 0, 0, true, "t1", 1)),
			markerCase("abort", marker(701, 0, 0, false, "t1", 1)),
			markerCase("two producers", marker(702, 0, 0, true, "t1", 1), marker(703, 0, 0, false, "t1", 1)),
			markerCase("one producer twice", marker(704, 0, 0, true, "t1", 1), marker(704, 0, 0, false, "t1", 1)),
			markerCase("unknown topic and partition", marker(705, 0, 0, true, "missing", 0), marker(705, 0, 0, true, "t1", 9)),
			markerCase("compacted topic", marker(706, 0, 0, true, "compacted", 0)),
			markerCase("newer coordinator", marker(707, 0, 5, true, "t1", 1)),
			markerCase("older coordinator", marker(707, 0, 4, true, "t1", 1)),
			markerCase("newer producer", marker(708, 9, 0, true, "t1", 1)),
			markerCase("older producer", marker(708, 8, 0, true, "t1", 1)),
			markerCase("no producer", marker(-1, 0, 0, true, "t1", 1)),
			markerCase("no epoch", marker(709, -1, 0, true, "t1", 1)),
			withCoordinator("offsets topic", func(*side, int16) kmsg.Request {
				req := kmsg.NewPtrWriteTxnMarkersRequest()
				req.Markers = append(req.Markers, marker(710, 0, 0, true, "__consumer_offsets", 3))
				return req
			}),
		},
		28: {
			txnCommitCase("unknown transaction", func(*kmsg.TxnOffsetCommitRequest) {}),
			txnCommitCase("unknown topic", func(r *kmsg.TxnOffsetCommitRequest) { r.Topics[0].Topic = "missing" }),
			txnCommitCase("unknown partition too", func(r *kmsg.TxnOffsetCommitRequest) {
				r.Topics[0].Partitions = append(r.Topics[0].Partitions, kmsg.TxnOffsetCommitRequestTopicPartition{Partition: 9})
			}),
			txnCommitCase("no group id", func(r *kmsg.TxnOffsetCommitRequest) { r.Group = "" }),
			txnCommitCase("unknown member", func(r *kmsg.TxnOffsetCommitRequest) { r.MemberID, r.Generation = "unknown", 3 }),
			txnCommitCase("long metadata", func(r *kmsg.TxnOffsetCommitRequest) {
				r.Topics[0].Partitions[0].Metadata = kmsg.StringPtr(fmt.Sprintf("%5000d", 1))
			}),
		},
	}
}

// transactionalOnly makes a produce case's batch transactional, from v3 on.
func transactionalOnly(req *kmsg.ProduceRequest, version int16, id *string) {
	if version < 3 {
		return
	}
	req.TransactionID = id
	req.Topics[0].Partitions[0].Records = transactionalBatch(9000, 0, 0)
}

// transactionalBatch returns one record of a producer's transaction.
func transactionalBatch(producer int64, epoch int16, sequence int32) []byte {
	return producersBatch(producer, epoch, sequence, true)
}

// idempotentBatch returns one record of an idempotent producer outside a transaction.
func idempotentBatch(producer int64, epoch int16, sequence int32) []byte {
	return producersBatch(producer, epoch, sequence, false)
}

func producersBatch(producer int64, epoch int16, sequence int32, transactional bool) []byte {
	o := record.Defaults()
	o.ProducerID, o.ProducerEpoch, o.BaseSequence, o.Transactional = producer, epoch, sequence, transactional
	b := record.NewBuilder(o)
	if err := b.Append(1700000000000, []byte("k"), []byte("v")); err != nil {
		panic(err)
	}
	set, err := b.Build()
	if err != nil {
		panic(err)
	}
	return set
}

func marker(producer int64, epoch int16, coordinatorEpoch int32, commit bool, topic string, partition int32) kmsg.WriteTxnMarkersRequestMarker {
	m := kmsg.NewWriteTxnMarkersRequestMarker()
	m.ProducerID, m.ProducerEpoch, m.CoordinatorEpoch, m.Committed = producer, epoch, coordinatorEpoch, commit
	t := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
	t.Topic, t.Partitions = topic, []int32{partition}
	m.Topics = append(m.Topics, t)
	return m
}

func addPartitionsRequest(id string, producer int64, epoch int16, topic string, partitions ...int32) *kmsg.AddPartitionsToTxnRequest {
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = id, producer, epoch
	req.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: topic, Partitions: partitions}}
	return req
}

func endTxnRequest(id string, producer int64, epoch int16, commit bool) *kmsg.EndTxnRequest {
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = id, producer, epoch, commit
	return req
}

// listEndRequest asks for the end of partition 0 at an isolation level.
func listEndRequest(topic string, isolation int8) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.IsolationLevel = -1, isolation
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Timestamp = -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

func markerCase(name string, markers ...kmsg.WriteTxnMarkersRequestMarker) differentialCase {
	return differentialCase{name: name, build: func(*side, int16) kmsg.Request {
		req := kmsg.NewPtrWriteTxnMarkersRequest()
		req.Markers = markers
		return req
	}}
}

func txnCommitRequest(producer, offset int64) *kmsg.TxnOffsetCommitRequest {
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.Group, req.ProducerID, req.Generation = "absent", "txn", producer, -1
	t := kmsg.NewTxnOffsetCommitRequestTopic()
	t.Topic = "t1"
	p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	p.Offset, p.LeaderEpoch, p.Metadata = offset, 0, kmsg.StringPtr("m")
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

func txnCommitCase(name string, change func(*kmsg.TxnOffsetCommitRequest)) differentialCase {
	return withCoordinator(name, func(s *side, version int16) kmsg.Request {
		awaitCoordinator(s, 1)
		req := txnCommitRequest(9000, 5)
		change(req)
		return req
	})
}
