package storage

import (
	"fmt"
	"path/filepath"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/monedula/monedula/internal/vfs"
)

// epochEntry says at which offset a leader epoch begins.
type epochEntry struct {
	epoch       int32
	startOffset int64
}

// epochCache knows where each leader epoch of a log begins: entries by rising
// epoch and start offset, as in the file leader-epoch-checkpoint.
//
// The file never lacks an epoch that the log has below its recovery point: a
// flush of the log writes it before the recovery point rises, and what lies
// above is read again after a crash, epochs included. An epoch without records
// may be lost by a crash; nobody can have records of it then, and whoever leads
// next leads in a later one. So no leader and no append waits for the disk; the
// background writes the file soon. It may hold entries that were cut off, so
// that a truncation may be flushed later: loading truncates again. All methods
// are safe for concurrent use; reading takes no lock.
type epochCache struct {
	fs vfs.FS

	// writeMu orders the writes of the file, and renames of its directory; the
	// entries are taken under it, so that no older state overwrites a newer one.
	// Taken before mu.
	writeMu sync.Mutex
	dir     string        // "": without a file; guarded by writeMu
	written *[]epochEntry // what the file holds; guarded by writeMu

	mu      sync.Mutex // orders changes of entries
	entries atomic.Pointer[[]epochEntry]
}

// openEpochCache reads the file of a partition directory, which is created
// empty where absent, by replaying it entry by entry. Errors are those of
// readOffsetCheckpoint.
func openEpochCache(fs vfs.FS, dir string) (*epochCache, error) {
	c := newUnfiledEpochCache()
	c.fs, c.dir = fs, dir
	path := filepath.Join(dir, leaderEpochFile)
	if err := createEmpty(fs, path); err != nil {
		return nil, err
	}
	err := readCheckpoint(fs, path, 2, func(fields []string) error {
		epoch, err := strconv.ParseInt(fields[0], 10, 32)
		if err != nil {
			return err
		}
		start, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return err
		}
		if epoch < 0 || start < 0 {
			return fmt.Errorf("negative epoch or offset in %v", fields)
		}
		c.assignUnsynced(int32(epoch), start)
		return nil
	})
	c.written = c.entries.Load()
	return c, err
}

// newUnfiledEpochCache returns an empty cache that has no file: that of a log in
// message format 0 or 1.
func newUnfiledEpochCache() *epochCache {
	c := &epochCache{}
	c.entries.Store(&[]epochEntry{})
	return c
}

// assignUnsynced records that epoch begins at offset, without the file, and says
// whether it was news: then entries that contradict it are dropped, and a flush
// is due.
func (c *epochCache) assignUnsynced(epoch int32, offset int64) (changed bool) {
	e := epochEntry{epoch, offset}
	if !c.wants(e) {
		return false
	}
	return c.change(func(old []epochEntry) []epochEntry {
		if !c.wants(e) {
			return old
		}
		n := len(old)
		for n > 0 && (old[n-1].epoch >= epoch || old[n-1].startOffset >= offset) {
			n--
		}
		return append(append(make([]epochEntry, 0, n+1), old[:n]...), e)
	})
}

// wants says whether the entry is news: not when the latest one has the same
// epoch and begins no later.
func (c *epochCache) wants(e epochEntry) bool {
	latest, ok := c.latest()
	return !ok || e.epoch != latest.epoch || e.startOffset < latest.startOffset
}

// change replaces the entries by edit's, which returns its argument to leave
// them as they are.
func (c *epochCache) change(edit func([]epochEntry) []epochEntry) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.list()
	next := edit(old)
	if len(next) == len(old) && (len(next) == 0 || &next[0] == &old[0]) {
		return false
	}
	c.entries.Store(&next)
	return true
}

// truncateFromEnd drops the epochs that begin at offset or above.
func (c *epochCache) truncateFromEnd(offset int64) (changed bool) {
	if offset < 0 {
		return false
	}
	return c.change(func(old []epochEntry) []epochEntry {
		n := len(old)
		for n > 0 && old[n-1].startOffset >= offset {
			n--
		}
		return old[:n:n]
	})
}

// truncateFromStart drops the epochs that end at or below offset, and lets the
// one that holds it begin there.
func (c *epochCache) truncateFromStart(offset int64) (changed bool) {
	return c.change(func(old []epochEntry) []epochEntry {
		n := sort.Search(len(old), func(i int) bool { return old[i].startOffset > offset })
		if n == 0 || n == 1 && old[0].startOffset == offset {
			return old
		}
		next := append([]epochEntry(nil), old[n-1:]...)
		next[0].startOffset = offset
		return next
	})
}

// clear drops all entries, durably.
func (c *epochCache) clear() error {
	c.clearUnsynced()
	return c.flush()
}

// clearUnsynced drops all entries, without the file.
func (c *epochCache) clearUnsynced() (changed bool) {
	return c.change(func(old []epochEntry) []epochEntry { return old[:0:0] })
}

// flush makes the file hold the entries, durably; nothing is written when it
// does.
func (c *epochCache) flush() error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	now := c.entries.Load()
	if now == c.written || c.dir == "" {
		return nil
	}
	lines := make([]string, len(*now))
	for i, e := range *now {
		lines[i] = strconv.Itoa(int(e.epoch)) + " " + strconv.FormatInt(e.startOffset, 10)
	}
	if err := writeCheckpoint(c.fs, filepath.Join(c.dir, leaderEpochFile), lines); err != nil {
		return err
	}
	c.written = now
	return nil
}

// move has the partition directory renamed to dir while nobody writes the file.
func (c *epochCache) move(dir string, rename func() error) error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	err := rename()
	if err == nil && c.dir != "" {
		c.dir = dir
	}
	return err
}

// list returns all entries; not to be changed.
func (c *epochCache) list() []epochEntry { return *c.entries.Load() }

// latest returns the last entry; ok is false without one.
func (c *epochCache) latest() (e epochEntry, ok bool) {
	if all := c.list(); len(all) > 0 {
		return all[len(all)-1], true
	}
	return epochEntry{}, false
}

// earliest returns the first entry; ok is false without one.
func (c *epochCache) earliest() (e epochEntry, ok bool) {
	if all := c.list(); len(all) > 0 {
		return all[0], true
	}
	return epochEntry{}, false
}

// latestEpoch is the latest epoch, -1 without one.
func (c *epochCache) latestEpoch() int32 {
	if e, ok := c.latest(); ok {
		return e.epoch
	}
	return -1
}

// endOffsetFor returns the largest known epoch at or below the requested one
// and the offset where it ends: where the next one begins, and logEnd for the
// latest. An epoch older than all known ones ends where the first known one
// begins. (-1, -1) when the answer is not known.
func (c *epochCache) endOffsetFor(requested int32, logEnd int64) (epoch int32, endOffset int64) {
	all := c.list()
	n := sort.Search(len(all), func(i int) bool { return all[i].epoch > requested })
	switch {
	case requested < 0 || len(all) == 0:
		return -1, -1
	case n == len(all) && all[n-1].epoch == requested:
		return requested, logEnd
	case n == len(all):
		return -1, -1
	case n == 0:
		return requested, all[0].startOffset
	default:
		return all[n-1].epoch, all[n].startOffset
	}
}

// epochForOffset is the epoch that the offset was written in, -1 unknown.
func (c *epochCache) epochForOffset(offset int64) int32 {
	all := c.list()
	n := sort.Search(len(all), func(i int) bool { return all[i].startOffset > offset })
	if n == 0 {
		return -1
	}
	return all[n-1].epoch
}
