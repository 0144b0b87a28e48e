package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/record"
	"github.com/monedula/monedula/settings"
)

// faultyHost is a Manager of two in-memory directories whose operations can be made to fail.
// Background work waits until settle runs it.
type faultyHost struct {
	*host
	mem   *vfs.Mem
	later []func()
	fault func(vfs.Op) error // nil for no fault
	log   *Log               // in /data
	other *Log               // in the same directory

	sequence int32 // of the producer whose transactions are aborted
}

var otherPartition = metadata.TopicPartition{Topic: "other", Partition: 0}

// newFaultyHost creates a log of several segments with an aborted transaction, and another log in
// the same directory.
func newFaultyHost(t *testing.T) *faultyHost {
	t.Helper()
	f := &faultyHost{mem: vfs.NewMem()}
	f.start(t, f.mem)
	noError(t, f.PreferDir(partition0, "/data"))
	noError(t, f.PreferDir(otherPartition, "/data"))
	c := faultyTopic()
	var err error
	f.log, err = f.GetOrCreate(partition0, metadata.TopicID{1}, c, true)
	noError(t, err)
	f.other, err = f.GetOrCreate(otherPartition, metadata.TopicID{2}, c, true)
	noError(t, err)
	now := f.clock.now().UnixMilli()
	appendValues(t, f.other, now, "other")
	for range 3 {
		fill(t, f.log, 3, 300, now)
		noError(t, f.log.Roll())
	}
	noError(t, f.abort())
	fill(t, f.log, 1, 300, now)
	f.settle()
	return f
}

func faultyTopic() *settings.Topic {
	c := testTopic()
	c.SegmentBytes, c.IndexIntervalBytes = 2000, 300
	return c
}

func (f *faultyHost) start(t *testing.T, mem *vfs.Mem) {
	fsys := vfs.Intercept(mem, func(op vfs.Op) error {
		if f.fault != nil {
			return f.fault(op)
		}
		return nil
	})
	f.mem = mem
	f.host = start(t, fsys, func(c *ManagerConfig) {
		c.Dirs, c.Defaults, c.OpenFiles = []string{"/data", "/more"}, faultyTopic(), 1
		c.Later = func(_ time.Duration, work func()) { f.later = append(f.later, work) }
	})
}

// abort begins and aborts a transaction.
func (f *faultyHost) abort() error {
	o := idempotent(4, 0, f.sequence)
	o.Transactional = true
	now := f.clock.now().UnixMilli()
	b := record.NewBuilder(o)
	if err := b.Append(now, nil, []byte("aborted")); err != nil {
		return err
	}
	set, err := b.Build()
	if err != nil {
		return err
	}
	if _, err := f.log.AppendAsLeader(Append{Records: set}); err != nil {
		return err
	}
	f.sequence++
	marker, err := record.EndTxnMarker(o, record.Abort, 0, now)
	if err != nil {
		return err
	}
	_, err = f.log.AppendAsLeader(Append{Records: marker, Origin: record.FromCoordinator})
	f.log.SetHighWatermark(f.log.Offsets().LogEnd)
	return err
}

// settle runs the background work that is due.
func (f *faultyHost) settle() {
	for len(f.later) > 0 {
		work := f.later[0]
		f.later = f.later[1:]
		work()
	}
}

// faultyActions are the operations of a broker on its storage.
var faultyActions = []struct {
	name string
	// halfway is set if the action may run out of file descriptors halfway through a change.
	halfway bool
	act     func(t *testing.T, f *faultyHost) error
}{
	{"produce", false, func(t *testing.T, f *faultyHost) error {
		_, err := f.log.AppendAsLeader(Append{Records: batch(t, record.Defaults(), values(f.clock.now().UnixMilli(), "x")...)})
		return err
	}},
	{"produce that rolls", false, func(t *testing.T, f *faultyHost) error {
		_, err := f.log.AppendAsLeader(Append{Records: batch(t, record.Defaults(), values(1, strings.Repeat("x", 1900))...)})
		return err
	}},
	{"end of a transaction", false, func(_ *testing.T, f *faultyHost) error { return f.abort() }},
	{"follower append", false, func(t *testing.T, f *faultyHost) error {
		_, err := f.log.AppendAsFollower(at(t, f.log.Offsets().LogEnd, "a", "b"), 0)
		return err
	}},
	{"roll", false, func(_ *testing.T, f *faultyHost) error { return f.log.Roll() }},
	{"read", false, func(_ *testing.T, f *faultyHost) error {
		for offset := range record.Offset(12) {
			data, err := f.log.Read(Read{Offset: offset, MaxBytes: 1 << 20, Bound: UpToLastStable, AbortedWanted: true})
			data.Release()
			if err != nil {
				return err
			}
		}
		return nil
	}},
	{"lookup by time", false, func(_ *testing.T, f *faultyHost) error {
		_, err := f.log.OffsetForTime(f.clock.now().UnixMilli() + 2)
		return err
	}},
	{"lookup of the largest time", false, func(_ *testing.T, f *faultyHost) error {
		_, err := f.log.OffsetOfMaxTimestamp()
		return err
	}},
	{"lookup by the age of segments", false, func(_ *testing.T, f *faultyHost) error {
		_, err := f.log.LegacyOffsetsBefore(1, 10)
		return err
	}},
	{"truncation", true, func(_ *testing.T, f *faultyHost) error {
		_, err := f.log.TruncateTo(f.log.Offsets().LogEnd - 1)
		return err
	}},
	{"truncation over segments", true, func(_ *testing.T, f *faultyHost) error {
		_, err := f.log.TruncateTo(4)
		return err
	}},
	{"truncation of everything", true, func(_ *testing.T, f *faultyHost) error { return f.log.TruncateFullyAndStartAt(100, -1) }},
	{"flush", false, func(_ *testing.T, f *faultyHost) error { return f.log.Flush() }},
	{"retention", false, func(_ *testing.T, f *faultyHost) error {
		if err := f.log.IncrementLogStart(7); err != nil {
			return err
		}
		f.deleteOldSegments()
		return nil
	}},
	{"checkpoints", false, func(_ *testing.T, f *faultyHost) error {
		f.eachDir((*logDir).checkpoint)
		return f.CheckpointHighWatermarks("/data", []*Log{f.log, f.other})
	}},
	{"creation", false, func(_ *testing.T, f *faultyHost) error {
		_, err := f.GetOrCreate(tpOf("new", 0), metadata.TopicID{3}, faultyTopic(), true)
		return err
	}},
	{"move", true, func(t *testing.T, f *faultyHost) error {
		future, err := f.CreateFuture(partition0, "/more")
		if err != nil {
			return err
		}
		for end := f.log.Offsets().LogEnd; future.Offsets().LogEnd < end; {
			data, err := f.log.Read(Read{Offset: future.Offsets().LogEnd, MaxBytes: 1500, MinOneMessage: true})
			if err != nil {
				return err
			}
			set := make([]byte, data.Length)
			_, err = data.File.ReadAt(set, data.Position)
			data.Release()
			if err != nil {
				return err
			}
			if _, err := future.AppendAsFollower(set, 0); err != nil {
				return err
			}
		}
		if err := f.SettleFuture(partition0); err != nil {
			return err
		}
		if done, err := f.ReplaceWithFuture(partition0); !done {
			return err
		}
		return f.SettleMove(partition0)
	}},
	{"deletion", true, func(_ *testing.T, f *faultyHost) error { return f.Delete(partition0, false) }},
}

// reads reports whether an action is a read or a lookup, which depends on all its operations.
func reads(action string) bool { return action == "read" || strings.HasPrefix(action, "lookup ") }

// Every file operation of every action fails once: with a disk error, with a lack of file
// descriptors, and with a panic. Only a disk error may take the directory offline, and no failure
// may lose records that the log had before. A failed read or lookup has no result.
func TestAnErrorAffectsNoMoreThanNecessary(t *testing.T) {
	causes := map[string]struct {
		hits func(vfs.Op) bool
		fail func() error
	}{
		"disk":  {func(op vfs.Op) bool { return op.Kind != vfs.OpClose }, func() error { return syscall.EIO }},
		"files": {needsDescriptor, func() error { return syscall.EMFILE }},
		"panic": {func(op vfs.Op) bool { return op.Kind != vfs.OpClose }, func() error { panic("halfway") }},
	}
	for _, action := range faultyActions {
		for name, cause := range causes {
			t.Run(action.name+" "+name, func(t *testing.T) {
				t.Parallel()
				for nth := 1; ; nth++ {
					f := newFaultyHost(t)
					if reads(action.name) { // of files, and not of what was appended last
						f.restart(t)
						f.log, f.other = f.Log(partition0), f.Log(otherPartition)
					}
					seen := 0
					var hit vfs.Op
					f.fault = func(op vfs.Op) error {
						if !cause.hits(op) {
							return nil
						}
						if seen++; seen == nth {
							hit = op
							return cause.fail()
						}
						return nil
					}
					err := withoutPanic(func() error {
						err := action.act(t, f)
						f.settle()
						return err
					})
					f.fault = nil
					if seen < nth {
						noError(t, err)
						return
					}
					what := fmt.Sprintf("operation %d, %s %s: %v", nth, hit.Kind, hit.Name, err)
					if reads(action.name) && err == nil {
						t.Errorf("%s: there is a result", what)
					}
					if name == "disk" {
						if changesData(hit) && f.Dirs()[0].Online && f.Dirs()[1].Online {
							t.Errorf("%s: the directories are still online", what)
						}
						continue
					}
					if name == "panic" && (hit.Kind == vfs.OpRename || hit.Kind == vfs.OpSyncDir) {
						continue // the operation parses nothing
					}
					for _, d := range f.Dirs() {
						wantEqual(t, what+": "+d.Path+" online", d.Online, true)
					}
					if name == "files" && !action.halfway {
						wantEqual(t, what+": the log was given up", f.log.givenUp.Load(), false)
						noError(t, withoutPanic(func() error { return action.act(t, f) }))
					}
					appendValues(t, f.other, 1, "still written")
					again := &faultyHost{}
					again.start(t, f.mem.CrashClone(vfs.Everything, 1))
					wantEqual(t, what+": records of the other log", len(all(t, again.Log(otherPartition), 0)), 2)
					if l := again.Log(partition0); l != nil {
						all(t, l, l.Offsets().LogStart)
						appendValues(t, l, 1, "again")
					} else if action.name != "deletion" {
						t.Errorf("%s: the log is gone\n%s", what, again.lines)
					}
				}
			})
		}
	}
}

// changesData reports whether the log depends on an operation. It does not on one that only saves
// work or removes unused files.
func changesData(op vfs.Op) bool {
	return op.Kind.Changes() && op.Kind != vfs.OpLink && op.Kind != vfs.OpRemove && op.Kind != vfs.OpChtimes
}

// needsDescriptor reports whether an operation opens something.
func needsDescriptor(op vfs.Op) bool {
	switch op.Kind {
	case vfs.OpOpen, vfs.OpCreate, vfs.OpReadDir, vfs.OpSyncDir:
		return true
	}
	return false
}

func withoutPanic(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}

// The first abort in a segment creates its transaction index.
func TestAnAbortWithoutAFileDescriptorFailsOnlyItsRequest(t *testing.T) {
	f := newFaultyHost(t)
	noError(t, f.log.Roll())
	failed := false
	f.fault = func(op vfs.Op) error {
		if failed || !needsDescriptor(op) || !strings.HasSuffix(op.Name, txnIndexSuffix) {
			return nil
		}
		failed = true
		return syscall.EMFILE
	}
	if err := f.abort(); !errors.Is(err, ErrTooManyFiles) {
		t.Fatalf("error %v", err)
	}
	wantEqual(t, "given up", f.log.givenUp.Load(), false)
	noError(t, f.abort())
}

// A set may need more index entries than there are slots: a follower gets up to
// replica.fetch.max.bytes at once.
func TestAFullIndexLeavesEntriesOut(t *testing.T) {
	c := testTopic()
	c.SegmentIndexBytes = 1 << 10 // 85 time entries, 128 offset entries
	l, h := newLog(t, c)
	var set []byte
	offset := record.Offset(0)
	for ; len(set) < 1<<20; offset++ {
		b := record.Batch(batch(t, record.Defaults(), values(int64(1000+offset), strings.Repeat("x", 500))...))
		b.SetLastOffset(offset)
		b.SetPartitionLeaderEpoch(0)
		set = append(set, b...)
	}
	_, err := l.AppendAsFollower(set, 0)
	noError(t, err)
	l.SetHighWatermark(offset)
	for _, when := range []string{"at once", "after a restart"} {
		for _, o := range []record.Offset{0, 1, offset / 2, offset - 2, offset - 1} {
			wantEqual(t, fmt.Sprint(when, ": read at ", o), record.Batch(readBytes(t, l, Read{Offset: o, MaxBytes: 1, MinOneMessage: true})).BaseOffset(), o)
		}
		newest, _, err := l.positions.load().segments[0].largestTimestamp()
		noError(t, err)
		wantEqual(t, when+": largest timestamp", newest, int64(1000+offset-1))
		h.restart(t)
		l = h.Log(partition0)
	}
	noError(t, func() error { _, err := l.AppendAsFollower(at(t, offset, "next"), 0); return err }())
	wantEqual(t, "segments once an index was full", l.SegmentCount(), 2)
}

// The broker starts, and serves and writes its logs, whichever setting of a topic is lowered and
// however the last run ended.
func TestALoweredConfigurationNeverPreventsAStart(t *testing.T) {
	for name, lower := range map[string]func(*settings.Topic){
		"segment.index.bytes":    func(c *settings.Topic) { c.SegmentIndexBytes = 1 << 10 },
		"smallest index":         func(c *settings.Topic) { c.SegmentIndexBytes = 4 },
		"index.interval.bytes":   func(c *settings.Topic) { c.IndexIntervalBytes = 0 },
		"segment.bytes":          func(c *settings.Topic) { c.SegmentBytes = 1 << 10 },
		"segment.ms":             func(c *settings.Topic) { c.SegmentMs = 1 },
		"max.message.bytes":      func(c *settings.Topic) { c.MaxMessageBytes = 100 },
		"message.format.version": func(c *settings.Topic) { c.Magic = 0 },
		"cleanup.policy":         func(c *settings.Topic) { c.CleanupCompact, c.CleanupDelete = true, false },
		"indexes": func(c *settings.Topic) {
			c.SegmentIndexBytes, c.IndexIntervalBytes, c.SegmentBytes = 4, 0, 1<<10
		},
	} {
		for _, killed := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", killed ", killed), func(t *testing.T) {
				c := testTopic()
				c.SegmentIndexBytes = 10 << 20
				l, h := newLog(t, c)
				for i := range 200 {
					appendValues(t, l, int64(1000+i), strings.Repeat("x", 5000))
				}
				next := h
				if killed {
					next = h.crash(t)
				} else {
					noError(t, h.Close())
				}
				lowered := *c
				lower(&lowered)
				next.config.Defaults = &lowered
				for range 2 {
					next.open(t)
					l = next.Log(partition0)
					wantEqual(t, "records", len(all(t, l, 0)), int(l.Offsets().LogEnd))
					for _, i := range []record.Offset{0, 100, 199} {
						found, err := l.OffsetForTime(int64(1000 + i))
						noError(t, err)
						wantEqual(t, "offset by time", found.Offset, i)
					}
					for range 3 {
						_, err := l.AppendAsFollower(at(t, l.Offsets().LogEnd, "x"), 0)
						noError(t, err)
					}
					noError(t, next.Close())
				}
			})
		}
	}
}

// The damaged index belongs to a log that was closed cleanly, and has an entry above the log's end.
func TestAppendsContinueAfterADamagedIndex(t *testing.T) {
	for suffix, entry := range map[string]string{
		indexSuffix:     "\x00\x00\xff\xff\x00\x00\x00\x00",
		timeIndexSuffix: "\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\xff\xff",
	} {
		c := testTopic()
		c.IndexIntervalBytes = 1
		l, h := newLog(t, c)
		fill(t, l, 3, 40, 1000)
		noError(t, h.Close())
		edit(t, h.config.FS, segmentName(0, suffix), func([]byte) []byte { return []byte(entry) })
		h.open(t)
		l = h.Log(partition0)
		fill(t, l, 5, 40, 2000)
		wantEqual(t, suffix+": records", len(all(t, l, 0)), 8)
		wantEqual(t, suffix+": segments", l.SegmentCount(), 2)
		noError(t, l.Flush())
	}
}

// The last records of a topic that was once compacted may be far from the records before them.
func TestOffsetsFarApartNeverOverflowAnIndex(t *testing.T) {
	c := testTopic()
	c.IndexIntervalBytes = 1
	l, h := newLog(t, c)
	fill(t, l, 2, 40, 1)
	_, err := l.TruncateTo(1) // a gap may remain at the end of the segment
	noError(t, err)
	set := at(t, 1<<30-5, "a")
	for _, offset := range []record.Offset{1 << 30, 1<<30 + math.MaxInt32 - 10} {
		set = append(set, at(t, offset, "b")...)
	}
	_, err = l.AppendAsFollower(set, 0)
	noError(t, err)
	wantEqual(t, "online", h.Dirs()[0].Online, true)
	wantEqual(t, "records", len(all(t, l, 0)), 4)
	h.restart(t)
	wantEqual(t, "records after a restart", len(all(t, h.Log(partition0), 0)), 4)
}

// A panic during the validation of records changes nothing.
func TestAPanicDuringValidationFailsOnlyItsRequest(t *testing.T) {
	var panics bool
	h := start(t, vfs.NewMem(), func(c *ManagerConfig) {
		now := c.Now
		c.Now = func() time.Time {
			if panics {
				panic("in a parser")
			}
			return now()
		}
	})
	l := h.log(t, testTopic())
	appendValues(t, l, 1, "before")
	set := batch(t, record.Defaults(), values(1, "x")...)
	panics = true
	err := withoutPanic(func() error { _, err := l.AppendAsLeader(Append{Records: set}); return err })
	wantEqual(t, "error", errText(err), "panic: in a parser")
	panics = false
	appendValues(t, l, 1, "after")
	wantEqual(t, "records", len(all(t, l, 0)), 2)
}

func TestALogThatIsGivenUpIsReported(t *testing.T) {
	f := newFaultyHost(t)
	var reported []TopicPartition
	f.OnLogFailure(func(tp TopicPartition) { reported = append(reported, tp) })
	f.fault = func(op vfs.Op) error {
		if op.Kind == vfs.OpTruncate && strings.HasSuffix(op.Name, logSuffix) {
			panic("halfway")
		}
		return nil
	}
	err := withoutPanic(func() error { _, err := f.log.TruncateTo(4); return err })
	wantEqual(t, "error", errText(err), "panic: halfway")
	f.fault = nil
	f.settle()
	wantEqual(t, "reported", fmt.Sprint(reported), fmt.Sprint([]TopicPartition{partition0}))
	_, err = f.log.Read(Read{})
	wantError(t, err, protocol.KafkaStorageError)
	noError(t, f.Close())
	_, err = f.mem.Stat("/data/" + cleanShutdownFile)
	wantEqual(t, "marked as cleanly shut down", err == nil, false)
	f.start(t, f.mem)
	// The truncation was not acknowledged: the segments that it had not cut yet are recovered.
	wantEqual(t, "log end after a restart", f.Log(partition0).Offsets().LogEnd, 6)
	wantEqual(t, "records", len(all(t, f.Log(partition0), 0)), 6)
}

// If a log cannot be loaded, only that log is offline. It is served again once it is repaired.
func TestOnlyALogThatCannotBeLoadedIsOffline(t *testing.T) {
	repaired := string(partitionMetadata(metadata.TopicID{1}))
	for name, tt := range map[string]struct{ file, content string }{
		"topic id": {"/data/t-0/" + partitionMetadataFile, "version: 7\n"},
		"epochs":   {"/data/t-0/" + leaderEpochFile, "0\n1\nx y\n"},
		"panic":    {"", ""},
	} {
		for _, killed := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", killed ", killed), func(t *testing.T) {
				f := newFaultyHost(t)
				noError(t, f.log.IncrementLogStart(5))
				noError(t, f.log.Flush())
				f.eachDir((*logDir).checkpoint)
				mem := f.mem
				if killed {
					mem = mem.CrashClone(vfs.Everything, 1)
				} else {
					noError(t, f.Close())
				}
				before := ""
				if tt.file != "" {
					before = fileContent(t, mem, tt.file)
					edit(t, mem, tt.file, func([]byte) []byte { return []byte(tt.content) })
				}
				again := &faultyHost{}
				if tt.file == "" {
					again.fault = func(op vfs.Op) error {
						if strings.HasPrefix(op.Name, "/data/t-0/") {
							panic("in a parser")
						}
						return nil
					}
				}
				again.start(t, mem)
				again.fault = nil
				for _, d := range again.Dirs() {
					wantEqual(t, d.Path+" online", d.Online, true)
				}
				appendValues(t, again.Log(otherPartition), 1, "served")
				_, err := again.GetOrCreate(partition0, metadata.TopicID{1}, testTopic(), true)
				wantError(t, err, protocol.KafkaStorageError)
				_, err = again.mem.Stat("/more/t-0")
				wantEqual(t, "created in another directory", err == nil, false)
				again.eachDir((*logDir).checkpoint)
				for _, checkpoint := range []string{recoveryPointFile, logStartFile} {
					wantEqual(t, checkpoint+" of another directory names the log", strings.Contains(fileContent(t, mem, "/more/"+checkpoint), "t 0 "), false)
				}
				noError(t, again.Close())
				_, err = mem.Stat("/data/" + cleanShutdownFile)
				wantEqual(t, "marked as cleanly shut down", err == nil, !killed)
				if tt.file != "" {
					edit(t, mem, tt.file, func([]byte) []byte { return []byte(before) })
				}
				last := &faultyHost{}
				last.start(t, mem)
				l := last.Log(partition0)
				wantEqual(t, "log start", l.Offsets().LogStart, 5)
				wantEqual(t, "recovered from the start", regexp.MustCompile(`segment 0\. ./. recovered for t-0`).MatchString(last.lines.String()), false)
				wantEqual(t, "topic id", string(partitionMetadata(l.TopicID())), repaired)
			})
		}
	}
}

func TestALogThatCannotBeLoadedCanBeDeleted(t *testing.T) {
	f := newFaultyHost(t)
	noError(t, f.Close())
	edit(t, f.mem, "/data/t-0/"+partitionMetadataFile, func([]byte) []byte { return []byte("damaged") })
	f.start(t, f.mem)
	errs := f.DeleteAll([]TopicPartition{partition0})
	noError(t, errs[0])
	_, err := f.mem.Stat("/data/t-0")
	wantEqual(t, "directory exists", err == nil, false)
	_, err = f.GetOrCreate(partition0, metadata.TopicID{9}, testTopic(), true)
	noError(t, err)
	f.settle()
	names, err := f.mem.ReadDir("/data")
	noError(t, err)
	for _, n := range names {
		if strings.HasSuffix(n.Name(), "-delete") {
			t.Errorf("%s was not removed", n.Name())
		}
	}
}

func TestAClosedLogRefusesEveryOperationAndTouchesNoFile(t *testing.T) {
	var touched []string
	h := start(t, vfs.Intercept(vfs.NewMem(), func(op vfs.Op) error {
		touched = append(touched, op.Name)
		return nil
	}))
	l := h.log(t, testTopic())
	appendValues(t, l, 1, "a", "b")
	l.SetHighWatermark(2)
	noError(t, h.Close())
	for name, operation := range map[string]func() error{
		"AppendAsLeader": func() error {
			_, err := l.AppendAsLeader(Append{Records: batch(t, record.Defaults(), values(1, "x")...)})
			return err
		},
		"AppendAsFollower":     func() error { _, err := l.AppendAsFollower(at(t, 2, "x"), 0); return err },
		"Read":                 func() error { _, err := l.Read(Read{MaxBytes: 1 << 20}); return err },
		"Flush":                l.Flush,
		"Roll":                 l.Roll,
		"DeleteOldSegments":    func() error { _, err := l.DeleteOldSegments(); return err },
		"IncrementLogStart":    func() error { return l.IncrementLogStart(1) },
		"AdoptLogStart":        func() error { return l.AdoptLogStart(1) },
		"TruncateTo":           func() error { _, err := l.TruncateTo(1); return err },
		"TruncateFully":        func() error { return l.TruncateFullyAndStartAt(5, 5) },
		"OffsetForTime":        func() error { _, err := l.OffsetForTime(1); return err },
		"OffsetOfMaxTimestamp": func() error { _, err := l.OffsetOfMaxTimestamp(); return err },
		"LegacyOffsetsBefore":  func() error { _, err := l.LegacyOffsetsBefore(1, 1); return err },
		"AssignEpochStart":     func() error { return l.AssignEpochStart(7, 2) },
		"AssignTopicID":        func() error { return l.AssignTopicID(metadata.TopicID{1}) },
	} {
		touched = nil
		wantError(t, operation(), protocol.KafkaStorageError)
		if t.Failed() || len(touched) != 0 {
			t.Fatalf("%s touches %q", name, touched)
		}
	}
}

func TestALogCreatedWhileItsDirectoryFailsIsNotServed(t *testing.T) {
	var h *host
	var other *Log
	var armed, broken atomic.Bool
	fsys := vfs.Intercept(vfs.NewMem(), func(op vfs.Op) error {
		switch {
		case broken.Load() && op.Kind == vfs.OpSync && strings.HasPrefix(op.Name, "/a/"):
			return syscall.EIO
		case op.Kind == vfs.OpCreate && strings.HasSuffix(op.Name, timeIndexSuffix) && armed.CompareAndSwap(true, false):
			broken.Store(true)
			_ = other.Flush()
			waitUntil(t, "the directory's logs are gone", func() bool { return h.Log(otherPartition) == nil })
		}
		return nil
	})
	h = start(t, fsys, func(c *ManagerConfig) { c.Dirs = []string{"/a", "/b"} })
	for _, tp := range []TopicPartition{otherPartition, partition0} {
		noError(t, h.PreferDir(tp, "/a"))
	}
	other, err := h.GetOrCreate(otherPartition, metadata.TopicID{1}, testTopic(), true)
	noError(t, err)
	appendValues(t, other, 1, "x")
	armed.Store(true)
	_, err = h.GetOrCreate(partition0, metadata.TopicID{2}, testTopic(), true)
	wantError(t, err, protocol.KafkaStorageError)
	if h.Log(partition0) != nil {
		t.Error("a log of the failed directory is served")
	}
	waitUntil(t, "the logs of the directory are closed", other.closed.Load)
}

func TestDiskErrorsAreDistinguished(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		err  error
		disk bool
	}{
		{&fs.PathError{Op: "read", Path: "x", Err: broken}, true},
		{&os.LinkError{Op: "rename", Err: broken}, true},
		{&os.SyscallError{Syscall: "fsync", Err: broken}, true},
		{syscall.EIO, true},
		{io.EOF, true},
		{io.ErrUnexpectedEOF, true},
		{io.ErrShortWrite, true},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EMFILE}, false},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.ENFILE}, false},
		{&fs.PathError{Op: "read", Path: "x", Err: fs.ErrClosed}, false},
		{errIndexOverflow, false},
		{broken, false},
	} {
		wantEqual(t, fmt.Sprintf("%T %v", c.err, c.err), isDiskError(fmt.Errorf("in a call: %w", c.err)), c.disk)
	}
}
