package storage

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

// wholeFiles are the files that must never be torn, by pattern, with the check of a file's content.
// A producer snapshot is written in place, as in Kafka; what matters is that a torn one is found.
var wholeFiles = []struct {
	pattern string
	check   func(fsys vfs.FS, path string, content []byte) error
}{
	{metaPropertiesFile, func(fsys vfs.FS, path string, content []byte) error {
		m, err := readMetaProperties(fsys, filepath.Dir(path))
		if err == nil && (m.brokerID != 7 || m.clusterID != "cluster" || content[len(content)-1] != '\n') {
			err = fmt.Errorf("%q", content)
		}
		return err
	}},
	{cleanShutdownFile, func(_ vfs.FS, _ string, content []byte) error {
		if string(content) != cleanShutdownMarker {
			return fmt.Errorf("%q", content)
		}
		return nil
	}},
	{recoveryPointFile, wholeCheckpoint}, {logStartFile, wholeCheckpoint}, {highWatermarkFile, wholeCheckpoint}, {cleanerOffsetFile, wholeCheckpoint},
	{leaderEpochFile, func(fsys vfs.FS, path string, content []byte) error {
		return readCheckpoint(fsys, path, 2, func([]string) error { return nil }) // created empty
	}},
	{partitionMetadataFile, func(fsys vfs.FS, path string, _ []byte) error {
		id, err := readPartitionMetadata(fsys, filepath.Dir(path))
		if err == nil && id != (metadata.TopicID{1}) {
			err = fmt.Errorf("topic id %v", id)
		}
		return err
	}},
	{"*" + snapshotSuffix, func(_ vfs.FS, _ string, content []byte) error {
		entries, err := decodeSnapshot(content)
		if err == nil && len(entries) > 0 && entries[0].producerID != 9 {
			return fmt.Errorf("producer %d", entries[0].producerID)
		}
		return nil // a torn one is reported as such and not used
	}},
}

func wholeCheckpoint(fsys vfs.FS, path string, content []byte) error {
	if len(content) == 0 {
		return fs.ErrInvalid // it would be read as a file without entries
	}
	_, err := readOffsetCheckpoint(fsys, path)
	return err
}

// checkWhole checks all files below dir. It adds the patterns that occur to seen.
func checkWhole(fsys vfs.FS, dir string, seen map[string]bool) error {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() {
			if err := checkWhole(fsys, path, seen); err != nil {
				return err
			}
			continue
		}
		for _, file := range wholeFiles {
			if matches, _ := filepath.Match(file.pattern, e.Name()); !matches {
				continue
			}
			content, err := readFile(fsys, path)
			if err == nil {
				seen[file.pattern] = true
				err = file.check(fsys, path, content)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	return nil
}

// liveOnce starts a Manager, writes every file that it ever writes, and closes it. It continues
// after errors as far as possible.
func liveOnce(t *testing.T, fsys vfs.FS) {
	var later []func()
	work := func() {
		for len(later) > 0 {
			f := later[0]
			later = later[1:]
			f()
		}
	}
	c := testTopic()
	c.SegmentIndexBytes, c.FileDeleteDelayMs = 120, 0
	o := DefaultOptions()
	o.ProducerExpirationMs = math.MaxInt64
	m, err := NewManager(ManagerConfig{FS: fsys, Dirs: []string{"/data"}, Log: kafkalog.Discard(), BrokerID: 7, ClusterID: "cluster",
		Defaults: c, Options: o, Later: func(_ time.Duration, f func()) { later = append(later, f) }})
	if err != nil {
		return
	}
	defer m.Close()
	if m.Load(context.Background()) != nil {
		return
	}
	var logs []*Log
	for p := range int32(2) {
		if l, err := m.GetOrCreate(TopicPartition{Topic: "t", Partition: p}, metadata.TopicID{1}, c, true); err == nil {
			logs = append(logs, l)
		}
	}
	work()
	for epoch := range metadata.LeaderEpoch(2) {
		for _, l := range logs {
			_ = l.AssignEpochStart(epoch, l.Offsets().LogEnd)
			b := record.Defaults()
			b.ProducerID, b.ProducerEpoch, b.BaseSequence = 9, 0, int32(l.Offsets().LogEnd)
			_, _ = l.AppendAsLeader(Append{Records: batch(t, b, values(1, "a", "b", "c")...), LeaderEpoch: epoch})
			l.SetHighWatermark(math.MaxInt64)
			_ = l.Roll()
		}
		work()
		for _, d := range m.dirs {
			d.checkpoint()
			_ = d.checkpoints.writeHighWatermarks(logs)
		}
	}
	for _, l := range logs {
		_ = l.IncrementLogStart(1)
		_, _ = l.TruncateTo(4)
	}
	work()
	_ = writeOffsetCheckpoint(fsys, "/data/"+cleanerOffsetFile, map[TopicPartition]record.Offset{partition0: 3}) // as the cleaner does
}

// A Manager is stopped at every operation that changes the disk, by a crash or by a disk that is
// full from then on. Whatever a crash keeps of the unsynced data, no file is torn.
func TestNoFileOfALogDirectoryIsEverTorn(t *testing.T) {
	base := vfs.NewMem()
	noError(t, base.MkdirAll("/data", 0o755))
	noError(t, base.SyncDir("/"))
	empty := base.CrashClone(vfs.Everything, 0)
	liveOnce(t, base) // so that files are replaced
	seen := map[string]bool{}
	noError(t, checkWhole(base, "/data", seen))
	for _, file := range wholeFiles {
		if !seen[file.pattern] {
			t.Errorf("no %s was written", file.pattern)
		}
	}
	t.Run("crash during the first start", func(t *testing.T) { stopEverywhere(t, empty, false) })
	t.Run("crash during the second start", func(t *testing.T) { stopEverywhere(t, base, false) })
	t.Run("full disk", func(t *testing.T) { stopEverywhere(t, base, true) })
}

func stopEverywhere(t *testing.T, before *vfs.Mem, full bool) {
	for n, reached := 1, true; reached; n++ {
		mem := before.CrashClone(vfs.Everything, 0)
		var mu sync.Mutex // guards changes and reached: logs are closed in parallel
		changes := 0
		reached = false
		liveOnce(t, vfs.Intercept(mem, func(op vfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if op.Kind.Changes() {
				changes++
			}
			if changes < n {
				return nil
			}
			reached = true
			switch {
			case !full:
				return syscall.EIO
			case op.Kind == vfs.OpWrite:
				return &vfs.ShortWrite{N: op.Size / 2, Err: syscall.ENOSPC}
			case slices.Contains([]vfs.OpKind{vfs.OpCreate, vfs.OpMkdir, vfs.OpLink}, op.Kind) && n%2 == 0:
				return syscall.ENOSPC // without a free inode
			}
			return nil
		}))
		for _, image := range []*vfs.Mem{mem, mem.CrashClone(vfs.SyncedOnly, 0), mem.CrashClone(vfs.Random, uint64(n))} {
			if err := checkWhole(image, "/data", map[string]bool{}); err != nil {
				t.Fatalf("stopped at change %d: %v", n, err)
			}
		}
	}
}

// The check finds the files that it is for.
func TestTornFilesAreFound(t *testing.T) {
	for name, content := range map[string]string{
		metaPropertiesFile: "#\n#Thu Nov 30\nversion=0\nbroker.id=7\ncluster.id=clus", cleanShutdownFile: `{"version":0`, recoveryPointFile: "",
		highWatermarkFile: "0\n2\nt 0 5\n", leaderEpochFile: "0\n1\n", partitionMetadataFile: "version: 0\ntopic_id: ",
	} {
		mem := memDir(t)
		noError(t, writeFile(mem, "/d/"+name, []byte(content)))
		if err := checkWhole(mem, "/d", map[string]bool{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s with %q: error %v", name, content, err)
		}
	}
}
