package storage

import (
	"fmt"
	"testing"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

// lookAfterCrash starts a broker on the state that a crash left and checks what it serves.
func lookAfterCrash(t *testing.T, when string, mem *vfs.Mem, c *settings.Topic, whole bool) {
	t.Helper()
	points, err := readOffsetCheckpoint(mem, "/data/"+recoveryPointFile)
	if err != nil {
		t.Errorf("%s: %v", when, err)
		return
	}
	config, _, lines := testConfig(mem, "/data")
	config.Defaults = c
	m, err := NewManager(config)
	if err != nil {
		t.Errorf("%s: %v", when, err)
		return
	}
	defer m.Close()
	if err := m.Load(t.Context()); err != nil {
		t.Errorf("%s: %v", when, err)
		return
	}
	l := m.Log(partition0)
	if l == nil {
		if points[partition0] > 0 || !m.Dirs()[0].Online {
			t.Errorf("%s: the log is gone\n%s", when, lines)
		}
		return
	}
	o := l.Offsets()
	if o.LogEnd < points[partition0] {
		t.Errorf("%s: the log ends at %d, below the recovery point %d\n%s", when, o.LogEnd, points[partition0], lines)
	}
	for i, r := range all(t, l, o.LogStart) {
		offset := o.LogStart + record.Offset(i)
		if want := fmt.Sprintf("%d=value %d", offset, offset); r[:len(want)] != want {
			t.Errorf("%s: at %d: %s", when, offset, r)
		}
	}
	if got := int64(len(all(t, l, o.LogStart))); record.Offset(got) != o.LogEnd-o.LogStart {
		t.Errorf("%s: %d records in [%d, %d)", when, got, o.LogStart, o.LogEnd)
	}
	if whole && o.LogEnd != 10 {
		t.Errorf("%s: the log ends at %d after a clean shutdown", when, o.LogEnd)
	}
}
