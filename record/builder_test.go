package record

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/monedula/monedula/protocol"
)

// copied returns a copy of a record that stays valid after the visit.
func copied(r *Record) Record {
	c := *r
	c.Key, c.Value, c.CRC = bytes.Clone(r.Key), bytes.Clone(r.Value), 0
	c.Headers = nil
	for _, h := range r.Headers {
		c.Headers = append(c.Headers, Header{bytes.Clone(h.Key), bytes.Clone(h.Value)})
	}
	return c
}

// records returns all records of a set.
func records(t testing.TB, set []byte) (all []Record) {
	t.Helper()
	for len(set) > 0 {
		b, rest, err := Next(set)
		if err != nil || b == nil {
			t.Fatalf("Next: %v, %v", b, err)
		}
		if err := b.Validate(); err != nil {
			t.Fatal(err)
		}
		err = b.Each(func(r *Record) error {
			all = append(all, copied(r))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		set = rest
	}
	return all
}

// optionsOf returns the options with which a builder builds b again.
func optionsOf(b Batch) Options {
	o := Defaults()
	o.Magic, o.Codec, o.TimestampType, o.BaseOffset = b.Magic(), b.Codec(), b.TimestampType(), b.BaseOffset()
	o.LogAppendTime, o.LeaderEpoch = b.MaxTimestamp(), b.PartitionLeaderEpoch()
	o.ProducerID, o.ProducerEpoch, o.BaseSequence = b.ProducerID(), b.ProducerEpoch(), b.BaseSequence()
	o.Transactional, o.Control = b.IsTransactional(), b.IsControl()
	o.DeleteHorizonMs, o.HasDeleteHorizon = b.DeleteHorizonMs()
	return o
}

func TestBuilderWritesWhatKafkaWrote(t *testing.T) {
	same, codecs := 0, map[string]int{}
	for _, b := range slices.Concat(goldenBatches(t, "clean"), goldenBatches(t, "oldformat")) {
		o := optionsOf(b)
		if o.Magic < 2 && o.Codec != None {
			o.BaseOffset = records(t, b)[0].Offset
		}
		builder := NewBuilder(o)
		err := b.Each(func(r *Record) error {
			ts := r.Timestamp
			if b.Magic() >= 2 && o.TimestampType == LogAppendTime {
				ts = 0 // readers cannot see the timestamps of the records
			}
			return builder.AppendAt(r.Offset, ts, r.Key, r.Value, r.Headers...)
		})
		if err != nil {
			t.Fatal(err)
		}
		if b.Magic() >= 2 {
			builder.OverrideLastOffset(b.LastOffset())
		}
		built, err := builder.Build()
		if err != nil {
			t.Fatal(err)
		}
		if o.Codec == None && !(b.Magic() >= 2 && o.TimestampType == LogAppendTime) {
			if !bytes.Equal(built, b) {
				t.Errorf("at offset %d, magic %d:\n got %x\nwant %x", b.BaseOffset(), b.Magic(), built, []byte(b))
			}
			same++
			continue
		}
		codecs[fmt.Sprintf("v%d %s", o.Magic, o.Codec)]++
		head := 0
		switch o.Codec {
		case Snappy:
			head = 16
		case LZ4:
			head = 7
		}
		headAt := HeaderSize
		if o.Magic < 2 {
			headAt = MinSize(o.Magic)
		}
		if !bytes.Equal(built[headAt:headAt+head], b[headAt:headAt+head]) {
			t.Errorf("%s v%d: frame header %x, want %x", o.Codec, o.Magic, built[headAt:headAt+head], []byte(b[headAt:headAt+head]))
		}
		got, want := records(t, built), records(t, b)
		if !equalRecords(got, want) {
			t.Errorf("%s v%d at offset %d: records differ", o.Codec, o.Magic, b.BaseOffset())
		}
	}
	if same < 200 || len(codecs) < 10 {
		t.Errorf("compared %d batches byte by byte and %v by records", same, codecs)
	}
}

func equalRecords(a, b []Record) bool { return slices.EqualFunc(a, b, equalRecord) }

func equalRecord(a, b Record) bool {
	return a.Offset == b.Offset && a.Timestamp == b.Timestamp && a.Sequence == b.Sequence &&
		equalBytes(a.Key, b.Key) && equalBytes(a.Value, b.Value) &&
		slices.EqualFunc(a.Headers, b.Headers, func(x, y Header) bool { return equalBytes(x.Key, y.Key) && equalBytes(x.Value, y.Value) })
}

// equalBytes is like bytes.Equal, except that nil and empty differ.
func equalBytes(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

func TestEveryCodecAndLevelCanBeReadBack(t *testing.T) {
	for _, magic := range []int8{0, 1, 2} {
		for codec := None; codec <= Zstd; codec++ {
			if codec == Zstd && magic < 2 {
				continue
			}
			for _, level := range []int{DefaultLevel, -7, 1, 4, 9, 12, 22} {
				o := Defaults()
				o.Magic, o.Codec, o.Level, o.BaseOffset = magic, codec, level, 100
				builder := NewBuilder(o)
				var want []Record
				for i := range 300 {
					value := bytes.Repeat([]byte{byte(i), byte(i * 7), 'x'}, i*3)
					if i == 7 {
						value = bytes.Repeat([]byte("a long one "), 20_000)
					}
					ts := int64(1000 + i)
					if err := builder.Append(ts, []byte(fmt.Sprint(i)), value); err != nil {
						t.Fatal(err)
					}
					if magic == 0 {
						ts = NoTimestamp
					}
					want = append(want, Record{Offset: 100 + Offset(i), Timestamp: ts, Sequence: NoSequence, Key: []byte(fmt.Sprint(i)), Value: append([]byte{}, value...)})
				}
				set, err := builder.Build()
				if err != nil {
					t.Fatal(err)
				}
				if got := records(t, set); !equalRecords(got, want) {
					t.Errorf("magic %d, %s, level %d: %d records read back, not the %d written", magic, codec, level, len(got), len(want))
				}
				if again, err := builder.Build(); err == nil {
					t.Errorf("a second Build gave %d bytes", len(again))
				}
			}
		}
	}
}

func TestBuilderWithoutRecordsBuildsNothing(t *testing.T) {
	for codec := None; codec <= Zstd; codec++ {
		o := Defaults()
		o.Codec = codec
		if set, err := NewBuilder(o).Build(); len(set) > 0 || err != nil {
			t.Errorf("%s: %d bytes, %v", codec, len(set), err)
		}
	}
}

func TestBuilderRefusesWhatFormatsCannotExpress(t *testing.T) {
	with := func(change func(*Options)) Options {
		o := Defaults()
		change(&o)
		return o
	}
	for name, o := range map[string]Options{
		"magic 3":                  with(func(o *Options) { o.Magic = 3 }),
		"transaction in v1":        with(func(o *Options) { o.Magic, o.Transactional = 1, true }),
		"control in v0":            with(func(o *Options) { o.Magic, o.Control = 0, true }),
		"zstd in v1":               with(func(o *Options) { o.Magic, o.Codec = 1, Zstd }),
		"producer id in v1":        with(func(o *Options) { o.Magic, o.ProducerID = 1, 5 }),
		"transaction without id":   with(func(o *Options) { o.Transactional = true }),
		"producer without epoch":   with(func(o *Options) { o.ProducerID, o.BaseSequence = 1, 0 }),
		"producer without numbers": with(func(o *Options) { o.ProducerID, o.ProducerEpoch = 1, 0 }),
		"unknown codec":            with(func(o *Options) { o.Codec = 6 }),
		"horizon in v1":            with(func(o *Options) { o.Magic, o.HasDeleteHorizon = 1, true }),
	} {
		b := NewBuilder(o)
		if err := b.Append(1, nil, nil); err == nil {
			t.Errorf("%s: a record was accepted", name)
		}
		if set, err := b.Build(); err == nil {
			t.Errorf("%s: built %x", name, set)
		}
	}
	b := NewBuilder(Defaults())
	if err := errors.Join(b.AppendAt(5, 1, nil, nil), b.AppendAt(7, 1, nil, nil)); err != nil {
		t.Fatal(err)
	}
	if b.AppendAt(7, 1, nil, nil) == nil {
		t.Error("an offset was accepted twice")
	}
	if NewBuilder(Defaults()).Append(-2, nil, nil) == nil {
		t.Error("a negative timestamp was accepted")
	}
	if NewBuilder(with(func(o *Options) { o.Magic = 1 })).Append(1, nil, nil, Header{}) == nil {
		t.Error("v1 accepted a header")
	}
	if NewBuilder(Defaults()).AppendAt(1<<31, 1, nil, nil) == nil {
		t.Error("an offset delta above int32 was accepted")
	}
}

func TestEndTxnMarkersEqualThoseOfKafka(t *testing.T) {
	o := Defaults()
	o.ProducerID, o.ProducerEpoch, o.BaseOffset, o.LeaderEpoch = 9, 3, 77, 4
	for _, typ := range []ControlType{Abort, Commit} {
		b, err := EndTxnMarker(o, typ, 12, 1700000000000)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) != 78 || b.Validate() != nil || !b.IsControl() || !b.IsTransactional() || b.BaseSequence() != NoSequence || b.LastOffset() != 77 {
			t.Errorf("marker %x", []byte(b))
		}
		want := Control{Type: typ, CoordinatorEpoch: 12, Offset: 77, TimestampMs: 1700000000000}
		if c, ok, err := b.Control(); c != want || !ok || err != nil {
			t.Errorf("read back as %+v, %t, %v", c, ok, err)
		}
	}
	if _, err := EndTxnMarker(o, LeaderChange, 1, 1); err == nil {
		t.Error("a KRaft record ended a transaction")
	}
	if _, err := EndTxnMarker(Defaults(), Commit, 1, 1); err == nil {
		t.Error("a marker without a producer id was written")
	}
}

func TestControlKeysAndValues(t *testing.T) {
	for _, c := range []struct {
		key  []byte
		want ControlType
		ok   bool
	}{
		{[]byte{0, 0, 0, 0}, Abort, true},
		{[]byte{0, 0, 0, 1, 9}, Commit, true},
		{[]byte{0, 5, 0, 2}, LeaderChange, true},
		{[]byte{0, 0, 0, 7}, UnknownControl, true},
		{[]byte{0, 0, 0xff, 0xff}, UnknownControl, true},
		{[]byte{0, 0, 0}, UnknownControl, false},
		{nil, UnknownControl, false},
		{[]byte{0x80, 0, 0, 1}, UnknownControl, false},
	} {
		if got, err := ParseControlKey(c.key); got != c.want || (err == nil) != c.ok {
			t.Errorf("%x: %s, %v", c.key, got, err)
		}
	}
	if e, err := ParseEndTxnMarker([]byte{0, 0, 0, 0, 1, 2}); e != 258 || err != nil {
		t.Errorf("%d, %v", e, err)
	}
	for _, bad := range [][]byte{nil, {0, 0, 0, 0, 1}, {0x80, 0, 0, 0, 0, 1}} {
		if _, err := ParseEndTxnMarker(bad); err == nil {
			t.Errorf("%x was accepted", bad)
		}
	}
	if Commit.String() != "COMMIT" || UnknownControl.String() != "UNKNOWN" || ControlType(99).String() != "UNKNOWN" {
		t.Error("control types have wrong names")
	}
}

// A marker whose key or value cannot be read has neither an outcome nor an epoch.
func TestControlBatchesThatCannotBeReadAreInvalid(t *testing.T) {
	key, value := AppendControlKey(nil, Commit), AppendEndTxnMarker(nil, 258)
	for name, c := range map[string]struct {
		key, value []byte
		want       protocol.ErrorCode
	}{
		"sound":                       {key, value, protocol.None},
		"no key":                      {nil, value, protocol.InvalidRecord},
		"a short key":                 {key[:3], value, protocol.InvalidRecord},
		"a negative version":          {[]byte{0x80, 0, 0, 1}, value, protocol.InvalidRecord},
		"no value":                    {key, nil, protocol.InvalidRecord},
		"a short value":               {key, value[:5], protocol.InvalidRecord},
		"a negative version of value": {key, []byte{0x80, 0, 0, 0, 1, 2}, protocol.InvalidRecord},
	} {
		o := Defaults()
		o.ProducerID, o.ProducerEpoch, o.Transactional, o.Control = 9, 3, true, true
		b := NewBuilder(o)
		if err := b.Append(nowMs, c.key, c.value); err != nil {
			t.Fatal(err)
		}
		set, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		got, ok, err := Batch(set).Control()
		if protocol.CodeOf(err) != c.want || ok != (c.want == protocol.None) {
			t.Errorf("%s: %+v, %t, %v", name, got, ok, err)
		}
		if want := (Control{Type: Commit, CoordinatorEpoch: 258, TimestampMs: nowMs}); ok && got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

func TestAnEmptyBatchKeepsTheStateOfItsProducer(t *testing.T) {
	o := Defaults()
	o.BaseOffset, o.ProducerID, o.ProducerEpoch, o.BaseSequence = 10, 5, 1, 40
	b := EmptyBatch(o, 14, 123)
	if err := b.Validate(); err != nil || len(b) != HeaderSize {
		t.Fatal(err)
	}
	if b.LastOffset() != 14 || b.LastSequence() != 44 || b.Count() != 0 || b.MaxTimestamp() != 123 {
		t.Errorf("%x", []byte(b))
	}
	if got := records(t, b); len(got) != 0 {
		t.Errorf("%d records", len(got))
	}
}
