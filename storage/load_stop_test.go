package storage

import (
	"context"
	"runtime"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
)

// A load that is stopped ends within a batch and writes neither checkpoints nor a marker for logs
// that it did not finish. The next start recovers everything.
func TestAfterAStoppedLoadTheNextStartRecovers(t *testing.T) {
	const batches = 400
	mem := vfs.NewMem()
	h := start(t, mem)
	for i := range int32(3) {
		l, err := h.GetOrCreate(tpOf("t", i), metadata.TopicID{1}, testTopic(), true)
		noError(t, err)
		fill(t, l, batches, 4<<10, 1)
	}
	noError(t, h.Close())
	for _, c := range []struct {
		name  string
		clean bool
	}{{"after a crash", false}, {"after a clean shutdown", true}} {
		t.Run(c.name, func(t *testing.T) {
			disk := mem.CrashClone(vfs.Everything, 0)
			if !c.clean {
				noError(t, disk.Remove("/data/"+cleanShutdownFile))
				noError(t, disk.Remove("/data/"+recoveryPointFile))
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var m *Manager
			var read int // bytes of .log files read after the stop
			fsys := vfs.Intercept(disk, func(op vfs.Op) error {
				switch {
				case ctx.Err() != nil && op.Kind == vfs.OpRead && strings.HasSuffix(op.Name, ".log"):
					read += op.Size
				case op.Kind == vfs.OpRead && strings.HasSuffix(op.Name, ".log"):
					stop()
					for !m.env.loadStopped.Load() { // set by another goroutine
						runtime.Gosched()
					}
				}
				return nil
			})
			cfg, _, _ := testConfig(fsys, "/data")
			cfg.Options.RecoveryThreads = 1
			var err error
			m, err = NewManager(cfg)
			noError(t, err)
			wantError(t, m.Load(ctx), context.Canceled)
			if most := 1 << 20; read > most {
				t.Errorf("%d bytes were read after the stop, want at most %d of %d", read, most, 3*batches*(4<<10))
			}
			noError(t, m.Close())
			marker := fileContent(t, disk, "/data/"+cleanShutdownFile)
			if c.clean != (marker != "absent") {
				t.Errorf("the marker of a clean shutdown is %q", marker)
			}
			if !c.clean {
				if point := fileContent(t, disk, "/data/"+recoveryPointFile); point != "absent" {
					t.Errorf("recovery points were written: %q", point)
				}
			}
			again := start(t, disk)
			for i := range int32(3) {
				if end := again.Log(tpOf("t", i)).Offsets().LogEnd; end != batches {
					t.Errorf("after the next start t-%d ends at %d, want %d", i, end, batches)
				}
			}
			if recovered := strings.Count(again.lines.String(), "Recovering 3 logs from /data since no clean shutdown file was found"); c.clean != (recovered == 0) {
				t.Errorf("the next start logged %d recoveries", recovered)
			}
		})
	}
}
