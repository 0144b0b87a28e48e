package vfs

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Mem is a file system in memory. It records what has been synced (contents by File.Sync, names by
// SyncDir), so CrashClone can lose the rest.
type Mem struct {
	mu       sync.Mutex // guards the tree, all nodes and the fields below
	root     *node
	locks    map[string]bool
	capacity int64 // bytes; 0: unlimited
}

var _ FS = (*Mem)(nil)

// node is a file or directory.
type node struct {
	dir     bool
	modTime time.Time

	data   pages // of a file
	synced pages // content of the file at its last Sync

	children map[string]*node // of a directory
	// durable are the children at the last SyncDir. unsynced are the changes of names since then,
	// in order.
	durable  map[string]*node
	unsynced []nameChange
}

// nameChange sets a name in a directory, or removes it if node is nil. A rename within a directory
// is one change of two names.
type nameChange struct {
	name string
	node *node
	from string // old name of a rename, "" otherwise
}

func (c nameChange) apply(children map[string]*node) {
	if c.from != "" {
		delete(children, c.from)
	}
	if c.node == nil {
		delete(children, c.name)
	} else {
		children[c.name] = c.node
	}
}

// NewMem returns an empty file system with a root directory.
func NewMem() *Mem { return &Mem{root: newDir(), locks: map[string]bool{}} }

func newDir() *node {
	return &node{dir: true, modTime: time.Now(), children: map[string]*node{}, durable: map[string]*node{}}
}

func pathError(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

func split(name string) []string {
	return strings.FieldsFunc(filepath.Clean("/"+name), func(r rune) bool { return r == '/' })
}

// walkLocked returns the node of a name. The caller must hold mu.
func (m *Mem) walkLocked(op, name string) (*node, error) {
	n := m.root
	for _, part := range split(name) {
		if !n.dir {
			return nil, pathError(op, name, syscall.ENOTDIR)
		}
		if n = n.children[part]; n == nil {
			return nil, pathError(op, name, fs.ErrNotExist)
		}
	}
	return n, nil
}

// parentLocked returns the directory that holds name, and the last element of name. The caller must
// hold mu.
func (m *Mem) parentLocked(op, name string) (*node, string, error) {
	parts := split(name)
	if len(parts) == 0 {
		return nil, "", pathError(op, name, fs.ErrInvalid)
	}
	last := len(parts) - 1
	dir, err := m.walkLocked(op, strings.Join(parts[:last], "/"))
	if err != nil {
		return nil, "", pathError(op, name, errors.Unwrap(err))
	}
	if !dir.dir {
		return nil, "", pathError(op, name, syscall.ENOTDIR)
	}
	return dir, parts[last], nil
}

func (n *node) change(c nameChange) {
	c.apply(n.children)
	n.unsynced = append(n.unsynced, c)
	n.modTime = time.Now()
}

// OpenFile opens or creates a file.
func (m *Mem) OpenFile(name string, flag int, _ fs.FileMode) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parentLocked("open", name)
	if err != nil {
		return nil, err
	}
	n := dir.children[base]
	switch {
	case n == nil && flag&os.O_CREATE == 0:
		return nil, pathError("open", name, fs.ErrNotExist)
	case n == nil:
		n = &node{modTime: time.Now()}
		dir.change(nameChange{name: base, node: n})
	case n.dir:
		return nil, pathError("open", name, syscall.EISDIR)
	case flag&os.O_EXCL != 0:
		return nil, pathError("open", name, fs.ErrExist)
	}
	writable := flag&os.O_RDWR != 0
	if flag&os.O_TRUNC != 0 && writable && n.data.size > 0 {
		n.data.truncate(0)
		n.modTime = time.Now()
	}
	return &memFile{fs: m, node: n, name: name, writable: writable}, nil
}

// MkdirAll creates a directory and its parents.
func (m *Mem) MkdirAll(name string, _ fs.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.root
	for _, part := range split(name) {
		child := n.children[part]
		if child == nil {
			child = newDir()
			n.change(nameChange{name: part, node: child})
		}
		if !child.dir {
			return pathError("mkdir", name, syscall.ENOTDIR)
		}
		n = child
	}
	return nil
}

// Rename replaces newname. A rename between directories is two changes, of which a crash may keep
// only one; no caller relies on more.
func (m *Mem) Rename(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	from, old, err := m.parentLocked("rename", oldname)
	if err != nil {
		return err
	}
	to, base, err := m.parentLocked("rename", newname)
	if err != nil {
		return err
	}
	n := from.children[old]
	if n == nil {
		return pathError("rename", oldname, fs.ErrNotExist)
	}
	if target := to.children[base]; target == n {
		return nil
	} else if target != nil && target.dir != n.dir {
		return pathError("rename", newname, fs.ErrExist)
	} else if target != nil && target.dir && len(target.children) > 0 {
		return pathError("rename", newname, syscall.ENOTEMPTY)
	}
	if from == to {
		to.change(nameChange{name: base, node: n, from: old})
		return nil
	}
	to.change(nameChange{name: base, node: n})
	from.change(nameChange{name: old})
	return nil
}

// Link gives a file a second name.
func (m *Mem) Link(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.walkLocked("link", oldname)
	if err != nil {
		return err
	}
	if n.dir {
		return pathError("link", oldname, syscall.EPERM)
	}
	to, base, err := m.parentLocked("link", newname)
	if err != nil {
		return err
	}
	if to.children[base] != nil {
		return pathError("link", newname, fs.ErrExist)
	}
	to.change(nameChange{name: base, node: n})
	return nil
}

// Remove removes a file or an empty directory.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parentLocked("remove", name)
	if err != nil {
		return err
	}
	n := dir.children[base]
	if n == nil {
		return pathError("remove", name, fs.ErrNotExist)
	}
	if n.dir && len(n.children) > 0 {
		return pathError("remove", name, syscall.ENOTEMPTY)
	}
	dir.change(nameChange{name: base})
	return nil
}

// RemoveAll removes a file, or a directory and everything in it.
func (m *Mem) RemoveAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parentLocked("remove", name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && dir.children[base] == nil {
		return nil
	}
	if err != nil {
		return err
	}
	dir.children[base].empty()
	dir.change(nameChange{name: base})
	return nil
}

func (n *node) empty() {
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		n.children[name].empty()
		n.change(nameChange{name: name})
	}
}

// Stat describes a file or directory.
func (m *Mem) Stat(name string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.walkLocked("stat", name)
	if err != nil {
		return nil, err
	}
	return n.infoLocked(name), nil
}

// ReadDir returns the entries of a directory, sorted by name.
func (m *Mem) ReadDir(name string) ([]fs.DirEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.walkLocked("open", name)
	if err != nil {
		return nil, err
	}
	if !n.dir {
		return nil, pathError("readdir", name, syscall.ENOTDIR)
	}
	entries := make([]fs.DirEntry, 0, len(n.children))
	for _, child := range slices.Sorted(maps.Keys(n.children)) {
		entries = append(entries, fs.FileInfoToDirEntry(n.children[child].infoLocked(child)))
	}
	return entries, nil
}

// SyncDir makes the names in a directory durable.
func (m *Mem) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.walkLocked("sync", name)
	if err != nil {
		return err
	}
	if !n.dir {
		return pathError("sync", name, syscall.ENOTDIR)
	}
	n.durable, n.unsynced = maps.Clone(n.children), nil
	return nil
}

// Chtimes sets the modification time.
func (m *Mem) Chtimes(name string, mtime time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.walkLocked("chtimes", name)
	if err != nil {
		return err
	}
	n.modTime = mtime
	return nil
}

// Lock locks a file within this file system.
func (m *Mem) Lock(name string) (io.Closer, error) {
	f, err := m.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	f.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	key := filepath.Clean("/" + name)
	if m.locks[key] {
		return nil, pathError("lock", name, &LockedError{})
	}
	m.locks[key] = true
	return memLock{m, key}, nil
}

type memLock struct {
	fs  *Mem
	key string
}

func (l memLock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	delete(l.fs.locks, l.key)
	return nil
}

// Limit sets the capacity in bytes; 0 means unlimited, as at first. A write that would exceed it
// writes what fits and fails with ENOSPC. As on a real volume, zeros that were never written take no
// space.
func (m *Mem) Limit(capacity int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = capacity
}

// Usage reports the capacity and what is left of it, or an unused terabyte if there is no limit.
func (m *Mem) Usage(name string) (total, usable int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.walkLocked("statfs", name); err != nil {
		return 0, 0, err
	}
	if m.capacity == 0 {
		return 1 << 40, 1 << 40, nil
	}
	return m.capacity, max(0, m.capacity-m.root.used()), nil
}

// used returns the bytes that the files below a node take.
func (n *node) used() int64 {
	total := int64(0)
	for _, p := range n.data.pages {
		if p != nil {
			total += pageSize
		}
	}
	for _, child := range n.children {
		total += child.used()
	}
	return total
}

// fittingLocked returns how many of n bytes can be written to a file at off. The caller must hold
// mu.
func (m *Mem) fittingLocked(file *node, off int64, n int) int {
	if m.capacity == 0 {
		return n
	}
	free := m.capacity - m.root.used()
	for at := off; at < off+int64(n); at += pageSize - at%pageSize {
		if file.data.at(int(at/pageSize)) != nil {
			continue
		}
		if free -= pageSize; free < 0 {
			return int(at - off)
		}
	}
	return n
}

type memInfo struct {
	name    string
	size    int64
	dir     bool
	modTime time.Time
}

func (n *node) infoLocked(name string) fs.FileInfo {
	return memInfo{name: filepath.Base(name), size: n.data.size, dir: n.dir, modTime: n.modTime}
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) ModTime() time.Time { return i.modTime }
func (i memInfo) IsDir() bool        { return i.dir }
func (i memInfo) Sys() any           { return nil }
func (i memInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o755
	}
	return 0o644
}

// memFile is an open file. It remains usable after its name is removed.
type memFile struct {
	fs       *Mem
	node     *node
	name     string
	writable bool
	closed   bool // guarded by fs.mu
}

func (f *memFile) Name() string { return f.name }

// do runs an operation unless the file is closed, or the operation changes the file and the file
// was opened for reading.
func (f *memFile) do(op string, change bool, run func(n *node) error) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return pathError(op, f.name, fs.ErrClosed)
	}
	if change && !f.writable {
		return pathError(op, f.name, syscall.EBADF)
	}
	if change {
		f.node.modTime = time.Now()
	}
	return run(f.node)
}

func (f *memFile) ReadAt(b []byte, off int64) (n int, err error) {
	err = f.do("read", false, func(file *node) error {
		if off < 0 {
			return pathError("read", f.name, fs.ErrInvalid)
		}
		n = file.data.readAt(b, off)
		if n < len(b) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

func (f *memFile) WriteAt(b []byte, off int64) (n int, err error) {
	err = f.do("write", true, func(file *node) error {
		if off < 0 {
			return pathError("write", f.name, fs.ErrInvalid)
		}
		n = f.fs.fittingLocked(file, off, len(b))
		file.data.writeAt(b[:n], off)
		if n < len(b) {
			return pathError("write", f.name, syscall.ENOSPC)
		}
		return nil
	})
	return n, err
}

func (f *memFile) Truncate(size int64) error {
	return f.do("truncate", true, func(file *node) error {
		if size < 0 {
			return pathError("truncate", f.name, fs.ErrInvalid)
		}
		file.data.truncate(size)
		return nil
	})
}

func (f *memFile) Preallocate(size int64) error {
	return f.do("truncate", true, func(file *node) error {
		file.data.truncate(max(size, file.data.size))
		return nil
	})
}

func (f *memFile) Sync() error {
	return f.do("sync", false, func(file *node) error {
		file.synced = file.data.share()
		return nil
	})
}

func (f *memFile) Stat() (info fs.FileInfo, err error) {
	err = f.do("stat", false, func(file *node) error {
		info = file.infoLocked(f.name)
		return nil
	})
	return info, err
}

func (f *memFile) Close() error {
	return f.do("close", false, func(*node) error {
		f.closed = true
		return nil
	})
}
