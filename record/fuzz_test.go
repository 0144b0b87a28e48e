package record

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"testing"

	"github.com/monedula/monedula/protocol"
)

// seed adds the batches that Kafka wrote to the corpus of a fuzz target.
func seed(f *testing.F, add func(set []byte)) {
	for _, path := range goldenLogs(f) {
		set, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		add(set)
		if b, _, _ := Next(set); b != nil {
			add(b)
		}
	}
}

func FuzzReadingASet(f *testing.F) {
	seed(f, func(set []byte) { f.Add(set) })
	f.Fuzz(func(t *testing.T, set []byte) {
		_, _ = CheckAppend(set, Check{Origin: FromReplication, LeaderEpoch: 1})
		_ = CheckProduce(set, 3)
		for {
			b, rest, err := Next(set)
			if err != nil || b == nil {
				return
			}
			if b.Size() != len(b) || len(b)+len(rest) != len(set) {
				t.Fatalf("an entry of %d bytes was split as %d and %d of %d", b.Size(), len(b), len(rest), len(set))
			}
			_ = b.Validate()
			_, _, _ = b.Control()
			var full, brief int
			errFull := b.Each(func(r *Record) error { full++; return nil })
			errBrief := b.EachTimestamp(func(Offset, int64) error { brief++; return nil })
			if !errors.Is(errFull, protocol.MessageTooLarge) && ((errFull == nil) != (errBrief == nil) || full != brief) {
				t.Fatalf("Each: %d records, %v; EachTimestamp: %d records, %v", full, errFull, brief, errBrief)
			}
			set = rest
		}
	})
}

func FuzzValidateAndAssign(f *testing.F) {
	seed(f, func(set []byte) {
		for codec := uint8(0); codec < 6; codec++ {
			f.Add(set, uint8(2), codec)
		}
		f.Add(set, uint8(1), uint8(1))
	})
	f.Fuzz(func(t *testing.T, set []byte, magic, codec uint8) {
		target := plainTarget()
		target.Magic, target.KeepCodec, target.Codec = int8(magic%3), codec > uint8(Zstd), Codec(codec)
		if target.Magic < 2 && target.Codec == Zstd {
			return
		}
		target.MaxSetSize = 1 << 20
		for rest := set; ; { // as from a v2 client: one entry, starting at offset 0
			b, tail, err := Next(rest)
			if err != nil || b == nil {
				break
			}
			b.SetLastOffset(Offset(max(b.Count(), 1) - 1))
			rest = tail
			if b.Magic() >= 2 {
				set = b
				break
			}
		}
		got, err := validateAndAssign(set, target)
		if err != nil {
			return
		}
		checked, err := CheckAppend(got.Bytes, Check{Origin: FromReplication, LeaderEpoch: 6})
		if err != nil && !got.Rebuilt {
			return // the checksums had not been checked
		}
		if err != nil || checked.LastOffset != got.LastOffset || checked.ValidBytes != len(got.Bytes) {
			t.Fatalf("%+v became %+v, %v", got, checked, err)
		}
	})
}

func FuzzDownConvert(f *testing.F) {
	seed(f, func(set []byte) { f.Add(set, int8(0), int64(5)); f.Add(set, int8(1), int64(0)) })
	f.Fuzz(func(t *testing.T, set []byte, magic int8, from int64) {
		out, err := DownConvert(set, magic&1, Offset(from))
		if err != nil {
			return
		}
		for len(out) > 0 {
			b, rest, err := Next(out)
			if err != nil || b == nil || b.Magic() > magic&1 {
				t.Fatalf("%x, %v", []byte(b), err)
			}
			out = rest
		}
	})
}

// fuzzedRecord is a copy of a record that a batch must keep.
type fuzzedRecord struct {
	offset     Offset
	timestamp  int64
	key, value []byte
	headers    string
}

func FuzzCompact(f *testing.F) {
	seed(f, func(set []byte) {
		for flags := range uint8(8) {
			f.Add(set, uint64(0x5a5a_1234_5678_9abc)<<flags, flags)
		}
		f.Add(set, ^uint64(0), uint8(0))
	})
	f.Fuzz(func(t *testing.T, set []byte, mask uint64, flags uint8) {
		c := Compactor{DeleteHorizonMs: 1 << 40}
		r := Retention{Discard: flags&1 != 0, KeepEmpty: flags&2 != 0, MarkerOfEmptyTxn: flags&4 != 0}
		for b, err := range Batches(set) {
			if err != nil {
				return
			}
			if b.Validate() != nil {
				continue
			}
			checkCompaction(t, &c, b, r, mask)
		}
	})
}

// keeperFunc is a Keeper that decides about each record alone.
type keeperFunc struct {
	keep    func(*Record) bool
	decided []bool
}

func (k *keeperFunc) See(r *Record) { k.decided = append(k.decided, k.keep(r)) }

func (k *keeperFunc) Keep(kept []uint64) {
	for n, keep := range k.decided {
		if keep {
			kept[n/64] |= 1 << (n % 64)
		}
	}
	k.decided = nil
}

// checkCompaction compacts a batch of which the records are kept whose bit of mask is set.
func checkCompaction(t *testing.T, c *Compactor, b Batch, r Retention, mask uint64) {
	t.Helper()
	var want []fuzzedRecord
	copied := func(r *Record) fuzzedRecord {
		return fuzzedRecord{r.Offset, r.Timestamp, bytes.Clone(r.Key), bytes.Clone(r.Value), fmt.Sprintf("%q", r.Headers)}
	}
	original := bytes.Clone(b)
	keeper := keeperFunc{keep: func(r *Record) bool {
		keep := mask>>(uint64(r.Offset)%64)&1 != 0
		if keep {
			want = append(want, copied(r))
		}
		return keep
	}}
	out, done, err := c.Compact([]byte("before"), b, r, &keeper)
	if !bytes.Equal(original, b) || string(out[:6]) != "before" {
		t.Fatal("the batch or what precedes the output was changed")
	}
	if err != nil {
		return
	}
	var have []fuzzedRecord
	batches := 0
	for left, err := range Batches(out[6:]) {
		if err == nil {
			err = left.Validate()
		}
		if err == nil {
			err = left.Each(func(r *Record) error { have = append(have, copied(r)); return nil })
		}
		if err != nil {
			t.Fatalf("the output is damaged: %v", err)
		}
		if left.Magic() != b.Magic() || left.LastOffset() > b.LastOffset() ||
			b.Magic() >= 2 && (left.BaseOffset() != b.BaseOffset() || left.LastOffset() != b.LastOffset() || left.LastSequence() != b.LastSequence() ||
				left.ProducerID() != b.ProducerID() || left.ProducerEpoch() != b.ProducerEpoch() || left.PartitionLeaderEpoch() != b.PartitionLeaderEpoch() ||
				left.IsControl() != b.IsControl() || left.IsTransactional() != b.IsTransactional()) {
			t.Fatalf("header %x became %x", []byte(b[:min(len(b), HeaderSize)]), []byte(left[:min(len(left), HeaderSize)]))
		}
		batches++
	}
	if len(have) != done.Kept || !reflect.DeepEqual(have, want) || batches > 1 {
		t.Fatalf("%d batches of %d records instead of %d: %v, not %v", batches, len(have), len(want), have, want)
	}
	if kept := r.KeepEmpty && b.Magic() >= 2; len(want) == 0 && (batches == 1) != kept {
		t.Fatalf("a batch without records: %d batches are left", batches)
	}
}
