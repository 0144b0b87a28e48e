package main

import (
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/record"
)

// codeConcurrent is the error of a request for a transactional id whose last transaction still waits
// for its markers.
const codeConcurrent = 51

// concurrentPause is how long a producer waits until it repeats a request that was refused with
// codeConcurrent. It is far shorter than the 20 ms of clients, so the time that the broker needs is
// visible.
const concurrentPause = time.Millisecond

// txnValueBytes is the size of the value of each record in a transaction.
const txnValueBytes = 100

// txnProducer is a transactional producer that uses no client library. Each of its transactions
// writes a batch of one record to each of its partitions.
type txnProducer struct {
	conn  net.Conn
	id    string
	add   *kmsg.AddPartitionsToTxnRequest
	write *kmsg.ProduceRequest
	end   *kmsg.EndTxnRequest

	batch    record.Options // BaseSequence is that of the next batch, in every partition
	value    []byte
	commits  []float64 // ms from sending EndTxn to its response, of each transaction
	wholes   []float64 // ms from the first AddPartitionsToTxn to the response of EndTxn
	conflict int       // requests that were refused with codeConcurrent
}

// newTxnProducer gets a producer id, with which it fences earlier producers of the transactional id.
func newTxnProducer(conn net.Conn, id, topic string, partitions []int32) (*txnProducer, error) {
	p := &txnProducer{conn: conn, id: id, batch: record.Defaults(), value: payload()[:txnValueBytes],
		add: kmsg.NewPtrAddPartitionsToTxnRequest(), write: kmsg.NewPtrProduceRequest(), end: kmsg.NewPtrEndTxnRequest()}
	response, err := initProducerID(conn, id)
	if err != nil {
		return nil, err
	}
	p.batch.ProducerID, p.batch.ProducerEpoch = response.ProducerID, response.ProducerEpoch
	p.batch.BaseSequence, p.batch.Transactional = 0, true

	p.add.Version = 2
	p.add.TransactionalID, p.add.ProducerID, p.add.ProducerEpoch = id, p.batch.ProducerID, p.batch.ProducerEpoch
	p.add.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: topic, Partitions: partitions}}

	p.write.Version = 7
	p.write.TransactionID, p.write.Acks, p.write.TimeoutMillis = &id, -1, 30_000
	written := kmsg.NewProduceRequestTopic()
	written.Topic = topic
	for _, index := range partitions {
		one := kmsg.NewProduceRequestTopicPartition()
		one.Partition = index
		written.Partitions = append(written.Partitions, one)
	}
	p.write.Topics = append(p.write.Topics, written)

	p.end.Version = 2
	p.end.TransactionalID, p.end.ProducerID, p.end.ProducerEpoch, p.end.Commit = id, p.batch.ProducerID, p.batch.ProducerEpoch, true
	return p, nil
}

// initProducerID gets a producer id, and waits until the coordinator of the transactional id serves.
func initProducerID(conn net.Conn, id string) (*kmsg.InitProducerIDResponse, error) {
	request := kmsg.NewPtrInitProducerIDRequest()
	request.Version, request.TransactionalID, request.TransactionTimeoutMillis = 1, &id, 60_000
	for begin := time.Now(); ; {
		var response kmsg.InitProducerIDResponse
		if err := exchangeWithin(coordinatorPatience, conn, request, &response); err != nil {
			return nil, err
		}
		switch code := response.ErrorCode; {
		case code == codeNone:
			return &response, nil
		case !passing(code, begin):
			return nil, fmt.Errorf("InitProducerId of transactional id %s answers error %d", id, code)
		}
		if err := awaitCoordinator(conn, ofTransactions, id); err != nil {
			return nil, err
		}
	}
}

// commitOne makes one transaction.
func (p *txnProducer) commitOne() error {
	begin := time.Now()
	if err := p.begin(); err != nil {
		return err
	}
	if err := p.produce(); err != nil {
		return err
	}
	end := time.Now()
	var ended kmsg.EndTxnResponse
	if err := exchangeWithin(coordinatorPatience, p.conn, p.end, &ended); err != nil {
		return err
	}
	if ended.ErrorCode != codeNone {
		return fmt.Errorf("committing a transaction of %s answers error %d", p.id, ended.ErrorCode)
	}
	p.commits = append(p.commits, milliseconds(time.Since(end)))
	p.wholes = append(p.wholes, milliseconds(time.Since(begin)))
	return nil
}

// begin begins a transaction, as soon as the previous one is complete, with all partitions.
func (p *txnProducer) begin() error {
	for begin := time.Now(); ; {
		var added kmsg.AddPartitionsToTxnResponse
		if err := exchangeWithin(coordinatorPatience, p.conn, p.add, &added); err != nil {
			return err
		}
		code := worstCode(&added)
		if code == codeNone {
			return nil
		}
		if code != codeConcurrent || time.Since(begin) > coordinatorPatience {
			return fmt.Errorf("adding partitions to a transaction of %s answers error %d", p.id, code)
		}
		p.conflict++
		time.Sleep(concurrentPause)
	}
}

// worstCode returns the first error of a partition, or codeNone.
func worstCode(added *kmsg.AddPartitionsToTxnResponse) int16 {
	for _, t := range added.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != codeNone {
				return p.ErrorCode
			}
		}
	}
	return codeNone
}

// produce writes one batch to each partition.
func (p *txnProducer) produce() error {
	builder := record.NewBuilder(p.batch)
	if err := builder.Append(time.Now().UnixMilli(), nil, p.value); err != nil {
		return err
	}
	batch, err := builder.Build()
	if err != nil {
		return err
	}
	p.batch.BaseSequence++
	partitions := p.write.Topics[0].Partitions
	for i := range partitions {
		partitions[i].Records = batch
	}
	var written kmsg.ProduceResponse
	if err := exchangeWithin(coordinatorPatience, p.conn, p.write, &written); err != nil {
		return err
	}
	for _, t := range written.Topics {
		for _, one := range t.Partitions {
			if one.ErrorCode != codeNone {
				return fmt.Errorf("producing to %s-%d in a transaction of %s answers error %d", t.Topic, one.Partition, p.id, one.ErrorCode)
			}
		}
	}
	return nil
}
