package storage

import (
	"testing"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
)

// A new directory is not searched for files. Only an existing directory is listed for the remains
// of a crash.
func TestANewDirectoryIsNotListedMoreThanOnce(t *testing.T) {
	mem := vfs.NewMem()
	noError(t, mem.MkdirAll("/data/t-1", 0o755))
	noError(t, createEmpty(mem, "/data/t-1/00000000000000000000.log.cleaned"))
	listed := map[string]int{}
	h := start(t, vfs.Intercept(mem, func(op vfs.Op) error {
		if op.Kind == vfs.OpReadDir {
			listed[op.Name]++
		}
		return nil
	}))
	clear(listed)
	_, err := h.GetOrCreate(tpOf("t", 0), metadata.TopicID{}, testTopic(), true)
	noError(t, err)
	if n := listed["/data/t-0"]; n > 1 {
		t.Errorf("the new directory was listed %d times", n)
	}
	if _, err := mem.Stat("/data/t-1/00000000000000000000.log.cleaned"); err == nil {
		t.Error("a file left by a crash was not removed")
	}
}
