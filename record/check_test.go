package record

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

func TestCheckAppend(t *testing.T) {
	batch := func(base Offset, epoch metadata.LeaderEpoch, codec Codec) []byte {
		o := batchOf(2, codec)
		o.BaseOffset, o.LeaderEpoch = base, epoch
		return made(t, o, 3)
	}
	set := slices.Concat(batch(10, 1, None), batch(13, 2, LZ4), batch(20, 2, None))
	got, err := CheckAppend(slices.Concat(set, set[:30]), Check{Origin: FromReplication, LeaderEpoch: 5, RequireMonotonic: true})
	want := Checked{FirstOffset: 10, LastOffsetOfFirstBatch: 12, LastOffset: 22, MaxTimestamp: nowMs + 5, OffsetOfMaxTimestamp: 12,
		LastLeaderEpoch: 2, Magic: 2, Codec: LZ4, Batches: 3, ValidBytes: len(set), Monotonic: true}
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = CheckAppend(set, Check{Origin: FromReplication, LeaderEpoch: 1, RequireMonotonic: true})
	if err != nil || got.Batches != 1 || got.SkippedBatches != 2 || got.LastOffset != 12 || got.ValidBytes != len(batch(10, 1, None)) {
		t.Errorf("batches above the fetch's epoch: %+v, %v", got, err)
	}
	out := slices.Concat(batch(10, 1, None), batch(12, 1, None)[:0], batch(9, 1, None))
	if _, err := CheckAppend(out, Check{Origin: FromReplication, LeaderEpoch: 1, RequireMonotonic: true}); err == nil ||
		!strings.Contains(err.Error(), "Out of order offsets") {
		t.Errorf("%v", err)
	}
	if got, err := CheckAppend(out, Check{Origin: FromCoordinator, MaxBatchSize: 1000}); err != nil || got.Monotonic {
		t.Errorf("offsets that the leader will assign: %+v, %v", got, err)
	}
	legacy := made(t, batchOf(1, Gzip), 4)
	if got, err := CheckAppend(legacy, Check{MaxBatchSize: 1000}); err != nil || got.FirstOffset != NoOffset || got.FirstOrLastOffsetOfFirstBatch() != 3 || got.LastLeaderEpoch != metadata.NoLeaderEpoch {
		t.Errorf("a wrapper: %+v, %v", got, err)
	}
	if got, err := CheckAppend(nil, Check{}); err != nil || got.ValidBytes != 0 || got.LastOffset != NoOffset {
		t.Errorf("nothing: %+v, %v", got, err)
	}
}

func TestCheckAppendRefuses(t *testing.T) {
	good := func() []byte { return made(t, batchOf(2, None), 3) }
	crc := good()
	crc[len(crc)-1] ^= 1
	codec7 := good()
	codec7[attributesAt+1] |= 7
	magic3 := good()
	magic3[MagicPosition] = 3
	small := good()
	Batch(small).putInt32(sizeAt, 13)
	short := good()
	Batch(short).putInt32(sizeAt, 40)
	based := good()
	Batch(based).SetLastOffset(7)
	for _, c := range []struct {
		name  string
		set   []byte
		check Check
		code  protocol.ErrorCode
		text  string
	}{
		{"base offset", based, Check{MaxBatchSize: 1000}, protocol.InvalidRecord, "The baseOffset of the record batch in the append to t-0 should be 0, but it is 5"},
		{"size", good(), Check{MaxBatchSize: 100}, protocol.MessageTooLarge,
			fmt.Sprintf("The record batch size in the append to t-0 is %d bytes which exceeds the maximum configured value of 100.", len(good()))},
		{"size where none is allowed", good(), Check{Origin: FromCoordinator}, protocol.MessageTooLarge,
			fmt.Sprintf("The record batch size in the append to t-0 is %d bytes which exceeds the maximum configured value of 0.", len(good()))},
		{"checksum", crc, Check{MaxBatchSize: 1000}, protocol.CorruptMessage, fmt.Sprintf("Record is corrupt (stored crc = %d) in topic partition t-0.", Batch(crc).CRC())},
		{"codec", resum(codec7), Check{MaxBatchSize: 1000}, protocol.UnknownServerError, "Unknown compression type id: 7"},
		{"magic", magic3, Check{MaxBatchSize: 1000}, protocol.CorruptMessage, "Invalid magic found in record: 3"},
		{"size below v0", small, Check{MaxBatchSize: 1000}, protocol.CorruptMessage, "Record size 13 is less than the minimum record overhead (14)"},
		{"size below v2", short, Check{MaxBatchSize: 1000}, protocol.CorruptMessage, "smaller than the minimum allowed overhead 61"},
	} {
		c.check.TopicPartition = "t-0"
		if _, err := CheckAppend(c.set, c.check); protocol.CodeOf(err) != c.code || err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestCheckProduce(t *testing.T) {
	v2, v1, zstd := made(t, batchOf(2, None), 1), made(t, batchOf(1, None), 1), made(t, batchOf(2, Zstd), 1)
	for _, c := range []struct {
		name    string
		set     []byte
		version int16
		code    protocol.ErrorCode
	}{
		{"v2", v2, 3, protocol.None},
		{"nothing", nil, 3, protocol.InvalidRecord},
		{"incomplete", v2[:40], 9, protocol.InvalidRecord},
		{"old format", v1, 3, protocol.InvalidRecord},
		{"old format, old version", v1, 2, protocol.None},
		{"two", append(bytes.Clone(v2), v2...), 8, protocol.InvalidRecord},
		{"zstd in an old version", zstd, 6, protocol.UnsupportedCompressionType},
		{"zstd", zstd, 7, protocol.None},
	} {
		if got := protocol.CodeOf(CheckProduce(c.set, c.version)); got != c.code {
			t.Errorf("%s in v%d: %s", c.name, c.version, got)
		}
	}
}

func TestCheckAppendComparesTheChecksumForEveryOrigin(t *testing.T) {
	for _, origin := range []Origin{FromClient, FromCoordinator, FromReplication} {
		for magic := range int8(3) {
			set := made(t, batchOf(magic, None), 1)
			c := Check{Origin: origin, LeaderEpoch: 5, MaxBatchSize: 1 << 20}
			if _, err := CheckAppend(set, c); err != nil {
				t.Fatalf("origin %d, v%d: %v", origin, magic, err)
			}
			set[len(set)-1] ^= 1
			if _, err := CheckAppend(set, c); protocol.CodeOf(err) != protocol.CorruptMessage {
				t.Errorf("origin %d, v%d: a damaged batch: %v", origin, magic, err)
			}
		}
	}
}
