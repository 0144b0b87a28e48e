package vfs

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheNthWriteOfAMatchingFileFails(t *testing.T) {
	fsys := Failing(NewMem(), Rule{Kinds: []OpKind{OpWrite}, Pattern: "*.log", Nth: 2, Err: syscall.ENOSPC})
	log := create(t, fsys, "/a.log", "one")
	create(t, fsys, "/b.index", "not counted")
	n, err := log.WriteAt([]byte("two"), 3)
	wantError(t, err, syscall.ENOSPC)
	if n != 0 || !strings.Contains(err.Error(), "/a.log") {
		t.Errorf("%d bytes, error %q", n, err)
	}
	_, err = log.WriteAt([]byte("three"), 3)
	must(t, err)
	if got := readAll(t, log); got != "onethree" {
		t.Errorf("the file is %q", got)
	}
}

func TestAShortWriteLeavesHalfOfTheBytes(t *testing.T) {
	fsys := Failing(NewMem(), Rule{Kinds: []OpKind{OpWrite}, Nth: 2, Err: syscall.EIO, Short: true})
	f := create(t, fsys, "/a", "")
	n, err := f.WriteAt([]byte("123456"), 0)
	wantError(t, err, syscall.EIO)
	if got := readAll(t, f); n != 3 || got != "123" {
		t.Errorf("%d bytes, the file is %q", n, got)
	}
}

func TestARuleWithoutAnErrorOnlyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := Failing(NewMem(), Rule{Kinds: []OpKind{OpSync}, Delay: time.Second})
		f := create(t, fsys, "/a", "x")
		start := time.Now()
		must(t, f.Sync())
		if took := time.Since(start); took != time.Second {
			t.Errorf("the sync took %v", took)
		}
	})
}

// everyOperation performs one operation of each kind and joins the errors.
func everyOperation(fsys FS) error {
	f, create := fsys.OpenFile("/a", os.O_RDWR|os.O_CREATE, 0o644)
	if create != nil {
		return create
	}
	b := []byte("x")
	_, write := f.WriteAt(b, 0)
	_, read := f.ReadAt(b, 0)
	_, stat := fsys.Stat("/a")
	_, list := fsys.ReadDir("/")
	_, open := fsys.OpenFile("/a", os.O_RDONLY, 0)
	_, lock := fsys.Lock("/l")
	if write != nil && read == io.EOF {
		read = nil
	}
	return errors.Join(write, read, stat, list, open, lock,
		f.Truncate(0), f.Preallocate(1), f.Sync(), f.Close(), fsys.MkdirAll("/d", 0), fsys.SyncDir("/"),
		fsys.Chtimes("/a", time.Now()), fsys.Rename("/a", "/b"), fsys.RemoveAll("/d"))
}

func TestInterceptShowsEveryOperation(t *testing.T) {
	var kinds []OpKind
	must(t, everyOperation(Intercept(NewMem(), func(op Op) error {
		kinds = append(kinds, op.Kind)
		return nil
	})))
	want := []OpKind{
		OpCreate, OpWrite, OpRead, OpStat, OpReadDir, OpOpen, OpLock, OpTruncate, OpTruncate, OpSync, OpClose,
		OpMkdir, OpSyncDir, OpChtimes, OpRename, OpRemove,
	}
	if !slices.Equal(kinds, want) {
		t.Errorf("saw  %v\nwant %v", kinds, want)
	}
}

func TestInterceptCanFailEveryOperation(t *testing.T) {
	stop := errors.New("stop")
	for _, kind := range []OpKind{
		OpCreate, OpWrite, OpRead, OpStat, OpReadDir, OpOpen, OpLock, OpTruncate, OpSync, OpClose,
		OpMkdir, OpSyncDir, OpChtimes, OpRename, OpRemove,
	} {
		fsys := Failing(NewMem(), Rule{Kinds: []OpKind{kind}, Err: stop})
		if err := everyOperation(fsys); !errors.Is(err, stop) {
			t.Errorf("%s did not fail: %v", kind, err)
		}
	}
}
