package storage

import (
	"fmt"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

// epochEntry holds the offset at which a leader epoch begins.
type epochEntry struct {
	epoch       metadata.LeaderEpoch
	startOffset record.Offset
}

// epochCache holds the start offset of each leader epoch of a log: entries in ascending order of
// epoch and start offset, as in the file leader-epoch-checkpoint.
//
// The file never lacks an epoch that the log has below its recovery point: a flush of the log
// writes the file before it raises the recovery point, and everything above is read again after a
// crash, including the epochs. An epoch without records may be lost in a crash; no replica can have
// records of it then, and the next leader has a later epoch. So neither a leader nor an append
// waits for the disk; the file is written in the background soon after. It may hold entries that
// were truncated, which lets a truncation be flushed later: loading truncates again. All methods
// are safe for concurrent use; reading takes no lock.
type epochCache struct {
	fs vfs.FS
	// later is called after each change of the entries, with the delay after which flush is due; nil
	// while the log is loaded.
	later func(delay time.Duration)

	// writeMu orders the writes of the file and renames of its directory. The entries are read
	// under it, so that no older state overwrites a newer one. Taken before mu.
	writeMu sync.Mutex
	dir     string        // "" if there is no file; guarded by writeMu
	written *[]epochEntry // the content of the file; guarded by writeMu

	mu      sync.Mutex // orders changes of entries
	entries atomic.Pointer[[]epochEntry]
}

// openEpochCache reads the file of a partition directory by replaying it entry by entry, and
// creates an empty one if it is missing. Errors are those of readOffsetCheckpoint.
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
		c.assignUnsynced(metadata.LeaderEpoch(epoch), record.Offset(start))
		return nil
	})
	c.written = c.entries.Load()
	return c, err
}

// newUnfiledEpochCache returns an empty cache without a file, for a log in message format 0 or 1.
func newUnfiledEpochCache() *epochCache {
	c := &epochCache{}
	c.entries.Store(&[]epochEntry{})
	return c
}

// assignUnsynced records that epoch begins at offset, without writing the file, and reports whether
// that was new. If so, entries that contradict it are dropped, and a flush is due.
func (c *epochCache) assignUnsynced(epoch metadata.LeaderEpoch, offset record.Offset) (changed bool) {
	e := epochEntry{epoch, offset}
	if !c.wants(e) {
		return false
	}
	return c.change(epochFileDelay, func(old []epochEntry) []epochEntry {
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

// wants reports whether the entry is new. It is not if the latest entry has the same epoch and
// begins no later.
func (c *epochCache) wants(e epochEntry) bool {
	latest, ok := c.latest()
	return !ok || e.epoch != latest.epoch || e.startOffset < latest.startOffset
}

// epochFileDelay is how long the file of leader epochs may lag behind after an epoch began, about as
// long as the checkpoints. When a broker dies or a topic is created, thousands of epochs begin at
// once while the disk has more urgent work, not least ZooKeeper's if it shares the disk.
const epochFileDelay = time.Minute

// change replaces the entries with the result of edit, and reports whether they changed. If so, the
// file is written after the delay.
func (c *epochCache) change(delay time.Duration, edit func([]epochEntry) []epochEntry) bool {
	if !c.replace(edit) {
		return false
	}
	if c.later != nil {
		c.later(delay)
	}
	return true
}

// replace does the part of change that needs mu. edit returns its argument to leave the entries
// unchanged.
func (c *epochCache) replace(edit func([]epochEntry) []epochEntry) bool {
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

// truncateFromEnd drops the epochs that begin at or above offset. Until the file is written it may
// hold too many epochs, never too few.
func (c *epochCache) truncateFromEnd(offset record.Offset) (changed bool) {
	if offset < 0 {
		return false
	}
	return c.change(0, func(old []epochEntry) []epochEntry {
		n := len(old)
		for n > 0 && old[n-1].startOffset >= offset {
			n--
		}
		return old[:n:n]
	})
}

// truncateFromStart drops the epochs that end at or below offset, and moves the start of the one
// that holds offset to it.
func (c *epochCache) truncateFromStart(offset record.Offset) (changed bool) {
	return c.change(0, func(old []epochEntry) []epochEntry {
		n := sort.Search(len(old), func(i int) bool { return old[i].startOffset > offset })
		if n == 0 || old[0].startOffset == offset {
			return old
		}
		next := append([]epochEntry(nil), old[n-1:]...)
		next[0].startOffset = offset
		return next
	})
}

// copyFrom replaces the entries with those of another log that begin below end.
func (c *epochCache) copyFrom(other []epochEntry, end record.Offset) (changed bool) {
	n := sort.Search(len(other), func(i int) bool { return other[i].startOffset >= end })
	return c.change(epochFileDelay, func(old []epochEntry) []epochEntry {
		if slices.Equal(old, other[:n]) {
			return old
		}
		return other[:n:n]
	})
}

// clear drops all entries, durably.
func (c *epochCache) clear() error {
	c.clearUnsynced()
	return c.flush()
}

// clearUnsynced drops all entries without writing the file.
func (c *epochCache) clearUnsynced() (changed bool) {
	return c.change(0, func(old []epochEntry) []epochEntry { return old[:0:0] })
}

// flush writes the entries to the file, durably, unless the file already holds them.
func (c *epochCache) flush() error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	now := c.entries.Load()
	if now == c.written || c.dir == "" {
		return nil
	}
	lines := make([]string, len(*now))
	for i, e := range *now {
		lines[i] = strconv.Itoa(int(e.epoch)) + " " + strconv.FormatInt(int64(e.startOffset), 10)
	}
	if err := writeCheckpoint(c.fs, filepath.Join(c.dir, leaderEpochFile), lines); err != nil {
		return err
	}
	c.written = now
	return nil
}

// move calls rename, which renames the partition directory to dir, while the file is not being
// written.
func (c *epochCache) move(dir string, rename func() error) error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	err := rename()
	if err == nil && c.dir != "" {
		c.dir = dir
	}
	return err
}

// list returns all entries; the caller must not change them.
func (c *epochCache) list() []epochEntry { return *c.entries.Load() }

// latest returns the last entry; ok is false if there are none.
func (c *epochCache) latest() (e epochEntry, ok bool) {
	if all := c.list(); len(all) > 0 {
		return all[len(all)-1], true
	}
	return epochEntry{}, false
}

// earliest returns the first entry; ok is false if there are none.
func (c *epochCache) earliest() (e epochEntry, ok bool) {
	if all := c.list(); len(all) > 0 {
		return all[0], true
	}
	return epochEntry{}, false
}

// latestEpoch returns the latest epoch, -1 if there are no entries.
func (c *epochCache) latestEpoch() metadata.LeaderEpoch {
	if e, ok := c.latest(); ok {
		return e.epoch
	}
	return metadata.NoLeaderEpoch
}

// endOffsetFor returns the largest known epoch at or below the requested one, and the offset where
// it ends: the start of the next epoch, or logEnd for the latest. An epoch older than all known
// ones ends where the first known one begins. The result is (-1, -1) if the answer is not known.
func (c *epochCache) endOffsetFor(requested metadata.LeaderEpoch, logEnd record.Offset) (epoch metadata.LeaderEpoch, endOffset record.Offset) {
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

// epochForOffset returns the epoch in which offset was written, -1 if unknown.
func (c *epochCache) epochForOffset(offset record.Offset) metadata.LeaderEpoch {
	all := c.list()
	n := sort.Search(len(all), func(i int) bool { return all[i].startOffset > offset })
	if n == 0 {
		return metadata.NoLeaderEpoch
	}
	return all[n-1].epoch
}
