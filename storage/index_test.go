package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/monedula/monedula/internal/golden"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/record"
)

func TestIndexesOfKafkaRoundTrip(t *testing.T) {
	files := newFileCache(vfs.OS(), 100)
	for _, path := range goldenFiles(t, "*.index") {
		if strings.Contains(path, "/crash/") {
			continue // preallocated; see below
		}
		base, _, _ := parseOffsetFileName(filepath.Base(path))
		want := mustRead(t, path)
		x := newOffsetIndex(files.add(path, ""), base, 4096)
		mem := memDir(t)
		y := newOffsetIndex(newFileCache(mem, 10).add("/d/x", ""), base, 4096)
		noError(t, y.activate(4096))
		for at := 0; at < len(want); at += offsetEntrySize {
			e := x.decode(want[at:])
			noError(t, y.append(e.offset, e.position))
			found, err := x.lookup(e.offset)
			noError(t, err)
			wantEqual(t, path, found, e)
			if at > 0 {
				before, err := x.lookup(e.offset - 1)
				noError(t, err)
				wantEqual(t, path+" before", before, x.decode(want[at-offsetEntrySize:]))
			}
		}
		wantEqual(t, "preallocated size", fileSize(t, mem, "/d/x"), 4096)
		noError(t, y.deactivate())
		wantEqual(t, path, fileContent(t, mem, "/d/x"), string(want))
	}
}

func TestTimeIndexesOfKafkaRoundTrip(t *testing.T) {
	files := newFileCache(vfs.OS(), 100)
	for _, path := range goldenFiles(t, "*.timeindex") {
		if strings.Contains(path, "/crash/") {
			continue
		}
		base, _, _ := parseOffsetFileName(filepath.Base(path))
		want := mustRead(t, path)
		x := newTimeIndex(files.add(path, ""), base, 4096)
		mem := memDir(t)
		y := newTimeIndex(newFileCache(mem, 10).add("/d/x", ""), base, 4096)
		noError(t, y.activate(4096))
		for at := 0; at < len(want); at += timeEntrySize {
			e := x.decode(want[at:])
			noError(t, y.maybeAppend(e.timestamp, e.offset, false))
			found, err := x.lookup(e.timestamp)
			noError(t, err)
			wantEqual(t, path, found, e)
		}
		wantEqual(t, "preallocated size", fileSize(t, mem, "/d/x"), 4092)
		noError(t, y.deactivate())
		wantEqual(t, path, fileContent(t, mem, "/d/x"), string(want))
	}
}

func TestActiveIndexesHaveKafkasSizes(t *testing.T) {
	for dir, max := range map[string]int32{"segments-0/00000000000000000048": 240, "compacted-0/00000000000000000144": 1200, "txn-0/00000000000000000042": 4096} {
		mem := memDir(t)
		files := newFileCache(mem, 10)
		noError(t, newOffsetIndex(files.add("/d/i", ""), 0, max).activate(max))
		noError(t, newTimeIndex(files.add("/d/t", ""), 0, max).activate(max))
		for name, suffix := range map[string]string{"/d/i": ".index", "/d/t": ".timeindex"} {
			wantEqual(t, dir+suffix, fileSize(t, mem, name), int64(len(golden.Read(t, "logdir-3.9.1/crash/"+dir+suffix))))
		}
	}
}

func newTestOffsetIndex(t testing.TB, fsys vfs.FS, base record.Offset, max int32) *offsetIndex {
	t.Helper()
	x := newOffsetIndex(newFileCache(fsys, 10).add("/d/x.index", ""), base, max)
	noError(t, x.activate(max))
	return x
}

func TestAnOffsetIndexRejectsInvalidEntries(t *testing.T) {
	x := newTestOffsetIndex(t, memDir(t), 100, 27)
	wantError(t, x.append(99, 0), errIndexOverflow)
	wantError(t, x.append(100+1<<31, 0), errIndexOverflow)
	noError(t, x.append(105, 10))
	wantError(t, x.append(105, 20), errInvalidOffset)
	wantError(t, x.append(104, 20), errInvalidOffset)
	noError(t, x.append(106, 20))
	noError(t, x.append(100+1<<31-1, 30))
	full, err := x.isFull()
	noError(t, err)
	wantEqual(t, "full", full, true)
	wantError(t, newTestOffsetIndex(t, memDir(t), 0, 7).append(5, 0), errIndexFull)
	n, err := x.entries()
	noError(t, err)
	wantEqual(t, "entries", n, 3)
	last, err := x.last()
	noError(t, err)
	wantEqual(t, "last", last, offsetPosition{100 + 1<<31 - 1, 30})
}

func TestATimeIndexKeepsOneSlotInReserve(t *testing.T) {
	x := newTimeIndex(newFileCache(memDir(t), 10).add("/d/x", ""), 0, 36)
	noError(t, x.activate(36))
	noError(t, x.maybeAppend(10, 1, false))
	noError(t, x.maybeAppend(20, 2, false))
	full, err := x.isFull()
	noError(t, err)
	wantEqual(t, "full", full, true)
	wantError(t, x.maybeAppend(30, 3, false), errIndexFull)
	noError(t, x.maybeAppend(30, 3, true))
	noError(t, x.maybeAppend(40, 4, true))
	last, err := x.last()
	noError(t, err)
	wantEqual(t, "last", last, timestampOffset{30, 3})
}

func TestATimeIndexAcceptsOnlyNewerTimestamps(t *testing.T) {
	x := newTimeIndex(newFileCache(memDir(t), 10).add("/d/x", ""), 10, 1200)
	none, err := x.lookup(1 << 60)
	noError(t, err)
	wantEqual(t, "lookup in an empty index", none, timestampOffset{-1, 10})
	noError(t, x.maybeAppend(-1, 10, true)) // records without timestamps
	noError(t, x.maybeAppend(50, 12, false))
	noError(t, x.maybeAppend(50, 14, false))
	wantError(t, x.maybeAppend(49, 15, false), errInvalidOffset)
	wantError(t, x.maybeAppend(60, 11, false), errInvalidOffset)
	n, err := x.entries()
	noError(t, err)
	wantEqual(t, "entries", n, 1)
	before, err := x.lookup(49)
	noError(t, err)
	wantEqual(t, "lookup before the first", before, timestampOffset{-1, 10})
}

// indexModel is a sorted list that behaves like an index.
type indexModel []offsetPosition

func (m indexModel) lookup(base, target record.Offset) offsetPosition {
	i := sort.Search(len(m), func(i int) bool { return m[i].offset > target }) - 1
	if i < 0 {
		return offsetPosition{offset: base}
	}
	return m[i]
}

func (m indexModel) upperBound(position int64) (offsetPosition, bool) {
	i := sort.Search(len(m), func(i int) bool { return int64(m[i].position) >= position })
	if i == len(m) {
		return offsetPosition{}, false
	}
	return m[i], true
}

// Random steps append, cut, reopen and look up more entries than are kept in memory or fit into one
// read.
func TestAnIndexFindsTheSameEntriesAsASortedList(t *testing.T) {
	const base, max = 1000, 8 * 5000
	random := rand.New(rand.NewPCG(1, 2))
	mem := memDir(t)
	x := newTestOffsetIndex(t, mem, base, max)
	var model indexModel
	next := offsetPosition{offset: base}
	for step := range 300 {
		switch {
		case step%29 == 28: // reopen as an old segment's index
			noError(t, x.deactivate())
			wantEqual(t, "trimmed size", fileSize(t, mem, "/d/x.index"), int64(len(model)*offsetEntrySize))
			x = newOffsetIndex(newFileCache(mem, 10).add("/d/x.index", ""), base, max)
		case step%37 == 36:
			noError(t, x.activate(max))
		case step%11 == 10 && len(model) > 0:
			cut := model[random.IntN(len(model))].offset + record.Offset(random.Int64N(2))
			noError(t, x.truncateTo(cut))
			model = slices.DeleteFunc(model, func(e offsetPosition) bool { return e.offset >= cut })
			if last := len(model) - 1; last >= 0 {
				next = model[last]
			} else {
				next = offsetPosition{offset: base}
			}
		default:
			for range random.IntN(200) {
				if len(model) == 5000 {
					break
				}
				next = offsetPosition{next.offset + 1 + record.Offset(random.Int64N(5)), next.position + 1 + random.Int32N(100)}
				noError(t, x.append(next.offset, next.position))
				model = append(model, next)
			}
		}
		n, err := x.entries()
		noError(t, err)
		wantEqual(t, "entries", n, len(model))
		for range 20 {
			target := record.Offset(base - 5 + random.Int64N(int64(next.offset-base+10)))
			got, err := x.lookup(target)
			noError(t, err)
			wantEqual(t, fmt.Sprint("step ", step, " lookup ", target), got, model.lookup(base, target))
			position := random.Int64N(int64(next.position) + 10)
			got, ok, err := x.upperBound(position)
			noError(t, err)
			want, wantOK := model.upperBound(position)
			if got != want || ok != wantOK {
				t.Errorf("step %d upper bound of %d: %v %v, want %v %v", step, position, got, ok, want, wantOK)
			}
		}
	}
}

func TestTruncationLeavesZerosInAnActiveIndex(t *testing.T) {
	mem := memDir(t)
	x := newTestOffsetIndex(t, mem, 0, 80)
	for i := range record.Offset(5) {
		noError(t, x.append(i*10+1, int32(i+1)))
	}
	noError(t, x.truncateTo(11))
	content := fileContent(t, mem, "/d/x.index")
	wantEqual(t, "size", len(content), 80)
	wantEqual(t, "bytes after the entry", content[8:], strings.Repeat("\x00", 72))
	noError(t, x.append(15, 2))
	noError(t, x.truncateTo(100))
	last, err := x.last()
	noError(t, err)
	wantEqual(t, "last", last, offsetPosition{15, 2})
}

func TestResetEmptiesAnIndex(t *testing.T) {
	mem := memDir(t)
	x := newTestOffsetIndex(t, mem, 0, 80)
	noError(t, x.append(5, 5))
	noError(t, x.reset(160))
	wantEqual(t, "size of the active index", fileSize(t, mem, "/d/x.index"), 160)
	noError(t, x.append(3, 1))
	noError(t, x.deactivate())

	old := newOffsetIndex(newFileCache(mem, 10).add("/d/x.index", ""), 0, 80)
	noError(t, old.reset(80))
	wantEqual(t, "size of the old index", fileSize(t, mem, "/d/x.index"), 0)
	noError(t, old.append(4, 1))
	noError(t, old.trim())
	wantEqual(t, "size", fileSize(t, mem, "/d/x.index"), 8)
}

func TestResizingNeverCutsEntries(t *testing.T) {
	mem := memDir(t)
	x := newTestOffsetIndex(t, mem, 0, 80)
	for i := range record.Offset(5) {
		noError(t, x.append(i+1, int32(i+1)))
	}
	noError(t, x.resize(16))
	wantEqual(t, "size", fileSize(t, mem, "/d/x.index"), 40)
	found, err := x.lookup(5)
	noError(t, err)
	wantEqual(t, "last", found, offsetPosition{5, 5})
}

// A crash may leave the zeros of a preallocated index that was about to be trimmed.
func TestZerosAtTheEndAreNotEntries(t *testing.T) {
	for entries := 0; entries < 700; entries += 1 + entries/64 {
		mem := memDir(t)
		x := newTestOffsetIndex(t, mem, 10, 8*700)
		for i := range entries {
			noError(t, x.append(record.Offset(11+i), int32(i+1)))
		}
		again := newOffsetIndex(newFileCache(mem, 1).add("/d/x.index", ""), 10, 8*700)
		n, err := again.entries()
		noError(t, err)
		wantEqual(t, "entries", n, entries)
		last, err := again.last()
		noError(t, err)
		wantEqual(t, "last", last, offsetPosition{record.Offset(10 + entries), int32(entries)})
	}
	mem := memDir(t)
	noError(t, writeFile(mem, "/d/t", make([]byte, timeEntrySize)))
	last, err := newTimeIndex(newFileCache(mem, 1).add("/d/t", ""), 10, 100).last()
	noError(t, err)
	wantEqual(t, "a record with timestamp 0", last, timestampOffset{0, 10})
}

// Readers of an index that grows and is cut at the same time see whole entries, in order.
func TestLookupsRunConcurrentlyWithChanges(t *testing.T) {
	mem := memDir(t)
	x := newTestOffsetIndex(t, mem, 0, 8*4000)
	var done atomic.Bool
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(g), 0))
			for !done.Load() {
				target := record.Offset(random.Int64N(8000))
				e, err := x.lookup(target)
				if err != nil || e.offset > target || record.Offset(e.position)*2 != e.offset {
					t.Errorf("lookup of %d: %v, %v", target, e, err)
					return
				}
				if e, ok, err := x.upperBound(int64(target / 2)); err != nil || ok && (record.Offset(e.position) < target/2 || record.Offset(e.position)*2 != e.offset) {
					t.Errorf("upper bound of %d: %v, %v", target/2, e, err)
					return
				}
			}
		})
	}
	for round := range 30 {
		last, err := x.last()
		noError(t, err)
		for i := last.position + 1; i <= 3000; i++ {
			noError(t, x.append(record.Offset(i)*2, i))
		}
		noError(t, x.truncateTo(record.Offset(round)*100))
	}
	done.Store(true)
	wg.Wait()
}

func TestAFailedWriteAddsNoEntry(t *testing.T) {
	mem := memDir(t)
	x := newTestOffsetIndex(t, vfs.Failing(mem, vfs.Rule{Kinds: []vfs.OpKind{vfs.OpWrite}, Nth: 2, Err: os.ErrPermission, Short: true}), 0, 80)
	noError(t, x.append(1, 1))
	wantError(t, x.append(2, 2), os.ErrPermission)
	found, err := x.lookup(9)
	noError(t, err)
	wantEqual(t, "last", found, offsetPosition{1, 1})
}

func TestTransactionIndexesOfKafkaRoundTrip(t *testing.T) {
	files := newFileCache(vfs.OS(), 100)
	for _, path := range goldenFiles(t, "*.txnindex") {
		base, _, _ := parseOffsetFileName(filepath.Base(path))
		x := newTxnIndex(files.add(path, ""), base)
		noError(t, x.sanityCheck())
		all, err := x.all()
		noError(t, err)
		mem := memDir(t)
		y := newTxnIndex(newFileCache(mem, 10).add("/d/x", ""), base)
		for _, e := range all {
			noError(t, y.append(e))
		}
		wantEqual(t, path, fileContent(t, mem, "/d/x"), string(mustRead(t, path)))
	}
	all, err := newTxnIndex(files.add(golden.Path(t, "logdir-3.9.1/clean/txn-0/00000000000000000042.txnindex"), ""), 42).all()
	noError(t, err)
	if len(all) != 1 || all[0].lastOffset < 42 || all[0].lastStableOffset != all[0].lastOffset+1 {
		t.Errorf("entries %+v", all)
	}
}

func TestATransactionIndexFileIsCreatedWithItsFirstEntry(t *testing.T) {
	mem := memDir(t)
	x := newTxnIndex(newFileCache(mem, 10).add("/d/x", ""), 0)
	found, complete, err := x.collect(nil, 0, 100)
	if err != nil || complete || found != nil {
		t.Errorf("collected %v, %v, %v", found, complete, err)
	}
	noError(t, x.sync())
	noError(t, x.reset())
	noError(t, x.truncateTo(0))
	wantEqual(t, "file", fileContent(t, mem, "/d/x"), "absent")
	noError(t, x.append(abortedTxn{1, 0, 5, 6}))
	noError(t, x.sync())
	wantEqual(t, "size", fileSize(t, mem, "/d/x"), txnEntrySize)
	wantError(t, x.append(abortedTxn{1, 3, 5, 6}), errInvalidOffset)
	noError(t, x.reset())
	wantEqual(t, "size", fileSize(t, mem, "/d/x"), 0)
	noError(t, x.append(abortedTxn{1, 0, 4, 5}))
}

func TestCollectingAbortedTransactions(t *testing.T) {
	x := newTxnIndex(newFileCache(memDir(t), 10).add("/d/x", ""), 0)
	for _, e := range []abortedTxn{{1, 0, 10, 3}, {2, 3, 20, 12}, {3, 12, 30, 31}, {4, 40, 50, 51}} {
		noError(t, x.append(e))
	}
	for _, c := range []struct {
		from, to record.Offset
		ids      string
		complete bool
	}{
		{0, 3, "1", true}, {0, 4, "1 2", true}, {0, 13, "1 2 3", true}, {0, 31, "1 2 3", true}, {0, 40, "1 2 3", true},
		{0, 60, "1 2 3 4", false}, {11, 31, "2 3", true}, {10, 12, "1 2", true}, {51, 60, "", false}, {31, 40, "", true},
	} {
		found, complete, err := x.collect(nil, c.from, c.to)
		noError(t, err)
		var ids []string
		for _, f := range found {
			ids = append(ids, fmt.Sprint(f.ProducerID))
		}
		if got := strings.Join(ids, " "); got != c.ids || complete != c.complete {
			t.Errorf("[%d, %d): %s, complete %v; want %s, %v", c.from, c.to, got, complete, c.ids, c.complete)
		}
	}
}

// The entries do not fit into one read.
func TestCollectingReadsOnlyTheEntriesNeeded(t *testing.T) {
	const entries = 2000
	mem := memDir(t)
	read := 0
	x := newTxnIndex(newFileCache(vfs.Intercept(mem, func(op vfs.Op) error {
		if op.Kind == vfs.OpRead {
			read += op.Size
		}
		return nil
	}), 10).add("/d/x", ""), 0)
	for i := range record.Offset(entries) {
		noError(t, x.append(abortedTxn{int64(i), 10 * i, 10*i + 9, 10*i + 10}))
	}
	for _, from := range []record.Offset{0, 5, 9, 10, 9999, 19_990, 19_999, 20_000} {
		for _, to := range []record.Offset{from + 1, from + 100, from + 3000, 30_000} {
			read = 0
			found, complete, err := x.collect(nil, from, to)
			noError(t, err)
			var want []AbortedTxn
			for i := from / 10; i < min((to+9)/10, entries); i++ {
				want = append(want, AbortedTxn{int64(i), 10 * i})
			}
			wantEqual(t, "complete", complete, to <= 10*entries && from < 10*entries)
			if !slices.Equal(found, want) {
				t.Errorf("[%d, %d): %d transactions, want %d", from, to, len(found), len(want))
			}
			if most := (len(want)*txnEntrySize/4096 + 3) * 4096; read > most {
				t.Errorf("[%d, %d): %d bytes read for %d entries", from, to, read, len(want))
			}
		}
	}
}

func TestTruncatingATransactionIndex(t *testing.T) {
	mem := memDir(t)
	x := newTxnIndex(newFileCache(mem, 10).add("/d/x", ""), 0)
	for _, e := range []abortedTxn{{1, 0, 10, 11}, {2, 3, 20, 21}, {3, 12, 30, 31}} {
		noError(t, x.append(e))
	}
	noError(t, x.truncateTo(31))
	noError(t, x.truncateTo(20))
	wantEqual(t, "size", fileSize(t, mem, "/d/x"), txnEntrySize)
	noError(t, x.append(abortedTxn{2, 3, 11, 12}))
	again := newTxnIndex(newFileCache(mem, 10).add("/d/x", ""), 0)
	wantError(t, again.append(abortedTxn{2, 3, 11, 12}), errInvalidOffset)
	all, err := again.all()
	noError(t, err)
	if !slices.Equal(all, []abortedTxn{{1, 0, 10, 11}, {2, 3, 11, 12}}) {
		t.Errorf("entries %v", all)
	}
}

func TestDamagedTransactionIndexesAreDetected(t *testing.T) {
	mem := memDir(t)
	files := newFileCache(mem, 10)
	noError(t, newTxnIndex(files.add("/d/low", ""), 100).append(abortedTxn{1, 0, 10, 11}))
	wantError(t, newTxnIndex(files.add("/d/low", ""), 100).sanityCheck(), errCorruptIndex)
	noError(t, writeFile(mem, "/d/version", append([]byte{0, 1}, make([]byte, 32)...)))
	wantError(t, newTxnIndex(files.add("/d/version", ""), 0).sanityCheck(), errCorruptIndex)
	noError(t, writeFile(mem, "/d/torn", make([]byte, txnEntrySize+5)))
	torn := newTxnIndex(files.add("/d/torn", ""), 0)
	noError(t, torn.append(abortedTxn{1, 0, 10, 11}))
	all, err := newTxnIndex(files.add("/d/torn", ""), 0).all()
	if err != nil || len(all) != 2 || all[1].lastOffset != 10 {
		t.Errorf("entries after a torn one: %v, %v", all, err)
	}
}

func FuzzIndexFiles(f *testing.F) {
	f.Add([]byte{}, int64(0))
	f.Add(make([]byte, 100), int64(5))
	f.Add(binary.BigEndian.AppendUint64(nil, 1<<63+7), int64(1)<<62)
	f.Fuzz(func(t *testing.T, content []byte, number int64) {
		target := record.Offset(number)
		mem := memDir(t)
		noError(t, writeFile(mem, "/d/x", content))
		x := newOffsetIndex(newFileCache(mem, 1).add("/d/x", ""), 10, 1000)
		_, err := x.lookup(target)
		noError(t, err)
		_, _, err = x.upperBound(number)
		noError(t, err)
		noError(t, x.truncateTo(target))
		y := newTimeIndex(newFileCache(mem, 1).add("/d/x", ""), 10, 1000)
		_, err = y.lookup(number)
		noError(t, err)
		noError(t, y.truncateTo(target))
		if _, err := newTxnIndex(newFileCache(mem, 1).add("/d/x", ""), 10).all(); err != nil && !errors.Is(err, errCorruptIndex) {
			t.Error(err)
		}
	})
}

func BenchmarkOffsetIndexLookup(b *testing.B) {
	for name, fsys := range map[string]vfs.FS{"file": vfs.OS()} {
		for _, old := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/old=%v", name, old), func(b *testing.B) {
				path := filepath.Join(b.TempDir(), "x.index")
				x := newOffsetIndex(newFileCache(fsys, 10).add(path, ""), 0, 8*200_000)
				noError(b, x.activate(8*200_000))
				for i := range record.Offset(200_000) {
					noError(b, x.append(i*10+9, int32(i*4100)))
				}
				target := func(i int) record.Offset { return 2_000_000 - record.Offset(i%2000) }
				if old {
					target = func(i int) record.Offset { return record.Offset(i*7919) % 1_500_000 }
				}
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if _, err := x.lookup(target(i)); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
