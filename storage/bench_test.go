package storage

import (
	"fmt"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

func benchLog(b *testing.B) *Log {
	h := start(b, vfs.OS(), func(c *ManagerConfig) { c.Dirs = []string{b.TempDir()} })
	return h.log(b, testTopic())
}

func BenchmarkAppendAsLeader(b *testing.B) {
	for _, size := range []int{100, 16 << 10} {
		b.Run(map[int]string{100: "100B", 16 << 10: "16KiB"}[size], func(b *testing.B) {
			l := benchLog(b)
			var rs []rec
			for range max(1, size/1000) {
				rs = append(rs, values(1, strings.Repeat("x", min(size, 1000)))...)
			}
			fresh := batch(b, record.Defaults(), rs...)
			set := make([]byte, len(fresh))
			b.SetBytes(int64(len(set)))
			b.ReportAllocs()
			for b.Loop() {
				copy(set, fresh)
				if _, err := l.AppendAsLeader(Append{Records: set}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	l := benchLog(b)
	for range 5000 {
		appendValues(b, l, 1, strings.Repeat("x", 1000))
	}
	for name, from := range map[string]record.Offset{"tail": 4990, "middle": 2500} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				data, err := l.Read(Read{Offset: from, MaxBytes: 1 << 20, Bound: UpToHighWatermark})
				if err != nil {
					b.Fatal(err)
				}
				data.Release()
			}
		})
	}
}

// BenchmarkSetTopicConfig configures one topic while there are many other logs. The cost must not
// depend on their number.
func BenchmarkSetTopicConfig(b *testing.B) {
	for _, logs := range []int32{1000, 4000, 16000} {
		b.Run(fmt.Sprintf("logs=%d", logs), func(b *testing.B) {
			h := hostOfLogs(b, logs)
			c := testTopic()
			for b.Loop() {
				h.SetTopicConfig("topic-7", c)
			}
		})
	}
}

func BenchmarkCreateLogsAmongMany(b *testing.B) {
	for _, logs := range []int32{1000, 4000, 16000} {
		b.Run(fmt.Sprintf("logs=%d", logs), func(b *testing.B) {
			h := hostOfLogs(b, logs)
			for i := int32(0); b.Loop(); i++ {
				if _, err := h.GetOrCreate(tpOf("made", i), metadata.TopicID{1}, h.config.Defaults, true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// hostOfLogs returns a host with topics of one partition in four directories in memory.
func hostOfLogs(b *testing.B, logs int32) *host {
	h := start(b, vfs.NewMem(), func(c *ManagerConfig) { c.Dirs = []string{"/a", "/b", "/c", "/d"} })
	for i := range logs {
		if _, err := h.GetOrCreate(tpOf(fmt.Sprintf("topic-%d", i), 0), metadata.TopicID{}, h.config.Defaults, true); err != nil {
			b.Fatal(err)
		}
	}
	return h
}

// BenchmarkCreateLogs creates the logs of new partitions.
func BenchmarkCreateLogs(b *testing.B) {
	h := start(b, vfs.OS(), func(c *ManagerConfig) { c.Dirs = []string{b.TempDir()} })
	b.ReportAllocs()
	for i := int32(0); b.Loop(); i++ {
		if _, err := h.GetOrCreate(tpOf("made", i), metadata.TopicID{1}, testTopic(), true); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCleaning compacts a log of 20 MiB, of whose records half are overwritten. The bytes are
// those of the log.
func BenchmarkCleaning(b *testing.B) {
	for _, codec := range []record.Codec{record.None, record.LZ4, record.Zstd} {
		b.Run(codec.String(), func(b *testing.B) {
			c := compactedTopic()
			c.SegmentBytes, c.IndexIntervalBytes, c.SegmentIndexBytes = 8<<20, 4096, 10<<20
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				h := start(b, vfs.OS(), func(m *ManagerConfig) { m.Dirs = []string{b.TempDir()} })
				l := h.log(b, c)
				fillForCleaning(b, l, codec)
				size := l.Size()
				b.SetBytes(size)
				b.StartTimer()
				if n := h.cleanAll(b); n != 1 {
					b.Fatalf("%d cleanings", n)
				}
				b.StopTimer()
				if err := h.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// fillForCleaning appends batches of 50 records of 200 bytes; each key occurs twice.
func fillForCleaning(b *testing.B, l *Log, codec record.Codec) {
	b.Helper()
	const records = 100_000
	value := []byte(strings.Repeat("some value ", 18))
	for i := 0; i < records; i += 50 {
		o := record.Defaults()
		o.BaseOffset, o.Codec, o.LeaderEpoch = record.Offset(i), codec, 0
		builder := record.NewBuilder(o)
		for k := range 50 {
			n := (i + k) * 7919 % (records / 2)
			if err := builder.Append(1700000000000, fmt.Appendf(nil, "key %d", n), value[n%11:]); err != nil {
				b.Fatal(err)
			}
		}
		set, err := builder.Build()
		if err == nil {
			_, err = l.AppendAsFollower(set, 0)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := l.Roll(); err != nil {
		b.Fatal(err)
	}
	put(b, l, "last", "value")
}
