// Package txnlog keeps a tree on disk, in the files of Apache ZooKeeper: every transaction is in a
// log, and from time to time the whole tree is in a snapshot. Apache ZooKeeper can continue with the
// files, and this package with those of Apache ZooKeeper.
//
//	store.go     the directories and what happens when they are opened
//	log.go       the format of logs; writing
//	replay.go    reading logs
//	snapshot.go  snapshots
//	purge.go     deleting files that are no longer needed
//
// A transaction is durable when Commit returns. One goroutine calls Commit and Roll; another one may
// call Save and Purge at the same time. The package has no locks.
package txnlog

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/zkserver/tree"
)

// Config says where the files are.
type Config struct {
	FS      vfs.FS
	DataDir string // of snapshots; the files are in its subdirectory version-2
	LogDir  string // of logs; the same as DataDir if empty
	// Preallocate is by how many bytes a log grows at a time; 0 means DefaultPreallocate.
	Preallocate int64
	// NoSync leaves it to the operating system when logs are written to the disk. Commit then returns
	// before its transactions are durable.
	NoSync bool
	// Warn, if not nil, is called with what an operator should know.
	Warn func(format string, args ...any)
}

// DefaultPreallocate is the growth of logs in Apache ZooKeeper.
const DefaultPreallocate = 64 << 20

const (
	logPrefix      = "log."
	snapshotPrefix = "snapshot."
	temporaryMark  = ".tmp"
	lockName       = "monedula.lock"
)

// Subdirectory returns the directory of the files in a configured one.
func Subdirectory(dir string) string { return filepath.Join(dir, "version-2") }

// Store is an open pair of directories.
type Store struct {
	fs          vfs.FS
	snaps, logs string
	preallocate int64
	noSync      bool
	warn        func(format string, args ...any)
	lock        io.Closer
	current     *logFile // nil: the next transaction begins a file
	SinceSave   int      // transactions that were replayed after the snapshot that Open read
	failed      error
}

// ErrLocked is returned by Open if another process has the directory open.
var ErrLocked = errors.New("another process uses the directory")

// Open reads the newest snapshot and the transactions after it, and returns the tree. If the
// directories are empty, it returns the tree of a new server. A log may end in the middle of a
// transaction, which then was not acknowledged; Open cuts it off.
func Open(c Config) (*Store, *tree.Tree, error) {
	if c.LogDir == "" {
		c.LogDir = c.DataDir
	}
	s := &Store{fs: c.FS, snaps: Subdirectory(c.DataDir), logs: Subdirectory(c.LogDir), preallocate: c.Preallocate, noSync: c.NoSync, warn: c.Warn}
	if s.preallocate <= 0 {
		s.preallocate = DefaultPreallocate
	}
	if s.warn == nil {
		s.warn = func(string, ...any) {}
	}
	for _, dir := range []string{c.DataDir, c.LogDir} {
		if err := s.makeDir(dir); err != nil {
			return nil, nil, err
		}
	}
	lock, err := s.fs.Lock(filepath.Join(c.DataDir, lockName))
	if errors.Is(err, vfs.ErrLocked) {
		return nil, nil, fmt.Errorf("%s: %w", c.DataDir, ErrLocked)
	}
	if err != nil {
		return nil, nil, err
	}
	s.lock = lock
	t, err := s.load()
	if err != nil {
		_ = lock.Close()
		return nil, nil, err
	}
	return s, t, nil
}

// makeDir creates a directory and its subdirectory for the files. It makes all names durable, because
// an earlier process may have been killed before it did.
func (s *Store) makeDir(dir string) error {
	path := Subdirectory(dir)
	if err := s.fs.MkdirAll(path, 0o755); err != nil {
		return err
	}
	for _, synced := range []string{filepath.Dir(filepath.Clean(dir)), dir, path} {
		if err := s.fs.SyncDir(synced); err != nil {
			return err
		}
	}
	return nil
}

// load reads the files.
func (s *Store) load() (*tree.Tree, error) {
	if err := s.removeTemporaries(); err != nil {
		return nil, err
	}
	snapshots, err := s.list(s.snaps, snapshotPrefix)
	if err != nil {
		return nil, err
	}
	logs, err := s.list(s.logs, logPrefix)
	if err != nil {
		return nil, err
	}
	if len(snapshots) == 0 {
		if len(logs) > 0 {
			return nil, fmt.Errorf("%s has transaction logs, but %s has no snapshot: a snapshot was deleted, or dataDir or dataLogDir was changed", s.logs, s.snaps)
		}
		t := tree.New()
		return t, s.Save(t.Snapshot()) // Apache ZooKeeper opens no log without a snapshot
	}
	saved, err := s.newest(snapshots)
	if err != nil {
		return nil, err
	}
	t, ok := tree.Restore(saved)
	if !ok {
		return nil, fmt.Errorf("the snapshot of 0x%x in %s has a node without a parent", saved.Zxid, s.snaps)
	}
	return t, s.replay(t, logs)
}

// numbered is a file whose name ends with a zxid.
type numbered struct {
	name string
	zxid int64 // of the first transaction of a log, of the last one that a snapshot contains in any case
}

// list returns the files of a kind in ascending order.
func (s *Store) list(dir, prefix string) ([]numbered, error) {
	entries, err := s.fs.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []numbered
	for _, e := range entries {
		number, found := strings.CutPrefix(e.Name(), prefix)
		if !found || e.IsDir() {
			continue
		}
		number, compression, compressed := strings.Cut(number, ".")
		zxid, err := strconv.ParseInt(number, 16, 64)
		switch {
		case err != nil:
			continue
		case compressed && prefix == snapshotPrefix && (compression == "gz" || compression == "snappy"):
			return nil, fmt.Errorf("%s is compressed, which is not supported: let Apache ZooKeeper save one without snapshot.compression.method", filepath.Join(dir, e.Name()))
		case compressed:
			continue
		}
		files = append(files, numbered{e.Name(), zxid})
	}
	slices.SortFunc(files, func(a, b numbered) int { return cmp.Compare(a.zxid, b.zxid) })
	return files, nil
}

// removeTemporaries deletes snapshots that were not finished.
func (s *Store) removeTemporaries() error {
	entries, err := s.fs.ReadDir(s.snaps)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "."+snapshotPrefix) && strings.HasSuffix(e.Name(), temporaryMark) {
			if err := s.fs.Remove(filepath.Join(s.snaps, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// Usage returns the bytes of all files of a directory, as the four-letter word conf prints them.
func (s *Store) Usage() (snapshots, logs int64) {
	size := func(dir string) (sum int64) {
		entries, _ := s.fs.ReadDir(dir)
		for _, e := range entries {
			if info, err := e.Info(); err == nil && !e.IsDir() {
				sum += info.Size()
			}
		}
		return sum
	}
	return size(s.snaps), size(s.logs)
}

// Close closes the files. Transactions that were not committed are lost.
func (s *Store) Close() error {
	err := s.closeLog()
	return errors.Join(err, s.lock.Close())
}
