package storage

import (
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/sirupsen/logrus"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/protocol"
)

// logDir is one directory of log.dirs. It is online until the first I/O error
// on anything in it and never comes back without a restart.
type logDir struct {
	path string // as configured, made absolute
	fs   vfs.FS
	log  *logrus.Entry

	// background runs the work of all logs in the directory: flushes after a
	// roll, removal of deleted files, loading and closing.
	background *pool
	// small writes small files beside the logs, topic ids and leader epochs. A
	// file of epochs is two waits for the disk, and a new leader may owe thousands:
	// many at once share the disk's journal.
	small    *pool
	topicIDs topicIDWriter

	offline   atomic.Bool
	onFailure func(*logDir) // called once; returns at once, since locks may be held

	// lowerCheckpoints is Manager.lowerCheckpoints.
	lowerCheckpoints func(*logDir, ...TopicPartition)
	checkpointMu     sync.Mutex // one writer of the checkpoint files at a time
	// checkpoints is what the checkpoint files hold, by name; guarded by
	// checkpointMu. The maps never change.
	checkpoints map[string]map[TopicPartition]int64
	// highWatermarks tells of the last write of the checkpoint of high watermarks;
	// guarded by checkpointMu.
	highWatermarks struct {
		write int64 // the number of the write; 0: none in this life
		logs  int   // that were written
	}

	cleanAtStart bool // the clean-shutdown marker was there
	loaded       bool // all logs were loaded
	partlyLoaded bool // all but some, which are not served

	lockMu sync.Mutex // guards lock
	lock   io.Closer  // of .lock; nil while not held
}

// unlock lets other processes have the directory. After an orderly stop the
// lock file goes too, as a real broker of 3.8 and later has it; while the lock
// is still held, so that nobody can lock the file that is about to go.
func (d *logDir) unlock() {
	d.lockMu.Lock()
	defer d.lockMu.Unlock()
	if d.lock != nil {
		if !d.offline.Load() {
			if err := d.fs.Remove(d.file(lockFile)); err != nil {
				d.log.Warnf("Removing %s: %v", d.file(lockFile), err)
			}
		}
		if err := d.lock.Close(); err != nil {
			d.log.Warnf("Unlocking %s: %v", d.path, err)
		}
		d.lock = nil
	}
}

// check is nil while the directory is online.
func (d *logDir) check() error {
	if d.offline.Load() {
		return protocol.Errorf(protocol.KafkaStorageError,
			"The log dir %s is already offline due to a previous IO exception.", d.path)
	}
	return nil
}

func (d *logDir) file(name string) string { return filepath.Join(d.path, name) }
