package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/settings"
)

// ids holds the topics of the tests below, with their ids and numbers of logs.
var ids = map[string]struct {
	id   metadata.TopicID
	logs int
}{"one": {metadata.TopicID{1}, 40}, "two": {metadata.TopicID{2}, 20}, "three": {metadata.TopicID{3}, 1}}

// makeLogsWithIDs creates all logs of ids, in directories whose names are durable.
func makeLogsWithIDs(t *testing.T, m *Manager, mem *vfs.Mem) (logs []*Log) {
	t.Helper()
	for topic, is := range ids {
		for p := range is.logs {
			l, err := m.GetOrCreate(tpOf(topic, int32(p)), is.id, testTopic(), true)
			noError(t, err)
			logs = append(logs, l)
		}
	}
	noError(t, mem.SyncDir("/data"))
	return logs
}

// checkIDs checks the ids that a crash left. If mayLack is set, a log may have none.
func checkIDs(image *vfs.Mem, mayLack bool) error {
	for topic, is := range ids {
		for p := range is.logs {
			id, err := readPartitionMetadata(image, fmt.Sprintf("/data/%s-%d", topic, p))
			if err != nil || id != is.id && !(mayLack && id == metadata.TopicID{}) {
				return fmt.Errorf("%s-%d has the id %v, %v", topic, p, id, err)
			}
		}
	}
	return nil
}

func TestTheFirstAppendMakesAllTopicIDsDurableWithOneFilePerTopic(t *testing.T) {
	for name, linkError := range map[string]error{"": nil, "on a volume without links": errors.ErrUnsupported} {
		t.Run(name, func(t *testing.T) {
			mem, synced := vfs.NewMem(), 0
			h := start(t, vfs.Intercept(mem, func(op vfs.Op) error {
				switch {
				case op.Kind == vfs.OpLink:
					return linkError
				case op.Kind == vfs.OpSync && strings.HasSuffix(op.Name, partitionMetadataFile+tempSuffix):
					synced++
				}
				return nil
			}))
			logs := makeLogsWithIDs(t, h.Manager, mem)
			appendValues(t, logs[0], 1, "a record")
			noError(t, checkIDs(mem.CrashClone(vfs.SyncedOnly, 0), false))
			if want := len(ids); linkError == nil && synced != want {
				t.Errorf("%d files were synced for %d topics", synced, want)
			}
			if _, err := mem.Stat("/data/" + partitionMetadataFile + tempSuffix); err == nil {
				t.Error("the temporary file was not removed")
			}
			for _, l := range logs {
				if l.topicID.pending.Load() {
					t.Fatalf("the topic id of %v is still pending", l)
				}
			}
		})
	}
}

// The write is stopped before each operation that changes the disk. Every state that a crash can
// leave can be loaded, every log has its id or none, and writing the ids of another topic does not
// change them.
func TestACrashWhileTopicIDsAreWrittenLeavesThemOrNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stops := 0
		for n := 1; ; n += 11 {
			mem := vfs.NewMem()
			fsys, cut := cutPower(mem, n, &floor{})
			writeIDsOnce(t, fsys, mem, cut.begin)
			if len(cut.images) == 0 {
				break
			}
			stops++
			for i, image := range cut.images {
				if err := addTopicAfterCrash(image); err != nil {
					t.Fatalf("stopped before operation %d, image %d: %v", n, i, err)
				}
			}
		}
		if stops < 10 {
			t.Errorf("%d stops, want at least 10", stops)
		}
	})
}

// writeIDsOnce creates all logs of ids in mem, which it accesses through fsys, and writes their
// ids; begin is called before the write.
func writeIDsOnce(t *testing.T, fsys vfs.FS, mem *vfs.Mem, begin func()) {
	t.Helper()
	m := loadedManager(t, fsys, "/data")
	defer quiesce(m)
	logs := makeLogsWithIDs(t, m, mem)
	begin()
	noError(t, logs[0].topicID.flush())
}

// addTopicAfterCrash starts a broker on the state that a crash left, and creates another topic.
func addTopicAfterCrash(image *vfs.Mem) error {
	config, _, _ := testConfig(image, "/data")
	config.TopicConfig = func(string) *settings.Topic { return testTopic() }
	m, err := NewManager(config)
	if err != nil {
		return err
	}
	defer quiesce(m)
	if err := m.Load(context.Background()); err != nil {
		return err
	}
	for p := range int32(2) {
		l, err := m.GetOrCreate(tpOf("later", p), metadata.TopicID{4}, testTopic(), true)
		if err != nil {
			return err
		}
		if err := l.topicID.flush(); err != nil {
			return err
		}
	}
	if offline := m.dirs.offlinePaths(); len(offline) > 0 {
		return fmt.Errorf("offline: %v", offline)
	}
	return checkIDs(image, true)
}
