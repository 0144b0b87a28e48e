package storage

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/monedula/monedula/internal/kafkalog"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/storage/clean"
)

// dirty fills a log with values of n keys in several segments, and makes all but the last record
// cleanable.
func dirty(t testing.TB, l *Log, records, keys int) {
	t.Helper()
	for i := range records {
		put(t, l, fmt.Sprint("key ", i%keys), fmt.Sprint("value ", i))
	}
	roll(t, l)
	put(t, l, "last", "value")
}

// cleaningOf returns a cleaning of everything that is due, whose pauses call pause.
func (h *host) cleaningOf(t testing.TB, l *Log, pause func() error) *cleaning {
	t.Helper()
	p, ok := h.cleaner.plan(l, h.env.now())
	if !ok || p.CleanableBytes == 0 {
		t.Fatalf("no cleaning is due: %+v", p)
	}
	return &cleaning{l: l, config: l.Config(), plan: p, now: h.env.now(), pause: func(int) error { return pause() },
		offsets: clean.NewOffsetMap(1<<20, 0.9), chunk: wholeChunk, log: kafkalog.WithPrefix(h.config.Log, "kafka.log.LogCleaner", "")}
}

// leftovers returns the files of an unfinished cleaning in a log's directory.
func leftovers(t testing.TB, l *Log) (names []string) {
	t.Helper()
	entries, err := l.env.fs.ReadDir(l.Path())
	noError(t, err)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), cleanedSuffix) || strings.HasSuffix(e.Name(), swapSuffix) {
			names = append(names, e.Name())
		}
	}
	return names
}

// A log changes in each of several ways, at each pause of a cleaning. The cleaning ends without an
// error, without a trace, and without a change to what the log then has.
func TestACleaningEndsIfItsLogChanges(t *testing.T) {
	changes := map[string]func(t *testing.T, h *host, l *Log) error{
		"deletion": func(_ *testing.T, h *host, _ *Log) error { return h.Delete(partition0, false) },
		"deletion and creation": func(t *testing.T, h *host, _ *Log) error {
			noError(t, h.Delete(partition0, false))
			_, err := h.GetOrCreate(partition0, metadata.TopicID{2}, compactedTopic(), true)
			return err
		},
		"truncation": func(t *testing.T, _ *host, l *Log) error {
			if _, err := l.TruncateTo(20); err != nil {
				return err
			}
			dirty(t, l, 30, 3) // other records at the same offsets
			return nil
		},
		"truncation to another offset": func(_ *testing.T, _ *host, l *Log) error { return l.TruncateFullyAndStartAt(1000, -1) },
		"retention": func(_ *testing.T, _ *host, l *Log) error {
			if err := l.IncrementLogStart(30); err != nil {
				return err
			}
			_, err := l.DeleteOldSegments()
			return err
		},
		"failure of the directory": func(_ *testing.T, _ *host, l *Log) error {
			l.dir.takeOffline("test", errors.New("the disk is gone"))
			return nil
		},
		"beginning of a move": func(_ *testing.T, h *host, l *Log) error {
			_, err := h.CreateFuture(partition0, otherDir(l))
			return err
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			for at := 1; ; at++ {
				h := start(t, vfs.NewMem(), func(c *ManagerConfig) { c.Dirs, c.Defaults = []string{"/data", "/other"}, compactedTopic() })
				l := h.log(t, compactedTopic())
				dirty(t, l, 60, 5)
				pauses, dirtyFrom := 0, l.dir.checkpoints.offset(cleanerOffsetFile, partition0)
				var before map[string]string
				run := h.cleaningOf(t, l, func() error {
					if pauses++; pauses == at {
						noError(t, change(t, h, l))
						if now := h.Log(partition0); now != nil && now.check() == nil {
							before = table(t, now)
						}
					}
					return nil
				})
				_, err := run.run()
				if pauses < at {
					if at < 5 {
						t.Errorf("only %d pauses", pauses)
					}
					return
				}
				if err == nil && name == "retention" {
					continue // it has removed only segments that were cleaned before
				}
				if !errors.Is(err, errCleaningAborted) {
					t.Fatalf("changed at pause %d: %v", at, err)
				}
				now := h.Log(partition0)
				if now == nil || now.check() != nil {
					continue
				}
				if after := table(t, now); !maps.Equal(before, after) {
					t.Errorf("changed at pause %d: the latest values are %v instead of %v", at, after, before)
				}
				if got := now.dir.checkpoints.offset(cleanerOffsetFile, partition0); got != dirtyFrom {
					t.Errorf("changed at pause %d: the checkpoint is %d instead of %d", at, got, dirtyFrom)
				}
				if left := leftovers(t, now); len(left) > 0 {
					t.Errorf("changed at pause %d: %v are left", at, left)
				}
				h.cleanAll(t)
				if after := table(t, now); !maps.Equal(before, after) {
					t.Errorf("cleaned after the change at pause %d: the latest values are %v instead of %v", at, after, before)
				}
			}
		})
	}
}

// Retention deletes the segments that are being cleaned when their replacement is complete, and when
// it has its .swap names.
func TestAReplacementEndsIfItsSourcesAreDeleted(t *testing.T) {
	for name, when := range map[string]func(op vfs.Op) bool{
		"complete": func(op vfs.Op) bool {
			return op.Kind == vfs.OpSync && strings.HasSuffix(op.Name, logSuffix+cleanedSuffix)
		},
		"swap": func(op vfs.Op) bool { return op.Kind == vfs.OpSyncDir && strings.HasSuffix(op.Name, "t-0") },
	} {
		t.Run(name, func(t *testing.T) {
			var l *Log
			var armed atomic.Bool
			fsys := vfs.Intercept(vfs.NewMem(), func(op vfs.Op) error {
				if when(op) && armed.CompareAndSwap(true, false) {
					noError(t, l.IncrementLogStart(50))
					_, err := l.DeleteOldSegments()
					noError(t, err)
				}
				return nil
			})
			h := start(t, fsys, func(c *ManagerConfig) { c.Defaults = compactedTopic() })
			l = h.log(t, compactedTopic())
			dirty(t, l, 60, 5)
			noError(t, l.Flush())
			l.dir.checkpoint()
			before := table(t, l)
			run := h.cleaningOf(t, l, func() error { return nil })
			l.dir.background.wait()
			armed.Store(true)
			if _, err := run.run(); !errors.Is(err, errCleaningAborted) {
				t.Errorf("the cleaning ended with %v", err)
			}
			if after := table(t, l); armed.Load() || !maps.Equal(before, after) {
				t.Errorf("the latest values are %v instead of %v", after, before)
			}
			if v := l.positions.load(); v.segments[0].base < 40 || len(leftovers(t, l)) > 0 {
				t.Errorf("deleted segments are back: %v, %v", segmentList(v.segments), leftovers(t, l))
			}
		})
	}
}

// A move begins when the replacement is complete, which is too late for the cleaning to look.
func TestAReplacementEndsIfItsLogMoves(t *testing.T) {
	var h *host
	var armed atomic.Bool
	fsys := vfs.Intercept(vfs.NewMem(), func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && strings.HasSuffix(op.Name, logSuffix+cleanedSuffix) && armed.CompareAndSwap(true, false) {
			_, err := h.CreateFuture(partition0, otherDir(h.Log(partition0)))
			noError(t, err)
		}
		return nil
	})
	h = start(t, fsys, func(c *ManagerConfig) { c.Dirs, c.Defaults = []string{"/data", "/other"}, compactedTopic() })
	l := h.log(t, compactedTopic())
	dirty(t, l, 60, 5)
	before := l.positions.load()
	run := h.cleaningOf(t, l, func() error { return nil })
	armed.Store(true)
	if _, err := run.run(); !errors.Is(err, errCleaningAborted) || armed.Load() {
		t.Errorf("the cleaning ended with %v", err)
	}
	if now := l.positions.load(); !slices.Equal(now.segments, before.segments) || len(leftovers(t, l)) > 0 {
		t.Errorf("the segments are %v, and %v are left", segmentList(now.segments), leftovers(t, l))
	}
}

// A move begins when the new segment has its .swap name. If the power fails later, the next start must
// not finish the replacement: the future log may already have records that it would remove.
func TestAReplacementThatAMoveEndedIsNotFinishedAfterACrash(t *testing.T) {
	var h *host
	var armed atomic.Bool
	created := make(chan error, 1)
	mem := vfs.NewMem()
	fsys := vfs.Intercept(mem, func(op vfs.Op) error {
		if op.Kind == vfs.OpSyncDir && strings.HasSuffix(op.Name, "t-0") && armed.CompareAndSwap(true, false) {
			l := h.Log(partition0)
			go func() {
				_, err := h.CreateFuture(partition0, otherDir(l))
				created <- err
			}()
			waitUntil(t, "the log is moving", l.moving.Load)
		}
		return nil
	})
	dirs := func(c *ManagerConfig) { c.Dirs, c.Defaults = []string{"/data", "/other"}, compactedTopic() }
	h = start(t, fsys, dirs)
	l := h.log(t, compactedTopic())
	dirty(t, l, 60, 5)
	noError(t, l.Flush())
	l.dir.checkpoint()
	want := basesOf(l)
	size := l.Size()
	run := h.cleaningOf(t, l, func() error { return nil })
	l.dir.background.wait()
	armed.Store(true)
	if _, err := run.run(); !errors.Is(err, errCleaningAborted) || armed.Load() {
		t.Errorf("the cleaning ended with %v", err)
	}
	noError(t, <-created)
	l = start(t, mem.CrashClone(vfs.SyncedOnly, 0), dirs).Log(partition0)
	if got := basesOf(l); l.Size() != size || !slices.Equal(got, want) || len(leftovers(t, l)) > 0 {
		t.Errorf("after a crash the log has %d bytes and segments %v instead of %d and %v, and %v are left", l.Size(), got, size, want, leftovers(t, l))
	}
}

func TestASegmentWithATornEndIsLeftAsItIs(t *testing.T) {
	l, h := newLog(t, compactedTopic())
	dirty(t, l, 60, 5)
	v := l.positions.load()
	s := v.segments[1]
	f, err := s.log.acquire()
	noError(t, err)
	noError(t, f.Truncate(s.size.Load()-10))
	s.size.Add(-10)
	f.release()
	if n := h.cleanAll(t); n != 0 || h.CleanerStatus().Uncleanable["/data"].Partitions != 1 {
		t.Errorf("%d cleanings of a damaged log: %+v", n, h.CleanerStatus())
	}
	if now := l.positions.load(); !slices.Contains(now.segments, s) || len(leftovers(t, l)) > 0 {
		t.Errorf("the segment was replaced, or %v are left", leftovers(t, l))
	}
}

func TestReadersKeepTheSegmentsThatACleaningReplaces(t *testing.T) {
	l, h := newLog(t, compactedTopic())
	dirty(t, l, 60, 5)
	data, err := l.Read(Read{Offset: 0, MaxBytes: 1 << 20})
	noError(t, err)
	want := make([]byte, data.Length)
	_, err = data.File.ReadAt(want, data.Position)
	noError(t, err)
	v := l.positions.load()
	h.cleanAll(t)
	have := make([]byte, data.Length)
	if _, err := data.File.ReadAt(have, data.Position); err != nil || !slices.Equal(have, want) {
		t.Errorf("a pinned segment has other bytes: %v", err)
	}
	data.Release()
	if _, err := l.read(&v, Read{Offset: 0, MaxBytes: 1 << 20}); err == nil || !l.changedSince(&v) {
		t.Errorf("a read in an outdated view is not repeated: %v", err)
	}
	if got := offsetsOf(t, l); !slices.Equal(got, []record.Offset{55, 56, 57, 58, 59, 60}) {
		t.Errorf("after the cleaning the log has %v", got)
	}
}

// A cleaning replaces one group of segments after another. A view that was taken between two of them
// has the same first segment as the log has later.
func TestEachReplacementOfACleaningIsNoticed(t *testing.T) {
	c := compactedTopic()
	c.SegmentBytes = 1 << 10
	l, h := newLog(t, c)
	for i := range 60 {
		put(t, l, fmt.Sprint(i), strings.Repeat("x", 200))
	}
	put(t, l, "0", "again")
	roll(t, l)
	put(t, l, "last", "")
	l.SetHighWatermark(l.Offsets().LogEnd)
	var views []view
	run := h.cleaningOf(t, l, func() error {
		if v := l.positions.load(); len(views) == 0 || views[len(views)-1].replacements != v.replacements {
			views = append(views, v)
		}
		return nil
	})
	_, err := run.run()
	noError(t, err)
	if len(views) < 3 {
		t.Fatalf("%d views, want one before and some between replacements", len(views))
	}
	for i := range views {
		if !l.changedSince(&views[i]) {
			t.Errorf("view %d of %d counts as current", i, len(views))
		}
	}
}

func TestAFullMapCleansTheRestLater(t *testing.T) {
	l, h := newLog(t, compactedTopic())
	dirty(t, l, 300, 100)
	before := table(t, l)
	o := *h.cleaner.options.Load()
	o.DedupeBytes, o.LoadFactor = 30*24, 1
	h.cleaner.options.Store(&o)
	if n := h.cleanAll(t); n < 8 {
		t.Errorf("300 records in %d cleanings with a map of 30", n)
	}
	if after := table(t, l); !maps.Equal(before, after) {
		t.Errorf("the latest values are %v instead of %v", after, before)
	}
}

// startedHost starts a Manager in memory with its periodic work, in virtual time.
func startedHost(t *testing.T, change func(*CleanerOptions)) *host {
	h := start(t, vfs.NewMem(), func(c *ManagerConfig) {
		c.Now = time.Now
		change(&c.Cleaner)
	})
	h.Start()
	synctest.Wait() // the first look of the cleaner finds nothing
	return h
}

func TestADamagedPartitionIsSetAsideAndTheOthersAreCleaned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startedHost(t, func(o *CleanerOptions) { o.Backoff = time.Second })
		l := h.log(t, compactedTopic())
		other, err := h.GetOrCreate(TopicPartition{Topic: "u"}, metadata.TopicID{3}, compactedTopic(), true)
		noError(t, err)
		dirty(t, other, 30, 3)
		damaged := segmentPath(l.Path(), 0, logSuffix)
		dirty(t, l, 60, 3)
		flip(t, h.config.FS, damaged, 100)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if offset := other.dir.checkpoints.offset(cleanerOffsetFile, other.tp); offset != 30 {
			t.Errorf("the other partition is clean up to %d", offset)
		}
		s := h.CleanerStatus().Uncleanable["/data"]
		if s.Partitions != 1 || s.Bytes == 0 || !strings.Contains(s.Reasons[partition0], "Record is corrupt (stored crc") {
			t.Errorf("uncleanable: %+v", s)
		}
		if lines := h.lines.String(); strings.Count(lines, "Marking its partition (t-0) as uncleanable") != 1 || !strings.Contains(lines, "Record is corrupt (stored crc") {
			t.Errorf("no reason, or several, in\n%s", lines)
		}
		flip(t, h.config.FS, damaged, 100)
		time.Sleep(uncleanableRetry + time.Second)
		synctest.Wait()
		if offset := l.dir.checkpoints.offset(cleanerOffsetFile, l.tp); offset != 60 {
			t.Errorf("after the repair the partition is clean up to %d", offset)
		}
		if s := h.CleanerStatus().Uncleanable["/data"]; s.Partitions != 0 {
			t.Errorf("uncleanable: %+v", s)
		}
		noError(t, h.Close())
	})
}

// flip inverts a byte of a file.
func flip(t testing.TB, fsys vfs.FS, name string, at int64) {
	t.Helper()
	f, err := fsys.OpenFile(name, 2, 0)
	noError(t, err)
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	noError(t, err)
	b[0] ^= 0xff
	_, err = f.WriteAt(b[:], at)
	noError(t, errors.Join(err, f.Close()))
}

func TestTheCleanerKeepsToItsRateAndChangesItLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startedHost(t, func(o *CleanerOptions) { o.Backoff, o.IOBytesPerSecond = time.Second, 1000 })
		l := h.log(t, compactedTopic())
		dirty(t, l, 2000, 5)
		size := l.Size() // read twice and written in part, at 1000 bytes a second
		checkpoint := func() record.Offset { return l.dir.checkpoints.offset(cleanerOffsetFile, l.tp) }
		time.Sleep(time.Duration(2*size/1000-10) * time.Second)
		if checkpoint() >= 0 {
			t.Errorf("%d bytes were cleaned too fast", size)
		}
		time.Sleep(time.Duration(size/1000) * time.Second)
		if checkpoint() != 2000 {
			t.Errorf("the cleaning is too slow: the checkpoint is %d", checkpoint())
		}
		dirty(t, l, 2000, 5)
		time.Sleep(10 * time.Second)
		if checkpoint() != 2000 {
			t.Errorf("the checkpoint is %d", checkpoint())
		}
		o := h.config.Options
		o.Cleaner.IOBytesPerSecond = math.MaxFloat64
		h.SetLive(o)
		time.Sleep(2 * time.Second)
		if checkpoint() != 4001 {
			t.Errorf("without a limit the checkpoint is %d", checkpoint())
		}
		noError(t, h.Close())
	})
}

func TestCleaningStopsWithTheManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startedHost(t, func(o *CleanerOptions) { o.Backoff, o.IOBytesPerSecond, o.Threads = time.Second, 10, 3 })
		l := h.log(t, compactedTopic())
		dirty(t, l, 500, 5)
		time.Sleep(30 * time.Second)
		began := time.Now()
		noError(t, h.Close())
		if took := time.Since(began); took > time.Second {
			t.Errorf("the shutdown waits %v for a cleaning", took)
		}
	})
}

func TestADisabledCleanerCleansNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startedHost(t, func(o *CleanerOptions) { o.Enabled, o.Backoff = false, time.Second })
		l := h.log(t, compactedTopic())
		dirty(t, l, 50, 5)
		time.Sleep(time.Minute)
		if got := l.dir.checkpoints.offset(cleanerOffsetFile, l.tp); got >= 0 {
			t.Errorf("the checkpoint is %d", got)
		}
		noError(t, h.Close())
	})
}

func TestTheCheckpointOfTheCleanerFollowsItsLog(t *testing.T) {
	h := start(t, vfs.NewMem(), func(c *ManagerConfig) { c.Dirs, c.Defaults = []string{"/data", "/other"}, compactedTopic() })
	l := h.log(t, compactedTopic())
	dirty(t, l, 60, 5)
	h.cleanAll(t)
	file := func(dir string) record.Offset {
		offsets, err := readOffsetCheckpoint(h.config.FS, dir+"/"+cleanerOffsetFile)
		noError(t, err)
		if offset, named := offsets[partition0]; named {
			return offset
		}
		return -1
	}
	from, to := l.Dir(), otherDir(l)
	if file(from) != 60 {
		t.Fatalf("after a cleaning %d", file(from))
	}
	future, err := h.CreateFuture(partition0, otherDir(l))
	noError(t, err)
	eachBatch(t, l, func(b record.Batch) {
		_, err := future.AppendAsFollower(slices.Clone(b), 0)
		noError(t, err)
	})
	noError(t, h.SettleFuture(partition0))
	if done, err := h.ReplaceWithFuture(partition0); !done || err != nil {
		t.Fatal(done, err)
	}
	noError(t, h.SettleMove(partition0))
	h.restart(t)
	if file(from) != -1 || file(to) < 0 {
		t.Errorf("after a move %d in the old directory, %d in the new one", file(from), file(to))
	}
	l = h.Log(partition0)
	if _, err := l.TruncateTo(57); err != nil {
		t.Fatal(err)
	}
	if v := l.positions.load(); file(to) > v.active().base {
		t.Errorf("after a truncation %d, the active segment begins at %d", file(to), v.active().base)
	}
	noError(t, h.Delete(partition0, false))
	if file(to) != -1 {
		t.Errorf("after the deletion %d", file(to))
	}
}

// A cleaning ends just when its log is truncated, and other records get the offsets that it cleaned.
func TestACleaningOfACutLogIsNotCheckpointed(t *testing.T) {
	l, _ := newLog(t, compactedTopic())
	dirty(t, l, 60, 5)
	before := l.positions.load().truncations
	_, err := l.TruncateTo(20)
	noError(t, err)
	dirty(t, l, 60, 5)
	l.markClean(60, before)
	if got := l.dir.checkpoints.offset(cleanerOffsetFile, partition0); got > 20 {
		t.Errorf("the log counts as clean up to %d, but was truncated to 20", got)
	}
	l.markClean(60, l.positions.load().truncations)
	wantEqual(t, "checkpoint of a cleaning after the truncation", l.dir.checkpoints.offset(cleanerOffsetFile, partition0), 60)
}

func TestAMovedLogIsCleanOnlyAsFarAsItsOriginalWasAtTheBeginning(t *testing.T) {
	h := start(t, vfs.NewMem(), func(c *ManagerConfig) { c.Dirs, c.Defaults = []string{"/data", "/other"}, compactedTopic() })
	c := compactedTopic()
	c.DeleteRetentionMs = 0
	l := h.log(t, c)
	dirty(t, l, 10, 2)
	h.cleanAll(t)
	put(t, l, "gone", "value")
	roll(t, l)
	put(t, l, "gone", "")
	roll(t, l)
	put(t, l, "last", "value")
	future, err := h.CreateFuture(partition0, otherDir(l))
	noError(t, err)
	eachBatch(t, l, func(b record.Batch) {
		_, err := future.AppendAsFollower(slices.Clone(b), 0)
		noError(t, err)
	})
	roll(t, future)
	h.cleanAll(t) // removes the value, of which the future log has a copy
	noError(t, h.SettleFuture(partition0))
	if done, err := h.ReplaceWithFuture(partition0); !done || err != nil {
		t.Fatal(done, err)
	}
	noError(t, h.SettleMove(partition0))
	l = h.Log(partition0)
	roll(t, l)
	for range 3 {
		put(t, l, "last", "value")
		roll(t, l)
		l.SetHighWatermark(l.Offsets().LogEnd)
		h.cleanAll(t)
	}
	if got, back := table(t, l)["gone"]; back {
		t.Errorf("a deleted key is back: %v", got)
	}
}

// A record that the copy has got must not lose the tombstone that the copy has not got yet.
func TestALogIsNotCleanedWhileItMoves(t *testing.T) {
	h := start(t, vfs.NewMem(), func(c *ManagerConfig) { c.Dirs, c.Defaults = []string{"/data", "/other"}, compactedTopic() })
	c := compactedTopic()
	c.DeleteRetentionMs = 0
	l := h.log(t, c)
	put(t, l, "gone", "value")
	roll(t, l)
	put(t, l, "gone", "")
	roll(t, l)
	put(t, l, "last", "value")
	l.SetHighWatermark(l.Offsets().LogEnd)
	future, err := h.CreateFuture(partition0, otherDir(l))
	noError(t, err)
	copied := 0
	copyFrom := func(from record.Offset, limit int) {
		eachBatch(t, l, func(b record.Batch) {
			if b.BaseOffset() >= from && copied < limit {
				_, err := future.AppendAsFollower(slices.Clone(b), 0)
				noError(t, err)
				copied++
			}
		})
	}
	copyFrom(0, 1)
	for range 3 { // enough to give the tombstone its horizon and to remove it
		put(t, l, "last", "value")
		roll(t, l)
		l.SetHighWatermark(l.Offsets().LogEnd)
		h.cleanAll(t)
	}
	copyFrom(1, 10)
	noError(t, h.SettleFuture(partition0))
	if done, err := h.ReplaceWithFuture(partition0); !done || err != nil {
		t.Fatal(done, err)
	}
	if got, back := table(t, h.Log(partition0))["gone"]; back {
		t.Errorf("a deleted key is back: %v", got)
	}
	if h.Log(partition0).moving.Load() {
		t.Error("the log is not cleaned after its move")
	}
}

// Readers and lookups by time see each log as it was or as it is while it is appended to, trimmed and
// cleaned: a record that they find has the value that was written there, and offsets increase.
func TestReadersAndAppendsContinueDuringCleanings(t *testing.T) {
	l, h := newLog(t, compactedTopic())
	const records = 600
	value := func(offset record.Offset) string { return fmt.Sprint("value ", offset) }
	var done atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		defer done.Store(true)
		for i := range record.Offset(records) {
			put(t, l, fmt.Sprint("key ", i%7), value(i))
			if i%100 == 99 {
				_ = l.IncrementLogStart(i - 90)
				_, _ = l.DeleteOldSegments()
			}
		}
	})
	wg.Go(func() {
		for thread := h.thread(); !done.Load(); {
			thread.step()
		}
	})
	for range 2 {
		wg.Go(func() {
			for !done.Load() {
				next := l.Offsets().LogStart
				for _, offset := range readOnce(t, l, next, value) {
					if offset < next {
						t.Errorf("offset %d after %d", offset, next)
					}
					next = offset + 1
				}
				if _, err := l.OffsetForTime(h.env.now()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	h.cleanAll(t)
	for key, v := range table(t, l) {
		var k, offset int
		if _, err := fmt.Sscanf(key+" "+v, "key %d value %d", &k, &offset); err != nil || offset < records-7 {
			t.Errorf("%s has %s", key, v)
		}
	}
}

// readOnce reads a log once from an offset on, checks the values, and returns the offsets.
func readOnce(t *testing.T, l *Log, from record.Offset, value func(record.Offset) string) (offsets []record.Offset) {
	for end := l.Offsets().LogEnd; from < end; {
		data, err := l.Read(Read{Offset: from, MaxBytes: 1000, MinOneMessage: true})
		if errors.Is(err, protocol.OffsetOutOfRange) {
			return offsets // the log was trimmed
		}
		if err != nil {
			t.Error(err)
			return offsets
		}
		set := make([]byte, data.Length)
		if data.Length > 0 {
			_, err = data.File.ReadAt(set, data.Position)
		}
		data.Release()
		if err != nil || len(set) == 0 {
			t.Errorf("%d bytes at %d of %d: %v", len(set), from, end, err)
			return offsets
		}
		for b, err := range record.Batches(set) {
			if err == nil {
				err = b.Validate()
			}
			if err == nil {
				err = b.Each(func(r *record.Record) error {
					if string(r.Value) != value(r.Offset) {
						return fmt.Errorf("record %d is %q", r.Offset, r.Value)
					}
					offsets = append(offsets, r.Offset)
					return nil
				})
			}
			if err != nil {
				t.Error(err)
				return offsets
			}
			from = b.NextOffset()
		}
	}
	return offsets
}

// A cleaning for which the disk has too little space is not tried again until there is enough, and
// then at once.
func TestACleaningBeginsWhenThereIsSpace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := &sizedFS{FS: vfs.NewMem(), free: 2500}
		h := start(t, fsys, func(c *ManagerConfig) {
			c.Now, c.Defaults, c.DiskLowWatermark, c.Cleaner.Backoff = time.Now, compactedTopic(), 4000, time.Second
		})
		h.Start()
		l := h.log(t, compactedTopic())
		for i := range 8 {
			put(t, l, "key", fmt.Sprint(i))
		}
		size := l.Size() // with it, less than half of the watermark would be free
		if size <= 500 {
			t.Fatalf("the log has only %d bytes", size)
		}
		roll(t, l)
		time.Sleep(uncleanableRetry + time.Minute)
		synctest.Wait()
		wantEqual(t, "size", l.Size(), size)
		wantEqual(t, "attempts", strings.Count(h.lines.String(), "Beginning cleaning of log t-0"), 1)
		if s := h.CleanerStatus().Uncleanable["/data"]; s.Partitions != 1 || !strings.Contains(s.Reasons[partition0], "too little free disk space") {
			t.Errorf("uncleanable: %+v", s)
		}
		fsys.mu.Lock()
		fsys.free = 1 << 39
		fsys.mu.Unlock()
		time.Sleep(diskCheck + 2*time.Second)
		synctest.Wait()
		if l.Size() >= size {
			t.Errorf("with enough space the log still has %d bytes", l.Size())
		}
		wantEqual(t, "uncleanable partitions", h.CleanerStatus().Uncleanable["/data"].Partitions, 0)
		noError(t, h.Close())
	})
}
