package record

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

func TestHeaderMethodsNeedOnlyThePrefix(t *testing.T) {
	for _, b := range slices.Concat(goldenBatches(t, "clean"), goldenBatches(t, "oldformat")) {
		head := Batch(bytes.Clone(b[:min(len(b), HeaderSize)]))
		if head.Size() != len(b) || head.LastOffset() != b.LastOffset() || head.NextOffset() != b.LastOffset()+1 || head.Count() != b.Count() ||
			head.MaxTimestamp() != b.MaxTimestamp() || head.CRC() != b.CRC() || head.Codec() != b.Codec() || head.LastSequence() != b.LastSequence() {
			t.Fatalf("at offset %d", b.BaseOffset())
		}
		size, magic, err := EntrySize(head[:MinHeaderPeek])
		if size != len(b) || magic != b.Magic() || err != nil {
			t.Errorf("EntrySize: %d, %d, %v", size, magic, err)
		}
	}
}

func TestSettersUpdateTheChecksum(t *testing.T) {
	for _, magic := range []int8{0, 1, 2} {
		b := Batch(made(t, batchOf(magic, Gzip), 3))
		b.SetLastOffset(500)
		b.SetPartitionLeaderEpoch(9)
		b.SetMaxTimestamp(LogAppendTime, 12345)
		if err := b.Validate(); err != nil {
			t.Errorf("v%d: %v", magic, err)
		}
		if b.LastOffset() != 500 {
			t.Errorf("v%d: last offset %d", magic, b.LastOffset())
		}
		typ, timestamp, epoch := LogAppendTime, int64(12345), metadata.NoLeaderEpoch
		if magic == 0 {
			typ, timestamp = NoTimestampType, NoTimestamp
		}
		if magic == 2 {
			epoch = 9
		}
		if b.TimestampType() != typ || b.MaxTimestamp() != timestamp || b.PartitionLeaderEpoch() != epoch || b.Codec() != Gzip {
			t.Errorf("v%d: %x", magic, []byte(b))
		}
		b.SetMaxTimestamp(CreateTime, 1)
		if err := b.Validate(); err != nil || magic > 0 && b.TimestampType() != CreateTime {
			t.Errorf("v%d: %v", magic, err)
		}
	}
}

func TestValidateFindsDamage(t *testing.T) {
	for _, magic := range []int8{0, 1, 2} {
		good := Batch(made(t, batchOf(magic, Snappy), 3))
		for i := range good {
			if i < 8 || magic == 2 && i >= leaderEpochAt && i < MagicPosition {
				continue // the checksum does not cover offset and leader epoch
			}
			bad := bytes.Clone(good)
			bad[i] ^= 0x10
			if err := Batch(bad).Validate(); protocol.CodeOf(err) != protocol.CorruptMessage {
				t.Errorf("v%d, byte %d: %v", magic, i, err)
			}
		}
		for _, cut := range []int{0, 5, MinHeaderPeek - 1, MinHeaderPeek, len(good) - 1} {
			if err := good[:cut].Validate(); protocol.CodeOf(err) != protocol.CorruptMessage {
				t.Errorf("v%d cut at %d: %v", magic, cut, err)
			}
		}
	}
}

func TestSequencesWrapToZero(t *testing.T) {
	for _, c := range []struct{ sequence, n, want int32 }{{0, 5, 5}, {math.MaxInt32, 1, 0}, {math.MaxInt32 - 2, 5, 2}, {math.MaxInt32, 0, math.MaxInt32}} {
		if got := IncrementSequence(c.sequence, c.n); got != c.want {
			t.Errorf("%d + %d = %d, want %d", c.sequence, c.n, got, c.want)
		}
	}
	o := Defaults()
	o.ProducerID, o.ProducerEpoch, o.BaseSequence = 1, 0, math.MaxInt32-1
	set := made(t, o, 4)
	var got []int32
	for _, r := range records(t, set) {
		got = append(got, r.Sequence)
	}
	if want := []int32{math.MaxInt32 - 1, math.MaxInt32, 0, 1}; !slices.Equal(got, want) || Batch(set).LastSequence() != 1 {
		t.Errorf("%v", got)
	}
}

func TestVarints(t *testing.T) {
	for _, v := range []int64{0, 1, -1, 63, -64, 64, 300, -300, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64} {
		b := appendVarlong(nil, v)
		if got, next := varlongAt(b, 0); got != v || next != len(b) || sizeOfVarlong(v) != len(b) {
			t.Errorf("varlong %d: %d, %d of %d bytes", v, got, next, len(b))
		}
		for cut := range b {
			if _, next := varlongAt(b[:cut], 0); next != badPosition {
				t.Errorf("varlong %d cut at %d was read", v, cut)
			}
		}
		if v != int64(int32(v)) {
			continue
		}
		b = appendVarint(nil, int32(v))
		if got, next := varintAt(b, 0); int64(got) != v || next != len(b) || sizeOfVarint(int32(v)) != len(b) {
			t.Errorf("varint %d: %d, %d of %d bytes", v, got, next, len(b))
		}
	}
	for _, at := range []int{0, badPosition} {
		if _, next := varintAt([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 1}, at); next != badPosition {
			t.Error("an endless varint was read")
		}
		if _, next := varlongAt(bytes.Repeat([]byte{0xff}, 11), at); next != badPosition {
			t.Error("an endless varlong was read")
		}
	}
	if skipAt([]byte("abc"), 1, 3) != badPosition || skipAt([]byte("abc"), 1, 2) != 3 || skipAt(nil, badPosition, 0) != badPosition || skipAt(nil, 0, -5) != 0 {
		t.Error("skipAt")
	}
}

func TestAnErrorOfTheVisitFunctionEndsTheIteration(t *testing.T) {
	stop := protocol.Errorf(protocol.PolicyViolation, "enough")
	for codec := None; codec <= Zstd; codec++ {
		seen := 0
		set := made(t, batchOf(2, codec), 100)
		if err := Batch(set).Each(func(*Record) error { seen++; return stop }); err != stop || seen != 1 {
			t.Errorf("%s: %v after %d", codec, err, seen)
		}
		if err := Batch(set).EachTimestamp(func(Offset, int64) error { seen++; return stop }); err != stop || seen != 2 {
			t.Errorf("%s: %v after %d", codec, err, seen)
		}
	}
}

// The headers of a batch can be many times larger in memory than in the batch.
func TestContentIsKeptOnlyIfItIsNeeded(t *testing.T) {
	for _, codec := range []Codec{None, Gzip} {
		for _, wanted := range []bool{true, false} {
			it := openIterator(made(t, batchOf(2, codec), 3), wanted)
			for index := range 3 {
				more, err := it.next()
				if !more || err != nil || it.rec.Key != nil != wanted || len(it.rec.Headers) > 0 != wanted {
					t.Errorf("%s, wanted %t: record %d: %t, %v, %+v", codec, wanted, index, more, err, it.rec)
				}
			}
			it.close()
		}
	}
}
