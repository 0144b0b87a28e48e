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
