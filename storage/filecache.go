package storage

import (
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"github.com/monedula/monedula/internal/vfs"
)

// fileCache opens files on demand and keeps a bounded number of idle ones open. Files with readers
// and held files (the active segment's) are open in addition to that number.
type fileCache struct {
	fs     vfs.FS
	limit  int
	blocks sync.Pool // of *indexBlock, for searching index files

	mu   sync.Mutex // guards the fields below; may be held when a cachedFile's mu is taken
	ring []*cachedFile
	hand int // index in ring where the next search for a file to close starts
}

// newFileCache returns a cache that keeps about limit idle files open.
func newFileCache(fs vfs.FS, limit int) *fileCache {
	return &fileCache{
		fs: fs, limit: max(limit, 1),
		blocks: sync.Pool{New: func() any { return new(indexBlock) }},
	}
}

// add returns a cachedFile for the path stem+suffix. The file need not exist yet and is not opened.
// The files of a segment share their stem.
func (c *fileCache) add(stem, suffix string) *cachedFile {
	return &cachedFile{cache: c, stem: stem, suffix: suffix}
}

// cachedFile is a file by name, open or not. All methods are safe for concurrent use.
//
// Readers acquire a handle and release it. The handle stays valid for them whatever happens to the
// file in the meantime: rename, removal, replacement, closing.
type cachedFile struct {
	cache *fileCache

	mu     sync.Mutex // guards the fields below, opening, and the user counts of its handles
	stem   string     // the path without the suffix
	suffix string
	open   *fileHandle // nil while not open
	create bool        // opening creates the file if it is missing
	held   bool        // by hold, which counts as a user of open
	closed bool        // permanently: no new users

	used   atomic.Bool // since the hand last passed it
	inRing atomic.Bool // changed under cache.mu
}

// fileHandle is an open file with a count of its users. Once the cachedFile has dropped the handle,
// the file closes with its last user.
type fileHandle struct {
	vfs.File
	of    *cachedFile
	users int // guarded by of.mu
}

// release removes a user.
func (h *fileHandle) release() {
	f := h.of
	f.mu.Lock()
	idle := f.releaseLocked(h)
	f.mu.Unlock()
	if idle && !f.inRing.Load() {
		f.cache.admit(f)
	}
}

// releaseLocked removes a user and reports whether the file is now open without users.
func (f *cachedFile) releaseLocked(h *fileHandle) (idle bool) {
	h.users--
	if h.users > 0 {
		return false
	}
	if h == f.open {
		return true
	}
	h.Close() // the writer has synced what must be durable
	return false
}

// name returns the file's current path.
func (f *cachedFile) name() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pathLocked()
}

func (f *cachedFile) pathLocked() string { return f.stem + f.suffix }

// acquire returns the open file, and opens it if necessary; the caller must release it. The error
// for a file that was removed or closed permanently wraps fs.ErrClosed.
func (f *cachedFile) acquire() (*fileHandle, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.acquireLocked()
}

func (f *cachedFile) acquireLocked() (*fileHandle, error) {
	if f.closed {
		return nil, &fs.PathError{Op: "open", Path: f.pathLocked(), Err: fs.ErrClosed}
	}
	if f.open == nil {
		flag := os.O_RDWR
		if f.create {
			flag |= os.O_CREATE
		}
		file, err := f.cache.fs.OpenFile(f.pathLocked(), flag, 0o644)
		if err != nil {
			return nil, err
		}
		f.open = &fileHandle{File: file, of: f}
	}
	f.open.users++
	f.used.Store(true)
	return f.open, nil
}

// hold keeps the file open until unhold is called. If create is set, a missing file is created. The
// returned file is valid until unhold, replace, remove or close is called.
func (f *cachedFile) hold(create bool) (vfs.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.held {
		f.create = f.create || create
		if _, err := f.acquireLocked(); err != nil {
			return nil, err
		}
		f.held = true
	}
	return f.open, nil
}

// unhold ends hold.
func (f *cachedFile) unhold() {
	f.mu.Lock()
	h, held := f.open, f.held
	f.held = false
	f.mu.Unlock()
	if held {
		h.release()
	}
}

// rename gives the file another suffix, on disk and in the cache. If the file does not exist, the
// error is fs.ErrNotExist but the cache uses the new name.
func (f *cachedFile) rename(suffix string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.pathLocked()
	f.suffix = suffix
	return f.cache.fs.Rename(old, f.pathLocked())
}

// moved sets the stem of the file's path after its directory was renamed.
func (f *cachedFile) moved(stem string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stem = stem
}

// replace drops the current handle: it closes after its last reader, and the next acquire opens the
// file that is then at the path. A held file is opened again at once.
func (f *cachedFile) replace() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	held := f.held
	f.dropLocked()
	if !held {
		return nil
	}
	_, err := f.acquireLocked()
	f.held = err == nil
	return err
}

// dropLocked drops the current handle, which closes after its last reader.
func (f *cachedFile) dropLocked() {
	h := f.open
	if h == nil {
		return
	}
	f.open = nil
	if f.held {
		f.held = false
		f.releaseLocked(h)
	} else if h.users == 0 {
		h.Close()
	}
}

// close closes the file permanently, after its last reader.
func (f *cachedFile) close() {
	f.mu.Lock()
	f.closed = true
	f.dropLocked()
	f.mu.Unlock()
	f.cache.forget(f)
}

// admit puts an idle open file into the ring and closes another if the ring exceeds the limit.
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
		c.takeOutLocked(c.hand)
	}
}

// leave takes a file out of the ring. It closes an idle file; a file in use stays open and comes
// back with its release. leave returns false if the file's lock is taken.
func (f *cachedFile) leave() bool {
	if !f.mu.TryLock() {
		return false
	}
	defer f.mu.Unlock()
	f.inRing.Store(false)
	if f.open != nil && f.open.users == 0 {
		f.dropLocked()
	}
	return true
}

func (c *fileCache) takeOutLocked(i int) {
	last := len(c.ring) - 1
	c.ring[i] = c.ring[last]
	c.ring[last] = nil
	c.ring = c.ring[:last]
}

// forget removes a closed file from the ring.
func (c *fileCache) forget(f *cachedFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !f.inRing.Load() {
		return
	}
	for i, g := range c.ring {
		if g == f {
			f.inRing.Store(false)
			c.takeOutLocked(i)
			return
		}
	}
}
