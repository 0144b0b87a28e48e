package storage

import (
	"sync/atomic"
	"testing"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/record"
)

// Most reads of consumers that have caught up are at the high watermark. They must not cost a look
// into an index or a segment, although records follow.
func TestAReadAtItsBoundUsesNoFile(t *testing.T) {
	var operations atomic.Int64
	h := start(t, vfs.Intercept(vfs.NewMem(), func(vfs.Op) error {
		operations.Add(1)
		return nil
	}))
	l := h.log(t, testTopic())
	appendValues(t, l, 1, "a", "b", "c")
	l.SetHighWatermark(1)
	for offset := record.Offset(1); offset <= 2; offset++ {
		before := operations.Load()
		data, err := l.Read(Read{Offset: offset, MaxBytes: 1, Bound: UpToHighWatermark, AbortedWanted: true})
		noError(t, err)
		if data.File != nil || data.FirstBatchIncomplete || operations.Load() != before {
			t.Errorf("read at %d: %+v after %d operations", offset, data, operations.Load()-before)
		}
		data.Release()
	}
}
