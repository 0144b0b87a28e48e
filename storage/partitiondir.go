package storage

import (
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/record"
)

// partitionDir is the directory with the files of one log. It knows whether the log may be used and
// what a failure of an operation in the directory means; see failures.go.
type partitionDir struct {
	tp   TopicPartition
	name string // topic-partition
	dir  *logDir
	env  *environment
	path atomic.Pointer[string] // replaced by a rename

	closed  atomic.Bool // the log was closed or deleted
	givenUp atomic.Bool // closed because a change was interrupted

	names   unsynced // the names of the files
	dirName unsynced // the name of the directory itself
}

// Path returns the partition's own directory.
func (d *partitionDir) Path() string { return *d.path.Load() }

// log returns the logger for lines about this log.
func (d *partitionDir) log() kafkalog.Prefixed {
	return kafkalog.WithPrefix(d.env.logger, "kafka.log.UnifiedLog", "[UnifiedLog partition=%s, dir=%s] ", d.name, d.dir.path)
}

func (d *partitionDir) file(name string) string { return filepath.Join(d.Path(), name) }

// markDeleted adds .deleted to the names of a segment's files. A later start removes such files.
func (d *partitionDir) markDeleted(s *segment) error { return d.renameSegment(s, deletedSuffix) }

// renameSegment gives the files of a segment another suffix in addition to their own.
func (d *partitionDir) renameSegment(s *segment, suffix string) error {
	defer d.names.note()
	for i, f := range s.files() {
		if err := ignoreMissing(f.rename(segmentSuffixes[i] + suffix)); err != nil {
			return err
		}
	}
	return nil
}

// removeLeftover removes existing files that have the names of a new segment's files.
func (d *partitionDir) removeLeftover(base record.Offset) error {
	for _, suffix := range segmentSuffixes {
		name := segmentPath(d.Path(), base, suffix)
		if _, err := d.env.fs.Stat(name); err != nil {
			if err := ignoreMissing(err); err != nil {
				return err
			}
			continue
		}
		d.log().Warnf("Newly rolled segment file %s already exists; deleting it first", name)
		if err := d.env.fs.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// removeFile removes a file and reports whether it existed.
func (d *partitionDir) removeFile(name string) bool {
	err := d.env.fs.Remove(name)
	if ignoreMissing(err) != nil {
		d.ioError(deletingSegments, err)
	}
	return err == nil
}

// syncFile makes a file durable if it exists.
func (d *partitionDir) syncFile(name string) error {
	f, err := d.env.fs.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return ignoreMissing(err)
	}
	defer f.Close()
	return f.Sync()
}

// syncName makes the name of the directory durable. The caller must hold Log.flushing.
func (d *partitionDir) syncName() error {
	return d.dirName.settle(func() error { return d.env.fs.SyncDir(d.dir.path) })
}

// segmentSuffixes are the suffixes of a segment's files, in the order of segment.files.
var segmentSuffixes = [...]string{logSuffix, indexSuffix, timeIndexSuffix, txnIndexSuffix}
var segmentFileKinds = [...]string{"log", "offset index", "time index", "transaction index"}
