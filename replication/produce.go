package replication

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/network"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/storage"
)

// PartitionProduce holds the records for one partition and the result of appending them.
type PartitionProduce struct {
	Topic     string
	Partition int32
	Records   []byte // nil: the client sent null

	Err error // nil: appended
	// BaseOffset, LogAppendTime and LogStart stay valid if Err came after the append, such as
	// REQUEST_TIMED_OUT: the records are in the log.
	BaseOffset    record.Offset // -1: nothing was appended
	LogAppendTime int64         // -1 unless the topic uses LogAppendTime
	LogStart      record.Offset // -1 if the partition is not hosted here

	partition *Partition
	verified  *storage.Verification // of the first records of a transaction
	required  record.Offset         // acks=-1: high watermark to wait for
	term      int64                 // of leadership, in which the records were appended
	waiting   bool
}

// Produce is one produce request while it is served. Take it from Manager.NewProduce, fill it in,
// refuse the partitions that the client is not allowed to write to, and call Append. If Waits
// returns true, call Wait. Release it when the response is written.
type Produce struct {
	Version         int16
	Acks            int16
	Timeout         time.Duration
	TransactionalID *string
	// InternalAllowed: the client may write to internal topics. Only Kafka's own admin client may.
	InternalAllowed bool
	Done            <-chan struct{} // closed when the response is no longer needed
	Partitions      []PartitionProduce
	// Conversion is what Append spent on rebuilding records in another format or codec.
	Conversion network.Conversion

	m     *Manager
	added []appended // by partition, to wake waiters after all are written
}

// producePool hands out Produce values.
type producePool struct{ pool sync.Pool }

// NewProduce returns an empty produce.
func (m *Manager) NewProduce() *Produce {
	p, _ := m.produces.pool.Get().(*Produce)
	if p == nil {
		p = &Produce{m: m}
	}
	return p
}

// Release returns the produce to the pool.
func (p *Produce) Release() {
	if max(cap(p.Partitions), cap(p.added)) > pooledPartitions {
		return
	}
	clear(p.Partitions)
	clear(p.added)
	*p = Produce{m: p.m, Partitions: p.Partitions[:0], added: p.added[:0]}
	p.m.produces.pool.Put(p)
}

// Add adds the records for a partition to the request.
func (p *Produce) Add(topic string, partition int32, records []byte) {
	p.Partitions = append(p.Partitions, PartitionProduce{Topic: topic, Partition: partition, Records: records,
		BaseOffset: -1, LogAppendTime: -1, LogStart: -1})
}

// RefuseAll sets the error of every partition.
func (p *Produce) RefuseAll(err error) {
	for i := range p.Partitions {
		p.Partitions[i].Err = err
	}
}

// Transactional reports whether any partition has transactional records. As in Kafka, the first
// batch decides.
func (p *Produce) Transactional() bool {
	for i := range p.Partitions {
		if firstTransactional(p.Partitions[i].Records) != nil {
			return true
		}
	}
	return false
}

// firstTransactional returns the first batch of a set if it is transactional, otherwise nil.
func firstTransactional(set []byte) record.Batch {
	if b, err := record.First(set); err == nil && b != nil && b.IsTransactional() {
		return b
	}
	return nil
}

// Append checks and appends the records of all partitions without an error, one partition after
// another, and wakes the waiters for records. After it returns, the request's records are no longer
// used.
func (p *Produce) Append() {
	if t := p.begin(); t != nil {
		p.verified(p.m.cfg.Transactions.Verify(t, p.Done))
	}
	p.appendAll()
}

// begin checks the request. It returns the transaction that its coordinator must verify before the
// records are appended, or nil.
func (p *Produce) begin() *Transaction {
	for i := range p.Partitions {
		part := &p.Partitions[i]
		if part.Err == nil {
			part.Err = p.check(part)
		}
	}
	if p.Acks < -1 || p.Acks > 1 {
		p.refuseRest(protocol.InvalidRequiredAcks)
		return nil
	}
	return p.transaction()
}

// appendAll appends the records of the partitions without an error and wakes the waiters for them.
func (p *Produce) appendAll() {
	now := p.m.now()
	p.added = slices.Grow(p.added[:0], len(p.Partitions))
	for i := range p.Partitions {
		part := &p.Partitions[i]
		var a appended
		if part.Err == nil {
			a = p.appendOne(part, now)
		}
		part.Records = nil
		p.added = append(p.added, a)
	}
	for i := range p.Partitions {
		if part := &p.Partitions[i]; part.Err == nil {
			part.partition.wakeAppended(p.added[i])
		}
	}
}

func (p *Produce) refuseRest(err error) {
	for i := range p.Partitions {
		if p.Partitions[i].Err == nil {
			p.Partitions[i].Err = err
		}
	}
}

// check runs before any log is touched. The partition must be known to the cluster, and the records
// must be allowed in a request of this version.
func (p *Produce) check(part *PartitionProduce) error {
	if code := p.m.CheckKnown(part.Topic, part.Partition); code != protocol.None {
		return code
	}
	return record.CheckProduce(part.Records, p.Version)
}

// appendOne appends the records of one partition.
func (p *Produce) appendOne(part *PartitionProduce, now time.Time) appended {
	if metadata.IsInternal(part.Topic) && !p.InternalAllowed {
		part.Err = protocol.InvalidTopicException
		return appended{}
	}
	partition, err := p.m.Partition(part.Topic, part.Partition)
	if err != nil {
		p.m.notHosted.produceRequests.Add(1)
		part.Err = err
		return appended{}
	}
	a, err := partition.append(storage.Append{Records: part.Records, Origin: record.FromClient,
		BatchRequired: p.Version >= 3, Verified: part.verified}, p.Acks, now)
	if err != nil {
		p.m.appendFailed(partition, part, err)
		return appended{}
	}
	if a.Converted > 0 {
		partition.traffic.produceConversions.Add(int64(a.Converted))
		p.Conversion.Add(a.ConversionTime, a.Bytes)
	}
	part.partition = partition
	part.BaseOffset, part.LogAppendTime, part.LogStart = a.FirstOffset, a.LogAppendTime, a.LogStartOffset
	if p.Acks == -1 {
		part.required, part.term, part.waiting = a.LastOffset+1, a.term, true
	}
	return a
}

// appendFailed sets the response to a failed append. The log start offset is included except with
// errors on which clients look for the leader or send smaller batches.
func (m *Manager) appendFailed(p *Partition, part *PartitionProduce, err error) {
	part.Err = err
	m.meters.rejections.count(err)
	switch code := protocol.CodeOf(err); code {
	case protocol.UnknownTopicOrPartition, protocol.NotLeaderOrFollower, protocol.MessageTooLarge,
		protocol.RecordListTooLarge, protocol.CorruptMessage, protocol.KafkaStorageError:
		return
	case protocol.InvalidProducerEpoch:
		m.log.Infof("[ReplicaManager broker=%d] Error processing append operation on partition %s: %v", m.opts.BrokerID, p.id, err)
	default:
		if !errors.Is(err, storage.ErrDiskLow) { // which the log directory logs once
			m.log.Errorf("[ReplicaManager broker=%d] Error processing append operation on partition %s: %v", m.opts.BrokerID, p.id, err)
		}
	}
	p.traffic.failedProduces.Add(1)
	if log := p.Log(); log != nil {
		part.LogStart = log.Offsets().LogStart
	}
}

// Waits reports whether the response must wait for other replicas. It checks once, so a leader
// without followers never parks.
func (p *Produce) Waits() bool { return !p.settled() }

// settled takes the results of the waiting partitions and reports whether none waits any longer.
func (p *Produce) settled() bool {
	all := true
	for i := range p.Partitions {
		part := &p.Partitions[i]
		if !part.waiting {
			continue
		}
		done, err := part.partition.replicated(part.required, part.term)
		if !done && err == nil {
			all = false
			continue
		}
		part.waiting = false
		part.Err = err
	}
	return all
}

// Wait blocks until all in-sync replicas have the records, until Timeout (REQUEST_TIMED_OUT; the
// records stay in the log), or until Done is closed.
func (p *Produce) Wait() {
	w := p.park()
	defer p.m.waiters.put(w)
	if p.m.meters.waits.await(parkedProduce, w, p.Timeout, p.Done, p.settled) != satisfied {
		p.timedOut()
	}
}

// park registers for all events that may settle the produce.
func (p *Produce) park() *waiter {
	n := 0
	for i := range p.Partitions {
		if p.Partitions[i].waiting {
			n++
		}
	}
	w := p.m.waiters.get(n)
	for i := range p.Partitions {
		if part := &p.Partitions[i]; part.waiting {
			w.watch(&part.partition.waits, highWatermarkMoved|stateChanged)
		}
	}
	return w
}

func (p *Produce) timedOut() {
	for i := range p.Partitions {
		if part := &p.Partitions[i]; part.waiting {
			part.waiting = false
			part.Err = protocol.RequestTimedOut
		}
	}
}

// Failed reports whether any partition has an error.
func (p *Produce) Failed() bool {
	for i := range p.Partitions {
		if p.Partitions[i].Err != nil {
			return true
		}
	}
	return false
}

// Answer returns the partition's part of a Produce response.
func (part *PartitionProduce) Answer() protocol.ProducePartitionResponse {
	a := protocol.ProducePartitionResponse{Partition: part.Partition, BaseOffset: int64(part.BaseOffset),
		LogAppendTimeMs: part.LogAppendTime, LogStartOffset: int64(part.LogStart)}
	if part.Err == nil {
		return a
	}
	a.ErrorCode = protocol.CodeOf(part.Err)
	var invalid *record.InvalidRecords
	if errors.As(part.Err, &invalid) {
		a.ErrorMessage = &invalid.Message
		for _, e := range invalid.Errors {
			a.RecordErrors = append(a.RecordErrors, protocol.RecordError{BatchIndex: e.Index, Message: &e.Message})
		}
		return a
	}
	var unverified *unverifiedError
	switch {
	case errors.As(part.Err, &unverified):
		text := unverified.Error()
		a.ErrorMessage = &text
	case a.ErrorCode == protocol.InvalidProducerIDMapping, errors.Is(part.Err, storage.ErrDiskLow):
		a.ErrorMessage = specificText(part.Err)
	}
	return a
}

// specificText returns the text of an error if it is more specific than the text of its code. Kafka
// sends it with few append errors.
func specificText(err error) *string {
	var e *protocol.Error
	if errors.As(err, &e) {
		return &e.Message
	}
	return nil
}

// ErrorSummary lists the partitions with the Java exceptions of their errors, in the form of the
// log line for a connection closed after an error with acks=0.
func (p *Produce) ErrorSummary() string {
	text := ""
	for i := range p.Partitions {
		part := &p.Partitions[i]
		if text != "" {
			text += ", "
		}
		exception := protocol.CodeOf(part.Err).Exception()
		if part.Err == nil {
			exception = "null"
		}
		text += fmt.Sprintf("%s-%d -> %s", part.Topic, part.Partition, exception)
	}
	return text
}
