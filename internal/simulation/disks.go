package simulation

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/storage"
)

// Log directories may fail: from some moment every operation on them returns an error. When the
// broker is started again they are as they were, or empty.

// disk returns the broker's file system, in which broken log directories fail.
func (b *broker) disk() vfs.FS {
	if !b.w.cfg.Disks && !b.w.cfg.Compaction && !b.w.cfg.LogMoves {
		return b.fs
	}
	life := b.life
	return vfs.Intercept(b.fs, func(op vfs.Op) error {
		switch {
		case b.w.check.looking || op.Kind == vfs.OpClose:
		case b.broken[dirOf(op.Name)], b.crashed(life, op):
			return syscall.EIO
		}
		return nil
	})
}

// dirOf returns the log directory that contains a path.
func dirOf(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return "/" + first
}

// uniqueID returns a unique part of a directory's name.
func (w *world) uniqueID() string {
	w.names++
	return fmt.Sprintf("%032x", w.names)
}

// prefer decides in which directory a partition's log is created. By default it is the directory
// with the fewest logs, which depends on when deletions happened.
func (b *broker) prefer(p int32) {
	if dirs := b.w.dataDirs(); len(dirs) > 1 && b.logs.Log(tp(p)) == nil {
		_ = b.logs.PreferDir(tp(p), dirs[(int(p)+int(b.id))%len(dirs)]) // an error means that the directory is offline; then the log stays where it is
	}
}

// breakDisk makes a log directory fail. It may come back empty if the broker may lose all its data.
func (w *world) breakDisk(b *broker) {
	if !b.alive || len(b.broken) > 0 {
		return
	}
	dir := w.dataDirs()[w.random.IntN(2)]
	empty := w.chance(2) && w.mayLose(b)
	w.say("the log directory %s of broker %d fails, and comes back empty: %t", dir, b.id, empty)
	if empty {
		for _, p := range w.places {
			if log := b.logs.Log(tp(p)); log != nil && log.Dir() == dir {
				b.lost(p)
			}
		}
	}
	b.broken[dir] = true
	w.after(w.between(500*time.Millisecond, 5*time.Second), func() { w.mend(b, dir, empty) })
}

// mend repairs a failed log directory and restarts the broker. It does nothing if the directory is
// not broken.
func (w *world) mend(b *broker, dir string, empty bool) {
	if !b.broken[dir] {
		return
	}
	delete(b.broken, dir)
	w.say("the log directory %s of broker %d is repaired, empty: %t", dir, b.id, empty)
	if empty {
		b.clear(dir)
	}
	b.mended = dir
	if b.alive {
		b.crash(vfs.Everything)
		w.after(w.between(longestWay+100*time.Millisecond, 3*time.Second), b.boot)
	}
}

// clear removes everything in a directory.
func (b *broker) clear(dir string) {
	for _, entry := range must(b.fs.ReadDir(dir)) {
		if err := b.fs.RemoveAll(dir + "/" + entry.Name()); err != nil {
			panic(err)
		}
	}
}

// removeDoubles removes partitions that exist twice, with which the broker refuses to start. Either a
// partition was created again while the directory with its old log was offline: then the log in the
// directory that failed is removed. Or a move was interrupted between its two renames: then both logs
// have the same records.
func (b *broker) removeDoubles() {
	remove := b.mended
	if remove == "" {
		if !b.w.cfg.LogMoves {
			return
		}
		remove = b.w.dataDirs()[b.w.random.IntN(2)]
	}
	for _, p := range b.w.places {
		name := fmt.Sprintf("/%s-%d", tp(p).Topic, tp(p).Partition)
		everywhere := !slices.ContainsFunc(b.w.dataDirs(), func(dir string) bool {
			_, err := b.fs.Stat(dir + name)
			return os.IsNotExist(err)
		})
		if everywhere {
			b.w.say("broker %d has %s twice", b.id, name)
			if err := b.fs.RemoveAll(remove + name); err != nil {
				panic(err)
			}
		}
	}
	b.mended = ""
}

// logDirs is notified of failed log directories in one life of the broker.
type logDirs struct {
	b    *broker
	life int
}

// LogDirFailed notifies the controller, as Broker.LogDirFailed does. A broker without any log
// directory ends.
func (l logDirs) LogDirFailed(dir string) {
	b := l.b
	if b.life != l.life {
		return
	}
	b.w.say("broker %d takes %s offline", b.id, dir)
	if b.online() == 0 {
		b.w.fail("broker %d has no log directory left", b.id)
		return
	}
	b.after(0, func() {
		err := b.store.NotifyLogDirFailure(b.bound(), b.id)
		b.w.say("broker %d reports that %s failed: %v", b.id, dir, err)
	})
}

// serves reports whether the log's directory is still online. A failing directory whose failure was
// not noticed yet serves what is in memory.
func (b *broker) serves(log *storage.Log) bool {
	return slices.ContainsFunc(b.logs.Dirs(), func(d storage.DirStatus) bool { return d.Path == log.Dir() && d.Online })
}

// online returns how many log directories the broker uses. A failing directory is one of them until
// the broker has noticed that it fails.
func (b *broker) online() (n int) {
	for _, d := range b.logs.Dirs() {
		if d.Online {
			n++
		}
	}
	return n
}

// intact reports whether none of the broker's directories fails.
func (b *broker) intact() bool { return len(b.broken) == 0 }
