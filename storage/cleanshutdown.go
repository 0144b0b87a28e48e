package storage

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/monedula/monedula/internal/vfs"
)

// cleanShutdownMarker is the content that Kafka 3.7 and newer write in ZooKeeper mode, where there
// is no broker epoch. Older versions write an empty file; only the file's existence counts.
const cleanShutdownMarker = `{"version":0,"brokerEpoch":-1}`

// takeCleanShutdown reports whether the log directory was shut down cleanly, and removes the marker
// durably: a crash from now on counts as unclean (KAFKA-10471).
func takeCleanShutdown(fsys vfs.FS, dir string) (clean bool, err error) {
	if err := fsys.Remove(filepath.Join(dir, cleanShutdownFile)); errors.Is(err, fs.ErrNotExist) {
		// A rename by a killed process, such as that of a lowered checkpoint, is visible now but
		// may not be durable.
		return false, fsys.SyncDir(dir)
	} else if err != nil {
		return false, err
	}
	return true, fsys.SyncDir(dir)
}

// writeCleanShutdown marks the log directory as shut down cleanly. Kafka writes the file in place; a
// torn one would also count.
func writeCleanShutdown(fsys vfs.FS, dir string) error {
	return writeFileAtomic(fsys, filepath.Join(dir, cleanShutdownFile), []byte(cleanShutdownMarker))
}
