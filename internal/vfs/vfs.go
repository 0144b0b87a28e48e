// Package vfs is the file system as a parameter: everything that Monedula
// keeps on disk goes through an FS, so that tests can put memory, failures and
// crashes in its place. There is no shared file position: reads and writes
// name theirs.
package vfs

import (
	"io"
	"io/fs"
	"time"
)

// FS is one file system. Paths are those of package os. Errors wrap the
// fs.Err* values as package os does.
type FS interface {
	// OpenFile opens or creates a file; flag is made of os.O_RDONLY or
	// os.O_RDWR with os.O_CREATE, os.O_EXCL and os.O_TRUNC.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	MkdirAll(name string, perm fs.FileMode) error
	// Rename replaces newname atomically. It is durable after SyncDir of the parent.
	Rename(oldname, newname string) error
	// Link gives a file a second name, which must be absent (fs.ErrExist). It is
	// durable after SyncDir of newname's parent. Not every volume can do it.
	Link(oldname, newname string) error
	Remove(name string) error
	RemoveAll(name string) error
	Stat(name string) (fs.FileInfo, error)
	// ReadDir lists a directory sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	// SyncDir makes the names in a directory durable.
	SyncDir(name string) error
	Chtimes(name string, mtime time.Time) error
	// Lock takes an exclusive fcntl record lock over the whole file, created
	// when absent; ErrLocked when another process (or this one) holds it. The
	// lock is lost when any descriptor of the file closes, so nobody else may
	// open it.
	Lock(name string) (io.Closer, error)
	// Usage tells the total and the usable bytes of the volume below name.
	Usage(name string) (total, usable int64, err error)
}

// File is an open file. A file of the real file system is also a syscall.Conn,
// which lets package network send from it without copying.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Name() string
	Truncate(size int64) error
	// Preallocate extends the file to size bytes that read as zeros.
	Preallocate(size int64) error
	Sync() error
	Stat() (fs.FileInfo, error)
}
