package storage

import (
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"

	"github.com/monedula/monedula/internal/vfs"
)

// fileCache opens files on demand and keeps a bounded number of idle ones
// open. A file in use is open beyond that number: who keeps a segment active
// acquires its files and releases them when it rolls.
type fileCache struct {
	fs    vfs.FS
	limit int

	mu   sync.Mutex // guards all below; may be held when a cachedFile's mu is taken
	ring []*cachedFile
	hand int // where the search for a file to close goes on
}

// newFileCache returns a cache that keeps about limit idle files open.
func newFileCache(fs vfs.FS, limit int) *fileCache {
	return &fileCache{fs: fs, limit: max(limit, 1)}
}

// add makes a file known by its path. It is opened with flag when it is first
// acquired; with os.O_CREATE in flag it is created then.
func (c *fileCache) add(path string, flag int) *cachedFile {
	return &cachedFile{cache: c, at: path, flag: flag}
}

// cachedFile is a file by name, open or not. All methods are safe for
// concurrent use. A file that was acquired stays good whatever happens to its
// name meanwhile: rename, removal, closing.
type cachedFile struct {
	cache *fileCache
	flag  int

	mu     sync.Mutex // guards all below, and opening
	at     string
	file   vfs.File // nil while not open
	users  int      // acquired and not released
	closed bool     // for good: no new users, and the file closes with the last

	used   atomic.Bool // since the hand last passed
	inRing atomic.Bool // changed under cache.mu
}

// path is the file's present path.
func (f *cachedFile) path() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at
}

// acquire returns the open file; every call needs a release. A file that was
// removed or closed is an error that wraps fs.ErrClosed.
func (f *cachedFile) acquire() (vfs.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, &fs.PathError{Op: "open", Path: f.at, Err: fs.ErrClosed}
	}
	if f.file == nil {
		file, err := f.cache.fs.OpenFile(f.at, f.flag, 0o644)
		if err != nil {
			return nil, err
		}
		f.file = file
	}
	f.users++
	f.used.Store(true)
	return f.file, nil
}

// release ends one use.
func (f *cachedFile) release() {
	f.mu.Lock()
	f.users--
	last := f.users == 0
	if last && f.closed {
		f.shutLocked()
	}
	idle := last && f.file != nil
	f.mu.Unlock()
	if idle && !f.inRing.Load() {
		f.cache.admit(f)
	}
}

// busy says whether the file is in use.
func (f *cachedFile) busy() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.users > 0
}

// rename gives the file another path, on disk and here. A file that does not
// exist is fs.ErrNotExist; the new path holds all the same.
func (f *cachedFile) rename(path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.at
	f.at = path
	return f.cache.fs.Rename(old, path)
}

// moved tells the file's path after its directory was renamed.
func (f *cachedFile) moved(path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at = path
}

// close closes the file for good, after its last user.
func (f *cachedFile) close() {
	f.mu.Lock()
	f.closed = true
	if f.users == 0 {
		f.shutLocked()
	}
	f.mu.Unlock()
	f.cache.forget(f)
}

// remove deletes the file from disk and closes it for good, after its last
// user. A file that does not exist is no error.
func (f *cachedFile) remove() error {
	f.close()
	if err := f.cache.fs.Remove(f.path()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// shutLocked closes the file. What was written has been synced by those who
// care, so that a failing close loses nothing.
func (f *cachedFile) shutLocked() {
	if f.file != nil {
		f.file.Close()
		f.file = nil
	}
}

// admit puts an idle open file into the ring and closes another where there
// are too many.
func (c *fileCache) admit(f *cachedFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.inRing.Load() {
		return
	}
	f.inRing.Store(true)
	c.ring = append(c.ring, f)
	// Two rounds: the first may only clear marks of recent use.
	for steps := 2 * len(c.ring); len(c.ring) > c.limit && steps > 0; steps-- {
		c.hand %= len(c.ring)
		if g := c.ring[c.hand]; g == f || g.used.Swap(false) || !g.leave() {
			c.hand++
			continue
		}
		c.dropLocked(c.hand)
	}
}

// leave makes an idle file leave the ring, closed; a file in use leaves it
// open, to come back with its release. False when its lock is taken.
func (f *cachedFile) leave() bool {
	if !f.mu.TryLock() {
		return false
	}
	defer f.mu.Unlock()
	f.inRing.Store(false)
	if f.users == 0 {
		f.shutLocked()
	}
	return true
}

func (c *fileCache) dropLocked(i int) {
	last := len(c.ring) - 1
	c.ring[i] = c.ring[last]
	c.ring[last] = nil
	c.ring = c.ring[:last]
}

// forget takes a closed file out of the ring.
func (c *fileCache) forget(f *cachedFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !f.inRing.Load() {
		return
	}
	for i, g := range c.ring {
		if g == f {
			f.inRing.Store(false)
			c.dropLocked(i)
			return
		}
	}
}
