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

// ErrLocked is wrapped by the error of Lock if the lock is already held.
var ErrLocked = errors.New("locked by another process or by this one")

// An fcntl lock belongs to the process: locks of one process do not exclude each other, and closing
// any descriptor of the file releases the lock. So the process records its locked files in held.
// This list is the only state that two brokers in one process share, as in Java.
var (
	heldMu sync.Mutex
	held   []fs.FileInfo
)

type fileLock struct {
	file *os.File
	info fs.FileInfo
	once sync.Once
}

// lockFile locks the whole file like Java's FileChannel.tryLock, so the two exclude each other.
func lockFile(name string) (io.Closer, error) {
	refused := &fs.PathError{Op: "lock", Path: name, Err: ErrLocked}
	heldMu.Lock()
	defer heldMu.Unlock()
	// Check before opening: closing a second descriptor would release the lock.
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

// Close releases the lock. The file stays.
func (l *fileLock) Close() (err error) {
	l.once.Do(func() {
		heldMu.Lock()
		defer heldMu.Unlock()
		held = slices.DeleteFunc(held, func(h fs.FileInfo) bool { return os.SameFile(h, l.info) })
		err = l.file.Close()
	})
	return err
}
