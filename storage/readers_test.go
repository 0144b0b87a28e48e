package storage

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

// pastValues holds all values that each offset of a log has held. A truncation may give an offset
// another value.
type pastValues struct {
	mu     sync.Mutex
	values map[record.Offset]map[string]bool
}

func (h *pastValues) add(offset record.Offset, value string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.values[offset] == nil {
		h.values[offset] = map[string]bool{}
	}
	h.values[offset][value] = true
}

func (h *pastValues) has(offset record.Offset, value string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.values[offset][value]
}

// Eight readers, some of them slow, read at random offsets of a log that is appended to, rolled,
// truncated and deleted from. Each byte that a reader gets was written at that offset, and the
// bytes that it holds pinned never change.
func TestEightReadersNeverSeeAWrongByte(t *testing.T) {
	for name, fsys := range map[string]vfs.FS{"memory": vfs.NewMem(), "disk": vfs.OS()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := "/data"
			if name == "disk" {
				dir = t.TempDir()
			}
			c := testTopic()
			c.SegmentBytes, c.IndexIntervalBytes, c.FileDeleteDelayMs, c.RetentionBytes = 16<<10, 512, 0, 64<<10
			h := start(t, fsys, func(m *ManagerConfig) { m.Dirs, m.Defaults, m.OpenFiles = []string{dir}, c, 4 })
			l := h.log(t, c)
			past := &pastValues{values: map[record.Offset]map[string]bool{}}
			var stop atomic.Bool
			var reads atomic.Int64
			var readers sync.WaitGroup
			for i := range uint64(8) {
				readers.Go(func() { randomReads(t, l, past, i, &stop, &reads) })
			}
			writes := 1000
			if testkit.FullMatrices() {
				writes = 3000
			}
			randomWrites(t, l, past, writes)
			waitUntil(t, "the readers have read", func() bool { return reads.Load() > 2000 || t.Failed() })
			stop.Store(true)
			readers.Wait()
			if !h.Dirs()[0].Online {
				t.Errorf("the directory went offline:\n%s", lastLines(h.lines.String()))
			}
			h.restart(t)
			wantEqual(t, "log end after a restart", h.Log(partition0).Offsets().LogEnd, l.Offsets().LogEnd)
		})
	}
}

func lastLines(s string) string { return s[max(len(s)-3000, 0):] }

func randomWrites(t *testing.T, l *Log, past *pastValues, n int) {
	random := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		switch random.IntN(60) {
		case 0:
			noError(t, l.Roll())
		case 1:
			o := l.Offsets()
			if _, err := l.TruncateTo(max(o.LogStart, o.LogEnd-record.Offset(random.Int64N(40)))); err != nil {
				t.Error(err)
				return
			}
		case 2:
			if _, err := l.DeleteOldSegments(); err != nil {
				t.Error(err)
				return
			}
		default:
			first := l.Offsets().LogEnd
			var vs []string
			for k := range 1 + random.IntN(3) {
				vs = append(vs, fmt.Sprintf("%d/%d %s", first+record.Offset(k), i, strings.Repeat(string(rune('a'+i%26)), random.IntN(700))))
				past.add(first+record.Offset(k), vs[k])
			}
			appendValues(t, l, 1, vs...)
		}
	}
}

func randomReads(t *testing.T, l *Log, past *pastValues, seed uint64, stop *atomic.Bool, reads *atomic.Int64) {
	random := rand.New(rand.NewPCG(seed, 9))
	var held []heldRead
	for !stop.Load() && !t.Failed() {
		o := l.Offsets()
		offset := o.LogStart + record.Offset(random.Int64N(int64(o.LogEnd-o.LogStart+1)))
		data, err := l.Read(Read{Offset: offset, MaxBytes: int32(1 + random.IntN(8000)), MinOneMessage: true, Bound: Bound(random.IntN(2))})
		if err != nil {
			if !errors.Is(err, protocol.OffsetOutOfRange) {
				t.Error(err)
			}
			continue
		}
		reads.Add(1)
		held = append(held, heldRead{data, checkRead(t, past, &data, offset)})
		if len(held) > 5 {
			k := random.IntN(len(held))
			held[k].checkAgain(t, past, offset)
			held[k].data.Release()
			held = append(held[:k], held[k+1:]...)
		}
	}
	for _, r := range held {
		r.data.Release()
	}
}

// heldRead is the result of a read that stays pinned, like that of a reader whose network is slow.
type heldRead struct {
	data Data
	seen []byte
}

func (r *heldRead) checkAgain(t *testing.T, past *pastValues, offset record.Offset) {
	again := readPinned(t, &r.data)
	if n := min(len(again), len(r.seen)); string(again[:n]) != string(r.seen[:n]) {
		t.Error("pinned bytes changed")
	}
}

// readPinned reads the remaining pinned bytes of a file. A truncation may have cut them, which
// makes a sender close its connection.
func readPinned(t *testing.T, data *Data) []byte {
	if data.Length == 0 {
		return nil
	}
	b := make([]byte, data.Length)
	n, err := data.File.ReadAt(b, data.Position)
	if err != nil && err != io.EOF {
		t.Error(err)
	}
	return b[:n]
}

func checkRead(t *testing.T, past *pastValues, data *Data, offset record.Offset) []byte {
	all := readPinned(t, data)
	last := record.Offset(-1)
	for set := all; ; {
		b, rest, err := record.Next(set)
		if err != nil {
			t.Errorf("reading from %d: %v", offset, err)
			return all
		}
		if b == nil {
			break
		}
		if err := b.Validate(); err != nil {
			t.Errorf("reading from %d: batch at %d: %v", offset, b.BaseOffset(), err)
			return all
		}
		if b.BaseOffset() <= last || b.LastOffset() < offset {
			t.Errorf("reading from %d: batch at %d after %d", offset, b.BaseOffset(), last)
		}
		last = b.LastOffset()
		_ = b.Each(func(r *record.Record) error {
			if !past.has(r.Offset, string(r.Value)) {
				t.Errorf("offset %d never held %.20q", r.Offset, r.Value)
			}
			return nil
		})
		set = rest
	}
	return all
}
