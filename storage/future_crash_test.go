package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
)

// The replacement of a log by its future one is stopped before each operation
// that changes the disk. What a crash leaves there holds everything durable in
// one directory or in two; of two with the plain name, which a crash between the
// two renames leaves, the start says so and changes nothing, as a real broker's.
func TestACrashDuringTheReplacementByAFutureLogLosesNothing(t *testing.T) {
	synctest.Test(t, crashDuringReplacement)
}

func crashDuringReplacement(t *testing.T) {
	const durable, records = 20, 26
	stops, refused := 0, 0
	for n := 1; ; n++ {
		mem := vfs.NewMem()
		fsys, cut := cutPower(mem, n)
		moveOnce(t, fsys, durable, records, cut.begin)
		if len(cut.images) == 0 {
			break
		}
		stops++
		for i, image := range cut.images {
			err := lookAtMoved(image, durable, records)
			if isFatal(err) && strings.Contains(err.Error(), "Duplicate log directories for t-0 are found in both") {
				refused++
				err = eachAlone(image, durable, records)
			}
			if err != nil {
				t.Errorf("stopped before operation %d, image %d: %v", n, i, err)
			}
		}
	}
	if stops < 5 || refused == 0 {
		t.Errorf("%d stops, %d of them with two plain directories: is the replacement still tried?", stops, refused)
	}
	t.Logf("%d stops, %d starts refused for two plain directories", stops, refused)
}

// powerCut has what a crash may leave that comes before one of the operations
// that change the disk.
type powerCut struct {
	mu     sync.Mutex // guards all below: much is written in the background
	begun  bool
	left   int        // operations before it, once begun
	images []*vfs.Mem // none: there were fewer operations
}

// cutPower is mem for whoever is to meet a power cut before the n-th operation
// from begin on.
func cutPower(mem *vfs.Mem, n int) (vfs.FS, *powerCut) {
	c := &powerCut{left: n}
	return vfs.Intercept(mem, func(op vfs.Op) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.begun || !op.Kind.Changes() {
			return nil
		}
		if c.left--; c.left == 0 {
			for i, survival := range []vfs.Survival{vfs.SyncedOnly, vfs.Everything, vfs.Random, vfs.Random, vfs.Random} {
				c.images = append(c.images, mem.CrashClone(survival, uint64(n*10+i)))
			}
		}
		return nil
	}), c
}

func (c *powerCut) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = true
}

// moveOnce makes a log of two segments with a durable first part in /a, fills a
// future log in /b, and replaces the one by the other; begin is called before
// anything of that.
func moveOnce(t *testing.T, fsys vfs.FS, durable, records int, begin func()) {
	t.Helper()
	m := loadedManager(t, fsys, "/a", "/b")
	defer quiesce(m)
	l, err := m.GetOrCreate(partition0, metadata.TopicID{1}, testTopic(), true)
	noError(t, err)
	for i := range records {
		if i == durable {
			noError(t, l.Flush())
			m.checkpointRecoveryPoints(l.dir)
		}
		appendValues(t, l, int64(i+1), fmt.Sprintf("value %d", i))
	}
	begin()
	future, err := m.CreateFuture(partition0, "/b")
	noError(t, err)
	_, err = future.AppendAsFollower(readBytes(t, l, Read{Offset: 0, MaxBytes: 1 << 20}), 0)
	noError(t, err)
	noError(t, m.SettleFuture(partition0))
	if done, err := m.ReplaceWithFuture(partition0); !done || err != nil {
		t.Fatal(done, err)
	}
	m.checkpointDir(l.dir)
	m.checkpointDir(future.dir)
}

func loadedManager(t *testing.T, fsys vfs.FS, dirs ...string) *Manager {
	t.Helper()
	config, _, _ := testConfig(fsys, dirs...)
	m, err := NewManager(config)
	noError(t, err)
	noError(t, m.Load(t.Context()))
	return m
}

// lookAtMoved starts on the image and reads the log.
func lookAtMoved(image *vfs.Mem, durable, records int) error {
	config, _, _ := testConfig(image, "/a", "/b")
	m, err := NewManager(config)
	if err != nil {
		return err
	}
	defer quiesce(m)
	if err := m.Load(context.Background()); err != nil {
		return err
	}
	if offline := m.offlineDirs(); len(offline) > 0 {
		return fmt.Errorf("offline: %v", offline)
	}
	l := m.Log(partition0)
	if l == nil {
		return errors.New("the log is gone")
	}
	f, err := serve(l)
	if err != nil {
		return err
	}
	for i := range max(durable, int(f.LogEnd)) {
		if got, want := f.values[int64(i)], fmt.Sprintf("value %d", i); got != want {
			return fmt.Errorf("at %d: %q, the log in %s ends at %d", i, got, l.Dir(), f.LogEnd)
		}
	}
	if f.LogEnd > int64(records) {
		return fmt.Errorf("the log ends at %d", f.LogEnd)
	}
	return nil
}

// eachAlone checks that either of two plain directories alone has everything.
func eachAlone(image *vfs.Mem, durable, records int) error {
	for _, dir := range []string{"/a", "/b"} {
		other := image.CrashClone(vfs.Everything, 0)
		if err := other.RemoveAll(dir + "/" + currentDirName(partition0)); err != nil {
			return err
		}
		if err := lookAtMoved(other, durable, records); err != nil {
			return fmt.Errorf("without that in %s: %w", dir, err)
		}
	}
	return nil
}

// The background may be about to write a topic id or leader epochs just when the
// log's directory gets another name. An empty log is replaced so soon after its
// future log was made that this is the rule: here the files come late, too.
func TestSmallFilesWrittenDuringTheReplacementLeaveTheDirectoriesOnline(t *testing.T) {
	fsys := vfs.Intercept(vfs.NewMem(), func(op vfs.Op) error {
		if op.Kind == vfs.OpRename && strings.HasSuffix(op.Name, tempSuffix) && strings.Contains(op.Name, "/t-0") {
			time.Sleep(time.Millisecond)
		}
		return nil
	})
	m := loadedManager(t, fsys, "/a", "/b")
	defer m.Close()
	l, err := m.GetOrCreate(partition0, metadata.TopicID{1}, testTopic(), true)
	noError(t, err)
	for round := range 20 {
		noError(t, l.AssignEpochStart(int32(round), 0))
		l.flushEpochsLater(0)
		future, err := m.CreateFuture(partition0, []string{"/b", "/a"}[round%2])
		noError(t, err)
		noError(t, m.SettleFuture(partition0))
		if done, err := m.ReplaceWithFuture(partition0); !done || err != nil {
			t.Fatalf("round %d: %v, %v", round, done, err)
		}
		l = future
		l.flushEpochsLater(0)
	}
	waitUntil(t, "the topic id is in its file", func() bool { return !l.topicIDPending.Load() })
	noError(t, l.epochs.flush())
	if offline := m.offlineDirs(); len(offline) > 0 {
		t.Errorf("offline: %v", offline)
	}
	for name, want := range map[string]string{partitionMetadataFile: "version: 0\n", leaderEpochFile: "0\n1\n19 0\n"} {
		if got := fileContent(t, fsys, l.file(name)); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
