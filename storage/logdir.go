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

// logDir is one directory of log.dirs. It is online until the first I/O error on anything in it,
// and never comes back without a restart.
type logDir struct {
	path string // as configured, made absolute
	fs   vfs.FS
	log  *logrus.Entry

	// background runs work for all logs in the directory: flushes after a roll, removal of deleted
	// files, loading and closing.
	background *pool
	// small writes the small files of logs: topic ids and leader epochs. Writing a file of epochs
	// waits for the disk twice, and a new leader may have thousands to write; when many are written
	// at once they share the disk's journal.
	small    *pool
	topicIDs topicIDWriter

	offline   atomic.Bool
	onFailure func(*logDir) // called once; must return at once, since locks may be held

	checkpoints dirCheckpoints

	lowWatermark int64 // monedula.disk.low.watermark.bytes; 0: the free space is not measured
	space        diskSpace
	measuring    sync.Mutex   // held while the free space is measured
	measureDue   atomic.Bool  // an append has begun a measurement
	later        func(func()) // runs work in the background

	cleanAtStart bool // the clean-shutdown marker existed
	loaded       bool // all logs were loaded
	partlyLoaded bool // all logs but some, which are not served

	lockMu sync.Mutex // guards lock
	lock   io.Closer  // the lock on the file .lock; nil while not held
}

// unlock releases the lock on the directory. After a clean shutdown it also removes the lock file,
// as real Kafka 3.8 and later does. It does so while it still holds the lock, so that no other
// process can lock the file that is about to be removed.
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

// check returns nil while the directory is online.
func (d *logDir) check() error {
	if d.offline.Load() {
		return protocol.Errorf(protocol.KafkaStorageError,
			"The log dir %s is already offline due to a previous IO exception.", d.path)
	}
	return nil
}

// syncNames makes the names of partition directories durable.
func (d *logDir) syncNames() error {
	if err := d.fs.SyncDir(d.path); err != nil {
		return d.fail("Error while renaming dirs of partitions in log dir "+d.path, err)
	}
	return nil
}

// checkpoint writes the recovery points and log starts of the directory's logs.
func (d *logDir) checkpoint() {
	d.checkpoints.writeRecoveryPoints()
	d.checkpoints.writeLogStarts()
}

func (d *logDir) file(name string) string { return filepath.Join(d.path, name) }
