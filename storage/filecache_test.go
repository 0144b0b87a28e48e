package storage

import (
	"io/fs"
	"os"
	"sync"
	"testing"

	"github.com/monedula/monedula/internal/vfs"
)

func contentOf(t *testing.T, f vfs.File) string {
	t.Helper()
	info, err := f.Stat()
	noError(t, err)
	b := make([]byte, info.Size())
	_, err = f.ReadAt(b, 0)
	noError(t, err)
	return string(b)
}

func TestIdleFilesStayOpenUpToALimit(t *testing.T) {
	var open counter
	mem := memDir(t)
	cache := newFileCache(open.over(mem), 3)
	var files []*cachedFile
	for i := range 20 {
		noError(t, writeFile(mem, fileNumber(i), []byte("x")))
		files = append(files, cache.add(fileNumber(i), ""))
	}
	for round := range 3 {
		for _, f := range files {
			h, err := f.acquire()
			noError(t, err)
			h.release()
			if open.open() > 4 {
				t.Fatalf("%d files are open in round %d", open.open(), round)
			}
		}
	}
	before := open.opened
	for range 10 {
		h, err := files[19].acquire()
		noError(t, err)
		h.release()
	}
	wantEqual(t, "opens of a file that is already open", open.opened-before, 0)
	for _, f := range files {
		f.close()
	}
	wantEqual(t, "files open at the end", open.open(), 0)
	wantEqual(t, "files in the ring at the end", len(cache.ring), 0)
}

func TestFilesInUseAndHeldFilesStayOpen(t *testing.T) {
	var open counter
	mem := memDir(t)
	cache := newFileCache(open.over(mem), 1)
	held := cache.add("/d/held", "")
	file, err := held.hold(true)
	noError(t, err)
	_, err = file.WriteAt([]byte("held"), 0)
	noError(t, err)
	noError(t, writeFile(mem, "/d/read", []byte("read")))
	read, err := cache.add("/d/read", "").acquire()
	noError(t, err)
	for i := range 10 {
		noError(t, writeFile(mem, fileNumber(i), nil))
		h, err := cache.add(fileNumber(i), "").acquire()
		noError(t, err)
		h.release()
	}
	wantEqual(t, "content", contentOf(t, file)+contentOf(t, read), "heldread")
	read.release()
	held.unhold()
	if open.open() > 2 {
		t.Errorf("%d files are open", open.open())
	}
}

func TestAHandleOutlivesRemovalRenameAndReplacement(t *testing.T) {
	var open counter
	mem := memDir(t)
	cache := newFileCache(open.over(mem), 2)
	noError(t, writeFile(mem, "/d/a", []byte("old")))
	f := cache.add("/d/", "a")
	h, err := f.acquire()
	noError(t, err)
	noError(t, f.rename("b"))
	wantEqual(t, "name", f.name(), "/d/b")

	noError(t, mem.Remove("/d/b"))
	noError(t, writeFile(mem, "/d/b", []byte("new")))
	noError(t, f.replace())
	h2, err := f.acquire()
	noError(t, err)
	wantEqual(t, "contents", contentOf(t, h)+contentOf(t, h2), "oldnew")

	f.close()
	noError(t, mem.Remove("/d/b"))
	wantEqual(t, "contents after removal", contentOf(t, h)+contentOf(t, h2), "oldnew")
	_, err = f.acquire()
	wantError(t, err, fs.ErrClosed)
	h.release()
	h2.release()
	wantEqual(t, "files open at the end", open.open(), 0)
}

func TestReplacingAHeldFileOpensTheNewOne(t *testing.T) {
	mem := memDir(t)
	f := newFileCache(mem, 2).add("/d/", "a")
	old, err := f.hold(true)
	noError(t, err)
	h, err := f.acquire()
	noError(t, err)
	noError(t, writeFile(mem, "/d/a.new", []byte("new")))
	noError(t, mem.Rename("/d/a.new", "/d/a"))
	noError(t, f.replace())
	now, err := f.hold(false)
	noError(t, err)
	wantEqual(t, "contents", contentOf(t, h)+contentOf(t, now), "new")
	h.release()
	if _, err := old.Stat(); err == nil {
		t.Error("the replaced file is still open without readers")
	}
}

func TestRenamingAMissingFileChangesItsName(t *testing.T) {
	f := newFileCache(memDir(t), 2).add("/d/", "a")
	wantError(t, f.rename("b"), fs.ErrNotExist)
	wantEqual(t, "name", f.name(), "/d/b")
	_, err := f.acquire()
	wantError(t, err, os.ErrNotExist)
}

func TestManyGoroutinesShareTheCache(t *testing.T) {
	mem := memDir(t)
	cache := newFileCache(mem, 4)
	var files []*cachedFile
	for i := range 16 {
		noError(t, writeFile(mem, fileNumber(i), []byte{byte(i)}))
		files = append(files, cache.add(fileNumber(i), ""))
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			b := make([]byte, 1)
			for i := range 2000 {
				n := (i*7 + g*3) % len(files)
				h, err := files[n].acquire()
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := h.ReadAt(b, 0); err != nil || int(b[0]) != n {
					t.Errorf("file %d: %v, %d", n, err, b[0])
				}
				if i%97 == 0 {
					if err := files[n].replace(); err != nil {
						t.Error(err)
					}
				}
				h.release()
			}
		})
	}
	wg.Wait()
}
