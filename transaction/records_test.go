package transaction

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/record"
)

// transitionOf returns the transition whose record the transaction was read from.
func transitionOf(t *Transaction) *Transition {
	return &Transition{state: t.state, producerID: t.producerID, epoch: t.epoch, timeoutMs: t.timeoutMs, partitions: t.partitions, startMs: t.startMs, updatedMs: t.updatedMs}
}

// The records of a real coordinator are read as Kafka's own tool shows them, and written again byte
// for byte.
func TestRecordsOfARealCoordinatorAreReadAndWrittenTheSame(t *testing.T) {
	for _, kind := range []string{"clean", "crash"} {
		dump := string(golden.Read(t, "logdir-3.9.1/"+kind+".dump/__transaction_state-0/00000000000000000000.log.txt"))
		log := golden.Read(t, "logdir-3.9.1/"+kind+"/__transaction_state-0/00000000000000000000.log")
		states := map[State]int{}
		var p Parser
		for len(log) > 0 {
			b := record.Batch(log)
			b, log = b[:b.Size()], log[b.Size():]
			if err := b.Each(func(r *record.Record) error {
				id, _, known, err := ParseKey(r.Key)
				if err != nil || !known {
					t.Fatalf("offset %d: known %t, %v", r.Offset, known, err)
				}
				txn, err := p.Parse(id, home, r.Value)
				if err != nil {
					t.Fatalf("offset %d: %v", r.Offset, err)
				}
				states[txn.state]++
				if got := transitionOf(&txn).AppendValue(nil); !bytes.Equal(got, r.Value) {
					t.Errorf("offset %d is written as %x, was %x", r.Offset, got, r.Value)
				}
				if got := txn.AppendKey(nil); !bytes.Equal(got, r.Key) {
					t.Errorf("the key at offset %d is written as %x, was %x", r.Offset, got, r.Key)
				}
				shown := fmt.Sprintf("offset: %d CreateTime: %d keySize: %d valueSize: %d sequence: -1 headerKeys: [] key: transaction_metadata::transactionalId=%s payload: producerId:%d,producerEpoch:%d,state=%s,partitions=%s,txnLastUpdateTimestamp=%d,txnTimeoutMs=%d",
					r.Offset, r.Timestamp, len(r.Key), len(r.Value), id, txn.producerID, txn.epoch, txn.state, strings.ReplaceAll(names(txn.partitions), " ", ","), txn.updatedMs, txn.timeoutMs)
				if !strings.Contains(dump, shown+"\n") {
					t.Errorf("Kafka's dump has no line %q", shown)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		if len(states) < 6 {
			t.Errorf("%s has records of %v, want six states", kind, states)
		}
	}
	if matches, _ := filepath.Glob(filepath.Join(golden.Path(t, "logdir-3.9.1/clean"), "__transaction_state-*")); len(matches) != 1 {
		t.Errorf("more logs than one: %v", matches)
	}
}

// What Kafka's classes write in both versions of the value is read; a missing list of partitions is
// an error, except in state Empty.
func TestBothVersionsOfAValueAreRead(t *testing.T) {
	const v0 = "0000" + "00000000000003e8" + "0002" + "0000ea60" + "01" + "00000001" + "000174" + "00000002" + "00000001" + "00000000" + "0000000000000009" + "0000000000000008"
	const v1 = "0001" + "00000000000003e8" + "0002" + "0000ea60" + "01" + "02" + "0274" + "03" + "00000001" + "00000000" + "00" + "0000000000000009" + "0000000000000008" + "00"
	want := &Transaction{ID: "tx", Home: home, producerID: 1000, lastProducerID: noProducerID, epoch: 2, lastEpoch: noEpoch, timeoutMs: 60000, state: Ongoing,
		partitions: []TopicPartition{{Topic: "t", Partition: 0}, {Topic: "t", Partition: 1}}, startMs: 8, updatedMs: 9}
	var p Parser
	for _, text := range []string{v0, v1} {
		value := unhex(t, text)
		got, err := p.Parse("tx", home, value)
		if err != nil || !reflect.DeepEqual(&got, want) {
			t.Errorf("%s is read as\n%v, %v, want\n%v", text, got, err, want)
		}
		for n := range value {
			if txn, err := p.Parse("tx", home, value[:n]); err == nil {
				t.Errorf("%d of %d bytes of %s are read as %v", n, len(value), text, txn)
			}
		}
	}
	const head, times = "0000" + "00000000000003e8" + "0002" + "0000ea60", "0000000000000009" + "0000000000000008"
	for what, c := range map[string]struct {
		text string
		ok   bool
	}{
		"an Empty id without a list":     {head + "00" + "ffffffff" + times, true},
		"an Empty id with partitions":    {head + "00" + "00000001" + "000174" + "00000001" + "00000001" + times, true},
		"an Ongoing id without a list":   {head + "01" + "ffffffff" + times, false},
		"a Complete id with an empty":    {head + "04" + "00000000" + times, true},
		"the state of a dead id":         {head + "06" + "00000000" + times, true},
		"an unknown state":               {head + "08" + "00000000" + times, false},
		"a negative state":               {head + "ff" + "ffffffff" + times, false},
		"an unknown version":             {"0002" + head[4:] + "00" + "ffffffff" + times, false},
		"a negative version":             {"ffff" + head[4:] + "00" + "ffffffff" + times, false},
		"more topics than there are":     {head + "01" + "7fffffff" + times, false},
		"more partitions than there are": {head + "01" + "00000001" + "000174" + "7fffffff" + times, false},
		"nothing":                        {"", false},
	} {
		txn, err := p.Parse("tx", home, unhex(t, c.text))
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", what, err)
		}
		if err == nil && len(txn.partitions) > 0 {
			t.Errorf("%s has partitions %v", what, txn.partitions)
		}
	}
}

// Values that Kafka's generated classes encoded are read, and those of version 0 have the same length
// when they are written again: only the order of partitions may differ.
func TestValuesThatKafkaEncodedAreRead(t *testing.T) {
	var p Parser
	read := 0
	for _, line := range golden.Lines(t, golden.Path(t, "wire-vectors-3.9.1.txt.gz")) {
		f := strings.Fields(line)
		if f[1] != "TransactionLogValue" {
			continue
		}
		version := golden.Int16(t, f[3])
		value := append([]byte{0, byte(version)}, golden.Bytes(t, f[4])...)
		txn, err := p.Parse("tx", home, value)
		if v := kmsg.NewTxnMetadataValue(); v.ReadFrom(value) == nil && v.Topics == nil {
			if err == nil {
				t.Errorf("%s is read, which Kafka's loader does not", line)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		read++
		if again := transitionOf(&txn).AppendValue(nil); version == 0 && len(again) != len(value) {
			t.Errorf("%x is written again as %x", value, again)
		}
	}
	if read < 11 {
		t.Errorf("only %d values", read)
	}
}

func TestKeysOfOtherKindsAreSkipped(t *testing.T) {
	for text, want := range map[string]struct {
		id        string
		version   int16
		known, ok bool
	}{
		"000000027478": {"tx", 0, true, true},
		"00000000":     {"", 0, true, true},
		"000000037478": {"", 0, true, false},
		"0001aabb":     {"", 1, false, true},
		"ffff":         {"", -1, false, true},
		"00":           {"", 0, false, false},
		"":             {"", 0, false, false},
	} {
		id, version, known, err := ParseKey(unhex(t, text))
		if id != want.id || version != want.version || known != want.known || (err == nil) != want.ok {
			t.Errorf("%s: %q, version %d, known %t, %v", text, id, version, known, err)
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Partitions that repeat in a record, or are out of order, count once.
func TestPartitionsAreReadAsASet(t *testing.T) {
	const text = "0000" + "00000000000003e8" + "0002" + "0000ea60" + "01" + "00000003" +
		"000175" + "00000001" + "00000000" + "000174" + "00000003" + "00000002" + "00000001" + "00000002" + "000175" + "00000001" + "00000000" +
		"0000000000000009" + "0000000000000008"
	txn, err := new(Parser).Parse("tx", home, unhex(t, text))
	if err != nil || names(txn.partitions) != "[t-1 t-2 u-0]" {
		t.Errorf("%v, %v", txn, err)
	}
}

func FuzzRecords(f *testing.F) {
	full := &Transition{state: PrepareCommit, producerID: 5, epoch: 1, timeoutMs: 1, partitions: []TopicPartition{{Topic: "t", Partition: 1}, {Topic: "u", Partition: 0}}, startMs: 3, updatedMs: 4}
	f.Add([]byte("\x00\x00\x00\x02tx"), full.AppendValue(nil))
	f.Add([]byte("\x00\x01"), (&Transition{state: Empty, startMs: -1}).AppendValue(nil))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		_, _, _, _ = ParseKey(key)
		var p Parser
		txn, err := p.Parse("tx", home, value)
		if err != nil {
			return
		}
		again, err := p.Parse("tx", home, transitionOf(&txn).AppendValue(nil))
		if err != nil || !reflect.DeepEqual(again, txn) {
			t.Fatalf("%v is read again as %v, %v", txn, again, err)
		}
		now := time.UnixMilli(1 << 40)
		_ = txn.String()
		txn.Loaded(now)
		txn.AbortIfTimedOut(now)
		txn.ExpireIfIdle(now, time.Second)
	})
}
