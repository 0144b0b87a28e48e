package clean

import (
	"fmt"
	"slices"
	"testing"

	"github.com/monedula/monedula/record"
)

// built returns a batch of records key=value; an empty value is a tombstone, an empty key null.
func built(t testing.TB, o record.Options, records ...string) record.Batch {
	t.Helper()
	b := record.NewBuilder(o)
	for i := 0; i < len(records); i += 2 {
		var key, value []byte
		if records[i] != "" {
			key = []byte(records[i])
		}
		if records[i+1] != "" {
			value = []byte(records[i+1])
		}
		if err := b.Append(1000+int64(i), key, value); err != nil {
			t.Fatal(err)
		}
	}
	set, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func at(offset record.Offset) record.Options {
	o := record.Defaults()
	o.BaseOffset = offset
	return o
}

func txn(offset record.Offset, producer int64) record.Options {
	o := at(offset)
	o.ProducerID, o.ProducerEpoch, o.BaseSequence, o.Transactional = producer, 3, int32(offset), true
	return o
}

func marker(t testing.TB, offset record.Offset, producer int64, typ record.ControlType) record.Batch {
	t.Helper()
	b, err := record.EndTxnMarker(txn(offset, producer), typ, 1, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// filter returns a filter with a map of the keys' latest offsets.
func filter(latest record.Offset, keys map[string]record.Offset) *Filter {
	m := NewOffsetMap(1<<16, 0.9)
	for key, offset := range keys {
		put(m, []byte(key), offset)
	}
	m.SetLatest(latest)
	return &Filter{Map: m, Txns: NewTransactions(), UpperBound: 1 << 40, Now: 10_000, DeleteRetentionMs: 500}
}

// result describes what the filter leaves of a batch.
func result(t testing.TB, f *Filter, b record.Batch) string {
	t.Helper()
	out, err := f.Add(nil, b)
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		return "dropped"
	}
	left := record.Batch(out)
	if err := left.Validate(); err != nil {
		t.Fatal(err)
	}
	s := fmt.Sprintf("[%d,%d]", left.BaseOffset(), left.LastOffset())
	if h, has := left.DeleteHorizonMs(); has {
		s += fmt.Sprintf(" until %d", h)
	}
	if err := left.Each(func(r *record.Record) error {
		s += fmt.Sprintf(" %d", r.Offset)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if slices.Equal(left, b) {
		s += " unchanged"
	}
	return s
}

func expect(t testing.TB, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s instead of %s", got, want)
	}
}

func TestARecordSurvivesUnlessALaterOneHasItsKey(t *testing.T) {
	f := filter(20, map[string]record.Offset{"a": 15, "b": 12})
	expect(t, result(t, f, built(t, at(10), "a", "1", "c", "2", "b", "3")), "[10,12] 11 12")
	expect(t, result(t, f, built(t, at(13), "", "no key", "c", "2")), "[13,14] 14")
	expect(t, result(t, f, built(t, at(15), "a", "1")), "[15,15] 15 unchanged")
	expect(t, result(t, f, built(t, at(16), "b", "x")), "[16,16] 16 unchanged") // a hash collision may bring an earlier offset
	expect(t, result(t, filter(20, map[string]record.Offset{"a": 19}), built(t, at(17), "a", "1")), "dropped")
	expect(t, result(t, f, built(t, at(21), "a", "1", "", "no key")), "[21,22] 21 22 unchanged")
	if f.MessagesRead != 9 || f.MessagesKept != 7 || f.InvalidMessages != 1 {
		t.Errorf("%d read, %d kept, %d invalid", f.MessagesRead, f.MessagesKept, f.InvalidMessages)
	}
}

func TestATombstoneGetsADeleteHorizonAndGoesAfterIt(t *testing.T) {
	f := filter(20, nil)
	b := built(t, at(0), "a", "", "b", "2")
	expect(t, result(t, f, b), "[0,1] until 10500 0 1")
	kept, err := f.Add(nil, b)
	if err != nil {
		t.Fatal(err)
	}
	f.Now = 10_499
	expect(t, result(t, f, kept), "[0,1] until 10500 0 1 unchanged")
	f.Now = 10_500
	expect(t, result(t, f, kept), "[0,1] until 10500 1")
	expect(t, result(t, f, built(t, at(30), "a", "")), "[30,30] until 11000 30") // above the map, as in Kafka

	o := at(5)
	o.Magic = 1
	f.KeepLegacyTombstones = true
	expect(t, result(t, f, built(t, o, "a", "")), "[5,5] 5 unchanged")
	f.KeepLegacyTombstones = false
	expect(t, result(t, f, built(t, o, "a", "")), "dropped")
}

func TestAbortedDataGoesAndItsMarkerFollows(t *testing.T) {
	f := filter(100, nil)
	var kept []AbortedTxn
	f.Txns.Retained = func(a AbortedTxn) error { kept = append(kept, a); return nil }
	aborted := AbortedTxn{ProducerID: 1, FirstOffset: 10, LastOffset: 14, LastStableOffset: 15}
	f.Txns.Add([]AbortedTxn{aborted, aborted})
	expect(t, result(t, f, built(t, txn(10, 1), "a", "1")), "dropped")
	expect(t, result(t, f, built(t, txn(11, 2), "a", "2")), "[11,11] 11 unchanged")
	expect(t, result(t, f, built(t, at(12), "b", "3")), "[12,12] 12 unchanged")
	f.Txns.Add([]AbortedTxn{aborted}) // the next segment lists it too
	expect(t, result(t, f, marker(t, 14, 1, record.Abort)), "[14,14] 14 unchanged")
	expect(t, result(t, f, marker(t, 15, 2, record.Commit)), "[15,15] 15 unchanged")
	if !slices.Equal(kept, []AbortedTxn{aborted}) {
		t.Errorf("the transaction index keeps %v", kept)
	}
	// The next cleaning finds no data of the transactions.
	f.Txns.Add([]AbortedTxn{aborted})
	expect(t, result(t, f, marker(t, 14, 1, record.Abort)), "[14,14] until 10500 14")
	expect(t, result(t, f, marker(t, 15, 2, record.Commit)), "[15,15] until 10500 15")
	out, err := f.Add(nil, marker(t, 16, 2, record.Commit))
	if err != nil {
		t.Fatal(err)
	}
	f.Now = 10_500
	expect(t, result(t, f, out), "dropped")
	if len(kept) != 1 {
		t.Errorf("the transaction index keeps %v", kept)
	}
}

func TestTheLastBatchOfAProducerKeepsItsHeader(t *testing.T) {
	f := filter(100, map[string]record.Offset{"a": 90})
	f.Producers = map[int64]Producer{1: {LastOffset: 11, Epoch: 3}, 2: {LastOffset: record.NoOffset, Epoch: 3}, 4: {LastOffset: record.NoOffset, Epoch: 9}}
	f.Txns.Add([]AbortedTxn{{ProducerID: 3, FirstOffset: 20, LastOffset: 29, LastStableOffset: 30}})
	expect(t, result(t, f, built(t, txn(10, 1), "a", "1", "a", "2")), "[10,11]")
	expect(t, result(t, f, built(t, txn(12, 1), "a", "1")), "dropped")
	o := txn(13, 2)
	o.HasDeleteHorizon, o.DeleteHorizonMs = true, 1
	expect(t, result(t, f, record.EmptyBatch(o, 15, 1000)), "dropped")
	o.Control = true
	expect(t, result(t, f, record.EmptyBatch(o, 15, 1000)), "[13,15] unchanged")
	o = txn(16, 4)
	o.Control = true
	expect(t, result(t, f, record.EmptyBatch(o, 16, 1000)), "dropped")
	f.Producers[3] = Producer{LastOffset: 20, Epoch: 3}
	expect(t, result(t, f, built(t, txn(20, 3), "b", "1")), "[20,20]")
	f.UpperBound = 31
	expect(t, result(t, f, built(t, at(30), "a", "1")), "[30,30]")
}
