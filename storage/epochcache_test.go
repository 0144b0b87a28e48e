package storage

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/record"
)

func openEpochs(t testing.TB, fsys vfs.FS) *epochCache {
	t.Helper()
	c, err := openEpochCache(fsys, "/d")
	noError(t, err)
	return c
}

// epochs returns a cache with entries given as epoch, offset, epoch, offset...
func epochs(t testing.TB, fsys vfs.FS, entries ...int64) *epochCache {
	t.Helper()
	c := openEpochs(t, fsys)
	for i := 0; i < len(entries); i += 2 {
		noError(t, assignAndFlush(c, int32(entries[i]), record.Offset(entries[i+1])))
	}
	return c
}

func (c *epochCache) String() string { return strings.Trim(fmt.Sprint(c.list()), "[]") }

func TestEpochFilesOfKafkaRoundTrip(t *testing.T) {
	for _, path := range goldenFiles(t, leaderEpochFile) {
		golden := mustRead(t, path)
		mem := memDir(t)
		noError(t, writeFile(mem, "/d/"+leaderEpochFile, golden))
		c := openEpochs(t, mem)
		entries := slices.Clone(c.list())
		if filepath.Base(filepath.Dir(path)) == "segments-0" && c.String() != "{0 25}" {
			t.Errorf("entries %v", c)
		}
		noError(t, c.clear())
		for _, e := range entries {
			noError(t, assignAndFlush(c, int32(e.epoch), e.startOffset))
		}
		wantEqual(t, path, fileContent(t, mem, "/d/"+leaderEpochFile), string(golden))
	}
}

func TestANewEpochFileIsEmpty(t *testing.T) {
	mem := memDir(t)
	c := openEpochs(t, mem)
	wantEqual(t, "file", fileContent(t, mem, "/d/"+leaderEpochFile), "")
	wantEqual(t, "latest epoch", c.latestEpoch(), -1)
	if _, ok := c.earliest(); ok {
		t.Error("an empty cache has an earliest entry")
	}
	noError(t, c.flush())
	wantEqual(t, "file after a flush of nothing", fileContent(t, mem, "/d/"+leaderEpochFile), "")
}

func TestAssigningEpochs(t *testing.T) {
	for name, c := range map[string]struct {
		entries []int64
		want    string
	}{
		"rising":                                     {[]int64{0, 0, 2, 10}, "{0 0} {2 10}"},
		"the same epoch again, later":                {[]int64{1, 5, 1, 9}, "{1 5}"},
		"the same epoch again, earlier":              {[]int64{1, 5, 1, 3}, "{1 3}"},
		"a higher epoch at the same offset":          {[]int64{1, 5, 2, 5}, "{2 5}"},
		"a higher epoch at a lower offset":           {[]int64{1, 5, 2, 10, 3, 7}, "{1 5} {3 7}"},
		"a lower epoch at a higher offset":           {[]int64{1, 5, 3, 10, 2, 12}, "{1 5} {2 12}"},
		"a lower epoch at a lower offset drops more": {[]int64{1, 5, 2, 10, 3, 20, 2, 7}, "{1 5} {2 7}"},
		"everything contradicted":                    {[]int64{3, 5, 4, 10, 1, 1}, "{1 1}"},
	} {
		mem := memDir(t)
		cache := epochs(t, mem, c.entries...)
		wantEqual(t, name, cache.String(), c.want)
		wantEqual(t, name+", read again", openEpochs(t, mem).String(), c.want)
	}
}

func TestLoadingAppliesTheRulesOfAssigning(t *testing.T) {
	mem := memDir(t)
	noError(t, writeFile(mem, "/d/"+leaderEpochFile, []byte("0\n4\n0 0\n1 10\n2 10\n4 8\n")))
	wantEqual(t, "entries", openEpochs(t, mem).String(), "{0 0} {4 8}")
	for content, want := range map[string]error{
		"0\n1\n0\n":        errMalformedCheckpoint,
		"0\n1\n0 x\n":      errCheckpointNumber,
		"0\n1\n-1 0\n":     errCheckpointNumber,
		"0\n1\n0 -1\n":     errCheckpointNumber,
		"2\n1\n0 0\n":      errMalformedCheckpoint,
		"0\n2\n0 0\n1 1":   nil,
		"0\n1\n0 0\n1 1\n": errMalformedCheckpoint,
	} {
		noError(t, writeFile(mem, "/d/"+leaderEpochFile, []byte(content)))
		_, err := openEpochCache(mem, "/d")
		if want == nil {
			noError(t, err)
		} else {
			wantError(t, err, want)
		}
	}
}

func TestTruncatingEpochs(t *testing.T) {
	for _, c := range []struct {
		offset           record.Offset
		fromEnd, atStart string
	}{
		{-1, "{2 6} {3 8} {4 11}", "{2 6} {3 8} {4 11}"},
		{5, "", "{2 6} {3 8} {4 11}"},
		{6, "", "{2 6} {3 8} {4 11}"},
		{7, "{2 6}", "{2 7} {3 8} {4 11}"},
		{8, "{2 6}", "{3 8} {4 11}"},
		{9, "{2 6} {3 8}", "{3 9} {4 11}"},
		{11, "{2 6} {3 8}", "{4 11}"},
		{15, "{2 6} {3 8} {4 11}", "{4 15}"},
	} {
		cache := epochs(t, memDir(t), 2, 6, 3, 8, 4, 11)
		before := cache.String()
		changed := cache.truncateFromEnd(c.offset)
		wantEqual(t, fmt.Sprint("from the end at ", c.offset), cache.String(), c.fromEnd)
		wantEqual(t, "changed", changed, before != cache.String())
		cache = epochs(t, memDir(t), 2, 6, 3, 8, 4, 11)
		changed = cache.truncateFromStart(c.offset)
		wantEqual(t, fmt.Sprint("from the start at ", c.offset), cache.String(), c.atStart)
		wantEqual(t, "changed", changed, before != cache.String())
	}
}

func TestAFlushWritesATruncationToTheFile(t *testing.T) {
	mem := memDir(t)
	c := epochs(t, mem, 2, 6, 3, 8)
	c.truncateFromEnd(7)
	wantEqual(t, "before", openEpochs(t, mem).String(), "{2 6} {3 8}")
	noError(t, c.flush())
	wantEqual(t, "after", openEpochs(t, mem).String(), "{2 6}")
	noError(t, c.move("/e", func() error { return mem.Rename("/d", "/e") }))
	noError(t, assignAndFlush(c, 4, 20))
	wantEqual(t, "file", fileContent(t, mem, "/e/"+leaderEpochFile), "0\n2\n2 6\n4 20\n")
}

func TestEndOffsetOfAnEpoch(t *testing.T) {
	const logEnd = 100
	c := epochs(t, memDir(t), 2, 6, 3, 8, 7, 11)
	for requested, want := range map[int32][2]int64{
		-1: {-1, -1}, 0: {0, 6}, 1: {1, 6}, 2: {2, 8}, 3: {3, 11}, 4: {3, 11}, 6: {3, 11}, 7: {7, logEnd}, 8: {-1, -1},
	} {
		epoch, end := c.endOffsetFor(metadata.LeaderEpoch(requested), logEnd)
		wantEqual(t, fmt.Sprint("end of epoch ", requested), [2]int64{int64(epoch), int64(end)}, want)
	}
	epoch, end := openEpochs(t, memDir(t)).endOffsetFor(0, logEnd)
	wantEqual(t, "end in an empty cache", [2]int64{int64(epoch), int64(end)}, [2]int64{-1, -1})
}

func TestEpochOfAnOffset(t *testing.T) {
	c := epochs(t, memDir(t), 2, 6, 3, 8, 7, 11)
	for offset, want := range map[record.Offset]int32{0: -1, 5: -1, 6: 2, 7: 2, 8: 3, 10: 3, 11: 7, 1000: 7} {
		wantEqual(t, fmt.Sprint("epoch of ", offset), c.epochForOffset(offset), metadata.LeaderEpoch(want))
	}
}

func TestACacheWithoutAFileWritesNothing(t *testing.T) {
	c := newUnfiledEpochCache()
	noError(t, assignAndFlush(c, 1, 5))
	noError(t, c.move("/elsewhere", func() error { return nil }))
	noError(t, c.flush())
	noError(t, c.clear())
	wantEqual(t, "latest epoch", c.latestEpoch(), -1)
}

func TestAnAssignedEpochSurvivesACrash(t *testing.T) {
	base := memDir(t)
	epochs(t, base, 0, 0, 1, 10)
	crashAtEvery(t, base, func(fsys vfs.FS) error {
		c, err := openEpochCache(fsys, "/d")
		if err != nil {
			return err
		}
		return assignAndFlush(c, 2, 20)
	}, func(after *vfs.Mem, whole bool) {
		got := openEpochs(t, after).String()
		if got != "{0 0} {1 10} {2 20}" && (whole || got != "{0 0} {1 10}") {
			t.Fatalf("after a crash (whole: %v): %s", whole, got)
		}
	})
}

// An older state must not replace a newer one in the file, in whatever order flushes end
// (KAFKA-16541): every epoch is in the file once its assignment has returned.
func TestPitfallReplication17_AFlushNeverOverwritesANewerState(t *testing.T) {
	mem := memDir(t)
	c := openEpochs(t, mem)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if err := c.flush(); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	for i := range record.Offset(300) {
		noError(t, assignAndFlush(c, int32(i), i*10))
		if i%10 == 9 {
			c.truncateFromStart(i*10 - 25)
			c.truncateFromEnd(i*10 + 5)
		}
		after := openEpochs(t, mem.CrashClone(vfs.SyncedOnly, 0))
		if after.latestEpoch() != metadata.LeaderEpoch(i) {
			t.Fatalf("epoch %d is assigned, but a crash leaves %d", i, after.latestEpoch())
		}
	}
	close(stop)
	wg.Wait()
	noError(t, c.flush())
	wantEqual(t, "file at the end", openEpochs(t, mem).String(), c.String())
}

// assignAndFlush records an epoch and makes it durable.
func assignAndFlush(c *epochCache, epoch int32, offset record.Offset) error {
	c.assignUnsynced(metadata.LeaderEpoch(epoch), offset)
	return c.flush()
}

func TestNeitherANewLeaderNorAnAppendInANewEpochWaitsForTheDisk(t *testing.T) {
	mem := vfs.NewMem()
	disk := make(chan struct{}) // closed to let the disk respond again
	var slow atomic.Bool
	fsys := vfs.Intercept(mem, func(op vfs.Op) error {
		if slow.Load() && op.Kind == vfs.OpSync {
			<-disk
		}
		return nil
	})
	h := start(t, fsys)
	l := h.log(t, testTopic())
	appendValues(t, l, 1, "x") // the topic's id is written
	slow.Store(true)
	noError(t, l.AssignEpochStart(5, 1))
	info, err := l.AppendAsLeader(Append{Records: batch(t, record.Defaults(), values(1, "y")...), LeaderEpoch: 6, Origin: record.FromClient})
	noError(t, err)
	wantEqual(t, "offset", info.FirstOffset, 1)
	wantEqual(t, "epoch", l.LeaderEpoch(), 6)
	flushed := make(chan error, 1)
	go func() { flushed <- l.Flush() }()
	select {
	case err := <-flushed:
		t.Fatalf("a flush ended before the epochs were on disk: %v", err)
	default:
	}
	wantEqual(t, "recovery point", l.RecoveryPoint(), 0)
	close(disk)
	noError(t, <-flushed)
	wantEqual(t, "recovery point", l.RecoveryPoint(), 2)
	after := mem.CrashClone(vfs.SyncedOnly, 0)
	if text := fileContent(t, after, "/data/t-0/"+leaderEpochFile); !strings.Contains(text, "6 1\n") {
		t.Errorf("after a flush the file has %q", text)
	}
}

// An epoch without records is written by the background work.
func TestTheFileOfEpochsIsWrittenInTheBackground(t *testing.T) {
	f := newFaultyHost(t)
	end := f.log.Offsets().LogEnd
	noError(t, f.log.AssignEpochStart(5, end))
	line := fmt.Sprintf("5 %d\n", end)
	for _, want := range []bool{false, true} {
		if text := fileContent(t, f.mem, "/data/t-0/"+leaderEpochFile); strings.Contains(text, line) != want {
			t.Errorf("%t after the background work: %q", want, text)
		}
		f.settle()
	}
}

// Of the epochs that begin below the log start, only the one that reaches into the log is kept,
// from the log start on.
func TestARaisedLogStartDropsTheEpochsBelow(t *testing.T) {
	l, _ := newLog(t, testTopic())
	for epoch := range int32(3) {
		_, err := l.AppendAsLeader(Append{Records: batch(t, record.Defaults(), values(1, "x", "y")...), LeaderEpoch: metadata.LeaderEpoch(epoch), Origin: record.FromClient})
		noError(t, err)
	}
	l.SetHighWatermark(6)
	noError(t, l.IncrementLogStart(3))
	for requested, want := range map[int32]record.Offset{0: 3, 1: 4, 2: 6} {
		_, end := l.EndOffsetForEpoch(metadata.LeaderEpoch(requested))
		wantEqual(t, fmt.Sprintf("the end of epoch %d", requested), end, want)
	}
}

func TestEpochsThatTheFileLacksAreReadFromTheRecordsAfterACrash(t *testing.T) {
	l, h := newLog(t, testTopic())
	for epoch := range int32(3) {
		_, err := l.AppendAsLeader(Append{Records: batch(t, record.Defaults(), values(1, "x")...), LeaderEpoch: metadata.LeaderEpoch(epoch), Origin: record.FromClient})
		noError(t, err)
	}
	next := h.crash(t)
	fsys := next.config.FS
	edit(t, fsys, "/data/t-0/"+leaderEpochFile, func([]byte) []byte { return []byte("0\n1\n0 0\n") })
	next.open(t)
	l = next.Log(partition0)
	wantEqual(t, "latest epoch", l.LeaderEpoch(), 2)
	epoch, end := l.EndOffsetForEpoch(1)
	wantEqual(t, "epoch", epoch, 1)
	wantEqual(t, "its end", end, 2)
}
