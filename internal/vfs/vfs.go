// Package vfs is the file system as a parameter. All files of Monedula are accessed through an FS,
// so tests can substitute memory, failures and crashes. Files have no shared position: reads and
// writes take an offset.
package vfs

import (
	"io"
	"io/fs"
	"time"
)

// FS is a file system. Paths are those of package os. Errors wrap the fs.Err* values as those of
// package os do.
type FS interface {
	// OpenFile opens or creates a file. flag is os.O_RDONLY or os.O_RDWR, with os.O_CREATE,
	// os.O_EXCL and os.O_TRUNC.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	MkdirAll(name string, perm fs.FileMode) error
	// Rename replaces newname atomically. It is durable after a SyncDir of the parent.
	Rename(oldname, newname string) error
	// Link gives a file a second name, which must not exist (fs.ErrExist). It is durable after a
	// SyncDir of newname's parent. Not every volume supports it.
	Link(oldname, newname string) error
	Remove(name string) error
	RemoveAll(name string) error
	Stat(name string) (fs.FileInfo, error)
	// ReadDir returns the entries of a directory, sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	// SyncDir makes the names in a directory durable.
	SyncDir(name string) error
	Chtimes(name string, mtime time.Time) error
	// Lock takes an exclusive fcntl record lock on the whole file, which it creates if missing. It
	// returns ErrLocked, in a LockedError, if another process or this one holds the lock. Closing
	// any descriptor of the file releases the lock, so other code must not open the file.
	Lock(name string) (io.Closer, error)
	// Usage returns the total and the usable bytes of the volume that contains name. Usable bytes
	// are those that a process without privileges may still write.
	Usage(name string) (total, usable int64, err error)
}

// File is an open file. A file of the real file system is also a syscall.Conn, so package network
// can send from it without copying.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Name() string
	Truncate(size int64) error
	// Preallocate extends the file to size bytes, which read as zeros.
	Preallocate(size int64) error
	Sync() error
	Stat() (fs.FileInfo, error)
}
