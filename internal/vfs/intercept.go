package vfs

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// OpKind is a kind of operation.
type OpKind string

// The kinds of operations. OpCreate is an OpenFile that may create or truncate a file. OpTruncate
// includes Preallocate.
const (
	OpOpen     OpKind = "open"
	OpCreate   OpKind = "create"
	OpRead     OpKind = "read"
	OpWrite    OpKind = "write"
	OpTruncate OpKind = "truncate"
	OpSync     OpKind = "sync"
	OpClose    OpKind = "close"
	OpMkdir    OpKind = "mkdir"
	OpRename   OpKind = "rename"
	OpLink     OpKind = "link"
	OpRemove   OpKind = "remove"
	OpStat     OpKind = "stat"
	OpReadDir  OpKind = "readdir"
	OpSyncDir  OpKind = "syncdir"
	OpChtimes  OpKind = "chtimes"
	OpLock     OpKind = "lock"
	OpUsage    OpKind = "statfs"
)

// Changes reports whether the operation changes what is stored or makes it durable.
func (k OpKind) Changes() bool {
	switch k {
	case OpOpen, OpRead, OpClose, OpStat, OpReadDir, OpLock, OpUsage:
		return false
	}
	return true
}

// Op is one operation on one file or directory.
type Op struct {
	Kind    OpKind
	Name    string
	NewName string // of a rename or link
	Size    int    // bytes read or written
}

// Intercept returns a file system that calls before ahead of every operation of base, in the
// calling goroutine. If before returns an error, the operation fails with it and does nothing,
// except that a write whose error is a *ShortWrite still writes some of its bytes.
func Intercept(base FS, before func(Op) error) FS { return &intercepted{base, before} }

// ShortWrite makes a write fail after some of its bytes.
type ShortWrite struct {
	N   int
	Err error
}

func (e *ShortWrite) Error() string { return e.Err.Error() }
func (e *ShortWrite) Unwrap() error { return e.Err }

type intercepted struct {
	base   FS
	before func(Op) error
}

// check calls before for one operation. Errors name the file as those of package os do.
func (i *intercepted) check(op Op) error {
	if err := i.before(op); err != nil {
		return &fs.PathError{Op: string(op.Kind), Path: op.Name, Err: err}
	}
	return nil
}

func (i *intercepted) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	kind := OpOpen
	if flag&(os.O_CREATE|os.O_TRUNC) != 0 {
		kind = OpCreate
	}
	if err := i.check(Op{Kind: kind, Name: name}); err != nil {
		return nil, err
	}
	f, err := i.base.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &interceptedFile{f, i}, nil
}

func (i *intercepted) MkdirAll(name string, perm fs.FileMode) error {
	if err := i.check(Op{Kind: OpMkdir, Name: name}); err != nil {
		return err
	}
	return i.base.MkdirAll(name, perm)
}

func (i *intercepted) Rename(oldname, newname string) error {
	if err := i.check(Op{Kind: OpRename, Name: oldname, NewName: newname}); err != nil {
		return err
	}
	return i.base.Rename(oldname, newname)
}

func (i *intercepted) Link(oldname, newname string) error {
	if err := i.check(Op{Kind: OpLink, Name: oldname, NewName: newname}); err != nil {
		return err
	}
	return i.base.Link(oldname, newname)
}

func (i *intercepted) Remove(name string) error {
	if err := i.check(Op{Kind: OpRemove, Name: name}); err != nil {
		return err
	}
	return i.base.Remove(name)
}

func (i *intercepted) RemoveAll(name string) error {
	if err := i.check(Op{Kind: OpRemove, Name: name}); err != nil {
		return err
	}
	return i.base.RemoveAll(name)
}

func (i *intercepted) Stat(name string) (fs.FileInfo, error) {
	if err := i.check(Op{Kind: OpStat, Name: name}); err != nil {
		return nil, err
	}
	return i.base.Stat(name)
}

func (i *intercepted) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := i.check(Op{Kind: OpReadDir, Name: name}); err != nil {
		return nil, err
	}
	return i.base.ReadDir(name)
}

func (i *intercepted) SyncDir(name string) error {
	if err := i.check(Op{Kind: OpSyncDir, Name: name}); err != nil {
		return err
	}
	return i.base.SyncDir(name)
}

func (i *intercepted) Chtimes(name string, mtime time.Time) error {
	if err := i.check(Op{Kind: OpChtimes, Name: name}); err != nil {
		return err
	}
	return i.base.Chtimes(name, mtime)
}

func (i *intercepted) Lock(name string) (io.Closer, error) {
	if err := i.check(Op{Kind: OpLock, Name: name}); err != nil {
		return nil, err
	}
	return i.base.Lock(name)
}

func (i *intercepted) Usage(name string) (total, usable int64, err error) {
	if err := i.check(Op{Kind: OpUsage, Name: name}); err != nil {
		return 0, 0, err
	}
	return i.base.Usage(name)
}

type interceptedFile struct {
	File
	fs *intercepted
}

func (f *interceptedFile) check(kind OpKind, size int) error {
	return f.fs.check(Op{Kind: kind, Name: f.Name(), Size: size})
}

func (f *interceptedFile) ReadAt(b []byte, off int64) (int, error) {
	if err := f.check(OpRead, len(b)); err != nil {
		return 0, err
	}
	return f.File.ReadAt(b, off)
}

func (f *interceptedFile) WriteAt(b []byte, off int64) (int, error) {
	err := f.check(OpWrite, len(b))
	if err == nil {
		return f.File.WriteAt(b, off)
	}
	short, ok := err.(*fs.PathError).Err.(*ShortWrite)
	if !ok {
		return 0, err
	}
	n, _ := f.File.WriteAt(b[:min(max(short.N, 0), len(b))], off)
	return n, err
}

func (f *interceptedFile) Truncate(size int64) error {
	if err := f.check(OpTruncate, 0); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *interceptedFile) Preallocate(size int64) error {
	if err := f.check(OpTruncate, 0); err != nil {
		return err
	}
	return f.File.Preallocate(size)
}

func (f *interceptedFile) Sync() error {
	if err := f.check(OpSync, 0); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *interceptedFile) Close() error {
	if err := f.check(OpClose, 0); err != nil {
		return err
	}
	return f.File.Close()
}

// Rule makes operations fail or wait. A rule without Kinds, Pattern or Nth matches any kind, name
// or number.
type Rule struct {
	Kinds   []OpKind
	Pattern string        // for filepath.Match, matched with the last element of the name
	Nth     int           // only the nth match, counted from 1
	Err     error         // nil: only wait
	Short   bool          // a failing write writes half of its bytes
	Delay   time.Duration // before the operation
}

// Failing returns a file system that obeys the rules. The first rule that matches an operation
// applies.
func Failing(base FS, rules ...Rule) FS {
	f := &failing{rules: rules, seen: make([]int, len(rules))}
	return Intercept(base, f.before)
}

type failing struct {
	rules []Rule

	mu   sync.Mutex
	seen []int // number of matches of each rule; guarded by mu
}

func (f *failing) before(op Op) error {
	i := f.match(op)
	if i < 0 {
		return nil
	}
	r := f.rules[i]
	if r.Delay > 0 {
		time.Sleep(r.Delay)
	}
	if r.Err != nil && r.Short {
		return &ShortWrite{N: op.Size / 2, Err: r.Err}
	}
	return r.Err
}

// match counts the operation and returns the index of the rule that applies, or -1.
func (f *failing) match(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, r := range f.rules {
		if len(r.Kinds) > 0 && !slices.Contains(r.Kinds, op.Kind) {
			continue
		}
		if r.Pattern != "" {
			if ok, err := filepath.Match(r.Pattern, filepath.Base(op.Name)); err != nil || !ok {
				continue
			}
		}
		f.seen[i]++
		if r.Nth == 0 || f.seen[i] == r.Nth {
			return i
		}
	}
	return -1
}
