package topictest

import (
	_ "embed"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/record"
)

// CorruptRecord is a corrupt record of __transaction_state, and what becomes of the transactional ids
// in its partition when a broker loads it.
type CorruptRecord struct {
	Name        string
	Kafka, Ours string // the outcome; see testdata/corrupt.txt

	key, value, damage string
}

//go:embed testdata/corrupt.txt
var corruptRecords string

// CorruptRecords returns the table of corrupt records.
func CorruptRecords(t testing.TB) []CorruptRecord {
	t.Helper()
	var all []CorruptRecord
	for line := range strings.Lines(corruptRecords) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "|")
		if len(f) != 6 {
			t.Fatalf("%d fields: %s", len(f), line)
		}
		for i := range f {
			f[i] = strings.TrimSpace(f[i])
		}
		r := CorruptRecord{Name: f[0], key: f[1], value: f[2], damage: f[3], Kafka: f[4], Ours: f[5]}
		if r.Ours == "" {
			r.Ours = r.Kafka
		}
		all = append(all, r)
	}
	return all
}

// TransactionLog returns three batches of a partition of __transaction_state with the corrupt record
// between intact ones. The partition has the ids before, x and after.
func (r CorruptRecord) TransactionLog(t testing.TB, before, x, after string) []byte {
	t.Helper()
	const completeCommit, completeAbort = 4, 5
	o := record.Defaults()
	log := transactionBatch(t, o, transactionKey(before), transactionValue(completeCommit), transactionKey(x), transactionValue(0))
	o.BaseOffset = 2
	if r.damage == "payload" {
		o.Codec = record.Gzip
	}
	corrupt := transactionBatch(t, o, r.bytes(t, r.key, transactionKey(x)), r.bytes(t, r.value, transactionValue(completeCommit)))
	switch r.damage {
	case "checksum":
		corrupt[17] ^= 1
	case "payload":
		corrupt[61] ^= 1 // the first byte of the gzip header
	}
	o.Codec, o.BaseOffset = record.None, 3
	return append(append(log, corrupt...), transactionBatch(t, o, transactionKey(before), transactionValue(completeAbort), transactionKey(after), transactionValue(completeAbort))...)
}

// UnknownKeyAtTheEnd returns a batch with the given offset whose record has a key of an unknown
// version.
func UnknownKeyAtTheEnd(t testing.TB, offset record.Offset) []byte {
	t.Helper()
	o := record.Defaults()
	o.BaseOffset = offset
	return transactionBatch(t, o, []byte{0, 7}, []byte{0})
}

// bytes returns the bytes of a key or a value of the table.
func (r CorruptRecord) bytes(t testing.TB, text string, good []byte) []byte {
	t.Helper()
	switch text {
	case "good":
		return good
	case "null":
		return nil
	}
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatalf("%s: %v", r.Name, err)
	}
	return b
}

func transactionKey(id string) []byte {
	key := kmsg.TxnMetadataKey{TransactionalID: id}
	return key.AppendTo(nil)
}

// transactionValue returns a value without partitions.
func transactionValue(state kmsg.TransactionState) []byte {
	v := kmsg.TxnMetadataValue{ProducerID: 1000, ProducerEpoch: 2, TimeoutMillis: 60000, State: state, LastUpdateTimestamp: 9, StartTimestamp: 8}
	if state != kmsg.TransactionStateEmpty {
		v.Topics = []kmsg.TxnMetadataValueTopic{}
	}
	return v.AppendTo(nil)
}

// transactionBatch returns a batch of records; keysAndValues has the key and the value of each.
func transactionBatch(t testing.TB, o record.Options, keysAndValues ...[]byte) record.Batch {
	t.Helper()
	o.LeaderEpoch = 0
	b := record.NewBuilder(o)
	for i := 0; i < len(keysAndValues); i += 2 {
		if err := b.Append(1, keysAndValues[i], keysAndValues[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	set, err := b.Build()
	if err != nil {
		t.Fatal(fmt.Errorf("building a batch: %w", err))
	}
	return set
}
