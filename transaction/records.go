package transaction

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The versions of keys and values. Version 1 of the value is flexible; it is written only by brokers
// with the feature transaction.version, which needs KRaft.
const (
	keyVersion         = 0
	valueVersion       = 0
	valueVersionHigher = 1 // the highest that is read
)

// AppendKey appends the key of the id's records.
func (t *Transaction) AppendKey(dst []byte) []byte {
	key := kmsg.TxnMetadataKey{Version: keyVersion, TransactionalID: t.ID}
	return key.AppendTo(dst)
}

// AppendValue appends the value of the transition's record. It must not be a tombstone.
func (tr *Transition) AppendValue(dst []byte) []byte {
	value := kmsg.TxnMetadataValue{Version: valueVersion, ProducerID: tr.producerID, ProducerEpoch: tr.epoch, TimeoutMillis: tr.timeoutMs,
		State: kmsg.TransactionState(tr.state), LastUpdateTimestamp: tr.updatedMs, StartTimestamp: tr.startMs}
	if tr.state != Empty {
		value.Topics = topicsOf(tr.partitions)
	}
	return value.AppendTo(dst)
}

// topicsOf returns sorted partitions by topic; never nil.
func topicsOf(partitions []TopicPartition) []kmsg.TxnMetadataValueTopic {
	topics := []kmsg.TxnMetadataValueTopic{}
	for name, indexes := range byTopic(partitions) {
		topics = append(topics, kmsg.TxnMetadataValueTopic{Topic: name, Partitions: indexes})
	}
	return topics
}

var errNoKey = errors.New("the record has no key")

// ParseKey reads the key of a record. The id aliases key. known is false if the key has a version
// of another kind of record, which must be skipped.
func ParseKey(key []byte) (id string, version int16, known bool, err error) {
	if len(key) < 2 {
		return "", 0, false, errNoKey
	}
	version = int16(binary.BigEndian.Uint16(key))
	if version != keyVersion {
		return "", version, false, nil
	}
	var k kmsg.TxnMetadataKey
	if err := k.UnsafeReadFrom(key); err != nil {
		return "", version, true, fmt.Errorf("the key of a transactional id does not parse: %w", err)
	}
	return k.TransactionalID, version, true, nil
}

// Parser reads values of records. It keeps the names of topics, which repeat.
type Parser struct {
	topics map[string]string
	value  kmsg.TxnMetadataValue
}

// Parse reads the value of the id's record, which must not be a tombstone. The result does not alias
// value, but has the string id.
func (p *Parser) Parse(id string, home Home, value []byte) (Transaction, error) {
	if len(value) < 2 {
		return Transaction{}, errors.New("the value has no version")
	}
	if version := int16(binary.BigEndian.Uint16(value)); version < 0 || version > valueVersionHigher {
		return Transaction{}, fmt.Errorf("the value's version %d is unknown", version)
	}
	v := &p.value
	v.Topics = nil // a null array would keep those of the last value
	if err := v.UnsafeReadFrom(value); err != nil {
		return Transaction{}, fmt.Errorf("the value of a transactional id does not parse: %w", err)
	}
	state := State(v.State)
	switch {
	case state < Empty || state > PrepareEpochFence:
		return Transaction{}, fmt.Errorf("the state %d is unknown", v.State)
	case state != Empty && v.Topics == nil:
		return Transaction{}, fmt.Errorf("a transaction in state %s has no list of partitions", state)
	}
	t := Transaction{ID: id, Home: home, producerID: v.ProducerID, lastProducerID: noProducerID, epoch: v.ProducerEpoch, lastEpoch: noEpoch,
		state: state, timeoutMs: v.TimeoutMillis, startMs: v.StartTimestamp, updatedMs: v.LastUpdateTimestamp}
	if state != Empty {
		t.partitions = p.partitions(v.Topics)
	}
	return t, nil
}

func (p *Parser) partitions(topics []kmsg.TxnMetadataValueTopic) (all []TopicPartition) {
	for i := range topics {
		name := p.intern(topics[i].Topic)
		for _, index := range topics[i].Partitions {
			all = append(all, TopicPartition{Topic: name, Partition: index})
		}
	}
	slices.SortFunc(all, comparePartitions)
	return slices.Compact(all)
}

// intern returns a copy of the name that all transactions share.
func (p *Parser) intern(name string) string {
	if known, ok := p.topics[name]; ok {
		return known
	}
	if p.topics == nil {
		p.topics = map[string]string{}
	}
	name = string([]byte(name))
	p.topics[name] = name
	return name
}
