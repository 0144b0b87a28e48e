package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
)

func TestTheLowWatermarkFollowsFromTheVolume(t *testing.T) {
	const mib, gib = int64(1) << 20, int64(1) << 30
	for _, row := range []struct{ configured, total, want int64 }{
		{0, 100 * gib, 0},
		{5, 100 * gib, 5},
		{-1, 1 << 50, gib},
		{-1, 100 * gib, gib},
		{-1, 50 * gib, gib / 2},
		{-1, gib, gib / 100},
		{-1, 256 * mib, 8 * mib},
		{-1, 16 * mib, 2 * mib},
		{-1, 0, 0},
	} {
		wantEqual(t, fmt.Sprintf("%d of %d bytes", row.configured, row.total), lowWatermark(row.configured, row.total), row.want)
	}
}

// Appends stop below the low watermark of their origin and continue at its high watermark, which is
// a quarter above.
func TestAppendsStopByOriginAsTheSpaceShrinks(t *testing.T) {
	var d diskSpace
	accepted, _ := d.take(record.FromClient, 1<<60)
	wantEqual(t, "accepted before the first sample", accepted, true)

	for _, step := range []struct {
		free    int64
		changes []string
		refuses []record.Origin
	}{
		{free: 5000},
		{free: 1000},
		{free: 999, changes: []string{"client stopped"}, refuses: []record.Origin{record.FromClient}},
		{free: 1249, refuses: []record.Origin{record.FromClient}},
		{free: 499, changes: []string{"replication stopped"}, refuses: []record.Origin{record.FromClient, record.FromReplication}},
		{free: 0, changes: []string{"coordinator stopped"}, refuses: []record.Origin{record.FromClient, record.FromCoordinator, record.FromReplication}},
		{free: 311, refuses: []record.Origin{record.FromClient, record.FromCoordinator, record.FromReplication}},
		{free: 312, changes: []string{"coordinator continues"}, refuses: []record.Origin{record.FromClient, record.FromReplication}},
		{free: 1250, changes: []string{"client continues", "replication continues"}},
		{free: 300, changes: []string{"client stopped", "replication stopped"}, refuses: []record.Origin{record.FromClient, record.FromReplication}},
	} {
		var changes []string
		d.observe(spaceSample{free: step.free, low: 1000, spent: d.spent.Load()}, func(o record.Origin, stopped bool) {
			text := [...]string{record.FromClient: "client", record.FromReplication: "replication", record.FromCoordinator: "coordinator"}[o]
			changes = append(changes, text+map[bool]string{true: " stopped", false: " continues"}[stopped])
		})
		slices.Sort(changes)
		refuses := d.refuses()
		if !slices.Equal(changes, step.changes) || !slices.Equal(refuses, sortedOrigins(step.refuses)) {
			t.Errorf("%d bytes free: %q, refuses %v; want %q, %v", step.free, changes, refuses, step.changes, step.refuses)
		}
		for o := range record.Origin(len(spaceShares)) {
			accepted, stops := d.take(o, 1)
			if accepted == slices.Contains(refuses, o) || stops {
				t.Errorf("%d bytes free: origin %d accepted %v, stops %v", step.free, o, accepted, stops)
			}
		}
	}
}

func sortedOrigins(o []record.Origin) []record.Origin {
	o = slices.Clone(o)
	slices.Sort(o)
	return o
}

// Between two samples, what was appended counts as used. A refused append does not.
func TestAppendsCountUntilTheNextSample(t *testing.T) {
	var d diskSpace
	d.observe(spaceSample{free: 3000, low: 1000}, nil)
	take := func(n int64, want, wantStops bool) {
		t.Helper()
		accepted, stops := d.take(record.FromClient, n)
		if accepted != want || stops != wantStops {
			t.Errorf("an append of %d bytes: accepted %v, stops %v; want %v, %v", n, accepted, stops, want, wantStops)
		}
	}
	take(2000, true, false)
	take(1, true, false) // 1000 were left
	take(1, false, true)
	take(1, false, false)
	wantEqual(t, "bytes counted", d.spent.Load(), 2001)
	if accepted, _ := d.take(record.FromCoordinator, 400); !accepted {
		t.Error("a coordinator's record is refused")
	}
	spent := d.spent.Load()
	d.take(record.FromCoordinator, 100) // while the space is measured
	d.observe(spaceSample{free: 1300, low: 1000, spent: spent}, func(record.Origin, bool) {})
	take(201, true, false)
	take(1, false, true)
}

func TestMuchDataMakesASampleStale(t *testing.T) {
	var d diskSpace
	wantEqual(t, "without a sample", d.stale(), false)
	d.observe(spaceSample{free: 1 << 40, low: 80 << 20}, nil)
	d.take(record.FromClient, 10<<20)
	wantEqual(t, "after an eighth of the low watermark", d.stale(), false)
	d.take(record.FromClient, 1)
	wantEqual(t, "after more", d.stale(), true)
}

// sizedFS reports a volume of a terabyte with the free bytes that the test sets.
type sizedFS struct {
	vfs.FS
	mu    sync.Mutex // held by tests in which the space is measured in the background
	free  int64
	err   error
	asked int // number of calls
}

func (f *sizedFS) Usage(string) (total, usable int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	return 1 << 40, f.free, f.err
}

// A volume fills up under load until clients are refused; meanwhile coordinators continue. Retention
// or DeleteRecords frees it, and everything continues without a restart. No write finds the volume
// full, and what was acknowledged exists.
func TestAFullVolumeRefusesClientsUntilSpaceIsFreed(t *testing.T) {
	synctest.Test(t, fillAndFree)
}

func fillAndFree(t *testing.T) {
	mem := vfs.NewMem()
	mem.Limit(4 << 20) // so the low watermark is 512 KiB
	h := start(t, mem)
	h.Start()
	c := testTopic()
	c.SegmentBytes, c.FileDeleteDelayMs = 256<<10, 0
	l := h.log(t, c)
	kept := record.Offset(0)
	for round := range 3 {
		sent := 0
		for {
			_, err := l.AppendAsLeader(Append{Records: batch(t, record.Defaults(), values(1, strings.Repeat("x", 10_000))...)})
			if err != nil {
				wantError(t, err, protocol.NotEnoughReplicas)
				wantError(t, err, ErrDiskLow)
				break
			}
			l.SetHighWatermark(l.Offsets().LogEnd)
			sent++
			synctest.Wait() // appends during a measurement count twice, and this volume is tiny
		}
		if sent < 50 {
			t.Fatalf("round %d: only %d records were accepted", round, sent)
		}
		_, err := l.AppendAsLeader(Append{Records: batch(t, record.Defaults(), values(1, "offset")...), Origin: record.FromCoordinator})
		noError(t, err)
		end := l.Offsets().LogEnd
		l.SetHighWatermark(end)
		wantEqual(t, "readable records", len(all(t, l, kept)), int(end-kept))
		wantEqual(t, "refused origins", fmt.Sprint(h.Dirs()[0].Refuses), fmt.Sprint([]record.Origin{record.FromClient}))

		kept = end - 20
		if round%2 == 0 {
			noError(t, l.IncrementLogStart(kept)) // DeleteRecords
		} else {
			shorter := *c
			shorter.RetentionBytes = 200_000
			l.SetConfig(&shorter)
		}
		_, err = l.DeleteOldSegments()
		noError(t, err)
		kept = l.Offsets().LogStart
		l.SetConfig(c)
		time.Sleep(diskCheck + time.Millisecond)
		synctest.Wait()
		wantEqual(t, "refused origins", len(h.Dirs()[0].Refuses), 0)
	}
	if !h.Dirs()[0].Online {
		t.Error("the directory is offline")
	}
	lines := h.lines.String()
	wantEqual(t, "warnings", strings.Count(lines, "Records from clients are refused"), 3)
	wantEqual(t, "lines about the end", strings.Count(lines, "Records from clients are accepted again."), 3)
	wantEqual(t, "lines about others", strings.Count(lines, "Replication"), 0)
	h.restart(t)
	l = h.log(t, c)
	wantEqual(t, "records after a restart", len(all(t, l, kept)), int(l.Offsets().LogEnd-kept))
	h.Close()
}

// The free space is measured once a second, so appends stop and continue without any append.
func TestTheFreeSpaceIsMeasuredPeriodically(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := &sizedFS{FS: vfs.NewMem(), free: 1 << 39}
		h := start(t, fsys)
		h.Start()
		l := h.log(t, testTopic())
		for _, step := range []struct {
			free int64
			err  error
			has  bool
		}{{1 << 39, nil, true}, {1<<30 - 1, nil, false}, {1 << 39, fs.ErrPermission, false}, {1 << 39, nil, true}} {
			fsys.mu.Lock()
			fsys.free, fsys.err = step.free, step.err
			fsys.mu.Unlock()
			time.Sleep(diskCheck)
			synctest.Wait()
			if got := l.HasSpaceFor(record.FromClient); got != step.has {
				t.Errorf("%d bytes free, %v: accepts records %v", step.free, step.err, got)
			}
		}
		h.Close()
	})
}

// After much data the free space is measured at once, because others may write to the volume too.
func TestAppendsBeginAMeasurement(t *testing.T) {
	fsys := &sizedFS{FS: vfs.NewMem(), free: 1 << 39}
	var later []func()
	h := start(t, fsys, func(c *ManagerConfig) {
		c.DiskLowWatermark = 1 << 20
		c.Later = func(_ time.Duration, f func()) { later = append(later, f) }
	})
	l := h.log(t, testTopic())
	measured := func() int {
		before := fsys.asked
		for _, f := range later {
			f()
		}
		later = nil
		return fsys.asked - before
	}
	big := strings.Repeat("x", 400_000)
	appendValues(t, l, 1, big)
	wantEqual(t, "measurements", measured(), 0)
	for range 4 {
		appendValues(t, l, 1, big)
	}
	fsys.free = 0
	wantEqual(t, "measurements after a mebibyte", measured(), 1)
	_, err := l.AppendAsLeader(Append{Records: batch(t, record.Defaults(), values(1, "a")...)})
	wantError(t, err, ErrDiskLow)
}

func TestTheCheckOfTheFreeSpaceCanBeDisabled(t *testing.T) {
	fsys := &sizedFS{FS: vfs.NewMem()}
	h := start(t, fsys, func(c *ManagerConfig) { c.DiskLowWatermark = 0 })
	appendValues(t, h.log(t, testTopic()), 1, "a")
}

// A follower's append is refused as a whole, with an error from which the fetcher recovers.
func TestAFollowersAppendIsRefusedOnAFullVolume(t *testing.T) {
	fsys := &sizedFS{FS: vfs.NewMem(), free: 600 << 20}
	h := start(t, fsys)
	l := h.log(t, testTopic())
	o := record.Defaults()
	o.LeaderEpoch = 0
	set := batch(t, o, values(1, "a")...)
	_, err := l.AppendAsLeader(Append{Records: slices.Clone(set)})
	wantError(t, err, ErrDiskLow)
	_, err = l.AppendAsFollower(set, 0)
	noError(t, err)
	fsys.free = 500 << 20
	h.dirs[0].measureSpace()
	o.BaseOffset = 1
	_, err = l.AppendAsFollower(batch(t, o, values(1, "b")...), 0)
	if !errors.Is(err, ErrDiskLow) {
		t.Errorf("error %v", err)
	}
	wantEqual(t, "log end", l.Offsets().LogEnd, 1)
	wantEqual(t, "accepts a coordinator's records", l.HasSpaceFor(record.FromCoordinator), true)
}

// A compaction that would need more space than is free leaves the log as it is. It is tried again
// later.
func TestACompactionWaitsForSpace(t *testing.T) {
	fsys := &sizedFS{FS: vfs.NewMem(), free: 1 << 39}
	h := start(t, fsys, func(c *ManagerConfig) { c.DiskLowWatermark = 2000 })
	l := h.log(t, compactedTopic())
	for i := range 10 {
		put(t, l, "key", fmt.Sprint(i))
	}
	roll(t, l)
	size := l.Size()
	fsys.free = 1000 + size - 1
	h.dirs[0].measureSpace()
	h.cleanAll(t)
	wantEqual(t, "size", l.Size(), size)
	wantEqual(t, "uncleanable logs", len(h.cleaner.uncleanable), 1)
	wantEqual(t, "directory online", h.Dirs()[0].Online, true)
	fsys.free++
	h.dirs[0].measureSpace()
	h.clock.advance(uncleanableRetry)
	wantEqual(t, "cleanings", h.cleanAll(t), 1)
	wantEqual(t, "value", table(t, l)["key"], "9")
	if l.Size() >= size {
		t.Error("the log was not compacted")
	}
}
