package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// ErrLocked is wrapped by the error of Lock if the lock is already held.
var ErrLocked = errors.New("locked by another process or by this one")

// LockedError names the holder of a lock. The error of Lock wraps it; it wraps ErrLocked.
type LockedError struct {
	PID int // of the process that holds the lock; 0: this process, or unknown
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return ErrLocked.Error()
	}
	return fmt.Sprintf("locked by process %d", e.PID)
}

func (e *LockedError) Unwrap() error { return ErrLocked }

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
	refused := func(pid int) error { return &fs.PathError{Op: "lock", Path: name, Err: &LockedError{pid}} }
	heldMu.Lock()
	defer heldMu.Unlock()
	// Check before opening: closing a second descriptor would release the lock.
	if info, err := os.Stat(name); err == nil && slices.ContainsFunc(held, func(h fs.FileInfo) bool { return os.SameFile(h, info) }) {
		return nil, refused(0)
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
		err = refused(holder(f))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	held = append(held, info)
	return &fileLock{file: f, info: info}, nil
}

// holder returns the id of the process that has locked a file, or 0 if it is unknown.
func holder(f *os.File) int {
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock); err != nil || lock.Type == unix.F_UNLCK {
		return 0
	}
	return max(0, int(lock.Pid))
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
