package vfs

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
)

func names(t *testing.T, m *Mem, dir string) string {
	t.Helper()
	entries, err := m.ReadDir(dir)
	must(t, err)
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

// synced returns a file system with a durable directory /d.
func synced(t *testing.T) *Mem {
	m := NewMem()
	must(t, m.MkdirAll("/d", 0o755))
	must(t, m.SyncDir("/"))
	return m
}

func TestACrashLosesWhatWasNotSynced(t *testing.T) {
	m := synced(t)
	f := create(t, m, "/d/a", "kept")
	must(t, f.Sync())
	must(t, m.SyncDir("/d"))
	_, err := f.WriteAt([]byte("LOST and more"), 0)
	must(t, err)
	create(t, m, "/d/b", "no name").Sync()
	after := m.CrashClone(SyncedOnly, 0)
	if got := names(t, after, "/d"); got != "a" {
		t.Errorf("names %q", got)
	}
	if got := contentOf(t, after, "/d/a"); got != "kept" {
		t.Errorf("a is %q", got)
	}
	if got := contentOf(t, m, "/d/a"); got != "LOST and more" {
		t.Errorf("the original is %q", got)
	}
	if got := contentOf(t, m.CrashClone(Everything, 0), "/d/a"); got != "LOST and more" {
		t.Errorf("after a crash of only the process it is %q", got)
	}
}

func TestACrashOfTheProcessSyncsNothing(t *testing.T) {
	m := synced(t)
	f := create(t, m, "/d/a", "kept")
	must(t, f.Sync())
	must(t, m.SyncDir("/d"))
	_, err := f.WriteAt([]byte("LOST"), 0)
	must(t, err)
	create(t, m, "/d/b", "no name").Sync()
	must(t, m.Rename("/d/a", "/d/c"))
	killed := m.CrashClone(Everything, 0)
	if got := contentOf(t, killed, "/d/c"); got != "LOST" {
		t.Errorf("after the crash of the process it is %q", got)
	}
	create(t, killed, "/d/e", "of the next life")
	after := killed.CrashClone(SyncedOnly, 0)
	if got := names(t, after, "/d"); got != "a" {
		t.Errorf("names after a power cut %q", got)
	}
	if got := contentOf(t, after, "/d/a"); got != "kept" {
		t.Errorf("after a power cut it is %q", got)
	}
	if got := names(t, killed, "/d"); got != "b c e" {
		t.Errorf("names after the crash of the process %q", got)
	}
}

func TestACrashUndoesUnsyncedRemovalAndRename(t *testing.T) {
	m := synced(t)
	create(t, m, "/d/a", "a").Sync()
	create(t, m, "/d/b", "b").Sync()
	must(t, m.SyncDir("/d"))
	must(t, m.Remove("/d/a"))
	must(t, m.Rename("/d/b", "/d/c"))
	if got := names(t, m.CrashClone(SyncedOnly, 0), "/d"); got != "a b" {
		t.Errorf("names %q", got)
	}
	must(t, m.SyncDir("/d"))
	if got := names(t, m.CrashClone(SyncedOnly, 0), "/d"); got != "c" {
		t.Errorf("names %q after the directory was synced", got)
	}
}

func TestADurableNameOfAnUnsyncedFileIsEmpty(t *testing.T) {
	m := synced(t)
	create(t, m, "/d/a", "content")
	must(t, m.SyncDir("/d"))
	if got := contentOf(t, m.CrashClone(SyncedOnly, 0), "/d/a"); got != "" {
		t.Errorf("a is %q", got)
	}
}

func TestNamesSurviveInTheOrderTheyChanged(t *testing.T) {
	m := synced(t)
	for i := range 4 {
		create(t, m, fmt.Sprintf("/d/%d", i), "")
	}
	must(t, m.Rename("/d/0", "/d/4"))
	seen := map[string]bool{}
	for seed := range uint64(100) {
		seen[names(t, m.CrashClone(Random, seed), "/d")] = true
	}
	for _, want := range []string{"", "0", "0 1", "0 1 2", "0 1 2 3", "1 2 3 4"} {
		if !seen[want] {
			t.Errorf("never saw %q", want)
		}
		delete(seen, want)
	}
	if len(seen) > 0 {
		t.Errorf("saw %v", seen)
	}
}

func TestRandomSurvivalMixesPagesOfBothVersions(t *testing.T) {
	m := synced(t)
	f := create(t, m, "/d/a", strings.Repeat("o", 4*pageSize))
	must(t, f.Sync())
	must(t, m.SyncDir("/d"))
	_, err := f.WriteAt(bytes.Repeat([]byte("n"), 6*pageSize), 0)
	must(t, err)
	sizes, mixed, torn := map[int]bool{}, false, false
	for seed := range uint64(200) {
		got := contentOf(t, m.CrashClone(Random, seed), "/d/a")
		if len(got) < 4*pageSize || len(got) > 6*pageSize {
			t.Fatalf("size %d", len(got))
		}
		sizes[len(got)] = true
		mixed = mixed || strings.Contains(got, "o") && strings.Contains(got, "n")
		first := got[:pageSize]
		torn = torn || strings.Contains(first, "no")
		if strings.Contains(first, "on") {
			t.Fatal("a page was torn the wrong way round")
		}
		if again := contentOf(t, m.CrashClone(Random, seed), "/d/a"); again != got {
			t.Fatal("the same seed gave two results")
		}
	}
	if !mixed || !torn || len(sizes) < 10 {
		t.Errorf("mixed %v, torn %v, %d sizes", mixed, torn, len(sizes))
	}
}

func TestSyncedBytesAlwaysSurvive(t *testing.T) {
	m := synced(t)
	f := create(t, m, "/d/a", "synced")
	must(t, f.Sync())
	must(t, m.SyncDir("/d"))
	_, err := f.WriteAt([]byte("unsynced"), 6)
	must(t, err)
	for seed := range uint64(100) {
		got := contentOf(t, m.CrashClone(Random, seed), "/d/a")
		if !strings.HasPrefix(got, "synced") {
			t.Fatalf("seed %d: %q", seed, got)
		}
	}
}

func TestEverythingLeftAfterAPowerFailureIsDurable(t *testing.T) {
	m := synced(t)
	create(t, m, "/d/a", "x")
	whole := 0
	for seed := range uint64(20) {
		once := m.CrashClone(Random, seed)
		if names(t, once, "/d") == "" {
			continue
		}
		twice := once.CrashClone(SyncedOnly, 0)
		left := contentOf(t, once, "/d/a")
		if got := contentOf(t, twice, "/d/a"); got != left {
			t.Errorf("after the second power cut a is %q, not %q", got, left)
		}
		if left == "x" {
			whole++
		}
	}
	if whole == 0 {
		t.Error("no seed keeps the file")
	}
}

func TestWritesAfterACrashDoNotReachTheOriginal(t *testing.T) {
	m := synced(t)
	f := create(t, m, "/d/a", "original")
	must(t, f.Sync())
	must(t, m.SyncDir("/d"))
	after := m.CrashClone(SyncedOnly, 0)
	g, err := after.OpenFile("/d/a", os.O_RDWR, 0)
	must(t, err)
	_, err = g.WriteAt([]byte("changed!"), 0)
	must(t, err)
	if got := contentOf(t, m, "/d/a"); got != "original" {
		t.Errorf("the original is %q", got)
	}
	if got := contentOf(t, after.CrashClone(SyncedOnly, 0), "/d/a"); got != "original" {
		t.Errorf("what was durable is %q", got)
	}
}

func TestALinkSurvivesACrashOnceItsDirectoryIsSynced(t *testing.T) {
	m := NewMem()
	must(t, m.MkdirAll("/d", 0o755))
	f := create(t, m, "/a", "content")
	must(t, f.Sync())
	must(t, m.SyncDir("/"))
	must(t, m.Link("/a", "/d/b"))
	_, err := m.CrashClone(SyncedOnly, 0).Stat("/d/b")
	wantError(t, err, fs.ErrNotExist)
	must(t, m.SyncDir("/d"))
	if got := contentOf(t, m.CrashClone(SyncedOnly, 0), "/d/b"); got != "content" {
		t.Errorf("after the crash: %q", got)
	}
}
