package simulation

import (
	"slices"
	"strings"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/replication"
)

// Operators move logs to the other log directory of their broker while faults happen. The broker may
// crash before each change of the names of directories.

// moveLog moves a log of the broker to its other directory.
func (w *world) moveLog(b *broker) {
	p := w.places[w.random.Int32N(int32(len(w.places)))]
	if !b.alive {
		return
	}
	log := b.logs.Log(tp(p))
	if log == nil {
		return
	}
	dirs := w.dataDirs()
	to := dirs[1-slices.Index(dirs, log.Dir())]
	b.after(0, func() {
		err := b.replicas.AlterLogDir(tp(p), to)
		w.say("broker %d shall move partition %d to %s: %v", b.id, p, to, err)
	})
}

// drive makes the next step of a worker that moves logs, and schedules the one after it.
func (b *broker) drive(m *replication.Mover, pause time.Duration) {
	b.after(pause, func() {
		if pause, left := m.Step(); left {
			b.drive(m, max(pause, b.w.between(0, 2*time.Millisecond)))
		}
	})
}

// ofMove reports whether an operation renames the directory of a log.
func ofMove(op vfs.Op) bool {
	return op.Kind == vfs.OpRename && (strings.HasSuffix(op.Name, "-future") || strings.HasSuffix(op.NewName, "-delete"))
}

// moving reports whether a log of the broker is being moved.
func (b *broker) moving() bool { return len(b.logs.FutureLogs()) > 0 }
