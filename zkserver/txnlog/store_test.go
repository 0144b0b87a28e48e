package txnlog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/zkserver/jute"
	"github.com/monedula/monedula/zkserver/tree"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func mustOpen(t *testing.T, fsys vfs.FS) *server {
	t.Helper()
	s, err := open(fsys, map[int64]*tree.Snapshot{})
	if err != nil {
		t.Fatal(err)
	}
	s.session = s.tree.Open(s.now, 6000)
	return s
}

// put creates or sets nodes, each in a commit of its own.
func (s *server) put(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if _, _, err := s.tree.Do(s.session, s.now, tree.Create{Path: path, Data: []byte(path)}); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if err := s.commit(); err != nil {
			t.Fatal(err)
		}
	}
}

func files(t *testing.T, fsys vfs.FS, dir string) (names []string) {
	t.Helper()
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestFilesHaveTheNamesAndTheContentOfZooKeepers(t *testing.T) {
	mem := vfs.NewMem()
	s := mustOpen(t, mem)
	s.put(t, "/a")
	if got := files(t, mem, "/data/version-2"); !slices.Equal(got, []string{"snapshot.0"}) {
		t.Errorf("snapshots: %v", got)
	}
	if got := files(t, mem, "/logs/version-2"); !slices.Equal(got, []string{"log.1"}) {
		t.Errorf("logs: %v", got)
	}
	raw := read(t, mem, "/logs/version-2/log.1")
	if len(raw) != 8<<10 || string(raw[:4]) != "ZKLG" || raw[7] != 2 {
		t.Errorf("%d bytes, beginning with %q", len(raw), raw[:16])
	}
	length := int(raw[16+11])
	if raw[16+12+length] != 'B' {
		t.Errorf("the entry of %d bytes ends with %d", length, raw[16+12+length])
	}
	snapshot := read(t, mem, "/data/version-2/snapshot.0")
	if string(snapshot[:4]) != "ZKSN" || !strings.HasSuffix(string(snapshot), "\x00\x00\x00\x01/") {
		t.Errorf("snapshot: %q", snapshot)
	}
}

func read(t *testing.T, fsys vfs.FS, name string) []byte {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(io.NewSectionReader(f, 0, info.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func overwrite(t *testing.T, fsys vfs.FS, name string, at int64, b []byte) {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// reopen closes a server and opens its files again.
func reopen(t *testing.T, s *server, fsys vfs.FS) (paths []string, warnings []string, err error) {
	t.Helper()
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	c := config(fsys)
	c.Warn = func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	store, tr, err := Open(c)
	if err != nil {
		return nil, warnings, err
	}
	t.Cleanup(func() { store.Close() })
	return tr.Paths(), warnings, nil
}

func TestALogThatWasBeingWrittenIsCutOff(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, mem *vfs.Mem, end int64)
	}{
		{"a flipped byte", func(t *testing.T, mem *vfs.Mem, end int64) {
			overwrite(t, mem, "/logs/version-2/log.1", end-10, []byte{99})
		}},
		{"no end", func(t *testing.T, mem *vfs.Mem, end int64) {
			overwrite(t, mem, "/logs/version-2/log.1", end-1, []byte{0})
		}},
		{"a length beyond the file", func(t *testing.T, mem *vfs.Mem, end int64) {
			overwrite(t, mem, "/logs/version-2/log.1", end, []byte("12345678\x7f\xff\xff\xff"))
		}},
	} {
		mem := vfs.NewMem()
		s := mustOpen(t, mem)
		s.put(t, "/a", "/b")
		end := s.store.current.end
		s.put(t, "/c")
		last := s.store.current.end
		if strings.HasPrefix(c.name, "a length") {
			end = last
		}
		c.spoil(t, mem, max(end, last))
		paths, warnings, err := reopen(t, s, mem)
		want := []string{"/a", "/b"}
		if end == last {
			want = append(want, "/c")
		}
		if err != nil || !slices.Equal(paths, want) || len(warnings) != 1 {
			t.Errorf("%s: %v, %v, %v", c.name, paths, warnings, err)
		}
		if got := int64(len(read(t, mem, "/logs/version-2/log.1"))); got != end {
			t.Errorf("%s: the log has %d bytes, want %d", c.name, got, end)
		}
	}
}

func TestADamagedEarlierLogIsRefused(t *testing.T) {
	mem := vfs.NewMem()
	s := mustOpen(t, mem)
	s.put(t, "/a", "/b")
	end := s.store.current.end
	if err := s.store.Roll(); err != nil {
		t.Fatal(err)
	}
	s.put(t, "/c")
	overwrite(t, mem, "/logs/version-2/log.1", end-10, []byte{99})
	if paths, _, err := reopen(t, s, mem); !errors.Is(err, ErrCorrupt) {
		t.Errorf("%v, %v", paths, err)
	}
}

func TestAnEarlierSnapshotReplacesADamagedOne(t *testing.T) {
	mem := vfs.NewMem()
	s := mustOpen(t, mem)
	s.put(t, "/a")
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	s.put(t, "/b")
	newest := "/data/version-2/snapshot.2"
	for at := range int64(len(read(t, mem, newest))) {
		damaged := mem.CrashClone(vfs.Everything, 0)
		overwrite(t, damaged, newest, at, []byte{0xfe})
		store, tr, err := Open(config(damaged))
		if err != nil || !slices.Equal(tr.Paths(), []string{"/a", "/b"}) {
			t.Fatalf("byte %d: %v", at, err)
		}
		store.Close()
	}
	overwrite(t, mem, newest, 30, []byte{0xfe})
	overwrite(t, mem, "/data/version-2/snapshot.0", 30, []byte{0xfe})
	if _, _, err := reopen(t, s, mem); !errors.Is(err, ErrCorrupt) {
		t.Errorf("no snapshot is whole: %v", err)
	}
}

func TestMissingFilesAreReported(t *testing.T) {
	mem := vfs.NewMem()
	s := mustOpen(t, mem)
	s.put(t, "/a")
	if err := s.store.Roll(); err != nil {
		t.Fatal(err)
	}
	s.put(t, "/b")
	if err := mem.Remove("/logs/version-2/log.1"); err != nil {
		t.Fatal(err)
	}
	if _, warnings, err := reopen(t, s, mem); err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "from 0x1 to 0x2 are missing") {
		t.Errorf("%v, %v", warnings, err)
	}
	mem = vfs.NewMem()
	s = mustOpen(t, mem)
	s.put(t, "/a")
	if err := mem.Remove("/data/version-2/snapshot.0"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := reopen(t, s, mem); err == nil || !strings.Contains(err.Error(), "no snapshot") {
		t.Errorf("a log without a snapshot: %v", err)
	}
	create, err := mem.OpenFile("/data/version-2/snapshot.9.gz", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	create.Close()
	if _, _, err := Open(config(mem)); err == nil || !strings.Contains(err.Error(), "compressed") {
		t.Errorf("a compressed snapshot: %v", err)
	}
}

func TestAFailedWriteEndsTheStore(t *testing.T) {
	for _, kind := range []vfs.OpKind{vfs.OpWrite, vfs.OpSync, vfs.OpTruncate} {
		mem := vfs.NewMem()
		s := mustOpen(t, vfs.Failing(mem, vfs.Rule{Kinds: []vfs.OpKind{kind}, Pattern: "log.*", Nth: 1, Err: syscall.ENOSPC}))
		for range 2 {
			if _, _, err := s.tree.Do(s.session, s.now, tree.Create{Path: "/s-", Sequential: true}); err != nil {
				t.Fatal(err)
			}
			if err := s.commit(); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("%s: %v", kind, err)
			}
		}
	}
}

func TestOnlyOneProcessUsesADirectory(t *testing.T) {
	mem := vfs.NewMem()
	s := mustOpen(t, mem)
	if _, _, err := Open(config(mem)); !errors.Is(err, ErrLocked) {
		t.Errorf("the second one: %v", err)
	}
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(config(mem)); err != nil {
		t.Error(err)
	}
}

func TestPurgeKeepsWhatASnapshotNeeds(t *testing.T) {
	mem := vfs.NewMem()
	s := mustOpen(t, mem)
	for i := range 4 {
		s.put(t, fmt.Sprintf("/%d", i))
		if err := errors.Join(s.store.Roll(), s.store.Save(s.tree.Snapshot())); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.store.Purge(2); err != nil {
		t.Fatal(err)
	}
	if got := files(t, mem, "/data/version-2"); !slices.Equal(got, []string{"snapshot.4", "snapshot.5"}) {
		t.Errorf("snapshots: %v", got)
	}
	if got := files(t, mem, "/logs/version-2"); !slices.Equal(got, []string{"log.5"}) {
		t.Errorf("logs: %v", got)
	}
	s.put(t, "/4")
	if paths, warnings, err := reopen(t, s, mem); err != nil || len(paths) != 5 || len(warnings) != 0 {
		t.Errorf("%v, %v, %v", paths, warnings, err)
	}
}

func TestLogsGrowInSteps(t *testing.T) {
	mem := vfs.NewMem()
	s := mustOpen(t, mem)
	for i := range 40 {
		if _, _, err := s.tree.Do(s.session, s.now, tree.Create{Path: fmt.Sprintf("/%d", i), Data: make([]byte, 3000)}); err != nil {
			t.Fatal(err)
		}
		if err := s.commit(); err != nil {
			t.Fatal(err)
		}
		if l := s.store.current; l.size%(8<<10) != 0 || l.size-l.end < growAhead {
			t.Fatalf("%d of %d bytes are used", l.end, l.size)
		}
	}
	if paths, _, err := reopen(t, s, mem); err != nil || len(paths) != 40 {
		t.Errorf("%d nodes, %v", len(paths), err)
	}
}

func FuzzLogsAreReadOrRefused(f *testing.F) {
	mem := vfs.NewMem()
	s, err := open(mem, map[int64]*tree.Snapshot{})
	if err != nil {
		f.Fatal(err)
	}
	s.session = s.tree.Open(1, 1)
	if _, _, err := s.tree.Multi(s.session, 1, tree.Create{Path: "/a"}); err != nil {
		f.Fatal(err)
	}
	f.Add(append(jute.Append(nil, &jute.FileHeader{Magic: logMagic, Version: fileVersion}), s.batch.buf...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		mem := vfs.NewMem()
		if err := mem.MkdirAll("/d", 0o755); err != nil {
			t.Fatal(err)
		}
		file, err := mem.OpenFile("/d/log", os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt(raw, 0); err != nil {
			t.Fatal(err)
		}
		r, err := newReader(file)
		if err != nil || r.header() != nil {
			return
		}
		tr := tree.New()
		for {
			header, txn, err := r.next()
			if err != nil {
				break
			}
			tr.Replay(header, txn)
		}
		tr.Loaded()
	})
}

func FuzzSnapshotsAreReadOrRefused(f *testing.F) {
	mem := vfs.NewMem()
	if _, err := open(mem, map[int64]*tree.Snapshot{}); err != nil {
		f.Fatal(err)
	}
	file, err := mem.OpenFile("/data/version-2/snapshot.0", os.O_RDONLY, 0)
	if err != nil {
		f.Fatal(err)
	}
	raw, _ := io.ReadAll(io.NewSectionReader(file, 0, 1<<20))
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		saved, err := decodeSnapshot(raw)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Error(err)
			}
			return
		}
		if tr, ok := tree.Restore(saved); ok {
			tr.Loaded()
			if got := tr.Snapshot().Zxid; !reflect.DeepEqual(got, saved.Zxid) {
				t.Errorf("zxid %d", got)
			}
		}
	})
}
