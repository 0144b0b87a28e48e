package storage

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"github.com/monedula/monedula/internal/vfs"
)

// fileCache opens files on demand and keeps a bounded number of idle ones
// open. Files that somebody reads, or that are held (the active segment's), are
// open beyond that number.
type fileCache struct {
	fs     vfs.FS
	limit  int
	blocks sync.Pool // of *indexBlock, for searching index files

	mu   sync.Mutex // guards all below; may be held when a cachedFile's mu is taken
	ring []*cachedFile
	hand int // where the search for a file to close goes on
}

// newFileCache returns a cache that keeps about limit idle files open.
func newFileCache(fs vfs.FS, limit int) *fileCache {
	return &fileCache{
		fs: fs, limit: max(limit, 1),
		blocks: sync.Pool{New: func() any { return new(indexBlock) }},
	}
}

// add makes a file known by its path, stem and suffix in a row; it need not
// exist yet, and is not opened. The files of a segment share their stem.
func (c *fileCache) add(stem, suffix string) *cachedFile {
	return &cachedFile{cache: c, stem: stem, suffix: suffix}
}

// cachedFile is a file by name, open or not. All methods are safe for
// concurrent use.
//
// Readers acquire a handle and release it; the handle stays good for them
// whatever happens to the file meanwhile: rename, removal, replacement, closing.
type cachedFile struct {
	cache *fileCache

	mu     sync.Mutex // guards all below, opening, and the users of its handles
	stem   string     // the path, but for the suffix
	suffix string
	open   *fileHandle // nil while not open
	create bool        // opening makes the file where absent
	held   bool        // by hold, which is a use of open
	closed bool        // for good: no new users

	used   atomic.Bool // since the hand last passed
	inRing atomic.Bool // changed under cache.mu
}

// fileHandle is an open file with a count of its users. It closes with the last
// one when the cachedFile has let it go.
type fileHandle struct {
	vfs.File
	of    *cachedFile
	users int // guarded by of.mu
}

// retain adds a user; only who has the handle already may call it.
func (h *fileHandle) retain() {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	h.users++
}

// release ends one use.
func (h *fileHandle) release() {
	f := h.of
	f.mu.Lock()
	idle := f.releaseLocked(h)
	f.mu.Unlock()
	if idle && !f.inRing.Load() {
		f.cache.admit(f)
	}
}

// releaseLocked ends one use and says whether the file is now open for nobody.
func (f *cachedFile) releaseLocked(h *fileHandle) (idle bool) {
	h.users--
	if h.users > 0 {
		return false
	}
	if h == f.open {
		return true
	}
	h.Close() // whoever wrote has synced what it cares for
	return false
}

// name is the file's present path.
func (f *cachedFile) name() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pathLocked()
}

func (f *cachedFile) pathLocked() string { return f.stem + f.suffix }

// acquire returns the open file, opening it where needed; the caller releases
// it. A file that was removed or closed for good is an error that wraps
// fs.ErrClosed.
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

// hold keeps the file open until letGo; with create it is made where absent.
// It returns the file, good until letGo, replace, remove or close.
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

// letGo makes a held file an ordinary one again.
func (f *cachedFile) letGo() {
	f.mu.Lock()
	h, held := f.open, f.held
	f.held = false
	f.mu.Unlock()
	if held {
		h.release()
	}
}

// busy says whether a reader has the file's present handle.
func (f *cachedFile) busy() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	users := 0
	if f.open != nil {
		users = f.open.users
	}
	if f.held {
		users--
	}
	return users > 0
}

// rename gives the file another suffix, on disk and here. A file that does not
// exist is fs.ErrNotExist; the new name holds all the same.
func (f *cachedFile) rename(suffix string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.pathLocked()
	f.suffix = suffix
	return f.cache.fs.Rename(old, f.pathLocked())
}

// moved tells the stem of the file's path after its directory was renamed.
func (f *cachedFile) moved(stem string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stem = stem
}

// replace lets the present handle go: it closes after its last reader, and the
// next acquire opens what is at the path then. A held file is opened anew at
// once.
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

// dropLocked gives up the present handle, which closes after its last reader.
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

// close closes the file for good, after its last reader.
func (f *cachedFile) close() {
	f.mu.Lock()
	f.closed = true
	f.dropLocked()
	f.mu.Unlock()
	f.cache.forget(f)
}

// remove deletes the file from disk and closes it for good, after its last
// reader. A file that does not exist is no error.
func (f *cachedFile) remove() error {
	f.close()
	if err := f.cache.fs.Remove(f.name()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
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
		c.takeOutLocked(c.hand)
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
			c.takeOutLocked(i)
			return
		}
	}
}
