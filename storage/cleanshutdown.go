package storage

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/monedula/monedula/internal/vfs"
)

// cleanShutdownMarker is what Kafka 3.7 and newer write: in ZooKeeper mode
// without a broker epoch. Older ones write an empty file; only that the file
// is there counts.
const cleanShutdownMarker = `{"version":0,"brokerEpoch":-1}`

// takeCleanShutdown says whether the log directory was closed in order, and
// removes the marker durably: a crash from here on counts as unclean
// (KAFKA-10471).
func takeCleanShutdown(fsys vfs.FS, dir string) (clean bool, err error) {
	if err := fsys.Remove(filepath.Join(dir, cleanShutdownFile)); errors.Is(err, fs.ErrNotExist) {
		// What a killed process renamed, such as a lowered checkpoint, is seen now but
		// may not be durable.
		return false, fsys.SyncDir(dir)
	} else if err != nil {
		return false, err
	}
	return true, fsys.SyncDir(dir)
}

// writeCleanShutdown marks the log directory as closed in order.
func writeCleanShutdown(fsys vfs.FS, dir string) error {
	if err := writeFileSynced(fsys, filepath.Join(dir, cleanShutdownFile), []byte(cleanShutdownMarker)); err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}
