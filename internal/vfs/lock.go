package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// ErrLocked is wrapped by Lock's error when somebody else holds the lock.
var ErrLocked = errors.New("locked by another process or by this one")

// fcntl locks belong to the process: within it they neither exclude each other
// nor survive the closing of any descriptor of the file. So the process has to
// know what it has locked, whoever asks; this list is that knowledge, and the
// one thing that two brokers in a process share, as they do in Java.
var (
	heldMu sync.Mutex
	held   []fs.FileInfo
)

type fileLock struct {
	file *os.File
	info fs.FileInfo
	once sync.Once
}

// lockFile locks the whole file as Java's FileChannel.tryLock does, so that
// the two exclude each other.
func lockFile(name string) (io.Closer, error) {
	refused := &fs.PathError{Op: "lock", Path: name, Err: ErrLocked}
	heldMu.Lock()
	defer heldMu.Unlock()
	// Look before opening: closing a second descriptor would end the lock.
	if info, err := os.Stat(name); err == nil && slices.ContainsFunc(held, func(h fs.FileInfo) bool { return os.SameFile(h, info) }) {
		return nil, refused
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
	}
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		err = refused
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	held = append(held, info)
	return &fileLock{file: f, info: info}, nil
}

// Close gives the lock up; the file stays.
func (l *fileLock) Close() (err error) {
	l.once.Do(func() {
		heldMu.Lock()
		defer heldMu.Unlock()
		held = slices.DeleteFunc(held, func(h fs.FileInfo) bool { return os.SameFile(h, l.info) })
		err = l.file.Close()
	})
	return err
}
