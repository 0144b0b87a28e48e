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

// Log directories that answer with errors from some moment on, until the broker
// is started again with them as they were, or with empty ones in their place.

// disk is the broker's file system as it finds it.
func (b *broker) disk() vfs.FS {
	if !b.w.cfg.Disks {
		return b.fs
	}
	return vfs.Intercept(b.fs, func(op vfs.Op) error {
		if !b.w.check.looking && op.Kind != vfs.OpClose && b.broken[dirOf(op.Name)] {
			return syscall.EIO
		}
		return nil
	})
}

// dirOf is the log directory that a path is in.
func dirOf(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return "/" + first
}

// uniqueID is the part of a directory's name that nobody else gets.
func (w *world) uniqueID() string {
	w.names++
	return fmt.Sprintf("%032x", w.names)
}

// prefer says where a partition's log is made. Which directory has the fewest
// logs depends on what was deleted; this does not.
func (b *broker) prefer(p int32) {
	if dirs := b.w.dataDirs(); len(dirs) > 1 && b.logs.Log(tp(p)) == nil {
		_ = b.logs.PreferDir(tp(p), dirs[(p+b.id)%int32(len(dirs))]) // an offline one stays where it is
	}
}

// breakDisk has a directory fail. Where all that the broker has may be lost it
// may come back empty.
func (w *world) breakDisk(b *broker) {
	if !b.alive || len(b.broken) > 0 {
		return
	}
	dir := w.dataDirs()[w.random.IntN(2)]
	empty := w.chance(2) && w.mayLose(b)
	w.say("the log directory %s of broker %d fails, and comes back empty: %t", dir, b.id, empty)
	if empty {
		for p := range w.partitions {
			if log := b.logs.Log(tp(p)); log != nil && log.Dir() == dir {
				b.dirty[p] = true
			}
		}
	}
	b.broken[dir] = true
	w.after(w.between(500*time.Millisecond, 5*time.Second), func() { w.mend(b, dir, empty) })
}

// mend starts a broker with a directory in order again; nothing to be done if it
// is already.
func (w *world) mend(b *broker, dir string, empty bool) {
	if !b.broken[dir] {
		return
	}
	delete(b.broken, dir)
	w.say("the log directory %s of broker %d is in order again, empty: %t", dir, b.id, empty)
	if empty {
		b.clear(dir)
	}
	b.mended = dir
	if b.alive {
		b.crash(vfs.Everything)
		w.after(w.between(longestWay+100*time.Millisecond, 3*time.Second), b.boot)
	}
}

// clear removes all from a directory.
func (b *broker) clear(dir string) {
	for _, entry := range must(b.fs.ReadDir(dir)) {
		if err := b.fs.RemoveAll(dir + "/" + entry.Name()); err != nil {
			panic(err)
		}
	}
}

// removeDoubles does what the broker's refusal to start asks for: a partition that
// came anew while the directory with its old log was away is there twice, and the
// one in the directory that failed goes.
func (b *broker) removeDoubles() {
	if b.mended == "" {
		return
	}
	for p := range b.w.partitions {
		name := fmt.Sprintf("/%s-%d", tp(p).Topic, tp(p).Partition)
		everywhere := !slices.ContainsFunc(b.w.dataDirs(), func(dir string) bool {
			_, err := b.fs.Stat(dir + name)
			return os.IsNotExist(err)
		})
		if everywhere {
			b.w.say("broker %d has %s twice", b.id, name)
			if err := b.fs.RemoveAll(b.mended + name); err != nil {
				panic(err)
			}
		}
	}
	b.mended = ""
}

// LogDirFailed tells the controller, as Broker.LogDirFailed does. A broker without
// any directory ends.
func (b *broker) LogDirFailed(dir string) {
	b.w.say("broker %d gives up %s", b.id, dir)
	if !slices.ContainsFunc(b.logs.Dirs(), func(d storage.DirStatus) bool { return d.Online }) {
		b.w.fail("broker %d has no log directory left", b.id)
		return
	}
	b.after(0, func() {
		err := b.store.NotifyLogDirFailure(b.bound(), b.id)
		b.w.say("broker %d tells that %s failed: %v", b.id, dir, err)
	})
}

// serves says that the log's directory has not been given up. One that fails, which
// nobody has found out yet, serves what is in memory.
func (b *broker) serves(log *storage.Log) bool {
	return slices.ContainsFunc(b.logs.Dirs(), func(d storage.DirStatus) bool { return d.Path == log.Dir() && d.Online })
}

// intact says that none of the broker's directories fails.
func (b *broker) intact() bool { return len(b.broken) == 0 }
